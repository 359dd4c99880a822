//! Values in clusters: from a byte of the value to a byte of the volume.

use std::io::{Read, Seek};

use super::{Volume, device::Device, geometry::Geometry};
use crate::{
    NtfsError, Place, Result,
    attribute::{Attribute, Content, NonResident, attribute_flags},
    runs::Run,
};

/// Largest value that is kept in memory: the bitmap of 32 TiB in clusters of 4096 bytes.
const MAX_VALUE: u64 = 1 << 30;

/// Where the bytes of a value are. Every run is on the volume, and all together are no more than the volume.
#[derive(Clone, Debug)]
pub(crate) struct Extents {
    place: Place,
    extents: Vec<Extent>,
    /// Bytes of the value.
    pub size: u64,
    /// Bytes that have been written; what follows reads as zeros.
    initialized: u64,
}

/// Bytes of a value that lie together.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// First byte, in the value.
    start: u64,
    /// Behind the last byte, in the value.
    end: u64,
    /// First byte on the volume; none for a hole.
    at: Option<u64>,
}

impl Extents {
    /// The whole value of an attribute; `record` is for messages.
    ///
    /// # Errors
    ///
    /// Compressed and encrypted values; runs that leave the volume or do not cover the value.
    pub(crate) fn of(
        geometry: &Geometry,
        attribute: &Attribute,
        value: &NonResident,
        record: u64,
    ) -> Result<Self> {
        let place = attribute.place(record);
        for (bits, what) in [
            (attribute_flags::COMPRESSED, "a compressed value"),
            (attribute_flags::ENCRYPTED, "an encrypted value"),
        ] {
            if attribute.flags & bits != 0 {
                let what = what.to_owned();
                return Err(NtfsError::Unsupported { place, what });
            }
        }
        let extents = Self::partial(geometry, place, value)?;
        let covered = extents.mapped();
        if value.lowest_vcn != 0 || covered < value.size || value.initialized > value.size {
            let found = format!(
                "runs for {covered} from cluster {}, {} initialized",
                value.lowest_vcn, value.initialized
            );
            let expected = format!("runs for all {} bytes", value.size);
            return Err(NtfsError::damaged(extents.place, expected, found));
        }
        Ok(extents)
    }

    /// As far as the runs go.
    pub(crate) fn partial(geometry: &Geometry, place: Place, value: &NonResident) -> Result<Self> {
        let mut extents = Self {
            place,
            extents: Vec::with_capacity(value.runs.len()),
            size: value.size,
            initialized: value.initialized,
        };
        extents.extend(geometry, &value.runs)?;
        Ok(extents)
    }

    /// Goes on with more runs of the value.
    pub(crate) fn extend(&mut self, geometry: &Geometry, runs: &[Run]) -> Result<()> {
        let damaged = |place: &Place, found: String| {
            let clusters = geometry.clusters();
            let expected = format!("runs on the volume of {clusters} clusters");
            NtfsError::damaged(place.clone(), expected, found)
        };
        let mut start = self.mapped();
        for run in runs {
            let bytes = run.clusters.checked_mul(geometry.cluster);
            let end = bytes.and_then(|bytes| start.checked_add(bytes));
            let end = end.filter(|&end| end <= i64::MAX as u64);
            let end = end.ok_or_else(|| damaged(&self.place, format!("{}", run.clusters)))?;
            let at = match run.lcn {
                None => None,
                Some(lcn) if run.ends_by(geometry.clusters()) => Some(lcn * geometry.cluster),
                Some(lcn) => {
                    let found = format!("{} clusters from {lcn}", run.clusters);
                    return Err(damaged(&self.place, found));
                }
            };
            self.extents.push(Extent { start, end, at });
            start = end;
        }
        let there = self.bytes_there();
        if there > geometry.total {
            return Err(damaged(
                &self.place,
                format!("{} there", there / geometry.cluster),
            ));
        }
        Ok(())
    }

    /// Bytes there are runs for.
    pub(crate) fn mapped(&self) -> u64 {
        self.extents.last().map_or(0, |last| last.end)
    }

    /// Bytes of clusters that are really there.
    fn bytes_there(&self) -> u64 {
        let there = self.extents.iter().filter(|extent| extent.at.is_some());
        there.fold(0, |sum, extent| {
            sum.saturating_add(extent.end - extent.start)
        })
    }

    /// Refuses holes, so that the size is no more than what is on the volume.
    pub(crate) fn whole(self) -> Result<Self> {
        let there = self.bytes_there();
        match self.size <= there && self.mapped() == there {
            true => Ok(self),
            false => {
                let expected = format!("clusters for all {} bytes", self.size);
                let found = format!("{there} of {}", self.mapped());
                Err(NtfsError::damaged(self.place, expected, found))
            }
        }
    }

    /// Bytes of a value that is kept in memory: refuses one that is larger than its clusters.
    fn memory(&self) -> Result<usize> {
        let there = self.bytes_there();
        match usize::try_from(self.size) {
            Ok(size) if self.size <= there.min(MAX_VALUE) => Ok(size),
            _ => {
                let found = format!("{there}");
                let expected = format!("clusters for all {} bytes", self.size);
                Err(NtfsError::damaged(self.place.clone(), expected, found))
            }
        }
    }

    /// The bytes from `offset` on that one read can give: where they are, and how many, at most `most`.
    pub(crate) fn piece(&self, offset: u64, most: u64) -> Option<(Option<u64>, u64)> {
        let index = self.extents.partition_point(|extent| extent.end <= offset);
        let extent = self.extents.get(index)?;
        let inside = offset - extent.start;
        if offset >= self.initialized {
            return Some((None, most));
        }
        let length = most
            .min(extent.end - offset)
            .min(self.initialized.saturating_sub(offset));
        Some((extent.at.map(|at| at + inside), length))
    }

    /// Fills `out` with the value's bytes from `offset` on, one read a run.
    pub(crate) fn read<D: Read + Seek>(
        &self,
        device: &mut Device<D>,
        mut offset: u64,
        mut out: &mut [u8],
    ) -> Result<()> {
        while !out.is_empty() {
            let Some((at, length)) = self.piece(offset, out.len() as u64) else {
                let found = format!("none for byte {offset}");
                let place = self.place.clone();
                return Err(NtfsError::damaged(place, "runs for all bytes", found));
            };
            let (now, later) = out
                .split_at_mut_checked(length as usize)
                .unwrap_or_default();
            match at {
                Some(at) => device.read_at(at, now)?,
                None => now.fill(0),
            }
            offset = offset.saturating_add(length);
            out = later;
        }
        Ok(())
    }
}

impl<D: Read + Seek> Volume<D> {
    /// A value as a whole, from the record or from clusters. `record` is for messages.
    ///
    /// # Errors
    ///
    /// Values larger than their clusters (with holes), compressed, encrypted or outside the volume.
    pub(crate) fn value(&mut self, attribute: &Attribute, record: u64) -> Result<Vec<u8>> {
        match &attribute.content {
            Content::Resident { value, .. } => Ok(value.clone()),
            Content::NonResident(value) => {
                let extents = Extents::of(&self.geometry, attribute, value, record)?;
                let mut bytes = vec![0; extents.memory()?];
                extents.read(&mut self.device, 0, &mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

impl Run {
    /// Whether all its clusters are below `end`; holes are.
    pub(crate) fn ends_by(&self, end: u64) -> bool {
        let last = self.lcn.map(|lcn| lcn.checked_add(self.clusters));
        last.is_none_or(|last| last.is_some_and(|last| last <= end))
    }
}
