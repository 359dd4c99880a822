//! `--to ntfs` and `--to vhdx`: the merged image as a volume, by itself or on a disk.
//!
//! The file is built in a [`Staging`] directory beside its destination, flushed, and renamed when every layer has been read to
//! its end and verified. Registry deltas are merged into the hives.

mod applied;
mod blank;
mod container;
mod ids;
mod objects;
mod per_layer;
mod sink;

use std::{
    io::{Read, Seek, Write},
    path::Path,
};

use winlayer_image::Image;
use winlayer_metadata::FileTime;
use winlayer_ntfs::{VolumeOptions, VolumeWriter};

pub use self::blank::{BlankDisks, write_blank_disk};
use self::{container::Container, ids::Ids, sink::VolumeSink};
pub(crate) use self::{
    container::Kind,
    per_layer::{DiskMaker, LAYER_DISK},
};
use crate::{
    DiskOptions, Error, Result, UnpackOptions,
    merge::{ImageLayers, Keep, LayerNumber, Layers, Merge, ReadLayer, Selection, merge_layers},
    registry::merged::MergedHives,
    report::Outcome,
    target::tree::{Staging, layer_warnings},
};

/// Name inside the staging directory.
const DISK: &str = "disk";

/// Writes the merged image to the disk file `root`, replacing a file that is there.
pub(crate) fn unpack(
    image: &Image,
    root: &Path,
    kind: Kind,
    disk: &DiskOptions,
    options: &UnpackOptions,
) -> Result<Outcome> {
    let staging = Staging::beside(root)?;
    let layers = ImageLayers::new(image, &options.limits, options.observer.as_deref())
        .keeping_blobs_in(staging.path(), Keep::UntilMerged);
    let selection = match disk.utility_vm {
        true => Selection::UtilityVmFiles,
        false => Selection::Files,
    };
    let merge = layers.merge(selection)?;
    let size = disk.size.unwrap_or_else(|| container::default_size(image));
    let ids = Ids::of_image(image, disk);
    let container = Container::create(kind, staging.dir().create_file(DISK)?, size, &ids)?;
    let content = Content {
        layers: &layers,
        selection,
        options: VolumeOptions {
            size: container.volume_size(disk.size),
            label: disk.label.clone(),
            serial: ids.serial,
            created: disk.created.unwrap_or(FileTime::UNIX_EPOCH),
            hidden_sectors: container.hidden_sectors(),
        },
    };
    let (written, file) = match container {
        Container::Volume(file) => {
            let (file, written) = content.write(file, merge)?;
            let failed = |error| Error::io("write the volume", error);
            file.set_len(written.size).map_err(failed)?;
            (written, file)
        }
        Container::Disk(partition) => {
            let (partition, written) = content.write(*partition, merge)?;
            (written, partition.into_inner().finish()?)
        }
    };
    let flushed = file.sync_all();
    flushed.map_err(|error| Error::io(format!("write {}", root.display()), error))?;
    drop(file);
    staging.publish(DISK)?;
    Ok(Outcome {
        layers: layers.report(&written.layers),
        warnings: written.warnings,
    })
}

/// What goes onto a volume.
struct Content<'a> {
    layers: &'a dyn Layers,
    selection: Selection,
    options: VolumeOptions,
}

/// What came of writing a volume.
struct Written {
    layers: Vec<ReadLayer>,
    warnings: Vec<String>,
    /// Bytes of the volume.
    size: u64,
}

impl Content<'_> {
    /// Writes the volume to `device`, and gives it back.
    fn write<D: Read + Write + Seek>(self, device: D, mut merge: Merge) -> Result<(D, Written)> {
        let root = match self.selection {
            Selection::UtilityVmFiles => "UtilityVM/Files",
            _ => "Files",
        };
        let volume = VolumeWriter::create(device, self.options)?;
        let mut sink = VolumeSink::new(volume, root);
        let mut hive_warnings = Vec::new();
        let layers = match self.selection {
            // Deltas are about the container's registry, never the utility VM's.
            Selection::UtilityVmFiles => merge_layers(self.layers, &mut merge, &mut sink)?,
            _ => {
                let mut hives = MergedHives::new(&mut sink);
                let layers = merge_layers(self.layers, &mut merge, &mut hives)?;
                hive_warnings = hives.finish();
                layers
            }
        };
        let (device, summary) = sink.finish(&merge)?;
        let mut warnings = layer_warnings(LayerNumber::BASE, &layers);
        warnings.append(&mut merge.warnings());
        warnings.append(&mut hive_warnings);
        let written = Written {
            layers,
            warnings,
            size: summary.size,
        };
        Ok((device, written))
    }
}
