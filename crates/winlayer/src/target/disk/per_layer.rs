//! One disk a layer: a base disk, and differencing disks that hold what their layer changes on top of the one below.
//!
//! ```text
//! layers/<ChainID hex>/layer.vhdx    its parent is ../<ChainID hex of the parent>/layer.vhdx
//! ```
//!
//! The disks are kept in a store, so images share those they have in common. Each holds the image up to its layer, hives
//! merged, when it is opened with all that lie below it.

use std::{
    fs::File,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use winlayer_image::{Image, Layer};
use winlayer_metadata::FileTime;
use winlayer_ntfs::{VolumeOptions, VolumeSize, VolumeWriter};
use winlayer_tar::LayerReader;
use winlayer_vhdx::{
    Chain, DifferencingDisk, DynamicDisk, ParentLocator, Partition,
    gpt::{self, Gpt},
    open_chain,
};

use super::{applied::Applied, container, ids::Ids};
use crate::{
    DiskOptions, Error, LayerChain, LayerStore, Result,
    error::Problem,
    store::Ingest,
    target::folder::{self, FinishedLayer, PublishedLayer, Tombstones},
    unpack::LayerMaker,
};

/// The disk in a layer's folder.
pub(crate) const LAYER_DISK: &str = "layer.vhdx";

/// Makes the disks of layers.
pub(crate) struct DiskMaker<'a> {
    options: &'a DiskOptions,
    /// Of a base disk that has to be made.
    size: u64,
}

impl<'a> DiskMaker<'a> {
    /// # Errors
    ///
    /// The disks are to be of the utility VM, of which layers have no parts but the whole.
    pub(crate) fn new(image: &Image, options: &'a DiskOptions) -> Result<Self> {
        if options.utility_vm {
            let what = "disks of single layers hold Files only";
            return Err(Error::refused(
                what,
                "leave one of --per-layer and --utility-vm away",
            ));
        }
        let size = options
            .size
            .unwrap_or_else(|| container::default_size(image));
        Ok(Self { options, size })
    }
}

/// A layer that is about to be read: all of its work needs the disk below.
pub(crate) struct Waiting {
    reader: LayerReader,
    most_names: u64,
}

impl LayerMaker for DiskMaker<'_> {
    type Staged<'a> = Waiting;

    fn stage<'a>(
        &self,
        _: &Ingest<'a>,
        _: &Layer,
        reader: LayerReader,
        most_names: u64,
        stop: &dyn Fn() -> Result<()>,
    ) -> Result<Waiting> {
        stop()?;
        Ok(Waiting { reader, most_names })
    }

    fn finish(
        &self,
        store: &LayerStore,
        ingest: Ingest<'_>,
        layer: &Layer,
        staged: Waiting,
        below: &[Arc<PublishedLayer>],
    ) -> Result<FinishedLayer> {
        let file = ingest.dir().create_file(LAYER_DISK)?;
        let parent = below
            .last()
            .map(|parent| store.layer_host_path(parent.id()));
        let applied = match parent {
            None => self.base(file, layer, staged)?,
            Some(parent) => self.child(file, layer, staged, &parent)?,
        };
        let record = folder::record(layer, below, &applied.summary, applied.counts, Vec::new());
        let record = crate::store::LayerRecord {
            implicit_directories: applied.names.implicit_directories(),
            warnings: applied.warnings,
            ..record
        };
        folder::write_chain(ingest.dir(), below, &store.layers_path())?;
        folder::seal(ingest.dir(), &record)?;
        ingest.publish()?;
        Ok(FinishedLayer {
            names: applied.names,
            tombstones: Tombstones::none(),
            record,
        })
    }
}

/// What became of a layer.
pub(super) struct AppliedLayer {
    pub names: crate::layer_names::LayerNames,
    pub counts: crate::store::LayerCounts,
    pub summary: winlayer_tar::LayerSummary,
    pub warnings: Vec<String>,
}

impl DiskMaker<'_> {
    fn base(&self, file: File, layer: &Layer, staged: Waiting) -> Result<AppliedLayer> {
        let ids = self.ids(layer, self.size);
        let disk = DynamicDisk::create(file, &ids.disk_options(self.size))?;
        let partition = container::partitioned(disk, self.size, &ids)?;
        let options = VolumeOptions {
            size: VolumeSize::Exact(partition.length()),
            label: self.options.label.clone(),
            serial: ids.serial,
            created: self.options.created.unwrap_or(FileTime::UNIX_EPOCH),
            hidden_sectors: container::sectors_before(&partition),
        };
        let volume = VolumeWriter::create(partition, options)?;
        let applied = Applied::new(volume, staged.most_names, None)?;
        let (partition, applied) = apply(applied, layer, staged.reader)?;
        partition.into_inner().finish()?;
        Ok(applied)
    }

    fn child(
        &self,
        file: File,
        layer: &Layer,
        staged: Waiting,
        parent: &Path,
    ) -> Result<AppliedLayer> {
        let path = parent.join(LAYER_DISK);
        let below = open_chain(&path)?;
        let top = below.disks().first().map(|disk| disk.info());
        let top = top.ok_or_else(|| Error::damaged(path.display(), "has no disk"))?;
        self.check_size(&path, top.size)?;
        let ids = self.ids(layer, top.size);
        let options = ids.disk_options(top.size);
        let locator = ParentLocator {
            linkage: top.data_write_id,
            relative_path: Some(relative_path(parent)?),
            ..ParentLocator::default()
        };
        let disk = DifferencingDisk::create(file, below, &options, &locator)?;
        let volume = VolumeWriter::open(data_partition(disk)?)?;
        let before = Before { disk: path };
        let applied = Applied::new(volume, staged.most_names, Some(before))?;
        let (partition, applied) = apply(applied, layer, staged.reader)?;
        partition.into_inner().finish()?;
        Ok(applied)
    }

    /// A chain of disks has one size.
    fn check_size(&self, disk: &Path, size: u64) -> Result<()> {
        match self.options.size.filter(|&asked| asked != size) {
            None => Ok(()),
            Some(asked) => {
                let what = format!("{} has {size} bytes, asked for are {asked}", disk.display());
                let hint = "leave --size away, or unpack to another folder";
                Err(Error::refused(what, hint))
            }
        }
    }

    /// The disks that an image has come to must have the size that was asked for, were they there before or not.
    pub(crate) fn check_chain(&self, chain: &LayerChain) -> Result<()> {
        if self.options.size.is_none() {
            return Ok(());
        }
        for layer in chain.layers.iter().take(1) {
            let path = layer.path.join(LAYER_DISK);
            let disk = open_chain(&path)?;
            let size = disk.disks().first().map_or(0, |disk| disk.info().size);
            self.check_size(&path, size)?;
        }
        Ok(())
    }

    fn ids(&self, layer: &Layer, size: u64) -> Ids {
        let DiskOptions { label, created, .. } = self.options;
        let created = created.map(FileTime::ticks);
        Ids::of(&format!(
            "layer {}\n{size}\n{label}\n{created:?}",
            layer.chain_id
        ))
    }
}

/// The disk of the layers below.
pub(super) struct Before {
    disk: PathBuf,
}

impl Before {
    /// Its volume, to read from.
    pub(super) fn open(&self) -> Result<winlayer_ntfs::Volume<Partition<Chain<File>>>> {
        Ok(winlayer_ntfs::Volume::open(data_partition(open_chain(
            &self.disk,
        )?)?)?)
    }
}

/// Reads the layer to its end, checks its DiffID, and completes the volume.
fn apply<D: Read + Write + Seek>(
    mut applied: Applied<D>,
    layer: &Layer,
    mut reader: LayerReader,
) -> Result<(D, AppliedLayer)> {
    while let Some(mut entry) = reader.next_entry()? {
        applied.take(entry.item, &mut entry.body)?;
    }
    let summary = reader.finish()?;
    let (expected, found) = (layer.diff_id, summary.diff_id);
    if expected != found {
        return Err(Problem::DiffId { expected, found }.into());
    }
    let mut warnings = summary.warnings.clone();
    let (device, done) = applied.finish()?;
    warnings.extend(done.warnings);
    let applied = AppliedLayer {
        names: done.names,
        counts: done.counts,
        summary,
        warnings,
    };
    Ok((device, applied))
}

/// The data partition of a disk of ours.
fn data_partition<D: Read + Seek>(mut disk: D) -> Result<Partition<D>> {
    let table = Gpt::read(&mut disk)?;
    let data = table.find(gpt::BASIC_DATA);
    let (offset, length) = data
        .map(|data| (data.offset, data.length))
        .ok_or_else(|| Error::damaged("the disk below", "has no data partition"))?;
    Partition::new(disk, offset, length).map_err(|error| Error::io("use the partition", error))
}

/// From a layer's folder to the disk of its parent, in the form of Windows.
fn relative_path(parent: &Path) -> Result<String> {
    let name = parent.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::damaged(parent.display(), "has no name"))?;
    Ok(format!(r"..\{name}\{LAYER_DISK}"))
}
