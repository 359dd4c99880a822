//! Fits attributes into file records: what is too long moves to clusters, and what is too much to further records.

use zerocopy::{
    IntoBytes,
    little_endian::{U16, U32, U64},
};

use super::object::stored;
use crate::{
    FileReference, RecordFlags, Result,
    attribute::{Attribute, AttributeType, Content},
    format::{ListEntryHeader, RECORD, RecordHeader},
    record::Record,
    runs::Run,
};

/// What packing needs of the volume.
pub(super) trait Room {
    /// Writes `value` to clusters of its own.
    fn store(&mut self, value: &[u8]) -> Result<Vec<Run>>;
    /// A file record that nobody uses.
    fn extension(&mut self) -> Result<FileReference>;
}

/// Makes `record` fit. Gives the records that continue it.
pub(super) fn pack(record: &mut Record, room: &mut dyn Room) -> Result<Vec<Record>> {
    while record.used() > RECORD {
        let Some(longest) = longest_movable(&record.attributes) else {
            return spread(record, room);
        };
        if let Some(attribute) = record.attributes.get_mut(longest) {
            make_non_resident(attribute, room)?;
        }
    }
    Ok(Vec::new())
}

/// The longest value that takes less in clusters.
fn longest_movable(attributes: &[Attribute]) -> Option<usize> {
    /// Bytes of a value below which nothing is gained.
    const WORTH_MOVING: usize = 64;
    let length = |attribute: &Attribute| match attribute.kind {
        AttributeType::DATA
        | AttributeType::BITMAP
        | AttributeType::REPARSE_POINT
        | AttributeType::EA
        | AttributeType::LOGGED_UTILITY_STREAM => attribute.value().map_or(0, <[u8]>::len),
        _ => 0,
    };
    let lengths = attributes.iter().map(length).enumerate();
    let (index, longest) = lengths.max_by_key(|&(_, length)| length)?;
    (longest > WORTH_MOVING).then_some(index)
}

fn make_non_resident(attribute: &mut Attribute, room: &mut dyn Room) -> Result<()> {
    if let Content::Resident { value, .. } = &attribute.content {
        let runs = room.store(value)?;
        attribute.content = Content::NonResident(stored(runs, value.len() as u64));
    }
    Ok(())
}

/// Moves attributes to further records and lists where they are.
fn spread(record: &mut Record, room: &mut dyn Room) -> Result<Vec<Record>> {
    let attributes = std::mem::take(&mut record.attributes);
    record.next_attribute_id = 0;
    let list_len: usize = attributes.iter().map(list_entry_len).sum();
    // Its value is known only at the end; its place in the record is not longer than this.
    let list_place = match list_len <= LONGEST_RESIDENT_LIST {
        true => 24 + list_len,
        false => 80,
    };
    let capacity = RECORD - RecordHeader::ATTRIBUTES - 8;
    let mut left = capacity - list_place;
    let mut rest = Vec::new();
    // Names are the ones there can be many of.
    let (names, others): (Vec<_>, Vec<_>) = attributes
        .into_iter()
        .partition(|attribute| attribute.kind == AttributeType::FILE_NAME);
    for attribute in others.into_iter().chain(names) {
        let length = attribute.encoded_len();
        match left.checked_sub(length) {
            Some(after) if rest.is_empty() => {
                left = after;
                record.push(attribute);
            }
            _ => rest.push(attribute),
        }
    }
    rest.sort_by(Attribute::cmp_place);
    let extensions = extensions(record, rest, capacity, room)?;
    let list = list_value(record, &extensions);
    let mut attribute = Attribute::resident(AttributeType::ATTRIBUTE_LIST, list);
    if list_len > LONGEST_RESIDENT_LIST {
        make_non_resident(&mut attribute, room)?;
    }
    record.push(attribute);
    Ok(extensions)
}

const LONGEST_RESIDENT_LIST: usize = 256;

fn extensions(
    record: &Record,
    rest: Vec<Attribute>,
    capacity: usize,
    room: &mut dyn Room,
) -> Result<Vec<Record>> {
    let mut extensions: Vec<Record> = Vec::new();
    let mut left = 0_usize;
    for attribute in rest {
        let length = attribute.encoded_len();
        if left < length || extensions.is_empty() {
            let reference = room.extension()?;
            let (number, sequence) = (reference.record(), reference.sequence());
            let mut extension = Record::new(number, sequence, RecordFlags::empty());
            extension.base = Some(record.reference());
            extensions.push(extension);
            left = capacity;
        }
        left = left.saturating_sub(length);
        if let Some(extension) = extensions.last_mut() {
            extension.push(attribute);
        }
    }
    Ok(extensions)
}

/// Value of `$ATTRIBUTE_LIST`: an entry for each attribute but itself, in the order of attributes.
fn list_value(record: &Record, extensions: &[Record]) -> Vec<u8> {
    let mut all: Vec<(FileReference, &Attribute)> = std::iter::once(record)
        .chain(extensions)
        .flat_map(|record| {
            let attributes = record.attributes.iter();
            attributes.map(|attribute| (record.reference(), attribute))
        })
        .collect();
    all.sort_by(|(a_record, a), (b_record, b)| {
        (a.cmp_place(b)).then_with(|| (a_record, a.id).cmp(&(b_record, b.id)))
    });
    let mut list = Vec::new();
    for (reference, attribute) in all {
        let start = list.len();
        let length = list_entry_len(attribute);
        let header = ListEntryHeader {
            kind: U32::new(attribute.kind.0),
            length: U16::new(length as u16),
            name_length: attribute.name.len() as u8,
            name_offset: size_of::<ListEntryHeader>() as u8,
            lowest_vcn: U64::new(attribute.lowest_vcn()),
            reference: U64::new(reference.raw()),
            id: U16::new(attribute.id),
        };
        list.extend(header.as_bytes());
        list.extend(attribute.name.iter().flat_map(|unit| unit.to_le_bytes()));
        list.resize(start + length, 0);
    }
    list
}

fn list_entry_len(attribute: &Attribute) -> usize {
    (size_of::<ListEntryHeader>() + attribute.name.len() * 2).next_multiple_of(8)
}
