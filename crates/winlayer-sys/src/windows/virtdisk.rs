//! Virtual disks (VHDX files), by virtdisk.dll.

use std::path::{Path, PathBuf};

use crate::PlatformError;

type Result<T> = std::result::Result<T, PlatformError>;

/// An open virtual disk. Closing it detaches it, unless it was attached permanently.
#[derive(Debug)]
pub struct VirtualDisk {
    path: PathBuf,
}

/// How a disk is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// No writes.
    pub read_only: bool,
    /// The volume gets no drive letter.
    pub no_drive_letter: bool,
    /// The disk stays when the handle is closed.
    pub permanent: bool,
}

impl VirtualDisk {
    /// Creates a dynamically growing disk of `bytes` with blocks of 1 MiB. The file must not exist.
    pub fn create(path: &Path, bytes: u64) -> Result<Self> {
        todo!("{path:?} {bytes}")
    }

    /// Creates a disk that keeps its differences to `parent`. The file must not exist.
    pub fn create_differencing(path: &Path, parent: &Path) -> Result<Self> {
        todo!("{path:?} {parent:?}")
    }

    /// Opens a disk.
    pub fn open(path: &Path) -> Result<Self> {
        todo!("{path:?}")
    }

    /// Attaches the disk: its volumes arrive soon after.
    pub fn attach(&self, options: AttachOptions) -> Result<()> {
        todo!("{options:?}")
    }

    /// Detaches the disk.
    pub fn detach(&self) -> Result<()> {
        todo!()
    }

    /// The device of an attached disk, such as `\\.\PhysicalDrive3`.
    pub fn physical_path(&self) -> Result<PathBuf> {
        todo!()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
