//! Facts of Windows, see [`crate::facts`].

use std::path::{Path, PathBuf};

use crate::{PlatformError, Privilege};

type Result<T> = std::result::Result<T, PlatformError>;

/// The version of Windows, whatever the program's manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowsVersion {
    /// 10 for Windows 10, 11 and every Server since 2016.
    pub major: u32,
    /// 0 since Windows 10.
    pub minor: u32,
    /// Such as 17763 or 20348.
    pub build: u32,
    /// The number of the update (`UBR` of the registry), such as 2031.
    pub revision: Option<u32>,
}

/// A library of the container platform.
#[derive(Clone, Debug)]
pub struct Library {
    /// The file's name.
    pub name: &'static str,
    /// Why it cannot be loaded, with the feature to install as its remedy.
    pub error: Option<PlatformError>,
    /// The functions winlayer may call that it does not have.
    pub missing: Vec<&'static str>,
}

/// What the process's token says of a privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrivilegeState {
    /// The account does not hold it.
    Missing,
    /// Held and switched off.
    Disabled,
    /// Held and switched on.
    Enabled,
}

/// The file system of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Such as `NTFS`, `ReFS` or `FAT32`.
    pub name: String,
    /// `FILE_SUPPORTS_REPARSE_POINTS`, … of `GetVolumeInformationW`.
    pub flags: u32,
    /// Where the volume is mounted, such as `C:\`.
    pub root: PathBuf,
    /// On another machine.
    pub remote: bool,
    /// The longest name in UTF-16 units.
    pub longest_name: u32,
}

impl FileSystem {
    /// What a layer needs and `flags` lacks, as the names of the flags.
    pub fn lacks(&self) -> Vec<&'static str> {
        todo!()
    }
}

/// Room on a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes this user may still write.
    pub available: u64,
    /// Bytes this user may have in all.
    pub total: u64,
}

/// A file-system filter driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterDriver {
    /// The name of its service, such as `WdFilter`.
    pub name: String,
    /// Its place in the stack, such as `328010`.
    pub altitude: Option<String>,
    /// Its load order group, such as `FSFilter Anti-Virus`.
    pub group: Option<String>,
}

/// The version of Windows, by `RtlGetVersion`.
pub fn windows_version() -> Option<WindowsVersion> {
    todo!()
}

/// The version of Wine, when this is not Windows.
pub fn wine_version() -> Option<String> {
    todo!()
}

/// vmcompute.dll, computestorage.dll and virtdisk.dll, and the functions winlayer may call in them.
pub fn libraries() -> Vec<Library> {
    todo!()
}

/// Whether the process has the full token of an administrator.
pub fn is_elevated() -> Result<bool> {
    todo!()
}

/// What the process's token says of every privilege winlayer uses.
pub fn privileges() -> Result<Vec<(Privilege, PrivilegeState)>> {
    todo!()
}

/// `LongPathsEnabled` of the registry: whether programs may use long paths without `\\?\`.
pub fn long_paths_enabled() -> Result<bool> {
    todo!()
}

/// The file system of an existing path, the volume its links lead to.
pub fn file_system_of(path: &Path) -> Result<FileSystem> {
    todo!("{path:?}")
}

/// Room on the volume of an existing path.
pub fn space_of(path: &Path) -> Result<Space> {
    todo!("{path:?}")
}

/// The links, junctions and mount points among `path` and the folders above it, outermost first.
/// What does not exist is skipped.
pub fn reparse_points_on(path: &Path) -> Result<Vec<PathBuf>> {
    todo!("{path:?}")
}

/// The filter drivers that are loaded; for administrators only. Where the filter manager does not
/// answer: those that are installed, from the registry.
pub fn filter_drivers() -> Result<Vec<FilterDriver>> {
    todo!()
}

/// The folders Microsoft Defender leaves alone, where the registry lets the user read them.
pub fn defender_exclusions() -> Result<Vec<PathBuf>> {
    todo!()
}
