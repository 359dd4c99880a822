//! Strings and paths as Windows takes them.

use std::{
    ffi::{OsStr, OsString},
    os::windows::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use crate::{PlatformCode, PlatformError};

/// Win32 takes 259 units and a NUL of a path that has no `\\?\` in front, and 12 less of a directory's
/// (MS Learn "Maximum Path Length Limitation").
const LONGEST_PLAIN: usize = 247;

/// UTF-16 with a NUL at its end.
pub(super) fn wide(text: impl AsRef<OsStr>) -> Vec<u16> {
    text.as_ref().encode_wide().chain([0]).collect()
}

/// What stands before the first NUL.
pub(super) fn from_wide(units: &[u16]) -> OsString {
    let text = units.split(|unit| *unit == 0).next();
    OsString::from_wide(text.unwrap_or_default())
}

/// Absolute, with `\\?\` in front (hcsshim `longpath.go` `LongAbs`): `\\?\C:\a`, `\\?\UNC\server\share`.
/// Paths that begin with `\\?\` or `\\.\` stay as they are.
pub(super) fn verbatim(path: &Path) -> Result<PathBuf, PlatformError> {
    let path = absolute(path)?;
    let units: Vec<u16> = path.as_os_str().encode_wide().collect();
    if starts_with(&units, r"\\?\") || starts_with(&units, r"\\.\") {
        return Ok(path);
    }
    let (prefix, rest) = if starts_with(&units, r"\\") {
        (r"\\?\UNC\", units.get(2..))
    } else {
        (r"\\?\", Some(units.as_slice()))
    };
    let mut long = OsString::from(prefix);
    long.push(OsString::from_wide(rest.unwrap_or_default()));
    Ok(long.into())
}

/// Absolute, without `\\?\` as long as Win32 takes it so: the form every layer call is used with by
/// container engines.
pub(super) fn plain_if_short(path: &Path) -> Result<PathBuf, PlatformError> {
    let plain = plain(path)?;
    match plain.as_os_str().encode_wide().count() {
        0..=LONGEST_PLAIN => Ok(plain),
        _ => verbatim(path),
    }
}

/// Absolute and without `\\?\`.
///
/// # Errors
///
/// ERROR_BUFFER_OVERFLOW when it is too long for that.
pub(super) fn plain_only(call: &'static str, path: &Path) -> Result<PathBuf, PlatformError> {
    let plain = plain(path)?;
    match plain.as_os_str().encode_wide().count() {
        0..=LONGEST_PLAIN => Ok(plain),
        _ => Err(PlatformError::new(call, plain, PlatformCode::Win32(111))),
    }
}

fn plain(path: &Path) -> Result<PathBuf, PlatformError> {
    let path = absolute(path)?;
    let units: Vec<u16> = path.as_os_str().encode_wide().collect();
    let cut = |start: usize| OsString::from_wide(units.get(start..).unwrap_or_default());
    if starts_with(&units, r"\\?\UNC\") {
        let mut share = OsString::from(r"\\");
        share.push(cut(8));
        return Ok(share.into());
    }
    let drive = units.get(5) == Some(&u16::from(b':'));
    if starts_with(&units, r"\\?\") && drive {
        return Ok(cut(4).into());
    }
    Ok(path)
}

fn absolute(path: &Path) -> Result<PathBuf, PlatformError> {
    std::path::absolute(path).map_err(|source| {
        let code = source.raw_os_error().map_or(123, i32::cast_unsigned);
        PlatformError::new("GetFullPathNameW", path, PlatformCode::Win32(code))
    })
}

fn starts_with(units: &[u16], prefix: &str) -> bool {
    let start = units.get(..prefix.len());
    start.is_some_and(|start| start.iter().copied().eq(prefix.encode_utf16()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verbatim_path_is_absolute_and_prefixed_once() {
        for (path, long) in [
            (r"C:\a\b", r"\\?\C:\a\b"),
            (r"C:/a/./b/../c", r"\\?\C:\a\c"),
            (r"\\server\share\a", r"\\?\UNC\server\share\a"),
            (r"\\?\C:\a.", r"\\?\C:\a."),
            (r"\\?\Volume{0}\", r"\\?\Volume{0}\"),
            (r"\\.\PhysicalDrive0", r"\\.\PhysicalDrive0"),
        ] {
            assert_eq!(verbatim(Path::new(path)).unwrap(), Path::new(long));
        }
        let relative = verbatim(Path::new("a")).unwrap();
        let expected = std::env::current_dir().unwrap().join("a");
        assert!(
            relative
                .as_os_str()
                .to_str()
                .unwrap()
                .ends_with(expected.to_str().unwrap())
        );
    }

    #[test]
    fn a_prefix_is_taken_off_where_win32_can_do_without() {
        for (long, short) in [
            (r"\\?\C:\a\b", r"C:\a\b"),
            (r"\\?\UNC\server\share\a", r"\\server\share\a"),
            (r"\\?\Volume{0}\a", r"\\?\Volume{0}\a"),
            (r"C:\a", r"C:\a"),
        ] {
            assert_eq!(plain_if_short(Path::new(long)).unwrap(), Path::new(short));
        }
        // 247 units and 248.
        let longest = PathBuf::from(format!(r"C:\{}", "x".repeat(244)));
        assert_eq!(plain_if_short(&longest).unwrap(), longest);
        let longer = PathBuf::from(format!(r"C:\{}", "x".repeat(245)));
        assert_eq!(plain_if_short(&longer).unwrap(), verbatim(&longer).unwrap());
        assert_eq!(
            plain_only("ImportLayer", &longer).unwrap_err().win32(),
            Some(111)
        );
    }
}
