//! File identifier, headers and region tables.

use std::io::{self, Read, Seek};

use zerocopy::FromBytes;

use super::load::{Extent, read_struct, shown, utf16};
use crate::{
    device::Device,
    finding::{Findings, Place, Rule, TableCopy},
    format::{
        FileIdentifier, HEADER_OFFSETS, Header, MAX_ENTRIES, MIB, REGION_TABLE_OFFSETS,
        REGION_TABLE_SIZE, RegionEntry, RegionTableHeader,
    },
};

const COPIES: [TableCopy; 2] = [TableCopy::First, TableCopy::Second];
const END_OF_FILE: &str = "the end of the file";

/// What made the file.
pub(super) fn read_identifier(
    file: &mut Device<impl Read + Seek>,
    findings: &mut Findings,
) -> io::Result<String> {
    let Some(identifier) = read_struct::<FileIdentifier>(file, 0)? else {
        findings.fatal(Place::Identifier, 0, Rule::Signature, END_OF_FILE);
        return Ok(String::new());
    };
    if identifier.signature != FileIdentifier::SIGNATURE {
        let found = shown(&identifier.signature);
        findings.fatal(Place::Identifier, 0, Rule::Signature, found);
    }
    let creator = utf16(identifier.creator.as_flattened());
    Ok(creator.split('\0').next().unwrap_or_default().to_owned())
}

/// The current header: the valid one with the greater sequence number.
pub(super) fn read_headers(
    file: &mut Device<impl Read + Seek>,
    extents: &mut Vec<Extent>,
    findings: &mut Findings,
) -> io::Result<Option<Header>> {
    let mut valid = Vec::new();
    let mut broken = Vec::new();
    for (copy, offset) in COPIES.into_iter().zip(HEADER_OFFSETS) {
        let place = Place::Header(copy);
        match read_struct::<Header>(file, offset)? {
            None => broken.push((place, offset, Rule::Signature, END_OF_FILE.to_owned())),
            Some(header) if header.signature != Header::SIGNATURE => {
                broken.push((place, offset, Rule::Signature, shown(&header.signature)));
            }
            Some(header) if header.checksum != header.compute_checksum() => {
                let found = format!("{:#010x}", header.checksum);
                broken.push((place, offset, Rule::Checksum, found));
            }
            Some(header) => valid.push((place, offset, header)),
        }
    }
    for (place, offset, rule, found) in broken {
        match valid.len() {
            0 => findings.fatal(place, offset, rule, found),
            _ => findings.harmless(place, offset, rule, found),
        }
    }
    if let [(_, _, first), (place, offset, second)] = &*valid
        && first.sequence == second.sequence
    {
        // Some programs write the same header twice, which leaves no doubt.
        let found = second.sequence.to_string();
        if first == second {
            findings.harmless(*place, *offset, Rule::Sequence, found);
        } else {
            findings.fatal(*place, *offset, Rule::Sequence, found);
        }
    }
    let current = valid
        .into_iter()
        .max_by_key(|(_, _, header)| header.sequence.get());
    Ok(current.map(|(place, offset, header)| {
        check_header(&header, place, offset, file.length(), extents, findings);
        header
    }))
}

fn check_header(
    header: &Header,
    place: Place,
    offset: u64,
    file_length: u64,
    extents: &mut Vec<Extent>,
    findings: &mut Findings,
) {
    if header.version != 1 {
        findings.fatal(
            place,
            offset + 66,
            Rule::Version,
            header.version.to_string(),
        );
    }
    if header.reserved.iter().any(|byte| *byte != 0) {
        findings.harmless(place, offset + 80, Rule::Reserved, "other bytes");
    }
    if !header.log_id.is_nil() {
        let found = format!("log {}", header.log_id);
        findings.fatal(Place::Log, offset + 48, Rule::EmptyLog, found);
    }
    if header.log_version != 0 {
        let found = header.log_version.to_string();
        findings.fatal(Place::Log, offset + 64, Rule::Version, found);
    }
    let log = Extent {
        place: Place::Log,
        offset: header.log_offset.get(),
        length: header.log_length.get().into(),
    };
    if check_extent(log, offset + 68, file_length, findings) {
        extents.push(log);
    }
}

/// Checks where an object is that must be aligned to 1 MiB; `field` is where that is said.
fn check_extent(extent: Extent, field: u64, file_length: u64, findings: &mut Findings) -> bool {
    let Extent {
        place,
        offset,
        length,
    } = extent;
    let mut broken = |rule| {
        let found = format!("offset {offset:#x}, length {length:#x}");
        findings.fatal(place, field, rule, found);
        false
    };
    if !offset.is_multiple_of(MIB) || !length.is_multiple_of(MIB) {
        broken(Rule::Aligned)
    } else if offset < MIB {
        broken(Rule::BehindHeaders)
    } else if offset
        .checked_add(length)
        .is_none_or(|end| end > file_length)
    {
        broken(Rule::Inside)
    } else {
        true
    }
}

/// Where the regions are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Regions {
    pub bat: Extent,
    pub metadata: Extent,
}

/// The regions of the first region table that is valid.
pub(super) fn read_regions(
    file: &mut Device<impl Read + Seek>,
    extents: &mut Vec<Extent>,
    findings: &mut Findings,
) -> io::Result<Option<Regions>> {
    let mut valid: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut broken = Vec::new();
    for (copy, offset) in COPIES.into_iter().zip(REGION_TABLE_OFFSETS) {
        let place = Place::RegionTable(copy);
        let mut table = vec![0; REGION_TABLE_SIZE];
        file.read_all_at(offset, &mut table)?;
        let Ok((header, _)) = RegionTableHeader::read_from_prefix(&table) else {
            continue;
        };
        if header.signature != RegionTableHeader::SIGNATURE {
            broken.push((place, offset, Rule::Signature, shown(&header.signature)));
        } else if header.checksum != RegionTableHeader::compute_checksum(&table) {
            let found = format!("{:#010x}", header.checksum);
            broken.push((place, offset, Rule::Checksum, found));
        } else if header.count > MAX_ENTRIES {
            broken.push((place, offset + 8, Rule::Count, header.count.to_string()));
        } else {
            if header.reserved != 0 {
                let found = format!("{:#x}", header.reserved);
                findings.harmless(place, offset + 12, Rule::Reserved, found);
            }
            valid.push((offset, table));
        }
    }
    for (place, offset, rule, found) in broken {
        match valid.len() {
            0 => findings.fatal(place, offset, rule, found),
            _ => findings.harmless(place, offset, rule, found),
        }
    }
    if let [(_, first), (offset, second)] = &*valid
        && first != second
    {
        let place = Place::RegionTable(TableCopy::Second);
        findings.harmless(place, *offset, Rule::EqualCopies, "another one");
    }
    Ok(valid
        .first()
        .and_then(|(offset, table)| regions(table, *offset, file.length(), extents, findings)))
}

fn regions(
    table: &[u8],
    offset: u64,
    file_length: u64,
    extents: &mut Vec<Extent>,
    findings: &mut Findings,
) -> Option<Regions> {
    let (header, rest) = RegionTableHeader::read_from_prefix(table).ok()?;
    let count = header.count.get() as usize;
    let (entries, _) = <[RegionEntry]>::ref_from_prefix_with_elems(rest, count).ok()?;
    let (mut bat, mut metadata) = (None, None);
    for (field, entry) in (offset + 16..).step_by(32).zip(entries) {
        let place = Place::Region(entry.id);
        let extent = Extent {
            place,
            offset: entry.offset.get(),
            length: entry.length.get().into(),
        };
        if entries.iter().filter(|other| other.id == entry.id).count() > 1 {
            findings.fatal(place, field, Rule::Unique, "it again");
        }
        if entry.required.get() & !1 != 0 {
            let found = format!("{:#x}", entry.required);
            findings.harmless(place, field + 28, Rule::Reserved, found);
        }
        let sound = check_extent(extent, field + 16, file_length, findings);
        if sound {
            extents.push(extent);
        }
        let known = match entry.id {
            RegionEntry::BAT => Some(&mut bat),
            RegionEntry::METADATA => Some(&mut metadata),
            _ => None,
        };
        match known {
            Some(known) => {
                if entry.required.get() & 1 == 0 {
                    findings.harmless(place, field + 28, Rule::Flags, "not required");
                }
                *known = Some(extent).filter(|_| sound);
            }
            None if entry.required.get() & 1 == 1 => {
                findings.fatal(place, field, Rule::Known, "a required region");
            }
            None => {}
        }
    }
    for id in [RegionEntry::BAT, RegionEntry::METADATA] {
        if !entries.iter().any(|entry| entry.id == id) {
            findings.fatal(Place::Region(id), offset, Rule::Present, "none");
        }
    }
    Some(Regions {
        bat: bat?,
        metadata: metadata?,
    })
}
