//! Which clusters are in use: all below a mark that only rises, but for some that were given back.

use crate::{NtfsError, Result, format::CLUSTER, runs::Run};

/// The clusters of a volume.
#[derive(Debug)]
pub(super) struct Space {
    /// First cluster that has never been used.
    next: u64,
    /// How many there are; none while the volume may still grow.
    total: Option<u64>,
    /// Free clusters below `next`: first one and how many.
    free: Vec<(u64, u64)>,
}

impl Space {
    pub(super) fn new(next: u64, total: Option<u64>, free: Vec<(u64, u64)>) -> Self {
        Self { next, total, free }
    }

    /// The clusters that `$Bitmap` says are in use, of `total`.
    pub(super) fn from_bitmap(bits: &[u8], total: u64) -> Self {
        let is_used = |cluster: u64| {
            let byte = bits
                .get((cluster / 8) as usize)
                .copied()
                .unwrap_or_default();
            byte >> (cluster % 8) & 1 == 1
        };
        let last = (0..total).rev().find(|&cluster| is_used(cluster));
        let next = last.map_or(0, |last| last + 1);
        let mut free: Vec<(u64, u64)> = Vec::new();
        for cluster in (0..next).filter(|&cluster| !is_used(cluster)) {
            match free.last_mut() {
                Some((first, clusters)) if *first + *clusters == cluster => *clusters += 1,
                _ => free.push((cluster, 1)),
            }
        }
        Self::new(next, Some(total), free)
    }

    /// Clusters that lie together and have never been used.
    pub(super) fn allocate(&mut self, clusters: u64) -> Result<u64> {
        let first = self.next;
        let end = first.saturating_add(clusters);
        if let Some(total) = self.total.filter(|&total| end > total) {
            return Err(NtfsError::Full {
                size: total.saturating_mul(CLUSTER),
                needed: (end - total).saturating_mul(CLUSTER),
            });
        }
        self.next = end;
        Ok(first)
    }

    /// Clusters for `bytes`.
    pub(super) fn allocate_bytes(&mut self, bytes: u64) -> Result<Vec<Run>> {
        let clusters = bytes.div_ceil(CLUSTER);
        if clusters == 0 {
            return Ok(Vec::new());
        }
        let lcn = Some(self.allocate(clusters)?);
        Ok(vec![Run { lcn, clusters }])
    }

    pub(super) fn release(&mut self, run: Run) {
        match run.lcn {
            // The last ones can be used again, for they have just been taken.
            Some(lcn) if lcn + run.clusters == self.next => self.next = lcn,
            Some(lcn) => self.free.push((lcn, run.clusters)),
            None => {}
        }
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    /// From now on the volume has this many clusters.
    pub(super) fn set_total(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// `$Bitmap` up to the last cluster ever used, without what follows: one bit a cluster.
    pub(super) fn bitmap(&self) -> Vec<u8> {
        let mut bits = vec![0_u8; self.next.div_ceil(8) as usize];
        set(&mut bits, 0, self.next);
        for &(first, clusters) in &self.free {
            clear(
                &mut bits,
                first,
                clusters.min(self.next.saturating_sub(first)),
            );
        }
        bits
    }

    /// Clusters in use.
    pub(super) fn used(&self) -> u64 {
        let free: u64 = self.free.iter().map(|(_, clusters)| clusters).sum();
        self.next.saturating_sub(free)
    }
}

/// Sets `count` bits from `first`.
pub(super) fn set(bits: &mut [u8], first: u64, count: u64) {
    change(bits, first, count, |byte, mask| *byte |= mask);
}

/// Clears `count` bits from `first`.
fn clear(bits: &mut [u8], first: u64, count: u64) {
    change(bits, first, count, |byte, mask| *byte &= !mask);
}

fn change(bits: &mut [u8], first: u64, count: u64, apply: impl Fn(&mut u8, u8)) {
    let end = first + count;
    let mut at = first;
    while at < end {
        let (byte, bit) = ((at / 8) as usize, at % 8);
        let taken = (8 - bit).min(end - at);
        let mask = (((1_u16 << taken) - 1) << bit) as u8;
        if let Some(byte) = bits.get_mut(byte) {
            apply(byte, mask);
        }
        at += taken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(lcn: u64, clusters: u64) -> Run {
        let lcn = Some(lcn);
        Run { lcn, clusters }
    }

    #[test]
    fn what_was_taken_last_is_taken_again_and_the_rest_stays_free() {
        let mut space = Space::new(2, Some(100), Vec::new());
        assert_eq!(space.allocate(10).unwrap(), 2);
        assert_eq!(space.allocate(4).unwrap(), 12);
        space.release(run(3, 2));
        space.release(run(14, 2));
        assert_eq!(space.allocate(1).unwrap(), 14);
        assert_eq!(space.used(), 13);
        assert_eq!(space.bitmap(), [0b1110_0111, 0b0111_1111]);
    }

    #[test]
    fn a_full_volume_says_what_is_missing() {
        let mut space = Space::new(2, Some(10), Vec::new());
        let error = space.allocate(10).unwrap_err();
        assert!(matches!(
            error,
            NtfsError::Full {
                size: 40_960,
                needed: 8192
            }
        ));
        assert_eq!(space.allocate(8).unwrap(), 2);
    }

    proptest! {
        #[test]
        fn a_bitmap_says_what_it_was_made_of(free in prop::collection::btree_set(0..400_u64, 0..200)) {
            let total = 400;
            let mut bits = vec![0; 50];
            (0..total).filter(|cluster| !free.contains(cluster)).for_each(|cluster| set(&mut bits, cluster, 1));
            let space = Space::from_bitmap(&bits, total);
            let mut again = space.bitmap();
            again.resize(50, 0);
            prop_assert_eq!(again, bits);
            prop_assert_eq!(space.used(), total - free.len() as u64);
        }
    }
}
