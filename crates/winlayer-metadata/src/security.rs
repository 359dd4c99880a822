//! Self-relative security descriptors.

mod acl;
mod sddl;
mod sid;
#[cfg(test)]
mod tests;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use acl::Acl;
pub use acl::AclKind;
pub use sddl::SddlError;
pub use sid::{Sid, SidError};

/// Head of a self-relative descriptor (MS-DTYP 2.4.6). Offsets count from its start; 0 means the part is absent.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct DescriptorHeader {
    /// Offset 0: 1.
    revision: u8,
    /// Offset 1: 0, or for the resource manager when control bit 0x4000 is set.
    resource_manager: u8,
    /// Offset 2: the control bits.
    control: U16,
    /// Offset 4: SID of the owner.
    owner: U32,
    /// Offset 8: SID of the primary group.
    group: U32,
    /// Offset 12: system ACL; with [`SACL_PRESENT`] and 0, a NULL SACL.
    sacl: U32,
    /// Offset 16: discretionary ACL; with [`DACL_PRESENT`] and 0, a NULL DACL, which grants everything.
    dacl: U32,
}
const _: () = assert!(size_of::<DescriptorHeader>() == 20);

const DACL_PRESENT: u16 = 0x0004;
const SACL_PRESENT: u16 = 0x0010;
const SELF_RELATIVE: u16 = 0x8000;

/// A well-formed self-relative `SECURITY_DESCRIPTOR` (MS-DTYP 2.4.6), its bytes kept verbatim.
///
/// What is checked is what Windows checks before it stores a descriptor, so that a bad one is found before half a layer is
/// written: revision, the self-relative bit, aligned offsets within the buffer, SIDs, ACLs and the SID of every ACE of a known
/// type. Unused bytes between and after the parts are allowed.
///
/// ```
/// use winlayer_metadata::SecurityDescriptor;
/// let everyone = SecurityDescriptor::parse(&[1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
/// assert_eq!(everyone.to_sddl(), "D:NO_ACCESS_CONTROL");
/// # Ok::<(), winlayer_metadata::SecurityDescriptorError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecurityDescriptor(Box<[u8]>);

/// What is wrong with a security descriptor. Offsets count from the start of the descriptor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityDescriptorError {
    /// Fewer bytes than the header, or more than [`SecurityDescriptor::MAX_LEN`].
    #[error(
        "security descriptor takes {len} bytes, expected 20 to {}",
        SecurityDescriptor::MAX_LEN
    )]
    Length {
        /// Bytes found.
        len: usize,
    },
    /// A revision other than 1.
    #[error("security descriptor has revision {found}, expected 1")]
    Revision {
        /// The revision found.
        found: u8,
    },
    /// The self-relative bit is clear: the offsets would be pointers.
    #[error("security descriptor is not self-relative (control {control:#06x})")]
    NotSelfRelative {
        /// The control bits found.
        control: u16,
    },
    /// A part starts inside the header, outside the descriptor, or not at a multiple of 4.
    #[error(
        "{part} of the security descriptor is said to start at {offset}, expected a multiple of 4 from 20 to less than {len}"
    )]
    Offset {
        /// `"owner"`, `"group"`, `"SACL"` or `"DACL"`.
        part: &'static str,
        /// The offset found.
        offset: u32,
        /// Bytes of the descriptor.
        len: usize,
    },
    /// Owner or group is not a SID.
    #[error("{part} of the security descriptor at offset {offset} is not a SID")]
    Sid {
        /// `"owner"` or `"group"`.
        part: &'static str,
        /// Where the SID starts.
        offset: usize,
        /// What is wrong with it.
        source: SidError,
    },
    /// An ACL has a revision other than 2, 3 or 4.
    #[error("{acl} at offset {offset} has revision {found}, expected 2, 3 or 4")]
    AclRevision {
        /// Which ACL.
        acl: AclKind,
        /// Where the ACL starts.
        offset: usize,
        /// The revision found.
        found: u8,
    },
    /// An ACL does not fit.
    #[error("{acl} at offset {offset} is said to take {size} bytes, expected 8 to {left}")]
    AclSize {
        /// Which ACL.
        acl: AclKind,
        /// Where the ACL starts.
        offset: usize,
        /// Bytes it says it takes.
        size: usize,
        /// Bytes from there to the end of the descriptor.
        left: usize,
    },
    /// An ACE does not fit into its ACL, is too small for its type, or its size is not a multiple of 4.
    #[error(
        "ACE {index} of the {acl}, at offset {offset}, takes {size} bytes, expected a multiple of 4 from {least} to {left}"
    )]
    AceSize {
        /// Which ACL.
        acl: AclKind,
        /// Position in the ACL, from 0.
        index: u16,
        /// Where the ACE starts.
        offset: usize,
        /// Bytes it says it takes.
        size: usize,
        /// Fewest bytes an ACE of its type takes.
        least: usize,
        /// Bytes from there to the end of the ACL.
        left: usize,
    },
    /// The SID of an ACE is not one.
    #[error("ACE {index} of the {acl}, at offset {offset}, has no valid SID")]
    AceSid {
        /// Which ACL.
        acl: AclKind,
        /// Position in the ACL, from 0.
        index: u16,
        /// Where the ACE starts.
        offset: usize,
        /// What is wrong with it.
        source: SidError,
    },
}

impl SecurityDescriptor {
    /// Most bytes accepted (64 KiB, beyond what an NTFS volume can store).
    pub const MAX_LEN: usize = 65_536;

    /// Checks a self-relative descriptor and keeps its bytes.
    ///
    /// # Errors
    /// Says which part is malformed and where; see [`SecurityDescriptorError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SecurityDescriptorError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(SecurityDescriptorError::Length { len: bytes.len() });
        }
        let Ok((header, _)) = DescriptorHeader::ref_from_prefix(bytes) else {
            return Err(SecurityDescriptorError::Length { len: bytes.len() });
        };
        if header.revision != 1 {
            return Err(SecurityDescriptorError::Revision {
                found: header.revision,
            });
        }
        let control = header.control.get();
        if control & SELF_RELATIVE == 0 {
            return Err(SecurityDescriptorError::NotSelfRelative { control });
        }
        for (part, offset) in [("owner", header.owner), ("group", header.group)] {
            if let Some((offset, bytes)) = part_at(bytes, part, offset)? {
                Sid::parse_prefix(bytes).map_err(|source| SecurityDescriptorError::Sid {
                    part,
                    offset,
                    source,
                })?;
            }
        }
        for (kind, present, offset) in [
            (AclKind::Sacl, SACL_PRESENT, header.sacl),
            (AclKind::Dacl, DACL_PRESENT, header.dacl),
        ] {
            // Windows does not look at an ACL that is not marked as present.
            if control & present != 0
                && let Some((offset, bytes)) = part_at(bytes, kind.name(), offset)?
            {
                Acl::parse(kind, offset, bytes)?.validate()?;
            }
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes as they were parsed or encoded.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Encodes an SDDL string (MS-DTYP 2.5.1): owner at offset 20, then group, SACL, DACL, without gaps.
    ///
    /// Accepted beside the documented forms: the lossless notation [`to_sddl`](Self::to_sddl) uses for ACEs SDDL cannot
    /// write. Names and aliases are read without regard to case, spaces between the parts are skipped.
    ///
    /// # Errors
    /// Malformed text, names that are unknown, aliases that mean something only in a domain, conditional and resource ACEs.
    pub fn from_sddl(sddl: &str) -> Result<Self, SddlError> {
        sddl::parse(sddl)
    }

    /// The descriptor as SDDL, in the order owner, group, DACL, SACL.
    ///
    /// Every ACE survives the way back through [`from_sddl`](Self::from_sddl). An ACE SDDL has no form for (conditional and
    /// resource ACEs, unknown types, bytes after the SID) is written as `(0xTYPE;flags;#BODY;;;)` with the body after the
    /// four-byte ACE header in hexadecimal; Windows does not read that form. Not written at all are the "defaulted" bits,
    /// the resource manager byte, ACL flags of an absent ACL, and the gaps between the parts.
    pub fn to_sddl(&self) -> String {
        sddl::write(self)
    }

    /// The control bits (MS-DTYP 2.4.6).
    pub fn control(&self) -> u16 {
        self.header().map_or(0, |header| header.control.get())
    }

    /// The owner, if there is one.
    pub fn owner(&self) -> Option<Sid> {
        self.sid_at(self.header()?.owner)
    }

    /// The primary group, if there is one.
    pub fn group(&self) -> Option<Sid> {
        self.sid_at(self.header()?.group)
    }

    fn header(&self) -> Option<&DescriptorHeader> {
        DescriptorHeader::ref_from_prefix(&self.0)
            .ok()
            .map(|(header, _)| header)
    }

    fn sid_at(&self, offset: U32) -> Option<Sid> {
        let (_, bytes) = part_at(&self.0, "", offset).ok()??;
        Sid::parse_prefix(bytes).ok()
    }

    /// An ACL: `None` when absent, `Some(None)` when NULL.
    fn acl(&self, kind: AclKind) -> Option<Option<Acl<'_>>> {
        let header = self.header()?;
        let (present, offset) = match kind {
            AclKind::Dacl => (DACL_PRESENT, header.dacl),
            AclKind::Sacl => (SACL_PRESENT, header.sacl),
        };
        (self.control() & present != 0).then(|| {
            let (offset, bytes) = part_at(&self.0, kind.name(), offset).ok()??;
            Acl::parse(kind, offset, bytes).ok()
        })
    }
}

/// The bytes from the offset of a part to the end; `None` when the offset is 0.
fn part_at<'a>(
    bytes: &'a [u8],
    part: &'static str,
    offset: U32,
) -> Result<Option<(usize, &'a [u8])>, SecurityDescriptorError> {
    let at = offset.get() as usize;
    if at == 0 {
        return Ok(None);
    }
    match bytes.get(at..) {
        Some(rest)
            if !rest.is_empty() && at.is_multiple_of(4) && at >= size_of::<DescriptorHeader>() =>
        {
            Ok(Some((at, rest)))
        }
        _ => Err(SecurityDescriptorError::Offset {
            part,
            offset: offset.get(),
            len: bytes.len(),
        }),
    }
}
