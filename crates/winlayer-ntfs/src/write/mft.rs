//! Where file records are: in pieces of the volume that double in size.

use super::space::Space;
use crate::{
    Result,
    format::{CLUSTER, RECORD},
    runs::{Run, clusters_of},
};

const RECORDS_PER_CLUSTER: u64 = CLUSTER / RECORD as u64;
/// Clusters of the first piece.
const FIRST_PIECE: u64 = 64;

/// Where a record is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Its first byte.
    pub offset: u64,
    /// The first byte of the piece that it is in: from there on all is file records.
    pub piece: u64,
}

/// The clusters of `$MFT`.
#[derive(Debug)]
pub(super) struct MftRuns {
    runs: Vec<Run>,
}

impl MftRuns {
    pub(super) fn new(runs: Vec<Run>) -> Self {
        Self { runs }
    }

    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Makes room for record `number`.
    pub(super) fn make_room(&mut self, number: u32, space: &mut Space) -> Result<()> {
        let clusters = clusters_of(&self.runs);
        if u64::from(number) < clusters * RECORDS_PER_CLUSTER {
            return Ok(());
        }
        // Twice as many as before, so that there are never many pieces; near the end of a volume what is left will do.
        let wanted = clusters.max(FIRST_PIECE);
        let left = space
            .total()
            .map(|total| total.saturating_sub(space.next()));
        let taken = left.map_or(wanted, |left| wanted.min((left / 2).max(1)));
        let lcn = space.allocate(taken)?;
        match self.runs.last_mut() {
            Some(Run {
                lcn: Some(first),
                clusters,
            }) if *first + *clusters == lcn => *clusters += taken,
            _ => self.runs.push(Run {
                lcn: Some(lcn),
                clusters: taken,
            }),
        }
        Ok(())
    }

    /// Gives back the clusters behind the first `records`.
    pub(super) fn trim(&mut self, records: u32, space: &mut Space) {
        let mut keep = u64::from(records).div_ceil(RECORDS_PER_CLUSTER);
        let mut kept = Vec::new();
        for run in std::mem::take(&mut self.runs) {
            let clusters = run.clusters.min(keep);
            keep -= clusters;
            if clusters > 0 {
                kept.push(Run { clusters, ..run });
            }
            if clusters < run.clusters {
                space.release(Run {
                    lcn: run.lcn.map(|lcn| lcn + clusters),
                    clusters: run.clusters - clusters,
                });
            }
        }
        self.runs = kept;
    }

    /// Byte of the volume where record `number` is.
    pub(super) fn offset(&self, number: u32) -> Option<u64> {
        self.place(number).map(|place| place.offset)
    }

    /// Where record `number` is.
    pub(super) fn place(&self, number: u32) -> Option<Place> {
        let mut cluster = u64::from(number) / RECORDS_PER_CLUSTER;
        for run in &self.runs {
            if cluster < run.clusters {
                let inside = u64::from(number) % RECORDS_PER_CLUSTER * RECORD as u64;
                let piece = run.lcn? * CLUSTER;
                let offset = piece + cluster * CLUSTER + inside;
                return Some(Place { offset, piece });
            }
            cluster -= run.clusters;
        }
        None
    }
}
