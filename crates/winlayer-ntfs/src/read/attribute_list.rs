//! `$ATTRIBUTE_LIST`: which record has which attribute.

use std::fmt;

use zerocopy::FromBytes;

use crate::{
    FileReference, NtfsError, Place, Result,
    attribute::{Attribute, AttributeType},
    format::ListEntryHeader,
};

/// Where one attribute is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListEntry {
    pub kind: AttributeType,
    pub name: Vec<u16>,
    pub lowest_vcn: u64,
    /// The record that has it.
    pub reference: FileReference,
    /// Its id there.
    pub id: u16,
}

impl ListEntry {
    /// Longest list Windows makes.
    pub(crate) const MAX_LIST: u64 = 256 << 10;

    /// Whether this is the attribute meant.
    pub(crate) fn is_for(&self, attribute: &Attribute) -> bool {
        attribute.kind == self.kind
            && attribute.id == self.id
            && attribute.name == self.name
            && attribute.lowest_vcn() == self.lowest_vcn
    }
}

impl fmt::Display for ListEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = String::from_utf16_lossy(&self.name);
        let colon = if name.is_empty() { "" } else { ":" };
        write!(f, "{}{colon}{name} with id {}", self.kind, self.id)
    }
}

pub(crate) fn decode_list(mut rest: &[u8], record: u64) -> Result<Vec<ListEntry>> {
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let Some((entry, after)) = decode_entry(rest) else {
            let attribute = AttributeType::ATTRIBUTE_LIST.to_string();
            let place = Place::Attribute { record, attribute };
            let found = format!("{} bytes", rest.len());
            return Err(NtfsError::damaged(place, "whole entries", found));
        };
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

fn decode_entry(bytes: &[u8]) -> Option<(ListEntry, &[u8])> {
    let (header, _) = ListEntryHeader::read_from_prefix(bytes).ok()?;
    let length = usize::from(header.length.get());
    let start = usize::from(header.name_offset);
    let (entry, after) = bytes.split_at_checked(length)?;
    if length < size_of::<ListEntryHeader>() || !length.is_multiple_of(8) {
        return None;
    }
    let name = match header.name_length {
        0 => &[],
        units => entry.get(start..start + usize::from(units) * 2)?,
    };
    let name = name.as_chunks::<2>().0.iter();
    let entry = ListEntry {
        kind: AttributeType(header.kind.get()),
        name: name.map(|&unit| u16::from_le_bytes(unit)).collect(),
        lowest_vcn: header.lowest_vcn.get(),
        reference: FileReference::from_raw(header.reference.get()),
        id: header.id.get(),
    };
    Some((entry, after))
}
