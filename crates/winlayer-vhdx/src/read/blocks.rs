//! The block allocation table and the blocks it points to.

use std::io::{self, Read, Seek};

use zerocopy::{IntoBytes, little_endian::U64};

use super::load::Extent;
use crate::{
    bat::{Bat, PAGE_ENTRIES},
    device::Device,
    finding::{Findings, Place, Rule},
    format::{BatEntry, MIB},
    geometry::{EntryOwner, Geometry},
    sectors::SectorSet,
};

/// The table, and how many payload blocks are in the file. Only pages with something in them are kept, so
/// memory follows what the file has, not what it says.
pub(super) fn read_bat(
    file: &mut Device<impl Read + Seek>,
    region: Extent,
    geometry: &Geometry,
    extents: &mut Vec<Extent>,
    findings: &mut Findings,
) -> io::Result<Option<(Bat, u64)>> {
    let entries = geometry.bat_entries();
    if region.length / 8 < entries {
        let found = format!("{} entries, {entries} are needed", region.length / 8);
        findings.fatal(Place::Bat, region.offset, Rule::Length, found);
        return Ok(None);
    }
    let mut bat = Bat::new(entries);
    let mut allocated = 0;
    let mut page = [U64::ZERO; PAGE_ENTRIES];
    let mut index = 0;
    while index < entries {
        file.read_all_at(region.offset + index * 8, page.as_mut_bytes())?;
        for (index, raw) in (index..entries).zip(&page) {
            if *raw != 0 {
                let entry = BatEntry(raw.get());
                let field = region.offset + index * 8;
                if let Some(extent) =
                    check_entry(geometry, index, entry, field, file.length(), findings)
                {
                    allocated += u64::from(matches!(extent.place, Place::Block(_)));
                    extents.push(extent);
                }
                bat.set(index, entry);
            }
        }
        index += PAGE_ENTRIES as u64;
    }
    check_bitmaps(file, geometry, &bat, region.offset, findings)?;
    Ok(Some((bat, allocated)))
}

/// What the entry says is in the file.
fn check_entry(
    geometry: &Geometry,
    index: u64,
    entry: BatEntry,
    field: u64,
    file_length: u64,
    findings: &mut Findings,
) -> Option<Extent> {
    const ONLY_ABSENT: &[u64] = &[BatEntry::ABSENT];
    const BITMAP: &[u64] = &[BatEntry::ABSENT, BatEntry::PRESENT];
    // Absent, undefined, zero, unmapped.
    const WHOLE: &[u64] = &[BatEntry::ABSENT, 1, 2, 3, BatEntry::PRESENT];
    const ANY: &[u64] = &[
        BatEntry::ABSENT,
        1,
        2,
        3,
        BatEntry::PRESENT,
        BatEntry::PARTIAL,
    ];
    let differencing = geometry.is_differencing();
    let (place, length, possible) = match geometry.entry_owner(index) {
        EntryOwner::Block(block) => {
            let possible = match differencing {
                true if block >= geometry.blocks() => ONLY_ABSENT,
                true => ANY,
                false => WHOLE,
            };
            (Place::Block(block), geometry.block_size(), possible)
        }
        EntryOwner::Bitmap(chunk) => {
            let possible = if differencing { BITMAP } else { ONLY_ABSENT };
            (Place::Bitmap(chunk), MIB, possible)
        }
    };
    let found = || format!("{:#018x}", entry.0);
    if entry.0 & BatEntry::RESERVED != 0 {
        findings.fatal(place, field, Rule::Reserved, found());
    }
    if !possible.contains(&entry.state()) {
        findings.fatal(place, field, Rule::State, found());
        return None;
    }
    // What the other states have as an offset does not count.
    let offset = entry.block_offset()?;
    let extent = Extent {
        place,
        offset,
        length,
    };
    if offset < MIB {
        findings.fatal(place, field, Rule::BehindHeaders, found());
        None
    } else if extent.end() > file_length {
        findings.fatal(place, field, Rule::Inside, found());
        None
    } else {
        Some(extent)
    }
}

/// Each chunk with a partly present block has a bitmap, and that says nothing of sectors behind the end.
fn check_bitmaps(
    file: &mut Device<impl Read + Seek>,
    geometry: &Geometry,
    bat: &Bat,
    bat_offset: u64,
    findings: &mut Findings,
) -> io::Result<()> {
    if !geometry.is_differencing() {
        return Ok(());
    }
    for index in bat.used() {
        let EntryOwner::Block(block) = geometry.entry_owner(index) else {
            continue;
        };
        if bat.get(index).state() != BatEntry::PARTIAL || block >= geometry.blocks() {
            continue;
        }
        let bitmap = bat.get(geometry.bitmap_entry(block / geometry.chunk_blocks()));
        let Some(bitmap) = bitmap.block_offset() else {
            let field = bat_offset + index * 8;
            findings.fatal(Place::Block(block), field, Rule::NeedsBitmap, "none");
            continue;
        };
        // Only the last block can be cut by the end of the disk.
        let sectors = geometry.sectors_of(block);
        if sectors < geometry.block_sectors() {
            let mut set = SectorSet::new(geometry.block_sectors());
            let offset = bitmap.saturating_add(geometry.bitmap_offset(block));
            file.read_all_at(offset, set.as_mut_bytes())?;
            if set.contains(sectors)
                || set.run_end(sectors, geometry.block_sectors()) != geometry.block_sectors()
            {
                let found = "bits of sectors that the disk does not have";
                findings.harmless(Place::Block(block), offset, Rule::BehindEnd, found);
            }
        }
    }
    Ok(())
}
