//! What a volume lies in: a file of its own, or a partition of a VHDX disk.

use std::{
    fs::File,
    io::{Read, Seek, Write},
};

use winlayer_image::Image;
use winlayer_ntfs::VolumeSize;
use winlayer_vhdx::{
    DynamicDisk, Partition,
    gpt::{self, Gpt},
};

use super::ids::Ids;
use crate::{Error, Result};

const GIB: u64 = 1 << 30;
/// What Windows gives the scratch of a container.
pub(super) const USUAL_SIZE: u64 = 20 * GIB;
/// Bytes left free on a volume that is a file of its own, for who mounts it.
const FREE: u64 = 64 << 20;
const SECTOR: u64 = 512;

/// Kinds of disk files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing but the volume.
    Ntfs,
    /// A dynamic disk with a partition table.
    Vhdx,
}

/// A file that a volume is written into.
pub(super) enum Container {
    Volume(File),
    Disk(Box<Partition<DynamicDisk<File>>>),
}

impl Container {
    /// Prepares the empty file; `size` is that of the disk.
    pub(super) fn create(kind: Kind, file: File, size: u64, ids: &Ids) -> Result<Self> {
        if kind == Kind::Ntfs {
            return Ok(Self::Volume(file));
        }
        let disk = DynamicDisk::create(file, &ids.disk_options(size))?;
        Ok(Self::Disk(Box::new(partitioned(disk, size, ids)?)))
    }

    /// Sectors before the volume.
    pub(super) fn hidden_sectors(&self) -> u32 {
        match self {
            Self::Volume(_) => 0,
            Self::Disk(partition) => sectors_before(partition),
        }
    }

    /// How large the volume is to be when `asked` was asked for.
    pub(super) fn volume_size(&self, asked: Option<u64>) -> VolumeSize {
        match (self, asked) {
            (Self::Volume(_), None) => VolumeSize::Fit { free: FREE },
            (Self::Volume(_), Some(size)) => VolumeSize::Exact(size),
            (Self::Disk(partition), _) => VolumeSize::Exact(partition.length()),
        }
    }
}

/// Sectors before a partition.
pub(super) fn sectors_before<D: Seek>(partition: &Partition<D>) -> u32 {
    u32::try_from(partition.offset() / SECTOR).unwrap_or(u32::MAX)
}

/// Writes the partition table; gives the partition for data.
pub(super) fn partitioned<D: Read + Write + Seek>(
    mut disk: D,
    size: u64,
    ids: &Ids,
) -> Result<Partition<D>> {
    let name = "Basic data partition";
    let table = Gpt::data_disk(
        size,
        ids.table,
        ids.reserved_partition,
        ids.data_partition,
        name,
    )?;
    table.write_to(&mut disk)?;
    let data = table.find(gpt::BASIC_DATA).ok_or_else(|| {
        Error::refused(
            "the partition table has no data partition",
            "please report this",
        )
    })?;
    let (offset, length) = (data.offset, data.length);
    Partition::new(disk, offset, length).map_err(|error| Error::io("use the partition", error))
}

/// Large enough for the image: what is usual, or four times its blobs when that is more.
pub(super) fn default_size(image: &Image) -> u64 {
    let blobs = image.layers().iter().map(|layer| layer.compressed_bytes);
    let blobs = blobs.fold(0, u64::saturating_add);
    blobs
        .saturating_mul(4)
        .div_ceil(GIB)
        .saturating_mul(GIB)
        .max(USUAL_SIZE)
}
