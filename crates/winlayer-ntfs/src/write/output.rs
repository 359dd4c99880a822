//! What reaches the device: neighbouring writes are joined, and large ones go through.

use std::io::{Read, Seek, SeekFrom, Write};

use super::mft::Place;
use crate::{NtfsError, Result};

/// Bytes kept back in one place.
const BUFFER: usize = 1 << 20;
/// Zeros rather than a new write, between two records of one batch.
const GAP: u64 = 32 << 10;

/// The order of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Those between the record before and this one have not been written yet.
    Rising,
    /// Nothing is known.
    Any,
}

/// Bytes on their way to one place.
#[derive(Debug, Default)]
struct Pending {
    offset: u64,
    bytes: Vec<u8>,
}

impl Pending {
    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// The device and what it has yet to get. Content and file records have a buffer each, since they grow side by side.
#[derive(Debug)]
pub(super) struct Output<D> {
    device: D,
    /// Where the device stands, when that is known.
    position: Option<u64>,
    content: Pending,
    records: Pending,
}

impl<D: Read + Write + Seek> Output<D> {
    pub(super) fn new(device: D) -> Self {
        Self {
            device,
            position: None,
            content: Pending::default(),
            records: Pending::default(),
        }
    }

    /// Writes content at `offset`.
    pub(super) fn content(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let pending = &mut self.content;
        if pending.end() != offset || pending.bytes.len() + bytes.len() > BUFFER {
            self.flush_content()?;
            if bytes.len() >= BUFFER / 2 {
                return self.put(offset, bytes);
            }
            self.content.offset = offset;
        }
        self.content.bytes.extend(bytes);
        Ok(())
    }

    /// Writes a file record.
    pub(super) fn record(&mut self, place: Place, bytes: &[u8], order: Order) -> Result<()> {
        let Place { offset, piece } = place;
        let pending = &mut self.records;
        let gap = offset.checked_sub(pending.end());
        // Only records may be in the gap, no content.
        let may_fill = order == Order::Rising && pending.end() >= piece;
        let joins = gap.is_some_and(|gap| gap == 0 || (may_fill && gap <= GAP));
        if !joins || pending.bytes.len() + bytes.len() > BUFFER {
            self.flush_records()?;
            self.records.offset = offset;
        } else if let Some(gap) = gap {
            let filled = pending.bytes.len() + gap as usize;
            pending.bytes.resize(filled, 0);
        }
        self.records.bytes.extend(bytes);
        Ok(())
    }

    fn flush_content(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.content.bytes);
        let done = self.put(self.content.offset, &bytes);
        self.content.bytes = emptied(bytes);
        done
    }

    fn flush_records(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.records.bytes);
        let done = self.put(self.records.offset, &bytes);
        self.records.offset += bytes.len() as u64;
        self.records.bytes = emptied(bytes);
        done
    }

    /// Hands everything to the device.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.flush_content()?;
        self.flush_records()
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.seek(offset).map_err(NtfsError::write)?;
        self.device.write_all(bytes).map_err(NtfsError::write)?;
        self.position = Some(offset + bytes.len() as u64);
        Ok(())
    }

    fn seek(&mut self, offset: u64) -> std::io::Result<()> {
        if self.position.take() != Some(offset) {
            self.device.seek(SeekFrom::Start(offset))?;
        }
        Ok(())
    }

    /// Reads what is at `offset`, writes not yet done included.
    pub(super) fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        self.flush()?;
        self.seek(offset).map_err(NtfsError::read)?;
        self.device.read_exact(bytes).map_err(NtfsError::read)?;
        self.position = Some(offset + bytes.len() as u64);
        Ok(())
    }

    /// Writes the sectors of `bytes` that differ from what is at `offset`.
    pub(super) fn change(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        const SECTOR: usize = crate::format::SECTOR;
        let mut old = vec![0; bytes.len()];
        self.read(offset, &mut old)?;
        let sectors = bytes.chunks(SECTOR).zip(old.chunks(SECTOR));
        for (index, (new, old)) in sectors.enumerate() {
            if new != old {
                self.content(offset + (index * SECTOR) as u64, new)?;
            }
        }
        Ok(())
    }

    /// Everything is written; gives the device back.
    pub(super) fn into_device(mut self) -> Result<D> {
        self.flush()?;
        self.device.flush().map_err(NtfsError::write)?;
        Ok(self.device)
    }

    pub(super) fn device_mut(&mut self) -> Result<&mut D> {
        self.flush()?;
        self.position = None;
        Ok(&mut self.device)
    }
}

fn emptied(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.clear();
    bytes
}
