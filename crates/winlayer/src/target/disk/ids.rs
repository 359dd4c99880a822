//! Identifiers of disks and volumes: the same content gets the same ones.

use winlayer_digest::Digest;
use winlayer_image::Image;
use winlayer_metadata::FileTime;
use winlayer_vhdx::Guid;

use crate::DiskOptions;

/// All identifiers of a disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub serial: u64,
    pub disk: Guid,
    pub data_write: Guid,
    pub file_write: Guid,
    pub table: Guid,
    pub reserved_partition: Guid,
    pub data_partition: Guid,
}

impl Ids {
    /// Those of the merged image.
    pub(super) fn of_image(image: &Image, options: &DiskOptions) -> Self {
        let top = image.layers().last();
        let chain_id = top.map_or_else(String::new, |layer| layer.chain_id.to_string());
        let DiskOptions {
            size,
            label,
            utility_vm,
            created,
        } = options;
        let created = created.map(FileTime::ticks);
        Self::of(&format!(
            "{chain_id}\n{size:?}\n{label}\n{utility_vm}\n{created:?}"
        ))
    }

    /// Those of what `content` describes.
    pub(super) fn of(content: &str) -> Self {
        let digest =
            |what: &str| *Digest::of(format!("winlayer {what}\n{content}").as_bytes()).as_bytes();
        let guid = |what: &str| {
            let id = digest(what).first_chunk().copied().unwrap_or_default();
            // RFC 9562: version 8, made in a way of the maker's own.
            let others = !(0xf << 76 | 0x3 << 62);
            Guid::from_u128(u128::from_be_bytes(id) & others | 0x8 << 76 | 0x2 << 62)
        };
        let serial = digest("serial");
        let serial = serial.first_chunk::<8>().copied().unwrap_or_default();
        Self {
            serial: u64::from_le_bytes(serial),
            disk: guid("disk"),
            data_write: guid("data write"),
            file_write: guid("file write"),
            table: guid("partition table"),
            reserved_partition: guid("reserved partition"),
            data_partition: guid("data partition"),
        }
    }

    /// A disk of these identifiers.
    pub(super) fn disk_options(&self, size: u64) -> winlayer_vhdx::DiskOptions {
        winlayer_vhdx::DiskOptions::new(size, self.disk, self.data_write, self.file_write)
    }
}
