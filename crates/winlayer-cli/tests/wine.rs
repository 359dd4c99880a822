//! `winlayer.exe` in Wine does what `winlayer` does here, byte for byte.
//!
//! Started by `cargo xtask test`, which builds the exe and says in WINLAYER_EXE where it is. What
//! Wine cannot do differs on purpose: it makes no links, so the tree has stand-ins and says so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::{Answer, Place, answer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the exe in `place`. A process that hangs is ended and fails.
fn windows(place: &Place, arguments: &[&str]) -> Answer {
    let exe = std::env::var_os("WINLAYER_EXE").expect("WINLAYER_EXE: cargo xtask test sets it");
    answer(
        Command::new("timeout")
            .args(["--kill-after=5", "120", "winlayer-wine"])
            .arg(exe)
            .args(arguments)
            .current_dir(place.root())
            .stdin(Stdio::null()),
    )
}

/// Both give the same answer to `arguments`.
#[track_caller]
fn same_answer(place: &Place, arguments: &[&str]) -> String {
    let here = place.winlayer(arguments).succeeds();
    let there = windows(place, arguments).succeeds();
    assert_eq!(
        there.stdout.replace("winlayer.exe", "winlayer"),
        here.stdout
    );
    here.stdout
}

#[test]
fn it_starts_and_explains_itself() {
    let place = Place::new();
    assert!(same_answer(&place, &["--version"]).starts_with("winlayer "));
    for command in ["", "inspect", "ls", "cat", "unpack", "verify"] {
        let arguments: Vec<&str> = [command, "--help"]
            .into_iter()
            .filter(|a| !a.is_empty())
            .collect();
        assert!(same_answer(&place, &arguments).contains("Usage: winlayer"));
    }
    windows(&place, &["no-such-command"]).fails(2);
    windows(&place, &["inspect", "oci:none"]).fails(3);
}

#[test]
fn it_makes_the_same_sample_image() {
    let place = Place::with_sample();
    windows(&place, &["sample", "oci:other"]).succeeds();
    assert_eq!(
        contents(&place.path("other")),
        contents(&place.path("image"))
    );
}

#[test]
fn it_inspects_lists_and_prints() {
    let place = Place::with_sample();
    same_answer(&place, &["inspect", "oci:image"]);
    same_answer(&place, &["inspect", "--json", "oci:image"]);
    same_answer(&place, &["ls", "oci:image"]);
    same_answer(&place, &["ls", "--json", "oci:image"]);
    let printed = same_answer(&place, &["cat", "oci:image", "Files/app/appsettings.json"]);
    assert!(!printed.is_empty());
    windows(&place, &["verify", "oci:image"]).succeeds();
}

#[test]
fn it_unpacks_the_same_layer_folders() {
    let place = Place::with_sample();
    let unpack = ["unpack", "oci:image", "--to"];
    place
        .winlayer([&unpack[..], &["folder", "here"]].concat())
        .succeeds();
    windows(&place, &[&unpack[..], &["folder", "there"]].concat()).succeeds();
    let [here, there] = ["here", "there"].map(|name| contents(&place.path(name)));
    same_files(&there, &here, |path| path.ends_with("layerchain.json"));
    for (path, chain) in here
        .iter()
        .filter(|(path, _)| path.ends_with("layerchain.json"))
    {
        assert_eq!(parents(&there[path]), parents(chain), "{path}");
    }
    // What was made here is whole for Windows too, and is not unpacked again.
    windows(&place, &["verify", "here"]).succeeds();
    windows(&place, &[&unpack[..], &["folder", "here"]].concat()).succeeds();
    assert_eq!(contents(&place.path("here")), here);
}

#[test]
fn it_unpacks_the_same_tree_but_for_links() {
    let place = Place::with_sample();
    let unpack = |run: &dyn Fn(&[&str]) -> Answer, root: &str| {
        let (to, metadata) = (["--to", "tree", root], format!("{root}.jsonl"));
        let more = ["--json", "--metadata", &metadata];
        run(&[&["unpack", "oci:image"], &to[..], &more].concat()).succeeds()
    };
    unpack(&|arguments| place.winlayer(arguments), "here");
    let said = unpack(&|arguments| windows(&place, arguments), "there").json();

    let [here, there] = ["here.jsonl", "there.jsonl"].map(|name| records(&place.path(name)));
    assert_eq!(there.len(), here.len());
    let mut links = 0;
    for (path, expected) in &here {
        let (mut found, mut expected) = (there[path].clone(), expected.clone());
        if expected["reparse"]["stands_as"]["symlink"].is_string() {
            links += 1;
            assert_ne!(found, expected, "{path}: Wine makes no links");
            found["reparse"]["stands_as"].take();
            expected["reparse"]["stands_as"].take();
        }
        assert_eq!(found, expected, "{path}");
    }
    assert!(links > 0, "the sample has links");
    let [here, there] = ["here", "there"].map(|name| contents(&place.path(name)));
    same_files(&there, &here, |_| false);
    let warned = format!("{links} links could not be made here");
    let warnings = said["warnings"].as_array().unwrap();
    let is_it = |warning: &Value| warning.as_str().unwrap().starts_with(&warned);
    assert!(warnings.iter().any(is_it), "{warned:?}: {warnings:?}");
    windows(&place, &["verify", "there", "--metadata", "there.jsonl"]).succeeds();
}

#[test]
fn it_unpacks_the_same_tar() {
    let place = Place::with_sample();
    let unpack = ["unpack", "oci:image", "--to", "tar"];
    place
        .winlayer([&unpack[..], &["here.tar"]].concat())
        .succeeds();
    windows(&place, &[&unpack[..], &["there.tar"]].concat()).succeeds();
    let [here, there] = ["here.tar", "there.tar"].map(|name| fs::read(place.path(name)).unwrap());
    assert!(here == there, "the tars differ");
}

#[test]
fn nothing_is_left_of_an_image_that_is_damaged() {
    let place = Place::with_sample();
    let blobs = fs::read_dir(place.path("image/blobs/sha256")).unwrap();
    let largest = blobs
        .map(|blob| blob.unwrap().path())
        .max_by_key(|blob| fs::metadata(blob).unwrap().len())
        .unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&largest, bytes).unwrap();
    for target in ["folder", "tree", "tar"] {
        windows(&place, &["unpack", "oci:image", "--to", target, "dest"]).fails(4);
        let mut left: Vec<_> = fs::read_dir(place.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name != "image")
            .collect();
        // Whole layers below the damaged one stay in a store.
        if target == "folder" && place.exists("dest") {
            let building = fs::read_dir(place.path("dest/ingest")).unwrap();
            assert_eq!(
                building
                    .filter(|e| e.as_ref().unwrap().path().is_dir())
                    .count(),
                0
            );
            fs::remove_dir_all(place.path("dest")).unwrap();
            left.retain(|name| name != "dest");
        }
        assert!(left.is_empty(), "{target}: {left:?}");
    }
}

/// What every file below `root` holds, and the names and times of all; a link is no file.
fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// `found` has the files of `expected`; beyond them only empty stand-ins.
#[track_caller]
fn same_files(
    found: &BTreeMap<String, Vec<u8>>,
    expected: &BTreeMap<String, Vec<u8>>,
    skip: impl Fn(&str) -> bool,
) {
    for (path, content) in expected.iter().filter(|(path, _)| !skip(path)) {
        let found = found
            .get(path)
            .unwrap_or_else(|| panic!("{path} is missing"));
        assert!(found == content, "{path} differs");
    }
    for (path, content) in found
        .iter()
        .filter(|(path, _)| !expected.contains_key(*path))
    {
        assert!(content.is_empty(), "{path} should not be there");
    }
}

/// The last components of the folders in a layerchain.json, whichever the separators.
fn parents(json: &[u8]) -> Vec<String> {
    let folders: Vec<String> = serde_json::from_slice(json).unwrap();
    let last = |folder: &String| folder.rsplit(['/', '\\']).next().unwrap().to_owned();
    folders.iter().map(last).collect()
}

/// The lines of a metadata file by path.
fn records(path: &Path) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| (line["path"].as_str().unwrap().to_owned(), line))
        .collect()
}
