//! Which clusters are used, and whether `$Bitmap` says the same.

use std::{
    collections::BTreeMap,
    io::{Read, Seek},
};

use super::{Verifier, rule::Rule};
use crate::{
    NtfsError, Place, Result,
    attribute::{Attribute, AttributeType, Content},
    format::system,
    read::extents::Extents,
    runs::Run,
};

/// Clusters used twice whose first owner is looked for.
const MAX_DOUBLES: usize = 100;
/// Bytes of `$Bitmap` read at once.
const PIECE: usize = 1 << 20;

/// One bit a cluster.
#[derive(Debug)]
pub(crate) struct Clusters {
    bits: Vec<u64>,
    count: u64,
    /// By a cluster that was used before: the second owner.
    doubles: BTreeMap<u64, Place>,
}

impl Clusters {
    pub(crate) fn new(count: u64) -> Self {
        Self {
            bits: vec![0; count.div_ceil(64) as usize],
            count,
            doubles: BTreeMap::new(),
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.bits
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }

    /// Marks a run, which is on the volume, and returns the first cluster of it that was marked before.
    fn claim(&mut self, start: u64, clusters: u64) -> Option<u64> {
        let end = start.saturating_add(clusters).min(self.count);
        let mut first = None;
        let mut at = start;
        while at < end {
            let (index, low) = ((at / 64) as usize, at % 64);
            let length = (64 - low).min(end - at);
            let mask = (u64::MAX >> (64 - length)) << low;
            if let Some(word) = self.bits.get_mut(index) {
                if *word & mask != 0 && first.is_none() {
                    first = Some(at - low + u64::from((*word & mask).trailing_zeros()));
                }
                *word |= mask;
            }
            at += length;
        }
        first
    }
}

impl<D: Read + Seek> Verifier<'_, D> {
    /// Takes note of the clusters of an attribute that is not resident.
    pub(crate) fn claim_attribute(&mut self, attribute: &Attribute, record: u64) {
        if let Content::NonResident(value) = &attribute.content {
            self.claim_runs(&value.runs, || attribute.place(record));
        }
    }

    pub(crate) fn claim_runs(&mut self, runs: &[Run], place: impl Fn() -> Place) {
        let count = self.clusters.count;
        for run in runs {
            let Some(lcn) = run.lcn else {
                continue;
            };
            if !run.ends_by(count) {
                let found = format!("{} clusters from {lcn}", run.clusters);
                let expected = format!("runs on the volume of {count} clusters");
                self.sink.report(place(), Rule::Runs, expected, found);
            } else if let Some(twice) = self.clusters.claim(lcn, run.clusters) {
                let full = self.clusters.doubles.len() >= MAX_DOUBLES;
                if full || self.clusters.doubles.contains_key(&twice) {
                    let found = "it in another value too";
                    let expected = format!("cluster {twice} here only");
                    self.sink
                        .report(place(), Rule::ClusterTwice, expected, found);
                } else {
                    self.clusters.doubles.insert(twice, place());
                }
            }
        }
    }

    /// Names both owners of clusters used twice; the first is looked for in all records.
    pub(crate) fn report_doubles(&mut self) -> Result<()> {
        let doubles = std::mem::take(&mut self.clusters.doubles);
        if doubles.is_empty() {
            return Ok(());
        }
        let mut owners: BTreeMap<u64, Place> = BTreeMap::new();
        for number in 0..self.volume.records() {
            // A damaged record has been reported where it was met.
            let record = match self.volume.record(number) {
                Ok(Some(record)) => record,
                Err(error @ NtfsError::Io { .. }) => return Err(error),
                _ => continue,
            };
            for attribute in &record.attributes {
                let Content::NonResident(value) = &attribute.content else {
                    continue;
                };
                for run in &value.runs {
                    let Some(lcn) = run.lcn.filter(|_| run.ends_by(self.clusters.count)) else {
                        continue;
                    };
                    let base = record.base.map_or(number, |base| base.record());
                    for (cluster, second) in doubles.range(lcn..lcn + run.clusters) {
                        let place = attribute.place(base);
                        if place != *second {
                            owners.entry(*cluster).or_insert(place);
                        }
                    }
                }
            }
        }
        for (cluster, second) in doubles {
            let first = owners.remove(&cluster).unwrap_or_else(|| second.clone());
            let found = format!("it in {first} too");
            let expected = format!("cluster {cluster} here only");
            self.sink
                .report(second, Rule::ClusterTwice, expected, found);
        }
        Ok(())
    }

    /// Compares `$Bitmap` with the clusters that were met.
    pub(crate) fn compare_bitmap(&mut self) -> Result<()> {
        let number = u64::from(system::BITMAP);
        let record = self.volume.load(number);
        let Some(Some(record)) = self.sink.check(Rule::SystemFile, record)? else {
            return Ok(());
        };
        let data = record.need(AttributeType::DATA, "");
        let Some(data) = self.sink.check(Rule::SystemFile, data)? else {
            return Ok(());
        };
        let place = data.place(number);
        let Content::NonResident(value) = &data.content else {
            self.sink.report(
                place,
                Rule::AttributeResidence,
                "it in clusters",
                "it in the record",
            );
            return Ok(());
        };
        let extents = Extents::of(&self.volume.geometry, data, value, number);
        let Some(extents) = self.sink.check(Rule::Runs, extents)? else {
            return Ok(());
        };
        let least = self.clusters.count.div_ceil(64) * 8;
        if extents.size < least || !extents.size.is_multiple_of(8) {
            let found = format!("{} bytes", extents.size);
            self.sink.report(
                place.clone(),
                Rule::BitmapTail,
                format!("{least} bytes"),
                found,
            );
        }
        let mut piece = vec![0; PIECE];
        let mut offset = 0;
        let mut differences = Differences::default();
        while offset < extents.size.min(least) {
            let length = (extents.size - offset).min(PIECE as u64) as usize;
            let bytes = piece.get_mut(..length).unwrap_or_default();
            let read = extents.read(&mut self.volume.device, offset, bytes);
            if self.sink.check(Rule::Runs, read)?.is_none() {
                return Ok(());
            }
            let words = self.clusters.bits.iter().skip((offset / 8) as usize);
            for (index, (there, used)) in bytes.as_chunks::<8>().0.iter().zip(words).enumerate() {
                let first = (offset + index as u64 * 8) * 8;
                let inside = match self.clusters.count.saturating_sub(first) {
                    64.. => u64::MAX,
                    bits => !(u64::MAX << bits),
                };
                let there = u64::from_le_bytes(*there);
                if there & !inside != !inside {
                    let found = format!("{there:#018x} in the last 64");
                    let expected = "the bits behind the volume's end set";
                    self.sink
                        .report(place.clone(), Rule::BitmapTail, expected, found);
                }
                differences.add(first, used & !there & inside, there & !used & inside);
            }
            offset += length as u64;
        }
        for (rule, set, ranges) in [
            (Rule::ClusterUnmarked, "set", &differences.unmarked),
            (Rule::ClusterLeaked, "clear", &differences.leaked),
        ] {
            for &(first, last) in ranges {
                let expected = format!("bits {first} to {last} {set}");
                self.sink
                    .report(place.clone(), rule, expected, "something else");
            }
        }
        Ok(())
    }
}

/// Ranges of bits, each with its first and last.
#[derive(Debug, Default)]
struct Differences {
    unmarked: Vec<(u64, u64)>,
    leaked: Vec<(u64, u64)>,
}

impl Differences {
    fn add(&mut self, first: u64, unmarked: u64, leaked: u64) {
        for (bits, ranges) in [(unmarked, &mut self.unmarked), (leaked, &mut self.leaked)] {
            let mut bits = bits;
            while bits != 0 {
                let bit = first + u64::from(bits.trailing_zeros());
                match ranges.last_mut() {
                    Some((_, last)) if *last + 1 == bit => *last = bit,
                    _ => ranges.push((bit, bit)),
                }
                bits &= bits - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_runs_and_finds_the_first_overlap() {
        let mut clusters = Clusters::new(1000);
        assert_eq!(clusters.claim(60, 300), None);
        assert_eq!(clusters.claim(10, 50), None);
        assert_eq!(clusters.claim(360, 640), None);
        assert_eq!(clusters.used(), 990);
        assert_eq!(clusters.claim(0, 1000), Some(10));
        assert_eq!(clusters.claim(999, 1), Some(999));
    }
}
