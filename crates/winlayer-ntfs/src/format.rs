//! On-disk structures of NTFS 3.1, nothing else.
//!
//! All numbers are little-endian. Sources: the linux-ntfs layout documentation, libyal "New Technologies File System", and
//! volumes of mkntfs 2022.10.3, from which the byte vectors of the tests come.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{I64, U16, U32, U64},
};

/// Bytes of a logical sector, and the stride of update sequences whatever the sector is.
pub(crate) const SECTOR: usize = 512;
/// Bytes of a cluster of the volumes that are written.
pub(crate) const CLUSTER: u64 = 4096;
/// Bytes of a file record of the volumes that are written.
pub(crate) const RECORD: usize = 1024;
/// Bytes of an index block of the volumes that are written.
pub(crate) const INDEX_BLOCK: usize = 4096;
/// Records that `$MFTMirr` repeats.
pub(crate) const MIRRORED_RECORDS: u64 = 4;
/// Longest file, stream or attribute name, in UTF-16 units.
pub(crate) const MAX_NAME: usize = 255;

/// The file records every volume has (`$MFT` is record 0).
pub(crate) mod system {
    pub(crate) const MFT: u32 = 0;
    pub(crate) const MFT_MIRROR: u32 = 1;
    pub(crate) const LOG_FILE: u32 = 2;
    pub(crate) const VOLUME: u32 = 3;
    pub(crate) const ATTR_DEF: u32 = 4;
    pub(crate) const ROOT: u32 = 5;
    pub(crate) const BITMAP: u32 = 6;
    pub(crate) const BOOT: u32 = 7;
    pub(crate) const BAD_CLUSTERS: u32 = 8;
    pub(crate) const SECURE: u32 = 9;
    pub(crate) const UPCASE: u32 = 10;
    pub(crate) const EXTEND: u32 = 11;
    /// 12 to 15 are in use and empty, 16 to 23 are unused.
    pub(crate) const FIRST_RESERVED: u32 = 12;
    pub(crate) const FIRST_UNUSED: u32 = 16;
    pub(crate) const QUOTA: u32 = 24;
    pub(crate) const OBJECT_IDS: u32 = 25;
    pub(crate) const REPARSE: u32 = 26;
    /// Where user files may begin; mkntfs starts here too.
    pub(crate) const FIRST_USER: u32 = 64;
}

/// First sector of the volume (`$Boot`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct BootSector {
    /// 0: EB 52 90.
    pub jump: [u8; 3],
    /// 3: `NTFS    `.
    pub oem_id: [u8; 8],
    /// 11.
    pub bytes_per_sector: U16,
    /// 13: a power of two; 0xF4 and above mean 2^(256-value), for clusters over 64 KiB.
    pub sectors_per_cluster: u8,
    /// 14: 0.
    pub unused_1: [u8; 7],
    /// 21: F8, a hard disk.
    pub media: u8,
    /// 22: 0.
    pub unused_2: U16,
    /// 24: 63.
    pub sectors_per_track: U16,
    /// 26: 255.
    pub heads: U16,
    /// 28: sectors before the partition.
    pub hidden_sectors: U32,
    /// 32: 0.
    pub unused_3: U32,
    /// 36: 80 00 80 00.
    pub signature: [u8; 4],
    /// 40: of the volume, the last one (with the copy of this sector) left out.
    pub total_sectors: U64,
    /// 48: cluster of `$MFT`.
    pub mft_cluster: U64,
    /// 56: cluster of `$MFTMirr`.
    pub mirror_cluster: U64,
    /// 64: positive: clusters; negative: 2^-value bytes.
    pub clusters_per_record: i8,
    /// 65: 0.
    pub unused_4: [u8; 3],
    /// 68: as for records.
    pub clusters_per_index_block: i8,
    /// 69: 0.
    pub unused_5: [u8; 3],
    /// 72.
    pub serial: U64,
    /// 80: 0.
    pub checksum: U32,
    /// 84: boot code.
    pub code: [u8; 426],
    /// 510: 55 AA.
    pub end: [u8; 2],
}
const _: () = assert!(size_of::<BootSector>() == SECTOR);

impl BootSector {
    pub(crate) const JUMP: [u8; 3] = [0xeb, 0x52, 0x90];
    pub(crate) const OEM_ID: [u8; 8] = *b"NTFS    ";
    pub(crate) const SIGNATURE: [u8; 4] = [0x80, 0, 0x80, 0];
    pub(crate) const END: [u8; 2] = [0x55, 0xaa];
    /// Length of `$Boot`.
    pub(crate) const FILE_SIZE: u64 = 8192;
}

/// Head of a file record.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RecordHeader {
    /// 0: `FILE`; `BAAD` after a failed multi-sector transfer.
    pub signature: [u8; 4],
    /// 4: offset of the update sequence, [`RecordHeader::UPDATE_SEQUENCE`].
    pub update_offset: U16,
    /// 6: words in it: one, and one a sector.
    pub update_count: U16,
    /// 8: of the last change in `$LogFile`; 0 when there is none.
    pub log_sequence: U64,
    /// 16: how often the record has been reused; never 0 when in use.
    pub sequence: U16,
    /// 18: `$FILE_NAME` attributes, short names included.
    pub link_count: U16,
    /// 20: offset of the first attribute, a multiple of 8.
    pub first_attribute: U16,
    /// 22: [`RecordFlags`](crate::record::RecordFlags).
    pub flags: U16,
    /// 24: bytes up to the end marker and its padding, a multiple of 8.
    pub used: U32,
    /// 28: size of the record.
    pub allocated: U32,
    /// 32: the record this one continues; 0 for a base record.
    pub base: U64,
    /// 40: one more than the greatest attribute id.
    pub next_attribute_id: U16,
    /// 42: 0.
    pub unused: U16,
    /// 44: number of this record, low 32 bits.
    pub number: U32,
}
const _: () = assert!(size_of::<RecordHeader>() == 48);

impl RecordHeader {
    pub(crate) const SIGNATURE: [u8; 4] = *b"FILE";
    pub(crate) const UPDATE_SEQUENCE: usize = size_of::<Self>();
    /// Where attributes begin in the records that are written.
    pub(crate) const ATTRIBUTES: usize = 56;
}

/// Ends the attributes of a record, and fills 8 bytes with zeros behind it.
pub(crate) const END_OF_ATTRIBUTES: u32 = 0xffff_ffff;

/// What every attribute begins with.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct AttributeHeader {
    /// 0: [`AttributeType`](crate::AttributeType).
    pub kind: U32,
    /// 4: of the whole attribute, a multiple of 8.
    pub length: U32,
    /// 8: 0 resident, 1 not.
    pub non_resident: u8,
    /// 9: UTF-16 units.
    pub name_length: u8,
    /// 10: from the start of the attribute.
    pub name_offset: U16,
    /// 12: 0x0001 compressed, 0x4000 encrypted, 0x8000 sparse.
    pub flags: U16,
    /// 14: unique in the record.
    pub id: U16,
}
const _: () = assert!(size_of::<AttributeHeader>() == 16);

/// Follows [`AttributeHeader`] when the value is in the record.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ResidentHeader {
    /// 16: bytes.
    pub value_length: U32,
    /// 20: from the start of the attribute, a multiple of 8.
    pub value_offset: U16,
    /// 22: 1 when the value is a key of an index (`$FILE_NAME`).
    pub indexed: u8,
    /// 23: 0.
    pub unused: u8,
}
const _: () = assert!(size_of::<ResidentHeader>() == 8);

/// Follows [`AttributeHeader`] when the value is in clusters. Compressed and sparse attributes have eight bytes more, the
/// bytes of the clusters that are really there.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct NonResidentHeader {
    /// 16: first cluster of the value that these runs hold.
    pub lowest_vcn: U64,
    /// 24: last one; -1 when there are none.
    pub highest_vcn: U64,
    /// 32: offset of the runs from the start of the attribute, a multiple of 8.
    pub runs_offset: U16,
    /// 34: log2 of the clusters that are compressed or left out together; 0 for ordinary values.
    pub compression_unit: U16,
    /// 36: 0.
    pub unused: U32,
    /// 40: bytes of all clusters, holes included; this and the next two only where `lowest_vcn` is 0.
    pub allocated: U64,
    /// 48: bytes of the value.
    pub size: U64,
    /// 56: bytes that have been written; the rest reads as zeros.
    pub initialized: U64,
}
const _: () = assert!(size_of::<NonResidentHeader>() == 48);

/// `$STANDARD_INFORMATION` of NTFS 3.0 and later (before: the first 48 bytes).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct StandardInformation {
    /// 0: FILETIME.
    pub created: I64,
    /// 8: content changed.
    pub written: I64,
    /// 16: record changed.
    pub changed: I64,
    /// 24.
    pub accessed: I64,
    /// 32: `FILE_ATTRIBUTE_*`, without the bit for directories.
    pub attributes: U32,
    /// 36: 0.
    pub max_versions: U32,
    /// 40: 0.
    pub version: U32,
    /// 44: 0.
    pub class_id: U32,
    /// 48: for quotas; 0.
    pub owner_id: U32,
    /// 52: names a descriptor of `$Secure`.
    pub security_id: U32,
    /// 56: 0.
    pub quota_charged: U64,
    /// 64: 0 without a journal.
    pub usn: U64,
}
const _: () = assert!(size_of::<StandardInformation>() == 72);

/// `$FILE_NAME`, before the name itself; also the key of entries in directories.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FileNameHeader {
    /// 0: the directory.
    pub parent: U64,
    /// 8: as in [`StandardInformation`], which these four copy.
    pub created: I64,
    /// 16.
    pub written: I64,
    /// 24.
    pub changed: I64,
    /// 32.
    pub accessed: I64,
    /// 40: bytes of the unnamed stream's clusters.
    pub allocated: U64,
    /// 48: bytes of the unnamed stream.
    pub size: U64,
    /// 56: as in [`StandardInformation`], and [`FileNameHeader::DIRECTORY`].
    pub attributes: U32,
    /// 60: reparse tag, or packed length of the extended attributes, or 0.
    pub tag_or_ea_size: U32,
    /// 64: UTF-16 units of the name.
    pub name_length: u8,
    /// 65: [`Namespace`](crate::Namespace).
    pub namespace: u8,
}
const _: () = assert!(size_of::<FileNameHeader>() == 66);

impl FileNameHeader {
    /// Attribute bit of directories, here only.
    pub(crate) const DIRECTORY: u32 = 0x1000_0000;
    /// Attribute bit of records with a view index, here only.
    pub(crate) const VIEW: u32 = 0x2000_0000;
}

/// One entry of `$ATTRIBUTE_LIST`, before the attribute's name.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ListEntryHeader {
    /// 0.
    pub kind: U32,
    /// 4: of this entry, a multiple of 8.
    pub length: U16,
    /// 6: UTF-16 units.
    pub name_length: u8,
    /// 7: 26.
    pub name_offset: u8,
    /// 8: as in the attribute.
    pub lowest_vcn: U64,
    /// 16: the record that has it.
    pub reference: U64,
    /// 24: its id there.
    pub id: U16,
}
const _: () = assert!(size_of::<ListEntryHeader>() == 26);

/// `$INDEX_ROOT`, before its [`IndexNodeHeader`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct IndexRootHeader {
    /// 0: 0x30 for directories, 0 for views.
    pub indexed_type: U32,
    /// 4: [`Collation`](crate::index::Collation).
    pub collation: U32,
    /// 8: bytes of an index block.
    pub block_size: U32,
    /// 12: clusters of one, or 512-byte sectors when a cluster is larger.
    pub clusters_per_block: u8,
    /// 13: 0.
    pub unused: [u8; 3],
}
const _: () = assert!(size_of::<IndexRootHeader>() == 16);

/// Head of the entries in an index root or block. Offsets count from this header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct IndexNodeHeader {
    /// 0: of the first entry.
    pub first_entry: U32,
    /// 4: end of the last entry.
    pub used: U32,
    /// 8: end of the node.
    pub allocated: U32,
    /// 12: 1 when entries have children.
    pub flags: U32,
}
const _: () = assert!(size_of::<IndexNodeHeader>() == 16);

impl IndexNodeHeader {
    pub(crate) const HAS_CHILDREN: u32 = 1;
}

/// Head of an index block, before its [`IndexNodeHeader`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct IndexBlockHeader {
    /// 0: `INDX`.
    pub signature: [u8; 4],
    /// 4: offset of the update sequence.
    pub update_offset: U16,
    /// 6: words in it.
    pub update_count: U16,
    /// 8: 0 without a log.
    pub log_sequence: U64,
    /// 16: of this block in its `$INDEX_ALLOCATION`, in clusters (in 512-byte sectors when a cluster is larger).
    pub vcn: U64,
}
const _: () = assert!(size_of::<IndexBlockHeader>() == 24);

impl IndexBlockHeader {
    pub(crate) const SIGNATURE: [u8; 4] = *b"INDX";
    /// Where the update sequence is in the blocks that are written.
    pub(crate) const UPDATE_SEQUENCE: usize = size_of::<Self>() + size_of::<IndexNodeHeader>();
    /// Where entries begin in a block of 4096 bytes: nine words of update sequence, then a multiple of 8.
    pub(crate) const ENTRIES: usize = 64;
}

/// Head of an index entry; its key follows, then with [`IndexEntryHeader::HAS_CHILD`] in the last eight bytes the block of
/// lower keys.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct IndexEntryHeader {
    /// 0: directories: the file. Views: u16 offset of the data, u16 length of the data, 4 unused bytes.
    pub reference_or_data: U64,
    /// 8: of the entry, a multiple of 8.
    pub length: U16,
    /// 10: of the key.
    pub key_length: U16,
    /// 12.
    pub flags: U16,
    /// 14: 0.
    pub unused: U16,
}
const _: () = assert!(size_of::<IndexEntryHeader>() == 16);

impl IndexEntryHeader {
    pub(crate) const HAS_CHILD: u16 = 1;
    /// The end of a node; has no key.
    pub(crate) const LAST: u16 = 2;
}

/// Head of a descriptor in `$Secure:$SDS`; the data of an entry of `$SII` and `$SDH`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(crate) struct SecurityHeader {
    /// 0: over the descriptor: for each word, rotate left by 3 and add.
    pub hash: U32,
    /// 4: from 0x100.
    pub id: U32,
    /// 8: of this header in the stream.
    pub offset: U64,
    /// 16: of header and descriptor.
    pub length: U32,
}
const _: () = assert!(size_of::<SecurityHeader>() == 20);

impl SecurityHeader {
    /// First id; lower ones are reserved.
    pub(crate) const FIRST_ID: u32 = 0x100;
    /// Entries of `$SDS` begin at multiples of this.
    pub(crate) const ALIGNMENT: u64 = 16;
    /// `$SDS` is in blocks of this size, each followed by its copy.
    pub(crate) const BLOCK: u64 = 0x4_0000;
}

/// Key of `$SDH`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SecurityHashKey {
    /// 0.
    pub hash: U32,
    /// 4.
    pub id: U32,
}
const _: () = assert!(size_of::<SecurityHashKey>() == 8);

/// Key of `$Reparse:$R`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ReparseKey {
    /// 0.
    pub tag: U32,
    /// 4: the file.
    pub reference: U64,
}
const _: () = assert!(size_of::<ReparseKey>() == 12);

/// `$VOLUME_INFORMATION`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct VolumeInformation {
    /// 0: 0.
    pub unused: U64,
    /// 8: 3.
    pub major: u8,
    /// 9: 1.
    pub minor: u8,
    /// 10: 1 is dirty.
    pub flags: U16,
}
const _: () = assert!(size_of::<VolumeInformation>() == 12);

impl VolumeInformation {
    pub(crate) const DIRTY: u16 = 1;
}

/// `$EA_INFORMATION`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(crate) struct EaInformation {
    /// 0: sum over the entries of 5 + name + value.
    pub packed_length: U16,
    /// 2: entries with `FILE_NEED_EA`.
    pub need_ea_count: U16,
    /// 4: bytes of `$EA`.
    pub length: U32,
}
const _: () = assert!(size_of::<EaInformation>() == 8);

/// One entry of `$AttrDef`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct AttributeDefinition {
    /// 0: UTF-16LE, NUL-padded.
    pub name: [u8; 128],
    /// 128.
    pub kind: U32,
    /// 132: 0.
    pub display_rule: U32,
    /// 136: 1 for the attribute that directories index.
    pub collation: U32,
    /// 140: 2 can be indexed, 0x40 is always resident, 0x80 may be non-resident.
    pub flags: U32,
    /// 144.
    pub min_size: U64,
    /// 152: -1 for no limit.
    pub max_size: U64,
}
const _: () = assert!(size_of::<AttributeDefinition>() == 160);
