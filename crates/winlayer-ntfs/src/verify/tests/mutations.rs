//! The table of damages: which structure, which field, which rule.

use super::{
    Rule,
    editor::{Editor, bump, put},
};
use crate::{
    attribute::AttributeType as T,
    runs::{Run, encode},
};

pub(super) struct Mutation {
    pub(super) field: &'static str,
    pub(super) rule: Rule,
    pub(super) edit: fn(&mut Editor),
}

const fn mutation(field: &'static str, rule: Rule, edit: fn(&mut Editor)) -> Mutation {
    Mutation { field, rule, edit }
}

/// A plain file with clusters.
const PLAIN: &str = "Windows/System32/kernel32.dll";
/// A file with everything that is small.
const FACTS: &str = "facts";
/// A sparse file.
const ISLANDS: &str = "islands";
/// A file whose attributes are in several records.
const LINKED: &str = "linked";
/// A directory with several levels.
const MANY: &str = "many";
const NAME: &str = "alpha 00000 ";

fn boot(editor: &mut Editor, edit: impl FnOnce(&mut [u8])) {
    editor.raw(0, 512, edit);
}

fn record(editor: &mut Editor, path: &str, edit: impl Fn(&mut [u8])) {
    let number = editor.find(path).record();
    editor.record(number, edit);
}

fn attribute(editor: &mut Editor, path: &str, kind: T, edit: impl Fn(&mut [u8])) {
    let number = editor.find(path).record();
    editor.attribute(number, kind, "", edit);
}

fn value(editor: &mut Editor, path: &str, kind: T, edit: impl Fn(&mut [u8])) {
    let number = editor.find(path).record();
    editor.value(number, kind, "", 0, edit);
}

fn root_of(editor: &mut Editor, path: &str, edit: impl Fn(&mut [u8])) {
    let number = editor.find(path).record();
    editor.value(number, T::INDEX_ROOT, "$I30", 0, edit);
}

/// The first of the entries of a list (`$ATTRIBUTE_LIST`).
fn list(editor: &mut Editor, edit: impl Fn(&mut [u8])) {
    let number = editor.find(LINKED).record();
    editor.list(number, edit);
}

pub(super) const MUTATIONS: &[Mutation] = &[
    // Boot sector.
    mutation("boot: jump", Rule::BootSector, |e| boot(e, |b| bump(b, 0))),
    mutation("boot: name", Rule::BootSector, |e| boot(e, |b| bump(b, 3))),
    mutation("boot: bytes per sector", Rule::BootSector, |e| {
        boot(e, |b| put(b, 11, 513_u16.to_le_bytes()))
    }),
    mutation("boot: sectors per cluster", Rule::BootSector, |e| {
        boot(e, |b| bump(b, 13))
    }),
    mutation("boot: zeros at 14", Rule::Reserved, |e| {
        boot(e, |b| bump(b, 17))
    }),
    mutation("boot: media", Rule::BootSector, |e| {
        boot(e, |b| bump(b, 21))
    }),
    mutation("boot: zeros at 22", Rule::Reserved, |e| {
        boot(e, |b| bump(b, 22))
    }),
    mutation("boot: sectors per track", Rule::BootCopy, |e| {
        boot(e, |b| bump(b, 24))
    }),
    mutation("boot: heads", Rule::BootCopy, |e| boot(e, |b| bump(b, 26))),
    mutation("boot: hidden sectors", Rule::BootCopy, |e| {
        boot(e, |b| bump(b, 28))
    }),
    mutation("boot: zeros at 32", Rule::Reserved, |e| {
        boot(e, |b| bump(b, 32))
    }),
    mutation("boot: signature", Rule::BootSector, |e| {
        boot(e, |b| bump(b, 36))
    }),
    mutation("boot: total sectors", Rule::BootCopy, |e| {
        boot(e, |b| bump(b, 40))
    }),
    mutation("boot: $MFT", Rule::MasterTable, |e| {
        boot(e, |b| bump(b, 48))
    }),
    mutation("boot: $MFTMirr", Rule::Mirror, |e| boot(e, |b| bump(b, 56))),
    mutation("boot: record size", Rule::BootSector, |e| {
        boot(e, |b| b[64] = 0)
    }),
    mutation("boot: index block size", Rule::IndexRoot, |e| {
        boot(e, |b| b[68] = 0xf5)
    }),
    mutation("boot: serial", Rule::BootCopy, |e| boot(e, |b| bump(b, 72))),
    mutation("boot: checksum", Rule::Reserved, |e| {
        boot(e, |b| bump(b, 80))
    }),
    mutation("boot: code", Rule::BootCopy, |e| boot(e, |b| bump(b, 200))),
    mutation("boot: end mark", Rule::BootSector, |e| {
        boot(e, |b| bump(b, 510))
    }),
    mutation("boot: copy", Rule::BootCopy, |e| {
        let place = e.geometry.total;
        e.raw(place, 512, |b| bump(b, 300));
    }),
    mutation("mirror: used part", Rule::Mirror, |e| mirror(e, 100)),
    mutation("mirror: beyond the used part", Rule::Mirror, |e| {
        mirror(e, 1000)
    }),
    mutation("mirror: last record", Rule::Mirror, |e| {
        mirror(e, 3 * 1024 + 900)
    }),
    // Record head.
    mutation("record: signature", Rule::RecordSignature, |e| {
        record(e, FACTS, |r| bump(r, 0))
    }),
    mutation("record: update offset", Rule::UpdateSequence, |e| {
        raw_record(e, |r| bump(r, 4))
    }),
    mutation("record: update count", Rule::UpdateSequence, |e| {
        raw_record(e, |r| bump(r, 6))
    }),
    mutation("record: update number", Rule::UpdateSequence, |e| {
        raw_record(e, |r| bump(r, 48))
    }),
    mutation("record: end of a sector", Rule::UpdateSequence, |e| {
        raw_record(e, |r| bump(r, 510))
    }),
    mutation("record: sequence", Rule::EntryStale, |e| {
        record(e, FACTS, |r| bump(r, 16))
    }),
    mutation("record: sequence 0", Rule::RecordSequence, |e| {
        record(e, FACTS, |r| put(r, 16, [0, 0]))
    }),
    mutation(
        "record: sequence of a system file",
        Rule::RecordSequence,
        |e| e.record(4, |r| bump(r, 16)),
    ),
    mutation("record: link count", Rule::LinkCount, |e| {
        record(e, FACTS, |r| bump(r, 18))
    }),
    mutation("record: first attribute", Rule::FirstAttribute, |e| {
        record(e, FACTS, |r| bump(r, 20))
    }),
    mutation("record: not in use", Rule::RecordBitmap, |e| {
        record(e, FACTS, |r| r[22] &= !1)
    }),
    mutation("record: not in use, entry", Rule::EntryDangling, |e| {
        record(e, FACTS, |r| r[22] &= !1)
    }),
    mutation("record: directory", Rule::RecordFlags, |e| {
        record(e, FACTS, |r| r[22] |= 2)
    }),
    mutation("record: in $Extend", Rule::RecordFlags, |e| {
        record(e, FACTS, |r| r[22] |= 4)
    }),
    mutation("record: view index", Rule::RecordFlags, |e| {
        record(e, FACTS, |r| r[22] |= 8)
    }),
    mutation("record: unknown flag", Rule::RecordFlags, |e| {
        record(e, FACTS, |r| r[22] |= 0x10)
    }),
    mutation("record: used", Rule::RecordSizes, |e| {
        record(e, FACTS, |r| r[24] += 8)
    }),
    mutation("record: allocated", Rule::RecordSizes, |e| {
        record(e, FACTS, |r| bump(r, 29))
    }),
    mutation("record: base", Rule::Extension, |e| {
        record(e, FACTS, |r| put(r, 32, 5_u64.to_le_bytes()))
    }),
    mutation("record: next attribute id", Rule::NextAttributeId, |e| {
        record(e, FACTS, |r| put(r, 40, [1, 0]))
    }),
    mutation("record: zeros at 42", Rule::Reserved, |e| {
        record(e, FACTS, |r| bump(r, 42))
    }),
    mutation("record: number", Rule::RecordNumber, |e| {
        record(e, FACTS, |r| bump(r, 44))
    }),
    // Attribute head.
    mutation("attribute: type", Rule::AttributeType, |e| {
        attribute(e, FACTS, T::EA, |a| put(a, 0, [0xe8]))
    }),
    mutation("attribute: length", Rule::AttributeLayout, |e| {
        attribute(e, FACTS, T::STANDARD_INFORMATION, |a| a[4] += 8)
    }),
    mutation("attribute: residence", Rule::AttributeLayout, |e| {
        attribute(e, FACTS, T::STANDARD_INFORMATION, |a| a[8] = 2)
    }),
    mutation("attribute: name length", Rule::AttributeLayout, |e| {
        attribute(e, FACTS, T::STANDARD_INFORMATION, |a| a[9] = 4)
    }),
    mutation("attribute: name offset", Rule::AttributeLayout, |e| {
        let number = e.find(MANY).record();
        e.attribute(number, T::INDEX_ROOT, "$I30", |a| a[10] += 2);
    }),
    mutation("attribute: name", Rule::RecordFlags, |e| {
        let number = e.find(MANY).record();
        e.attribute(number, T::INDEX_ROOT, "$I30", |a| bump(a, 24));
    }),
    mutation("attribute: flags", Rule::AttributeFlags, |e| {
        attribute(e, FACTS, T::FILE_NAME, |a| a[13] = 0x80)
    }),
    mutation("attribute: encrypted", Rule::AttributeFlags, |e| {
        attribute(e, FACTS, T::EA_INFORMATION, |a| a[13] = 0x40)
    }),
    mutation("attribute: id", Rule::AttributeId, |e| {
        attribute(e, FACTS, T::FILE_NAME, |a| put(a, 14, [0, 0]))
    }),
    mutation("attribute: order", Rule::AttributeOrder, |e| {
        record(e, FACTS, swap_first_two)
    }),
    mutation("resident: value length", Rule::AttributeLayout, |e| {
        attribute(e, FACTS, T::STANDARD_INFORMATION, |a| a[16] -= 24)
    }),
    mutation("resident: value offset", Rule::AttributeLayout, |e| {
        attribute(e, FACTS, T::EA_INFORMATION, |a| a[20] -= 1)
    }),
    mutation("resident: indexed", Rule::IndexedFlag, |e| {
        attribute(e, FACTS, T::FILE_NAME, |a| a[22] = 0)
    }),
    mutation("resident: indexed, of no name", Rule::IndexedFlag, |e| {
        attribute(e, FACTS, T::EA_INFORMATION, |a| a[22] = 1)
    }),
    mutation("resident: zero at 23", Rule::Reserved, |e| {
        attribute(e, FACTS, T::FILE_NAME, |a| bump(a, 23))
    }),
    mutation("clusters: lowest", Rule::AttributeLayout, |e| {
        attribute(e, PLAIN, T::DATA, |a| bump(a, 16))
    }),
    mutation("clusters: highest", Rule::AttributeLayout, |e| {
        attribute(e, PLAIN, T::DATA, |a| bump(a, 24))
    }),
    mutation("clusters: place of runs", Rule::AttributeLayout, |e| {
        attribute(e, PLAIN, T::DATA, |a| a[32] += 1)
    }),
    mutation("clusters: compression unit", Rule::ValueSizes, |e| {
        attribute(e, PLAIN, T::DATA, |a| a[34] = 3)
    }),
    mutation("clusters: zeros at 36", Rule::Reserved, |e| {
        attribute(e, PLAIN, T::DATA, |a| bump(a, 36))
    }),
    mutation("clusters: allocated", Rule::ValueSizes, |e| {
        attribute(e, PLAIN, T::DATA, |a| a[41] += 0x10)
    }),
    mutation("clusters: size over allocated", Rule::ValueSizes, |e| {
        attribute(e, PLAIN, T::DATA, |a| bump(a, 51))
    }),
    mutation("clusters: size", Rule::EntryFacts, |e| {
        attribute(e, PLAIN, T::DATA, |a| a[48] += 1)
    }),
    mutation("clusters: initialized", Rule::ValueSizes, |e| {
        attribute(e, PLAIN, T::DATA, |a| bump(a, 59))
    }),
    mutation("clusters: in use", Rule::ValueSizes, |e| {
        attribute(e, "hole", T::DATA, |a| a[65] += 0x10)
    }),
    mutation("clusters: sparse", Rule::SparseAttribute, |e| {
        attribute(e, "hole", T::DATA, |a| a[13] &= !0x80)
    }),
    mutation("runs: off the volume", Rule::Runs, |e| {
        attribute(e, PLAIN, T::DATA, |a| set_run(a, Some(0x7f_ff00)))
    }),
    mutation("runs: no end", Rule::AttributeLayout, |e| {
        attribute(e, PLAIN, T::DATA, |a| runs(a).fill(0x11))
    }),
    mutation("runs: length", Rule::AttributeLayout, |e| {
        attribute(e, PLAIN, T::DATA, |a| bump(runs(a), 1))
    }),
    mutation("runs: place", Rule::ClusterTwice, |e| {
        attribute(e, PLAIN, T::DATA, |a| set_run(a, Some(0)))
    }),
    mutation("runs: place, left", Rule::ClusterLeaked, |e| {
        attribute(e, PLAIN, T::DATA, |a| set_run(a, Some(0)))
    }),
    mutation("runs: hole", Rule::Holes, |e| {
        attribute(e, PLAIN, T::DATA, |a| set_run(a, None))
    }),
    // $STANDARD_INFORMATION.
    mutation("standard: created", Rule::EntryTimes, |e| standard(e, 0)),
    mutation("standard: written", Rule::EntryTimes, |e| standard(e, 8)),
    mutation("standard: changed", Rule::EntryTimes, |e| standard(e, 16)),
    mutation("standard: accessed", Rule::EntryTimes, |e| standard(e, 24)),
    mutation("standard: attributes", Rule::EntryFacts, |e| {
        value(e, FACTS, T::STANDARD_INFORMATION, |v| v[32] ^= 1)
    }),
    mutation("standard: reparse bit set", Rule::ReparseAttribute, |e| {
        value(e, FACTS, T::STANDARD_INFORMATION, |v| v[33] ^= 4)
    }),
    mutation("standard: reparse bit clear", Rule::ReparseAttribute, |e| {
        value(e, "junction", T::STANDARD_INFORMATION, |v| v[33] ^= 4)
    }),
    mutation("standard: sparse bit set", Rule::SparseAttribute, |e| {
        value(e, FACTS, T::STANDARD_INFORMATION, |v| v[33] ^= 2)
    }),
    mutation("standard: sparse bit clear", Rule::SparseAttribute, |e| {
        value(e, ISLANDS, T::STANDARD_INFORMATION, |v| v[33] ^= 2)
    }),
    mutation("standard: directory bit", Rule::DirectoryAttribute, |e| {
        value(e, FACTS, T::STANDARD_INFORMATION, |v| v[32] ^= 0x10)
    }),
    mutation("standard: versions", Rule::Reserved, |e| standard(e, 36)),
    mutation("standard: version", Rule::Reserved, |e| standard(e, 40)),
    mutation("standard: class", Rule::Reserved, |e| standard(e, 44)),
    mutation("standard: security id", Rule::SecurityId, |e| {
        value(e, FACTS, T::STANDARD_INFORMATION, |v| v[53] = 0x77)
    }),
    mutation("standard: no security id", Rule::SecurityId, |e| {
        value(e, FACTS, T::STANDARD_INFORMATION, |v| v[52..56].fill(0))
    }),
    // $FILE_NAME.
    mutation("name: parent", Rule::NameEntry, |e| {
        value(e, PLAIN, T::FILE_NAME, |v| v[0] ^= 1)
    }),
    mutation("name: parent, entry", Rule::EntryName, |e| {
        value(e, PLAIN, T::FILE_NAME, |v| v[0] ^= 1)
    }),
    mutation("name: parent of a directory", Rule::Unreachable, |e| {
        let own = e.find(MANY).raw().to_le_bytes();
        value(e, MANY, T::FILE_NAME, |v| put(v, 0, own));
    }),
    mutation("name: directory bit", Rule::DirectoryAttribute, |e| {
        value(e, PLAIN, T::FILE_NAME, |v| v[59] ^= 0x10)
    }),
    mutation("name: length", Rule::Name, |e| {
        value(e, PLAIN, T::FILE_NAME, |v| v[64] -= 1)
    }),
    mutation("name: namespace", Rule::Name, |e| {
        value(e, PLAIN, T::FILE_NAME, |v| v[65] = 4)
    }),
    mutation("name: long without short", Rule::ShortName, |e| {
        value(e, PLAIN, T::FILE_NAME, |v| v[65] = 1)
    }),
    mutation("name: letter", Rule::NameEntry, |e| {
        value(e, PLAIN, T::FILE_NAME, |v| bump(v, 66))
    }),
    mutation("name: NUL", Rule::Name, |e| {
        value(e, PLAIN, T::FILE_NAME, |v| v[66] = 0)
    }),
    mutation("name: slash", Rule::Name, |e| {
        value(e, PLAIN, T::FILE_NAME, |v| v[66] = b'/')
    }),
    mutation("name: colon", Rule::Win32Name, |e| {
        value(e, FACTS, T::FILE_NAME, |v| put(v, 65, [1, b':']))
    }),
    // $OBJECT_ID and $EA.
    mutation("object id", Rule::ObjectIdIndex, |e| {
        value(e, FACTS, T::OBJECT_ID, |v| bump(v, 3))
    }),
    mutation("EA information: packed", Rule::EaInformation, |e| {
        value(e, FACTS, T::EA_INFORMATION, |v| bump(v, 0))
    }),
    mutation("EA information: needed", Rule::EaInformation, |e| {
        value(e, FACTS, T::EA_INFORMATION, |v| bump(v, 2))
    }),
    mutation("EA information: length", Rule::EaInformation, |e| {
        value(e, FACTS, T::EA_INFORMATION, |v| bump(v, 4))
    }),
    mutation("EA: next", Rule::EaList, |e| {
        value(e, FACTS, T::EA, |v| v[0] += 4)
    }),
    mutation("EA: flags", Rule::EaInformation, |e| {
        value(e, FACTS, T::EA, |v| v[4] ^= 0x80)
    }),
    mutation("EA: name length", Rule::EaList, |e| {
        value(e, FACTS, T::EA, |v| v[5] += 4)
    }),
    mutation("EA: value length", Rule::EaList, |e| {
        value(e, FACTS, T::EA, |v| v[6] += 4)
    }),
    mutation("EA: NUL", Rule::EaList, |e| {
        value(e, FACTS, T::EA, |v| v[13] = 1)
    }),
    // $REPARSE_POINT and its index.
    mutation("reparse: tag", Rule::ReparseIndex, |e| {
        value(e, "opaque", T::REPARSE_POINT, |v| bump(v, 0))
    }),
    mutation("reparse: length", Rule::ReparseBuffer, |e| {
        value(e, "opaque", T::REPARSE_POINT, |v| bump(v, 4))
    }),
    mutation("reparse: target", Rule::ReparseBuffer, |e| {
        value(e, "junction", T::REPARSE_POINT, |v| bump(v, 9))
    }),
    mutation("$R: tag", Rule::ReparseIndex, |e| {
        view(e, "$Extend/$Reparse", "$R", 16)
    }),
    mutation("$R: file", Rule::ReparseIndex, |e| {
        view(e, "$Extend/$Reparse", "$R", 20)
    }),
    mutation("$R: length of a key", Rule::IndexEntry, |e| {
        view(e, "$Extend/$Reparse", "$R", 10)
    }),
    mutation("$R: length of data", Rule::IndexEntry, |e| {
        view(e, "$Extend/$Reparse", "$R", 2)
    }),
    mutation("$O: id", Rule::ObjectIdIndex, |e| {
        view(e, "$Extend/$ObjId", "$O", 16)
    }),
    mutation("$O: file", Rule::ObjectIdIndex, |e| {
        view(e, "$Extend/$ObjId", "$O", 32)
    }),
    // $ATTRIBUTE_LIST.
    mutation("list: type", Rule::ListEntry, |e| list(e, |v| bump(v, 0))),
    mutation("list: order", Rule::ListOrder, |e| {
        list(e, swap_list_entries)
    }),
    mutation("list: length", Rule::ListOrder, |e| list(e, |v| v[4] += 8)),
    mutation("list: name length", Rule::ListOrder, |e| {
        list(e, |v| v[6] = 4)
    }),
    mutation("list: lowest cluster", Rule::ListEntry, |e| {
        list(e, |v| bump(v, 8))
    }),
    mutation("list: record", Rule::Extension, |e| {
        list(e, |v| bump(v, 17))
    }),
    mutation("list: sequence", Rule::ListEntry, |e| {
        list(e, |v| bump(v, 22))
    }),
    mutation("list: id", Rule::ListEntry, |e| list(e, |v| bump(v, 24))),
    mutation("list: base of an extension", Rule::Extension, |e| {
        let number = extension(e);
        e.record(number, |r| bump(r, 32));
    }),
    mutation("list: sequence of an extension", Rule::Extension, |e| {
        let number = extension(e);
        e.record(number, |r| bump(r, 16));
    }),
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
    // Bitmaps.
    mutation("$Bitmap: used cluster", Rule::ClusterUnmarked, |e| {
        e.value(6, T::DATA, "", 0, |v| v[0] ^= 1)
    }),
    mutation("$Bitmap: free cluster", Rule::ClusterLeaked, |e| {
        let at = (e.geometry.clusters() / 8 - 8) as usize;
        e.value(6, T::DATA, "", at, |v| v[0] ^= 1);
    }),
    mutation("$Bitmap: tail", Rule::BitmapTail, |e| {
        let at = (e.geometry.clusters() / 8) as usize;
        e.value(6, T::DATA, "", at, |v| v[0] ^= 0x80);
    }),
    mutation("$MFT:$BITMAP: used", Rule::RecordBitmap, |e| {
        e.value(0, T::BITMAP, "", 0, |v| v[0] ^= 1)
    }),
    mutation("$MFT:$BITMAP: unused", Rule::RecordBitmap, |e| {
        e.value(0, T::BITMAP, "", 0, |v| v[2] ^= 1)
    }),
    // $Secure.
    mutation("$SDS: hash", Rule::SecurityHash, |e| descriptors(e, 0)),
    mutation("$SDS: id", Rule::SecurityIndex, |e| descriptors(e, 4)),
    mutation("$SDS: offset", Rule::SecurityPlace, |e| descriptors(e, 8)),
    mutation("$SDS: length", Rule::SecurityIndex, |e| descriptors(e, 16)),
    mutation("$SDS: beyond the block", Rule::SecurityPlace, |e| {
        e.value(9, T::DATA, "$SDS", 0, |v| v[18] = 4)
    }),
    mutation("$SDS: descriptor", Rule::SecurityDescriptor, |e| {
        descriptors(e, 20)
    }),
    mutation("$SDS: copy", Rule::SecurityCopy, |e| {
        e.value(9, T::DATA, "$SDS", 0x40000, |v| bump(v, 30))
    }),
    mutation("$SII: key", Rule::SecurityIndex, |e| {
        e.first_entry(9, "$SII", |v| bump(v, 16))
    }),
    mutation("$SII: hash", Rule::SecurityIndex, |e| {
        e.first_entry(9, "$SII", |v| bump(v, 20))
    }),
    mutation("$SII: offset", Rule::SecurityIndex, |e| {
        e.first_entry(9, "$SII", |v| bump(v, 28))
    }),
    mutation("$SII: length", Rule::SecurityIndex, |e| {
        e.first_entry(9, "$SII", |v| bump(v, 36))
    }),
    mutation("$SDH: key", Rule::SecurityIndex, |e| {
        e.first_entry(9, "$SDH", |v| bump(v, 16))
    }),
    mutation("$SDH: id", Rule::SecurityIndex, |e| {
        e.first_entry(9, "$SDH", |v| bump(v, 28))
    }),
    mutation("$SDH: order", Rule::IndexOrder, |e| {
        e.first_entry(9, "$SDH", |v| v[19] = 0xff)
    }),
    // System files.
    mutation("system: name", Rule::SystemFile, |e| {
        e.resident(4, T::FILE_NAME, "", |v| bump(v, 68))
    }),
    mutation("system: $Extend", Rule::SystemFile, |e| {
        e.entry("$Extend", "$Reparse", |n| bump(n, 84))
    }),
    mutation("system: record 12", Rule::SystemReserved, |e| {
        e.record(12, |r| r[22] = 0)
    }),
    mutation("system: record 16", Rule::SystemReserved, |e| {
        let place = e.geometry.mft_cluster * e.geometry.cluster + 12 * 1024;
        let copy = e.image[place as usize..][..1024].to_vec();
        e.raw_record(16, |r| r.copy_from_slice(&copy));
        e.record(16, |r| {
            r[44] = 16;
            r[16] = 16;
        });
    }),
    mutation("$Volume: version", Rule::Version, |e| {
        e.resident(3, T::VOLUME_INFORMATION, "", |v| bump(v, 9))
    }),
    mutation("$Volume: flags", Rule::Dirty, |e| {
        e.resident(3, T::VOLUME_INFORMATION, "", |v| v[10] ^= 1)
    }),
    mutation("$Volume: zeros at 0", Rule::Reserved, |e| {
        e.resident(3, T::VOLUME_INFORMATION, "", |v| bump(v, 0))
    }),
    mutation("$AttrDef: name", Rule::AttributeDefinitions, |e| {
        e.value(4, T::DATA, "", 0, |v| bump(v, 2))
    }),
    mutation("$AttrDef: type", Rule::AttributeDefinitions, |e| {
        e.value(4, T::DATA, "", 128, |v| bump(v, 0))
    }),
    mutation("$UpCase: ASCII", Rule::Upcase, |e| {
        e.value(10, T::DATA, "", 0, |v| bump(v, 2 * 0x61))
    }),
    mutation("$UpCase: Greek", Rule::UpcaseTable, |e| {
        e.value(10, T::DATA, "", 2 * 0x3b1, |v| {
            put(v, 0, 0x3b1_u16.to_le_bytes())
        })
    }),
    mutation("$LogFile", Rule::LogFile, |e| {
        e.value(2, T::DATA, "", 1 << 20, |v| v[0] = 0)
    }),
    mutation("$LogFile: not closed", Rule::LogFile, |e| {
        e.value(2, T::DATA, "", 0, |v| put(v, 0, *b"RSTR"))
    }),
    mutation("$BadClus: size", Rule::BadClusters, |e| {
        e.attribute(8, T::DATA, "$Bad", |a| a[49] ^= 0x10)
    }),
    mutation("$Boot: size", Rule::BootFile, |e| {
        e.attribute(7, T::DATA, "", |a| bump(a, 48))
    }),
];

fn mirror(editor: &mut Editor, at: usize) {
    let place = editor.geometry.mirror_cluster * editor.geometry.cluster;
    editor.raw(place, 4096, |bytes| bump(bytes, at));
}

fn raw_record(editor: &mut Editor, edit: impl Fn(&mut [u8])) {
    let number = editor.find(FACTS).record();
    editor.raw_record(number, edit);
}

fn standard(editor: &mut Editor, at: usize) {
    value(editor, FACTS, T::STANDARD_INFORMATION, |value| {
        bump(value, at)
    });
}

fn view(editor: &mut Editor, path: &str, name: &str, at: usize) {
    let number = editor.find(path).record();
    editor.first_entry(number, name, |entry| bump(entry, at));
}

/// Changes the first descriptor and its copy.
fn descriptors(editor: &mut Editor, at: usize) {
    for block in [0, 0x40000] {
        editor.value(9, T::DATA, "$SDS", block, |value| bump(value, at));
    }
}

fn runs(attribute: &mut [u8]) -> &mut [u8] {
    let start = usize::from(attribute[32]);
    &mut attribute[start..]
}

/// Puts the clusters of the first run elsewhere, or nowhere.
fn set_run(attribute: &mut [u8], lcn: Option<u64>) {
    let clusters = u64::from_le_bytes(*attribute[24..].first_chunk().unwrap()) + 1;
    let mut encoded = Vec::new();
    encode(&[Run { lcn, clusters }], &mut encoded);
    let runs = runs(attribute);
    runs.fill(0);
    runs[..encoded.len()].copy_from_slice(&encoded);
}

fn extension(editor: &Editor) -> u64 {
    let number = editor.find(LINKED).record();
    let full = editor.volume().load(number).unwrap().unwrap();
    full.extensions[0]
}

fn swap_first_two(record: &mut [u8]) {
    let first = usize::from(record[20]);
    let one = first + usize::from(record[first + 4]);
    let two = one + usize::from(record[one + 4]);
    record[first..two].rotate_left(one - first);
}

fn swap_list_entries(list: &mut [u8]) {
    let first = usize::from(list[4]);
    let both = first + usize::from(list[first + 4]);
    list[..both].rotate_left(first);
}
