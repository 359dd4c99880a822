//! Random hives and deltas: what the overlay shows and the merge writes is what a plain model of
//! the rules says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, not of a library"
)]

mod support;

use std::{collections::BTreeMap, io::Cursor};

use proptest::prelude::*;
use winlayer_hive::{
    Hive, HiveError, HiveTree, KeyLayer, KeySemantics, MergedKey, Overlay, PagedSource, TreeKey,
    ValueData,
};

/// A key of a delta; of a full hive when nothing but `Merge` and data is in it.
#[derive(Clone, Debug)]
struct Change {
    semantics: KeySemantics,
    values: BTreeMap<String, Option<Vec<u8>>>,
    subkeys: BTreeMap<String, Change>,
}

/// What is visible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    values: BTreeMap<String, Vec<u8>>,
    subkeys: BTreeMap<String, Seen>,
}

impl Seen {
    fn apply(&mut self, change: &Change) {
        for (name, data) in &change.values {
            match data {
                Some(data) => self.values.insert(name.to_uppercase(), data.clone()),
                None => self.values.remove(&name.to_uppercase()),
            };
        }
        for (name, change) in &change.subkeys {
            let name = name.to_uppercase();
            match change.semantics {
                KeySemantics::Tombstone => {
                    self.subkeys.remove(&name);
                }
                KeySemantics::Merge => self.subkeys.entry(name).or_default().apply(change),
                KeySemantics::SupersedeLocal => {
                    let seen = self.subkeys.entry(name).or_default();
                    seen.values.clear();
                    seen.apply(change);
                }
                KeySemantics::SupersedeTree => {
                    let mut seen = Self::default();
                    seen.apply(change);
                    self.subkeys.insert(name, seen);
                }
            }
        }
    }

    fn of(key: &MergedKey<'_>) -> Result<Self, HiveError> {
        let mut seen = Self::default();
        for value in key.values()? {
            let data = value.data()?.bytes.into_owned();
            let name = value.name().to_text();
            let found = key.value(&name)?.expect("a listed value is found");
            assert_eq!(found.data()?.bytes, data);
            seen.values.insert(name.to_uppercase(), data);
        }
        for subkey in key.subkeys()? {
            let name = subkey.name().to_text();
            let found = key
                .subkey(&name.to_lowercase())?
                .expect("a listed key is found");
            assert_eq!(found.last_written(), subkey.last_written());
            seen.subkeys.insert(name.to_uppercase(), Self::of(&subkey)?);
        }
        Ok(seen)
    }
}

fn fill(key: &mut TreeKey, change: &Change, replaced: bool) {
    for (name, data) in &change.values {
        match data {
            Some(data) => key.set(name, ValueData::binary(data.clone())).unwrap(),
            None => key.delete_value(name).unwrap(),
        };
    }
    for (name, change) in &change.subkeys {
        if change.semantics == KeySemantics::Tombstone {
            key.delete_key(name).unwrap();
            continue;
        }
        let replaced = replaced || change.semantics == KeySemantics::SupersedeTree;
        let subkey = key.create(name).unwrap();
        if replaced {
            subkey.replace_tree();
        } else if change.semantics != KeySemantics::Merge {
            subkey.set_layer(KeyLayer {
                semantics: change.semantics,
                inherit_class: true,
            });
        }
        fill(subkey, change, replaced);
    }
}

/// Each name in one spelling a hive, in any case.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "_", "é", "ж", "name", "漢"])
        .prop_flat_map(|name| prop::sample::select(vec![name.to_owned(), name.to_uppercase()]))
}

fn one_spelling<T>(entries: Vec<(String, T)>) -> BTreeMap<String, T> {
    let entries = entries
        .into_iter()
        .map(|(name, item)| (name.to_uppercase(), (name, item)));
    entries.collect::<BTreeMap<_, _>>().into_values().collect()
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![8 => 0..9_usize, 2 => 9..300_usize, 1 => 16340..33000_usize];
    (any::<u8>(), length).prop_map(|(byte, length)| vec![byte; length])
}

fn change(delta: bool) -> impl Strategy<Value = Change> {
    let value = move || {
        let gone = if delta { 3 } else { 0 };
        prop_oneof![gone => Just(None), 7 => data().prop_map(Some)]
    };
    let semantics = move || {
        let rare = if delta { 1 } else { 0 };
        prop_oneof![
            3 => Just(KeySemantics::Merge),
            rare => Just(KeySemantics::Tombstone),
            rare => Just(KeySemantics::SupersedeLocal),
            rare => Just(KeySemantics::SupersedeTree),
        ]
    };
    let values = move || prop::collection::vec((name(), value()), 0..4).prop_map(one_spelling);
    let leaf = (semantics(), values()).prop_map(|(semantics, values)| Change {
        semantics,
        values,
        subkeys: BTreeMap::new(),
    });
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let subkeys = prop::collection::vec((name(), inner), 0..5).prop_map(one_spelling);
        (semantics(), values(), subkeys).prop_map(|(semantics, values, subkeys)| Change {
            semantics,
            values,
            subkeys,
        })
    })
}

fn file(change: &Change, mut tree: HiveTree) -> Vec<u8> {
    fill(tree.root_mut(), change, false);
    tree.to_bytes().unwrap()
}

/// A full hive's file and those of deltas over it, and what is seen through them.
fn stack() -> impl Strategy<Value = (Vec<Vec<u8>>, Seen)> {
    (change(false), prop::collection::vec(change(true), 0..3)).prop_map(|(base, deltas)| {
        let mut seen = Seen::default();
        seen.apply(&base);
        let mut files = vec![file(&base, HiveTree::new("base"))];
        for delta in &deltas {
            seen.apply(delta);
            files.push(file(delta, HiveTree::delta("delta")));
        }
        (files, seen)
    })
}

proptest! {
    #[test]
    fn overlay_and_merge_say_what_the_model_says((files, seen) in stack()) {
        let hives = files.iter().map(|file| Hive::from_bytes(file).unwrap());
        let overlay = Overlay::new(hives).unwrap();
        prop_assert_eq!(&Seen::of(&overlay.root().unwrap()).unwrap(), &seen);

        let merged = overlay.to_bytes().unwrap();
        let again = Overlay::new([Hive::from_bytes(&merged).unwrap()]).unwrap();
        prop_assert_eq!(&Seen::of(&again.root().unwrap()).unwrap(), &seen);
        prop_assert_eq!(&again.to_bytes().unwrap(), &merged, "merging again changes nothing");
        prop_assert_eq!(&overlay.to_tree().unwrap().to_bytes().unwrap(), &merged);

        let sources = files.iter().map(|file| {
            Hive::from_source(PagedSource::new(Cursor::new(&**file)).unwrap()).unwrap()
        });
        let overlay = Overlay::new(sources).unwrap();
        prop_assert_eq!(&Seen::of(&overlay.root().unwrap()).unwrap(), &seen, "from pages");
    }

    #[test]
    fn damage_never_panics(
        (files, _) in stack(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for mut file in files {
            for (at, byte) in &damage {
                // Most of a hive's structures are in the first kilobytes of its bins.
                let end = file.len().min(4096 + 2048);
                file[4096 + at.index(end - 4096)] = *byte;
            }
            if let Some(cut) = cut {
                file.truncate(cut.index(file.len()));
            }
            support::oracle::hive_read(&file);
        }
    }
}
