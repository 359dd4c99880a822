//! [`Object`]: an open file, directory or link, for work on its metadata and its backup stream.

use std::{
    io,
    os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle},
    path::{Path, PathBuf},
};

use windows_sys::{
    Wdk::Storage::FileSystem::{
        FILE_CREATE, FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE, FILE_OPEN,
        FILE_OPEN_REPARSE_POINT,
    },
    Win32::{
        Foundation::{GENERIC_READ, GENERIC_WRITE},
        Storage::FileSystem::{
            FILE_READ_ATTRIBUTES, FILE_SHARE_READ, FILE_WRITE_ATTRIBUTES, WRITE_DAC, WRITE_OWNER,
        },
        System::SystemServices::ACCESS_SYSTEM_SECURITY,
    },
};
use winlayer_metadata::FileAttributes;

use super::{
    BasicInfo, Dir, Result, info,
    nt::{Open, SHARE_ALL},
};
use crate::SysError;

/// What [`Dir::create_object`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// What an [`Object`] is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectAccess {
    /// `BackupRead`: content and all metadata, SACL included. Needs the privileges `Backup` and
    /// `Security`.
    ReadBackup,
    /// `BackupWrite`: content and all metadata, SACL included. Needs the privileges `Restore` and
    /// `Security`.
    WriteBackup,
    /// Reading and setting times and attributes.
    Attributes,
}

const READ_BACKUP: u32 = GENERIC_READ | ACCESS_SYSTEM_SECURITY;
const WRITE_BACKUP: u32 =
    GENERIC_READ | GENERIC_WRITE | WRITE_DAC | WRITE_OWNER | ACCESS_SYSTEM_SECURITY;

impl Dir {
    /// Creates a file or directory to write a backup stream into. Nothing of that name may exist;
    /// its parent must. Others may read it meanwhile, and nothing else.
    ///
    /// Needs the privileges `Restore` and `Security`.
    pub fn create_object(&self, path: &str, kind: ObjectKind) -> Result<Object> {
        const OPERATION: &str = "create";
        let open = Open {
            access: WRITE_BACKUP,
            share: FILE_SHARE_READ,
            disposition: FILE_CREATE,
            options: match kind {
                ObjectKind::File => FILE_NON_DIRECTORY_FILE,
                ObjectKind::Directory => FILE_DIRECTORY_FILE,
            },
        };
        let handle = self.open(OPERATION, path, open)?;
        Ok(Object::new(handle, self, path))
    }

    /// Opens an existing file or directory; a link is opened itself. "" is this directory.
    pub fn open_object(&self, path: &str, access: ObjectAccess) -> Result<Object> {
        const OPERATION: &str = "open";
        let (access, share) = match access {
            ObjectAccess::ReadBackup => (READ_BACKUP, FILE_SHARE_READ),
            ObjectAccess::WriteBackup => (WRITE_BACKUP, FILE_SHARE_READ),
            ObjectAccess::Attributes => (FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES, SHARE_ALL),
        };
        let open = Open {
            access,
            share,
            disposition: FILE_OPEN,
            options: FILE_OPEN_REPARSE_POINT,
        };
        let handle = match path {
            "" => open
                .at(self.root(), &[])
                .map_err(|status| self.failed(OPERATION, path, status))?,
            _ => self.open(OPERATION, path, open)?,
        };
        Ok(Object::new(handle, self, path))
    }
}

/// An open file, directory or link. Closed when dropped.
#[derive(Debug)]
pub struct Object {
    handle: OwnedHandle,
    root: PathBuf,
    path: String,
}

impl Object {
    fn new(handle: OwnedHandle, dir: &Dir, path: &str) -> Self {
        Self {
            handle,
            root: dir.path().to_owned(),
            path: path.to_owned(),
        }
    }

    /// The path it was opened by, relative to [`Self::root`].
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host path of the directory it was opened in, for messages.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The four times and the attributes.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn basic_info(&self) -> Result<BasicInfo> {
        info::basic_info(self.as_handle()).map_err(|source| self.failed("examine", source))
    }

    /// Sets times and attributes, in one call. Zero times and empty attributes stay as they are.
    ///
    /// # Errors
    ///
    /// The system's: attributes that only other calls can set (compressed, sparse, encrypted,
    /// reparse point) are ignored by NTFS.
    pub fn set_basic_info(&self, info: &BasicInfo) -> Result<()> {
        info::set_basic_info(self.as_handle(), info)
            .map_err(|source| self.failed("set the times and attributes of", source))
    }

    /// The attribute word.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn attributes(&self) -> Result<FileAttributes> {
        self.basic_info().map(|info| info.attributes)
    }

    /// An error about this object; `operation` reads as a verb with its object.
    pub(crate) fn failed(&self, operation: &'static str, source: io::Error) -> SysError {
        SysError::new(operation, &self.root, &self.path, source)
    }
}

impl AsHandle for Object {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

impl From<Object> for OwnedHandle {
    fn from(object: Object) -> Self {
        object.handle
    }
}
