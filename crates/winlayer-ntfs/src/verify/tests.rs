//! Damages every field of every structure, one at a time, and asks the verifier which rule that breaks.

mod editor;
mod mutations;
#[path = "../../tests/support/mod.rs"]
#[allow(
    unreachable_pub,
    missing_docs,
    reason = "made for the tests outside the crate"
)]
mod support;

use std::{collections::BTreeMap, io::Cursor};

use proptest::prelude::*;

use super::{Rule, verify};
use editor::Editor;
use mutations::MUTATIONS;
use support::town::{self, Scale};

/// How often each rule is broken.
fn broken(image: &[u8]) -> BTreeMap<Rule, usize> {
    let mut rules = BTreeMap::new();
    verify(Cursor::new(image), &mut |finding| {
        *rules.entry(finding.rule).or_insert(0) += 1
    })
    .unwrap();
    rules
}

/// Damages a volume, which has the paths of [`town`], in every way of the table.
fn damage(image: Vec<u8>) {
    let before = broken(&image);
    let mut editor = Editor::new(image);
    let mut missed = Vec::new();
    for mutation in MUTATIONS {
        (mutation.edit)(&mut editor);
        let after = broken(&editor.image);
        let count =
            |rules: &BTreeMap<Rule, usize>, rule| rules.get(&rule).copied().unwrap_or_default();
        if !editor.is_changed() {
            missed.push(format!("{}: nothing was changed", mutation.field));
        } else if count(&after, mutation.rule) <= count(&before, mutation.rule) {
            let others: Vec<_> = Rule::ALL
                .iter()
                .filter(|rule| count(&after, **rule) > count(&before, **rule))
                .collect();
            missed.push(format!(
                "{}: {:?} expected, {others:?} found",
                mutation.field, mutation.rule
            ));
        }
        editor.undo();
    }
    assert!(
        missed.is_empty(),
        "{} of {}:\n{}",
        missed.len(),
        MUTATIONS.len(),
        missed.join("\n")
    );
    assert_eq!(broken(&editor.image), before);
}

#[cfg(target_os = "linux")]
#[test]
fn every_damaged_field_of_a_volume_of_the_driver_is_found() {
    let (image, _) = town::build(Scale::VILLAGE);
    damage(image.bytes());
}
