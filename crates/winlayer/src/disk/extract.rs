//! `extract_disk`: the content of a volume as a plain tree or a layer tar.

use std::{
    fmt,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use serde::Serialize;
use winlayer_tar::{Limits, Progress};

use super::{DiskFile, DiskFormat, layer::DiskLayer};
use crate::{
    Error, Observer, Result,
    merge::{LayerNumber, Merge, Selection},
    target::{
        tar::write_merged,
        tree::{self, Staging},
    },
};

/// Names inside the staging directory.
const TAR: &str = "disk.tar";
const STREAMS: &str = "streams.spool";

/// What to make of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskTarget {
    /// Plain files, as [`Target::Tree`](crate::Target::Tree) makes them of an image.
    Tree {
        /// Where to write one JSON line per object with all that a plain file system cannot hold.
        metadata: Option<PathBuf>,
    },
    /// The tar of a Windows base layer.
    Tar,
}

impl DiskTarget {
    /// The name the command line and the JSON report use.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tree { .. } => "tree",
            Self::Tar => "tar",
        }
    }
}

/// How to extract.
#[derive(Clone)]
pub struct ExtractOptions {
    /// What to make.
    pub target: DiskTarget,
    /// What a volume may cost at most.
    pub limits: Limits,
    /// Who watches.
    pub observer: Option<Arc<dyn Observer>>,
}

impl ExtractOptions {
    /// Options for `target` with default limits and no observer.
    pub fn new(target: DiskTarget) -> Self {
        Self {
            target,
            limits: Limits::default(),
            observer: None,
        }
    }
}

impl fmt::Debug for ExtractOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtractOptions")
            .field("target", &self.target)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What was extracted, and where it is.
#[derive(Clone, Debug, Serialize)]
pub struct ExtractedDisk {
    /// The disk file.
    pub disk: PathBuf,
    /// The kind of file.
    pub kind: DiskFormat,
    /// The number of the partition; none when the volume fills the disk.
    pub partition: Option<usize>,
    /// The kind of target: `tree` or `tar`.
    pub target: &'static str,
    /// The tree or the tar file; absolute.
    pub root: PathBuf,
    /// Names, streams included.
    pub entries: u64,
    /// Bytes of a tar with all of it.
    pub bytes: u64,
    /// What the user should know, above all what could not be extracted.
    pub warnings: Vec<String>,
    /// Wall time of the whole call.
    pub seconds: f64,
}

/// Extracts the content of a disk's volume to `root`: a directory that is missing or empty, or the file of the tar, which is
/// replaced. The volume's own files (`$MFT` and so on) are left out.
///
/// Security descriptors, attributes, times, extended attributes, streams, links and hard links are kept where the target can
/// hold them. What neither a layer nor a tree can hold, or what only Windows can read, is left out and named in a warning:
/// names that a layer cannot have, compressed and encrypted streams, other reparse points than links, short names, object ids.
///
/// When this fails, nothing half-made stays.
///
/// # Errors
///
/// The file is no disk, has no NTFS volume or a damaged one; `root` is not free, or cannot be written.
pub fn extract_disk(
    disk: &DiskFile,
    root: &Path,
    options: &ExtractOptions,
) -> Result<ExtractedDisk> {
    let begun = Instant::now();
    let root = std::path::absolute(root)
        .map_err(|error| Error::io(format!("find {}", root.display()), error))?;
    let open = disk.open()?;
    let progress = Arc::new(Progress::default());
    let layer = DiskLayer::new(disk, &options.limits).counting(Arc::clone(&progress));
    if let Some(observer) = &options.observer {
        observer.disk_started(&disk.path, open.stored, progress);
    }
    let extracted = match &options.target {
        DiskTarget::Tree { metadata } => {
            let merge = Merge::new(Selection::Files, LayerNumber::BASE, options.limits.entries);
            tree::unpack_layers(&layer, merge, &root, metadata.as_deref())
        }
        DiskTarget::Tar => write_tar(disk, &layer, &root, options),
    };
    let (read, mut warnings) = extracted?;
    warnings.splice(..0, layer.warnings());
    if let Some(observer) = &options.observer {
        observer.disk_finished();
        warnings.iter().for_each(|text| observer.warning(text));
    }
    let sum = |each: fn(&winlayer_tar::LayerSummary) -> u64| -> u64 {
        read.iter().map(|layer| each(&layer.summary)).sum()
    };
    Ok(ExtractedDisk {
        disk: disk.path.clone(),
        kind: open.format,
        partition: open.partition.number,
        target: options.target.name(),
        root,
        entries: sum(|summary| summary.entries),
        bytes: sum(|summary| summary.uncompressed_bytes),
        warnings,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

type Extracted = (Vec<crate::merge::ReadLayer>, Vec<String>);

fn write_tar(
    disk: &DiskFile,
    layer: &DiskLayer<'_>,
    root: &Path,
    options: &ExtractOptions,
) -> Result<Extracted> {
    if let Some(observer) = &options.observer {
        observer.step("reading the metadata of the volume");
    }
    let failed = |error| Error::io("write the tar file", error);
    let staging = Staging::beside(root)?;
    let mut file = BufWriter::with_capacity(1 << 20, staging.dir().create_file(TAR)?);
    let first = DiskLayer::new(disk, &options.limits);
    let spool = staging.dir().create_file(STREAMS)?;
    let merged = write_merged(&first, layer, options.limits.entries, spool, &mut file)?;
    file.flush().map_err(failed)?;
    file.get_ref().sync_all().map_err(failed)?;
    drop(file);
    staging.publish(TAR)?;
    Ok((merged.layers, merged.warnings))
}
