//! The two-letter names of SDDL (MS-DTYP 2.5.1.1).

use crate::security::Sid;
use crate::security::sid;

/// How an ACE type is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AceType {
    /// Six fields, the GUIDs empty.
    Basic(u8),
    /// Six fields.
    Object(u8),
    /// Needs a seventh field, which is not supported.
    Conditional,
}

const ACE_TYPES: [(&str, AceType); 16] = [
    ("A", AceType::Basic(0x00)),
    ("D", AceType::Basic(0x01)),
    ("AU", AceType::Basic(0x02)),
    ("AL", AceType::Basic(0x03)),
    ("OA", AceType::Object(0x05)),
    ("OD", AceType::Object(0x06)),
    ("OU", AceType::Object(0x07)),
    ("OL", AceType::Object(0x08)),
    ("ML", AceType::Basic(MANDATORY_LABEL)),
    ("SP", AceType::Basic(0x13)),
    ("TL", AceType::Basic(0x14)),
    ("XA", AceType::Conditional),
    ("XD", AceType::Conditional),
    ("XU", AceType::Conditional),
    ("ZA", AceType::Conditional),
    ("RA", AceType::Conditional),
];

/// The ACE type whose access mask has names of its own.
pub(super) const MANDATORY_LABEL: u8 = 0x11;

/// ACE flags, in the order they are written.
pub(super) const ACE_FLAGS: [(&str, u8); 7] = [
    ("OI", 0x01),
    ("CI", 0x02),
    ("NP", 0x04),
    ("IO", 0x08),
    ("ID", 0x10),
    ("SA", 0x40),
    ("FA", 0x80),
];

/// ACL flags with the control bits of the DACL and of the SACL, in the order they are written.
pub(super) const ACL_FLAGS: [(&str, u16, u16); 3] = [
    ("P", 0x1000, 0x2000),
    ("AR", 0x0100, 0x0200),
    ("AI", 0x0400, 0x0800),
];

/// A present ACL without content.
pub(super) const NULL_ACL: &str = "NO_ACCESS_CONTROL";

/// Rights that are written as one name when the mask is exactly that.
pub(super) const WHOLE_RIGHTS: [(&str, u32); 8] = [
    ("FA", 0x001f_01ff),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00a0),
    ("KA", 0x000f_003f),
    ("KR", 0x0002_0019),
    ("KW", 0x0002_0006),
    ("KX", 0x0002_0019),
];

/// Rights of one bit, in the order they are written.
pub(super) const SINGLE_RIGHTS: [(&str, u32); 17] = [
    ("CC", 0x0000_0001),
    ("DC", 0x0000_0002),
    ("LC", 0x0000_0004),
    ("SW", 0x0000_0008),
    ("RP", 0x0000_0010),
    ("WP", 0x0000_0020),
    ("DT", 0x0000_0040),
    ("LO", 0x0000_0080),
    ("CR", 0x0000_0100),
    ("SD", 0x0001_0000),
    ("RC", 0x0002_0000),
    ("WD", 0x0004_0000),
    ("WO", 0x0008_0000),
    ("GA", 0x1000_0000),
    ("GX", 0x2000_0000),
    ("GW", 0x4000_0000),
    ("GR", 0x8000_0000),
];

/// Rights of a mandatory label.
pub(super) const LABEL_RIGHTS: [(&str, u32); 3] = [("NW", 1), ("NR", 2), ("NX", 4)];

/// Aliases with a fixed SID.
const ALIASES: [(&str, &str); 49] = [
    ("AA", "S-1-5-32-579"),
    ("AC", "S-1-15-2-1"),
    ("AN", "S-1-5-7"),
    ("AO", "S-1-5-32-548"),
    ("AS", "S-1-18-1"),
    ("AU", "S-1-5-11"),
    ("BA", "S-1-5-32-544"),
    ("BG", "S-1-5-32-546"),
    ("BO", "S-1-5-32-551"),
    ("BU", "S-1-5-32-545"),
    ("CD", "S-1-5-32-574"),
    ("CG", "S-1-3-1"),
    ("CO", "S-1-3-0"),
    ("CY", "S-1-5-32-569"),
    ("ED", "S-1-5-9"),
    ("ER", "S-1-5-32-573"),
    ("ES", "S-1-5-32-576"),
    ("HA", "S-1-5-32-578"),
    ("HI", "S-1-16-12288"),
    ("IS", "S-1-5-32-568"),
    ("IU", "S-1-5-4"),
    ("LS", "S-1-5-19"),
    ("LU", "S-1-5-32-559"),
    ("LW", "S-1-16-4096"),
    ("ME", "S-1-16-8192"),
    ("MP", "S-1-16-8448"),
    ("MS", "S-1-5-32-577"),
    ("MU", "S-1-5-32-558"),
    ("NO", "S-1-5-32-556"),
    ("NS", "S-1-5-20"),
    ("NU", "S-1-5-2"),
    ("OW", "S-1-3-4"),
    ("PO", "S-1-5-32-550"),
    ("PS", "S-1-5-10"),
    ("PU", "S-1-5-32-547"),
    ("RA", "S-1-5-32-575"),
    ("RC", "S-1-5-12"),
    ("RD", "S-1-5-32-555"),
    ("RE", "S-1-5-32-552"),
    ("RM", "S-1-5-32-580"),
    ("RU", "S-1-5-32-554"),
    ("SI", "S-1-16-16384"),
    ("SO", "S-1-5-32-549"),
    ("SS", "S-1-18-2"),
    ("SU", "S-1-5-6"),
    ("SY", "S-1-5-18"),
    ("UD", "S-1-5-84-0-0-0-0-0"),
    ("WD", "S-1-1-0"),
    ("WR", "S-1-5-33"),
];

/// Aliases whose SID contains that of a domain or machine.
const DOMAIN_RELATIVE: [&str; 17] = [
    "AP", "CA", "CN", "DA", "DC", "DD", "DG", "DU", "EA", "EK", "KA", "LA", "LG", "PA", "RO", "RS",
    "SA",
];

/// The entry of a table of names, without regard to case.
fn entry<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| *value)
}

pub(super) fn ace_type(name: &str) -> Option<AceType> {
    entry(&ACE_TYPES, name)
}

pub(super) fn name_of_ace_type(kind: u8) -> Option<&'static str> {
    ACE_TYPES
        .iter()
        .find(|(_, known)| matches!(known, AceType::Basic(k) | AceType::Object(k) if *k == kind))
        .map(|(name, _)| *name)
}

pub(super) fn ace_flag(name: &str) -> Option<u8> {
    entry(&ACE_FLAGS, name)
}

pub(super) fn right(name: &str) -> Option<u32> {
    entry(&WHOLE_RIGHTS, name)
        .or_else(|| entry(&SINGLE_RIGHTS, name))
        .or_else(|| entry(&LABEL_RIGHTS, name))
}

pub(super) fn is_domain_relative(name: &str) -> bool {
    DOMAIN_RELATIVE
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

pub(super) fn sid_of_alias(name: &str) -> Option<Sid> {
    sid::read(entry(&ALIASES, name)?).map(|(sid, _)| sid)
}

pub(super) fn alias_of_sid(text: &str) -> Option<&'static str> {
    ALIASES
        .iter()
        .find(|(_, sid)| *sid == text)
        .map(|(alias, _)| *alias)
}

#[cfg(test)]
mod tests {
    use super::{ALIASES, DOMAIN_RELATIVE, alias_of_sid, sid_of_alias};

    #[test]
    fn every_alias_has_one_sid_and_back() {
        for (alias, text) in ALIASES {
            assert_eq!(sid_of_alias(alias).unwrap().to_string(), text);
            assert_eq!(alias_of_sid(text), Some(alias));
        }
        assert!(
            DOMAIN_RELATIVE
                .iter()
                .all(|alias| sid_of_alias(alias).is_none())
        );
    }
}
