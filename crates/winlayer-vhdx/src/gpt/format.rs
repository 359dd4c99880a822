//! On-disk structures of a GPT disk with sectors of 512 bytes.
//!
//! All numbers are little-endian. Source: UEFI Specification 2.10, chapter 5.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

use crate::Guid;

pub(crate) const SECTOR: u64 = 512;
/// Entries that are written; the least the specification allows (5.3.1: 16384 bytes).
pub(super) const ENTRIES: u32 = 128;
/// Sectors of that many entries.
pub(super) const ENTRY_SECTORS: u64 = ENTRIES as u64 * size_of::<Entry>() as u64 / SECTOR;

/// Entry of the partition table of an MBR (5.2.1).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct MbrEntry {
    /// 0: 0, not active.
    pub boot: u8,
    /// 1: head, sector, cylinder of the first sector: 0, 2, 0.
    pub first_chs: [u8; 3],
    /// 4: [`MbrEntry::PROTECTIVE`].
    pub kind: u8,
    /// 5: of the last sector; all ones when it is too far for CHS.
    pub last_chs: [u8; 3],
    /// 8: first sector, 1.
    pub first: U32,
    /// 12: number of sectors; all ones when there are more.
    pub count: U32,
}
const _: () = assert!(size_of::<MbrEntry>() == 16);

impl MbrEntry {
    /// The whole disk belongs to a GPT.
    pub(crate) const PROTECTIVE: u8 = 0xEE;
}

/// Sector 0 (5.2.3, "Protective MBR").
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ProtectiveMbr {
    /// 0: zero.
    pub boot_code: [u8; 440],
    /// 440: zero.
    pub disk_signature: U32,
    /// 444: zero.
    pub unknown: U16,
    /// 446: one entry for the whole disk, the others zero.
    pub entries: [MbrEntry; 4],
    /// 510: [`ProtectiveMbr::SIGNATURE`].
    pub signature: [u8; 2],
}
const _: () = assert!(size_of::<ProtectiveMbr>() == 512);

impl ProtectiveMbr {
    pub(crate) const SIGNATURE: [u8; 2] = [0x55, 0xAA];
}

/// One of the two headers, at the second and the last sector (5.3.2).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(super) struct Header {
    /// 0: `EFI PART`.
    pub signature: [u8; 8],
    /// 8: [`Header::REVISION`].
    pub revision: U32,
    /// 12: 92.
    pub size: U32,
    /// 16: CRC-32 of this structure with this field zero.
    pub checksum: U32,
    /// 20: zero.
    pub reserved: U32,
    /// 24: this header's sector.
    pub this: U64,
    /// 32: the other header's sector.
    pub other: U64,
    /// 40: first sector a partition may have.
    pub first_usable: U64,
    /// 48: last sector a partition may have.
    pub last_usable: U64,
    /// 56: identifies the disk.
    pub disk_id: Guid,
    /// 72: first sector of this header's entries.
    pub entries: U64,
    /// 80: number of entries, used or not.
    pub entry_count: U32,
    /// 84: length of an entry.
    pub entry_size: U32,
    /// 88: CRC-32 of all entries.
    pub entries_checksum: U32,
}
const _: () = assert!(size_of::<Header>() == 92);

impl Header {
    pub(super) const SIGNATURE: [u8; 8] = *b"EFI PART";
    pub(super) const REVISION: u32 = 0x0001_0000;

    /// The checksum of this header as it stands.
    pub(super) fn compute_checksum(&self) -> u32 {
        let zeroed = Self {
            checksum: U32::ZERO,
            ..*self
        };
        crc32fast::hash(zeroed.as_bytes())
    }
}

/// A partition (5.3.3).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Entry {
    /// 0: what the partition is for; zero for an unused entry.
    pub kind: Guid,
    /// 16: identifies the partition.
    pub id: Guid,
    /// 32: first sector.
    pub first: U64,
    /// 40: last sector.
    pub last: U64,
    /// 48: 1 required by the platform; the upper 16 bits belong to the kind.
    pub attributes: U64,
    /// 56: name, UTF-16LE, NUL-padded.
    pub name: [[u8; 2]; 36],
}
const _: () = assert!(size_of::<Entry>() == 128);
