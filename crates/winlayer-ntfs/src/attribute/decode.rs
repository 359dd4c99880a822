//! Attributes from the bytes of a record.

use zerocopy::{FromBytes, little_endian::U64};

use super::{Attribute, AttributeType, Content, NonResident, attribute_flags};
use crate::{
    NtfsError, Place, Result,
    format::{AttributeHeader, END_OF_ATTRIBUTES, NonResidentHeader, ResidentHeader},
    runs,
};

pub(crate) fn decode_attributes(mut rest: &[u8], record: u64) -> Result<Vec<Attribute>> {
    let damaged = |expected: &str, found: &str| {
        NtfsError::damaged(Place::Record(record), expected.to_owned(), found.to_owned())
    };
    let mut attributes = Vec::new();
    loop {
        let Some((kind, _)) = rest.split_first_chunk::<4>() else {
            return Err(damaged("an end marker after the attributes", "none"));
        };
        if u32::from_le_bytes(*kind) == END_OF_ATTRIBUTES {
            return Ok(attributes);
        }
        let Ok((header, _)) = AttributeHeader::read_from_prefix(rest) else {
            return Err(damaged("a whole attribute", "the end of the record"));
        };
        let length = header.length.get() as usize;
        let whole = rest.split_at_checked(length);
        let Some((bytes, after)) =
            whole.filter(|_| length >= size_of::<AttributeHeader>() && length.is_multiple_of(8))
        else {
            let found = format!("one of {length} bytes with {} left", rest.len());
            return Err(damaged("a whole attribute", &found));
        };
        attributes.push(decode_attribute(&header, bytes, record)?);
        rest = after;
    }
}

fn decode_attribute(header: &AttributeHeader, bytes: &[u8], record: u64) -> Result<Attribute> {
    let kind = AttributeType(header.kind.get());
    let damaged = |expected: &str, found: String| {
        let attribute = kind.to_string();
        let place = Place::Attribute { record, attribute };
        NtfsError::damaged(place, expected.to_owned(), found)
    };
    let name_start = usize::from(header.name_offset.get());
    let name_end = name_start + usize::from(header.name_length) * 2;
    let name = match header.name_length {
        0 => &[],
        _ => bytes
            .get(name_start..name_end)
            .ok_or_else(|| damaged("a name inside the attribute", format!("it at {name_start}")))?,
    };
    let name = name.as_chunks::<2>().0.iter();
    let name = name.map(|&unit| u16::from_le_bytes(unit)).collect();
    let body = bytes
        .get(size_of::<AttributeHeader>()..)
        .unwrap_or_default();
    let content = match header.non_resident {
        0 => {
            let (resident, _) = ResidentHeader::read_from_prefix(body)
                .map_err(|_| damaged("a resident header", format!("{} bytes", bytes.len())))?;
            let start = usize::from(resident.value_offset.get());
            let length = resident.value_length.get() as usize;
            let value = start
                .checked_add(length)
                .and_then(|end| bytes.get(start..end));
            let value = value.ok_or_else(|| {
                let found = format!("{length} bytes at {start} of {}", bytes.len());
                damaged("a value inside the attribute", found)
            })?;
            Content::Resident {
                value: value.to_vec(),
                indexed: resident.indexed != 0,
            }
        }
        1 => Content::NonResident(
            decode_non_resident(header, bytes, body)
                .map_err(|(expected, found)| damaged(expected, found))?,
        ),
        other => return Err(damaged("0 or 1 for where the value is", other.to_string())),
    };
    Ok(Attribute {
        kind,
        name,
        flags: header.flags.get(),
        id: header.id.get(),
        content,
    })
}

fn decode_non_resident(
    header: &AttributeHeader,
    bytes: &[u8],
    body: &[u8],
) -> Result<NonResident, (&'static str, String)> {
    let length = || format!("{} bytes", bytes.len());
    let (value, after) = NonResidentHeader::read_from_prefix(body)
        .map_err(|_| ("a non-resident header", length()))?;
    let has_in_use =
        header.flags.get() & (attribute_flags::COMPRESSED | attribute_flags::SPARSE) != 0;
    let in_use = match has_in_use && value.lowest_vcn.get() == 0 {
        true => {
            let (bytes, _) = U64::read_from_prefix(after)
                .map_err(|_| ("the bytes in use of a sparse value", length()))?;
            Some(bytes.get())
        }
        false => None,
    };
    let start = usize::from(value.runs_offset.get());
    let runs = bytes.get(start..).unwrap_or_default();
    let runs = runs::decode(runs).map_err(|error| ("mapping pairs", error.to_string()))?;
    let lowest_vcn = value.lowest_vcn.get();
    let end = lowest_vcn.checked_add(runs::clusters_of(&runs));
    if end.map(|end| end.wrapping_sub(1)) != Some(value.highest_vcn.get()) {
        let (first, last) = (lowest_vcn, value.highest_vcn.get().cast_signed());
        let found = format!("{} for {first} to {last}", runs::clusters_of(&runs));
        return Err(("mapping pairs for all clusters", found));
    }
    Ok(NonResident {
        lowest_vcn,
        runs,
        compression_unit: value.compression_unit.get(),
        allocated: value.allocated.get(),
        size: value.size.get(),
        initialized: value.initialized.get(),
        in_use,
    })
}
