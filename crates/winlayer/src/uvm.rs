//! Where the utility VM of an image boots from.
//!
//! Hyper-V isolation boots a small Windows out of the image itself. As in hcsshim
//! (`internal/uvmfolder`), the topmost layer with a `UtilityVM` wins, because such a layer holds the
//! complete tree; layers are never combined for it. Unlike hcsshim, everything the boot needs is
//! checked here, where the message can still say what is missing.

mod boot;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use winlayer_metadata::Upcase;

pub use self::boot::UvmBootEntry;
use crate::{Error, LayerChain, Result, target::disk::LAYER_DISK};

const BOOT_DIRECTORY: [&str; 3] = ["EFI", "Microsoft", "Boot"];
const BOOT_MANAGER: &str = "bootmgfw.efi";
const BOOT_CONFIGURATION: &str = "BCD";
const BOOT_REL_PATH: &str = r"\EFI\Microsoft\Boot\bootmgfw.efi";
const TEMPLATE: &str = "SystemTemplate.vhdx";

/// What a utility VM is created from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UvmBootFiles {
    /// The layer folder that has the utility VM.
    pub uvm_layer_dir: PathBuf,
    /// The VM's operating system, `UtilityVM\Files`: the path of the VM's `os` share.
    pub os_files_dir: PathBuf,
    /// The disk to copy for each VM's scratch; absent until Windows has processed the layer.
    pub system_template_vhdx: Option<PathBuf>,
    /// The boot manager below `os_files_dir` as UEFI wants it: `\EFI\Microsoft\Boot\bootmgfw.efi`.
    pub boot_rel_path: String,
}

/// Why there is no utility VM to boot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UvmProblem {
    #[error("no layer has a utility VM; folders tried: {}", list(.tried))]
    None { tried: Vec<PathBuf> },
    #[error("{} must be a directory, found {found}", path.display())]
    NotADirectory { path: PathBuf, found: &'static str },
    #[error("utility VM of layer folder {} has no Files directory", layer.display())]
    NoFiles { layer: PathBuf },
    #[error(
        "utility VM of layer folder {} has no boot manager {BOOT_REL_PATH}", layer.display()
    )]
    NoBootManager { layer: PathBuf },
    #[error(
        "utility VM of layer folder {} has no boot configuration \\EFI\\Microsoft\\Boot\\BCD",
        layer.display()
    )]
    NoBootConfiguration { layer: PathBuf },
    #[error("{} must be a file, found {found}", path.display())]
    NotAFile { path: PathBuf, found: &'static str },
    #[error("utility VM of layer folder {} has no {TEMPLATE}", layer.display())]
    NoTemplate { layer: PathBuf },
}

impl UvmProblem {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::None { .. } => Some("this image supports process isolation only"),
            Self::NoTemplate { .. } => {
                Some("let Windows process the layer first (ProcessUtilityVMImage)")
            }
            Self::NotADirectory { .. } | Self::NotAFile { .. } => {
                Some("the layer folder was changed after unpacking; unpack it again")
            }
            Self::NoFiles { .. }
            | Self::NoBootManager { .. }
            | Self::NoBootConfiguration { .. } => {
                Some("the image's utility VM is incomplete and cannot boot")
            }
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None { .. })
    }

    /// A link where the platform would follow it.
    pub(crate) fn is_unsafe(&self) -> bool {
        matches!(self, Self::NotADirectory { .. } | Self::NotAFile { .. })
    }
}

fn list(folders: &[PathBuf]) -> String {
    let folders: Vec<String> = folders
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    folders.join(", ")
}

/// Finds the boot files of a chain whose utility VM Windows has processed.
///
/// # Errors
///
/// Each missing piece has its own message: no `UtilityVM` in any layer (kind `NotFound`), no `Files`
/// below it, no boot manager, no BCD, no `SystemTemplate.vhdx`. A link or a file in place of one of
/// the directories is kind `Unsafe`.
pub fn locate_uvm_boot_files(chain: &LayerChain) -> Result<UvmBootFiles> {
    let found = locate_unprocessed_uvm_boot_files(chain)?;
    if found.system_template_vhdx.is_none() {
        return Err(UvmProblem::NoTemplate {
            layer: found.uvm_layer_dir,
        }
        .into());
    }
    Ok(found)
}

/// As [`locate_uvm_boot_files`], but a missing `SystemTemplate.vhdx` is not an error: the layers were
/// unpacked and not yet processed by Windows.
///
/// # Errors
///
/// As [`locate_uvm_boot_files`].
pub fn locate_unprocessed_uvm_boot_files(chain: &LayerChain) -> Result<UvmBootFiles> {
    for layer in &chain.layers {
        if layer.path.join(LAYER_DISK).exists() {
            let what = format!("{} is a disk, and holds Files only", layer.path.display());
            let hint = "unpack the image with --to folder for its utility VM";
            return Err(Error::refused(what, hint));
        }
        let utility_vm = layer.path.join("UtilityVM");
        if what_is_at(&utility_vm)?.is_some() {
            return boot_files(&layer.path, &utility_vm);
        }
    }
    let tried = chain
        .layers
        .iter()
        .map(|layer| layer.path.clone())
        .collect();
    Err(UvmProblem::None { tried }.into())
}

fn boot_files(layer: &Path, utility_vm: &Path) -> Result<UvmBootFiles> {
    let layer = || layer.to_path_buf();
    directory(utility_vm)?;
    let os_files_dir = utility_vm.join("Files");
    if !directory(&os_files_dir)? {
        return Err(UvmProblem::NoFiles { layer: layer() }.into());
    }
    let boot_directory = boot_directory(&os_files_dir)?;
    let has = |name| match &boot_directory {
        Some(directory) => file(&any_case(directory, name)?),
        None => Ok(false),
    };
    if !has(BOOT_MANAGER)? {
        return Err(UvmProblem::NoBootManager { layer: layer() }.into());
    }
    if !has(BOOT_CONFIGURATION)? {
        return Err(UvmProblem::NoBootConfiguration { layer: layer() }.into());
    }
    let template = utility_vm.join(TEMPLATE);
    Ok(UvmBootFiles {
        uvm_layer_dir: layer(),
        os_files_dir,
        system_template_vhdx: file(&template)?.then_some(template),
        boot_rel_path: BOOT_REL_PATH.into(),
    })
}

fn boot_directory(os_files: &Path) -> Result<Option<PathBuf>> {
    let mut path = os_files.to_path_buf();
    for name in BOOT_DIRECTORY {
        path = any_case(&path, name)?;
        if !directory(&path)? {
            return Ok(None);
        }
    }
    Ok(Some(path))
}

/// True for a real directory, false for nothing; anything else is an error.
fn directory(path: &Path) -> Result<bool> {
    match what_is_at(path)? {
        Some("a directory") => Ok(true),
        Some(found) => Err(UvmProblem::NotADirectory {
            path: path.into(),
            found,
        }
        .into()),
        None => Ok(false),
    }
}

fn file(path: &Path) -> Result<bool> {
    match what_is_at(path)? {
        Some("a file") => Ok(true),
        Some(found) => Err(UvmProblem::NotAFile {
            path: path.into(),
            found,
        }
        .into()),
        None => Ok(false),
    }
}

/// Never follows a link at `path` itself.
fn what_is_at(path: &Path) -> Result<Option<&'static str>> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Ok(Some("a directory")),
        Ok(found) if found.is_file() => Ok(Some("a file")),
        Ok(found) if found.is_symlink() => Ok(Some("a link")),
        Ok(_) => Ok(Some("a special file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("look at {}", path.display()), error)),
    }
}

/// The child of `directory` with this name in any case; the name itself when there is none.
fn any_case(directory: &Path, name: &str) -> Result<PathBuf> {
    let exact = directory.join(name);
    if what_is_at(&exact)?.is_some() {
        return Ok(exact);
    }
    let failed = |error| Error::io(format!("list {}", directory.display()), error);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry
            .file_name()
            .to_str()
            .is_some_and(|found| Upcase::eq(found, name))
        {
            return Ok(entry.path());
        }
    }
    Ok(exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChainLink, ErrorKind};

    fn chain(folders: &[&Path]) -> LayerChain {
        let link = |path: &&Path| ChainLink {
            id: String::new(),
            path: path.to_path_buf(),
        };
        LayerChain {
            layers: folders.iter().map(link).collect(),
        }
    }

    fn utility_vm(layer: &Path) {
        let boot = layer.join("UtilityVM/Files/efi/Microsoft/Boot");
        fs::create_dir_all(&boot).unwrap();
        fs::write(boot.join("bootmgfw.efi"), "").unwrap();
        fs::write(boot.join("bcd"), "").unwrap();
        fs::write(layer.join("UtilityVM/SystemTemplate.vhdx"), "").unwrap();
    }

    #[test]
    fn the_topmost_utility_vm_wins() {
        let [top, middle, base] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        utility_vm(middle.path());
        utility_vm(base.path());
        let chain = chain(&[top.path(), middle.path(), base.path()]);
        let found = locate_uvm_boot_files(&chain).unwrap();
        assert_eq!(found.uvm_layer_dir, middle.path());
        assert_eq!(found.os_files_dir, middle.path().join("UtilityVM/Files"));
        assert_eq!(found.boot_rel_path, r"\EFI\Microsoft\Boot\bootmgfw.efi");
        assert_eq!(
            found.system_template_vhdx,
            Some(middle.path().join("UtilityVM/SystemTemplate.vhdx"))
        );
    }

    #[test]
    fn every_missing_piece_has_its_own_error() {
        let layer = tempfile::tempdir().unwrap();
        let layer = layer.path();
        let chain = chain(&[layer]);
        let problem = || locate_uvm_boot_files(&chain).unwrap_err();
        assert_eq!(problem().kind(), ErrorKind::NotFound);
        assert!(problem().to_string().contains("no layer has a utility VM"));
        utility_vm(layer);
        let mut messages = Vec::new();
        for piece in [
            "UtilityVM/SystemTemplate.vhdx",
            "UtilityVM/Files/efi/Microsoft/Boot/bcd",
            "UtilityVM/Files/efi/Microsoft/Boot/bootmgfw.efi",
        ] {
            fs::remove_file(layer.join(piece)).unwrap();
            messages.push(problem().to_string());
        }
        fs::remove_dir_all(layer.join("UtilityVM/Files")).unwrap();
        messages.push(problem().to_string());
        let expected = [
            "no SystemTemplate.vhdx",
            "no boot configuration",
            "no boot manager",
            "no Files",
        ];
        for (message, expected) in messages.iter().zip(expected) {
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_layer_not_yet_processed_has_no_template() {
        let layer = tempfile::tempdir().unwrap();
        utility_vm(layer.path());
        fs::remove_file(layer.path().join("UtilityVM/SystemTemplate.vhdx")).unwrap();
        let found = locate_unprocessed_uvm_boot_files(&chain(&[layer.path()])).unwrap();
        assert_eq!(found.system_template_vhdx, None);
    }

    #[cfg(unix)]
    #[test]
    fn refuses_a_link_or_a_file_in_place_of_the_utility_vm() {
        let [layer, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        utility_vm(elsewhere.path());
        let path = layer.path().join("UtilityVM");
        std::os::unix::fs::symlink(elsewhere.path().join("UtilityVM"), &path).unwrap();
        let chain = chain(&[layer.path()]);
        let refused = || locate_uvm_boot_files(&chain).unwrap_err();
        assert_eq!(refused().kind(), ErrorKind::Unsafe);
        assert!(refused().to_string().ends_with("found a link"));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(refused().to_string().ends_with("found a file"));
    }
}
