//! Partition tables of disks with sectors of 512 bytes.

pub(crate) mod format;

use std::io::{Read, Seek, SeekFrom, Write};

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::{Guid, VhdxError, device::Device};
use format::{ENTRIES, ENTRY_SECTORS, Entry, Header, MbrEntry, ProtectiveMbr, SECTOR};

/// The kind of a Microsoft reserved partition.
pub const MICROSOFT_RESERVED: Guid = Guid::from_u128(0xE3C9E316_0B5C_4DB8_817D_F92DF00215AE);
/// The kind of a partition with a Windows file system.
pub const BASIC_DATA: Guid = Guid::from_u128(0xEBD0A0A2_B9E5_4433_87C0_68B6B72699C7);

const MIB: u64 = 1 << 20;
/// Where the reserved partition of a data disk is, and the data partition behind it.
const RESERVED_AT: u64 = MIB;
const DATA_AT: u64 = RESERVED_AT + 16 * MIB;
/// For errors.
const READ: &str = "read the partition table";
/// Most entries that are read; far more than Windows allows.
const MOST_ENTRIES: u32 = 1024;

/// A disk's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpt {
    /// Size of the disk in bytes, a multiple of 512.
    pub disk_size: u64,
    /// Identifies the disk.
    pub disk_id: Guid,
    /// The partitions in the order of their entries.
    pub partitions: Vec<GptPartition>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GptPartition {
    /// What it is for, as [`BASIC_DATA`].
    pub kind: Guid,
    /// Identifies the partition.
    pub id: Guid,
    /// Where it starts, in bytes from the start of the disk; a multiple of 512.
    pub offset: u64,
    /// Its size in bytes, a multiple of 512.
    pub length: u64,
    /// Attribute bits, 0 for none.
    pub attributes: u64,
    /// At most 36 UTF-16 units.
    pub name: String,
}

impl Gpt {
    /// A disk as Windows makes it for containers: a reserved partition of 16 MiB at 1 MiB, and a data
    /// partition, called `name`, from there to the last whole MiB before the backup table.
    ///
    /// # Errors
    /// When the disk is smaller than 18 MiB and 33 sectors or not a multiple of 512 bytes, or the name has more
    /// than 36 UTF-16 units.
    pub fn data_disk(
        disk_size: u64,
        disk_id: Guid,
        reserved_id: Guid,
        data_id: Guid,
        name: &str,
    ) -> Result<Self, VhdxError> {
        let end = disk_size.saturating_sub((ENTRY_SECTORS + 1) * SECTOR) / MIB * MIB;
        if end <= DATA_AT || !disk_size.is_multiple_of(SECTOR) {
            return Err(VhdxError::DataDiskSize { size: disk_size });
        }
        let units = name.encode_utf16().count();
        let limit = 36;
        if units > limit {
            return Err(VhdxError::TooLong {
                field: "the partition's name",
                units,
                limit,
            });
        }
        Ok(Self {
            disk_size,
            disk_id,
            partitions: vec![
                GptPartition {
                    kind: MICROSOFT_RESERVED,
                    id: reserved_id,
                    offset: RESERVED_AT,
                    length: DATA_AT - RESERVED_AT,
                    attributes: 0,
                    name: "Microsoft reserved partition".to_owned(),
                },
                GptPartition {
                    kind: BASIC_DATA,
                    id: data_id,
                    offset: DATA_AT,
                    length: end - DATA_AT,
                    attributes: 0,
                    name: name.to_owned(),
                },
            ],
        })
    }

    /// The first partition of a kind.
    #[must_use]
    pub fn find(&self, kind: Guid) -> Option<&GptPartition> {
        self.partitions
            .iter()
            .find(|partition| partition.kind == kind)
    }

    /// Writes the protective MBR and both copies of the table; the partitions' content is left alone.
    ///
    /// # Errors
    /// When the partitions break a rule of the format, or the disk cannot be written.
    pub fn write_to(&self, disk: &mut (impl Write + Seek)) -> Result<(), VhdxError> {
        let last = self.check()?;
        let entries: Vec<Entry> = self.partitions.iter().map(entry).collect();
        let mut entries = entries.as_bytes().to_vec();
        entries.resize((ENTRY_SECTORS * SECTOR) as usize, 0);
        let backup_entries = last - ENTRY_SECTORS;
        let primary = self.header(1, last, 2, &entries);
        let backup = self.header(last, 1, backup_entries, &entries);
        for (sector, bytes) in [
            (0, mbr(last).as_bytes()),
            (1, primary.as_bytes()),
            (2, &entries),
            (backup_entries, &entries),
            (last, backup.as_bytes()),
        ] {
            disk.seek(SeekFrom::Start(sector * SECTOR))
                .and_then(|_| disk.write_all(bytes))
                .map_err(VhdxError::io("write the partition table"))?;
        }
        Ok(())
    }

    fn header(&self, this: u64, other: u64, entries_at: u64, entries: &[u8]) -> Header {
        let last = this.max(other);
        let mut header = Header {
            signature: Header::SIGNATURE,
            revision: Header::REVISION.into(),
            size: (size_of::<Header>() as u32).into(),
            checksum: 0.into(),
            reserved: 0.into(),
            this: this.into(),
            other: other.into(),
            first_usable: (2 + ENTRY_SECTORS).into(),
            last_usable: (last - ENTRY_SECTORS - 1).into(),
            disk_id: self.disk_id,
            entries: entries_at.into(),
            entry_count: ENTRIES.into(),
            entry_size: (size_of::<Entry>() as u32).into(),
            entries_checksum: crc32fast::hash(entries).into(),
        };
        header.checksum = header.compute_checksum().into();
        header
    }

    /// Checks what a caller may have put in, and returns the disk's last sector.
    fn check(&self) -> Result<u64, VhdxError> {
        let last = (self.disk_size / SECTOR).saturating_sub(1);
        let first_usable = (2 + ENTRY_SECTORS) * SECTOR;
        let usable = first_usable..last.saturating_sub(ENTRY_SECTORS) * SECTOR;
        if self.partitions.len() > ENTRIES as usize {
            return Err(broken("at most 128 partitions", self.partitions.len()));
        }
        check_partitions(&self.partitions, usable)?;
        for partition in &self.partitions {
            if partition.name.encode_utf16().count() > 36 {
                return Err(broken("a name of at most 36 UTF-16 units", &partition.name));
            }
        }
        Ok(last)
    }

    /// Reads a partition table and checks all of it: protective MBR, both headers and their entries, and that
    /// both say the same.
    ///
    /// # Errors
    /// When the disk cannot be read, or anything of the table is not as it should be.
    pub fn read(disk: &mut (impl Read + Seek)) -> Result<Self, VhdxError> {
        let mut disk = Device::new(disk).map_err(VhdxError::io(READ))?;
        let disk_size = disk.length();
        if disk_size < 2 * SECTOR || !disk_size.is_multiple_of(SECTOR) {
            return Err(broken("a disk of whole sectors", disk_size));
        }
        let last = disk_size / SECTOR - 1;
        let mut mbr = ProtectiveMbr::new_zeroed();
        disk.read_all_at(0, mbr.as_mut_bytes())
            .map_err(VhdxError::io(READ))?;
        check_mbr(&mbr)?;

        let (header, entries) = read_copy(&mut disk, 1, last)?;
        let (backup, backup_entries) = read_copy(&mut disk, last, 1)?;
        check_copies(&header, &backup)?;
        if entries != backup_entries {
            return Err(broken("the same entries in both copies", "others"));
        }
        let partitions = partitions(&entries)?;
        let end = header.last_usable.get().saturating_add(1);
        let usable = header.first_usable.get().saturating_mul(SECTOR)..end.saturating_mul(SECTOR);
        check_partitions(&partitions, usable)?;
        Ok(Self {
            disk_size,
            disk_id: header.disk_id,
            partitions,
        })
    }
}

/// A header with its entries, each of them sound.
fn read_copy(
    disk: &mut Device<impl Read + Seek>,
    this: u64,
    other: u64,
) -> Result<(Header, Vec<u8>), VhdxError> {
    let mut header = Header::new_zeroed();
    disk.read_all_at(this * SECTOR, header.as_mut_bytes())
        .map_err(VhdxError::io(READ))?;
    check_header(&header, this, other)?;
    let length = header.entry_count.get() as usize * size_of::<Entry>();
    let start = header.entries.get().checked_mul(SECTOR);
    let start = start
        .filter(|start| start.saturating_add(length as u64) <= disk.length())
        .ok_or_else(|| broken("entries on the disk", header.entries))?;
    let mut entries = vec![0; length];
    disk.read_all_at(start, &mut entries)
        .map_err(VhdxError::io(READ))?;
    if crc32fast::hash(&entries) != header.entries_checksum.get() {
        let found = format!("{:#010x}", header.entries_checksum);
        return Err(broken("entries with the header's CRC-32", found));
    }
    Ok((header, entries))
}

/// A table that breaks a rule.
fn broken(expected: &'static str, found: impl ToString) -> VhdxError {
    VhdxError::Gpt {
        expected,
        found: found.to_string().escape_debug().to_string(),
    }
}

fn mbr(last_sector: u64) -> ProtectiveMbr {
    let mut mbr = ProtectiveMbr::new_zeroed();
    let [entry, ..] = &mut mbr.entries;
    *entry = MbrEntry {
        boot: 0,
        first_chs: [0, 2, 0],
        kind: MbrEntry::PROTECTIVE,
        last_chs: [0xFF; 3],
        first: 1.into(),
        count: u32::try_from(last_sector).unwrap_or(u32::MAX).into(),
    };
    mbr.signature = ProtectiveMbr::SIGNATURE;
    mbr
}

fn check_mbr(mbr: &ProtectiveMbr) -> Result<(), VhdxError> {
    if mbr.signature != ProtectiveMbr::SIGNATURE {
        return Err(broken(
            "55 AA at the end of sector 0",
            format!("{:02x?}", mbr.signature),
        ));
    }
    let kinds = mbr.entries.map(|entry| entry.kind);
    if !kinds.contains(&MbrEntry::PROTECTIVE) {
        return Err(broken(
            "a protective MBR",
            format!("partition types {kinds:02x?}"),
        ));
    }
    Ok(())
}

fn check_header(header: &Header, this: u64, other: u64) -> Result<(), VhdxError> {
    if header.signature != Header::SIGNATURE {
        let found = header.signature.escape_ascii();
        return Err(broken("EFI PART at the start of a header", found));
    }
    if header.checksum.get() != header.compute_checksum() {
        let found = format!("{:#010x}", header.checksum);
        return Err(broken("a header with its own CRC-32", found));
    }
    if header.revision != Header::REVISION || header.size.get() as usize != size_of::<Header>() {
        let found = format!("revision {:#x}, {} bytes", header.revision, header.size);
        return Err(broken("a header of revision 1.0 and 92 bytes", found));
    }
    if (header.this.get(), header.other.get()) != (this, other) {
        let found = format!("{} and {}", header.this, header.other);
        return Err(broken("headers at the second and the last sector", found));
    }
    if header.entry_size.get() as usize != size_of::<Entry>() {
        return Err(broken("entries of 128 bytes", header.entry_size));
    }
    if header.entry_count > MOST_ENTRIES {
        return Err(broken("at most 1024 entries", header.entry_count));
    }
    if header.last_usable.get() >= this.max(other) {
        return Err(broken("usable sectors before the last", header.last_usable));
    }
    Ok(())
}

fn check_copies(primary: &Header, backup: &Header) -> Result<(), VhdxError> {
    let same = Header {
        this: primary.this,
        other: primary.other,
        entries: primary.entries,
        checksum: primary.checksum,
        ..*backup
    };
    if same != *primary {
        return Err(broken("the same in both headers", format!("{backup:?}")));
    }
    Ok(())
}

fn entry(partition: &GptPartition) -> Entry {
    let mut entry = Entry {
        kind: partition.kind,
        id: partition.id,
        first: (partition.offset / SECTOR).into(),
        last: ((partition.offset + partition.length) / SECTOR - 1).into(),
        attributes: partition.attributes.into(),
        name: [[0; 2]; 36],
    };
    for (place, unit) in entry.name.iter_mut().zip(partition.name.encode_utf16()) {
        *place = unit.to_le_bytes();
    }
    entry
}

fn partitions(entries: &[u8]) -> Result<Vec<GptPartition>, VhdxError> {
    let (entries, _) = entries.as_chunks::<{ size_of::<Entry>() }>();
    let entries = entries
        .iter()
        .filter_map(|bytes| Entry::read_from_bytes(bytes).ok());
    let used = entries.filter(|entry| !entry.kind.is_nil());
    used.map(|entry| {
        let (first, last) = (entry.first.get(), entry.last.get());
        let sectors = last.checked_sub(first).and_then(|last| last.checked_add(1));
        let length = sectors.and_then(|sectors| sectors.checked_mul(SECTOR));
        let (Some(length), Some(offset)) = (length, first.checked_mul(SECTOR)) else {
            return Err(broken(
                "a partition on the disk",
                format!("sectors {first} to {last}"),
            ));
        };
        let units = entry.name.map(u16::from_le_bytes);
        let name = char::decode_utf16(units.into_iter().take_while(|unit| *unit != 0));
        Ok(GptPartition {
            kind: entry.kind,
            id: entry.id,
            offset,
            length,
            attributes: entry.attributes.get(),
            name: name
                .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect(),
        })
    })
    .collect()
}

/// Each partition has whole sectors of its own, among the usable ones.
fn check_partitions(
    partitions: &[GptPartition],
    usable: std::ops::Range<u64>,
) -> Result<(), VhdxError> {
    let mut ordered: Vec<&GptPartition> = partitions.iter().collect();
    ordered.sort_by_key(|partition| partition.offset);
    let mut free = usable.start;
    for partition in ordered {
        let GptPartition { offset, length, .. } = *partition;
        let found = || format!("one of {length} bytes at {offset:#x}");
        if length == 0 || !offset.is_multiple_of(SECTOR) || !length.is_multiple_of(SECTOR) {
            return Err(broken("partitions of whole sectors", found()));
        }
        let end = offset.checked_add(length).filter(|end| *end <= usable.end);
        free = match end {
            Some(end) if offset >= free => end,
            _ => return Err(broken("partitions apart, on usable sectors", found())),
        };
        if partition.kind.is_nil() {
            return Err(broken("partitions of a kind", found()));
        }
    }
    Ok(())
}
