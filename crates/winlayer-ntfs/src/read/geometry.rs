//! The boot sector: how large things are and where `$MFT` begins.

use zerocopy::FromBytes;

use crate::{
    NtfsError, Place, Result,
    format::{BootSector, SECTOR},
};

/// What the boot sector says, checked.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    /// Bytes, without the last sector, which holds the copy of the boot sector.
    pub total: u64,
    /// Bytes of a sector.
    pub sector: u64,
    /// Bytes of a cluster, a power of two.
    pub cluster: u64,
    /// Bytes of a file record.
    pub record: usize,
    /// Bytes of an index block.
    pub index_block: usize,
    pub mft_cluster: u64,
    pub mirror_cluster: u64,
    pub serial: u64,
    pub hidden_sectors: u32,
}

/// Largest cluster Windows makes.
const MAX_CLUSTER: u64 = 2 << 20;
/// Largest record or index block: an update sequence of 512-byte strides fits the first of them.
const MAX_BLOCK: u64 = 64 << 10;

impl Geometry {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let not_ntfs = |expected, found: String| NtfsError::NotNtfs { expected, found };
        let Ok((boot, _)) = BootSector::read_from_prefix(bytes) else {
            return Err(not_ntfs("512 bytes", format!("{} bytes", bytes.len())));
        };
        if boot.oem_id != BootSector::OEM_ID {
            let found = format!("\"{}\"", boot.oem_id.escape_ascii());
            return Err(not_ntfs("the name \"NTFS    \" at 3", found));
        }
        if boot.end != BootSector::END {
            let found = format!("{:02x?}", boot.end);
            return Err(not_ntfs("the end mark 55 AA at 510", found));
        }
        let sector = u64::from(boot.bytes_per_sector.get());
        if !sector.is_power_of_two() || !(512..=4096).contains(&sector) {
            let found = format!("{sector} bytes");
            return Err(not_ntfs("a sector of 512 to 4096 bytes at 11", found));
        }
        let cluster = cluster_size(boot.sectors_per_cluster, sector).ok_or_else(|| {
            let found = format!("{} sectors", boot.sectors_per_cluster);
            not_ntfs("a cluster of at most 2 MiB at 13", found)
        })?;
        let block = |field: i8, expected| {
            block_size(field, cluster).ok_or_else(|| not_ntfs(expected, field.to_string()))
        };
        let record = block(
            boot.clusters_per_record,
            "records of 512 bytes to 64 KiB at 64",
        )?;
        let index_block = block(
            boot.clusters_per_index_block,
            "index blocks of 512 bytes to 64 KiB at 68",
        )?;
        let sectors = boot.total_sectors.get();
        let total = sectors
            .checked_mul(sector)
            .filter(|&total| total >= cluster && total <= u64::MAX >> 1)
            .ok_or_else(|| not_ntfs("a number of sectors at 40", sectors.to_string()))?;
        Ok(Self {
            total,
            sector,
            cluster,
            record,
            index_block,
            mft_cluster: boot.mft_cluster.get(),
            mirror_cluster: boot.mirror_cluster.get(),
            serial: boot.serial.get(),
            hidden_sectors: boot.hidden_sectors.get(),
        })
    }

    /// Whole clusters of the volume.
    pub(crate) fn clusters(&self) -> u64 {
        self.total / self.cluster
    }

    /// First byte of a cluster; none when it is not on the volume.
    pub(crate) fn cluster_start(&self, cluster: u64) -> Option<u64> {
        (cluster < self.clusters()).then(|| cluster * self.cluster)
    }

    /// What the block numbers of an index count: clusters, or 512-byte sectors when a cluster is larger than a block.
    pub(crate) fn index_vcn_size(&self, block: usize) -> u64 {
        match self.cluster <= block as u64 {
            true => self.cluster,
            false => SECTOR as u64,
        }
    }

    /// Where an error in a table of the boot sector is.
    pub(crate) fn damaged(expected: &str, found: impl Into<String>) -> NtfsError {
        NtfsError::damaged(Place::BootSector, expected, found)
    }
}

fn cluster_size(field: u8, sector: u64) -> Option<u64> {
    let sectors = match field {
        0..=0x80 => u64::from(field),
        _ => 1_u64.checked_shl(256 - u32::from(field))?,
    };
    sectors
        .checked_mul(sector)
        .filter(|&size| size.is_power_of_two() && size <= MAX_CLUSTER)
}

fn block_size(field: i8, cluster: u64) -> Option<usize> {
    let size = match u64::try_from(field) {
        Ok(clusters) => clusters.checked_mul(cluster)?,
        Err(_) => 1_u64.checked_shl(u32::from(field.unsigned_abs()))?,
    };
    let legal = size.is_power_of_two() && (SECTOR as u64..=MAX_BLOCK).contains(&size);
    legal.then_some(size as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_the_ways_sizes_are_written() {
        assert_eq!(cluster_size(8, 512), Some(4096));
        assert_eq!(cluster_size(0x80, 512), Some(65536));
        assert_eq!(cluster_size(0xf4, 512), Some(2 << 20));
        assert_eq!(cluster_size(0xf3, 512), None);
        assert_eq!(cluster_size(0, 512), None);
        assert_eq!(cluster_size(3, 512), None);
        assert_eq!(block_size(-10, 4096), Some(1024));
        assert_eq!(block_size(1, 4096), Some(4096));
        assert_eq!(block_size(-12, 65536), Some(4096));
        assert_eq!(block_size(2, 512), Some(1024));
        assert_eq!(block_size(0, 512), None);
        assert_eq!(block_size(-128, 512), None);
        assert_eq!(block_size(127, 4096), None);
    }
}
