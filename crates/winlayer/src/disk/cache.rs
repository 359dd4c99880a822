//! Small reads made large: file records and index blocks lie close together.

use std::{
    collections::HashMap,
    io::{self, Read, Seek, SeekFrom},
};

/// Bytes that are read at once.
const BLOCK: usize = 64 << 10;
/// Blocks that are kept.
const KEPT: usize = 64;

/// A device whose small reads come from memory. Large ones go straight through.
#[derive(Debug)]
pub(super) struct BlockCache<D> {
    inner: D,
    length: u64,
    position: u64,
    blocks: Vec<Block>,
    /// Block numbers to places in `blocks`.
    places: HashMap<u64, usize>,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Block {
    number: u64,
    bytes: Vec<u8>,
    used: u64,
}

impl<D: Read + Seek> BlockCache<D> {
    /// Over a device of `length` bytes.
    pub(super) fn new(inner: D, length: u64) -> Self {
        Self {
            inner,
            length,
            position: 0,
            blocks: Vec::new(),
            places: HashMap::new(),
            clock: 0,
        }
    }

    fn block(&mut self, number: u64) -> io::Result<&[u8]> {
        self.clock = self.clock.saturating_add(1);
        let place = match self.places.get(&number) {
            Some(&place) => place,
            None => self.fetch(number)?,
        };
        let clock = self.clock;
        let block = self.blocks.get_mut(place);
        Ok(block.map_or(&[], |block| {
            block.used = clock;
            &block.bytes
        }))
    }

    /// Reads a block in place of the one that was not used for longest.
    fn fetch(&mut self, number: u64) -> io::Result<usize> {
        let mut bytes = match self.blocks.len() < KEPT {
            true => Vec::new(),
            false => {
                let (place, _) = (self.blocks.iter().enumerate())
                    .min_by_key(|(_, block)| block.used)
                    .unzip();
                let old = self.blocks.swap_remove(place.unwrap_or_default());
                self.places.remove(&old.number);
                if let (Some(place), true) = (place, place < Some(self.blocks.len()))
                    && let Some(moved) = self.blocks.get(place)
                {
                    self.places.insert(moved.number, place);
                }
                old.bytes
            }
        };
        let start = number.saturating_mul(BLOCK as u64);
        let length = self.length.saturating_sub(start).min(BLOCK as u64);
        bytes.resize(length as usize, 0);
        self.inner.seek(SeekFrom::Start(start))?;
        self.inner.read_exact(&mut bytes)?;
        let place = self.blocks.len();
        self.blocks.push(Block {
            number,
            bytes,
            used: self.clock,
        });
        self.places.insert(number, place);
        Ok(place)
    }
}

impl<D: Read + Seek> Read for BlockCache<D> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || self.position >= self.length {
            return Ok(0);
        }
        let count = if out.len() >= BLOCK {
            self.inner.seek(SeekFrom::Start(self.position))?;
            self.inner.read(out)?
        } else {
            let (number, inside) = (self.position / BLOCK as u64, self.position % BLOCK as u64);
            let block = self.block(number)?;
            let bytes = block.get(inside as usize..).unwrap_or_default();
            let count = bytes.len().min(out.len());
            if let (Some(out), Some(bytes)) = (out.get_mut(..count), bytes.get(..count)) {
                out.copy_from_slice(bytes);
            }
            count
        };
        self.position = self.position.saturating_add(count as u64);
        Ok(count)
    }
}

impl<D> Seek for BlockCache<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_what_is_below(reads in prop::collection::vec((0_u64..10 << 20, 1_usize..100_000), 1..200)) {
            let bytes: Vec<u8> = (0..(9_u32 << 20)).map(|at| (at / 7 + at / 65536) as u8).collect();
            let mut cache = BlockCache::new(Cursor::new(&bytes), bytes.len() as u64);
            for (offset, length) in reads {
                let mut out = Vec::new();
                cache.seek(SeekFrom::Start(offset)).unwrap();
                (&mut cache).take(length as u64).read_to_end(&mut out).unwrap();
                let start = (offset as usize).min(bytes.len());
                let end = (start + length).min(bytes.len());
                prop_assert!(out == bytes[start..end]);
                prop_assert!(cache.blocks.len() <= KEPT);
            }
        }
    }
}
