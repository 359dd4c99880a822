//! File systems of paths.

use std::{
    fs::{self, File, OpenOptions},
    os::windows::{fs::OpenOptionsExt as _, io::AsRawHandle as _},
    path::{Path, PathBuf},
};

use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_READ_ATTRIBUTES, GetDriveTypeW, GetFinalPathNameByHandleW,
    GetVolumeInformationW, GetVolumePathNameW, VOLUME_NAME_DOS,
};

use super::Result;
use crate::windows::{
    computestorage::io_error,
    library::last_error,
    text::{from_wide, plain_if_short, verbatim, wide},
    volume,
};

/// Longer than any path.
const LONGEST_PATH: usize = 1 << 15;

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
    /// The abilities a layer needs that `flags` lacks, by Windows' names for them.
    pub fn lacks(&self) -> Vec<&'static str> {
        const NEEDED: [(u32, &str); 6] = [
            (0x0000_0004, "FILE_UNICODE_ON_DISK"),
            (0x0000_0008, "FILE_PERSISTENT_ACLS"),
            (0x0000_0080, "FILE_SUPPORTS_REPARSE_POINTS"),
            (0x0004_0000, "FILE_NAMED_STREAMS"),
            (0x0040_0000, "FILE_SUPPORTS_HARD_LINKS"),
            (0x0080_0000, "FILE_SUPPORTS_EXTENDED_ATTRIBUTES"),
        ];
        let lacking = NEEDED.iter().filter(|(flag, _)| self.flags & flag == 0);
        lacking.map(|(_, name)| *name).collect()
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

/// The file system of an existing path, the volume its links lead to.
pub fn file_system_of(path: &Path) -> Result<FileSystem> {
    const DRIVE_REMOTE: u32 = 4;
    let target = final_path(path)?;
    let root = volume_root(&target)?;
    let wide_root = wide(&root);
    let mut name = [0u16; 64];
    let (mut longest_name, mut flags) = (0, 0);
    // SAFETY: the string ends with a NUL and outlives the call; the buffer has as many units as
    // said, and the numbers are ours to write. What is null is not asked for.
    let done = unsafe {
        GetVolumeInformationW(
            wide_root.as_ptr(),
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
            &mut longest_name,
            &mut flags,
            name.as_mut_ptr(),
            name.len() as u32,
        )
    };
    if done == 0 {
        return Err(last_error("GetVolumeInformationW", &root));
    }
    // SAFETY: the string ends with a NUL and outlives the call.
    let kind = unsafe { GetDriveTypeW(wide_root.as_ptr()) };
    Ok(FileSystem {
        name: from_wide(&name).to_string_lossy().into_owned(),
        flags,
        remote: kind == DRIVE_REMOTE || root.to_string_lossy().starts_with(r"\\?\UNC\"),
        root: plain_if_short(&root)?,
        longest_name,
    })
}

/// Room on the volume of an existing path.
pub fn space_of(path: &Path) -> Result<Space> {
    let target = final_path(path)?;
    let root = volume_root(&target)?;
    let (available, total) = volume::space(&root.to_string_lossy())?;
    Ok(Space { available, total })
}

/// The links, junctions and mount points among `path` and the folders above it, outermost first.
/// What does not exist is skipped.
pub fn reparse_points_on(path: &Path) -> Result<Vec<PathBuf>> {
    let path = plain_if_short(path)?;
    let mut ancestors: Vec<&Path> = path.ancestors().collect();
    ancestors.reverse();
    let is_link = |path: &Path| {
        // True for every tag that stands for another file or volume; a file that is only stored
        // elsewhere (deduplicated, in a cloud) is no link.
        fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
    };
    let links = ancestors.into_iter().filter(|path| is_link(path));
    Ok(links.map(Path::to_owned).collect())
}

/// The path without links, with `\\?\`.
fn final_path(path: &Path) -> Result<PathBuf> {
    const CALL: &str = "GetFinalPathNameByHandleW";
    let path = verbatim(path)?;
    let opened: std::io::Result<File> = OpenOptions::new()
        .access_mode(FILE_READ_ATTRIBUTES)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(&path);
    let opened = opened.map_err(|source| io_error("CreateFileW", &path, &source))?;
    let mut units = vec![0u16; LONGEST_PATH];
    // SAFETY: the handle is open, and the buffer has as many units as said.
    let length = unsafe {
        GetFinalPathNameByHandleW(
            opened.as_raw_handle(),
            units.as_mut_ptr(),
            LONGEST_PATH as u32,
            VOLUME_NAME_DOS,
        )
    };
    match length {
        0 => Err(last_error(CALL, &path)),
        _ => Ok(from_wide(&units).into()),
    }
}

/// The mount point above a path, with a separator at its end.
fn volume_root(path: &Path) -> Result<PathBuf> {
    let wide_path = wide(path);
    let mut units = vec![0u16; LONGEST_PATH];
    // SAFETY: the string ends with a NUL and outlives the call; the buffer has as many units as said.
    let done =
        unsafe { GetVolumePathNameW(wide_path.as_ptr(), units.as_mut_ptr(), LONGEST_PATH as u32) };
    if done == 0 {
        return Err(last_error("GetVolumePathNameW", path));
    }
    Ok(from_wide(&units).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_file_system_and_room() {
        let folder = tempfile::tempdir().unwrap();
        let found = file_system_of(folder.path()).unwrap();
        assert!(
            !found.name.is_empty() && found.longest_name >= 255,
            "{found:?}"
        );
        assert!(found.root.has_root(), "{found:?}");
        let space = space_of(folder.path()).unwrap();
        assert!(space.available > 0 && space.available <= space.total);
        assert!(reparse_points_on(folder.path()).is_ok());
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no");
        assert_eq!(file_system_of(&missing).unwrap_err().win32(), Some(2));
        assert!(space_of(&missing).is_err());
        assert!(reparse_points_on(&missing).is_ok());
    }

    #[test]
    fn a_file_system_without_links_lacks_them() {
        let mut fat = FileSystem {
            name: "FAT32".to_owned(),
            flags: 0x0002_0206,
            root: r"E:\".into(),
            remote: false,
            longest_name: 255,
        };
        assert!(fat.lacks().contains(&"FILE_SUPPORTS_HARD_LINKS"));
        assert!(!fat.lacks().contains(&"FILE_UNICODE_ON_DISK"));
        // NTFS of Windows Server 2022.
        fat.flags = 0x03e7_2eff;
        assert!(fat.lacks().is_empty());
    }
}
