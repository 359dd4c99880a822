//! Bitmaps, descriptors and the other system files.

use super::*;

pub(super) const MUTATIONS: &[Mutation] = &[
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
    mutation("$AttrDef: display rule", Rule::DefinitionTable, |e| {
        definition(e, 132)
    }),
    mutation("$AttrDef: collation", Rule::DefinitionTable, |e| {
        definition(e, 136)
    }),
    mutation("$AttrDef: flags", Rule::DefinitionTable, |e| {
        definition(e, 140)
    }),
    mutation("$AttrDef: least", Rule::DefinitionTable, |e| {
        definition(e, 144)
    }),
    mutation("$AttrDef: most", Rule::DefinitionTable, |e| {
        definition(e, 152)
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

fn definition(editor: &mut Editor, at: usize) {
    editor.value(4, T::DATA, "", at, |value| bump(value, 0));
}
