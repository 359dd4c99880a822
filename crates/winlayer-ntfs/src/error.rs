//! The crate's error.

use std::{fmt, io};

/// Where on a volume something is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The volume's first sector.
    BootSector,
    /// A file record, by its number.
    Record(u64),
    /// An attribute of a file record.
    Attribute {
        /// The base record's number.
        record: u64,
        /// Such as `$DATA` or `$INDEX_ALLOCATION:$I30`.
        attribute: String,
    },
    /// A byte of the volume.
    Offset(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootSector => f.write_str("the boot sector"),
            Self::Record(number) => write!(f, "file record {number}"),
            Self::Attribute { record, attribute } => {
                write!(f, "{attribute} of file record {record}")
            }
            Self::Offset(offset) => write!(f, "byte {offset:#x} of the volume"),
        }
    }
}

/// Why a volume cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NtfsError {
    /// The device below the volume failed.
    #[error("cannot {what} the volume")]
    Io {
        /// `read` or `write`.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no NTFS volume.
    #[error("not an NTFS volume: {expected} expected in the boot sector, found {found}")]
    NotNtfs {
        /// What a volume has there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A kind of volume, or a thing on it, that this crate does not handle.
    #[error("{place}: {what} is not supported")]
    Unsupported {
        /// Where.
        place: Place,
        /// What.
        what: String,
    },
    /// A structure breaks the rules of the format.
    #[error("damaged volume: {place}: expected {expected}, found {found}")]
    Damaged {
        /// Where.
        place: Place,
        /// The rule.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The volume has no room left.
    #[error("the volume of {size} bytes is full: {needed} bytes more are needed; make it larger")]
    Full {
        /// Bytes of the volume.
        size: u64,
        /// Bytes that did not fit.
        needed: u64,
    },
    /// A size that no volume can have.
    #[error("a volume of {size} bytes cannot be made: {rule}")]
    Size {
        /// Bytes asked for.
        size: u64,
        /// The rule.
        rule: &'static str,
    },
    /// A name that NTFS or Windows cannot have.
    #[error("\"{name}\" cannot be a name: {rule}")]
    Name {
        /// The name.
        name: String,
        /// The rule.
        rule: &'static str,
    },
    /// Two names of one directory that Windows cannot tell apart.
    #[error("\"{first}\" and \"{second}\" are in one directory and differ only in case")]
    Collision {
        /// One spelling.
        first: String,
        /// The other.
        second: String,
    },
    /// A file would get more names than Windows allows.
    #[error("\"{name}\" would be hard link {count} of its file, Windows allows {limit}")]
    TooManyLinks {
        /// The name.
        name: String,
        /// Its number.
        count: u32,
        /// The most there may be.
        limit: u32,
    },
    /// An object was used for what it is not, or does not fit the format.
    #[error("{what}: {rule}")]
    Refused {
        /// The object or the call.
        what: String,
        /// The rule.
        rule: String,
    },
}

/// What this crate returns.
pub type Result<T, E = NtfsError> = std::result::Result<T, E>;

impl NtfsError {
    pub(crate) fn read(source: io::Error) -> Self {
        let what = "read";
        Self::Io { what, source }
    }

    pub(crate) fn write(source: io::Error) -> Self {
        let what = "write";
        Self::Io { what, source }
    }

    pub(crate) fn damaged(
        place: Place,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let (expected, found) = (expected.into(), found.into());
        Self::Damaged {
            place,
            expected,
            found,
        }
    }
}
