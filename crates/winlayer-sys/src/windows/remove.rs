//! Removing objects, and whole directories.

use std::{
    io,
    os::windows::{
        ffi::OsStrExt as _,
        io::{AsHandle as _, BorrowedHandle, OwnedHandle},
    },
    sync::atomic::{AtomicU64, Ordering},
};

use windows_sys::{
    Wdk::Storage::FileSystem::{FILE_DIRECTORY_FILE, FILE_OPEN, FILE_OPEN_REPARSE_POINT},
    Win32::Storage::FileSystem::{
        DELETE, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_TRAVERSE, FILE_WRITE_ATTRIBUTES,
    },
};
use winlayer_metadata::FileAttributes;

use super::{
    info,
    nt::{self, Open, Removed, SHARE_ALL, Status},
};
use crate::FileKind;

/// For removing an object of any kind, a link itself included.
pub(super) const OPEN_TO_REMOVE: Open = Open {
    access: DELETE | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES,
    share: SHARE_ALL,
    disposition: FILE_OPEN,
    options: FILE_OPEN_REPARSE_POINT,
};

const OPEN_TO_EMPTY: Open = Open {
    access: OPEN_TO_REMOVE.access | FILE_LIST_DIRECTORY | FILE_TRAVERSE,
    options: OPEN_TO_REMOVE.options | FILE_DIRECTORY_FILE,
    ..OPEN_TO_REMOVE
};

#[derive(Debug)]
pub(super) enum Error {
    Nt(Status),
    Io(io::Error),
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Nt(status)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Removes an object opened with [`OPEN_TO_REMOVE`].
pub(super) fn remove_object(object: OwnedHandle) -> io::Result<()> {
    match nt::remove(object.as_handle())? {
        Removed::Yes => Ok(()),
        Removed::ReadOnly => remove_read_only(object.as_handle()),
        Removed::NotAtOnce => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Removes a file opened with [`OPEN_TO_REMOVE`] that lies in `parent`. Its name is free then, even
/// if others have it open and the system keeps it until they close it.
pub(super) fn remove_file(object: OwnedHandle, parent: BorrowedHandle<'_>) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if nt::remove_at_once(object.as_handle())? == Removed::Yes {
        return Ok(());
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let other_name = format!(".removed-{}-{count}", std::process::id());
    // Without this the name is taken until the last handle is closed, no more.
    let _ = nt::rename(
        object.as_handle(),
        parent,
        &nt::native_name(&other_name),
        false,
    );
    remove_object(object)
}

/// READONLY belongs to the file, not to the name: other names get it back.
fn remove_read_only(object: BorrowedHandle<'_>) -> io::Result<()> {
    let before = info::basic_info(object)?;
    let other_names = info::stat(object)?.links > 1;
    let only_attributes = |attributes| info::BasicInfo {
        attributes,
        ..info::BasicInfo::default()
    };
    let writable = match before.attributes.difference(FileAttributes::READONLY) {
        none if none.is_empty() => FileAttributes::NORMAL,
        rest => rest,
    };
    info::set_basic_info(object, &only_attributes(writable))?;
    let removed = nt::remove(object);
    if other_names || removed != Ok(Removed::Yes) {
        info::set_basic_info(object, &only_attributes(before.attributes))?;
    }
    match removed? {
        Removed::Yes => Ok(()),
        Removed::ReadOnly | Removed::NotAtOnce => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

/// Removes the directory `name` if it is empty; fine if there is none, or no directory.
pub(super) fn remove_empty_directory(parent: BorrowedHandle<'_>, name: &[u16]) -> io::Result<()> {
    match OPEN_TO_REMOVE.at(parent, name) {
        Ok(object) if info::kind(object.as_handle())? == FileKind::Directory => {
            remove_object(object)
        }
        Ok(_) => Ok(()),
        Err(status) if status.is_not_found() => Ok(()),
        Err(status) => Err(status.into()),
    }
}

struct Level {
    handle: OwnedHandle,
    subdirectories: Vec<Vec<u16>>,
}

/// Removes a file, a link or a directory with all its content, however deep. Nothing is done below a
/// link: it is told by the open handle, not by the name.
pub(super) fn remove_all(root: BorrowedHandle<'_>, name: &[u16]) -> Result<(), Error> {
    let mut levels: Vec<Level> = remove_or_empty(root, name)?.into_iter().collect();
    while let Some(current) = levels.last_mut() {
        match current.subdirectories.pop() {
            Some(name) => {
                let below = remove_or_empty(current.handle.as_handle(), &name)?;
                levels.extend(below);
            }
            None => {
                if let Some(done) = levels.pop() {
                    remove_object(done.handle)?;
                }
            }
        }
    }
    Ok(())
}

/// Removes anything but a directory. Of a directory it removes all but the directories in it, and
/// returns it. Removed by someone else meanwhile is as good as removed by us.
fn remove_or_empty(parent: BorrowedHandle<'_>, name: &[u16]) -> Result<Option<Level>, Error> {
    let object = match OPEN_TO_REMOVE.at(parent, name) {
        Ok(object) => object,
        Err(status) if status.is_not_found() || status.is_delete_pending() => return Ok(None),
        Err(status) => return Err(status.into()),
    };
    if info::kind(object.as_handle())? != FileKind::Directory {
        remove_object(object)?;
        return Ok(None);
    }
    drop(object);
    let handle = match OPEN_TO_EMPTY.at(parent, name) {
        Ok(handle) => handle,
        Err(status) if status.is_not_found() || status.is_delete_pending() => return Ok(None),
        Err(status) => return Err(status.into()),
    };
    let mut subdirectories = Vec::new();
    // Asked again of this handle: the name may mean a link by now.
    if info::kind(handle.as_handle())? == FileKind::Directory {
        for entry in info::list(handle.as_handle())? {
            let name: Vec<u16> = entry.name.encode_wide().collect();
            if entry.kind == FileKind::Directory {
                subdirectories.push(name);
            } else if let Some(level) = remove_or_empty(handle.as_handle(), &name)? {
                // Became a directory since it was listed: its turn comes.
                drop(level);
                subdirectories.push(name);
            }
        }
    }
    Ok(Some(Level {
        handle,
        subdirectories,
    }))
}
