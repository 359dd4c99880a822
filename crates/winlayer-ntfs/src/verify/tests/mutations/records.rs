//! Boot sector, records, the heads of attributes, runs.

use super::*;

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
];
