//! The two names of symbolic links and mount points.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{ReparseError, ReparseTag};
use crate::Upcase;
use crate::text::{decode_utf16le, excerpt, push_utf16le};

/// Where the names of a link are, at the start of its data (MS-FSCC 2.1.2.4 and 2.1.2.5). Offsets and lengths are in bytes,
/// even, relative to the end of this structure (for a symbolic link, of the flags after it); lengths leave out the NUL.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct NamePlaces {
    /// Offset 0: where the substitute name starts.
    substitute_offset: U16,
    /// Offset 2: its length.
    substitute_len: U16,
    /// Offset 4: where the print name starts.
    print_offset: U16,
    /// Offset 6: its length.
    print_len: U16,
}
const _: () = assert!(size_of::<NamePlaces>() == 8);

/// `SYMLINK_FLAG_RELATIVE`.
const RELATIVE: u32 = 1;
/// Prefix of the substitute name of an absolute target.
const NT_PREFIX: &str = r"\??\";

/// The two link forms that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Symlink,
    MountPoint,
}

impl Form {
    pub(super) fn of(tag: ReparseTag) -> Option<Self> {
        match tag {
            ReparseTag::SYMLINK => Some(Self::Symlink),
            ReparseTag::MOUNT_POINT => Some(Self::MountPoint),
            _ => None,
        }
    }

    pub(super) fn tag(self) -> ReparseTag {
        match self {
            Self::Symlink => ReparseTag::SYMLINK,
            Self::MountPoint => ReparseTag::MOUNT_POINT,
        }
    }
}

/// What the data of a link says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LinkNames {
    pub(super) substitute: String,
    pub(super) print: String,
    /// Always false for a mount point.
    pub(super) relative: bool,
}

impl LinkNames {
    /// The names of a new link. `target` has no forward slashes.
    pub(super) fn for_target(form: Form, target: &str) -> Result<Self, ReparseError> {
        if target.is_empty() {
            return Err(ReparseError::EmptyTarget);
        }
        if target.contains('\0') {
            return Err(ReparseError::NulInTarget {
                target: excerpt(target),
            });
        }
        let (substitute, relative) = substitute_for(target);
        if relative && form == Form::MountPoint {
            return Err(ReparseError::RelativeMountPoint {
                target: excerpt(target),
            });
        }
        Ok(Self {
            substitute,
            print: target.to_owned(),
            relative,
        })
    }

    /// The data of a link: both names with a NUL after each, which Windows wants although the names are counted.
    pub(super) fn encode(&self, form: Form) -> Vec<u8> {
        let bytes_of = |name: &str| 2 * name.encode_utf16().count();
        let (substitute_len, print_len) = (bytes_of(&self.substitute), bytes_of(&self.print));
        // Names too long for the fields make a buffer the caller refuses by its length.
        let field = |value: usize| U16::new(u16::try_from(value).unwrap_or(u16::MAX));
        let places = NamePlaces {
            substitute_offset: U16::ZERO,
            substitute_len: field(substitute_len),
            print_offset: field(substitute_len + 2),
            print_len: field(print_len),
        };
        let mut data = places.as_bytes().to_vec();
        if form == Form::Symlink {
            data.extend_from_slice(U32::new(if self.relative { RELATIVE } else { 0 }).as_bytes());
        }
        for name in [&self.substitute, &self.print] {
            push_utf16le(name, &mut data);
            data.extend_from_slice(&[0, 0]);
        }
        data
    }

    /// Reads the data of a link.
    pub(super) fn parse(form: Form, data: &[u8]) -> Result<Self, ReparseError> {
        let head = size_of::<NamePlaces>()
            + if form == Form::Symlink {
                size_of::<U32>()
            } else {
                0
            };
        let short = || ReparseError::Length {
            tag: form.tag(),
            expected: form.tag().data_offset() + head,
            found: form.tag().data_offset() + data.len(),
        };
        let (places, mut paths) = NamePlaces::ref_from_prefix(data).map_err(|_| short())?;
        let mut flags = 0;
        if form == Form::Symlink {
            let (word, rest) = U32::ref_from_prefix(paths).map_err(|_| short())?;
            (flags, paths) = (word.get(), rest);
        }
        Ok(Self {
            substitute: name_at(
                paths,
                "substitute",
                places.substitute_offset,
                places.substitute_len,
            )?,
            print: name_at(paths, "print", places.print_offset, places.print_len)?,
            relative: flags & RELATIVE != 0,
        })
    }

    /// The target as a user writes it.
    pub(super) fn target(self) -> Result<String, ReparseError> {
        match (self.print.is_empty(), self.substitute.is_empty()) {
            (false, _) => Ok(self.print),
            (true, false) => Ok(target_of(&self.substitute)),
            (true, true) => Err(ReparseError::EmptyTarget),
        }
    }

    /// Whether the print name alone would give the same link.
    pub(super) fn agree(&self, form: Form) -> bool {
        let derived;
        let target = if self.print.is_empty() {
            derived = target_of(&self.substitute);
            &derived
        } else {
            &self.print
        };
        let (substitute, relative) = substitute_for(target);
        // A mount point has no flag; a relative one leads nowhere and cannot be made again.
        let same_kind = match form {
            Form::Symlink => relative == self.relative,
            Form::MountPoint => !relative,
        };
        same_kind && Upcase::eq(&substitute, &self.substitute)
    }
}

/// The substitute name of a target, and whether it is relative (go-winio reparse.go `EncodeReparsePoint`).
fn substitute_for(target: &str) -> (String, bool) {
    if let Some(rest) = target.strip_prefix(r"\\?\") {
        (format!("{NT_PREFIX}{rest}"), false)
    } else if let Some(rest) = target.strip_prefix(r"\\") {
        (format!(r"{NT_PREFIX}UNC\{rest}"), false)
    } else if has_drive(target) {
        (format!("{NT_PREFIX}{target}"), false)
    } else {
        (target.to_owned(), true)
    }
}

/// The target a substitute name stands for: the reverse of [`substitute_for`].
fn target_of(substitute: &str) -> String {
    match substitute.strip_prefix(NT_PREFIX) {
        None => substitute.to_owned(),
        Some(rest) if has_drive(rest) => rest.to_owned(),
        Some(rest) => match rest.split_at_checked(4) {
            Some((unc, share))
                if unc.eq_ignore_ascii_case(r"UNC\") && !share.starts_with(r"?\") =>
            {
                format!(r"\\{share}")
            }
            _ => format!(r"\\?\{rest}"),
        },
    }
}

fn has_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

fn name_at(
    paths: &[u8],
    name: &'static str,
    offset: U16,
    len: U16,
) -> Result<String, ReparseError> {
    let (offset, len) = (usize::from(offset.get()), usize::from(len.get()));
    let bytes = paths
        .get(offset..offset + len)
        .filter(|_| offset % 2 == 0 && len % 2 == 0)
        .ok_or(ReparseError::NameOutOfRange {
            name,
            offset,
            len,
            path_len: paths.len(),
        })?;
    decode_utf16le(bytes)
        .filter(|text| !text.contains('\0'))
        .ok_or(ReparseError::NotText { name })
}
