//! On-disk structures of a hive, versions 1.3 to 1.6.
//!
//! All numbers are little-endian. Offsets count from the end of the base block; [`NIL`] is none.
//! Source: "Windows registry file format specification" (M. Suhanov), chapter numbers below.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// No cell.
pub(crate) const NIL: u32 = u32::MAX;
/// Size of the base block, and the unit bins grow by.
pub(crate) const PAGE: usize = 4096;
/// Data longer than this is cut into segments of this size ("Big data").
pub(crate) const SEGMENT: usize = 16344;
/// Deepest level of a key the kernel accepts, the root being 1.
pub(crate) const MAX_DEPTH: u16 = 512;
/// Keys in one `lh` list, so that list, cell and bin header fill one page.
pub(crate) const LIST_KEYS: usize =
    (PAGE - size_of::<BinHeader>() - 4 - size_of::<ListHeader>()) / size_of::<HashedKey>();

/// First 4096 bytes of the file ("Base block").
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct BaseBlock {
    /// 0: `regf`.
    pub signature: [u8; 4],
    /// 4: incremented before a write.
    pub primary_sequence: U32,
    /// 8: equal to the primary one when the hive is clean.
    pub secondary_sequence: U32,
    /// 12: FILETIME.
    pub last_written: U64,
    /// 20: 1.
    pub major: U32,
    /// 24: 3 to 6; 5 is written; big data needs at least 4.
    pub minor: U32,
    /// 28: 0, a primary file.
    pub file_type: U32,
    /// 32: 1, direct memory load.
    pub format: U32,
    /// 36: offset of the root key's cell.
    pub root_cell: U32,
    /// 40: length of all bins, a multiple of 4096.
    pub bins_size: U32,
    /// 44: 1, logical sector size over 512.
    pub clustering: U32,
    /// 48: tail of the file name, UTF-16LE, NUL-padded.
    pub file_name: [u8; 64],
    /// 112: resource manager GUID; zero without transactions.
    pub rm_id: [u8; 16],
    /// 128: log GUID; zero without transactions.
    pub log_id: [u8; 16],
    /// 144: [`BaseBlock::LAYERED`] or 0.
    pub flags: U32,
    /// 148: transaction manager GUID; zero without transactions.
    pub tm_id: [u8; 16],
    /// 164: `rmtm` when the GUIDs above count, else 0.
    pub guid_signature: U32,
    /// 168: FILETIME of the last reorganisation, 0 for never.
    pub last_reorganized: U64,
    /// 176: unused here.
    pub reserved: [u8; 332],
    /// 508: XOR of the 127 words before; never 0 or 0xFFFFFFFF.
    pub checksum: U32,
    /// 512: unused here.
    pub reserved_tail: [u8; 3584],
}
const _: () = assert!(size_of::<BaseBlock>() == PAGE);

impl BaseBlock {
    pub(crate) const SIGNATURE: [u8; 4] = *b"regf";
    /// File type of a log of [`LogEntry`]s; logs of sectors have 1 or 2.
    pub(crate) const LOG_OF_ENTRIES: u32 = 6;
    /// Flag: keys and values carry layer semantics (Windows 10 1607 and later).
    pub(crate) const LAYERED: u32 = 2;

    /// The checksum of this block as it stands.
    pub(crate) fn compute_checksum(&self) -> u32 {
        let (words, _) = self.as_bytes().as_chunks::<4>();
        let sum = words
            .iter()
            .take(127)
            .fold(0, |sum, word| sum ^ u32::from_le_bytes(*word));
        match sum {
            0 => 1,
            u32::MAX => u32::MAX - 1,
            sum => sum,
        }
    }
}

/// Start of a bin ("Hive bin").
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct BinHeader {
    /// 0: `hbin`.
    pub signature: [u8; 4],
    /// 4: the bin's own offset.
    pub offset: U32,
    /// 8: its length, a multiple of 4096.
    pub size: U32,
    /// 12: zero.
    pub reserved: [u8; 8],
    /// 20: FILETIME in the first bin, else 0.
    pub last_written: U64,
    /// 28: zero.
    pub spare: U32,
}
const _: () = assert!(size_of::<BinHeader>() == 32);

impl BinHeader {
    pub(crate) const SIGNATURE: [u8; 4] = *b"hbin";
}

/// A key ("Key node"); the name follows.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct KeyNode {
    /// 0: `nk`.
    pub signature: [u8; 2],
    /// 2: [`KeyNode::ROOT`] and others.
    pub flags: U16,
    /// 4: FILETIME.
    pub last_written: U64,
    /// 12: when the key was accessed; 2 is "after start-up".
    pub access: u8,
    /// 13: layer semantics, see [`crate::KeyLayer`].
    pub layer: u8,
    /// 14: zero.
    pub spare: U16,
    /// 16: parent's cell; meaningless for the root.
    pub parent: U32,
    /// 20: number of subkeys.
    pub subkeys: U32,
    /// 24: zero on disk.
    pub volatile_subkeys: U32,
    /// 28: an `lh` or `ri` cell.
    pub subkey_list: U32,
    /// 32: [`NIL`] on disk.
    pub volatile_list: U32,
    /// 36: number of values.
    pub values: U32,
    /// 40: a cell of value offsets.
    pub value_list: U32,
    /// 44: an `sk` cell.
    pub security: U32,
    /// 48: a cell with the class name, UTF-16LE.
    pub class: U32,
    /// 52: longest subkey name in bytes as UTF-16.
    pub max_subkey_name: U16,
    /// 54: virtualisation and user flags, debug byte.
    pub user_flags: U16,
    /// 56: longest class name of the subkeys in bytes.
    pub max_subkey_class: U32,
    /// 60: longest value name in bytes as UTF-16.
    pub max_value_name: U32,
    /// 64: longest value data in bytes.
    pub max_value_data: U32,
    /// 68: zero.
    pub work: U32,
    /// 72: name length in bytes as stored.
    pub name_length: U16,
    /// 74: class length in bytes.
    pub class_length: U16,
}
const _: () = assert!(size_of::<KeyNode>() == 76);

impl KeyNode {
    pub(crate) const SIGNATURE: [u8; 2] = *b"nk";
    /// Flag: the hive's root.
    pub(crate) const ROOT: u16 = 4;
    /// Flag: cannot be deleted.
    pub(crate) const NO_DELETE: u16 = 8;
    /// Flag: a symbolic link to another key.
    pub(crate) const LINK: u16 = 0x10;
    /// Flag: the name is stored as Latin-1.
    pub(crate) const LATIN1_NAME: u16 = 0x20;
    /// Flags that belong to the key, whichever hive it is in: no deletion, link, virtualisation.
    pub(crate) const LASTING: u16 = Self::NO_DELETE | Self::LINK | 0x380;
    /// Access: used after start-up; what offline tools write.
    pub(crate) const ACCESSED: u8 = 2;
}

/// A value ("Key value"); the name follows.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct KeyValue {
    /// 0: `vk`.
    pub signature: [u8; 2],
    /// 2: name length in bytes as stored; 0 for the default value.
    pub name_length: U16,
    /// 4: data length; [`KeyValue::INLINE`] when the next field is the data.
    pub data_length: U32,
    /// 8: cell of the data or of a `db` record, or up to four bytes of data.
    pub data: [u8; 4],
    /// 12: `REG_*`.
    pub data_type: U32,
    /// 16: [`KeyValue::LATIN1_NAME`], [`KeyValue::TOMBSTONE`].
    pub flags: U16,
    /// 18: zero.
    pub spare: U16,
}
const _: () = assert!(size_of::<KeyValue>() == 20);

impl KeyValue {
    pub(crate) const SIGNATURE: [u8; 2] = *b"vk";
    /// In the length: the data is in the offset field.
    pub(crate) const INLINE: u32 = 1 << 31;
    /// Flag: the name is stored as Latin-1.
    pub(crate) const LATIN1_NAME: u16 = 1;
    /// Flag, deltas only: the value below is gone.
    pub(crate) const TOMBSTONE: u16 = 2;
}

/// A security descriptor shared by keys ("Key security"); the descriptor follows.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct KeySecurity {
    /// 0: `sk`.
    pub signature: [u8; 2],
    /// 2: zero.
    pub spare: U16,
    /// 4: next `sk` cell of the ring of all of them.
    pub next: U32,
    /// 8: previous one.
    pub previous: U32,
    /// 12: number of keys that use it.
    pub references: U32,
    /// 16: length of the descriptor.
    pub length: U32,
}
const _: () = assert!(size_of::<KeySecurity>() == 20);

impl KeySecurity {
    pub(crate) const SIGNATURE: [u8; 2] = *b"sk";
}

/// Start of `lh`, `lf`, `li` and `ri` ("Subkeys list").
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ListHeader {
    /// 0: `lh`: [`HashedKey`]s follow; `ri`: offsets of `lh` cells follow.
    pub signature: [u8; 2],
    /// 2: number of elements.
    pub count: U16,
}
const _: () = assert!(size_of::<ListHeader>() == 4);

impl ListHeader {
    pub(crate) const HASHED: [u8; 2] = *b"lh";
    /// As hashed, but the first four bytes of the name instead of the hash.
    pub(crate) const HINTED: [u8; 2] = *b"lf";
    /// Offsets of keys follow.
    pub(crate) const PLAIN: [u8; 2] = *b"li";
    pub(crate) const INDEX: [u8; 2] = *b"ri";
}

/// Element of an `lh` or `lf` list.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct HashedKey {
    /// 0: the key's cell.
    pub key: U32,
    /// 4: `lh`: `h = 37 h + upper-cased unit` over its name; `lf`: the name's first four bytes.
    pub hash: U32,
}
const _: () = assert!(size_of::<HashedKey>() == 8);

/// Data in segments ("Big data").
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct BigData {
    /// 0: `db`.
    pub signature: [u8; 2],
    /// 2: number of segments, at least 2.
    pub segments: U16,
    /// 4: cell of segment offsets.
    pub list: U32,
}
const _: () = assert!(size_of::<BigData>() == 8);

impl BigData {
    pub(crate) const SIGNATURE: [u8; 2] = *b"db";
}

/// Start of the list of sectors in an old log ("Dirty vector"); a bitmap follows, then the sectors.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct DirtyVector {
    /// 0: `DIRT`.
    pub signature: [u8; 4],
}
const _: () = assert!(size_of::<DirtyVector>() == 4);

impl DirtyVector {
    pub(crate) const SIGNATURE: [u8; 4] = *b"DIRT";
}

/// Start of an entry of a new log ("Log entries"); [`DirtyPage`]s follow, then their pages.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct LogEntry {
    /// 0: `HvLE`.
    pub signature: [u8; 4],
    /// 4: length of the entry, a multiple of 512.
    pub size: U32,
    /// 8: flags of the header at that time.
    pub flags: U32,
    /// 12: number of the entry; the header's sequence numbers once it is applied.
    pub sequence: U32,
    /// 16: length of all bins at that time.
    pub bins_size: U32,
    /// 20: number of pages.
    pub dirty_pages: U32,
    /// 24: Marvin32 of everything after offset 40.
    pub content_hash: U64,
    /// 32: Marvin32 of the first 32 bytes.
    pub header_hash: U64,
}
const _: () = assert!(size_of::<LogEntry>() == 40);

impl LogEntry {
    pub(crate) const SIGNATURE: [u8; 4] = *b"HvLE";
}

/// Where a page of a log entry belongs.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct DirtyPage {
    /// 0: offset from the end of the base block.
    pub offset: U32,
    /// 4: length.
    pub size: U32,
}
const _: () = assert!(size_of::<DirtyPage>() == 8);
