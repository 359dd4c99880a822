//! What a new disk is to be.

use crate::{BlockSize, Guid, SectorSize};

/// What a new disk is to be. Nothing is taken from a clock or made up: equal options and writes give
/// equal files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskOptions {
    /// Size of the virtual disk in bytes: a multiple of 512, at most 64 TiB.
    pub size: u64,
    /// Identifies the virtual disk; what a guest sees as its serial number.
    pub disk_id: Guid,
    /// Identifies the disk's content; a differencing disk names that of its parent.
    pub data_write_id: Guid,
    /// Identifies the file's state.
    pub file_write_id: Guid,
    /// What the guest takes for the physical sector; the logical one is always 512 bytes.
    pub physical_sector: SectorSize,
    /// The unit the file grows by.
    pub block_size: BlockSize,
    /// What made the file, for people; at most 255 UTF-16 units.
    pub creator: String,
}

impl DiskOptions {
    /// A disk as Windows makes it for containers: physical sectors of 4096 bytes, blocks of 1 MiB.
    #[must_use]
    pub fn new(size: u64, disk_id: Guid, data_write_id: Guid, file_write_id: Guid) -> Self {
        Self {
            size,
            disk_id,
            data_write_id,
            file_write_id,
            physical_sector: SectorSize::B4096,
            block_size: BlockSize::MIB,
            creator: concat!("winlayer ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Where a differencing disk finds its parent; at least one path is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParentLocator {
    /// The parent's [`DiskOptions::data_write_id`].
    pub linkage: Guid,
    /// From the folder of the differencing disk, in Windows form: `.\base.vhdx`.
    pub relative_path: Option<String>,
    /// As in `\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\path\base.vhdx`.
    pub volume_path: Option<String>,
    /// As in `\\?\c:\path\base.vhdx`.
    pub absolute_win32_path: Option<String>,
}

/// Keys of the parent locator \[MS-VHDX 2.6.2.6.3\].
pub(crate) mod key {
    pub(crate) const LINKAGE: &str = "parent_linkage";
    pub(crate) const LINKAGE2: &str = "parent_linkage2";
    pub(crate) const RELATIVE_PATH: &str = "relative_path";
    pub(crate) const VOLUME_PATH: &str = "volume_path";
    pub(crate) const ABSOLUTE_WIN32_PATH: &str = "absolute_win32_path";
}

impl ParentLocator {
    /// Keys and values as they are stored.
    pub(crate) fn entries(&self) -> Vec<(&'static str, String)> {
        let linkage = Some((key::LINKAGE, format!("{{{}}}", self.linkage)));
        let paths = [
            (key::RELATIVE_PATH, &self.relative_path),
            (key::VOLUME_PATH, &self.volume_path),
            (key::ABSOLUTE_WIN32_PATH, &self.absolute_win32_path),
        ];
        let paths = paths
            .into_iter()
            .filter_map(|(key, path)| Some((key, path.clone()?)));
        linkage.into_iter().chain(paths).collect()
    }
}
