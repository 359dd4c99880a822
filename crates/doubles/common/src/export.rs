//! ExportLayer: the transport format of an imported layer, or of what was written to a scratch.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::call::{Call, Failure};
use crate::codes::{ALREADY_EXISTS, INVALID_ARGUMENT, INVALID_STATE, PATH_NOT_FOUND};
use crate::merged::{children, listing, resolve};
use crate::transport::{sidecar, stage};
use crate::{objects, scratch};

/// The rules of an export: an empty folder, and a scratch that was prepared once and is not now.
pub fn check_export(call: &mut Call, layer: &Path, folder: &Path) {
    call.rule(layer.is_dir(), PATH_NOT_FOUND, "the layer is not there");
    call.rule(
        folder.is_dir(),
        PATH_NOT_FOUND,
        "the folder to write to is not there",
    );
    call.rule(
        listing(folder).is_empty(),
        ALREADY_EXISTS,
        "the folder to write to is not empty",
    );
    let inside = folder.starts_with(layer) || layer.starts_with(folder);
    call.rule(
        !inside,
        INVALID_ARGUMENT,
        "layer and folder are not two folders",
    );
    if scratch::sandbox(layer).exists() {
        let volume = scratch::volume(layer);
        call.rule(
            scratch::is_initialised(&volume),
            INVALID_STATE,
            "the scratch was never prepared, so it is not initialised",
        );
        call.rule(
            !scratch::is_prepared(layer),
            INVALID_STATE,
            "the scratch is still prepared",
        );
    } else if !scratch::is_volume(layer) {
        call.rule(
            layer.join("Files").is_dir(),
            PATH_NOT_FOUND,
            "neither a layer nor a scratch",
        );
    }
}

struct Export<'a> {
    parents: &'a [PathBuf],
    /// Only what differs from the layers below is written.
    of_scratch: bool,
    tombstones: String,
}

/// Writes the transport format of `layer` to `folder`.
///
/// # Errors
///
/// Of the file system.
pub fn export(layer: &Path, folder: &Path, parents: &[PathBuf]) -> Result<(), Failure> {
    let of_scratch = scratch::sandbox(layer).exists() || scratch::is_volume(layer);
    let root = match of_scratch {
        true if scratch::is_volume(layer) => layer.to_owned(),
        true => scratch::volume(layer),
        false => layer.join("Files"),
    };
    let mut export = Export {
        parents,
        of_scratch,
        tombstones: "\u{feff}Version 1.0\n".to_owned(),
    };
    let files = folder.join("Files");
    fs::create_dir(&files)?;
    export.directory(&root, &files, Path::new(""))?;
    fs::write(folder.join("tombstones.txt"), &export.tombstones)?;
    let hives = folder.join("Hives");
    fs::create_dir(&hives)?;
    for name in ["System", "Software", "Sam", "Security", "DefaultUser"] {
        let delta = format!("{name}_Delta");
        let own = listing(&layer.join("Hives")).remove(&delta.to_lowercase());
        match own {
            Some(own) => drop(fs::copy(own, hives.join(delta))?),
            None if of_scratch => {
                fs::write(hives.join(delta), [&b"regf"[..], &[0; 4092]].concat())?
            }
            None => {}
        }
    }
    Ok(())
}

impl Export<'_> {
    /// Whether anything was written or deleted in this directory.
    fn directory(&mut self, from: &Path, to: &Path, relative: &Path) -> Result<bool, Failure> {
        let own = listing(from);
        let mut changed = false;
        for (name, below) in children(self.parents, relative) {
            if !own.contains_key(&name) {
                let path = relative.join(below.file_name().unwrap_or_default());
                self.tombstones.push_str(&format!("\\{}\n", path.display()));
                changed = true;
            }
        }
        for path in own.values().filter(|path| !objects::is_placeholder(path)) {
            let name = path.file_name().unwrap_or_default();
            changed |= self.object(path, &to.join(name), &relative.join(name))?;
        }
        Ok(changed)
    }

    fn object(&mut self, from: &Path, to: &Path, relative: &Path) -> Result<bool, Failure> {
        let below = resolve(self.parents, relative).filter(|_| self.of_scratch);
        if !from.is_dir() {
            if below.is_some_and(|below| is_same(from, &below)) {
                return Ok(false);
            }
            stage(from, to)?;
            return Ok(true);
        }
        let link = objects::is_link(from);
        fs::create_dir(to)?;
        let inside = !link && self.directory(from, to, relative)?;
        let known = below.is_some_and(|below| below.is_dir() && objects::is_link(&below) == link);
        if known && !inside {
            fs::remove_dir(to)?;
            return Ok(false);
        }
        stage(from, &sidecar(to))?;
        Ok(true)
    }
}

/// Whether two files have the same content.
fn is_same(left: &Path, right: &Path) -> bool {
    let compare = || -> std::io::Result<bool> {
        let (left, right) = (fs::File::open(left)?, fs::File::open(right)?);
        if left.metadata()?.len() != right.metadata()?.len() {
            return Ok(false);
        }
        let mut right = std::io::BufReader::new(right).bytes();
        for byte in std::io::BufReader::new(left).bytes() {
            if right.next().transpose()? != Some(byte?) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    right.is_file() && compare().unwrap_or_default()
}
