//! Access control lists.

use std::fmt;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{SecurityDescriptorError, Sid};

/// Head of an ACL (MS-DTYP 2.4.5).
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct AclHeader {
    /// Offset 0: 2; 4 when there are object ACEs; 3 for compound ACEs.
    pub(super) revision: u8,
    /// Offset 1: 0.
    pub(super) reserved: u8,
    /// Offset 2: bytes of the ACL with this header; unused bytes after the last ACE count.
    pub(super) size: U16,
    /// Offset 4: how many ACEs follow.
    pub(super) count: U16,
    /// Offset 6: 0.
    pub(super) reserved2: U16,
}
const _: () = assert!(size_of::<AclHeader>() == 8);

/// Head of an ACE (MS-DTYP 2.4.4.1).
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct AceHeader {
    /// Offset 0: the type, see [`Shape::of`].
    pub(super) kind: u8,
    /// Offset 1: inheritance and audit bits.
    pub(super) flags: u8,
    /// Offset 2: bytes of the ACE with this header, a multiple of 4.
    pub(super) size: U16,
}
const _: () = assert!(size_of::<AceHeader>() == 4);

/// The two lists of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AclKind {
    /// Who may do what.
    Dacl,
    /// What is audited, and the integrity label.
    Sacl,
}

impl AclKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dacl => "DACL",
            Self::Sacl => "SACL",
        }
    }
}

impl fmt::Display for AclKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What follows the header of an ACE, by its type (MS-DTYP 2.4.4.2 to 2.4.4.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Access mask, SID, and for some types data.
    Basic,
    /// Access mask, object flags, up to two GUIDs, SID, and for some types data.
    Object,
    /// Not known: any bytes.
    Opaque,
}

impl Shape {
    pub(super) fn of(kind: u8) -> Self {
        match kind {
            0x00..=0x03 | 0x09 | 0x0a | 0x0d | 0x0e | 0x11..=0x15 => Self::Basic,
            0x05..=0x08 | 0x0b | 0x0c | 0x0f | 0x10 => Self::Object,
            _ => Self::Opaque,
        }
    }

    /// Fewest bytes of an ACE, with its header.
    fn least(self) -> usize {
        size_of::<AceHeader>()
            + match self {
                Self::Basic => 12,
                Self::Object => 16,
                Self::Opaque => 0,
            }
    }
}

/// Object flag: the first GUID is there.
pub(super) const OBJECT_TYPE: u32 = 1;
/// Object flag: the second GUID is there.
pub(super) const INHERITED_OBJECT_TYPE: u32 = 2;

/// One ACE; `body` is what follows its header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ace<'a> {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) body: &'a [u8],
}

/// The body of an ACE of known shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct AceBody<'a> {
    pub(super) mask: u32,
    /// Zero for basic ACEs.
    pub(super) object_flags: u32,
    pub(super) object: Option<[u8; 16]>,
    pub(super) inherited_object: Option<[u8; 16]>,
    pub(super) sid: Sid,
    /// What follows the SID.
    pub(super) data: &'a [u8],
}

/// Why the body of an ACE cannot be read.
pub(super) enum BodyError {
    Short { least: usize },
    Sid(super::SidError),
}

impl<'a> Ace<'a> {
    /// The fields of the body; `None` when the type is unknown.
    pub(super) fn body(&self) -> Result<Option<AceBody<'a>>, BodyError> {
        let shape = Shape::of(self.kind);
        if shape == Shape::Opaque {
            return Ok(None);
        }
        let mut rest = self.body;
        let mut least = shape.least();
        let mut object_flags = 0;
        let (mut object, mut inherited_object) = (None, None);
        let mask = take::<U32>(&mut rest)
            .ok_or(BodyError::Short { least })?
            .get();
        if shape == Shape::Object {
            object_flags = take::<U32>(&mut rest)
                .ok_or(BodyError::Short { least })?
                .get();
            let guids = [
                (OBJECT_TYPE, &mut object),
                (INHERITED_OBJECT_TYPE, &mut inherited_object),
            ];
            for (_, guid) in guids.into_iter().filter(|(bit, _)| object_flags & bit != 0) {
                least += 16;
                *guid = Some(take(&mut rest).ok_or(BodyError::Short { least })?);
            }
        }
        let sid = Sid::parse_prefix(rest).map_err(BodyError::Sid)?;
        let data = rest.get(sid.encoded_len()..).unwrap_or_default();
        Ok(Some(AceBody {
            mask,
            object_flags,
            object,
            inherited_object,
            sid,
            data,
        }))
    }
}

fn take<T: FromBytes + Immutable + KnownLayout + Unaligned + Copy>(bytes: &mut &[u8]) -> Option<T> {
    let (value, rest) = T::read_from_prefix(bytes).ok()?;
    *bytes = rest;
    Some(value)
}

/// An ACL whose header is right; its ACEs are read one by one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acl<'a> {
    kind: AclKind,
    /// Where it starts in the descriptor.
    offset: usize,
    count: u16,
    aces: &'a [u8],
}

impl<'a> Acl<'a> {
    /// Reads the ACL at the start of `bytes`.
    pub(super) fn parse(
        kind: AclKind,
        offset: usize,
        bytes: &'a [u8],
    ) -> Result<Self, SecurityDescriptorError> {
        let left = bytes.len();
        let Ok((header, _)) = AclHeader::ref_from_prefix(bytes) else {
            return Err(SecurityDescriptorError::AclSize {
                acl: kind,
                offset,
                size: size_of::<AclHeader>(),
                left,
            });
        };
        if !(2..=4).contains(&header.revision) {
            return Err(SecurityDescriptorError::AclRevision {
                acl: kind,
                offset,
                found: header.revision,
            });
        }
        let size = usize::from(header.size.get());
        match bytes.get(size_of::<AclHeader>()..size) {
            Some(aces) => Ok(Self {
                kind,
                offset,
                count: header.count.get(),
                aces,
            }),
            None => Err(SecurityDescriptorError::AclSize {
                acl: kind,
                offset,
                size,
                left,
            }),
        }
    }

    /// Checks every ACE.
    pub(super) fn validate(self) -> Result<(), SecurityDescriptorError> {
        self.aces().try_for_each(|ace| ace.map(|_| ()))
    }

    /// The ACEs in order; stops after the first that is malformed.
    pub(super) fn aces(self) -> impl Iterator<Item = Result<Ace<'a>, SecurityDescriptorError>> {
        let (mut rest, mut index, mut failed) = (self.aces, 0, false);
        std::iter::from_fn(move || {
            if failed || index == self.count {
                return None;
            }
            let offset = self.offset + size_of::<AclHeader>() + (self.aces.len() - rest.len());
            let ace = read_ace(self.kind, index, offset, &mut rest);
            failed = ace.is_err();
            index += 1;
            Some(ace)
        })
    }
}

fn read_ace<'a>(
    acl: AclKind,
    index: u16,
    offset: usize,
    rest: &mut &'a [u8],
) -> Result<Ace<'a>, SecurityDescriptorError> {
    let left = rest.len();
    let bad_size = |size, least| SecurityDescriptorError::AceSize {
        acl,
        index,
        offset,
        size,
        least,
        left,
    };
    let head = size_of::<AceHeader>();
    let Ok((header, _)) = AceHeader::ref_from_prefix(rest) else {
        return Err(bad_size(head, head));
    };
    let size = usize::from(header.size.get());
    let (kind, flags) = (header.kind, header.flags);
    let body = match rest.get(head..size) {
        Some(body) if size % 4 == 0 => body,
        _ => return Err(bad_size(size, Shape::of(kind).least())),
    };
    *rest = rest.get(size..).unwrap_or_default();
    let ace = Ace { kind, flags, body };
    match ace.body() {
        Ok(_) => Ok(ace),
        Err(BodyError::Short { least }) => Err(bad_size(size, least)),
        Err(BodyError::Sid(source)) => Err(SecurityDescriptorError::AceSid {
            acl,
            index,
            offset,
            source,
        }),
    }
}
