//! Flushing to stable storage.

use std::{
    fs::File,
    io,
    os::windows::{
        ffi::OsStringExt as _,
        io::{AsRawHandle as _, BorrowedHandle},
    },
};

use windows_sys::{
    Wdk::Storage::FileSystem::{FILE_NON_DIRECTORY_FILE, FILE_OPEN},
    Win32::{
        Foundation::{ERROR_ACCESS_DENIED, ERROR_INVALID_FUNCTION, ERROR_INVALID_HANDLE},
        Storage::FileSystem::{
            FILE_ADD_FILE, FILE_APPEND_DATA, GetFinalPathNameByHandleW, VOLUME_NAME_GUID,
        },
    },
};

use super::{
    Dir, OPEN_DIRECTORY, Result,
    nt::{self, Open, SHARE_ALL},
};
use crate::{FileKind, SysError};

const OPERATION: &str = "flush";

pub(super) fn sync_all(dir: &Dir) -> Result<()> {
    match flush_volume(dir.root()) {
        Ok(()) => Ok(()),
        // Only administrators may, and not every file system is a volume.
        Err(_) => sync_each(dir),
    }
}

/// Flushes the whole volume an open object is on.
fn flush_volume(object: BorrowedHandle<'_>) -> io::Result<()> {
    // "\\?\Volume{GUID}" and what follows of the path.
    const VOLUME_UNITS: usize = 48;
    let mut path = vec![0_u16; 32_768];
    // SAFETY: the buffer is as long as said and outlives the call.
    let length = unsafe {
        GetFinalPathNameByHandleW(
            object.as_raw_handle(),
            path.as_mut_ptr(),
            path.len() as u32,
            VOLUME_NAME_GUID,
        )
    };
    if length == 0 {
        return Err(io::Error::last_os_error());
    }
    let volume = path.get(..VOLUME_UNITS).unwrap_or_default();
    if volume.last() != Some(&u16::from(b'}')) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let volume = std::ffi::OsString::from_wide(volume);
    File::options()
        .read(true)
        .write(true)
        .open(volume)?
        .sync_all()
}

/// Flushes file by file.
pub(super) fn sync_each(dir: &Dir) -> Result<()> {
    let open_to_flush = Open {
        access: FILE_APPEND_DATA,
        share: SHARE_ALL,
        disposition: FILE_OPEN,
        options: FILE_NON_DIRECTORY_FILE,
    };
    let mut directories = vec![String::new()];
    while let Some(directory) = directories.pop() {
        for entry in dir.read_dir(&directory)? {
            let Some(name) = entry.name.to_str() else {
                let source =
                    io::Error::new(io::ErrorKind::InvalidData, "a name that is not UTF-16");
                return Err(SysError::new(OPERATION, dir.path(), &directory, source));
            };
            let path = if directory.is_empty() {
                name.to_owned()
            } else {
                format!("{directory}/{name}")
            };
            match entry.kind {
                FileKind::Directory => directories.push(path),
                FileKind::File => {
                    let file = dir.open(OPERATION, &path, open_to_flush)?;
                    File::from(file)
                        .sync_all()
                        .map_err(|source| SysError::new(OPERATION, dir.path(), &path, source))?;
                }
                FileKind::Symlink | FileKind::Other => {}
            }
        }
        sync_dir(dir, &directory)?;
    }
    Ok(())
}

pub(super) fn sync_dir(dir: &Dir, path: &str) -> Result<()> {
    const OPERATION: &str = "flush directory";
    dir.check(OPERATION, path, true)?;
    let open = Open {
        access: OPEN_DIRECTORY.access | FILE_ADD_FILE,
        ..OPEN_DIRECTORY
    };
    let directory = open
        .at(dir.root(), &nt::native_name(path))
        .map_err(|status| dir.failed(OPERATION, path, status))?;
    match File::from(directory).sync_all() {
        // A file system that cannot flush a directory keeps its names safe by itself.
        Err(error) if is_refusal(&error) => Ok(()),
        flushed => flushed.map_err(|source| SysError::new(OPERATION, dir.path(), path, source)),
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(i32::cast_unsigned),
        Some(ERROR_INVALID_FUNCTION | ERROR_INVALID_HANDLE | ERROR_ACCESS_DENIED)
    )
}
