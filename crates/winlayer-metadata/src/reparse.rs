//! Reparse points.

mod link;
mod tag;
#[cfg(test)]
mod tests;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use link::{Form, LinkNames};
pub use tag::ReparseTag;

/// Head of every `REPARSE_DATA_BUFFER` (MS-FSCC 2.1.2.2).
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct BufferHeader {
    /// Offset 0: what the data means.
    tag: U32,
    /// Offset 4: bytes of data, without this header and without the GUID of a tag that is not Microsoft's.
    data_len: U16,
    /// Offset 6: zero; kept as found.
    reserved: U16,
}
const _: () = assert!(size_of::<BufferHeader>() == 8);

const GUID_LEN: usize = 16;

/// A whole, well-formed `REPARSE_DATA_BUFFER`: header and data, at most 16384 bytes, kept verbatim.
///
/// Symbolic links and mount points (junctions) are understood, every other tag is opaque.
///
/// ```
/// use winlayer_metadata::{ReparsePoint, ReparseTag};
/// let junction = ReparsePoint::mount_point("C:/Users")?;
/// assert_eq!(junction.tag(), ReparseTag::MOUNT_POINT);
/// assert_eq!(junction.target(), Some(r"C:\Users"));
/// assert_eq!(junction.substitute_name().as_deref(), Some(r"\??\C:\Users"));
/// # Ok::<(), winlayer_metadata::ReparseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReparsePoint {
    buffer: Box<[u8]>,
    target: Option<Box<str>>,
}

/// What is wrong with a reparse buffer or a link target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReparseError {
    /// More than [`ReparsePoint::MAX_LEN`] bytes.
    #[error(
        "reparse buffer takes {len} bytes, at most {} are possible",
        ReparsePoint::MAX_LEN
    )]
    TooLong {
        /// Bytes of the buffer.
        len: usize,
    },
    /// The length field and the bytes at hand disagree.
    #[error("reparse buffer with tag {tag} needs {expected} bytes, found {found}")]
    Length {
        /// The tag, 0 when not even that is there.
        tag: ReparseTag,
        /// Bytes the buffer must have.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A tag Windows reserves and refuses (0 or 1).
    #[error("reparse tag {tag} is reserved")]
    ReservedTag {
        /// The tag.
        tag: ReparseTag,
    },
    /// A name of a link leads out of the buffer or is cut through a character.
    #[error(
        "{name} name of the link at {offset}+{len} is not whole UTF-16 units within the {path_len} bytes of names"
    )]
    NameOutOfRange {
        /// `"substitute"` or `"print"`.
        name: &'static str,
        /// Bytes from the start of the names.
        offset: usize,
        /// Bytes of the name.
        len: usize,
        /// Bytes of all names.
        path_len: usize,
    },
    /// A name of a link is not valid UTF-16, or holds a NUL.
    #[error("{name} name of the link is not valid UTF-16 without NUL")]
    NotText {
        /// `"substitute"` or `"print"`.
        name: &'static str,
    },
    /// A link without a target.
    #[error("the link has no target")]
    EmptyTarget,
    /// A link target holds a NUL.
    #[error("link target \"{target}\" contains NUL")]
    NulInTarget {
        /// The target, escaped.
        target: String,
    },
    /// A mount point whose target is not an absolute path.
    #[error(
        "mount point target \"{target}\" is relative, expected an absolute path such as C:\\dir"
    )]
    RelativeMountPoint {
        /// The target, escaped.
        target: String,
    },
}

impl ReparsePoint {
    /// Most bytes a buffer can have, header included (`MAXIMUM_REPARSE_DATA_BUFFER_SIZE`).
    pub const MAX_LEN: usize = 16_384;

    /// A symbolic link to `target`, in which `/` stands for `\`.
    ///
    /// The names follow go-winio's `EncodeReparsePoint`: `\\?\x` is substituted by `\??\x`, any other `\\x` by `\??\UNC\x`, and
    /// `C:x` by `\??\C:x`; everything else, including a path from the root of the drive, is relative and stays as it is.
    ///
    /// # Errors
    /// An empty target, a target with NUL, or one whose buffer would exceed [`MAX_LEN`](Self::MAX_LEN).
    pub fn symlink(target: &str) -> Result<Self, ReparseError> {
        Self::link(Form::Symlink, target)
    }

    /// A mount point (junction) to `target`, in which `/` stands for `\`; names as for [`symlink`](Self::symlink).
    ///
    /// # Errors
    /// As for [`symlink`](Self::symlink); and a relative target, which NTFS cannot follow.
    pub fn mount_point(target: &str) -> Result<Self, ReparseError> {
        Self::link(Form::MountPoint, target)
    }

    fn link(form: Form, target: &str) -> Result<Self, ReparseError> {
        let target = target.replace('/', r"\");
        let names = LinkNames::for_target(form, &target)?;
        let data = names.encode(form);
        let len = size_of::<BufferHeader>() + data.len();
        let too_long = || ReparseError::TooLong { len };
        if len > Self::MAX_LEN {
            return Err(too_long());
        }
        let header = BufferHeader {
            tag: U32::new(form.tag().0),
            data_len: U16::new(u16::try_from(data.len()).map_err(|_| too_long())?),
            reserved: U16::ZERO,
        };
        let buffer = [header.as_bytes(), &data].concat().into();
        Ok(Self {
            buffer,
            target: Some(target.into()),
        })
    }

    /// Checks a buffer as `REPARSE_DATA` records carry it; it must end where its length field says.
    ///
    /// # Errors
    /// Wrong lengths, reserved tags, and for links names outside the buffer, names that are not text, or no target.
    pub fn parse(buffer: &[u8]) -> Result<Self, ReparseError> {
        let found = buffer.len();
        if found > Self::MAX_LEN {
            return Err(ReparseError::TooLong { len: found });
        }
        let Ok((header, rest)) = BufferHeader::ref_from_prefix(buffer) else {
            return Err(ReparseError::Length {
                tag: ReparseTag(0),
                expected: size_of::<BufferHeader>(),
                found,
            });
        };
        let tag = ReparseTag(header.tag.get());
        let expected = tag.data_offset() + usize::from(header.data_len.get());
        if found != expected {
            return Err(ReparseError::Length {
                tag,
                expected,
                found,
            });
        }
        if tag.0 <= 1 {
            return Err(ReparseError::ReservedTag { tag });
        }
        let target = match Form::of(tag) {
            Some(form) => Some(LinkNames::parse(form, rest)?.target()?.into()),
            None => None,
        };
        Ok(Self {
            buffer: buffer.into(),
            target,
        })
    }

    /// The tag.
    pub fn tag(&self) -> ReparseTag {
        ReparseTag(
            BufferHeader::ref_from_prefix(&self.buffer).map_or(0, |(header, _)| header.tag.get()),
        )
    }

    /// The whole buffer: header, GUID if the tag is not Microsoft's, data.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// The bytes after the header, and after the GUID if there is one.
    pub fn data(&self) -> &[u8] {
        self.buffer
            .get(self.tag().data_offset()..)
            .unwrap_or_default()
    }

    /// The GUID of a tag that is not Microsoft's, as stored (mixed-endian).
    pub fn guid(&self) -> Option<&[u8]> {
        let end = self.tag().data_offset();
        self.buffer
            .get(size_of::<BufferHeader>()..end)
            .filter(|guid| !guid.is_empty())
    }

    /// Where a link leads, as a user writes it: the print name, or the substitute name without its NT prefix when the print
    /// name is empty. `None` for other tags.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Where a link leads, as the kernel reads it. `None` for other tags.
    pub fn substitute_name(&self) -> Option<String> {
        self.names().map(|names| names.substitute)
    }

    /// The name of the target kept for display; may be empty. `None` for other tags.
    pub fn print_name(&self) -> Option<String> {
        self.names().map(|names| names.print)
    }

    /// Whether a symbolic link is marked as relative to its own directory. Mount points and other tags never are.
    pub fn is_relative(&self) -> bool {
        self.names().is_some_and(|names| names.relative)
    }

    /// Whether a link built from [`target`](Self::target) would lead where this one leads. A buffer whose print name says
    /// something else than the kernel follows does not survive a tar, which carries the target only. True for other tags.
    pub fn names_agree(&self) -> bool {
        self.names()
            .zip(Form::of(self.tag()))
            .is_none_or(|(names, form)| names.agree(form))
    }

    fn names(&self) -> Option<LinkNames> {
        LinkNames::parse(Form::of(self.tag())?, self.data()).ok()
    }
}
