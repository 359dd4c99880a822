//! What files say of themselves.

use super::*;

pub(super) const MUTATIONS: &[Mutation] = &[
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
];
