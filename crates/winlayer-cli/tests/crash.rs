//! A store survives what happens to the processes that write it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::snapshot::{Snapshot, assert_same, published};
use common::{Answer, Place};
use std::fs;
use std::process::Child;
use std::thread;
use std::time::Instant;

const UNPACK: [&str; 4] = ["unpack", "--json", "oci:image", "store"];

fn finish(child: Child) -> Answer {
    Answer::new("unpack".to_owned(), child.wait_with_output().unwrap())
}

fn clean_store(place: &Place) -> Snapshot {
    place.winlayer(["unpack", "oci:image", "clean"]).succeeds();
    published(&place.path("clean"))
}

#[test]
fn two_processes_share_the_work_of_one_store() {
    let place = Place::with_big_sample();
    let clean = clean_store(&place);
    let children = [place.start(UNPACK), place.start(UNPACK)];
    let [first, second] = children.map(|child| finish(child).succeeds().json());
    assert_eq!(first["chain"], second["chain"]);
    for layer in 0..3 {
        let reused = [&first, &second]
            .map(|document| document["layers"][layer]["reused"].as_bool().unwrap());
        assert!(
            reused[0] != reused[1],
            "layer {}: reused {reused:?}",
            layer + 1
        );
    }
    assert_same(&published(&place.path("store")), &clean);
    assert_no_garbage(&place);
}

#[test]
fn a_killed_unpack_leaves_no_half_layer_and_the_next_one_finishes() {
    let place = Place::with_big_sample();
    let clean = clean_store(&place);
    let mut killed = 0;
    for moment in MOMENTS {
        killed += usize::from(kill_at(&place, moment));
        // Whatever is published is whole.
        let layers: Vec<_> = list(&place, "store/layers");
        let whole = |path: &str| {
            layers
                .iter()
                .any(|layer| path.starts_with(&format!("layers/{layer}")))
        };
        let expected = clean.iter().filter(|(path, _)| whole(path));
        let expected = expected
            .map(|(path, what)| (path.clone(), what.clone()))
            .collect();
        let mut found = published(&place.path("store"));
        found.retain(|path, _| path.starts_with("layers/"));
        assert_same(&without_links(found), &without_links(expected));

        place.winlayer(UNPACK).succeeds();
        assert_same(&published(&place.path("store")), &clean);
        assert_no_garbage(&place);
        fs::remove_dir_all(place.path("store")).unwrap();
    }
    assert!(
        killed >= 4,
        "only {killed} of {} were killed in the middle",
        MOMENTS.len()
    );
}

/// Which names share a file differs while a layer that will share more of them is missing.
fn without_links(mut snapshot: Snapshot) -> Snapshot {
    for what in snapshot.values_mut() {
        if let Some(end) = what.find(" inode of ") {
            what.truncate(end);
        }
    }
    snapshot
}

/// When to kill: as soon as this holds of the store.
const MOMENTS: [fn(&Place) -> bool; 6] = [
    |place| place.exists("store"),
    |place| !list(place, "store/ingest").is_empty(),
    |place| written(place) > 20,
    |place| written(place) > 300,
    |place| !list(place, "store/layers").is_empty(),
    |place| list(place, "store/layers").len() > 1,
];

/// Files of the layers being built.
fn written(place: &Place) -> usize {
    let ingest = place.path("store/ingest");
    // Layers are renamed while one looks; what is gone does not count.
    let mut folders = vec![ingest];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => files += 1,
            }
        }
    }
    files
}

/// Whether it was still at work.
fn kill_at(place: &Place, moment: fn(&Place) -> bool) -> bool {
    let mut child = place.start(UNPACK);
    while !moment(place) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
    }
    let busy = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    busy
}

#[test]
fn a_killed_tree_or_tar_does_not_look_finished() {
    let place = Place::with_big_sample();
    let started = Instant::now();
    place
        .winlayer(["unpack", "oci:image", "whole.tar", "--to", "tar"])
        .succeeds();
    let half = started.elapsed() / 2;
    let mut child = place.start(["unpack", "oci:image", "half.tar", "--to", "tar"]);
    thread::sleep(half);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    if !status.success() {
        assert!(
            !place.exists("half.tar"),
            "a tar under its final name is whole"
        );
    }
    place
        .winlayer(["unpack", "oci:image", "half.tar", "--to", "tar"])
        .succeeds();
    assert!(
        fs::read(place.path("half.tar")).unwrap() == fs::read(place.path("whole.tar")).unwrap()
    );
}

#[test]
fn what_a_killed_tree_left_is_removed_by_the_next_one() {
    let place = Place::with_big_sample();
    let arguments = ["unpack", "oci:image", "out/tree", "--to", "tree"];
    let mut child = place.start(arguments);
    while list(&place, "out").is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "ended too early");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = list(&place, "out");
    assert!(
        left.len() == 1 && left[0].starts_with(".tree.winlayer-ingest-"),
        "{left:?}"
    );
    place.winlayer(arguments).succeeds();
    assert_eq!(list(&place, "out"), ["tree"]);
}

fn list(place: &Place, dir: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(place.path(dir)) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[track_caller]
fn assert_no_garbage(place: &Place) {
    for dir in ["store/ingest", "store/locks"] {
        assert_eq!(list(place, dir), Vec::<String>::new(), "{dir}");
    }
}
