//! What says where things are on the volume: boot sector, `$MFT` and its mirror, bitmaps, and the files without content.

use std::io::{Read, Seek, Write};

use zerocopy::{
    FromZeros, IntoBytes,
    little_endian::{U16, U32, U64},
};

use super::{
    SMALLEST, VolumeSize, VolumeWriter, lost, names::State, object::stored, output::Order, space,
};
use crate::{
    RecordFlags, Result,
    attribute::{Attribute, AttributeType, NonResident},
    format::{BootSector, CLUSTER, INDEX_BLOCK, MIRRORED_RECORDS, RECORD, SECTOR, system},
    record::Record,
    runs::Run,
};

impl<D: Read + Write + Seek> VolumeWriter<D> {
    /// Decides how large a volume is that fits its content.
    pub(super) fn fix_size(&mut self) -> Result<()> {
        const MIB: u64 = 1 << 20;
        let VolumeSize::Fit { free } = self.options.size else {
            return Ok(());
        };
        // The root's index and what is with it, the descriptors, the log of a volume of this size and the bitmaps are still
        // to come.
        let with_root = self.directories.get(&system::ROOT);
        let with_root = with_root.into_iter().flatten();
        let with_root: u64 = with_root
            .map(|attribute| attribute.encoded_len() as u64 + CLUSTER)
            .sum();
        let root: u64 = self.names.entry_bytes(system::ROOT) * 2 + with_root + 16 * CLUSTER;
        let secure = self.descriptors.most_bytes();
        let used = self.space.next() * CLUSTER + root + secure + free;
        let others = log_size(used) + used / CLUSTER / 4 + self.nodes.len() as u64;
        let size = used + others + 4 * CLUSTER + SECTOR as u64;
        let size = size.max(SMALLEST).next_multiple_of(MIB);
        self.space.set_total((size - SECTOR as u64) / CLUSTER);
        self.options.size = VolumeSize::Exact(size);
        Ok(())
    }

    pub(super) fn total(&self) -> Result<u64> {
        self.space.total().ok_or_else(lost)
    }

    pub(super) fn size_for(&self, total: u64) -> u64 {
        match self.options.size {
            VolumeSize::Exact(size) => size,
            VolumeSize::Fit { .. } => total * CLUSTER + SECTOR as u64,
        }
    }

    /// An empty log: Windows initialises it when it mounts the volume.
    pub(super) fn put_log(&mut self) -> Result<()> {
        static EMPTY: [u8; 1 << 16] = [0xff; 1 << 16];
        let size = log_size(self.total()? * CLUSTER);
        let first = self.space.allocate(size / CLUSTER)?;
        let mut at = 0;
        while at < size {
            let piece = (size - at).min(EMPTY.len() as u64);
            let piece = EMPTY.get(..piece as usize).unwrap_or_default();
            self.out.content(first * CLUSTER + at, piece)?;
            at += piece.len() as u64;
        }
        let run = Run {
            lcn: Some(first),
            clusters: size / CLUSTER,
        };
        self.put_stored(system::LOG_FILE, vec![run], size)
    }

    pub(super) fn put_bad_clusters(&mut self) -> Result<()> {
        let clusters = self.total()?;
        let whole = NonResident {
            initialized: 0,
            ..stored(
                vec![Run {
                    lcn: None,
                    clusters,
                }],
                clusters * CLUSTER,
            )
        };
        let bad = Attribute::non_resident(AttributeType::DATA, whole).named("$Bad");
        let none = Attribute::resident(AttributeType::DATA, Vec::new());
        self.put_system(system::BAD_CLUSTERS, vec![none, bad])
    }

    /// Bytes of `$MFT`: its records in whole clusters.
    pub(super) fn mft_size(&self) -> u64 {
        (self.nodes.len() as u64 * RECORD as u64).next_multiple_of(CLUSTER)
    }

    /// Writes record 0. The bitmap of records goes where `bitmap` has room for it.
    pub(super) fn put_mft(&mut self, bitmap: Option<Attribute>) -> Result<()> {
        let records = self.nodes.len();
        let mut bits = vec![0_u8; records.div_ceil(64) * 8];
        for (number, node) in self.nodes.iter().enumerate() {
            if node.is_in_use() {
                space::set(&mut bits, number as u64, 1);
            }
        }
        let size = self.mft_size();
        self.mft.trim(records as u32, &mut self.space);
        let bitmap = self.store_over(bitmap, &bits)?;
        let data = stored(self.mft.runs().to_vec(), size);
        let data = Attribute::non_resident(AttributeType::DATA, data);
        let bitmap = Attribute::non_resident(AttributeType::BITMAP, bitmap);
        self.set_sizes(system::MFT, size, size)?;
        self.put_system(system::MFT, vec![data, bitmap])
    }

    /// Records that nobody uses have the form of records too.
    pub(super) fn put_unused_records(&mut self) -> Result<()> {
        let records = self.mft_size() / RECORD as u64;
        for number in 0..records {
            let node = self.nodes.get(number as usize);
            let is_due = match node.map(|node| node.state) {
                Some(State::Free) => !self.was_before(number as u32),
                Some(State::Freed) | None => true,
                Some(_) => false,
            };
            if !is_due {
                continue;
            }
            let sequence = node.map_or(1, |node| node.sequence.max(1));
            let sequence = match number < u64::from(system::FIRST_UNUSED) {
                true => number as u16,
                false => sequence,
            };
            let mut record = Record::new(number, sequence, RecordFlags::empty());
            record.flags = RecordFlags::empty();
            self.put_packed(&record, Order::Any)?;
        }
        Ok(())
    }

    pub(super) fn put_bitmap(&mut self, runs: &[Run], total: u64) -> Result<()> {
        let Some(Run { lcn: Some(lcn), .. }) = runs.first() else {
            return Err(lost());
        };
        let start = lcn * CLUSTER;
        let mut bits = self.space.bitmap();
        if self.before.is_some() {
            // More may have been in use.
            bits.resize(total.div_ceil(8) as usize, 0);
        }
        self.put_bytes(start, &bits)?;
        // What lies behind the last cluster counts as used.
        let padded = total.div_ceil(64) * 64;
        if padded > total {
            let last = total / 8;
            let mut tail = vec![0_u8; (padded / 8 - last) as usize];
            if let (Some(byte), Some(first)) = (bits.get(last as usize), tail.first_mut()) {
                *first = *byte;
            }
            space::set(&mut tail, total - last * 8, padded - total);
            self.put_bytes(start + last, &tail)?;
        }
        Ok(())
    }

    pub(super) fn put_mirror(&mut self, runs: &[Run]) -> Result<()> {
        let Some(Run { lcn: Some(lcn), .. }) = runs.first() else {
            return Err(lost());
        };
        let first = self.mft.offset(system::MFT).ok_or_else(lost)?;
        let mut records = vec![0; MIRRORED_RECORDS as usize * RECORD];
        self.out.read(first, &mut records)?;
        self.put_bytes(lcn * CLUSTER, &records)
    }

    pub(super) fn put_boot(&mut self, mirror: &[Run], total: u64) -> Result<()> {
        let cluster = |runs: &[Run]| runs.first().and_then(|run| run.lcn).ok_or_else(lost);
        let size = self.size_for(total);
        let mut boot = BootSector::new_zeroed();
        boot.jump = BootSector::JUMP;
        boot.oem_id = BootSector::OEM_ID;
        boot.bytes_per_sector = U16::new(SECTOR as u16);
        boot.sectors_per_cluster = (CLUSTER / SECTOR as u64) as u8;
        boot.media = 0xf8;
        boot.sectors_per_track = U16::new(63);
        boot.heads = U16::new(255);
        boot.hidden_sectors = U32::new(self.options.hidden_sectors);
        boot.signature = BootSector::SIGNATURE;
        boot.total_sectors = U64::new(size / SECTOR as u64 - 1);
        boot.mft_cluster = U64::new(cluster(self.mft.runs())?);
        boot.mirror_cluster = U64::new(cluster(mirror)?);
        boot.clusters_per_record = -(RECORD.ilog2() as i8);
        boot.clusters_per_index_block = (INDEX_BLOCK as u64 / CLUSTER) as i8;
        boot.serial = U64::new(self.options.serial);
        boot.end = BootSector::END;
        self.out.content(size - SECTOR as u64, boot.as_bytes())?;
        // Without this sector there is no volume, so it comes last.
        self.out.flush()?;
        self.out.content(0, boot.as_bytes())
    }
}

/// Bytes of `$LogFile`: between the 2 MiB that Windows wants at least and the 64 MiB it would take. Most volumes of images are
/// only read, and every byte of the log is stored.
fn log_size(volume: u64) -> u64 {
    (volume / 4096)
        .clamp(2 << 20, 64 << 20)
        .next_multiple_of(CLUSTER)
}
