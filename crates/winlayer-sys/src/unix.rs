//! [`Dir`] for Unix systems.

mod recent;
mod remove;
mod resolve;
mod sync;
mod times;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags},
    io::{Errno, retry_on_intr},
};

use crate::{DirEntry, FileKind, Stat, SysError, UnixTime, path};
use recent::RecentParent;
pub use resolve::Backend;
use resolve::{Access, open_directory};
pub use times::set_file_times;

type Result<T> = std::result::Result<T, SysError>;

/// Permissions of what is created, before the process's umask.
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// An open directory and everything below it, and nothing else.
///
/// Every method takes a path relative to the directory, of ordinary components separated by `/`, of
/// any length. No link is followed anywhere in it, and all components but the last must be real
/// directories. Where the docs say so, the empty path names the directory itself.
///
/// The most recently used parent directory is kept open, so that creating the files of one directory
/// costs one system call each. The handle may be shared between threads.
///
/// # Errors
///
/// Every method fails with a [`SysError`] that names the operation and the path;
/// [`is_unsafe`](SysError::is_unsafe) tells a link in the way, or a path that is absolute or has `..`
/// in it, from an ordinary failure.
#[derive(Debug)]
pub struct Dir {
    root: Arc<OwnedFd>,
    path: PathBuf,
    backend: Backend,
    recent: RecentParent,
}

impl Dir {
    /// Opens an existing directory by host path. The path itself may go through links: the user
    /// chose it.
    pub fn open_ambient(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))
            .map_err(|errno| SysError::new("open directory", path, "", errno))?;
        Ok(Self::from_handle(root, path.to_owned(), Backend::detect()))
    }

    fn from_handle(root: OwnedFd, path: PathBuf, backend: Backend) -> Self {
        Self {
            root: Arc::new(root),
            path,
            backend,
            recent: RecentParent::default(),
        }
    }

    /// The same directory, reached by `backend` from now on. For tests, and for systems where what
    /// [`Backend::detect`] chose misbehaves.
    #[must_use]
    pub fn with_backend(self, backend: Backend) -> Self {
        Self {
            backend,
            recent: RecentParent::default(),
            ..self
        }
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
            self.path.join(path)
        };
        Ok(Self::from_handle(handle, host_path, self.backend))
    }

    /// Creates a directory, mode 0755 less the umask. It must not exist; its parent must.
    pub fn create_dir(&self, path: &str) -> Result<()> {
        self.at_parent("create directory", path, |parent, name| {
            rustix::fs::mkdirat(parent, name, DIRECTORY_MODE)
        })?;
        self.recent.forget_below(path);
        Ok(())
    }

    /// Creates a directory and whichever of its parents are missing. Fine if it exists; "" always
    /// does.
    pub fn create_dir_all(&self, path: &str) -> Result<()> {
        const OPERATION: &str = "create directory";
        self.check(OPERATION, path, true)?;
        let failed = |errno| self.failed(OPERATION, path, errno);
        // Not through the recent parent: the answer must be about what is there now.
        match open_directory(self.root.as_fd(), path, Access::Traverse, self.backend) {
            Ok(_) => return Ok(()),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let generation = recent::generation();
        let mut parent = Arc::clone(&self.root);
        for name in path.split('/') {
            match retry_on_intr(|| rustix::fs::mkdirat(&*parent, name, DIRECTORY_MODE)) {
                // Whether what exists is a directory, the next open tells.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
            let next = open_directory(parent.as_fd(), name, Access::Traverse, self.backend);
            parent = Arc::new(next.map_err(failed)?);
        }
        self.recent.remember(path, parent, generation);
        Ok(())
    }

    /// Creates a file for reading and writing, mode 0644 less the umask. Nothing of that name may
    /// exist, not even a dangling link.
    pub fn create_file(&self, path: &str) -> Result<File> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.at_parent("create file", path, |parent, name| {
            rustix::fs::openat(parent, name, flags, FILE_MODE)
        })
        .map(File::from)
    }

    /// Opens an existing regular file for reading. A link, directory, pipe or device is refused.
    pub fn open_file(&self, path: &str) -> Result<File> {
        // NONBLOCK: opening a pipe somebody put there must not wait for its other end.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        const OPERATION: &str = "open file";
        let handle = self.at_parent(OPERATION, path, |parent, name| {
            rustix::fs::openat(parent, name, flags, Mode::empty())
        })?;
        let stat =
            rustix::fs::fstat(&handle).map_err(|errno| self.failed(OPERATION, path, errno))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(File::from(handle)),
            FileType::Directory => Err(self.failed(OPERATION, path, Errno::ISDIR)),
            _ => Err(SysError::new(
                OPERATION,
                &self.path,
                path,
                io::Error::other("not a regular file"),
            )),
        }
    }

    /// The whole content of a regular file. For small files of our own making.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open_file(path)?
            .read_to_end(&mut content)
            .map_err(|source| SysError::new("read file", &self.path, path, source))?;
        Ok(content)
    }

    /// Creates a symbolic link with exactly this text. Nothing of the name `path` may exist.
    pub fn symlink(&self, target: &str, path: &str) -> Result<()> {
        self.at_parent("create symbolic link", path, |parent, name| {
            rustix::fs::symlinkat(target, parent, name)
        })
    }

    /// As [`Self::symlink`]; Windows tells links to directories apart from others.
    pub fn symlink_to_directory(&self, target: &str, path: &str) -> Result<()> {
        self.symlink(target, path)
    }

    /// The text of a symbolic link.
    pub fn read_link(&self, path: &str) -> Result<PathBuf> {
        use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};
        let text = self.at_parent("read symbolic link", path, |parent, name| {
            rustix::fs::readlinkat(parent, name, Vec::new())
        })?;
        Ok(OsString::from_vec(text.into_bytes()).into())
    }

    /// Gives the object `from` the second name `to` in `to_dir`. A symbolic link gets the second name
    /// itself. Nothing of the name `to` may exist.
    pub fn hard_link(&self, from: &str, to_dir: &Dir, to: &str) -> Result<()> {
        self.between(
            "create hard link",
            from,
            to_dir,
            to,
            |old_dir, old, new_dir, new| {
                rustix::fs::linkat(old_dir, old, new_dir, new, AtFlags::empty())
            },
        )
    }

    /// What is known about an object, a link itself included; `None` if there is nothing of that
    /// name. "" is this directory.
    pub fn stat(&self, path: &str) -> Result<Option<Stat>> {
        const OPERATION: &str = "examine";
        if path.is_empty() {
            let raw = rustix::fs::fstat(&*self.root);
            return raw
                .map(|raw| Some(stat_from(&raw)))
                .map_err(|e| self.failed(OPERATION, path, e));
        }
        let examined = self.at_parent_raw(OPERATION, path, |parent, name| {
            rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        })?;
        match examined {
            Ok(raw) => Ok(Some(stat_from(&raw))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed(OPERATION, path, errno)),
        }
    }

    /// Whether `path` is a name of the open `file`, and not of another or of nothing.
    pub fn is_name_of(&self, path: &str, file: &File) -> Result<bool> {
        let open = rustix::fs::fstat(file).map_err(|e| self.failed("examine", path, e))?;
        let named = self.stat(path)?;
        Ok(named.is_some_and(|named| named.inode == stat_from(&open).inode))
    }

    /// The names in a directory in byte order, without `.` and `..`. "" is this directory.
    pub fn read_dir(&self, path: &str) -> Result<Vec<DirEntry>> {
        const OPERATION: &str = "list directory";
        let handle = self.open_directory_for(OPERATION, path)?;
        let mut entries =
            remove::list(handle).map_err(|errno| self.failed(OPERATION, path, errno))?;
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Removes a file or a link, not what the link points to.
    pub fn remove_file(&self, path: &str) -> Result<()> {
        self.at_parent("remove file", path, |parent, name| {
            rustix::fs::unlinkat(parent, name, AtFlags::empty())
        })
    }

    /// Removes a file, a link or a whole directory. Fine if there is nothing of that name.
    pub fn remove_all(&self, path: &str) -> Result<()> {
        let removed = self.at_parent_raw("remove", path, remove::remove_all);
        recent::invalidate_all();
        match removed {
            Ok(Ok(()) | Err(Errno::NOENT)) => Ok(()),
            Ok(Err(errno)) => Err(self.failed("remove", path, errno)),
            Err(error) if error.io_kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Renames within one file system. Nothing of the name `to` may exist in `to_dir`.
    pub fn rename(&self, from: &str, to_dir: &Dir, to: &str) -> Result<()> {
        let renamed = self.between("rename", from, to_dir, to, rename_to_new_name);
        recent::invalidate_all();
        renamed
    }

    /// Renames within one file system; a file or link called `to` is replaced in one step.
    pub fn rename_replace(&self, from: &str, to_dir: &Dir, to: &str) -> Result<()> {
        let renamed = self.between("rename", from, to_dir, to, |old_dir, old, new_dir, new| {
            rustix::fs::renameat(old_dir, old, new_dir, new)
        });
        recent::invalidate_all();
        renamed
    }

    /// Sets the times of a file, a directory or a link itself. "" is this directory.
    pub fn set_times(&self, path: &str, accessed: UnixTime, modified: UnixTime) -> Result<()> {
        const OPERATION: &str = "set the times of";
        let times = times::timestamps(accessed, modified);
        if path.is_empty() {
            return rustix::fs::futimens(&*self.root, &times)
                .map_err(|errno| self.failed(OPERATION, path, errno));
        }
        self.at_parent(OPERATION, path, |parent, name| {
            rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
        })
    }

    /// Flushes everything below this directory to stable storage.
    ///
    /// On Linux this flushes the whole file system the directory is on, which is faster than one
    /// flush a file.
    pub fn sync_all(&self) -> Result<()> {
        sync::sync_all(self)
    }

    /// Flushes one directory's list of names to stable storage, so that files created in it or
    /// renamed into it are found after a power cut. "" is this directory.
    pub fn sync_dir(&self, path: &str) -> Result<()> {
        const OPERATION: &str = "flush directory";
        let handle = self.open_directory_for(OPERATION, path)?;
        retry_on_intr(|| rustix::fs::fsync(&handle))
            .map_err(|errno| self.failed(OPERATION, path, errno))
    }

    /// How many bytes this process may still write to the file system.
    pub fn available_bytes(&self) -> Result<u64> {
        let stat = retry_on_intr(|| rustix::fs::fstatvfs(&*self.root))
            .map_err(|errno| self.failed("measure the space left in", "", errno))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

// How the methods above reach what they work on.
impl Dir {
    fn check(&self, operation: &'static str, path: &str, may_be_empty: bool) -> Result<()> {
        match path::objection(path, may_be_empty) {
            None => Ok(()),
            Some(why) => {
                let source = io::Error::new(io::ErrorKind::InvalidInput, why);
                Err(SysError::violation(operation, &self.path, path, source))
            }
        }
    }

    /// ELOOP only ever means a link where none may be: no call of ours follows one.
    fn failed(&self, operation: &'static str, path: &str, errno: Errno) -> SysError {
        match errno {
            Errno::LOOP => SysError::violation(operation, &self.path, path, errno.into()),
            _ => SysError::new(operation, &self.path, path, errno),
        }
    }

    /// A new handle of a directory, good for listing and flushing.
    fn open_directory_for(&self, operation: &'static str, path: &str) -> Result<OwnedFd> {
        self.check(operation, path, true)?;
        open_directory(self.root.as_fd(), path, Access::List, self.backend)
            .map_err(|errno| self.failed(operation, path, errno))
    }

    /// The handle of a directory to work in, kept open for the next call.
    fn parent(&self, directory: &str) -> rustix::io::Result<Arc<OwnedFd>> {
        if directory.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        let generation = recent::generation();
        let (handle, rest) = match self.recent.nearest(directory) {
            Some((handle, "")) => return Ok(handle),
            Some((handle, rest)) => (handle, rest),
            None => (Arc::clone(&self.root), directory),
        };
        let handle = open_directory(handle.as_fd(), rest, Access::Traverse, self.backend)?;
        let handle = Arc::new(handle);
        self.recent
            .remember(directory, Arc::clone(&handle), generation);
        Ok(handle)
    }

    /// Runs `call` with the handle of the parent directory and the last component.
    fn at_parent<T>(
        &self,
        operation: &'static str,
        path: &str,
        call: impl Fn(BorrowedFd<'_>, &str) -> rustix::io::Result<T>,
    ) -> Result<T> {
        self.at_parent_raw(operation, path, call)?
            .map_err(|errno| self.failed(operation, path, errno))
    }

    /// As [`Self::at_parent`]; the inner result is that of `call`.
    fn at_parent_raw<T>(
        &self,
        operation: &'static str,
        path: &str,
        call: impl Fn(BorrowedFd<'_>, &str) -> rustix::io::Result<T>,
    ) -> Result<rustix::io::Result<T>> {
        self.check(operation, path, false)?;
        let (directory, name) = path::split(path);
        let parent = self
            .parent(directory)
            .map_err(|errno| self.failed(operation, path, errno))?;
        Ok(retry_on_intr(|| call(parent.as_fd(), name)))
    }

    /// Runs `call` with parent and last component of both paths.
    fn between(
        &self,
        operation: &'static str,
        from: &str,
        to_dir: &Dir,
        to: &str,
        call: impl Fn(BorrowedFd<'_>, &str, BorrowedFd<'_>, &str) -> rustix::io::Result<()>,
    ) -> Result<()> {
        self.check(operation, from, false)?;
        to_dir.check(operation, to, false)?;
        let (old_directory, old_name) = path::split(from);
        let old_parent = self
            .parent(old_directory)
            .map_err(|errno| self.failed(operation, from, errno))?;
        to_dir.at_parent(operation, to, |new_parent, new_name| {
            call(old_parent.as_fd(), old_name, new_parent, new_name)
        })
    }
}

/// Renames, refusing to replace.
fn rename_to_new_name(
    old_dir: BorrowedFd<'_>,
    old: &str,
    new_dir: BorrowedFd<'_>,
    new: &str,
) -> rustix::io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        match renameat_with(old_dir, old, new_dir, new, RenameFlags::NOREPLACE) {
            // This kernel or file system does not know the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            result => return result,
        }
    }
    match rustix::fs::statat(new_dir, new, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => rustix::fs::renameat(old_dir, old, new_dir, new),
        Err(errno) => Err(errno),
    }
}

fn kind_from(file_type: FileType) -> FileKind {
    match file_type {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

// The fields' integer types differ between systems.
#[allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "needed on other systems"
)]
fn stat_from(raw: &rustix::fs::Stat) -> Stat {
    let after_1970 = Duration::new(raw.st_mtime.unsigned_abs() as u64, 0);
    let second = if raw.st_mtime < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(after_1970)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(after_1970)
    };
    let nanos = Duration::from_nanos(raw.st_mtime_nsec as u64);
    Stat {
        kind: kind_from(FileType::from_raw_mode(raw.st_mode)),
        size: raw.st_size as u64,
        links: raw.st_nlink as u64,
        inode: (raw.st_dev as u64, raw.st_ino as u64),
        modified: second
            .and_then(|second| second.checked_add(nanos))
            .unwrap_or(SystemTime::UNIX_EPOCH),
    }
}
