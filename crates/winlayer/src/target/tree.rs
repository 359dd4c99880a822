//! `--to tree`: the merged file system of an image as plain files.
//!
//! The tree is built in a [`Staging`] directory beside its destination and renamed when every layer
//! has been read to its end and verified. A killed process leaves only that directory, which the
//! next start removes. The files are not flushed to the disk first: after a power cut look at the
//! tree with `verify` or unpack again.
//!
//! Files get mode 0644 and directories 0755 (less the umask); the last-write and last-access times
//! are kept. Registry deltas are merged into the hives. Links become relative symbolic links inside the tree. All else that Windows knows of an
//! object goes to the metadata file, one [`Record`] a line, in the order of a sorted depth-first walk.

mod handles;
mod record;
mod spool;
mod staging;
mod symlink;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::{
    io::{BufWriter, Write},
    path::Path,
};

use winlayer_image::Image;

pub use self::verify::verify_tree;
use self::{
    handles::Handles,
    record::Record,
    spool::Spool,
    writer::{TreeWriter, spool_failed, unix_time},
};
pub(crate) use self::{record::link_kind, staging::Staging};
use crate::{
    Error, Result, UnpackOptions,
    merge::{
        ImageLayers, Keep, Kind, LayerNumber, Layers, Merge, ReadLayer, Selection, merge_layers,
    },
    names::NodeId,
    registry::merged::MergedHives,
    report::Outcome,
};

/// Names inside the staging directory.
const TREE: &str = "tree";
const SPOOL: &str = "metadata.spool";
const METADATA: &str = "metadata.jsonl";

/// Unpacks the merged view of `image` to `root`, which must be missing or an empty directory.
pub(crate) fn unpack(
    image: &Image,
    root: &Path,
    metadata: Option<&Path>,
    utility_vm: bool,
    options: &UnpackOptions,
) -> Result<Outcome> {
    let root = free_destination(root)?;
    let staging = Staging::beside(&root)?;
    let layers = ImageLayers::new(image, &options.limits, options.observer.as_deref())
        .keeping_blobs_in(staging.path(), Keep::UntilMerged);
    let selection = match utility_vm {
        true => Selection::UtilityVmFiles,
        false => Selection::Files,
    };
    let merge = layers.merge(selection)?;
    let (read, warnings) = build(&layers, merge, selection, &staging, metadata)?;
    Ok(Outcome {
        layers: layers.report(&read),
        warnings,
    })
}

/// Merges all layers to a tree at `root`, as [`unpack`] does; gives what was read, and warnings.
pub(crate) fn unpack_layers(
    layers: &dyn Layers,
    merge: Merge,
    root: &Path,
    metadata: Option<&Path>,
) -> Result<(Vec<ReadLayer>, Vec<String>)> {
    let staging = Staging::beside(&free_destination(root)?)?;
    build(layers, merge, Selection::Files, &staging, metadata)
}

/// Merges `layers` in `staging` and publishes the tree and its metadata.
fn build(
    layers: &dyn Layers,
    mut merge: Merge,
    selection: Selection,
    staging: &Staging,
    metadata: Option<&Path>,
) -> Result<(Vec<ReadLayer>, Vec<String>)> {
    let metadata_staging = metadata.map(Staging::beside).transpose()?;
    let root_path = match selection {
        Selection::UtilityVmFiles => "UtilityVM/Files",
        _ => "Files",
    };
    let spool = match metadata_staging {
        Some(_) => Some(Spool::new(staging.dir().create_file(SPOOL)?)),
        None => None,
    };
    staging.dir().create_dir(TREE)?;
    let handles = Handles::new(staging.dir().open_dir(TREE)?, root_path);
    let mut writer = TreeWriter::new(handles, spool);

    let mut hive_warnings = Vec::new();
    let read = match selection {
        // Deltas are about the container's registry, never the utility VM's.
        Selection::UtilityVmFiles => merge_layers(layers, &mut merge, &mut writer)?,
        _ => {
            let mut hives = MergedHives::new(&mut writer);
            let read = merge_layers(layers, &mut merge, &mut hives)?;
            hive_warnings = hives.finish();
            read
        }
    };
    let top = find_root(&merge, root_path)?;
    let sorted = merge.sorted_from(top);
    writer.finish(&merge, top, &sorted)?;
    let mut warnings = layer_warnings(LayerNumber::BASE, &read);
    warnings.append(&mut merge.warnings());
    warnings.append(&mut hive_warnings);
    warnings.append(&mut writer.warnings());

    if let Some(metadata) = &metadata_staging {
        let file = metadata.dir().create_file(METADATA)?;
        write_metadata(&merge, &mut writer, &sorted, file)?;
    }
    let times = writer.root_times(top);
    // With its directories open, Windows would not rename the tree.
    drop(writer);
    let (accessed, written) = (unix_time(times.accessed), unix_time(times.written));
    staging.dir().set_times(TREE, accessed, written)?;
    // The metadata first: a file without its tree misleads nobody, the next run replaces it.
    if let Some(metadata) = &metadata_staging {
        metadata.publish(METADATA)?;
    }
    staging.publish(TREE)?;
    Ok((read, warnings))
}

/// The place the tree may take, with links on the way to it resolved.
fn free_destination(root: &Path) -> Result<std::path::PathBuf> {
    let failed = |source| Error::io(format!("look at \"{}\"", root.display()), source);
    let root = match root.canonicalize() {
        Ok(root) => root,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(root.to_owned()),
        Err(error) => return Err(failed(error)),
    };
    let mut entries = root.read_dir().map_err(failed)?;
    match entries.next() {
        None => Ok(root),
        Some(_) => {
            let what = format!("\"{}\" exists and is not empty", root.display());
            Err(Error::refused(
                what,
                "choose another destination or remove what is there",
            ))
        }
    }
}

fn find_root(merge: &Merge, root_path: &str) -> Result<NodeId> {
    let found = merge.names().find(root_path);
    found
        .filter(|&root| merge.state(root).wanted)
        .ok_or_else(|| {
            Error::not_found(format!(
                "no layer of the image has the directory \"{root_path}\""
            ))
        })
}

/// Warnings of the layers' readers with the layer's number; `first` is the first layer's.
pub(crate) fn layer_warnings(first: LayerNumber, read: &[ReadLayer]) -> Vec<String> {
    let numbered = (first.get()..).zip(read);
    let warnings = numbered.flat_map(|(number, layer)| {
        let warnings = layer.summary.warnings.iter();
        warnings.map(move |warning| format!("layer {number}: {warning}"))
    });
    warnings.collect()
}

/// Writes one line for each object, in the order of `sorted`.
fn write_metadata(
    merge: &Merge,
    writer: &mut TreeWriter,
    sorted: &[NodeId],
    file: std::fs::File,
) -> Result<()> {
    let Some(spool) = writer.spool.take() else {
        return Ok(());
    };
    let mut lines = spool.finish().map_err(spool_failed)?;
    let mut out = BufWriter::with_capacity(1 << 18, file);
    let mut line = Vec::new();
    for &node in sorted {
        if !lines.copy(node, &mut line).map_err(spool_failed)? {
            let record = other_record(merge, writer, node);
            line.clear();
            serde_json::to_writer(&mut line, &record)
                .map_err(|error| spool_failed(error.into()))?;
            line.push(b'\n');
        }
        out.write_all(&line).map_err(spool_failed)?;
    }
    out.flush().map_err(spool_failed)
}

/// The line of an object that no entry describes by itself.
fn other_record(merge: &Merge, writer: &mut TreeWriter, node: NodeId) -> Record {
    let state = merge.state(node);
    let path = writer.record_path(merge, node);
    match state.primary {
        Some(primary) => {
            let kind = match merge.state(primary).kind {
                Kind::File => "file",
                _ => "symlink",
            };
            let to = writer.record_path(merge, primary);
            Record::hard_link(path, state.defined_in, kind, to)
        }
        None => Record::implicit(path, state.defined_in),
    }
}
