//! Listing a directory, and removing a whole one.

use std::{
    ffi::{CString, OsStr},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
};

use rustix::{
    fs::{AtFlags, FileType},
    io::{Errno, retry_on_intr},
};

use super::{
    kind_from,
    resolve::{Access, open_component},
};
use crate::{DirEntry, FileKind};

/// The names in an open directory, unsorted, without `.` and `..`.
pub(super) fn list(handle: OwnedFd) -> rustix::io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    let mut names = rustix::fs::Dir::new(handle)?;
    while let Some(entry) = names.read() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let mut file_type = entry.file_type();
        if file_type == FileType::Unknown {
            match rustix::fs::statat(names.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => file_type = FileType::from_raw_mode(stat.st_mode),
                // Removed since it was listed.
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno),
            }
        }
        let name = OsStr::from_bytes(name.to_bytes()).to_owned();
        entries.push(DirEntry {
            name,
            kind: kind_from(file_type),
        });
    }
    Ok(entries)
}

/// How many directories deep handles are kept open. What lies deeper is moved up first.
const OPEN_LEVELS: usize = 64;

struct Level {
    name: CString,
    handle: OwnedFd,
    subdirectories: Vec<CString>,
}

/// Removes a file, a link or a directory with all its content, however deep.
pub(super) fn remove_all(parent: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    if remove_non_directory(parent, &name)? {
        return Ok(());
    }
    let mut moved = 0_u64;
    let mut levels = vec![empty_of_files(parent, name)?];
    while let Some(current) = levels.last_mut() {
        let Some(name) = current.subdirectories.pop() else {
            let Some(done) = levels.pop() else { break };
            let parent = levels.last().map_or(parent, |above| above.handle.as_fd());
            drop(done.handle);
            gone(retry_on_intr(|| {
                rustix::fs::unlinkat(parent, &done.name, AtFlags::REMOVEDIR)
            }))?;
            continue;
        };
        if levels.len() < OPEN_LEVELS {
            let below = levels.last().map_or(parent, |level| level.handle.as_fd());
            let level = gone(empty_of_files(below, name))?;
            levels.extend(level);
        } else {
            move_to_top(&mut levels, &name, &mut moved)?;
        }
    }
    Ok(())
}

/// Removed by someone else meanwhile is as good as removed by us.
fn gone<T>(result: rustix::io::Result<T>) -> rustix::io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Opens a directory and removes all but the directories in it.
fn empty_of_files(parent: BorrowedFd<'_>, name: CString) -> rustix::io::Result<Level> {
    let handle = open_component(parent, name.as_c_str(), Access::List)?;
    let mut subdirectories = Vec::new();
    // A second handle, for reading a directory uses up the first one's position.
    for entry in list(open_component(handle.as_fd(), ".", Access::List)?)? {
        let name = CString::new(entry.name.as_bytes()).map_err(|_| Errno::INVAL)?;
        let removed = entry.kind != FileKind::Directory
            && gone(remove_non_directory(handle.as_fd(), &name))?.unwrap_or(true);
        if !removed {
            subdirectories.push(name);
        }
    }
    Ok(Level {
        name,
        handle,
        subdirectories,
    })
}

/// Removes anything but a directory; false if it is one.
fn remove_non_directory(parent: BorrowedFd<'_>, name: &CString) -> rustix::io::Result<bool> {
    match retry_on_intr(|| rustix::fs::unlinkat(parent, name, AtFlags::empty())) {
        Ok(()) => Ok(true),
        // Linux says ISDIR of a directory, POSIX PERM.
        Err(refused @ (Errno::ISDIR | Errno::PERM)) => {
            let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                Ok(false)
            } else {
                Err(refused)
            }
        }
        Err(errno) => Err(errno),
    }
}

/// Moves a directory of the deepest level into the topmost one, under a name not used there, so that
/// the number of open handles stays bounded.
fn move_to_top(levels: &mut [Level], name: &CString, moved: &mut u64) -> rustix::io::Result<()> {
    let [top, .., deepest] = levels else {
        return Err(Errno::INVAL);
    };
    loop {
        *moved = moved.wrapping_add(1);
        let new = CString::new(format!(".removing-{moved}")).map_err(|_| Errno::INVAL)?;
        match retry_on_intr(|| {
            rustix::fs::renameat(&deepest.handle, name, &top.handle, new.as_c_str())
        }) {
            Ok(()) => {
                top.subdirectories.push(new);
                return Ok(());
            }
            // Taken by a directory of the tree being removed.
            Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            Err(errno) => return Err(errno),
        }
    }
}
