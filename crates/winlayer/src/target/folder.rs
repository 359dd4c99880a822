//! One folder per layer, in the form the Windows container platform imports.
//!
//! A layer is made in two steps. [`stage()`] needs nothing but its tar, so several layers are staged at
//! the same time. [`finish`] needs the layers below: it finds the targets of hard links, completes
//! the utility VM, turns whiteouts into tombstones and writes what the folder says of itself.
//!
//! ```text
//! Files/… UtilityVM/Files/…   framed files; a directory D has a sidecar D.$wcidirs$
//! Hives/…                     plain files
//! tombstones.txt              what the layers below lose (not in a base)
//! Hives/*_Base layout         the registry as the layer leaves it
//! bcd.bak bcd.log.bak …       untouched copies of what the platform edits
//! layer.json layerchain.json layer-index.jsonl
//! ```
//!
//! The `UtilityVM` directory keeps what its entry says in a sidecar like any other; importers ignore
//! it, as hcsshim's does.

mod assembly;
mod base_hives;
mod below;
mod framing;
mod implicit;
mod index;
mod links;
mod sink;
mod stage;
mod tombstones;
mod utility_vm;

use std::{io::Write as _, path::Path};

use winlayer_image::Layer;
use winlayer_sys::Dir;
use winlayer_tar::{LayerReader, LayerRole, LayerSummary};

pub(crate) use assembly::{Assembly, TransportFolder};
#[cfg(windows)]
pub(crate) use base_hives::is_made_by_the_platform;
pub(crate) use below::{Below, PublishedLayer};
#[cfg(any(windows, test))]
pub(crate) use framing::is_sidecar;
pub(crate) use framing::sidecar;
#[cfg(windows)]
pub(crate) use framing::{
    Framed, PlainFile, Written, plain_directory, write_failed, write_sidecar,
};
pub(crate) use index::{IndexLine, IndexWriter, LineKind, read_index};
#[cfg(windows)]
pub(crate) use index::{directories_children_first, read_names};
#[cfg(windows)]
pub(crate) use sink::NewObject;
pub(crate) use sink::{ObjectSink, TransportSink};
#[cfg(windows)]
pub(crate) use tombstones::TOMBSTONES_FILE;
pub(crate) use tombstones::{DELETIONS_FILE, Tombstones};
#[cfg(windows)]
pub(crate) use utility_vm::{backup_of_path, is_backup, is_edited};

use crate::{
    Error, Result,
    error::Problem,
    layer_names::{LayerNames, NameKind, Named},
    store::{
        HardLinkRecord, LAYER_CHAIN_FILE, LAYER_FILE, LayerCounts, LayerRecord, Role, to_json,
    },
};
use links::{LinkPlace, PendingLink};
use stage::Stager;
use tombstones::Whiteouts;

/// A verified layer whose files are in its ingest directory.
#[derive(Debug)]
pub(crate) struct StagedLayer {
    names: LayerNames,
    index: IndexWriter,
    whiteouts: Whiteouts,
    links: Vec<PendingLink>,
    counts: LayerCounts,
    warnings: Vec<String>,
    summary: LayerSummary,
}

/// A layer folder that only has to be published.
#[derive(Debug)]
pub(crate) struct FinishedLayer {
    pub(crate) names: LayerNames,
    pub(crate) tombstones: Tombstones,
    pub(crate) record: LayerRecord,
}

/// Writes a layer's own objects into `sink`, what else it has into `dir`, and checks its DiffID.
/// `stop` ends it early.
pub(crate) fn stage(
    dir: &Dir,
    sink: &mut dyn ObjectSink,
    layer: &Layer,
    mut reader: LayerReader,
    most_names: u64,
    stop: &dyn Fn() -> Result<()>,
) -> Result<StagedLayer> {
    let role = role_of(layer);
    let mut stager = Stager::new(dir, sink, role, most_names)?;
    stager.take_all(&mut reader, stop)?;
    let summary = reader.finish()?;
    let (expected, found) = (layer.diff_id, summary.diff_id);
    if expected != found {
        return Err(Problem::DiffId { expected, found }.into());
    }
    let Stager {
        names,
        index,
        whiteouts,
        links,
        counts,
        mut warnings,
        ..
    } = stager;
    warnings.splice(..0, summary.warnings.iter().cloned());
    Ok(StagedLayer {
        names,
        index,
        whiteouts,
        links,
        counts,
        warnings,
        summary,
    })
}

pub(crate) fn role_of(layer: &Layer) -> LayerRole {
    if layer.index == 0 {
        LayerRole::Base
    } else {
        LayerRole::Diff
    }
}

/// Does what needs the layers below, which are all published; `layers` is where they are.
///
/// Only `layer.json`, which makes the folder a whole layer, is left to [`seal`].
pub(crate) fn finish(
    dir: &Dir,
    assembly: &dyn Assembly,
    layer: &Layer,
    staged: StagedLayer,
    parents: &[std::sync::Arc<PublishedLayer>],
    layers: &Path,
) -> Result<FinishedLayer> {
    let StagedLayer {
        mut names,
        mut index,
        whiteouts,
        links,
        ..
    } = staged;
    let (counts, mut warnings, summary) = (staged.counts, staged.warnings, staged.summary);
    let below = Below::new(parents);
    let chain_id = layer.chain_id.to_string();
    let implicit_directories = names.implicit_directories();

    let hidden = whiteouts.hidden()?;
    whiteouts.check(&names, &below, &hidden)?;
    let tombstones = whiteouts.tombstones(&names, &below)?;
    let cloned = utility_vm::complete(assembly, &mut names, &whiteouts, &below, &mut index)?;
    directories_of(&tombstones, &mut names, &below, assembly)?;
    let plain = implicit::complete(assembly, &mut names, &below, &hidden, &mut index)?;
    warnings.extend(warn_of_implicit(&implicit_directories, plain));
    let place = LinkPlace {
        dir,
        assembly,
        chain_id: &chain_id,
        below: &below,
    };
    let hard_links = place.make(&links, &mut names, &mut index)?;
    if role_of(layer) == LayerRole::Diff {
        let name = assembly.tombstones_file();
        tombstones::write(dir, name, &tombstones, &mut index)?;
    }
    let parent = parents.last().map(std::sync::Arc::as_ref);
    warnings.extend(assembly.base_hives(&names, parent, &mut index)?);
    index.finish()?;

    let record = LayerRecord {
        utility_vm: names.find("UtilityVM/Files").is_some(),
        utility_vm_from: cloned.map(|id| id.to_string()),
        implicit_directories,
        warnings,
        ..record(layer, parents, &summary, counts, hard_links)
    };
    write_chain(dir, parents, layers)?;
    let tombstones = Tombstones::from_paths(&tombstones)?;
    Ok(FinishedLayer {
        names,
        tombstones,
        record,
    })
}

/// Writes `layerchain.json`: the folders of the parents below `layers`, immediate parent first.
pub(crate) fn write_chain(
    dir: &Dir,
    parents: &[std::sync::Arc<PublishedLayer>],
    layers: &Path,
) -> Result<()> {
    let chain: Vec<_> = parents
        .iter()
        .rev()
        .map(|layer| layers.join(layer.id().hex()))
        .collect();
    write_file(dir, LAYER_CHAIN_FILE, &to_json(&chain)?)
}

/// Writes `layer.json`.
pub(crate) fn seal(dir: &Dir, record: &LayerRecord) -> Result<()> {
    write_file(dir, LAYER_FILE, &to_json(record)?)
}

/// Makes the directories that only deletions need, where the assembly wants them.
fn directories_of(
    tombstones: &[String],
    names: &mut LayerNames,
    below: &Below<'_>,
    assembly: &dyn Assembly,
) -> Result<()> {
    // The platform imports nothing without this one.
    let files = "Files";
    if names.find(files).is_none() && assembly.directory_of_deletion(files)? {
        names.insert(files, Named::new(NameKind::ImplicitDirectory))?;
    }
    let deleted = Tombstones::from_paths(tombstones)?;
    for path in tombstones {
        for (end, _) in path.match_indices('/') {
            let directory = path.get(..end).unwrap_or_default();
            // Below a deleted or missing directory there is nothing to delete.
            if deleted.hide(directory) || !below.has_directory(directory)? {
                break;
            }
            if names.find(directory).is_none() && assembly.directory_of_deletion(directory)? {
                names.insert(directory, Named::new(NameKind::ImplicitDirectory))?;
            }
        }
    }
    Ok(())
}

pub(crate) fn record(
    layer: &Layer,
    parents: &[std::sync::Arc<PublishedLayer>],
    summary: &LayerSummary,
    counts: LayerCounts,
    hard_links: Vec<HardLinkRecord>,
) -> LayerRecord {
    LayerRecord {
        version: 1,
        number: layer.index.saturating_add(1),
        role: if parents.is_empty() {
            Role::Base
        } else {
            Role::Diff
        },
        digest: layer.digest.map(|digest| digest.to_string()),
        diff_id: layer.diff_id.to_string(),
        chain_id: layer.chain_id.to_string(),
        parent_chain_id: parents.last().map(|parent| parent.id().to_string()),
        media_type: layer.media_type.clone(),
        compressed_bytes: summary.compressed_bytes,
        uncompressed_bytes: summary.uncompressed_bytes,
        counts: LayerCounts {
            entries: summary.entries,
            ..counts
        },
        utility_vm: false,
        utility_vm_from: None,
        hard_links,
        implicit_directories: Vec::new(),
        unfinished: Vec::new(),
        warnings: Vec::new(),
    }
}

/// What Windows makes when it finishes a layer and nobody else can: its disks are more than empty ones, and the utility VM boots
/// from what it knows of them.
pub(crate) fn unfinished(record: &LayerRecord) -> Vec<String> {
    let base: &[&str] = match record.role {
        Role::Base => &["blank-base.vhdx", "blank.vhdx"],
        Role::Diff => &[],
    };
    let utility_vm: &[&str] = match record.utility_vm {
        true => &[
            "UtilityVM/SystemTemplateBase.vhdx",
            "UtilityVM/SystemTemplate.vhdx",
            "UtilityVM/Files/EFI/Microsoft/Boot/BCD",
        ],
        false => &[],
    };
    [base, utility_vm]
        .concat()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// `plain` of the directories are in no layer below either.
fn warn_of_implicit(directories: &[String], plain: usize) -> Option<String> {
    let first = crate::error::escape(directories.first()?);
    let count = directories.len();
    let have = if count == 1 {
        "directory has"
    } else {
        "directories have"
    };
    let got = match (plain, count.saturating_sub(plain)) {
        (_, 0) => "default metadata".to_owned(),
        (0, _) => "the metadata of the layers below".to_owned(),
        (plain, shared) => {
            format!("the metadata of the layers below ({shared}) or default metadata ({plain})")
        }
    };
    Some(format!(
        "{count} {have} no entry and got {got}, first {first}"
    ))
}

fn write_file(dir: &Dir, path: &str, contents: &[u8]) -> Result<()> {
    let mut file = dir.create_file(path)?;
    file.write_all(contents)
        .map_err(|error| Error::io(format!("write {path}"), error))
}
