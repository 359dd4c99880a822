//! Symbolic links and junctions: made by handle, read by handle, never followed.

use std::{
    io,
    os::windows::io::{AsHandle as _, OwnedHandle},
    path::PathBuf,
};

use windows_sys::{
    Wdk::Storage::FileSystem::{
        FILE_CREATE, FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE, FILE_OPEN_REPARSE_POINT,
    },
    Win32::Storage::FileSystem::{DELETE, FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES},
};
use winlayer_metadata::ReparsePoint;

use super::{
    Dir, EXAMINE, Result, info,
    nt::{self, Open, SHARE_ALL},
};
use crate::{FileKind, SysError};

impl Dir {
    /// Creates a symbolic link to a file, with `/` of the text as `\`. Nothing of the name `path` may
    /// exist.
    ///
    /// Fails where the file system has no links, and without the privilege to create them
    /// ([`SysError::is_unsupported`]); nothing is left behind then.
    pub fn symlink(&self, target: &str, path: &str) -> Result<()> {
        self.make_symlink(target, path, FILE_NON_DIRECTORY_FILE)
    }

    /// As [`Self::symlink`], for a link to a directory: Windows tells the two apart.
    pub fn symlink_to_directory(&self, target: &str, path: &str) -> Result<()> {
        self.make_symlink(target, path, FILE_DIRECTORY_FILE)
    }

    fn make_symlink(&self, target: &str, path: &str, kind: u32) -> Result<()> {
        const OPERATION: &str = "create symbolic link";
        let failed = |source| SysError::new(OPERATION, self.path(), path, source);
        let point = ReparsePoint::symlink(target)
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let open = Open {
            access: FILE_WRITE_ATTRIBUTES | FILE_READ_ATTRIBUTES | DELETE,
            share: SHARE_ALL,
            disposition: FILE_CREATE,
            options: kind | FILE_OPEN_REPARSE_POINT,
        };
        let object = self.open(OPERATION, path, open)?;
        info::set_reparse_point(object.as_handle(), &point).map_err(|source| {
            // What could not become a link must not stand there as something else.
            let _ = nt::remove(object.as_handle());
            failed(source)
        })
    }

    /// Where a symbolic link or junction leads, with `\` as `/` when that is relative.
    pub fn read_link(&self, path: &str) -> Result<PathBuf> {
        const OPERATION: &str = "read symbolic link";
        let object = self.open(OPERATION, path, EXAMINE)?;
        let failed = |source| SysError::new(OPERATION, self.path(), path, source);
        let point = info::reparse_point(object.as_handle()).map_err(failed)?;
        let target = point.target().ok_or_else(|| {
            failed(io::Error::new(
                io::ErrorKind::InvalidInput,
                "another kind of reparse point",
            ))
        })?;
        Ok(match point.is_relative() {
            true => target.replace('\\', "/").into(),
            false => target.into(),
        })
    }

    /// Whether `path` is a link, a junction or any other reparse point.
    pub fn is_reparse_point(&self, path: &str) -> Result<bool> {
        const OPERATION: &str = "examine";
        let object: OwnedHandle = self.open(OPERATION, path, EXAMINE)?;
        let kind = info::kind(object.as_handle())
            .map_err(|source| SysError::new(OPERATION, self.path(), path, source))?;
        Ok(matches!(kind, FileKind::Symlink | FileKind::Other))
    }
}
