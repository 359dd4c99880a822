//! Which sectors of a block are in a file.

/// A bit for each sector of a block, the first in the lowest bit, as in a sector bitmap block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SectorSet(Box<[u8]>);

impl SectorSet {
    /// No sector; the number is a multiple of 8.
    pub(crate) fn new(sectors: u64) -> Self {
        Self(vec![0; (sectors / 8) as usize].into())
    }

    /// The bits as they lie on disk.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bits, to be read from disk.
    pub(crate) fn as_mut_bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    pub(crate) fn contains(&self, sector: u64) -> bool {
        let byte = self.0.get((sector / 8) as usize);
        byte.is_some_and(|byte| byte >> (sector % 8) & 1 == 1)
    }

    /// Adds a range of sectors.
    pub(crate) fn insert(&mut self, start: u64, end: u64) {
        let mut sector = start;
        while sector < end {
            let Some(byte) = self.0.get_mut((sector / 8) as usize) else {
                return;
            };
            let stop = end.min((sector / 8 + 1) * 8);
            let ones = (1u16 << (stop - sector)) - 1;
            *byte |= (ones << (sector % 8)) as u8;
            sector = stop;
        }
    }

    /// The end of the run of sectors from `start` on that are all in the set, or all not, at most `end`.
    pub(crate) fn run_end(&self, start: u64, end: u64) -> u64 {
        let wanted = self.contains(start);
        let whole = if wanted { u8::MAX } else { 0 };
        let mut sector = start;
        while sector < end {
            if sector.is_multiple_of(8) && self.0.get((sector / 8) as usize) == Some(&whole) {
                sector += 8;
            } else if self.contains(sector) == wanted {
                sector += 1;
            } else {
                return sector;
            }
        }
        end
    }

    /// Whether the first so many sectors are all in the set.
    pub(crate) fn covers(&self, sectors: u64) -> bool {
        self.contains(0) && self.run_end(0, sectors) == sectors
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_sector_is_the_lowest_bit() {
        let mut set = SectorSet::new(16);
        set.insert(0, 1);
        set.insert(7, 10);
        assert_eq!(set.as_bytes(), [0b1000_0001, 0b0000_0011]);
        assert!(!set.covers(2));
        set.insert(0, 16);
        assert!(set.covers(16));
    }

    proptest! {
        #[test]
        fn runs_are_as_in_a_list_of_booleans(
            ranges in prop::collection::vec((0..64u64, 0..64u64), 0..4),
            start in 0..64u64,
        ) {
            let mut set = SectorSet::new(64);
            let mut model = [false; 64];
            for (from, to) in ranges {
                set.insert(from, to);
                (from..to).for_each(|sector| model[sector as usize] = true);
            }
            let here = model[start as usize];
            let end = (start..64).find(|sector| model[*sector as usize] != here).unwrap_or(64);
            prop_assert_eq!(set.contains(start), here);
            prop_assert_eq!(set.run_end(start, 64), end);
            prop_assert_eq!(set.run_end(start, end), end);
        }
    }
}
