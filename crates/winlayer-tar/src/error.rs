//! [`TarError`]: which entry, what was expected, what was found.

use std::fmt;
use std::io;

use winlayer_metadata::{EaError, ReparseError, SddlError, SecurityDescriptorError};

use crate::path::PathError;

/// What a [`TarError`] means to a caller that has to choose an exit code or a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TarErrorKind {
    /// Not a layer tar, or truncated, corrupt or ambiguous.
    Malformed,
    /// Well formed, but dangerous to apply.
    Unsafe,
    /// Over one of the [`Limits`](crate::Limits).
    Limit,
    /// The blob could not be read; the cause is the error of its reader.
    Io,
}

/// Why a layer tar was refused.
///
/// `Display` names the entry by its number (from 1) and its escaped name, then what is wrong. The
/// cause, if there is one, is in [`source`](std::error::Error::source); for
/// [`TarErrorKind::Io`] that is the very error the blob's reader returned.
#[derive(Debug)]
pub struct TarError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    number: u64,
    entry: Option<String>,
    fault: Fault,
}

impl TarError {
    pub(crate) fn new(number: u64, name: &[u8], fault: Fault) -> Self {
        let entry = (!name.is_empty()).then(|| printable(name));
        Self(Box::new(Inner {
            number,
            entry,
            fault,
        }))
    }

    /// What the error means.
    pub fn kind(&self) -> TarErrorKind {
        self.0.fault.kind()
    }

    /// The entry's name as the tar spells it, control characters escaped and cut to 200
    /// characters; `None` when the error came before a name was known.
    pub fn entry(&self) -> Option<&str> {
        self.0.entry.as_deref()
    }

    /// The entry's position in the archive, counted from 1; 0 when no entry was begun.
    pub fn entry_number(&self) -> u64 {
        self.0.number
    }
}

impl fmt::Display for TarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            number,
            entry,
            fault,
        } = &*self.0;
        match (number, entry) {
            (0, None) => {}
            (_, None) => write!(f, "entry {number}: ")?,
            (_, Some(name)) => write!(f, "entry {number} ({name}): ")?,
        }
        fault.fmt(f)
    }
}

impl std::error::Error for TarError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.fault)
    }
}

/// One variant per rule broken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("reading the layer failed")]
    Io(#[source] io::Error),
    #[error("{0}")]
    Stream(StreamFault, #[source] Option<io::Error>),
    #[error("the archive ends inside {0}: the layer is truncated")]
    Truncated(&'static str),
    #[error("header checksum is {found}, expected {expected}: the layer is corrupt or not a tar")]
    Checksum { expected: u64, found: u64 },
    #[error("header has magic \"{found}\", expected ustar of POSIX or GNU")]
    Magic { found: String },
    #[error("header field {field} is \"{found}\", expected {expected}")]
    Number {
        field: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("header mixes GNU magic with the ustar prefix field, which readers take differently")]
    GnuPrefix,
    #[error("header is of the star dialect, which readers take differently; write POSIX pax")]
    Star,
    #[error("type flag '{}' is not allowed in a layer, expected file, directory, link or hard link", .0.escape_ascii())]
    TypeFlag(u8),
    #[error("sparse entries are not allowed in a layer ({0}); write the file in full")]
    Sparse(String),
    #[error("a zero block is followed by data: the end of the archive is ambiguous")]
    ZeroBlock,
    #[error("data follows the end marker: a second archive or garbage is appended to the layer")]
    Trailing,
    #[error("{what} of {size} bytes is over the limit of {limit}")]
    ExtensionSize {
        what: &'static str,
        size: u64,
        limit: u64,
    },
    #[error("extended header record at byte {offset}: {problem}")]
    PaxRecord {
        offset: usize,
        problem: &'static str,
    },
    #[error("extended header names {0} twice")]
    PaxDuplicate(String),
    #[error("extended header record {key} is \"{found}\", expected {expected}")]
    PaxValue {
        key: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("global extended header sets {0}, which may only be set for one entry")]
    GlobalKey(String),
    #[error("{0} is not followed by the entry it describes")]
    Dangling(&'static str),
    #[error("{0} comes twice for one entry")]
    Repeated(&'static str),
    #[error(
        "POSIX and GNU extension headers describe the same entry, readers differ in which one wins"
    )]
    Mixed,
    #[error("long name record is not one name ended by one NUL")]
    LongName,
    #[error("{kind} announces {size} bytes of data, expected none")]
    UnexpectedData { kind: &'static str, size: u64 },
    #[error("the {0} is not UTF-8")]
    NotUtf8(&'static str),
    #[error("the name is empty")]
    EmptyName,
    #[error("a name that ends in '/' belongs to a {0}, expected a directory")]
    TrailingSlash(&'static str),
    #[error("unsafe name")]
    Path(#[source] PathError),
    #[error("unsafe hard-link target \"{target}\"")]
    LinkTarget {
        target: String,
        #[source]
        source: PathError,
    },
    #[error(
        "hard link must lead from and to a file below Files or UtilityVM/Files, found target \"{0}\""
    )]
    LinkPlace(String),
    #[error("hard link leads to itself")]
    SelfLink,
    #[error("security descriptor in {key} is not valid base64")]
    Base64 {
        key: String,
        #[source]
        source: base64::DecodeError,
    },
    #[error("invalid security descriptor in MSWINDOWS.rawsd")]
    Security(#[source] SecurityDescriptorError),
    #[error("invalid security descriptor in MSWINDOWS.sd")]
    Sddl(#[source] SddlError),
    #[error("invalid extended attributes in MSWINDOWS.xattr")]
    Attributes(#[source] EaError),
    #[error("invalid link target")]
    Reparse(#[source] ReparseError),
    #[error("attributes {attributes:#x} contradict the entry: {problem}")]
    AttributeConflict {
        attributes: u32,
        problem: &'static str,
    },
    #[error("MSWINDOWS.mountpoint on a {0}, expected only on links")]
    MountPoint(&'static str),
    #[error("stream name is {0}")]
    StreamName(&'static str),
    #[error("stream does not directly follow the file or directory it belongs to")]
    OrphanStream,
    #[error("stream \"{0}\" comes twice for one object")]
    DuplicateStream(String),
    #[error("{0}")]
    Structure(&'static str),
    #[error("the directory {0} must come first (invalid UtilityVM layer)")]
    UtilityVm(&'static str),
    #[error("the layer has no directory Files, which a base layer must have")]
    NoFiles,
    #[error("whiteout {0}")]
    Whiteout(&'static str),
    #[error("more than {limit} {what}")]
    TooMany { what: &'static str, limit: u64 },
    #[error("path has {units} UTF-16 units, the limit is {limit}")]
    PathTooLong { units: usize, limit: usize },
    #[error("reading stopped at an earlier error")]
    Stopped(TarErrorKind),
}

impl Fault {
    fn kind(&self) -> TarErrorKind {
        match self {
            Self::Io(_) => TarErrorKind::Io,
            Self::Stopped(kind) => *kind,
            Self::Stream(StreamFault::TooLarge { .. } | StreamFault::Window, _)
            | Self::ExtensionSize { .. }
            | Self::TooMany { .. }
            | Self::PathTooLong { .. } => TarErrorKind::Limit,
            Self::Path(_)
            | Self::LinkTarget { .. }
            | Self::LinkPlace(_)
            | Self::SelfLink
            | Self::StreamName(_)
            | Self::OrphanStream
            | Self::DuplicateStream(_)
            | Self::Structure(_)
            | Self::Whiteout(_)
            | Self::TypeFlag(_)
            | Self::Reparse(_)
            | Self::AttributeConflict { .. }
            | Self::MountPoint(_) => TarErrorKind::Unsafe,
            _ => TarErrorKind::Malformed,
        }
    }
}

impl From<io::Error> for Fault {
    /// Tells what went wrong inside the stream from a reader that failed.
    fn from(error: io::Error) -> Self {
        match error.downcast::<StreamError>() {
            Ok(stream) => Self::Stream(stream.fault, stream.cause),
            Err(error) => Self::Io(error),
        }
    }
}

/// What can be wrong with the bytes of a blob before anybody looks for a tar in them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamFault {
    #[error("the {0} stream is truncated")]
    Truncated(&'static str),
    #[error("the {0} stream is corrupt")]
    Corrupt(&'static str),
    #[error("the archive ends inside a file body: the layer is truncated")]
    Body,
    #[error("the zstd window is larger than the limit set for it")]
    Window,
    #[error("the layer unpacks to more than the limit of {limit} bytes")]
    TooLarge { limit: u64 },
}

/// Carries a [`StreamFault`] through the `io::Error` of `Read` and `BufRead`.
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
pub(crate) struct StreamError {
    pub(crate) fault: StreamFault,
    #[source]
    pub(crate) cause: Option<io::Error>,
}

impl StreamError {
    pub(crate) fn into_io(self) -> io::Error {
        let kind = match self.fault {
            StreamFault::Truncated(_) | StreamFault::Body => io::ErrorKind::UnexpectedEof,
            StreamFault::Corrupt(_) => io::ErrorKind::InvalidData,
            StreamFault::TooLarge { .. } | StreamFault::Window => io::ErrorKind::FileTooLarge,
        };
        io::Error::new(kind, self)
    }
}

impl From<StreamFault> for io::Error {
    fn from(fault: StreamFault) -> Self {
        StreamError { fault, cause: None }.into_io()
    }
}

/// A name fit for a terminal: at most 200 characters; control and direction-changing characters
/// and bytes that are not UTF-8 escaped.
pub(crate) fn printable(name: &[u8]) -> String {
    const LIMIT: usize = 200;
    let mut text = String::new();
    let mut count = 0;
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            if count == LIMIT {
                text.push('…');
                return text;
            }
            count += 1;
            if alters_terminal(character) {
                text.extend(character.escape_unicode());
            } else {
                text.push(character);
            }
        }
        text.extend(
            chunk
                .invalid()
                .iter()
                .flat_map(|&byte| std::ascii::escape_default(byte))
                .map(char::from),
        );
        count += chunk.invalid().len();
    }
    text
}

fn alters_terminal(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
