//! The bytes of one record: its head, and the heads of its attributes.

use std::{
    collections::HashSet,
    io::{Read, Seek},
};

use zerocopy::FromBytes;

use super::{Verifier, finding::Sink, rule::Rule};
use crate::{
    Place, Result,
    attribute::AttributeType,
    format::{
        AttributeHeader, END_OF_ATTRIBUTES, NonResidentHeader, RecordHeader, ResidentHeader, SECTOR,
    },
    protect::unprotect,
    read::records::is_in_use,
    record::Record,
};

/// Bytes of the end marker and what follows it.
const END: usize = 8;

impl<D: Read + Seek> Verifier<'_, D> {
    /// Checks a record as it is on the volume; none when it is unused or cannot be read.
    pub(crate) fn check_record(&mut self, number: u64, bytes: &[u8]) -> Result<Option<Record>> {
        let place = || Place::Record(number);
        let sink = &mut self.sink;
        let Ok((header, _)) = RecordHeader::read_from_prefix(bytes) else {
            return Ok(None);
        };
        let never_written = header.signature == [0; 4];
        if header.signature != RecordHeader::SIGNATURE && !never_written {
            let found = format!("\"{}\"", header.signature.escape_ascii());
            sink.report(place(), Rule::RecordSignature, "\"FILE\"", found);
            return Ok(None);
        }
        if never_written {
            return Ok(None);
        }
        if !is_in_use(bytes) {
            return Ok(None);
        }

        let mut whole = bytes.to_vec();
        let sequence = unprotect(
            &mut whole,
            header.update_offset.get(),
            header.update_count.get(),
        );
        if let Err(found) = sequence {
            let expected = "a number all sectors end with";
            sink.report(place(), Rule::UpdateSequence, expected, found);
            return Ok(None);
        }
        check_head(sink, number, &header, bytes.len());
        let (first, used) = (header.first_attribute.get(), header.used.get() as usize);
        if let Some(attributes) = whole.get(usize::from(first)..used) {
            check_layout(sink, number, attributes);
        }

        let mut again = bytes.to_vec();
        let decoded = Record::decode(&mut again, number);
        let Some(record) = sink.check(Rule::AttributeLayout, decoded)? else {
            return Ok(None);
        };
        check_ids(sink, &record);
        for [before, after] in record.attributes.array_windows() {
            if before.cmp_place(after).is_gt() {
                let found = format!("{} before {}", before.title(), after.title());
                sink.report(
                    place(),
                    Rule::AttributeOrder,
                    "them by type and name",
                    found,
                );
            }
        }
        Ok(Some(record))
    }
}

fn check_head(sink: &mut Sink<'_>, number: u64, header: &RecordHeader, size: usize) {
    let place = || Place::Record(number);
    let sequence = header.sequence.get();
    let legal = match number {
        0 => sequence == 1,
        1..=15 => u64::from(sequence) == number,
        _ => sequence != 0,
    };
    if !legal {
        let expected = match number {
            0..=15 => number.max(1).to_string(),
            _ => "one that is not 0".to_owned(),
        };
        sink.report(
            place(),
            Rule::RecordSequence,
            expected,
            sequence.to_string(),
        );
    }
    let sequence_end = usize::from(header.update_offset.get()) + 2 * (size / SECTOR + 1);
    let first = usize::from(header.first_attribute.get());
    if first < sequence_end || !first.is_multiple_of(8) {
        let expected = format!("a multiple of 8 from {sequence_end} on");
        sink.report(place(), Rule::FirstAttribute, expected, first.to_string());
    }
    // Before NTFS 3.1 the update sequence was where the number is now.
    if usize::from(header.update_offset.get()) >= RecordHeader::UPDATE_SEQUENCE {
        let own = u64::from(header.number.get());
        sink.expect(
            place,
            Rule::RecordNumber,
            "number",
            number & 0xffff_ffff,
            own,
        );
    }
    let allocated = header.allocated.get() as usize;
    sink.expect(place, Rule::RecordSizes, "allocated", size, allocated);
    let unused = header.unused.get();
    sink.expect(place, Rule::Reserved, "at 42", 0, unused);
}

/// Attributes from the first one to the end of what is used.
fn check_layout(sink: &mut Sink<'_>, number: u64, attributes: &[u8]) {
    let mut at = 0;
    while let Some(rest) = attributes.get(at..) {
        let kind = rest.first_chunk().map(|kind| u32::from_le_bytes(*kind));
        if kind == Some(END_OF_ATTRIBUTES) {
            let place = || Place::Record(number);
            sink.expect(
                place,
                Rule::RecordSizes,
                "bytes from the end marker",
                END,
                rest.len(),
            );
            return;
        }
        let Ok((header, _)) = AttributeHeader::read_from_prefix(rest) else {
            return;
        };
        let length = header.length.get() as usize;
        let Some(attribute) = rest.get(..length).filter(|_| length >= 24) else {
            return;
        };
        if let Some(problem) = layout(sink, number, &header, attribute) {
            let attribute = AttributeType(header.kind.get()).to_string();
            let place = Place::Attribute {
                record: number,
                attribute,
            };
            let expected = "its parts in it, aligned, one behind the other";
            sink.report(place, Rule::AttributeLayout, expected, problem);
        }
        at += length;
    }
}

/// What is wrong with the places of the parts of an attribute.
fn layout(
    sink: &mut Sink<'_>,
    number: u64,
    header: &AttributeHeader,
    bytes: &[u8],
) -> Option<String> {
    let place = || Place::Attribute {
        record: number,
        attribute: AttributeType(header.kind.get()).to_string(),
    };
    let body = bytes.get(size_of::<AttributeHeader>()..)?;
    let heads = size_of::<AttributeHeader>();
    let (heads, content, end) = if header.non_resident == 0 {
        let (resident, _) = ResidentHeader::read_from_prefix(body).ok()?;
        sink.expect(place, Rule::Reserved, "at 23", 0, resident.unused);
        let start = usize::from(resident.value_offset.get());
        let end = start.checked_add(resident.value_length.get() as usize)?;
        (heads + size_of::<ResidentHeader>(), start, Some(end))
    } else {
        let (clusters, _) = NonResidentHeader::read_from_prefix(body).ok()?;
        sink.expect(place, Rule::Reserved, "at 36", 0, clusters.unused.get());
        let start = usize::from(clusters.runs_offset.get());
        (heads + size_of::<NonResidentHeader>(), start, None)
    };
    let name = usize::from(header.name_offset.get());
    let name_end = match header.name_length {
        0 => heads,
        units => name + usize::from(units) * 2,
    };
    if header.name_length != 0 && (name < heads || !name.is_multiple_of(2)) {
        return Some(format!(
            "the name at {name} in or before a head of {heads} bytes"
        ));
    }
    if content < name_end || !content.is_multiple_of(8) {
        return Some(format!(
            "the content at {content}, what is before it ends at {name_end}"
        ));
    }
    match end {
        Some(end) if end.next_multiple_of(8) != bytes.len() => Some(format!(
            "{} bytes for a value that ends at {end}",
            bytes.len()
        )),
        _ => None,
    }
}

fn check_ids(sink: &mut Sink<'_>, record: &Record) {
    let place = || Place::Record(record.number);
    let mut ids = HashSet::new();
    for attribute in &record.attributes {
        if !ids.insert(attribute.id) {
            let found = format!("{} of {} once more", attribute.id, attribute.title());
            sink.report(place(), Rule::AttributeId, "each id once", found);
        }
    }
    let greatest = ids.iter().max().copied().unwrap_or_default();
    let next = record.next_attribute_id;
    if next <= greatest && !ids.is_empty() {
        let expected = format!("one over {greatest}");
        sink.report(place(), Rule::NextAttributeId, expected, next.to_string());
    }
}
