//! The table of damages: which structure, which field, which rule.

use super::{
    Rule,
    editor::{Editor, bump, put},
};
use crate::{
    attribute::AttributeType as T,
    runs::{Run, encode},
};

mod files;
mod indexes;
mod records;
mod system;

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

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Mutation> {
    let tables = [
        records::MUTATIONS,
        files::MUTATIONS,
        indexes::MUTATIONS,
        system::MUTATIONS,
    ];
    tables.into_iter().flatten()
}

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
