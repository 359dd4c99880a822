//! The metadata region.

use std::{
    collections::HashSet,
    io::{self, Read, Seek},
};

use zerocopy::{
    FromBytes, IntoBytes,
    little_endian::{U32, U64},
};

use super::load::{Extent, read_struct, shown, utf16};
use crate::{
    BlockSize, Guid, SectorSize,
    device::Device,
    finding::{Findings, Place, Rule},
    format::{
        FileParameters, LocatorEntry, LocatorHeader, MAX_ENTRIES, MAX_ITEM_SIZE, MAX_USER_ITEMS,
        METADATA_TABLE_SIZE, MetadataEntry, MetadataTableHeader, item,
    },
    geometry::Geometry,
    options::key,
};

/// What the metadata items say.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub geometry: Geometry,
    pub block_size: BlockSize,
    pub fixed: bool,
    pub disk_id: Guid,
    pub logical_sector: SectorSize,
    pub physical_sector: SectorSize,
    /// Keys and values of the parent locator.
    pub parent: Vec<(String, String)>,
}

/// Flags every item of the format has but those of the file itself.
const DISK: u32 = MetadataEntry::REQUIRED | MetadataEntry::VIRTUAL_DISK;
const KNOWN: [(Guid, u32, Option<u32>); 6] = [
    (item::FILE_PARAMETERS, MetadataEntry::REQUIRED, Some(8)),
    (item::DISK_SIZE, DISK, Some(8)),
    (item::DISK_ID, DISK, Some(16)),
    (item::LOGICAL_SECTOR, DISK, Some(4)),
    (item::PHYSICAL_SECTOR, DISK, Some(4)),
    (item::PARENT_LOCATOR, MetadataEntry::REQUIRED, None),
];

/// Reads the metadata; no result when an item is missing or impossible that the disk's layout needs.
pub(super) fn read_metadata(
    file: &mut Device<impl Read + Seek>,
    region: Extent,
    findings: &mut Findings,
) -> io::Result<Option<Metadata>> {
    let Some(entries) = read_table(file, region, findings)? else {
        return Ok(None);
    };
    check_entries(&entries, region, findings);
    let mut items = Items {
        file,
        region,
        entries: &entries,
        findings,
    };
    items.read()
}

fn read_table(
    file: &mut Device<impl Read + Seek>,
    region: Extent,
    findings: &mut Findings,
) -> io::Result<Option<Vec<MetadataEntry>>> {
    let place = Place::MetadataTable;
    if region.length < METADATA_TABLE_SIZE.into() {
        findings.fatal(
            place,
            region.offset,
            Rule::Length,
            region.length.to_string(),
        );
        return Ok(None);
    }
    let mut table = vec![0; METADATA_TABLE_SIZE as usize];
    file.read_all_at(region.offset, &mut table)?;
    let Ok((header, rest)) = MetadataTableHeader::read_from_prefix(&table) else {
        return Ok(None);
    };
    if header.signature != MetadataTableHeader::SIGNATURE {
        findings.fatal(
            place,
            region.offset,
            Rule::Signature,
            shown(&header.signature),
        );
        return Ok(None);
    }
    if header.reserved != 0 || header.reserved_tail != [0; 20] {
        findings.harmless(place, region.offset + 8, Rule::Reserved, "other bytes");
    }
    let count = header.count.get();
    if u32::from(count) > MAX_ENTRIES {
        findings.fatal(place, region.offset + 10, Rule::Count, count.to_string());
        return Ok(None);
    }
    let entries = <[MetadataEntry]>::ref_from_prefix_with_elems(rest, count.into());
    Ok(entries.ok().map(|(entries, _)| entries.to_vec()))
}

/// Rules for the entries of all items, known or not.
fn check_entries(entries: &[MetadataEntry], region: Extent, findings: &mut Findings) {
    let user = |entry: &MetadataEntry| entry.flags.get() & MetadataEntry::USER != 0;
    let users = entries.iter().filter(|entry| user(entry)).count();
    if users > MAX_USER_ITEMS {
        let found = format!("{users} user items");
        findings.fatal(Place::MetadataTable, region.offset, Rule::Count, found);
    }
    let mut extents = Vec::new();
    for (field, entry) in (region.offset + 32..).step_by(32).zip(entries) {
        let place = Place::Item(entry.id);
        let (start, length) = (entry.offset.get(), entry.length.get());
        let same = |other: &&MetadataEntry| other.id == entry.id && user(other) == user(entry);
        if entries.iter().filter(same).count() > 1 {
            findings.fatal(place, field, Rule::Unique, "it again");
        }
        if entry.reserved != 0 || entry.flags.get() & !7 != 0 {
            let found = format!("flags {:#x}, {:#x}", entry.flags, entry.reserved);
            findings.harmless(place, field + 24, Rule::Reserved, found);
        }
        let found = || format!("offset {start:#x}, length {length:#x}");
        if length > MAX_ITEM_SIZE {
            findings.fatal(place, field + 16, Rule::Length, found());
        } else if length > 0 && start < METADATA_TABLE_SIZE {
            findings.fatal(place, field + 16, Rule::BehindHeaders, found());
        } else if u64::from(start) + u64::from(length) > region.length {
            findings.fatal(place, field + 16, Rule::Inside, found());
        } else if length > 0 {
            extents.push((start, start.saturating_add(length), field, place));
        }
        check_known(entry, user(entry), field, findings);
    }
    extents.sort_by_key(|(start, ..)| *start);
    for pair in extents.windows(2) {
        if let [(_, end, _, other), (start, _, field, place)] = pair
            && start < end
        {
            findings.fatal(*place, *field, Rule::Overlap, format!("bytes of {other}"));
        }
    }
}

/// Flags and length of an item of the format's; others must not be required.
fn check_known(entry: &MetadataEntry, user: bool, field: u64, findings: &mut Findings) {
    let place = Place::Item(entry.id);
    let known = KNOWN.iter().find(|(id, ..)| *id == entry.id && !user);
    let flags = entry.flags.get();
    match known {
        Some((_, expected, size)) => {
            if flags & 7 != *expected {
                findings.harmless(place, field + 24, Rule::Flags, format!("{flags:#x}"));
            }
            if size.is_some_and(|size| entry.length != size) {
                findings.fatal(place, field + 20, Rule::Length, entry.length.to_string());
            }
        }
        None if flags & MetadataEntry::REQUIRED != 0 => {
            findings.fatal(place, field, Rule::Known, "a required item");
        }
        None => {}
    }
}

/// The values of the items of the format.
struct Items<'a, F> {
    file: &'a mut Device<F>,
    region: Extent,
    entries: &'a [MetadataEntry],
    findings: &'a mut Findings,
}

impl<F: Read + Seek> Items<'_, F> {
    /// The entry of an item of the format's; a user's item with this id is another.
    fn entry(&self, id: Guid) -> Option<&MetadataEntry> {
        let system = |entry: &&MetadataEntry| entry.flags.get() & MetadataEntry::USER == 0;
        self.entries
            .iter()
            .filter(system)
            .find(|entry| entry.id == id)
    }

    /// Where an item is in the file, with its length.
    fn find(&self, id: Guid) -> Option<(u64, u32)> {
        let entry = self.entry(id)?;
        let (offset, length) = (entry.offset.get(), entry.length.get());
        let inside = offset >= METADATA_TABLE_SIZE
            && u64::from(offset) + u64::from(length) <= self.region.length;
        (inside && length <= MAX_ITEM_SIZE)
            .then_some((self.region.offset + u64::from(offset), length))
    }

    /// An item of a fixed size, with its place in the file.
    fn value<T: FromBytes + IntoBytes>(&mut self, id: Guid) -> io::Result<Option<(u64, T)>> {
        let Some((offset, length)) = self.find(id) else {
            if self.entry(id).is_none() {
                let table = self.region.offset;
                self.findings
                    .fatal(Place::Item(id), table, Rule::Present, "none");
            }
            return Ok(None);
        };
        if length as usize != size_of::<T>() {
            return Ok(None);
        }
        Ok(read_struct(self.file, offset)?.map(|value| (offset, value)))
    }

    fn sector(&mut self, id: Guid, place: Place) -> io::Result<Option<SectorSize>> {
        let Some((offset, bytes)) = self.value::<U32>(id)? else {
            return Ok(None);
        };
        let size = SectorSize::from_bytes(bytes.get());
        if size.is_none() {
            self.findings
                .fatal(place, offset, Rule::Value, bytes.to_string());
        }
        Ok(size)
    }

    fn read(&mut self) -> io::Result<Option<Metadata>> {
        let parameters = self.value::<FileParameters>(item::FILE_PARAMETERS)?;
        let size = self.value::<U64>(item::DISK_SIZE)?;
        let disk_id = self.value::<Guid>(item::DISK_ID)?;
        let logical = self.sector(item::LOGICAL_SECTOR, Place::LogicalSector)?;
        let physical = self.sector(item::PHYSICAL_SECTOR, Place::PhysicalSector)?;
        let flags = parameters.map_or(0, |(_, parameters)| parameters.flags.get());
        let differencing = flags & FileParameters::HAS_PARENT != 0;
        let parent = if differencing {
            self.parent()?
        } else {
            Vec::new()
        };

        let block_size = parameters.and_then(|(offset, parameters)| {
            let known = FileParameters::LEAVE_ALLOCATED | FileParameters::HAS_PARENT;
            if flags & !known != 0 {
                let found = format!("flags {flags:#x}");
                self.findings
                    .harmless(Place::FileParameters, offset + 4, Rule::Reserved, found);
            }
            let bytes = parameters.block_size.get();
            let block_size = BlockSize::try_from(bytes).ok();
            if block_size.is_none() {
                let found = format!("{bytes} bytes");
                self.findings
                    .fatal(Place::FileParameters, offset, Rule::Value, found);
            }
            block_size
        });
        let (Some(block_size), Some((size_at, size)), Some(logical), Some(physical)) =
            (block_size, size, logical, physical)
        else {
            return Ok(None);
        };
        let Ok(geometry) = Geometry::new(size.get(), block_size, logical, differencing) else {
            let found = format!("{size} bytes");
            self.findings
                .fatal(Place::DiskSize, size_at, Rule::Value, found);
            return Ok(None);
        };
        Ok(Some(Metadata {
            geometry,
            block_size,
            fixed: flags & FileParameters::LEAVE_ALLOCATED != 0,
            disk_id: disk_id.map_or(Guid::NIL, |(_, id)| id),
            logical_sector: logical,
            physical_sector: physical,
            parent,
        }))
    }

    /// Keys and values of the parent locator.
    fn parent(&mut self) -> io::Result<Vec<(String, String)>> {
        let place = Place::ParentLocator;
        let Some((offset, length)) = self.find(item::PARENT_LOCATOR) else {
            let table = self.region.offset;
            self.findings.fatal(place, table, Rule::Present, "none");
            return Ok(Vec::new());
        };
        let mut bytes = vec![0; length as usize];
        self.file.read_all_at(offset, &mut bytes)?;
        let Ok((header, rest)) = LocatorHeader::read_from_prefix(&bytes) else {
            self.findings
                .fatal(place, offset, Rule::Length, length.to_string());
            return Ok(Vec::new());
        };
        if header.locator_type != LocatorHeader::VHDX {
            let found = format!("locator type {}", header.locator_type);
            self.findings.fatal(place, offset, Rule::Known, found);
        }
        if header.reserved != 0 {
            let found = format!("{:#x}", header.reserved);
            self.findings
                .harmless(place, offset + 16, Rule::Reserved, found);
        }
        let count = header.count.get();
        let Ok((entries, _)) = <[LocatorEntry]>::ref_from_prefix_with_elems(rest, count.into())
        else {
            self.findings
                .fatal(place, offset + 18, Rule::Count, count.to_string());
            return Ok(Vec::new());
        };
        let text = |offset: U32, length: u16| {
            let start = offset.get() as usize;
            let text = bytes.get(start..start.checked_add(length.into())?)?;
            (length > 0 && length.is_multiple_of(2)).then(|| utf16(text))
        };
        let (mut pairs, mut keys, mut texts) = (Vec::new(), HashSet::new(), 0);
        for (field, entry) in (offset + 20..).step_by(12).zip(entries) {
            let (key_length, value_length) = (entry.key_length.get(), entry.value_length.get());
            // Texts that lie over each other could make many of few bytes.
            texts += u64::from(key_length) + u64::from(value_length);
            if texts > length.into() {
                self.findings
                    .fatal(place, field, Rule::Overlap, format!("{entry:?}"));
                break;
            }
            let key = text(entry.key_offset, key_length);
            let (Some(key), Some(value)) = (key, text(entry.value_offset, value_length)) else {
                self.findings
                    .fatal(place, field, Rule::Inside, format!("{entry:?}"));
                continue;
            };
            if !keys.insert(key.clone()) {
                let found = format!("{key:?} again");
                self.findings.fatal(place, field, Rule::Unique, found);
            }
            pairs.push((key, value));
        }
        self.check_locator(&pairs, offset);
        Ok(pairs)
    }

    fn check_locator(&mut self, pairs: &[(String, String)], offset: u64) {
        let place = Place::ParentLocator;
        let has = |wanted: &str| pairs.iter().any(|(key, _)| key == wanted);
        for (key, value) in pairs {
            if (key == key::LINKAGE || key == key::LINKAGE2) && value.parse::<Guid>().is_err() {
                let found = format!("{key} {value:?}");
                self.findings.fatal(place, offset, Rule::Value, found);
            }
        }
        if !has(key::LINKAGE) {
            self.findings
                .fatal(place, offset, Rule::Present, "no parent_linkage");
        }
        if ![
            key::RELATIVE_PATH,
            key::VOLUME_PATH,
            key::ABSOLUTE_WIN32_PATH,
        ]
        .into_iter()
        .any(has)
        {
            self.findings.fatal(place, offset, Rule::Present, "no path");
        }
    }
}
