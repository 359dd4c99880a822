//! Damages every field of every structure, one at a time, and asks the verifier which rule that breaks.

mod editor;
mod mutations;
#[path = "../../tests/support/mod.rs"]
#[allow(missing_docs, reason = "made for the tests outside the crate")]
mod support;

use std::{collections::BTreeMap, io::Cursor};

use super::{Rule, verify};
use editor::Editor;
use mutations::{MUTATIONS, Mutation};
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
    let is_there = |mutation: &&Mutation| {
        !absent
            .iter()
            .any(|absent| mutation.field.starts_with(absent))
    };
    let mutations: Vec<_> = MUTATIONS.iter().filter(is_there).collect();
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

#[cfg(target_os = "linux")]
#[test]
fn every_damaged_field_of_a_volume_of_the_driver_is_found() {
    use support::town::{self, Scale};
    let (image, _) = town::build(Scale::SMALL);
    damage(image.bytes(), &[]);
}
