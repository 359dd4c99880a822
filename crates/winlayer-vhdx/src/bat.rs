//! The block allocation table in memory: pages of entries, only those with something in them.

use zerocopy::{IntoBytes, little_endian::U64};

use crate::format::BatEntry;

/// Entries of a page, which is 4096 bytes.
pub(crate) const PAGE_ENTRIES: usize = 512;

type Page = [U64; PAGE_ENTRIES];

/// A table of a fixed number of entries, all zero at first.
#[derive(Clone, Debug)]
pub(crate) struct Bat {
    pages: Vec<Option<Box<Page>>>,
}

impl Bat {
    pub(crate) fn new(entries: u64) -> Self {
        // At most 64 TiB of blocks of 1 MiB: 2^17 pages.
        let pages = usize::try_from(entries.div_ceil(PAGE_ENTRIES as u64)).unwrap_or(usize::MAX);
        Self {
            pages: vec![None; pages],
        }
    }

    fn split(index: u64) -> (usize, usize) {
        let page = usize::try_from(index / PAGE_ENTRIES as u64).unwrap_or(usize::MAX);
        (page, (index % PAGE_ENTRIES as u64) as usize)
    }

    /// The entry at an index; zero when there is none.
    pub(crate) fn get(&self, index: u64) -> BatEntry {
        let (page, place) = Self::split(index);
        let page = self.pages.get(page).and_then(Option::as_ref);
        BatEntry(
            page.and_then(|page| page.get(place))
                .map_or(0, |entry| entry.get()),
        )
    }

    /// Sets the entry at an index, which must be less than the number of entries.
    pub(crate) fn set(&mut self, index: u64, entry: BatEntry) {
        let (page, place) = Self::split(index);
        debug_assert!(page < self.pages.len(), "entry {index} of the BAT");
        if let Some(page) = self.pages.get_mut(page) {
            let page = page.get_or_insert_with(|| Box::new([U64::ZERO; PAGE_ENTRIES]));
            if let Some(place) = page.get_mut(place) {
                *place = entry.0.into();
            }
        }
    }

    /// The pages with something in them, as they lie on disk, each with its offset in the table.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let size = size_of::<Page>() as u64;
        let pages = (0..).zip(&self.pages);
        pages.filter_map(move |(number, page)| Some((number * size, page.as_ref()?.as_bytes())))
    }

    /// The indexes of all entries that are not zero.
    pub(crate) fn used(&self) -> impl Iterator<Item = u64> {
        let pages = (0..).step_by(PAGE_ENTRIES).zip(&self.pages);
        pages
            .filter_map(|(first, page)| Some((first.., page.as_ref()?)))
            .flat_map(|(indexes, page)| indexes.zip(&**page))
            .filter_map(|(index, entry)| (*entry != 0).then_some(index))
    }
}
