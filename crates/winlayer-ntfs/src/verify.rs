//! Verifying volumes, anyone's: every structure, and all that several of them say of one thing.
//!
//! Records are read once, in order; directories, lists and attributes that are not resident where they are met. What is
//! remembered is small: a bit a cluster, a few bytes a record, 32 bytes a name.

mod attributes;
mod boot;
mod clusters;
mod collate;
mod facts;
mod finding;
mod index;
mod list;
mod names;
mod record;
mod rule;
mod secure;
mod system;
mod table;
#[cfg(test)]
mod tests;
mod views;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::RandomState,
    io::{Read, Seek},
};

pub use finding::Finding;
pub use rule::{Rule, Severity};

use crate::{
    FileReference, NtfsError, RecordFlags, Result,
    attribute::{Attribute, AttributeType},
    read::{Volume, device::Device, records::is_in_use},
    record::Record,
};
use clusters::Clusters;
use facts::Facts;
use finding::Sink;
use names::Known;
use table::Table;

/// Bytes of `$MFT` read at once.
const PIECE: usize = 1 << 20;

/// What was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedVolume {
    /// Whether all of the volume was looked at; false when not even the file records could be found.
    pub complete: bool,
    /// Files, directories and system files.
    pub files: u64,
    /// How many of these are directories.
    pub directories: u64,
    /// Records in use, those that continue others included.
    pub records: u64,
    /// Clusters in use.
    pub clusters: u64,
    /// Findings that are errors.
    pub errors: u64,
    /// Findings that are notes.
    pub notes: u64,
}

/// Verifies the volume that begins at the start of `device`, and hands every finding to `report`, in no particular order.
///
/// ```no_run
/// use std::fs::File;
/// let verified = winlayer_ntfs::verify(File::open("volume.img")?, &mut |finding| eprintln!("{finding}"))?;
/// assert_eq!(verified.errors, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The device cannot be read. Whatever is wrong with the volume is a finding.
pub fn verify<D: Read + Seek>(
    device: D,
    report: &mut dyn FnMut(Finding),
) -> Result<VerifiedVolume> {
    let mut sink = Sink::new(report);
    let mut device = Device::new(device)?;
    boot::check_boot(&mut sink, &mut device)?;
    let volume = Volume::locate(device);
    let Some(volume) = sink.check(Rule::MasterTable, volume)? else {
        return Ok(VerifiedVolume {
            errors: sink.errors,
            notes: sink.notes,
            ..VerifiedVolume::default()
        });
    };
    Verifier::new(volume, sink).run()
}

struct Verifier<'a, D> {
    volume: Volume<D>,
    sink: Sink<'a>,
    clusters: Clusters,
    table: Table,
    /// By directory: the one above.
    directories: BTreeMap<u64, u64>,
    names: Vec<Known>,
    entries: Vec<Known>,
    /// By record that continues another: that other.
    extensions: BTreeMap<u64, FileReference>,
    /// Those of them that a list leads to.
    listed: HashSet<u64>,
    /// None when they cannot be read, so that they are not asked for.
    security_ids: Option<HashSet<u32>>,
    /// What `$ObjId:$O` has and no file has asked for.
    object_ids: Option<HashMap<[u8; 16], FileReference>>,
    /// What `$Reparse:$R` has and no file has asked for.
    reparse_points: Option<BTreeMap<FileReference, u32>>,
    state: RandomState,
    /// Bytes of values that may still be read. Only values that share clusters take more than the volume has.
    budget: u64,
}

impl<'a, D: Read + Seek> Verifier<'a, D> {
    fn new(volume: Volume<D>, sink: Sink<'a>) -> Self {
        Self {
            clusters: Clusters::new(volume.geometry.clusters()),
            budget: volume.geometry.total.saturating_mul(2),
            volume,
            sink,
            table: Table::default(),
            directories: BTreeMap::new(),
            names: Vec::new(),
            entries: Vec::new(),
            extensions: BTreeMap::new(),
            listed: HashSet::new(),
            security_ids: None,
            object_ids: None,
            reparse_points: None,
            state: RandomState::new(),
        }
    }

    fn run(mut self) -> Result<VerifiedVolume> {
        let upcase = self.volume.read_upcase();
        if let Some(upcase) = self.sink.check(Rule::Upcase, upcase)? {
            self.volume.upcase = upcase;
        }
        self.check_secure()?;
        self.check_extend()?;
        self.check_records()?;
        self.check_extensions();
        self.check_places()?;
        self.check_system()?;
        self.check_record_bitmap()?;
        self.match_names();
        self.check_reachable();
        self.check_views_used();
        self.report_doubles()?;
        self.compare_bitmap()?;
        Ok(VerifiedVolume {
            complete: true,
            files: self.table.files(),
            directories: self.directories.len() as u64,
            records: self.table.in_use(),
            clusters: self.clusters.used(),
            errors: self.sink.errors,
            notes: self.sink.notes,
        })
    }

    /// Whether a value of `size` bytes is read. Each is once, so that all together are less than the volume, unless the volume has
    /// been made to take forever.
    fn affords(&mut self, size: u64) -> bool {
        let left = self.budget.checked_sub(size);
        self.budget = left.unwrap_or_default();
        left.is_some()
    }

    /// A value as a whole.
    fn value(&mut self, attribute: &Attribute, record: u64) -> Result<Vec<u8>> {
        if attribute.value().is_none() && !self.affords(attribute.size()) {
            let place = attribute.place(record);
            let found = "more than the volume has";
            return Err(NtfsError::damaged(place, "clusters of its own", found));
        }
        self.volume.value(attribute, record)
    }

    fn check_records(&mut self) -> Result<()> {
        let size = self.volume.geometry.record;
        let (mut number, records) = (0, self.volume.records());
        let mut piece = vec![0; PIECE.max(size)];
        while number < records {
            let count = (piece.len() / size).min((records - number) as usize);
            let bytes = piece.get_mut(..count * size).unwrap_or_default();
            let offset = number * size as u64;
            let read = self.volume.mft.read(&mut self.volume.device, offset, bytes);
            if self.sink.check(Rule::MasterTable, read)?.is_none() {
                return Ok(());
            }
            for bytes in bytes.chunks_exact(size) {
                let record = self.check_record(number, bytes)?;
                self.table.push(record.as_ref(), is_in_use(bytes));
                if let Some(record) = record {
                    self.check_in_use(record)?;
                }
                number += 1;
            }
        }
        Ok(())
    }

    fn check_in_use(&mut self, record: Record) -> Result<()> {
        let number = record.number;
        if let Some(base) = record.base {
            self.extensions.insert(number, base);
            for attribute in &record.attributes {
                self.claim_attribute(attribute, base.record());
            }
            return Ok(());
        }
        self.check_list(&record)?;
        for attribute in &record.attributes {
            let list = attribute.kind == AttributeType::ATTRIBUTE_LIST;
            if !list {
                self.claim_attribute(attribute, number);
            }
        }
        let full = self.volume.complete(record);
        let Some(full) = self.sink.check(Rule::ListEntry, full)? else {
            return Ok(());
        };
        self.check_attributes(&full);
        self.check_extend_flag(&full);
        let facts: Facts = self.check_facts(&full)?;
        self.check_names(&full, &facts);
        if full.base.flags.contains(RecordFlags::DIRECTORY) {
            self.check_directory(&full)?;
        }
        Ok(())
    }
}
