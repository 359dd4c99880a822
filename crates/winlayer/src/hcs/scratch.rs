//! Scratches: the writable layer of a container.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{LayerOptions, absolute, parents};
use crate::{
    ChainLink, Error, HcsFamily, LayerChain, Result, locate_uvm_boot_files,
    store::{LAYER_CHAIN_FILE, to_json},
    target::hcs::Hcs,
};

/// How a scratch is made.
#[derive(Clone, Debug, Default)]
pub struct ScratchOptions {
    /// The layers it lies on, immediate parent first. Never empty.
    pub parents: Vec<PathBuf>,
    /// How many bytes it may grow to; 20 GB when not given.
    pub bytes: Option<u64>,
    /// Makes the scratch of a utility VM too: `vm\sandbox.vhdx`, a copy of the template of the topmost
    /// layer that has a utility VM.
    pub utility_vm: bool,
    /// The calls to use.
    pub family: HcsFamily,
}

/// Makes a scratch in `folder`, which must not exist or be empty. Its parents are recorded in its
/// `layerchain.json`.
///
/// # Errors
///
/// When `folder` has contents, a parent is no finished layer, there is no processed utility VM but one
/// is asked for, or the platform refuses; nothing of the scratch stays then.
pub fn create_scratch(folder: &Path, options: &ScratchOptions) -> Result<()> {
    let hcs = Hcs::load(options.family)?;
    let folder = absolute(folder)?;
    let given = LayerOptions {
        parents: Some(options.parents.clone()),
        family: options.family,
    };
    let parents = parents::of(&folder, &given)?;
    if parents.is_empty() {
        let what = "a scratch needs the layers it lies on";
        return Err(Error::refused(
            what,
            "name the topmost layer, or all of them",
        ));
    }
    let template = match options.utility_vm {
        true => Some(template(&parents)?),
        false => None,
    };
    let failed = |error| Error::io(format!("create {}", folder.display()), error);
    fs::create_dir_all(&folder).map_err(failed)?;
    if fs::read_dir(&folder).map_err(failed)?.next().is_some() {
        let what = format!("{} is not empty", folder.display());
        return Err(Error::refused(what, "choose a new folder"));
    }
    let made = make(&hcs, &folder, &parents, options.bytes, template.as_deref());
    if made.is_err() {
        hcs.destroy(&folder);
        let _ = fs::remove_dir_all(&folder);
    }
    made
}

fn make(
    hcs: &Hcs,
    folder: &Path,
    parents: &[PathBuf],
    bytes: Option<u64>,
    template: Option<&Path>,
) -> Result<()> {
    let layers = hcs.parents(parents)?;
    hcs.calls().create_scratch(folder, &layers)?;
    if let Some(bytes) = bytes {
        hcs.calls().expand_scratch(folder, bytes, &layers)?;
    }
    if let Some(template) = template {
        let vm = folder.join("vm");
        let copy = vm.join("sandbox.vhdx");
        // The system's copy leaves the holes of the disk unwritten.
        let copied = fs::create_dir(&vm).and_then(|()| fs::copy(template, &copy));
        copied.map_err(|error| Error::io(format!("write {}", copy.display()), error))?;
    }
    let chain = folder.join(LAYER_CHAIN_FILE);
    let written = fs::write(&chain, to_json(&parents)?);
    written.map_err(|error| Error::io(format!("write {}", chain.display()), error))
}

fn template(parents: &[PathBuf]) -> Result<PathBuf> {
    let link = |path: &PathBuf| ChainLink {
        id: String::new(),
        path: path.clone(),
    };
    let chain = LayerChain {
        layers: parents.iter().map(link).collect(),
    };
    let boot = locate_uvm_boot_files(&chain)?;
    let layer = boot.uvm_layer_dir;
    boot.system_template_vhdx.ok_or_else(|| {
        let what = format!("{} has no template disk", layer.display());
        Error::not_found(what)
    })
}

/// Mounts a scratch; gives the path of its volume, `\\?\Volume{…}\`, where the merged view is seen.
///
/// # Errors
///
/// When a parent is missing or not finished, or the platform refuses; then nothing stays mounted.
pub fn mount(folder: &Path, options: &LayerOptions) -> Result<String> {
    let hcs = Hcs::load(options.family)?;
    let folder = absolute(folder)?;
    parents::check(&folder)?;
    let parents = hcs.parents(&parents::of(&folder, options)?)?;
    Ok(hcs.calls().mount(&folder, &parents)?)
}

/// Undoes [`mount`].
///
/// # Errors
///
/// When the platform refuses. The disk is detached even if the filter could not be.
pub fn unmount(folder: &Path, family: HcsFamily) -> Result<()> {
    let hcs = Hcs::load(family)?;
    let folder = absolute(folder)?;
    let unprepared = hcs.calls().unprepare(&folder);
    hcs.calls().deactivate(&folder)?;
    Ok(unprepared?)
}
