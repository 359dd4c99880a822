//! Finished Windows layers: importing, exporting, mounting and removing them. Only on Windows.
//!
//! | call | does | wclayer's name |
//! | --- | --- | --- |
//! | [`import_folder`] | a folder made by `--to folder` on any system, with its parents, into a store | import |
//! | [`import_tar`] | a layer tar, plain, gzip or zstd, onto finished parents in a store | import |
//! | [`export_layer`] | a layer or a used scratch to a layer tar | export |
//! | [`create_scratch`] | the writable layer of a container, and of a utility VM | create |
//! | [`mount`], [`unmount`] | the merged view of a scratch | mount, unmount |
//! | [`destroy`] | removes a layer or a scratch | remove |
//! | [`make_base`] | a folder with `Files` becomes a base layer | makebaselayer |
//!
//! Lists of parents begin with the immediate parent and end with the base. Where they are not given
//! they are read from the folder's `layerchain.json`. A layer whose making was interrupted is refused
//! everywhere.
//!
//! The calls switch on the privileges Backup, Restore and Security for the whole process while they
//! run; an account that does not hold them gets an error that says so.

mod export;
mod import;
mod import_tar;
mod parents;
mod scratch;

use std::path::{Path, PathBuf};

pub use export::export_layer;
pub use import::{ImportedLayers, import_folder};
pub use import_tar::{ImportedTar, LayerTar, TarOptions, import_tar};
pub use scratch::{ScratchOptions, create_scratch, mount, unmount};

use winlayer_hive::HiveTree;
use winlayer_sys::Dir;

use crate::{Error, HcsFamily, LayerStore, Result, StoreKind, error::Problem, target::hcs::Hcs};

/// What most calls here need to know.
#[derive(Clone, Debug, Default)]
pub struct LayerOptions {
    /// The parents, immediate parent first; read from the folder when not given.
    pub parents: Option<Vec<PathBuf>>,
    /// The calls to use.
    pub family: HcsFamily,
}

/// The hives the platform wants to find in a base layer (hcsshim `converttobaselayer.go`).
const HIVES: [&str; 5] = ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"];

const CONFIG: &str = "Files/Windows/System32/config";

/// ERROR_ACCESS_DENIED, and ERROR_SHARING_VIOLATION: somebody has the layer's disk.
const IN_USE: [u32; 2] = [5, 32];

/// Makes a base layer of `folder`, which holds `Files` and, if the layer shall have a utility VM,
/// `UtilityVM\Files`. Registry hives that are missing are made, empty; those that are there stay.
///
/// # Errors
///
/// When there is no `Files`, or the platform refuses.
pub fn make_base(folder: &Path, family: HcsFamily) -> Result<()> {
    let hcs = Hcs::load(family)?;
    let folder = absolute(folder)?;
    let dir = Dir::open_ambient(&folder)?;
    if dir.stat("Files")?.is_none() {
        let what = format!("{} has no Files directory", folder.display());
        return Err(Error::not_found(what));
    }
    dir.create_dir_all(CONFIG)?;
    for name in HIVES {
        let path = format!("{CONFIG}/{name}");
        if dir.stat(&path)?.is_some() {
            continue;
        }
        let failed = |error| Error::io(format!("write {path}"), error);
        let hive = HiveTree::new(name).to_bytes();
        let hive = hive.map_err(|error| failed(std::io::Error::other(error)))?;
        std::io::Write::write_all(&mut dir.create_file(&path)?, &hive).map_err(failed)?;
    }
    drop(dir);
    hcs.calls().process_base_image(&folder)?;
    hcs.utility_vm(&folder, &Dir::open_ambient(&folder)?)
}

/// Removes a layer or a scratch with all it holds, mounted or not.
///
/// # Errors
///
/// When the folder does not exist, is a layer of a store that other layers lie on, or cannot be
/// removed.
pub fn destroy(folder: &Path, family: HcsFamily) -> Result<()> {
    let hcs = Hcs::load(family)?;
    let folder = absolute(folder)?;
    if !folder.is_dir() {
        return Err(Error::not_found(format!(
            "{} does not exist",
            folder.display()
        )));
    }
    nothing_lies_on(&folder)?;
    let record = folder.join(crate::store::LAYER_FILE);
    if record.exists() {
        // What is half removed must not pass for a layer.
        let removed = std::fs::remove_file(&record);
        removed.map_err(|error| Error::io(format!("remove {}", record.display()), error))?;
    }
    if let Err(error) = hcs.calls().destroy_layer(&folder) {
        if !error.win32().is_some_and(|code| IN_USE.contains(&code)) {
            return Err(error.into());
        }
        let _ = hcs.calls().deactivate(&folder);
        hcs.calls().destroy_layer(&folder)?;
    }
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Ok(());
    };
    Ok(Dir::open_ambient(parent)?.remove_all(&name.to_string_lossy())?)
}

/// Refuses to remove a layer of a store that another one needs.
fn nothing_lies_on(folder: &Path) -> Result<()> {
    let store = folder.parent().and_then(Path::parent);
    let Some(Ok(store)) = store.map(LayerStore::open) else {
        return Ok(());
    };
    if store.kind() != StoreKind::Hcs {
        return Ok(());
    }
    let name = folder.file_name().unwrap_or_default().to_ascii_lowercase();
    let own = format!("sha256:{}", name.to_string_lossy());
    for id in store.layer_ids()? {
        if store.layer_record(id)?.parent_chain_id.as_ref() == Some(&own) {
            let what = format!("layer {id} lies on {}", folder.display());
            return Err(Error::refused(what, "remove the layers above it first"));
        }
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| {
        Problem::Io {
            action: format!("find {}", path.display()),
            source: error,
        }
        .into()
    })
}
