//! Sectors that logs replace.

use std::{borrow::Cow, collections::HashMap, io};

use zerocopy::IntoBytes;

use super::SECTOR;
use crate::{
    Source,
    format::{BaseBlock, PAGE},
};

/// A hive's header and the sectors that its logs change.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub base: BaseBlock,
    /// By sector number in the file.
    sectors: HashMap<u64, Box<[u8]>>,
}

impl Recovery {
    pub(super) fn new(base: BaseBlock) -> Self {
        Self {
            base,
            sectors: HashMap::new(),
        }
    }

    /// Replaces a sector of the bins.
    pub(super) fn put(&mut self, sector: u64, bytes: &[u8]) {
        self.sectors.insert(sector, bytes.into());
    }

    /// With the header final and among the sectors.
    pub(super) fn sealed(mut self) -> Self {
        self.base.checksum = self.base.compute_checksum().into();
        let header = self.base;
        for (sector, bytes) in header.as_bytes().chunks_exact(SECTOR).enumerate() {
            self.put(sector as u64, bytes);
        }
        self
    }

    /// Length of the file, which logs can only lengthen by what they contain.
    fn size(&self, primary: u64) -> u64 {
        let bins = PAGE as u64 + u64::from(self.base.bins_size.get());
        let most = primary + (self.sectors.len() * SECTOR) as u64;
        primary.max(bins.min(most))
    }

    /// Changes a hive in memory.
    pub(crate) fn apply(&self, file: &mut Vec<u8>) {
        let size = self.size(file.len() as u64);
        file.resize(usize::try_from(size).unwrap_or(file.len()), 0);
        self.overlay(0, file);
    }

    /// Replaces what of `bytes`, which are at `offset` of the file, the logs change.
    fn overlay(&self, offset: u64, bytes: &mut [u8]) {
        let end = offset + bytes.len() as u64;
        for number in offset / SECTOR as u64..end.div_ceil(SECTOR as u64) {
            let Some(sector) = self.sectors.get(&number) else {
                continue;
            };
            let start = number * SECTOR as u64;
            let skip = offset.saturating_sub(start) as usize;
            let target = bytes.iter_mut().skip(start.saturating_sub(offset) as usize);
            for (target, byte) in target.zip(sector.iter().skip(skip)) {
                *target = *byte;
            }
        }
    }
}

/// A source with the logs' sectors over it.
#[derive(Debug)]
pub(crate) struct Patched<'a> {
    primary: Box<dyn Source + 'a>,
    recovery: Recovery,
}

impl<'a> Patched<'a> {
    pub(crate) fn new(primary: Box<dyn Source + 'a>, recovery: Recovery) -> Self {
        Self { primary, recovery }
    }
}

impl Source for Patched<'_> {
    fn size(&self) -> u64 {
        self.recovery.size(self.primary.size())
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        let there = self.primary.size().saturating_sub(offset);
        let there = usize::try_from(there).map_or(length, |there| there.min(length));
        let mut bytes = match there {
            0 => Vec::new(),
            _ => self.primary.read(offset, there)?.into_owned(),
        };
        bytes.resize(length, 0);
        self.recovery.overlay(offset, &mut bytes);
        Ok(Cow::Owned(bytes))
    }
}
