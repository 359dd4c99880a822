//! On-disk structures of a VHDX file.
//!
//! All numbers are little-endian. Source: \[MS-VHDX\] "Virtual Hard Disk v2 (VHDX) File Format",
//! section numbers below.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

use crate::Guid;

/// 1 MiB: what everything after the header section is aligned to.
pub(crate) const MIB: u64 = 1 << 20;
/// Where the two headers are (2.2).
pub(crate) const HEADER_OFFSETS: [u64; 2] = [64 << 10, 128 << 10];
/// Where the two region tables are (2.2).
pub(crate) const REGION_TABLE_OFFSETS: [u64; 2] = [192 << 10, 256 << 10];
/// Length of a region table, all of which its checksum covers (2.2.3).
pub(crate) const REGION_TABLE_SIZE: usize = 64 << 10;
/// Length of the metadata table; items start behind it (2.6.1).
pub(crate) const METADATA_TABLE_SIZE: u32 = 64 << 10;
/// Most entries of a region table (2.2.3.1) and of the metadata table (2.6.1.1).
pub(crate) const MAX_ENTRIES: u32 = 2047;
/// Most user items among the metadata entries (2.6.1.2).
pub(crate) const MAX_USER_ITEMS: usize = 1024;
/// Longest metadata item (2.6.1.2).
pub(crate) const MAX_ITEM_SIZE: u32 = 1 << 20;
/// Sectors of one chunk, which one sector bitmap block of 1 MiB describes (2.4).
pub(crate) const CHUNK_SECTORS: u64 = 1 << 23;
/// Largest virtual disk (2.6.2.2).
pub(crate) const MAX_DISK_SIZE: u64 = 64 << 40;

/// The file type identifier at offset 0 (2.2.1).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FileIdentifier {
    /// 0: `vhdxfile`.
    pub signature: [u8; 8],
    /// 8: what made the file, UTF-16LE, NUL-padded; for people only.
    pub creator: [[u8; 2]; 256],
}
const _: () = assert!(size_of::<FileIdentifier>() == 520);

impl FileIdentifier {
    pub(crate) const SIGNATURE: [u8; 8] = *b"vhdxfile";
}

/// One of the two headers (2.2.2).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(crate) struct Header {
    /// 0: `head`.
    pub signature: [u8; 4],
    /// 4: CRC-32C of these 4096 bytes with this field zero.
    pub checksum: U32,
    /// 8: the valid header with the greater one is the current one.
    pub sequence: U64,
    /// 16: changes when the file is opened for writing.
    pub file_write_id: Guid,
    /// 32: changes when the virtual disk's content does; children name it.
    pub data_write_id: Guid,
    /// 48: zero when the log is empty.
    pub log_id: Guid,
    /// 64: 0.
    pub log_version: U16,
    /// 66: 1.
    pub version: U16,
    /// 68: length of the log, a multiple of 1 MiB.
    pub log_length: U32,
    /// 72: file offset of the log, a multiple of 1 MiB.
    pub log_offset: U64,
    /// 80: zero.
    pub reserved: [u8; 4016],
}
const _: () = assert!(size_of::<Header>() == 4096);

impl Header {
    pub(crate) const SIGNATURE: [u8; 4] = *b"head";

    /// The checksum of this header as it stands.
    pub(crate) fn compute_checksum(&self) -> u32 {
        let zeroed = Self {
            checksum: U32::ZERO,
            ..*self
        };
        crc32c::crc32c(zeroed.as_bytes())
    }
}

/// Start of a region table (2.2.3.1).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RegionTableHeader {
    /// 0: `regi`.
    pub signature: [u8; 4],
    /// 4: CRC-32C of 64 KiB with this field zero.
    pub checksum: U32,
    /// 8: number of entries, at most 2047.
    pub count: U32,
    /// 12: zero.
    pub reserved: U32,
}
const _: () = assert!(size_of::<RegionTableHeader>() == 16);

impl RegionTableHeader {
    pub(crate) const SIGNATURE: [u8; 4] = *b"regi";

    /// The checksum of a region table, given all of its 64 KiB.
    pub(crate) fn compute_checksum(table: &[u8]) -> u32 {
        let (before, rest) = table.split_at_checked(4).unwrap_or((table, &[]));
        let sum = crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]);
        crc32c::crc32c_append(sum, rest.get(4..).unwrap_or_default())
    }
}

/// Entry of a region table (2.2.3.2).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RegionEntry {
    /// 0: which region.
    pub id: Guid,
    /// 16: file offset, a multiple of 1 MiB.
    pub offset: U64,
    /// 24: length, a multiple of 1 MiB.
    pub length: U32,
    /// 28: 1 when a reader that does not know the region must refuse the file.
    pub required: U32,
}
const _: () = assert!(size_of::<RegionEntry>() == 32);

impl RegionEntry {
    pub(crate) const BAT: Guid = Guid::from_u128(0x2DC27766_F623_4200_9D64_115E9BFD4A08);
    pub(crate) const METADATA: Guid = Guid::from_u128(0x8B7CA206_4790_4B9A_B8FE_575F050F886E);
}

/// Start of the metadata table (2.6.1.1).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct MetadataTableHeader {
    /// 0: `metadata`.
    pub signature: [u8; 8],
    /// 8: zero.
    pub reserved: U16,
    /// 10: number of entries, at most 2047.
    pub count: U16,
    /// 12: zero.
    pub reserved_tail: [u8; 20],
}
const _: () = assert!(size_of::<MetadataTableHeader>() == 32);

impl MetadataTableHeader {
    pub(crate) const SIGNATURE: [u8; 8] = *b"metadata";
}

/// Entry of the metadata table (2.6.1.2).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct MetadataEntry {
    /// 0: which item.
    pub id: Guid,
    /// 16: offset from the start of the metadata region, at least 64 KiB; 0 for an empty item.
    pub offset: U32,
    /// 20: length in bytes.
    pub length: U32,
    /// 24: [`MetadataEntry::USER`] and others.
    pub flags: U32,
    /// 28: zero.
    pub reserved: U32,
}
const _: () = assert!(size_of::<MetadataEntry>() == 32);

impl MetadataEntry {
    /// Flag: not of the system; ids of user and system items are apart.
    pub(crate) const USER: u32 = 1;
    /// Flag: describes the virtual disk, not the file.
    pub(crate) const VIRTUAL_DISK: u32 = 2;
    /// Flag: a reader that does not know the item must refuse the file.
    pub(crate) const REQUIRED: u32 = 4;
}

/// Ids of the metadata items (2.6.2).
pub(crate) mod item {
    use crate::Guid;

    pub(crate) const FILE_PARAMETERS: Guid =
        Guid::from_u128(0xCAA16737_FA36_4D43_B3B6_33F0AA44E76B);
    pub(crate) const DISK_SIZE: Guid = Guid::from_u128(0x2FA54224_CD1B_4876_B211_5DBED83BF4B8);
    pub(crate) const DISK_ID: Guid = Guid::from_u128(0xBECA12AB_B2E6_4523_93EF_C309E000C746);
    pub(crate) const LOGICAL_SECTOR: Guid = Guid::from_u128(0x8141BF1D_A96F_4709_BA47_F233A8FAAB5F);
    pub(crate) const PHYSICAL_SECTOR: Guid =
        Guid::from_u128(0xCDA348C7_445D_4471_9CC9_E9885251C556);
    pub(crate) const PARENT_LOCATOR: Guid = Guid::from_u128(0xA8D35F2D_B30B_454D_ABF7_D3D84834AB0C);
}

/// The item of file parameters (2.6.2.1).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FileParameters {
    /// 0: a power of two from 1 MiB to 256 MiB.
    pub block_size: U32,
    /// 4: [`FileParameters::LEAVE_ALLOCATED`], [`FileParameters::HAS_PARENT`].
    pub flags: U32,
}
const _: () = assert!(size_of::<FileParameters>() == 8);

impl FileParameters {
    /// Flag: blocks are never given up; a fixed disk.
    pub(crate) const LEAVE_ALLOCATED: u32 = 1;
    /// Flag: a differencing disk.
    pub(crate) const HAS_PARENT: u32 = 2;
}

/// Start of the parent locator item (2.6.2.6.1).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct LocatorHeader {
    /// 0: [`LocatorHeader::VHDX`].
    pub locator_type: Guid,
    /// 16: zero.
    pub reserved: U16,
    /// 18: number of entries.
    pub count: U16,
}
const _: () = assert!(size_of::<LocatorHeader>() == 20);

impl LocatorHeader {
    /// The parent is a VHDX file.
    pub(crate) const VHDX: Guid = Guid::from_u128(0xB04AEFB7_D19E_4A81_B789_25B8E9445913);
}

/// Entry of the parent locator (2.6.2.6.2); texts are UTF-16LE without a NUL.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct LocatorEntry {
    /// 0: offset of the key from the start of the item.
    pub key_offset: U32,
    /// 4: offset of the value.
    pub value_offset: U32,
    /// 8: length of the key in bytes.
    pub key_length: U16,
    /// 10: length of the value in bytes.
    pub value_length: U16,
}
const _: () = assert!(size_of::<LocatorEntry>() == 12);

/// Entry of the block allocation table, BAT (2.5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatEntry(pub u64);

impl BatEntry {
    /// Not in this file; the parent has it, or nobody. Undefined (1), zero (2) and unmapped (3) are read as
    /// zeros, parent or not.
    pub(crate) const ABSENT: u64 = 0;
    /// All of the block, or a bitmap block, is in this file.
    pub(crate) const PRESENT: u64 = 6;
    /// The sectors marked in the bitmap block are in this file.
    pub(crate) const PARTIAL: u64 = 7;
    /// What must be zero.
    pub(crate) const RESERVED: u64 = 0xF_FFF8;

    /// An entry for a block at a file offset, a multiple of 1 MiB.
    pub(crate) fn stored(state: u64, offset: u64) -> Self {
        Self(state | offset)
    }

    pub(crate) fn state(self) -> u64 {
        self.0 & 7
    }

    /// File offset of the block in bytes.
    pub(crate) fn offset(self) -> u64 {
        self.0 & !(MIB - 1)
    }

    /// File offset of the block when it is in this file, all or part of it.
    pub(crate) fn block_offset(self) -> Option<u64> {
        (self.state() >= Self::PRESENT).then(|| self.offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a file that QEMU 10.0.2 made, zeros behind them.
    fn padded<const N: usize>(hex: &str) -> [u8; N] {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
        bytes
    }

    #[test]
    fn a_header() {
        let bytes: [u8; 4096] = padded(
            "6865 6164 0daa 8d90 8e72 7ca8 0000 0000 30e7 d59b 5657 4d3b 8e13 fafc c265 5317
             77c2 8936 77f3 4922 b248 b060 2b0c d16d 0000 0000 0000 0000 0000 0000 0000 0000
             0000 0100 0000 1000 0000 1000 0000 0000",
        );
        let header = Header::read_from_bytes(&bytes).unwrap();
        assert_eq!(header.signature, Header::SIGNATURE);
        assert_eq!(
            (header.checksum.get(), header.compute_checksum()),
            (0x908D_AA0D, 0x908D_AA0D)
        );
        assert_eq!(header.sequence, 0xA87C_728E);
        assert_eq!(
            header.file_write_id.to_string(),
            "9bd5e730-5756-3b4d-8e13-fafcc2655317"
        );
        assert_eq!(
            header.data_write_id.to_string(),
            "3689c277-f377-2249-b248-b0602b0cd16d"
        );
        assert!(header.log_id.is_nil());
        assert_eq!((header.log_version.get(), header.version.get()), (0, 1));
        assert_eq!(
            (header.log_offset.get(), header.log_length.get()),
            (MIB, 1 << 20)
        );
    }

    #[test]
    fn a_region_table() {
        let bytes: [u8; REGION_TABLE_SIZE] = padded(
            "7265 6769 83ce 6f2c 0200 0000 0000 0000
             6677 c22d 23f6 0042 9d64 115e 9bfd 4a08 0000 2000 0000 0000 0000 1000 0000 0000
             06a2 7c8b 9047 9a4b b8fe 575f 050f 886e 0000 3000 0000 0000 0000 1000 0000 0000",
        );
        let (header, rest) = RegionTableHeader::ref_from_prefix(&bytes).unwrap();
        assert_eq!(header.signature, RegionTableHeader::SIGNATURE);
        assert_eq!(header.checksum, RegionTableHeader::compute_checksum(&bytes));
        let (regions, _) = <[RegionEntry]>::ref_from_prefix_with_elems(rest, 2).unwrap();
        assert_eq!(header.count, 2);
        let regions = [&regions[0], &regions[1]]
            .map(|region| (region.id, region.offset.get() / MIB, region.length.get()));
        assert_eq!(
            regions,
            [
                (RegionEntry::BAT, 2, 1 << 20),
                (RegionEntry::METADATA, 3, 1 << 20)
            ]
        );
    }

    #[test]
    fn a_metadata_table() {
        let bytes: [u8; 192] = padded(
            "6d65 7461 6461 7461 0000 0500 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000
             3767 a1ca 36fa 434d b3b6 33f0 aa44 e76b 0000 0100 0800 0000 0400 0000 0000 0000
             2442 a52f 1bcd 7648 b211 5dbe d83b f4b8 0800 0100 0800 0000 0600 0000 0000 0000
             ab12 cabe e6b2 2345 93ef c309 e000 c746 1000 0100 1000 0000 0600 0000 0000 0000
             1dbf 4181 6fa9 0947 ba47 f233 a8fa ab5f 2000 0100 0400 0000 0600 0000 0000 0000
             c748 a3cd 5d44 7144 9cc9 e988 5251 c556 2400 0100 0400 0000 0600 0000 0000 0000",
        );
        let (header, rest) = MetadataTableHeader::ref_from_prefix(&bytes).unwrap();
        assert_eq!(
            (header.signature, header.count.get()),
            (MetadataTableHeader::SIGNATURE, 5)
        );
        let entries = <[MetadataEntry]>::ref_from_bytes(rest).unwrap();
        let disk = MetadataEntry::REQUIRED | MetadataEntry::VIRTUAL_DISK;
        let expected = [
            (item::FILE_PARAMETERS, 0, 8, MetadataEntry::REQUIRED),
            (item::DISK_SIZE, 8, 8, disk),
            (item::DISK_ID, 16, 16, disk),
            (item::LOGICAL_SECTOR, 32, 4, disk),
            (item::PHYSICAL_SECTOR, 36, 4, disk),
        ];
        for (entry, (id, offset, length, flags)) in entries.iter().zip(expected) {
            assert_eq!((entry.id, entry.flags.get()), (id, flags));
            assert_eq!(
                (entry.offset.get(), entry.length.get()),
                (METADATA_TABLE_SIZE + offset, length)
            );
        }
    }

    #[test]
    fn entries_of_the_bat() {
        let entry = BatEntry(u64::from_le_bytes(padded("0600 0001 0000 0000")));
        assert_eq!(
            (entry.state(), entry.offset()),
            (BatEntry::PRESENT, 16 * MIB)
        );
        let zero = BatEntry(u64::from_le_bytes(padded("0200 0000 0000 0000")));
        assert_eq!((zero.state(), zero.block_offset()), (2, None));
    }
}
