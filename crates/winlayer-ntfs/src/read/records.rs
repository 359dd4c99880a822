//! File records, with what of them is in others.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io::{Read, Seek},
};

use zerocopy::FromBytes;

use super::{
    Volume,
    attribute_list::{ListEntry, decode_list},
};
use crate::{
    FileReference, NtfsError, Place, RecordFlags, Result,
    attribute::{Attribute, AttributeType, Content},
    format::RecordHeader,
    record::Record,
    runs::Run,
};

/// A file's record and all that continue it.
#[derive(Clone, Debug)]
pub(crate) struct FullRecord {
    /// The head of the base record; its attributes are in `attributes`.
    pub base: Record,
    /// Numbers of the records that continue it, in ascending order.
    pub extensions: Vec<u64>,
    /// The attributes of all these records in the order of the attribute list, `$ATTRIBUTE_LIST` itself left out. A value that is
    /// spread over several is one here, with the flags, id and sizes of its first part.
    pub attributes: Vec<Attribute>,
    /// Clusters of the attribute list, when it is not in the base record.
    pub list_runs: Vec<Run>,
}

impl FullRecord {
    pub(crate) fn number(&self) -> u64 {
        self.base.number
    }

    pub(crate) fn find(&self, kind: AttributeType, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.kind == kind && attribute.has_name(name))
    }

    pub(crate) fn all(&self, kind: AttributeType) -> impl Iterator<Item = &Attribute> {
        self.attributes
            .iter()
            .filter(move |attribute| attribute.kind == kind)
    }

    /// As [`find`](Self::find), where it must be there.
    pub(crate) fn need(&self, kind: AttributeType, name: &str) -> Result<&Attribute> {
        self.find(kind, name).ok_or_else(|| {
            let attribute = match name {
                "" => kind.to_string(),
                _ => format!("{kind}:{name}"),
            };
            NtfsError::damaged(Place::Record(self.number()), attribute, "none")
        })
    }
}

impl<D: Read + Seek> Volume<D> {
    /// How many records `$MFT` has, in use or not.
    pub(crate) fn records(&self) -> u64 {
        self.mft.size / self.geometry.record as u64
    }

    /// The file whose base record is `number`; none when the record is unused, continues another or is not there.
    pub(crate) fn load(&mut self, number: u64) -> Result<Option<FullRecord>> {
        match self.record(number)? {
            Some(record) if record.base.is_none() => self.complete(record).map(Some),
            _ => Ok(None),
        }
    }

    /// The record `number` alone; none when it is unused or not there.
    pub(crate) fn record(&mut self, number: u64) -> Result<Option<Record>> {
        if number >= self.records() {
            return Ok(None);
        }
        let mut bytes = vec![0; self.geometry.record];
        let offset = number * self.geometry.record as u64;
        self.mft.read(&mut self.device, offset, &mut bytes)?;
        match is_in_use(&bytes) {
            true => Record::decode(&mut bytes, number).map(Some),
            false => Ok(None),
        }
    }

    /// The sequence number of a record that nobody uses.
    pub(crate) fn unused_sequence(&mut self, number: u64) -> Result<u16> {
        let mut header = [0; size_of::<RecordHeader>()];
        let offset = number * self.geometry.record as u64;
        self.mft.read(&mut self.device, offset, &mut header)?;
        let header = RecordHeader::read_from_bytes(&header);
        Ok(header.map_or(0, |header| header.sequence.get()).max(1))
    }

    /// Adds what an attribute list leads to.
    pub(crate) fn complete(&mut self, mut base: Record) -> Result<FullRecord> {
        let mut attributes = std::mem::take(&mut base.attributes);
        let list = attributes
            .iter()
            .position(|attribute| attribute.kind == AttributeType::ATTRIBUTE_LIST);
        let mut full = FullRecord {
            base,
            extensions: Vec::new(),
            attributes: Vec::new(),
            list_runs: Vec::new(),
        };
        let Some(list) = list.map(|index| attributes.remove(index)) else {
            full.attributes = attributes;
            return Ok(full);
        };
        let number = full.number();
        let entries = self.list_entries(&list, number)?;
        if let Content::NonResident(value) = list.content {
            full.list_runs = value.runs;
        }
        let mut others = BTreeMap::from([(full.base.reference(), attributes)]);
        for entry in &entries {
            let attribute = self.listed(number, entry, &mut others)?;
            join(&mut full.attributes, attribute, number)?;
        }
        let numbers = others.keys().map(|reference| reference.record());
        full.extensions = numbers.filter(|&other| other != number).collect();
        Ok(full)
    }

    /// The entries of an attribute list.
    pub(crate) fn list_entries(&mut self, list: &Attribute, record: u64) -> Result<Vec<ListEntry>> {
        if list.size() > ListEntry::MAX_LIST {
            let expected = format!("at most {} bytes", ListEntry::MAX_LIST);
            let found = list.size().to_string();
            return Err(NtfsError::damaged(list.place(record), expected, found));
        }
        let bytes = self.value(list, record)?;
        decode_list(&bytes, record)
    }

    /// Takes the attribute an entry names out of the records read so far, or reads its record.
    fn listed(
        &mut self,
        base: u64,
        entry: &ListEntry,
        others: &mut BTreeMap<FileReference, Vec<Attribute>>,
    ) -> Result<Attribute> {
        let attributes = match others.entry(entry.reference) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.extension(base, entry.reference)?),
        };
        let found = attributes
            .iter()
            .position(|attribute| entry.is_for(attribute));
        found.map(|index| attributes.remove(index)).ok_or_else(|| {
            let expected = format!("{entry} in record {}", entry.reference);
            NtfsError::damaged(list_place(base), expected, "nothing like it")
        })
    }

    /// The attributes of a record that continues `base`.
    fn extension(&mut self, base: u64, reference: FileReference) -> Result<Vec<Attribute>> {
        let record = self.record(reference.record())?;
        let found = match record {
            Some(record) if record.reference() == reference => match record.base {
                Some(of) if of.record() == base => return Ok(record.attributes),
                Some(of) => format!("one that continues {of}"),
                None => "one of its own".to_owned(),
            },
            Some(record) => format!("{}", record.reference()),
            None => "an unused one".to_owned(),
        };
        let expected = format!("record {reference} to continue record {base}");
        Err(NtfsError::damaged(list_place(base), expected, found))
    }

    /// Follows the parts of `$MFT`'s own content, each found through those before it.
    pub(crate) fn locate_mft(&mut self, record: &Record) -> Result<()> {
        let number = record.number;
        let list = record.find(AttributeType::ATTRIBUTE_LIST, "");
        let entries = match list {
            Some(list) => self.list_entries(list, number)?,
            None => return Ok(()),
        };
        let parts = entries
            .iter()
            .filter(|entry| entry.kind == AttributeType::DATA && entry.name.is_empty())
            .filter(|entry| entry.lowest_vcn != 0);
        for entry in parts {
            let attributes = self.extension(number, entry.reference)?;
            let part = attributes.iter().find(|attribute| entry.is_for(attribute));
            let Some(Content::NonResident(part)) = part.map(|part| &part.content) else {
                let expected = format!("{entry} in record {}", entry.reference);
                return Err(NtfsError::damaged(list_place(number), expected, "none"));
            };
            let mapped = self.mft.mapped() / self.geometry.cluster;
            if part.lowest_vcn != mapped {
                let expected = format!("a part from cluster {mapped} on");
                let found = part.lowest_vcn.to_string();
                return Err(NtfsError::damaged(list_place(number), expected, found));
            }
            self.mft.extend(&self.geometry, &part.runs)?;
        }
        Ok(())
    }
}

fn list_place(record: u64) -> Place {
    let attribute = AttributeType::ATTRIBUTE_LIST.to_string();
    Place::Attribute { record, attribute }
}

/// Whether the bytes are a record in use, or a damaged one: what was never written is all zeros.
pub(crate) fn is_in_use(bytes: &[u8]) -> bool {
    match zerocopy::Ref::<_, RecordHeader>::from_prefix(bytes) {
        Ok((header, _)) if header.signature == RecordHeader::SIGNATURE => {
            RecordFlags::from_bits_retain(header.flags.get()).contains(RecordFlags::IN_USE)
        }
        Ok((header, _)) => header.signature != [0; 4],
        Err(_) => false,
    }
}

/// Appends an attribute, or its runs to the part before.
fn join(attributes: &mut Vec<Attribute>, next: Attribute, record: u64) -> Result<()> {
    let lowest_vcn = next.lowest_vcn();
    if lowest_vcn == 0 {
        attributes.push(next);
        return Ok(());
    }
    let before = attributes
        .last_mut()
        .filter(|before| before.kind == next.kind && before.name == next.name)
        .map(|before| &mut before.content);
    let place = next.place(record);
    if let (Some(Content::NonResident(before)), Content::NonResident(next)) = (before, next.content)
        && before.next_vcn() == lowest_vcn
    {
        before.runs.extend(next.runs);
        return Ok(());
    }
    let found = format!("one from cluster {lowest_vcn} on");
    let expected = "parts of a value that follow each other";
    Err(NtfsError::damaged(place, expected, found))
}
