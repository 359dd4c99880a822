//! Indexes as trees.

use std::{
    cmp::Ordering,
    io::{Read, Seek},
    sync::Arc,
};

use zerocopy::FromBytes;

use super::{Verifier, collate, finding::Sink, rule::Rule};
use crate::{
    Place, Result,
    attribute::AttributeType,
    format::{IndexBlockHeader, IndexNodeHeader, IndexRootHeader},
    protect::unprotect,
    read::{
        index::{Entry, Index, entries},
        records::FullRecord,
    },
};

const MAX_DEPTH: usize = 32;

/// What an index of a name is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub name: &'static str,
    pub indexed: u32,
    pub collation: u32,
}

/// A walk through a tree.
struct Walk<'a> {
    index: Index,
    upcase: Arc<[u16]>,
    /// The key before, across the whole tree.
    previous: Option<Vec<u8>>,
    /// How deep the first leaf was.
    leaves: Option<usize>,
    /// Blocks met, one bit each.
    blocks: Vec<u64>,
    visit: &'a mut dyn FnMut(&mut Sink<'_>, &Entry<'_>),
}

impl<D: Read + Seek> Verifier<'_, D> {
    /// Checks an index, and hands its entries to `visit` in their order.
    pub(crate) fn check_index(
        &mut self,
        full: &FullRecord,
        kind: Kind,
        visit: &mut dyn FnMut(&mut Sink<'_>, &Entry<'_>),
    ) -> Result<()> {
        let index = self.volume.index(full, kind.name);
        let Some(index) = self.sink.check(Rule::IndexRoot, index)? else {
            return Ok(());
        };
        self.check_root(full, kind, &index)?;
        let blocks = index.blocks.as_ref().map_or(0, |blocks| blocks.size) / index.block as u64;
        let mut walk = Walk {
            upcase: Arc::clone(&self.volume.upcase),
            previous: None,
            leaves: None,
            blocks: vec![0; blocks.div_ceil(64) as usize],
            index,
            visit,
        };
        let root = walk.index.root.clone();
        self.check_node(&mut walk, &root, None, 0)?;
        self.check_index_bitmap(full, kind, &walk, blocks)
    }

    fn check_root(&mut self, full: &FullRecord, kind: Kind, index: &Index) -> Result<()> {
        let root = full.need(AttributeType::INDEX_ROOT, kind.name);
        let root = root.ok().and_then(|root| root.value());
        let header = root.and_then(|root| IndexRootHeader::read_from_prefix(root).ok());
        let Some((header, _)) = header else {
            return Ok(());
        };
        let place = || index.place.clone();
        let sink = &mut self.sink;
        let geometry = &self.volume.geometry;
        let per_block = (index.block as u64 / index.vcn_size) as u8;
        for (what, expected, found) in [
            ("type", kind.indexed, header.indexed_type.get()),
            ("collation", kind.collation, header.collation.get()),
            (
                "blocks of",
                geometry.index_block as u32,
                header.block_size.get(),
            ),
            (
                "units a block",
                per_block.into(),
                header.clusters_per_block.into(),
            ),
        ] {
            sink.expect(place, Rule::IndexRoot, what, expected, found);
        }
        if header.unused != [0; 3] {
            sink.report(
                place(),
                Rule::Reserved,
                "zeros at 13",
                format!("{:?}", header.unused),
            );
        }
        Ok(())
    }

    fn check_node(
        &mut self,
        walk: &mut Walk<'_>,
        node: &[u8],
        block: Option<u64>,
        depth: usize,
    ) -> Result<()> {
        let which = match block {
            None => "the root".to_owned(),
            Some(vcn) => format!("block {vcn}"),
        };
        let place = walk.index.place.clone();
        let found = match entries(node) {
            Ok(entries) => entries,
            Err(found) => {
                let expected = format!("well-formed entries in {which}");
                self.sink.report(place, Rule::IndexNode, expected, found);
                return Ok(());
            }
        };
        check_node_head(&mut self.sink, &place, &which, node, &found);
        if found.len() == 1 && block.is_some() {
            let expected = format!("keys in {which}");
            self.sink
                .report(place.clone(), Rule::IndexEmptyBlock, expected, "none");
        }
        let inner = found.iter().any(|entry| entry.child.is_some());
        if !inner && *walk.leaves.get_or_insert(depth) != depth {
            let expected = format!("leaves {} deep", walk.leaves.unwrap_or_default());
            let found = format!("{which} {depth} deep");
            self.sink
                .report(place.clone(), Rule::IndexShape, expected, found);
        }
        for entry in &found {
            if entry.child.is_none() == inner {
                let found = "entries with and without";
                let expected = format!("children for all entries of {which}");
                self.sink
                    .report(place.clone(), Rule::IndexNode, expected, found);
            }
            if let Some(vcn) = entry.child {
                self.check_block(walk, vcn, depth + 1)?;
            }
            if !entry.last {
                self.check_order(walk, entry, &which);
                (walk.visit)(&mut self.sink, entry);
            }
        }
        Ok(())
    }

    fn check_order(&mut self, walk: &mut Walk<'_>, entry: &Entry<'_>, which: &str) {
        if let Some(previous) = &walk.previous {
            let order = collate::keys(walk.index.collation, &walk.upcase, previous, entry.key);
            if order.is_some_and(Ordering::is_ge) {
                let place = walk.index.place.clone();
                let found = format!("{:02x?} behind {previous:02x?} in {which}", entry.key);
                self.sink.report(
                    place,
                    Rule::IndexOrder,
                    "each key above the one before",
                    found,
                );
            }
        }
        let previous = walk.previous.get_or_insert_default();
        previous.clear();
        previous.extend_from_slice(entry.key);
    }

    fn check_block(&mut self, walk: &mut Walk<'_>, vcn: u64, depth: usize) -> Result<()> {
        let place = walk.index.place.clone();
        let number = vcn.checked_mul(walk.index.vcn_size);
        let number = number.unwrap_or(u64::MAX) / walk.index.block as u64;
        let bit = 1_u64 << (number % 64);
        match walk.blocks.get_mut((number / 64) as usize) {
            Some(word) if *word & bit == 0 && depth < MAX_DEPTH => *word |= bit,
            _ => {
                let found = format!("a second way to block {vcn}, or no such block");
                self.sink
                    .report(place, Rule::IndexShape, "each block once in a tree", found);
                return Ok(());
            }
        }
        if let Some(node) = self.open_block(walk, vcn)? {
            self.check_node(walk, &node, Some(vcn), depth)?;
        }
        Ok(())
    }

    /// The node in a block, after its head has been checked.
    fn open_block(&mut self, walk: &Walk<'_>, vcn: u64) -> Result<Option<Vec<u8>>> {
        let place = || walk.index.place.clone();
        let index = &walk.index;
        let offset = vcn.saturating_mul(index.vcn_size);
        let Some(blocks) = &index.blocks else {
            return Ok(None);
        };
        let whole = offset.is_multiple_of(index.block as u64);
        if !self.affords(index.block as u64) {
            let found = "more than the volume has";
            self.sink
                .report(place(), Rule::ClusterTwice, "blocks of its own", found);
            return Ok(None);
        }
        if !whole || offset.saturating_add(index.block as u64) > blocks.size {
            let found = format!("block {vcn}");
            self.sink
                .report(place(), Rule::IndexShape, "blocks of the index", found);
            return Ok(None);
        }
        let mut bytes = vec![0; index.block];
        let read = blocks.read(&mut self.volume.device, offset, &mut bytes);
        if self.sink.check(Rule::Runs, read)?.is_none() {
            return Ok(None);
        }
        let Ok((header, _)) = IndexBlockHeader::read_from_prefix(&bytes) else {
            return Ok(None);
        };
        if header.signature != IndexBlockHeader::SIGNATURE {
            let found = format!("\"{}\" in block {vcn}", header.signature.escape_ascii());
            self.sink
                .report(place(), Rule::IndexBlock, "\"INDX\"", found);
            return Ok(None);
        }
        let own = header.vcn.get();
        self.sink
            .expect(place, Rule::IndexBlock, "block number", vcn, own);
        let (sequence, count) = (header.update_offset.get(), header.update_count.get());
        if let Err(found) = unprotect(&mut bytes, sequence, count) {
            let expected = format!("a number all sectors of block {vcn} end with");
            self.sink
                .report(place(), Rule::UpdateSequence, expected, found);
            return Ok(None);
        }
        let node = bytes.split_off(size_of::<IndexBlockHeader>());
        let head = IndexNodeHeader::read_from_prefix(&node);
        let first = head.map_or(0, |(head, _)| head.first_entry.get() as usize);
        let end = usize::from(sequence) + 2 * usize::from(count);
        if first.saturating_add(size_of::<IndexBlockHeader>()) < end {
            let expected = format!("entries behind the update sequence of block {vcn}");
            self.sink
                .report(place(), Rule::IndexNode, expected, first.to_string());
        }
        Ok(Some(node))
    }

    fn check_index_bitmap(
        &mut self,
        full: &FullRecord,
        kind: Kind,
        walk: &Walk<'_>,
        blocks: u64,
    ) -> Result<()> {
        let bitmap = full.find(AttributeType::BITMAP, kind.name);
        let Some(bitmap) = bitmap else {
            if walk.index.blocks.is_some() {
                let place = Place::Record(full.number());
                let expected = format!("$BITMAP:{}", kind.name);
                self.sink
                    .report(place, Rule::MissingAttribute, expected, "none");
            }
            return Ok(());
        };
        let place = bitmap.place(full.number());
        let value = self.value(bitmap, full.number());
        let Some(bytes) = self.sink.check(Rule::IndexBitmap, value)? else {
            return Ok(());
        };
        if !bytes.len().is_multiple_of(8) || (bytes.len() as u64) < blocks.div_ceil(8) {
            let expected = format!("whole words for {blocks} blocks");
            let found = format!("{} bytes", bytes.len());
            self.sink
                .report(place.clone(), Rule::IndexBitmap, expected, found);
        }
        let used = walk.blocks.iter().copied().chain(std::iter::repeat(0));
        for (index, (there, used)) in bytes.as_chunks::<8>().0.iter().zip(used).enumerate() {
            let there = u64::from_le_bytes(*there);
            if there != used {
                let expected = format!("{used:#x} for blocks from {}", index * 64);
                self.sink.report(
                    place.clone(),
                    Rule::IndexBitmap,
                    expected,
                    format!("{there:#x}"),
                );
            }
        }
        Ok(())
    }
}

fn check_node_head(
    sink: &mut Sink<'_>,
    place: &Place,
    which: &str,
    node: &[u8],
    entries: &[Entry<'_>],
) {
    let Ok((header, _)) = IndexNodeHeader::read_from_prefix(node) else {
        return;
    };
    let allocated = header.allocated.get() as usize;
    if allocated != node.len() {
        let expected = format!("{which} to allocate {}", node.len());
        sink.report(
            place.clone(),
            Rule::IndexNode,
            expected,
            allocated.to_string(),
        );
    }
    let length: usize = entries.iter().map(|entry| entry.length).sum();
    let used = header.first_entry.get() as usize + length;
    if used != header.used.get() as usize {
        let expected = format!("{which} to use {used}");
        sink.report(
            place.clone(),
            Rule::IndexNode,
            expected,
            header.used.get().to_string(),
        );
    }
    let inner = entries.iter().any(|entry| entry.child.is_some());
    let flags = header.flags.get();
    if flags != u32::from(inner) {
        let expected = format!("flags of {which} {}", u32::from(inner));
        sink.report(place.clone(), Rule::IndexNode, expected, flags.to_string());
    }
    for entry in entries {
        let child = if entry.child.is_some() { 8 } else { 0 };
        let content = 16 + entry.key.len() + child;
        let unknown = entry.flags & !3;
        if entry.length < content || unknown != 0 || (entry.last && entry.key_length != 0) {
            let found = format!("{} bytes, flags {:#x}", entry.length, entry.flags);
            let expected = format!("an entry with a key of {} in {which}", entry.key.len());
            sink.report(place.clone(), Rule::IndexEntry, expected, found);
        }
        if entry.unused != 0 {
            let expected = format!("0 at 14 of an entry in {which}");
            sink.report(
                place.clone(),
                Rule::Reserved,
                expected,
                entry.unused.to_string(),
            );
        }
    }
}
