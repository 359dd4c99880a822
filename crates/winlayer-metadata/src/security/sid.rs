//! Security identifiers.

use std::fmt;
use std::str::FromStr;

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Head of a SID (MS-DTYP 2.4.2.2); the sub-authorities follow as little-endian 32-bit numbers.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SidHeader {
    /// Offset 0: 1.
    revision: u8,
    /// Offset 1: how many sub-authorities follow, at most 15.
    count: u8,
    /// Offset 2: the authority, **big-endian**.
    authority: [u8; 6],
}
const _: () = assert!(size_of::<SidHeader>() == 8);

const MAX_COUNT: usize = 15;

/// A security identifier: who owns, who may (MS-DTYP 2.4.2).
///
/// ```
/// use winlayer_metadata::Sid;
/// let system: Sid = "S-1-5-18".parse()?;
/// assert_eq!((system.authority(), system.sub_authorities()), (5, &[18][..]));
/// # Ok::<(), winlayer_metadata::SidError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sid {
    authority: u64,
    count: u8,
    /// Zero after `count`, so that derived comparison is right.
    sub_authorities: [u32; MAX_COUNT],
}

/// What is wrong with a SID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SidError {
    /// It needs more bytes than there are.
    #[error("the SID needs {needed} bytes, {left} are left")]
    Truncated {
        /// Bytes it needs.
        needed: usize,
        /// Bytes there are.
        left: usize,
    },
    /// A revision other than 1.
    #[error("the SID has revision {found}, expected 1")]
    Revision {
        /// The revision found.
        found: u8,
    },
    /// More than 15 sub-authorities.
    #[error("the SID has {found} sub-authorities, at most 15 are possible")]
    SubAuthorities {
        /// How many it says it has.
        found: u8,
    },
    /// A text that is not a SID.
    #[error("\"{found}\" is not a SID of the form S-1-5-32-544")]
    Text {
        /// The text, escaped.
        found: String,
    },
}

impl Sid {
    /// Reads the SID at the start of `bytes`; what follows it is ignored ([`encoded_len`](Self::encoded_len) says where).
    ///
    /// # Errors
    /// A revision other than 1, more than 15 sub-authorities, too few bytes.
    pub fn parse_prefix(bytes: &[u8]) -> Result<Self, SidError> {
        let truncated = |needed| SidError::Truncated {
            needed,
            left: bytes.len(),
        };
        let (header, rest) =
            SidHeader::ref_from_prefix(bytes).map_err(|_| truncated(size_of::<SidHeader>()))?;
        if header.revision != 1 {
            return Err(SidError::Revision {
                found: header.revision,
            });
        }
        let count = usize::from(header.count);
        if count > MAX_COUNT {
            return Err(SidError::SubAuthorities {
                found: header.count,
            });
        }
        let numbers = <[U32]>::ref_from_prefix_with_elems(rest, count)
            .map_err(|_| truncated(size_of::<SidHeader>() + 4 * count))?
            .0;
        let [a, b, c, d, e, f] = header.authority;
        let mut sid = Self {
            authority: u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
            count: header.count,
            sub_authorities: [0; MAX_COUNT],
        };
        for (slot, number) in sid.sub_authorities.iter_mut().zip(numbers) {
            *slot = number.get();
        }
        Ok(sid)
    }

    /// The 48-bit authority that issued it; 5 is Windows itself.
    pub fn authority(&self) -> u64 {
        self.authority
    }

    /// The numbers after the authority, at most 15.
    pub fn sub_authorities(&self) -> &[u32] {
        self.sub_authorities
            .get(..usize::from(self.count))
            .unwrap_or_default()
    }

    /// Bytes [`encode_into`](Self::encode_into) appends: 8 and 4 for each sub-authority.
    pub fn encoded_len(&self) -> usize {
        size_of::<SidHeader>() + 4 * usize::from(self.count)
    }

    /// Appends the binary form.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let [_, _, authority @ ..] = self.authority.to_be_bytes();
        out.extend_from_slice(
            SidHeader {
                revision: 1,
                count: self.count,
                authority,
            }
            .as_bytes(),
        );
        out.extend(
            self.sub_authorities()
                .iter()
                .flat_map(|number| number.to_le_bytes()),
        );
    }
}

/// `S-1-` and the numbers in decimal; an authority of 2³² or more in twelve hexadecimal digits.
impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.authority > u64::from(u32::MAX) {
            write!(f, "S-1-0x{:012x}", self.authority)?;
        } else {
            write!(f, "S-1-{}", self.authority)?;
        }
        self.sub_authorities()
            .iter()
            .try_for_each(|number| write!(f, "-{number}"))
    }
}

impl FromStr for Sid {
    type Err = SidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match read(text) {
            Some((sid, "")) => Ok(sid),
            _ => Err(SidError::Text {
                found: crate::text::excerpt(text),
            }),
        }
    }
}

/// The SID text at the start of `text`, and what follows it.
pub(super) fn read(text: &str) -> Option<(Sid, &str)> {
    let (prefix, rest) = text.split_at_checked(4)?;
    if !prefix.eq_ignore_ascii_case("S-1-") {
        return None;
    }
    let (authority, mut rest) = match rest.split_at_checked(2) {
        Some((radix, digits)) if radix.eq_ignore_ascii_case("0x") => {
            let (digits, rest) = digits.split_at_checked(12)?;
            let all_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
            (
                all_hex.then(|| u64::from_str_radix(digits, 16).ok())??,
                rest,
            )
        }
        _ => {
            let (digits, rest) = split_digits(rest);
            (u64::from(digits.parse::<u32>().ok()?), rest)
        }
    };
    let mut sid = Sid {
        authority,
        count: 0,
        sub_authorities: [0; MAX_COUNT],
    };
    while let Some(after) = rest.strip_prefix('-') {
        let (digits, after) = split_digits(after);
        *sid.sub_authorities.get_mut(usize::from(sid.count))? = digits.parse().ok()?;
        sid.count += 1;
        rest = after;
    }
    Some((sid, rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::{Sid, SidError};
    use proptest::prelude::*;

    fn bytes(sid: &Sid) -> Vec<u8> {
        let mut out = Vec::new();
        sid.encode_into(&mut out);
        out
    }

    #[test]
    fn encodes_the_authority_big_endian() {
        let administrators: Sid = "S-1-5-32-544".parse().unwrap();
        assert_eq!(
            bytes(&administrators),
            [1, 2, 0, 0, 0, 0, 0, 5, 0x20, 0, 0, 0, 0x20, 2, 0, 0]
        );
    }

    #[test]
    fn reads_trusted_installer() {
        let text = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
        let sid: Sid = text.parse().unwrap();
        assert_eq!(sid.encoded_len(), 32);
        assert_eq!(sid.to_string(), text);
    }

    #[test]
    fn writes_large_authorities_in_hexadecimal() {
        let sid = Sid::parse_prefix(&[1, 1, 0x01, 0, 0, 0, 0, 5, 7, 0, 0, 0]).unwrap();
        assert_eq!(sid.to_string(), "S-1-0x010000000005-7");
        assert_eq!(sid.to_string().parse(), Ok(sid));
    }

    #[test]
    fn refuses_malformed_bytes() {
        assert_eq!(
            Sid::parse_prefix(&[1; 7]),
            Err(SidError::Truncated { needed: 8, left: 7 })
        );
        assert_eq!(
            Sid::parse_prefix(&[2, 0, 0, 0, 0, 0, 0, 5]),
            Err(SidError::Revision { found: 2 })
        );
        assert_eq!(
            Sid::parse_prefix(&[1, 16, 0, 0, 0, 0, 0, 5]),
            Err(SidError::SubAuthorities { found: 16 })
        );
        let cut = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0];
        assert_eq!(
            Sid::parse_prefix(&cut),
            Err(SidError::Truncated {
                needed: 12,
                left: 11
            })
        );
    }

    #[test]
    fn refuses_malformed_text() {
        let sixteen = format!("S-1-5{}", "-1".repeat(16));
        for text in [
            "",
            "S",
            "S-1",
            "S-1-",
            "S-2-5-18",
            "S-1-5-",
            "S-1-5--18",
            "S-1-5-18 ",
            "S-1-5-4294967296",
            "S-1-4294967296-1",
            "S-1-0x5-18",
            "S-1-0x+00000000005-1",
            "S-1-5-+18",
            "é-1-5",
            "BA",
            &sixteen,
        ] {
            assert!(text.parse::<Sid>().is_err(), "{text:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn round_trips(authority in 0..1_u64 << 48, numbers in prop::collection::vec(any::<u32>(), 0..=15)) {
            let mut raw = vec![1, numbers.len() as u8];
            raw.extend_from_slice(&authority.to_be_bytes()[2..]);
            raw.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
            let sid = Sid::parse_prefix(&raw).unwrap();
            prop_assert_eq!((sid.authority(), sid.sub_authorities()), (authority, &numbers[..]));
            prop_assert_eq!(bytes(&sid), raw);
            prop_assert_eq!(sid.to_string().parse(), Ok(sid));
        }

        #[test]
        fn parsing_never_panics(raw in prop::collection::vec(any::<u8>(), 0..80), text in "\\PC{0,30}|S-1-[0-9xa-f-]{0,30}") {
            let _ = Sid::parse_prefix(&raw);
            let _ = text.parse::<Sid>();
        }
    }
}
