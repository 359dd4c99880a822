//! An oracle of other make: Python reads the layer tars and the unpacked folders, and compares.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::{Place, answer};
use std::process::Command;

const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/folder_oracle.py");

fn oracle(place: &Place) -> common::Answer {
    let mut python = Command::new("python3");
    python
        .arg(ORACLE)
        .args(["image", "store"])
        .current_dir(place.root());
    answer(&mut python)
}

#[test]
fn nothing_of_the_tars_is_lost_in_the_folders() {
    let place = Place::with_sample();
    place.winlayer(["unpack", "oci:image", "store"]).succeeds();
    let verdict = oracle(&place).succeeds();
    assert!(
        verdict.stdout.ends_with(", 0 differences\n"),
        "{verdict:#?}"
    );
}

#[test]
fn the_oracle_sees_a_changed_byte() {
    let place = Place::with_sample();
    place.winlayer(["unpack", "oci:image", "store"]).succeeds();
    let layers = std::fs::read_dir(place.path("store/layers")).unwrap();
    let sidecar = layers
        .map(|layer| layer.unwrap().path().join("Files.$wcidirs$"))
        .find(|path| path.exists())
        .unwrap();
    let mut bytes = std::fs::read(&sidecar).unwrap();
    bytes[0] ^= 2;
    std::fs::write(&sidecar, bytes).unwrap();
    oracle(&place).fails_with_differences();
}

impl common::Answer {
    #[track_caller]
    fn fails_with_differences(self) {
        assert_eq!(self.code, Some(1), "{self:#?}");
        assert!(self.stdout.contains("content and metadata of"), "{self:#?}");
    }
}

/// The clock, the number of threads and the place leave no trace, except in the list of parents,
/// which holds absolute paths.
#[test]
fn the_same_image_gives_the_same_bytes_whatever_is_around() {
    let place = Place::with_sample();
    for (jobs, name) in [("1", "a"), ("4", "elsewhere/b")] {
        for (to, more) in [
            ("folder", None),
            ("tar", None),
            ("tree", Some(format!("{name}.meta"))),
        ] {
            let target = format!("{name}.{to}");
            let mut arguments = vec!["unpack", "oci:image", &target, "--to", to, "--jobs", jobs];
            if let Some(file) = &more {
                arguments.extend(["--metadata", file]);
            }
            let parent = place.path(&target).parent().unwrap().to_owned();
            std::fs::create_dir_all(parent).unwrap();
            let mut command = place.command(&arguments);
            command
                .env("SOURCE_DATE_EPOCH", jobs)
                .env("TZ", format!("X{jobs}"));
            answer(&mut command).succeeds();
        }
    }
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert_eq!(read("a.tar"), read("elsewhere/b.tar"));
    assert_eq!(read("a.meta"), read("elsewhere/b.meta"));
    let [first, second] = ["a.folder/layers", "elsewhere/b.folder/layers"].map(|name| {
        let mut documents = Vec::new();
        for layer in std::fs::read_dir(place.path(name)).unwrap() {
            let layer = layer.unwrap();
            for document in ["layer.json", "layer-index.jsonl"] {
                let bytes = std::fs::read(layer.path().join(document)).unwrap();
                documents.push((layer.file_name(), document, bytes));
            }
        }
        documents.sort();
        documents
    });
    assert_eq!(first.len(), 6);
    assert!(first == second, "the documents of the layers differ");
}
