//! Indexes and their entries.

use super::*;

pub(super) const MUTATIONS: &[Mutation] = &[
    // Index root, nodes, blocks.
    mutation("index: type", Rule::IndexRoot, |e| {
        root_of(e, MANY, |v| bump(v, 0))
    }),
    mutation("index: collation", Rule::IndexRoot, |e| {
        root_of(e, MANY, |v| bump(v, 4))
    }),
    mutation("index: block size", Rule::IndexRoot, |e| {
        root_of(e, MANY, |v| v[9] <<= 1)
    }),
    mutation("index: units a block", Rule::IndexRoot, |e| {
        root_of(e, MANY, |v| bump(v, 12))
    }),
    mutation("index: zeros at 13", Rule::Reserved, |e| {
        root_of(e, MANY, |v| bump(v, 13))
    }),
    mutation("root node: first entry", Rule::IndexNode, |e| {
        root_of(e, MANY, |v| v[16] += 4)
    }),
    mutation("root node: used", Rule::IndexNode, |e| {
        root_of(e, MANY, |v| v[20] -= 8)
    }),
    mutation("root node: allocated", Rule::IndexNode, |e| {
        root_of(e, MANY, |v| v[24] += 8)
    }),
    mutation("root node: flags", Rule::IndexNode, |e| {
        root_of(e, MANY, |v| v[28] ^= 1)
    }),
    mutation("block: signature", Rule::IndexBlock, |e| {
        e.block(MANY, |b| bump(b, 0))
    }),
    mutation("block: update offset", Rule::UpdateSequence, |e| {
        e.raw_block(MANY, |b| bump(b, 4))
    }),
    mutation("block: update count", Rule::UpdateSequence, |e| {
        e.raw_block(MANY, |b| bump(b, 6))
    }),
    mutation("block: end of a sector", Rule::UpdateSequence, |e| {
        e.raw_block(MANY, |b| bump(b, 4095))
    }),
    mutation("block: number", Rule::IndexBlock, |e| {
        e.block(MANY, |b| bump(b, 16))
    }),
    mutation("node: first entry", Rule::IndexNode, |e| {
        e.block(MANY, |b| b[24] -= 16)
    }),
    mutation("node: used", Rule::IndexNode, |e| {
        e.block(MANY, |b| b[28] += 8)
    }),
    mutation("node: allocated", Rule::IndexNode, |e| {
        e.block(MANY, |b| b[32] -= 8)
    }),
    mutation("node: flags", Rule::IndexNode, |e| {
        e.block(MANY, |b| b[36] ^= 1)
    }),
    mutation("bitmap of an index", Rule::IndexBitmap, |e| {
        let number = e.find(MANY).record();
        e.value(number, T::BITMAP, "$I30", 0, |v| v[0] ^= 1);
    }),
    mutation("bitmap of an index, too much", Rule::IndexBitmap, |e| {
        let number = e.find(MANY).record();
        e.value(number, T::BITMAP, "$I30", 0, |v| v[7] |= 0x80);
    }),
    // Entries.
    mutation("entry: record", Rule::EntryDangling, |e| {
        e.entry("", FACTS, |n| put(n, 0, 20_u64.to_le_bytes()))
    }),
    mutation("entry: other record", Rule::EntryName, |e| {
        let other = e.find("hole").raw().to_le_bytes();
        e.entry("", FACTS, |n| put(n, 0, other));
    }),
    mutation("entry: sequence", Rule::EntryStale, |e| {
        e.entry("", FACTS, |n| bump(n, 6))
    }),
    mutation("entry: length", Rule::IndexNode, |e| {
        e.entry(MANY, NAME, |n| n[8] -= 8)
    }),
    mutation("entry: key length", Rule::Name, |e| {
        e.entry(MANY, NAME, |n| n[10] += 2)
    }),
    mutation("entry: flags", Rule::IndexEntry, |e| {
        e.entry(MANY, NAME, |n| n[12] |= 4)
    }),
    mutation("entry: zeros at 14", Rule::Reserved, |e| {
        e.entry(MANY, NAME, |n| bump(n, 14))
    }),
    mutation("entry: child", Rule::IndexShape, |e| {
        root_of(e, MANY, |v| {
            let end = v.len();
            bump(v, end - 7);
        });
    }),
    mutation("entry: last", Rule::NameEntry, |e| {
        e.entry(MANY, NAME, |n| n[12] |= 2)
    }),
    mutation("entry: parent", Rule::EntryParent, |e| {
        e.entry(MANY, NAME, |n| bump(n, 16))
    }),
    mutation("entry: created", Rule::EntryTimes, |e| {
        e.entry(MANY, NAME, |n| bump(n, 24))
    }),
    mutation("entry: written", Rule::EntryTimes, |e| {
        e.entry(MANY, NAME, |n| bump(n, 32))
    }),
    mutation("entry: changed", Rule::EntryTimes, |e| {
        e.entry(MANY, NAME, |n| bump(n, 40))
    }),
    mutation("entry: accessed", Rule::EntryTimes, |e| {
        e.entry(MANY, NAME, |n| bump(n, 48))
    }),
    mutation("entry: allocated", Rule::EntryFacts, |e| {
        e.entry(MANY, NAME, |n| bump(n, 56))
    }),
    mutation("entry: size", Rule::EntryFacts, |e| {
        e.entry(MANY, NAME, |n| bump(n, 64))
    }),
    mutation("entry: attributes", Rule::EntryFacts, |e| {
        e.entry(MANY, NAME, |n| n[72] ^= 1)
    }),
    mutation("entry: directory bit", Rule::EntryFacts, |e| {
        e.entry(MANY, NAME, |n| n[75] ^= 0x10)
    }),
    mutation("entry: EA size", Rule::EntryEaSize, |e| {
        e.entry(MANY, NAME, |n| bump(n, 76))
    }),
    mutation("entry: reparse tag", Rule::EntryFacts, |e| {
        e.entry("", "junction", |n| bump(n, 76))
    }),
    mutation("entry: name length", Rule::Name, |e| {
        e.entry(MANY, NAME, |n| n[80] -= 1)
    }),
    mutation("entry: namespace", Rule::EntryName, |e| {
        e.entry(MANY, NAME, |n| n[81] ^= 3)
    }),
    mutation("entry: letter", Rule::EntryName, |e| {
        e.entry(MANY, NAME, |n| bump(n, 92))
    }),
    mutation("entry: order", Rule::IndexOrder, |e| {
        e.entry(MANY, NAME, |n| n[82] = b'z')
    }),
    mutation("entry: case", Rule::CaseCollision, |e| {
        e.entry("Windows", "twin-b", |n| n[82 + 10] = b'A')
    }),
];
