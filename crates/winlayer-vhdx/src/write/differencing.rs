//! A new differencing disk.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom, Write},
};

use super::store::BlockStore;
use crate::{
    DiskOptions, ParentLocator, VhdxError,
    device::{Device, Position, clamp},
    format::BatEntry,
    sectors::SectorSet,
};

const SECTOR: u64 = 512;

/// A differencing VHDX file being made over a parent: the virtual disk as seen through both, to read,
/// write and seek in.
///
/// What is written is kept in sectors of 512 bytes; what was never written is read from the parent, which
/// is the parent's *virtual* disk and is never changed. Where the parent is shorter there are zeros.
///
/// The file is no VHDX file before [`finish`](Self::finish). When a write fails, what the disk has at
/// that place is unspecified.
#[derive(Debug)]
pub struct DifferencingDisk<F, P> {
    store: BlockStore<F>,
    parent: Device<P>,
    /// The sectors that are in the file, of every block that is.
    written: BTreeMap<u64, SectorSet>,
    position: Position,
}

/// Where a piece of the disk is read from.
enum Source {
    File(u64),
    Parent,
}

impl<F: Read + Write + Seek, P: Read + Seek> DifferencingDisk<F, P> {
    /// Makes a disk in an empty file that is as its parent is.
    ///
    /// # Errors
    /// When the options are impossible, the locator has no path, the file is not empty, or file or parent
    /// cannot tell its length.
    pub fn create(
        file: F,
        parent: P,
        options: &DiskOptions,
        locator: &ParentLocator,
    ) -> Result<Self, VhdxError> {
        Ok(Self {
            store: BlockStore::create(file, options, Some(locator))?,
            parent: Device::new(parent).map_err(VhdxError::io("find the length of the parent"))?,
            written: BTreeMap::new(),
            position: Position::new(options.size),
        })
    }

    /// Makes the file a VHDX file, flushes it and returns it. File identifier and headers are written
    /// last; who fears power cuts syncs the file afterwards.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> Result<F, VhdxError> {
        self.write_bitmaps()
            .and_then(|()| self.store.finish())
            .map_err(VhdxError::io("write the structures of a VHDX file"))
    }

    /// Writes the bitmap block of each chunk that has a block of which only some sectors are present.
    fn write_bitmaps(&mut self) -> io::Result<()> {
        let geometry = *self.store.geometry();
        let mut chunks = BTreeMap::new();
        for (&block, sectors) in &self.written {
            if !sectors.covers(geometry.sectors_of(block)) {
                self.store.set_state(block, BatEntry::PARTIAL);
                let chunk = block / geometry.chunk_blocks();
                if let std::collections::btree_map::Entry::Vacant(entry) = chunks.entry(chunk) {
                    entry.insert(self.store.take_bitmap(chunk));
                }
            }
        }
        for (&block, sectors) in &self.written {
            if let Some(bitmap) = chunks.get(&(block / geometry.chunk_blocks())) {
                let offset = bitmap + geometry.bitmap_offset(block);
                self.store.write_all_at(offset, sectors.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Where the disk's bytes at a position are, and for how many bytes on that is so.
    fn locate(&self, position: u64) -> (Source, u64) {
        let geometry = self.store.geometry();
        let (block, inside) = (
            position / geometry.block_size(),
            position % geometry.block_size(),
        );
        let to_end = geometry.block_size() - inside;
        match (self.store.block_offset(block), self.written.get(&block)) {
            (Some(offset), Some(sectors)) => {
                let sector = inside / SECTOR;
                let end = sectors.run_end(sector, geometry.block_sectors());
                let length = end * SECTOR - inside;
                if sectors.contains(sector) {
                    (Source::File(offset + inside), length)
                } else {
                    (Source::Parent, length)
                }
            }
            _ => (Source::Parent, to_end),
        }
    }

    /// Marks the sectors of a range of the disk, which starts and ends with a sector.
    fn mark(&mut self, position: u64, length: u64) {
        let geometry = *self.store.geometry();
        let (mut sector, end) = (position / SECTOR, (position + length) / SECTOR);
        while sector < end {
            let block = sector / geometry.block_sectors();
            let first = block * geometry.block_sectors();
            let stop = end.min(first + geometry.block_sectors());
            self.written
                .entry(block)
                .or_insert_with(|| SectorSet::new(geometry.block_sectors()))
                .insert(sector - first, stop - first);
            sector = stop;
        }
    }

    /// One write of whole sectors.
    fn write_sectors(&mut self, position: u64, data: &[u8]) -> io::Result<usize> {
        let run = self.store.run_for_write(position, data.len());
        let (data, _) = data.split_at(run.length);
        let written = self.store.write_at(run.offset, data);
        // After an error, some of it may have been written: its blocks must not be given to others.
        // And a sector counts as a whole.
        let taken = written
            .as_ref()
            .unwrap_or(&data.len())
            .next_multiple_of(SECTOR as usize);
        self.store.take(position, taken);
        self.mark(position, taken as u64);
        let written = written?;
        let (_, missing) = data.split_at(taken).0.split_at(written);
        self.store
            .write_all_at(run.offset + written as u64, missing)?;
        Ok(taken)
    }

    /// Writes into one sector; what it has around the data stays.
    fn write_in_sector(&mut self, position: u64, data: &[u8]) -> io::Result<usize> {
        let inside = position % SECTOR;
        let (data, _) = data.split_at(clamp(SECTOR - inside, data.len()));
        if let (Source::File(offset), _) = self.locate(position) {
            return self.store.write_at(offset, data);
        }
        let start = position - inside;
        let mut sector = [0; SECTOR as usize];
        self.parent.read_all_at(start, &mut sector)?;
        for (old, new) in sector.iter_mut().skip(inside as usize).zip(data) {
            *old = *new;
        }
        let run = self.store.run_for_write(start, sector.len());
        self.store.take(start, sector.len());
        self.mark(start, SECTOR);
        self.store.write_all_at(run.offset, &sector)?;
        Ok(data.len())
    }
}

/// Fails, and writes nothing, when the data would reach past the end of the disk.
impl<F: Read + Write + Seek, P: Read + Seek> Write for DifferencingDisk<F, P> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.position.check_write(data)?;
        let position = self.position.now();
        let whole = data.len() - data.len() % SECTOR as usize;
        let written = if position.is_multiple_of(SECTOR) && whole > 0 {
            self.write_sectors(position, data.split_at(whole).0)?
        } else if data.is_empty() {
            0
        } else {
            self.write_in_sector(position, data)?
        };
        self.position.advance(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.store.flush()
    }
}

impl<F: Read + Write + Seek, P: Read + Seek> Read for DifferencingDisk<F, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let buffer = self.position.readable(buffer);
        let position = self.position.now();
        let (source, length) = self.locate(position);
        let (buffer, _) = buffer.split_at_mut(clamp(length, buffer.len()));
        let count = match source {
            Source::File(offset) => self.store.read_at(offset, buffer)?,
            Source::Parent => self.parent.read_at(position, buffer)?,
        };
        self.position.advance(count);
        Ok(count)
    }
}

impl<F: Read + Write + Seek, P: Read + Seek> Seek for DifferencingDisk<F, P> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position.seek(to)
    }
}
