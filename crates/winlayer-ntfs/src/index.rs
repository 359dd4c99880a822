//! Indexes: B-trees of sorted entries, built from the bottom up.
//!
//! Entries are in the leaves and in the nodes above them: a node is filled until the next entry does not fit, and that entry
//! goes up to divide it from the node after it. A small index is in its root, which lies in the file record; of a larger one
//! the root only leads to the topmost block.

use zerocopy::{
    IntoBytes,
    little_endian::{U16, U32, U64},
};

use crate::{
    FileReference,
    format::{
        INDEX_BLOCK, IndexBlockHeader, IndexEntryHeader, IndexNodeHeader, IndexRootHeader, SECTOR,
    },
    protect::protect,
};

/// What an index is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Collation(pub u32);

impl Collation {
    /// Up-cased UTF-16 units, then the units.
    pub(crate) const FILE_NAME: Self = Self(1);
    /// A number.
    pub(crate) const ULONG: Self = Self(0x10);
    /// A security identifier.
    pub(crate) const SID: Self = Self(0x11);
    /// A hash, then a number.
    pub(crate) const SECURITY_HASH: Self = Self(0x12);
    /// Numbers, one after the other.
    pub(crate) const ULONGS: Self = Self(0x13);
}

/// Entries in the order of their index.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Entries {
    /// Forgets the entries and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// An entry of a directory; `key` writes its `$FILE_NAME`.
    pub(crate) fn push_file(&mut self, file: FileReference, key: impl FnOnce(&mut Vec<u8>)) {
        self.push(file.raw(), key, &[]);
    }

    /// An entry of a view. `filler` follows the data and counts neither as key nor as data.
    pub(crate) fn push_view(&mut self, key: &[u8], data: &[u8], filler: &[u8]) {
        let offset = size_of::<IndexEntryHeader>() + key.len();
        let place = offset as u64 | (data.len() as u64) << 16;
        let rest = [data, filler].concat();
        self.push(place, |out| out.extend(key), &rest);
    }

    fn push(&mut self, head: u64, key: impl FnOnce(&mut Vec<u8>), rest: &[u8]) {
        let start = self.bytes.len();
        let body = start + size_of::<IndexEntryHeader>();
        self.bytes.resize(body, 0);
        key(&mut self.bytes);
        let key_length = self.bytes.len() - body;
        self.bytes.extend(rest);
        let end = start + (self.bytes.len() - start).next_multiple_of(8);
        self.bytes.resize(end, 0);
        let header = IndexEntryHeader {
            reference_or_data: U64::new(head),
            length: U16::new((end - start) as u16),
            key_length: U16::new(key_length as u16),
            flags: U16::new(0),
            unused: U16::new(0),
        };
        if let Some(place) = self.bytes.get_mut(start..body) {
            place.copy_from_slice(header.as_bytes());
        }
        self.ends.push(end);
    }

    fn count(&self) -> usize {
        self.ends.len()
    }

    /// The entry as a leaf has it.
    fn get(&self, index: usize) -> &[u8] {
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or_default(),
            None => 0,
        };
        let end = self.ends.get(index).copied().unwrap_or_default();
        self.bytes.get(start..end).unwrap_or_default()
    }
}

/// An index as its attributes hold it.
#[derive(Debug)]
pub(crate) struct Index {
    /// Value of `$INDEX_ROOT`.
    pub root: Vec<u8>,
    /// Value of `$INDEX_ALLOCATION`; empty when all is in the root.
    pub blocks: Vec<u8>,
}

impl Index {
    /// Value of the index's `$BITMAP`: one bit for each block, in whole words of 64.
    pub(crate) fn bitmap(&self) -> Vec<u8> {
        let blocks = self.blocks.len() / INDEX_BLOCK;
        let mut bits = vec![0_u8; blocks.div_ceil(64) * 8];
        for (index, byte) in bits.iter_mut().enumerate() {
            let left = blocks.saturating_sub(index * 8).min(8);
            *byte = ((1_u16 << left) - 1) as u8;
        }
        bits
    }
}

/// Builds an index of `entries`. They stay in the root when that is then no longer than `root_limit` bytes, or there are none.
pub(crate) fn build(
    indexed_type: u32,
    collation: Collation,
    entries: &Entries,
    root_limit: usize,
) -> Index {
    let mut root = IndexRootHeader {
        indexed_type: U32::new(indexed_type),
        collation: U32::new(collation.0),
        block_size: U32::new(INDEX_BLOCK as u32),
        clusters_per_block: 1,
        unused: [0; 3],
    }
    .as_bytes()
    .to_vec();
    let small = size_of::<IndexRootHeader>() + size_of::<IndexNodeHeader>() + LEAF_END;
    let mut blocks = Vec::new();
    if entries.count() == 0 || small + entries.bytes.len() <= root_limit {
        let all: Vec<usize> = (0..entries.count()).collect();
        node(
            &mut root,
            size_of::<IndexNodeHeader>(),
            entries,
            &all,
            &[],
            None,
        );
    } else {
        let top = tree(entries, &mut blocks);
        node(
            &mut root,
            size_of::<IndexNodeHeader>(),
            entries,
            &[],
            &[top],
            None,
        );
    }
    Index { root, blocks }
}

/// Bytes of the entry that ends a leaf, and of one that ends a node with children.
const LEAF_END: usize = size_of::<IndexEntryHeader>();
const INNER_END: usize = LEAF_END + CHILD;
/// What a child adds to an entry.
const CHILD: usize = size_of::<u64>();

/// Appends the blocks of all levels to `blocks`; gives the number of the topmost one.
fn tree(entries: &Entries, blocks: &mut Vec<u8>) -> u64 {
    let mut level: Vec<usize> = (0..entries.count()).collect();
    let mut children = Vec::new();
    loop {
        let (above, nodes) = fill_level(entries, &level, &children, blocks);
        if let [top] = nodes.as_slice() {
            return *top;
        }
        (level, children) = (above, nodes);
    }
}

/// Cuts one level into blocks; gives the entries that go up, and the blocks they divide.
fn fill_level(
    entries: &Entries,
    level: &[usize],
    children: &[u64],
    blocks: &mut Vec<u8>,
) -> (Vec<usize>, Vec<u64>) {
    let (end, child) = match children.is_empty() {
        true => (LEAF_END, 0),
        false => (INNER_END, CHILD),
    };
    let room = INDEX_BLOCK - IndexBlockHeader::ENTRIES - end;
    let (mut above, mut nodes) = (Vec::new(), Vec::new());
    let mut start = 0;
    loop {
        let mut used = 0;
        let rest = level.get(start..).unwrap_or_default();
        let fits = |&&entry: &&usize| {
            used += entries.get(entry).len() + child;
            used <= room
        };
        let mut stop = start + rest.iter().take_while(fits).count();
        // The entry that goes up must leave something for the node after it.
        if stop + 1 == level.len() {
            stop -= 1;
        }
        let taken = level.get(start..stop).unwrap_or_default();
        let below = children.get(start..=stop).unwrap_or_default();
        nodes.push(block(blocks, entries, taken, below));
        match level.get(stop) {
            Some(&entry) => above.push(entry),
            None => return (above, nodes),
        }
        start = stop + 1;
    }
}

/// Appends one block; gives its number.
fn block(blocks: &mut Vec<u8>, entries: &Entries, taken: &[usize], children: &[u64]) -> u64 {
    let start = blocks.len();
    let number = (start / INDEX_BLOCK) as u64;
    let header = IndexBlockHeader {
        signature: IndexBlockHeader::SIGNATURE,
        update_offset: U16::new(IndexBlockHeader::UPDATE_SEQUENCE as u16),
        update_count: U16::new((INDEX_BLOCK / SECTOR + 1) as u16),
        log_sequence: U64::new(0),
        vcn: U64::new(number),
    };
    blocks.extend(header.as_bytes());
    let first_entry = IndexBlockHeader::ENTRIES - size_of::<IndexBlockHeader>();
    let allocated = INDEX_BLOCK - size_of::<IndexBlockHeader>();
    node(
        blocks,
        first_entry,
        entries,
        taken,
        children,
        Some(allocated),
    );
    blocks.resize(start + INDEX_BLOCK, 0);
    if let Some(block) = blocks.get_mut(start..) {
        protect(block, IndexBlockHeader::UPDATE_SEQUENCE);
    }
    number
}

/// Appends a node: its header, the entries at `first_entry` from there, and the entry that ends it. `children` is empty, or
/// has one more than there are entries.
fn node(
    out: &mut Vec<u8>,
    first_entry: usize,
    entries: &Entries,
    taken: &[usize],
    children: &[u64],
    allocated: Option<usize>,
) {
    let start = out.len();
    out.resize(start + first_entry, 0);
    for (at, &entry) in taken.iter().enumerate() {
        push_entry(out, entries.get(entry), children.get(at).copied());
    }
    let last = IndexEntryHeader {
        reference_or_data: U64::new(0),
        length: U16::new(LEAF_END as u16),
        key_length: U16::new(0),
        flags: U16::new(IndexEntryHeader::LAST),
        unused: U16::new(0),
    };
    push_entry(out, last.as_bytes(), children.last().copied());
    let used = out.len() - start;
    let header = IndexNodeHeader {
        first_entry: U32::new(first_entry as u32),
        used: U32::new(used as u32),
        allocated: U32::new(allocated.unwrap_or(used) as u32),
        flags: U32::new(match children.is_empty() {
            true => 0,
            false => IndexNodeHeader::HAS_CHILDREN,
        }),
    };
    if let Some(place) = out.get_mut(start..start + size_of::<IndexNodeHeader>()) {
        place.copy_from_slice(header.as_bytes());
    }
}

/// Appends an entry, with the block of lower keys when there is one.
fn push_entry(out: &mut Vec<u8>, entry: &[u8], child: Option<u64>) {
    let Some(child) = child else {
        out.extend(entry);
        return;
    };
    let (head, rest) = entry
        .split_at_checked(size_of::<IndexEntryHeader>())
        .unwrap_or((entry, &[]));
    let Ok(mut header) = <IndexEntryHeader as zerocopy::FromBytes>::read_from_bytes(head) else {
        return;
    };
    header.length += CHILD as u16;
    header.flags |= IndexEntryHeader::HAS_CHILD;
    out.extend(header.as_bytes());
    out.extend(rest);
    out.extend(child.to_le_bytes());
}
