//! Damages every field of every structure, one at a time, and asks the verifier which rule that breaks.

mod editor;
mod mutations;
#[cfg(target_os = "linux")]
#[path = "../../tests/ntfs3g/mod.rs"]
#[allow(missing_docs, reason = "made for the tests outside the crate")]
mod ntfs3g;
#[path = "../../tests/support/mod.rs"]
#[allow(missing_docs, reason = "made for the tests outside the crate")]
mod support;

use std::{collections::BTreeMap, io::Cursor};

use super::{Rule, verify};
use crate::{
    AttributeType,
    runs::{Run, encode},
};
use editor::{Editor, put};
use mutations::Mutation;
use support::village;

type Broken = BTreeMap<Rule, usize>;

/// How often each rule is broken.
fn broken(image: &[u8]) -> Broken {
    let mut rules = Broken::new();
    verify(Cursor::new(image), &mut |finding| {
        *rules.entry(finding.rule).or_insert(0) += 1
    })
    .unwrap();
    rules
}

/// Damages a volume, which has the paths of the village, in every way of the table; what begins with one of `absent` it has not.
fn damage(image: Vec<u8>, absent: &[&str]) {
    let before = broken(&image);
    let mut editor = Editor::new(image);
    let is_there = |mutation: &&'static Mutation| {
        !absent
            .iter()
            .any(|absent| mutation.field.starts_with(absent))
    };
    let mutations: Vec<_> = mutations::all().filter(is_there).collect();
    let missed: Vec<_> = mutations
        .iter()
        .filter_map(|mutation| miss(&mut editor, mutation, &before))
        .collect();
    assert!(
        missed.is_empty(),
        "{} of {}:\n{}",
        missed.len(),
        mutations.len(),
        missed.join("\n")
    );
    assert_eq!(broken(&editor.image), before);
}

/// What is wrong when the verifier does not see a damage.
fn miss(editor: &mut Editor, mutation: &Mutation, before: &Broken) -> Option<String> {
    (mutation.edit)(editor);
    let changed = editor.is_changed();
    let after = broken(&editor.image);
    editor.undo();
    let more = |rule: &Rule| after.get(rule) > before.get(rule);
    if changed && more(&mutation.rule) {
        return None;
    }
    let others: Vec<_> = after.keys().filter(|rule| more(rule)).collect();
    let (field, rule) = (mutation.field, mutation.rule);
    Some(format!(
        "{field}: {rule:?} expected, {others:?} found, changed {changed}"
    ))
}

#[test]
fn every_damaged_field_of_our_volume_is_found() {
    let image = village::build();
    assert_eq!(broken(&image), Broken::new());
    damage(image, &["object id", "$O:"]);
}

/// Sizes are only fields: neither memory nor time follows them.
#[test]
fn a_hole_of_petabytes_costs_nothing() {
    let mut editor = Editor::new(village::build());
    for (path, kind, name) in [
        ("many", AttributeType::INDEX_ALLOCATION, "$I30"),
        ("$Secure", AttributeType::DATA, "$SDS"),
        ("$MFT", AttributeType::DATA, ""),
        ("$LogFile", AttributeType::DATA, ""),
        ("$Bitmap", AttributeType::DATA, ""),
    ] {
        let number = editor.find(path).record();
        editor.attribute(number, kind, name, |attribute| {
            let clusters = 1_u64 << 40;
            let bytes = (clusters * 4096).to_le_bytes();
            put(attribute, 24, (clusters - 1).to_le_bytes());
            for at in [40, 48, 56] {
                put(attribute, at, bytes);
            }
            let mut runs = Vec::new();
            encode(
                &[Run {
                    lcn: None,
                    clusters,
                }],
                &mut runs,
            );
            let start = usize::from(attribute[32]);
            attribute[start..].fill(0);
            attribute[start..start + runs.len()].copy_from_slice(&runs);
        });
        assert!(!broken(&editor.image).is_empty(), "{path}");
        support::oracle::ntfs_read(&editor.image);
        editor.undo();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn every_damaged_field_of_a_volume_of_the_driver_is_found() {
    use ntfs3g::town::{self, Scale};
    let (image, _) = town::build(Scale::SMALL);
    damage(image.bytes(), &[]);
}
