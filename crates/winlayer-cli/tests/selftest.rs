//! `winlayer selftest`, as far as it goes without Windows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::Place;
#[cfg(not(windows))]
use common::keys;
use std::fs;

// On Windows the further steps need the platform: `finished_layers.rs` takes them with its doubles.
#[cfg(not(windows))]
#[test]
fn tells_every_step_writes_a_report_and_cleans_up() {
    let place = Place::with_sample();
    let answer = place
        .winlayer(["selftest", "--dest", "try", "--image", "oci:image"])
        .succeeds();
    assert!(
        answer.stdout.contains("ok      sample: verify the tree: "),
        "{answer:#?}"
    );
    assert!(
        answer
            .stdout
            .contains("ok      oci:image: compare the tree with the merged tar: "),
        "{answer:#?}"
    );
    assert!(answer.stdout.contains("all went well"), "{answer:#?}");
    assert!(answer.stdout.contains("left out: "), "{answer:#?}");
    assert_eq!(fs::read_dir(place.path("try")).unwrap().count(), 0);
    let report = fs::read(place.path("winlayer-selftest.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(
        keys(&report),
        [
            "winlayer", "system", "findings", "steps", "left_out", "seconds"
        ]
    );
}

#[cfg(not(windows))]
#[test]
fn keeps_what_it_made_when_told() {
    let place = Place::new();
    let arguments = [
        "selftest", "--json", "--keep", "--dest", "try", "--report", "r.json",
    ];
    let document = place.winlayer(arguments).succeeds().json();
    assert!(document["steps"].as_array().unwrap().len() > 8);
    assert!(place.exists("try/sample/folder/winlayer-store.json"));
    assert!(place.exists("r.json"));
}

#[test]
fn takes_only_an_empty_directory() {
    let place = Place::new();
    fs::create_dir(place.path("try")).unwrap();
    fs::write(place.path("try/mine"), "mine").unwrap();
    place.winlayer(["selftest", "--dest", "try"]).fails(2);
    assert!(place.exists("try/mine"));
}
