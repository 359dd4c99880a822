//! From a finished layer to a layer tar.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use winlayer_metadata::FileTimes;
use winlayer_sys::{Dir, FileKind, ObjectAccess};

use super::{LayerOptions, absolute, parents};
use crate::{
    Result,
    export::{Exporter, LiveSource, TransportSource, TreeOptions, is_recycle_bin},
    layer_names::LayerNames,
    store::{LAYER_FILE, LAYER_INDEX_FILE, LayerRecord, read_json_file},
    target::{
        folder::{Tombstones, backup_of_path, read_index, read_names},
        hcs::Hcs,
    },
};

const SCRATCH_DISK: &str = "sandbox.vhdx";

/// Writes a layer, or what was changed in a scratch, as a layer tar to `out`, which should be buffered;
/// compressing it is the caller's affair. The same layer gives the same bytes.
///
/// Of the utility VM, what the platform edited is written as the image had it.
///
/// # Errors
///
/// When a parent is missing or not finished, the platform refuses, or an object is of a kind no layer
/// tar can hold.
pub fn export_layer<W: Write>(layer: &Path, options: &LayerOptions, out: W) -> Result<W> {
    let hcs = Hcs::load(options.family)?;
    let layer = absolute(layer)?;
    parents::check(&layer)?;
    let parents = parents::of(&layer, options)?;
    if parents.is_empty() {
        return export_base(&Dir::open_ambient(&layer)?, out);
    }
    let folders = parents;
    let parents = hcs.parents(&folders)?;
    if layer.join(SCRATCH_DISK).exists() {
        // Only a scratch that was mounted once can be exported (hcsshim `ociwclayer/export.go`).
        hcs.calls().mount(&layer, &parents)?;
        let unprepared = hcs.calls().unprepare(&layer);
        hcs.calls().deactivate(&layer)?;
        unprepared?;
    }
    let temporary = Temporary::new()?;
    hcs.calls()
        .export_layer(&layer, &temporary.path(), &parents)?;
    let exported = temporary.parent.open_dir(&temporary.name)?;
    export_diff(&Dir::open_ambient(&layer)?, &exported, &folders, out)
}

/// All else in a base layer is made again when it is imported.
fn export_base<W: Write>(dir: &Dir, out: W) -> Result<W> {
    let mut exporter = Exporter::new(out, &[])?;
    let source = LiveSource { dir };
    let options = TreeOptions {
        skip: &is_recycle_bin,
        ..TreeOptions::default()
    };
    exporter.tree(&source, "Files", &options)?;
    utility_vm(dir, &mut exporter, &|_| false, &|_, times| times)?;
    exporter.finish()
}

fn export_diff<W: Write>(layer: &Dir, exported: &Dir, parents: &[PathBuf], out: W) -> Result<W> {
    let mut deletions = Tombstones::list(exported)?;
    deletions.extend(deleted_in_utility_vm(layer, parents)?);
    let mut exporter = Exporter::new(out, &deletions)?;
    let top = top_times(exported)?;
    let times = |path: &str, times: FileTimes| match (top, path) {
        (Some(top), "Files" | "Hives") => top,
        (_, path) if path.starts_with("Files") => times,
        // The platform does not keep the others.
        _ => FileTimes {
            created: times.written,
            accessed: times.written,
            ..times
        },
    };
    let transport = TransportSource::new(exported);
    let options = TreeOptions {
        skip: &is_recycle_bin,
        times: &times,
        ..TreeOptions::default()
    };
    for tree in ["Files", "Hives"] {
        if exported.stat(tree)?.is_some() {
            exporter.tree(&transport, tree, &options)?;
        }
    }
    // The utility VM is real objects; the platform's export may leave it out.
    if has_utility_vm(exported)? {
        utility_vm(exported, &mut exporter, &|_| false, &times)?;
    } else {
        let cloned = cloned_objects(layer)?;
        utility_vm(layer, &mut exporter, &|path| cloned.hide(path), &times)?;
    }
    exporter.finish()
}

fn has_utility_vm(dir: &Dir) -> Result<bool> {
    Ok(dir.stat("UtilityVM")?.is_some() && dir.stat("UtilityVM/Files")?.is_some())
}

fn utility_vm<W: Write>(
    dir: &Dir,
    exporter: &mut Exporter<W>,
    skip: &dyn Fn(&str) -> bool,
    times: &dyn Fn(&str, FileTimes) -> FileTimes,
) -> Result<()> {
    if !has_utility_vm(dir)? {
        return Ok(());
    }
    let source = LiveSource { dir };
    let options = TreeOptions {
        skip,
        instead: &backup_of_path,
        times,
    };
    exporter.entry(&source, "UtilityVM", FileKind::Directory, &options)?;
    exporter.tree(&source, "UtilityVM/Files", &options)
}

/// What the layer's utility VM lacks of the one it was cloned from; the platform does not tell.
fn deleted_in_utility_vm(layer: &Dir, parents: &[PathBuf]) -> Result<Vec<String>> {
    let record: Option<LayerRecord> = read_json_file(&layer.path().join(LAYER_FILE))?;
    let Some(from) = record.and_then(|record| record.utility_vm_from) else {
        return Ok(Vec::new());
    };
    for parent in parents {
        let record: Option<LayerRecord> = read_json_file(&parent.join(LAYER_FILE))?;
        if record.is_none_or(|record| record.chain_id != from) {
            continue;
        }
        let theirs = read_names(&Dir::open_ambient(parent)?)?;
        return Ok(missing(&theirs, &read_names(layer)?));
    }
    Ok(Vec::new())
}

/// The outermost names of the utility VM that `ours` lacks.
fn missing(theirs: &LayerNames, ours: &LayerNames) -> Vec<String> {
    let mut missing = Vec::new();
    let mut open: Vec<_> = theirs.find("UtilityVM/Files").into_iter().collect();
    while let Some(node) = open.pop() {
        for child in theirs.children(node) {
            let path = theirs.path(child);
            match ours.find(&path).is_some() {
                true => open.push(child),
                false => missing.push(path),
            }
        }
    }
    missing
}

/// Files of the utility VM that came from a layer below. Directories are kept: what is in them may be
/// the layer's own.
fn cloned_objects(layer: &Dir) -> Result<Tombstones> {
    let mut cloned = Vec::new();
    if layer.stat(LAYER_INDEX_FILE)?.is_some() {
        read_index(layer, |line| {
            if line.cloned && line.kind != crate::target::folder::LineKind::Directory {
                cloned.push(line.path.into_owned());
            }
            Ok(())
        })?;
    }
    Tombstones::from_paths(&cloned)
}

/// The platform gives `Files` and `Hives` new times in every export; those of this hive stay
/// (hcsshim `legacy.go`, `Next`).
fn top_times(exported: &Dir) -> Result<Option<FileTimes>> {
    const SYSTEM: &str = "Hives/System_Delta";
    if exported.stat("Hives")?.is_none() || exported.stat(SYSTEM)?.is_none() {
        return Ok(None);
    }
    let written = exported
        .open_object(SYSTEM, ObjectAccess::Attributes)?
        .basic_info()?
        .written;
    Ok(Some(FileTimes {
        created: written,
        accessed: written,
        written,
        changed: written,
    }))
}

/// An empty folder for the platform to export to; its path is short.
struct Temporary {
    parent: Dir,
    name: String,
}

impl Temporary {
    fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = Dir::open_ambient(&std::env::temp_dir())?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("winlayer{}-{number}", std::process::id());
        parent.remove_all(&name)?;
        parent.create_dir(&name)?;
        Ok(Self { parent, name })
    }

    fn path(&self) -> PathBuf {
        self.parent.path().join(&self.name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // In the folder for temporary files, where the system tidies up too.
        let _ = self.parent.remove_all(&self.name);
    }
}
