//! The operating system below winlayer: [`Dir`], a directory handle nothing escapes.
//!
//! An image is written by a stranger, and the folder it is unpacked into may be changed by another
//! process while that happens. So every file below a root is reached from the root's open handle:
//!
//! 1. A path is relative and made of ordinary components; `..`, `.` and empty components are refused
//!    before the system sees them.
//! 2. The directory part is opened so that no link is ever followed, whichever component it is.
//! 3. The last component is handled alone, relative to the handle of step 2, by a call that does not
//!    follow a link there either (`O_EXCL`, `O_NOFOLLOW`, `AT_SYMLINK_NOFOLLOW`, `linkat`,
//!    `unlinkat`, `renameat2`).
//!
//! A link in the way is [`SysError::is_unsafe`], never a detour. Metadata is set on the open handle
//! or on the last component without following it.
//!
//! Paths may be longer than the system's `PATH_MAX`: they are walked in pieces.
//!
//! # What is asked of the system
//!
//! | feature | since | used for | without it |
//! | --- | --- | --- | --- |
//! | `openat2`: `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS`, `RESOLVE_NO_MAGICLINKS` | Linux 5.6 | step 2 in one call | one `openat` a component with `O_NOFOLLOW` and `O_DIRECTORY`: just as safe, slower in deep trees |
//! | `O_PATH` | Linux 2.6.39 (all calls we make: 3.6) | handles of directories that are only passed through | `O_RDONLY`: such directories must be readable |
//! | `renameat2` with `RENAME_NOREPLACE` | Linux 3.15, per file system; `RENAME_EXCL` on macOS 10.12 | [`Dir::rename`] | the destination is looked at, then renamed to: a file that appears in between is replaced |
//! | `syncfs` | Linux 2.6.39; reports write errors since 5.8 | [`Dir::sync_all`] | `fsync` of every file and directory below |
//! | time stamps clamped by the kernel | Linux 5.4 | times outside what the file system holds | such times may wrap around; the file's content is not affected |
//!
//! Whether `openat2` is there is found out once a process (a container's system-call filter may hide
//! it from a new kernel). [`Backend`] forces either way; the tests run every case both ways.
//!
//! # Platforms
//!
//! Linux, macOS and Windows. On other systems the crate has only its plain types.
//!
//! On Windows every open is one `NtCreateFile` relative to the root's handle with `OBJ_DONT_REPARSE`,
//! which fails at any link, the last component's own only when the link itself is meant
//! (`FILE_OPEN_REPARSE_POINT`). `:` and `\` are refused as well. Renames and hard links name one
//! component in an open directory. A removed file's name is free at once where the system can do
//! that (NTFS since Windows 10 1709); elsewhere the file is renamed first, and goes with its last
//! handle. Windows renames no directory while anything below it is open.
//!
//! # Example
//!
//! ```
//! # #[cfg(unix)] {
//! # use std::io::Write;
//! # let folder = tempfile::tempdir()?;
//! let dir = winlayer_sys::Dir::open_ambient(folder.path())?;
//! dir.create_dir_all("Files/Windows")?;
//! dir.create_file("Files/Windows/win.ini")?.write_all(b"; for 16-bit app support\r\n")?;
//!
//! dir.symlink("/etc", "Files/etc")?;
//! let refused = dir.create_file("Files/etc/passwd").unwrap_err();
//! assert!(refused.is_unsafe());
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
#[cfg(windows)]
pub mod facts;
mod hcs;
#[cfg(any(unix, windows))]
mod path;
mod platform_error;
mod stat;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
#[allow(unsafe_code, reason = "calls of the system")]
mod windows;

pub use error::SysError;
pub use hcs::{InvalidLayerGuid, LayerGuid, ParentLayer, SchemaVersion, layer_data_json};
pub use platform_error::{PlatformCode, PlatformError};
pub use stat::{DirEntry, FileKind, Stat, UnixTime};
#[cfg(unix)]
pub use unix::{Backend, Dir, set_file_times};
#[cfg(windows)]
pub use windows::{
    BackupReader, BackupWriter, BasicInfo, Dir, Family, HostCompute, Object, ObjectAccess,
    ObjectKind, Privilege, PrivilegeGuard, Privileges, set_file_basic_info, set_file_times,
    virtdisk,
};
