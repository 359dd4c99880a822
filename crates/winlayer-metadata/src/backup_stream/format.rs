//! The record header.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Head of a record (MS-BKUP 2.2.1). The name follows, then the payload; nothing is aligned.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RecordHeader {
    /// Offset 0: see [`StreamId`].
    pub(super) id: U32,
    /// Offset 4: see the constants of [`StreamHeader`].
    pub(super) attributes: U32,
    /// Offset 8: bytes of the payload, a signed number; for a sparse block with its eight bytes of offset.
    pub(super) size: U64,
    /// Offset 16: bytes of the UTF-16LE name, without NUL.
    pub(super) name_size: U32,
}
const _: () = assert!(size_of::<RecordHeader>() == 20);

/// Bytes of file offset at the start of the payload of a sparse block.
pub(super) const SPARSE_OFFSET_LEN: u64 = 8;
/// Largest number a LARGE_INTEGER holds.
pub(super) const MAX_SIZE: u64 = i64::MAX as u64;

/// What the payload of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamId {
    /// 1: the content of the file.
    Data,
    /// 2: extended attributes, see [`ExtendedAttributes`](crate::ExtendedAttributes).
    EaData,
    /// 3: a security descriptor, see [`SecurityDescriptor`](crate::SecurityDescriptor).
    SecurityData,
    /// 4: the content of an alternate stream; the record is named.
    AlternateData,
    /// 5: hard-link information.
    Link,
    /// 6: properties.
    PropertyData,
    /// 7: the object id of the file.
    ObjectId,
    /// 8: a reparse buffer, see [`ReparsePoint`](crate::ReparsePoint).
    ReparseData,
    /// 9: a range of the content of a sparse file.
    SparseBlock,
    /// 10: transaction data.
    TxfsData,
    /// Any other number; such records can be read and skipped like the rest.
    Other(u32),
}

impl StreamId {
    /// From the number in the record.
    pub const fn from_raw(raw: u32) -> Self {
        match raw {
            1 => Self::Data,
            2 => Self::EaData,
            3 => Self::SecurityData,
            4 => Self::AlternateData,
            5 => Self::Link,
            6 => Self::PropertyData,
            7 => Self::ObjectId,
            8 => Self::ReparseData,
            9 => Self::SparseBlock,
            10 => Self::TxfsData,
            other => Self::Other(other),
        }
    }

    /// The number in the record.
    pub const fn raw(self) -> u32 {
        match self {
            Self::Data => 1,
            Self::EaData => 2,
            Self::SecurityData => 3,
            Self::AlternateData => 4,
            Self::Link => 5,
            Self::PropertyData => 6,
            Self::ObjectId => 7,
            Self::ReparseData => 8,
            Self::SparseBlock => 9,
            Self::TxfsData => 10,
            Self::Other(raw) => raw,
        }
    }
}

/// What a record says before its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHeader {
    /// What the payload is.
    pub id: StreamId,
    /// `STREAM_*` bits; tars are turned into records with 0.
    pub attributes: u32,
    /// Bytes of the payload; for a sparse block without the eight bytes of its offset.
    pub size: u64,
    /// `:stream:$DATA` for a named stream, else empty.
    pub name: String,
    /// Where the payload of a sparse block belongs in the file, in bytes; 0 for any other record.
    pub sparse_offset: u64,
}

impl StreamHeader {
    /// Attribute: the content may change while it is read.
    pub const MODIFIED_WHEN_READ: u32 = 0x1;
    /// Attribute: the payload is security information.
    pub const CONTAINS_SECURITY: u32 = 0x2;
    /// Attribute: the payload is properties.
    pub const CONTAINS_PROPERTIES: u32 = 0x4;
    /// Attribute: the stream is sparse, sparse blocks may follow.
    pub const SPARSE: u32 = 0x8;
    /// Attribute: the payload is ghosted file extents.
    pub const CONTAINS_GHOSTED_FILE_EXTENTS: u32 = 0x10;

    /// A header without attributes and name.
    pub const fn new(id: StreamId, size: u64) -> Self {
        Self {
            id,
            attributes: 0,
            size,
            name: String::new(),
            sparse_offset: 0,
        }
    }

    /// Whether the stream is marked as sparse.
    pub const fn is_sparse(&self) -> bool {
        self.attributes & Self::SPARSE != 0
    }

    /// The name between the colons of `:stream:$DATA`; `None` when the record is named otherwise or not at all.
    pub fn stream_name(&self) -> Option<&str> {
        let (stream, kind) = self.name.strip_prefix(':')?.split_once(':')?;
        (kind.eq_ignore_ascii_case("$DATA") && !stream.is_empty()).then_some(stream)
    }
}
