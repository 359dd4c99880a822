//! [`Dir`] for Windows.

mod backup;
mod computestorage;
pub(crate) mod facts;
mod host_compute;
mod info;
mod library;
mod link;
mod nt;
mod object;
mod privileges;
mod remove;
mod sync;
mod text;
mod times;
pub mod virtdisk;
mod vmcompute;
mod volume;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read},
    os::windows::{
        fs::OpenOptionsExt as _,
        io::{AsHandle as _, BorrowedHandle, OwnedHandle},
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use windows_sys::{
    Wdk::Storage::FileSystem::{
        FILE_CREATE, FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE, FILE_OPEN,
        FILE_OPEN_REPARSE_POINT,
    },
    Win32::{
        Foundation::{GENERIC_READ, GENERIC_WRITE},
        Storage::FileSystem::{
            DELETE, FILE_FLAG_BACKUP_SEMANTICS, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES,
            FILE_TRAVERSE, FILE_WRITE_ATTRIBUTES, SYNCHRONIZE,
        },
    },
};

use crate::{DirEntry, FileKind, Stat, SysError, UnixTime, path};
pub use backup::{BackupReader, BackupWriter};
pub use host_compute::{Family, HostCompute};
pub use info::BasicInfo;
use nt::{Open, SHARE_ALL, Status};
pub use object::{Object, ObjectAccess, ObjectKind};
pub use privileges::{Privilege, PrivilegeGuard, Privileges};
pub use times::{set_file_basic_info, set_file_times};

type Result<T> = std::result::Result<T, SysError>;

/// As `RtlNtStatusToDosError` maps it; `None` for a status without equivalent.
pub(crate) fn win32_of_status(status: u32) -> Option<u32> {
    // SAFETY: takes and returns a number.
    let code =
        unsafe { windows_sys::Win32::Foundation::RtlNtStatusToDosError(status.cast_signed()) };
    // ERROR_MR_MID_NOT_FOUND
    (code != 317).then_some(code)
}

/// For handles of directories to list, and to open what lies below.
const OPEN_DIRECTORY: Open = Open {
    access: FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES,
    share: SHARE_ALL,
    disposition: FILE_OPEN,
    options: FILE_DIRECTORY_FILE,
};

/// For looking at an object of any kind, a link itself included.
const EXAMINE: Open = Open {
    access: FILE_READ_ATTRIBUTES,
    share: SHARE_ALL,
    disposition: FILE_OPEN,
    options: FILE_OPEN_REPARSE_POINT,
};

/// An open directory and everything below it, and nothing else.
///
/// Every method takes a path relative to the directory, of ordinary components separated by `/`, at
/// most 32,767 UTF-16 units long. No link is followed anywhere in it, and all components but the
/// last must be real directories. Where the docs say so, the empty path names the directory itself.
/// Names are taken as they are: trailing dots and spaces and the names of devices are ordinary, and
/// `:` and `\` are refused.
///
/// The handle may be shared between threads. While it, or anything below it, is open, Windows
/// refuses to rename the directory.
///
/// # Errors
///
/// Every method fails with a [`SysError`] that names the operation and the path;
/// [`is_unsafe`](SysError::is_unsafe) tells a link in the way, or a path that is absolute or has `..`
/// in it, from an ordinary failure.
#[derive(Debug)]
pub struct Dir {
    root: Arc<OwnedHandle>,
    path: PathBuf,
}

impl Dir {
    /// Opens an existing directory by host path. The path itself may go through links: the user
    /// chose it.
    pub fn open_ambient(path: &Path) -> Result<Self> {
        const OPERATION: &str = "open directory";
        let failed = |source| SysError::new(OPERATION, path, "", source);
        let root = std::fs::OpenOptions::new()
            .access_mode(OPEN_DIRECTORY.access | SYNCHRONIZE)
            .share_mode(SHARE_ALL)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
            .open(path)
            .map_err(failed)?;
        // This way of opening takes files too.
        if !root.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self::from_handle(root.into(), path.to_owned()))
    }

    fn from_handle(root: OwnedHandle, path: PathBuf) -> Self {
        let root = Arc::new(root);
        Self { root, path }
    }

    /// The host path the directory was opened by, for messages. It may have been renamed since.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory below; "" opens this one again.
    pub fn open_dir(&self, path: &str) -> Result<Self> {
        let handle = self.open_directory_for("open directory", path)?;
        let host_path = if path.is_empty() {
            self.path.clone()
        } else {
            self.path.join(path.replace('/', "\\"))
        };
        Ok(Self::from_handle(handle, host_path))
    }

    /// Creates a directory. It must not exist; its parent must.
    pub fn create_dir(&self, path: &str) -> Result<()> {
        const OPERATION: &str = "create directory";
        self.check(OPERATION, path, false)?;
        match self.make_directory(&nt::native_name(path)) {
            Ok(_) => Ok(()),
            Err(status) => Err(self.failed(OPERATION, path, status)),
        }
    }

    /// Creates a directory and whichever of its parents are missing. Fine if it exists; "" always
    /// does.
    pub fn create_dir_all(&self, path: &str) -> Result<()> {
        const OPERATION: &str = "create directory";
        self.check(OPERATION, path, true)?;
        if path.is_empty() {
            return Ok(());
        }
        let failed = |status| self.failed(OPERATION, path, status);
        match OPEN_DIRECTORY.at(self.root(), &nt::native_name(path)) {
            Ok(_) => return Ok(()),
            Err(status) if status.is_not_found() => {}
            Err(status) => return Err(failed(status)),
        }
        let ends = path.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            let name = nt::native_name(path.get(..end).unwrap_or(path));
            if let Err(status) = self.make_directory(&name) {
                // It may exist, but only as a directory.
                OPEN_DIRECTORY.at(self.root(), &name).map_err(|opened| {
                    failed(if opened.is_not_found() {
                        status
                    } else {
                        opened
                    })
                })?;
            }
        }
        Ok(())
    }

    /// Creates a file for reading and writing. Nothing of that name may exist, not even a dangling
    /// link.
    pub fn create_file(&self, path: &str) -> Result<File> {
        let open = Open {
            access: GENERIC_READ | GENERIC_WRITE,
            share: SHARE_ALL,
            disposition: FILE_CREATE,
            options: FILE_NON_DIRECTORY_FILE,
        };
        self.open("create file", path, open).map(File::from)
    }

    /// Opens an existing regular file for reading. A link, directory, pipe or device is refused.
    pub fn open_file(&self, path: &str) -> Result<File> {
        let open = Open {
            access: GENERIC_READ,
            share: SHARE_ALL,
            disposition: FILE_OPEN,
            options: FILE_NON_DIRECTORY_FILE,
        };
        self.open("open file", path, open).map(File::from)
    }

    /// The whole content of a regular file. For small files of our own making.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open_file(path)?
            .read_to_end(&mut content)
            .map_err(|source| SysError::new("read file", &self.path, path, source))?;
        Ok(content)
    }

    /// Gives the object `from` the second name `to` in `to_dir`. A symbolic link gets the second name
    /// itself. Nothing of the name `to` may exist.
    pub fn hard_link(&self, from: &str, to_dir: &Dir, to: &str) -> Result<()> {
        const OPERATION: &str = "create hard link";
        let open = Open {
            access: FILE_WRITE_ATTRIBUTES,
            ..EXAMINE
        };
        let object = self.open(OPERATION, from, open)?;
        let (parent, name) = to_dir.parent(OPERATION, to)?;
        nt::link(object.as_handle(), parent.as_handle(), &name)
            .map_err(|status| to_dir.failed(OPERATION, to, status))
    }

    /// What is known about an object, a link itself included; `None` if there is nothing of that
    /// name. "" is this directory.
    pub fn stat(&self, path: &str) -> Result<Option<Stat>> {
        const OPERATION: &str = "examine";
        if path.is_empty() {
            let stat = info::stat(self.root());
            return stat
                .map(Some)
                .map_err(|source| SysError::new(OPERATION, &self.path, path, source));
        }
        let object = match self.open_raw(OPERATION, path, EXAMINE)? {
            Ok(object) => object,
            // Its directory must be there, as on other systems.
            Err(status) if status.is_not_found() => {
                return self.parent(OPERATION, path).map(|_| None);
            }
            Err(status) if status.is_delete_pending() => return Ok(None),
            Err(status) => return Err(self.failed(OPERATION, path, status)),
        };
        info::stat(object.as_handle())
            .map(Some)
            .map_err(|source| SysError::new(OPERATION, &self.path, path, source))
    }

    /// Whether `path` is a name of the open `file`, and not of another or of nothing.
    pub fn is_name_of(&self, path: &str, file: &File) -> Result<bool> {
        let open = info::stat(file.as_handle())
            .map_err(|source| SysError::new("examine", &self.path, path, source))?;
        let named = self.stat(path)?;
        Ok(named.is_some_and(|named| named.inode == open.inode))
    }

    /// The names in a directory in byte order, without `.` and `..`. "" is this directory.
    pub fn read_dir(&self, path: &str) -> Result<Vec<DirEntry>> {
        const OPERATION: &str = "list directory";
        let handle = self.open_directory_for(OPERATION, path)?;
        let mut entries = info::list(handle.as_handle())
            .map_err(|source| SysError::new(OPERATION, &self.path, path, source))?;
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Removes a file or a link, not what the link points to.
    pub fn remove_file(&self, path: &str) -> Result<()> {
        const OPERATION: &str = "remove file";
        let object = self.open(OPERATION, path, remove::OPEN_TO_REMOVE)?;
        let failed = |source| SysError::new(OPERATION, &self.path, path, source);
        match info::kind(object.as_handle()).map_err(failed)? {
            FileKind::Directory => Err(failed(io::ErrorKind::IsADirectory.into())),
            _ => {
                let (parent, _) = self.parent(OPERATION, path)?;
                remove::remove_file(object, parent.as_handle()).map_err(failed)
            }
        }
    }

    /// Removes a file, a link or a whole directory. Fine if there is nothing of that name.
    pub fn remove_all(&self, path: &str) -> Result<()> {
        const OPERATION: &str = "remove";
        self.check(OPERATION, path, false)?;
        match remove::remove_all(self.root(), &nt::native_name(path)) {
            Err(remove::Error::Nt(status)) => Err(self.failed(OPERATION, path, status)),
            Err(remove::Error::Io(source)) => {
                Err(SysError::new(OPERATION, &self.path, path, source))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Renames within one file system. Nothing of the name `to` may exist in `to_dir`.
    pub fn rename(&self, from: &str, to_dir: &Dir, to: &str) -> Result<()> {
        self.rename_with(from, to_dir, to, false)
    }

    /// Renames within one file system; a file or link called `to` is replaced in one step. An empty
    /// directory called `to` is removed first.
    pub fn rename_replace(&self, from: &str, to_dir: &Dir, to: &str) -> Result<()> {
        self.rename_with(from, to_dir, to, true)
    }

    fn rename_with(&self, from: &str, to_dir: &Dir, to: &str, replace: bool) -> Result<()> {
        const OPERATION: &str = "rename";
        let open = Open {
            access: DELETE | FILE_READ_ATTRIBUTES,
            ..EXAMINE
        };
        let object = self.open(OPERATION, from, open)?;
        let (parent, name) = to_dir.parent(OPERATION, to)?;
        if replace {
            let kind = info::kind(object.as_handle())
                .map_err(|source| SysError::new(OPERATION, &self.path, from, source))?;
            if kind == FileKind::Directory {
                remove::remove_empty_directory(parent.as_handle(), &name)
                    .map_err(|source| SysError::new(OPERATION, &to_dir.path, to, source))?;
            }
        }
        nt::rename(object.as_handle(), parent.as_handle(), &name, replace)
            .map_err(|status| to_dir.failed(OPERATION, to, status))
    }

    /// Sets the times of a file, a directory or a link itself. "" is this directory.
    pub fn set_times(&self, path: &str, accessed: UnixTime, modified: UnixTime) -> Result<()> {
        const OPERATION: &str = "set the times of";
        let open = Open {
            access: FILE_WRITE_ATTRIBUTES,
            ..EXAMINE
        };
        self.check(OPERATION, path, true)?;
        let object = open
            .at(self.root(), &nt::native_name(path))
            .map_err(|status| self.failed(OPERATION, path, status))?;
        times::set_times(object.as_handle(), accessed, modified)
            .map_err(|source| SysError::new(OPERATION, &self.path, path, source))
    }

    /// Flushes everything below this directory to stable storage.
    ///
    /// An administrator's process flushes the whole volume, which is faster than one flush a file.
    pub fn sync_all(&self) -> Result<()> {
        sync::sync_all(self)
    }

    /// Flushes one directory's list of names to stable storage where the file system can do that.
    /// NTFS writes names to its journal, in the order of the changes. "" is this directory.
    pub fn sync_dir(&self, path: &str) -> Result<()> {
        sync::sync_dir(self, path)
    }

    /// How many bytes this process may still write to the file system.
    pub fn available_bytes(&self) -> Result<u64> {
        nt::available_bytes(self.root())
            .map_err(|status| self.failed("measure the space left in", "", status))
    }
}

// How the methods above reach what they work on.
impl Dir {
    fn root(&self) -> BorrowedHandle<'_> {
        self.root.as_handle()
    }

    fn check(&self, operation: &'static str, path: &str, may_be_empty: bool) -> Result<()> {
        match path::objection(path, may_be_empty) {
            None => Ok(()),
            Some(why) => {
                let source = io::Error::new(io::ErrorKind::InvalidInput, why);
                Err(SysError::violation(operation, &self.path, path, source))
            }
        }
    }

    fn failed(&self, operation: &'static str, path: &str, status: Status) -> SysError {
        match status.is_link_in_the_way() {
            true => SysError::violation(operation, &self.path, path, status.into()),
            false => SysError::new(operation, &self.path, path, status),
        }
    }

    fn make_directory(&self, name: &[u16]) -> nt::Result<OwnedHandle> {
        let open = Open {
            access: FILE_READ_ATTRIBUTES,
            disposition: FILE_CREATE,
            ..OPEN_DIRECTORY
        };
        open.at(self.root(), name)
    }

    fn open(&self, operation: &'static str, path: &str, open: Open) -> Result<OwnedHandle> {
        self.open_raw(operation, path, open)?
            .map_err(|status| self.failed(operation, path, status))
    }

    /// As [`Self::open`]; the inner result is that of the call.
    fn open_raw(
        &self,
        operation: &'static str,
        path: &str,
        open: Open,
    ) -> Result<nt::Result<OwnedHandle>> {
        self.check(operation, path, false)?;
        let name = nt::native_name(path);
        let mut opened = open.at(self.root(), &name);
        // Virus scanners and indexers hold removed files open for moments; the name is not free
        // until then.
        for _ in 0..MOST_WAITS {
            match opened {
                Err(status) if status.is_delete_pending() && open.disposition == FILE_CREATE => {
                    thread::sleep(WAIT);
                    opened = open.at(self.root(), &name);
                }
                _ => break,
            }
        }
        Ok(match opened {
            // The file is as good as gone.
            Err(status) if status.is_delete_pending() && open.disposition == FILE_OPEN => {
                Err(Status::NOT_FOUND)
            }
            opened => opened,
        })
    }

    /// A new handle of a directory.
    fn open_directory_for(&self, operation: &'static str, path: &str) -> Result<OwnedHandle> {
        self.check(operation, path, true)?;
        OPEN_DIRECTORY
            .at(self.root(), &nt::native_name(path))
            .map_err(|status| self.failed(operation, path, status))
    }

    /// The directory `path` lies in, and its last component.
    fn parent(&self, operation: &'static str, path: &str) -> Result<(OwnedHandle, Vec<u16>)> {
        self.check(operation, path, false)?;
        let (directory, name) = path::split(path);
        let parent = OPEN_DIRECTORY
            .at(self.root(), &nt::native_name(directory))
            .map_err(|status| self.failed(operation, path, status))?;
        Ok((parent, nt::native_name(name)))
    }
}

const WAIT: Duration = Duration::from_millis(5);
const MOST_WAITS: u32 = 400;
