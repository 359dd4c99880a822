//! What can be wrong with a backup stream.

use std::io;

use super::format::StreamHeader;

/// A backup stream cannot be read. Positions are in bytes from its start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupStreamError {
    /// The source failed.
    #[error("reading a backup stream at position {position}")]
    Io {
        /// Where.
        position: u64,
        /// Why.
        source: io::Error,
    },
    /// The stream ends inside a record.
    #[error("backup stream ends at position {position}, {missing} bytes before the end of {part}")]
    Truncated {
        /// Where it ends.
        position: u64,
        /// Bytes missing.
        missing: u64,
        /// `"a record header"`, `"a record name"`, `"a sparse block offset"` or `"a record payload"`.
        part: &'static str,
    },
    /// The name of a record is cut through a character.
    #[error(
        "backup stream record at position {position} has a name of {size} bytes, expected an even number"
    )]
    OddNameSize {
        /// Where the record starts.
        position: u64,
        /// Bytes of the name.
        size: u32,
    },
    /// The name of a record is longer than 64 KiB.
    #[error(
        "backup stream record at position {position} has a name of {size} bytes, at most 65536 are accepted"
    )]
    NameTooLong {
        /// Where the record starts.
        position: u64,
        /// Bytes of the name.
        size: u32,
    },
    /// The name of a record is not text.
    #[error(
        "backup stream record at position {position} has a name that is not valid UTF-16 without NUL"
    )]
    BadName {
        /// Where the record starts.
        position: u64,
    },
    /// The size of a record is negative.
    #[error("backup stream record at position {position} has size {size:#x}, which is negative")]
    NegativeSize {
        /// Where the record starts.
        position: u64,
        /// The size as an unsigned number.
        size: u64,
    },
    /// A sparse block has no room for its offset.
    #[error("sparse block at position {position} has size {size}, expected at least 8")]
    SparseSize {
        /// Where the record starts.
        position: u64,
        /// Its size with the offset.
        size: u64,
    },
    /// A sparse block leads outside any file.
    #[error(
        "sparse block at position {position} lies at file offset {offset:#x} with {size} bytes, beyond the largest file"
    )]
    SparseRange {
        /// Where the record starts.
        position: u64,
        /// Its offset in the file.
        offset: u64,
        /// Its bytes without the offset.
        size: u64,
    },
    /// Sparse blocks are not in order.
    #[error(
        "sparse block at file offset {offset} follows content up to {reached}; blocks must be in order"
    )]
    SparseBackwards {
        /// Offset of the block in the file.
        offset: u64,
        /// Bytes of the file already given.
        reached: u64,
    },
    /// Sparse blocks without the empty block that says how long the file is.
    #[error(
        "sparse blocks end at file offset {reached} without the empty block that gives the file size"
    )]
    SparseTerminator {
        /// Bytes of the file already given.
        reached: u64,
    },
    /// A sparse block after content that was already whole, or without a stream it belongs to.
    #[error("sparse block at file offset {offset} follows a stream that is already complete")]
    StraySparseBlock {
        /// Offset of the block in the file.
        offset: u64,
    },
}

/// A backup stream was written against its own announcements. Comes as the source of an [`io::Error`] of kind `InvalidInput`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupWriteError {
    /// A record got fewer bytes than announced.
    #[error("{missing} bytes of the current backup stream record were not written")]
    Short {
        /// Bytes still to come.
        missing: u64,
    },
    /// A record got more bytes than announced, or bytes came outside of any record.
    #[error("{given} bytes given to a backup stream record with room for {room}")]
    Long {
        /// Bytes given at once.
        given: usize,
        /// Bytes the record had left.
        room: u64,
    },
    /// A size or offset beyond the signed 64-bit range.
    #[error(
        "backup stream record of {size} bytes at file offset {offset} is beyond the largest file"
    )]
    TooLarge {
        /// Bytes announced.
        size: u64,
        /// Offset of a sparse block, else 0.
        offset: u64,
    },
    /// A stream name NTFS cannot hold.
    #[error(
        "\"{name}\" is not a stream name: expected 1 to 255 UTF-16 units without \\, /, : and NUL"
    )]
    BadStreamName {
        /// The name, escaped.
        name: String,
    },
    /// A record name that cannot be read back.
    #[error("\"{name}\" is not a record name: expected at most 32768 UTF-16 units without NUL")]
    BadRecordName {
        /// The name, escaped.
        name: String,
    },
    /// A record other than a sparse block with a sparse offset.
    #[error("a record of type {} cannot have a sparse offset", .header.id.raw())]
    SparseOffset {
        /// The record.
        header: StreamHeader,
    },
}

impl From<BackupWriteError> for io::Error {
    fn from(error: BackupWriteError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

impl From<BackupStreamError> for io::Error {
    /// Keeps the kind of an I/O error, `UnexpectedEof` for a truncated stream, `InvalidData` otherwise.
    fn from(error: BackupStreamError) -> Self {
        let kind = match &error {
            BackupStreamError::Io { source, .. } => source.kind(),
            BackupStreamError::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
