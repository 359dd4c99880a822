//! Indexes: B-trees of entries in order.

use std::{
    cmp::Ordering,
    collections::HashSet,
    io::{Read, Seek},
};

use zerocopy::FromBytes;

use super::{Volume, extents::Extents, records::FullRecord};
use crate::{
    FileReference, NtfsError, Place, Result,
    attribute::{AttributeType, Content},
    format::{IndexBlockHeader, IndexEntryHeader, IndexNodeHeader, IndexRootHeader},
    protect::unprotect,
};

/// More levels than any index has: ten million entries take five.
const MAX_DEPTH: usize = 32;
/// Largest index block.
const MAX_BLOCK: u32 = 64 << 10;

/// An index, ready to be searched.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub place: Place,
    /// [`IndexRootHeader::collation`].
    pub collation: u32,
    /// Bytes of a block.
    pub block: usize,
    /// Bytes that block numbers count.
    pub vcn_size: u64,
    /// The root's node: header and entries.
    pub root: Vec<u8>,
    pub blocks: Option<Extents>,
}

/// One entry of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Directories: the file.
    pub reference: u64,
    /// Empty in the last entry of a node.
    pub key: &'a [u8],
    /// Views: what belongs to the key.
    pub data: &'a [u8],
    /// The block of lower keys.
    pub child: Option<u64>,
    /// The end of its node.
    pub last: bool,
    /// Bytes of the whole entry.
    pub length: usize,
    pub key_length: u16,
    pub flags: u16,
    pub unused: u16,
}

/// What an entry that was searched for leads to.
#[derive(Debug)]
pub(crate) struct Found {
    /// Directories: the file.
    pub reference: FileReference,
    /// Views: what belongs to the key.
    pub data: Vec<u8>,
}

impl<D: Read + Seek> Volume<D> {
    /// Opens the index `name` of a record.
    pub(crate) fn index(&mut self, record: &FullRecord, name: &str) -> Result<Index> {
        let root = record.need(AttributeType::INDEX_ROOT, name)?;
        let place = root.place(record.number());
        let value = self.value(root, record.number())?;
        let parsed = IndexRootHeader::read_from_prefix(&value);
        let (header, node) = parsed
            .map_err(|_| NtfsError::damaged(place.clone(), "the head of an index", "its end"))?;
        let block = header.block_size.get();
        if !block.is_power_of_two() || !(512..=MAX_BLOCK).contains(&block) {
            let expected = "index blocks of 512 bytes to 64 KiB";
            return Err(NtfsError::damaged(place, expected, block.to_string()));
        }
        let blocks = match record.find(AttributeType::INDEX_ALLOCATION, name) {
            Some(attribute) => match &attribute.content {
                Content::NonResident(value) => {
                    let number = record.number();
                    let extents = Extents::of(&self.geometry, attribute, value, number)?;
                    Some(extents.whole()?)
                }
                Content::Resident { .. } => {
                    let place = attribute.place(record.number());
                    return Err(NtfsError::damaged(
                        place,
                        "it in clusters",
                        "it in the record",
                    ));
                }
            },
            None => None,
        };
        Ok(Index {
            place,
            collation: header.collation.get(),
            block: block as usize,
            vcn_size: self.geometry.index_vcn_size(block as usize),
            root: node.to_vec(),
            blocks,
        })
    }

    /// The node in block `vcn`, its update sequence taken out.
    pub(crate) fn index_block(&mut self, index: &Index, vcn: u64) -> Result<Vec<u8>> {
        let damaged = |expected: &str, found: String| {
            NtfsError::damaged(index.place.clone(), expected, found)
        };
        let offset = vcn.checked_mul(index.vcn_size);
        let offset = offset.filter(|offset| offset.is_multiple_of(index.block as u64));
        let whole = |offset: &u64| {
            let size = index.blocks.as_ref().map_or(0, |blocks| blocks.size);
            offset
                .checked_add(index.block as u64)
                .is_some_and(|end| end <= size)
        };
        let (Some(offset), Some(blocks)) = (offset.filter(whole), &index.blocks) else {
            return Err(damaged("a block of this index", format!("number {vcn}")));
        };
        let mut bytes = vec![0; index.block];
        blocks.read(&mut self.device, offset, &mut bytes)?;
        open_block(&mut bytes, vcn).map_err(|(expected, found)| damaged(expected, found))?;
        bytes.drain(..size_of::<IndexBlockHeader>());
        Ok(bytes)
    }

    /// The entry for which `order` says equal; `order` compares what is sought with an entry's key.
    pub(crate) fn find(
        &mut self,
        index: &Index,
        order: impl Fn(&[u8]) -> Ordering,
    ) -> Result<Option<Found>> {
        let mut node = index.root.clone();
        for _ in 0..MAX_DEPTH {
            let entries = entries(&node).map_err(|found| index.bad_node(found))?;
            let found = entries.iter().find_map(|entry| match entry.last {
                true => Some((entry, Ordering::Less)),
                false => Some((entry, order(entry.key))).filter(|(_, order)| order.is_le()),
            });
            let next = match found {
                Some((entry, Ordering::Equal)) => {
                    return Ok(Some(Found {
                        reference: FileReference::from_raw(entry.reference),
                        data: entry.data.to_vec(),
                    }));
                }
                Some((entry, _)) => entry.child,
                None => None,
            };
            match next {
                Some(vcn) => node = self.index_block(index, vcn)?,
                None => return Ok(None),
            }
        }
        Err(index.bad_node(format!("more than {MAX_DEPTH} levels")))
    }

    /// Hands every entry that has a key to `visit`, in order.
    pub(crate) fn walk(
        &mut self,
        index: &Index,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        self.walk_node(index, &index.root, 0, &mut HashSet::new(), visit)
    }

    fn walk_node(
        &mut self,
        index: &Index,
        node: &[u8],
        depth: usize,
        seen: &mut HashSet<u64>,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(index.bad_node(format!("more than {MAX_DEPTH} levels")));
        }
        for entry in entries(node).map_err(|found| index.bad_node(found))? {
            if let Some(vcn) = entry.child {
                if !seen.insert(vcn) {
                    return Err(index.bad_node(format!("two ways to block {vcn}")));
                }
                let child = self.index_block(index, vcn)?;
                self.walk_node(index, &child, depth + 1, seen, visit)?;
            }
            if !entry.last {
                visit(&entry)?;
            }
        }
        Ok(())
    }
}

impl Index {
    pub(crate) fn bad_node(&self, found: String) -> NtfsError {
        NtfsError::damaged(self.place.clone(), "a sound B-tree", found)
    }
}

/// Checks the head of a block and takes its update sequence out.
pub(crate) fn open_block(bytes: &mut [u8], vcn: u64) -> Result<(), (&'static str, String)> {
    let Ok((header, _)) = IndexBlockHeader::read_from_prefix(bytes) else {
        return Err(("an index block", format!("{} bytes", bytes.len())));
    };
    if header.signature != IndexBlockHeader::SIGNATURE {
        let found = format!("\"{}\" in block {vcn}", header.signature.escape_ascii());
        return Err(("the signature INDX", found));
    }
    unprotect(bytes, header.update_offset.get(), header.update_count.get())
        .map_err(|found| ("an update sequence that all sectors end with", found))?;
    match header.vcn.get() {
        number if number == vcn => Ok(()),
        number => Err((
            "its own number in a block",
            format!("{number} in block {vcn}"),
        )),
    }
}

/// The entries of a node, the last one included; the error is what was found.
pub(crate) fn entries(node: &[u8]) -> Result<Vec<Entry<'_>>, String> {
    let (header, _) = IndexNodeHeader::read_from_prefix(node).map_err(|_| "no node".to_owned())?;
    let (first, used) = (
        header.first_entry.get() as usize,
        header.used.get() as usize,
    );
    let outside = || format!("entries from {first} to {used} of {} bytes", node.len());
    let mut rest = node.get(first..used).ok_or_else(outside)?;
    if first < size_of::<IndexNodeHeader>() || !first.is_multiple_of(8) {
        return Err(outside());
    }
    let mut entries = Vec::new();
    loop {
        let (entry, after) = entry(rest).ok_or_else(|| {
            let at = used - rest.len();
            format!("no whole entry at byte {at} of a node that uses {used}")
        })?;
        entries.push(entry);
        if entry.last {
            return Ok(entries);
        }
        rest = after;
    }
}

fn entry(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (header, _) = IndexEntryHeader::read_from_prefix(bytes).ok()?;
    let length = usize::from(header.length.get());
    if length < size_of::<IndexEntryHeader>() || !length.is_multiple_of(8) {
        return None;
    }
    let (whole, after) = bytes.split_at_checked(length)?;
    let flags = header.flags.get();
    let (body, child) = match flags & IndexEntryHeader::HAS_CHILD {
        0 => (whole, None),
        _ => {
            let (body, child) = whole.split_last_chunk::<8>()?;
            (body, Some(u64::from_le_bytes(*child)))
        }
    };
    let key = body.get(size_of::<IndexEntryHeader>()..)?;
    let last = flags & IndexEntryHeader::LAST != 0;
    let key = match last {
        true => &[],
        false => key.get(..usize::from(header.key_length.get()))?,
    };
    let reference = header.reference_or_data.get();
    // In views these are the place and the length of the data; in directories whatever they give is not looked at.
    let (start, size) = (reference as u16, (reference >> 16) as u16);
    let data = body.get(usize::from(start)..usize::from(start) + usize::from(size));
    let entry = Entry {
        reference,
        key,
        data: data.unwrap_or_default(),
        child,
        last,
        length,
        key_length: header.key_length.get(),
        flags,
        unused: header.unused.get(),
    };
    Some((entry, after))
}
