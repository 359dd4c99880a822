//! Entries of the newer logs.

use zerocopy::FromBytes;

use super::{SECTOR, marvin::marvin32, sectors::Recovery};
use crate::format::{DirtyPage, LogEntry, PAGE};

/// An entry whose hashes are right.
pub(super) struct Entry<'l> {
    header: LogEntry,
    /// References, then pages.
    content: &'l [u8],
}

/// The entries from the start of `body` to the first that is not whole.
pub(super) fn read(mut body: &[u8]) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    while let Some((entry, rest)) = Entry::read(body) {
        entries.push(entry);
        body = rest;
    }
    entries
}

impl<'l> Entry<'l> {
    pub(super) const SIGNATURE: [u8; 4] = LogEntry::SIGNATURE;

    fn read(body: &'l [u8]) -> Option<(Self, &'l [u8])> {
        let (header, _) = LogEntry::read_from_prefix(body).ok()?;
        let size = header.size.get() as usize;
        let (entry, rest) = body.split_at_checked(size)?;
        let content = entry.get(size_of::<LogEntry>()..)?;
        let bins = header.bins_size.get() as usize;
        let whole = header.signature == Self::SIGNATURE
            && size.is_multiple_of(SECTOR)
            && bins > 0
            && bins.is_multiple_of(PAGE)
            && header.header_hash.get() == marvin32(entry.get(..32)?)
            && header.content_hash.get() == marvin32(content);
        whole.then_some((Self { header, content }, rest))
    }

    pub(super) fn sequence(&self) -> u32 {
        self.header.sequence.get()
    }

    /// Adds the entry's pages; `None` when they are not where they can be.
    pub(super) fn apply(&self, recovery: &mut Recovery) -> Option<()> {
        let bins = u64::from(self.header.bins_size.get());
        let count = self.header.dirty_pages.get() as usize;
        let references = count.checked_mul(size_of::<DirtyPage>())?;
        let (references, mut pages) = self.content.split_at_checked(references)?;
        let references = <[DirtyPage]>::ref_from_bytes(references).ok()?;
        for reference in references {
            let (start, size) = (reference.offset.get(), reference.size.get());
            let fits = u64::from(start) + u64::from(size) <= bins;
            let aligned = [start, size].map(|number| (number as usize).is_multiple_of(SECTOR));
            let (page, rest) = pages.split_at_checked(size as usize)?;
            if !fits || aligned != [true, true] {
                return None;
            }
            let first = (PAGE + start as usize) / SECTOR;
            for (sector, bytes) in page.chunks_exact(SECTOR).enumerate() {
                recovery.put((first + sector) as u64, bytes);
            }
            pages = rest;
        }
        let base = &mut recovery.base;
        base.bins_size = self.header.bins_size;
        base.flags = self.header.flags;
        base.primary_sequence = self.header.sequence;
        base.secondary_sequence = self.header.sequence;
        Some(())
    }
}
