//! Log files: the changes a hive lacks when it was not closed cleanly.
//!
//! Two formats: whole entries with hashes (`HvLE`, since Windows 8.1), and one list of dirty sectors
//! (`DIRT`, before). Source: "Windows registry file format specification", "Format of transaction
//! log files".

mod entries;
mod marvin;
mod sectors;
#[cfg(test)]
mod tests;

pub(crate) use sectors::{Patched, Recovery};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use self::entries::Entry;
use crate::{
    HiveError,
    format::{BaseBlock, DirtyVector, PAGE},
};

/// Unit of what logs replace.
const SECTOR: usize = 512;

/// A log whose copy of the header is whole.
struct Log<'l> {
    base: BaseBlock,
    bytes: &'l [u8],
}

impl<'l> Log<'l> {
    fn read(bytes: &'l [u8]) -> Option<Self> {
        let mut base = BaseBlock::new_zeroed();
        base.as_mut_bytes()
            .get_mut(..SECTOR)?
            .copy_from_slice(bytes.get(..SECTOR)?);
        let whole = base.signature == BaseBlock::SIGNATURE
            && base.checksum.get() == base.compute_checksum();
        whole.then_some(Self { base, bytes })
    }

    /// What follows the first sector, whose size the header knows.
    fn body(&self) -> &'l [u8] {
        let sector = (self.base.clustering.get() as usize).saturating_mul(SECTOR);
        let at = |start| self.bytes.get(start..).unwrap_or_default();
        let body = at(sector.max(SECTOR));
        let is_known = |body: &[u8]| {
            body.starts_with(&DirtyVector::SIGNATURE) || body.starts_with(&Entry::SIGNATURE)
        };
        if is_known(body) { body } else { at(SECTOR) }
    }

    fn has_entries(&self) -> bool {
        self.base.file_type.get() == BaseBlock::LOG_OF_ENTRIES
    }
}

/// What the logs add to a hive that is dirty for `reason`.
pub(crate) fn recover(
    base: &BaseBlock,
    reason: &'static str,
    logs: &[&[u8]],
) -> Result<Recovery, HiveError> {
    let remedy = if logs.iter().all(|log| log.is_empty()) {
        "its log files (.LOG1, .LOG2) are needed"
    } else {
        "its log files do not continue it; are they those of this hive?"
    };
    let logs: Vec<Log<'_>> = logs.iter().filter_map(|log| Log::read(log)).collect();
    let own = (base.checksum.get() == base.compute_checksum()).then_some(*base);
    let headers: Vec<BaseBlock> = match own {
        Some(own) => vec![own],
        None => logs.iter().map(|log| log.base).collect(),
    };
    headers
        .into_iter()
        .find_map(|mut header| {
            header.file_type = 0.into();
            by_entries(&header, &logs).or_else(|| by_sectors(&header, &logs))
        })
        .ok_or(HiveError::Dirty { reason, remedy })
}

/// Applies entries one after the other, from the header's number on, whichever log has them.
fn by_entries(header: &BaseBlock, logs: &[Log<'_>]) -> Option<Recovery> {
    let entries: Vec<Entry<'_>> = logs
        .iter()
        .filter(|log| log.has_entries())
        .flat_map(|log| entries::read(log.body()))
        .collect();
    let mut recovery = Recovery::new(*header);
    let mut next = header.secondary_sequence.get();
    let mut applied = false;
    while let Some(entry) = entries.iter().find(|entry| entry.sequence() == next) {
        entry.apply(&mut recovery)?;
        applied = true;
        match next.checked_add(1) {
            Some(following) => next = following,
            None => break,
        }
    }
    applied.then(|| recovery.sealed())
}

/// Applies the log that was written for the same state of the hive.
fn by_sectors(header: &BaseBlock, logs: &[Log<'_>]) -> Option<Recovery> {
    let log = logs.iter().find(|log| {
        !log.has_entries()
            && log.base.primary_sequence == log.base.secondary_sequence
            && log.base.last_written == header.last_written
            && log.body().starts_with(&DirtyVector::SIGNATURE)
    })?;
    let bins = log.base.bins_size.get() as usize;
    let (_, rest) = DirtyVector::read_from_prefix(log.body()).ok()?;
    let bitmap = rest.get(..bins / SECTOR / 8)?;
    let vector = size_of::<DirtyVector>() + bitmap.len();
    let mut pages = log
        .body()
        .get(vector.next_multiple_of(SECTOR)..)?
        .chunks_exact(SECTOR);
    let mut recovery = Recovery::new(*header);
    recovery.base.bins_size = log.base.bins_size;
    for (byte_at, byte) in bitmap.iter().enumerate() {
        for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
            recovery.put((PAGE / SECTOR + byte_at * 8 + bit) as u64, pages.next()?);
        }
    }
    recovery.base.primary_sequence = log.base.primary_sequence;
    recovery.base.secondary_sequence = log.base.primary_sequence;
    Some(recovery.sealed())
}
