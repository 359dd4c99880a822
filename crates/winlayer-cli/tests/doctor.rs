//! `winlayer doctor`, and the findings that follow an error.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::{Place, keys};
use serde_json::Value;
use std::fs;

/// The findings as `severity check`.
fn said(document: &Value) -> Vec<String> {
    let findings = document["findings"].as_array().unwrap();
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    findings
        .iter()
        .map(|finding| format!("{} {}", word(finding, "severity"), word(finding, "check")))
        .collect()
}

#[test]
fn needs_no_arguments_and_leaves_nothing_behind() {
    let place = Place::new();
    let answer = place.winlayer(["doctor"]);
    let code = answer.code;
    assert!(matches!(code, Some(0 | 1)), "{answer:#?}");
    assert!(answer.stdout.contains("destination: "), "{answer:#?}");
    assert_eq!(answer.stderr, "");
    let problems = answer
        .stdout
        .lines()
        .any(|line| line.starts_with("problem "));
    assert_eq!(problems, code == Some(1), "{answer:#?}");
    assert_eq!(fs::read_dir(place.root()).unwrap().count(), 0);
}

#[test]
fn answers_with_one_json_document() {
    let place = Place::new();
    let document = place.winlayer(["doctor", "--json", "new"]).json();
    assert_eq!(keys(&document), ["dest", "image", "worst", "findings"]);
    assert!(document["dest"].as_str().unwrap().ends_with("new"));
    assert_eq!(
        keys(&document["findings"][0]),
        ["severity", "check", "looked_at", "found", "remedy"]
    );
    assert!(
        said(&document).contains(&"ok destination".to_owned()),
        "{document:#}"
    );
    assert!(!place.exists("new"));
}

#[test]
fn a_file_where_something_is_to_be_unpacked_is_a_problem() {
    let place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    let answer = place.winlayer(["doctor", "--json", "file"]);
    assert_eq!(answer.code, Some(1), "{answer:#?}");
    let document = answer.json();
    assert_eq!(document["worst"], "problem");
    assert!(said(&document).contains(&"problem destination".to_owned()));
    assert_eq!(answer.stderr, "", "the answer is bad news, not an error");
}

#[test]
fn compares_the_room_with_what_an_image_takes() {
    let place = Place::with_sample();
    let space = |arguments: &[&str]| {
        let document = place.winlayer(arguments).json();
        let findings = document["findings"].as_array().unwrap().clone();
        let space = findings
            .into_iter()
            .find(|found| found["check"] == "free-space");
        space.unwrap()["found"].as_str().unwrap().to_owned()
    };
    let doctor = ["doctor", "--json", "store", "--image", "oci:image"];
    let found = space(&doctor);
    assert!(found.contains("takes about"), "{found}");
    assert!(!found.contains("there already"), "{found}");
    let unpack = ["unpack", "oci:image", "store", "--to", "folder"];
    place.winlayer(unpack).succeeds();
    let found = space(&doctor);
    assert!(
        found.ends_with("3 of its layers are there already"),
        "{found}"
    );
}

#[test]
fn an_image_that_is_not_there_is_an_error() {
    let place = Place::new();
    place
        .winlayer(["doctor", "--image", "oci:nothing"])
        .fails(3)
        .saying(&["error: cannot open the OCI layout nothing\n"]);
}

#[test]
fn an_error_about_the_image_is_not_explained_by_the_machine() {
    let place = Place::new();
    let answer = place
        .winlayer(["unpack", "--json", "oci:nothing", "store"])
        .fails(3);
    assert_eq!(
        keys(&answer.json()["error"]),
        ["kind", "message", "causes", "hint"]
    );
}

/// As a user who may not write there; root may write anywhere.
#[cfg(target_os = "linux")]
#[test]
fn an_unpack_that_fails_for_the_machine_appends_what_explains_it() {
    let place = Place::with_sample();
    // A file where the store should be fails for everybody.
    fs::write(place.path("file"), "").unwrap();
    let arguments = ["unpack", "oci:image", "file/store"];
    place.winlayer(arguments).fails(1).saying(&[
        "error: ",
        "found on this machine:\nproblem  destination: ",
        "\n         -> choose a folder that user ",
    ]);
    let document = place
        .winlayer(["unpack", "--json", "oci:image", "file/store"])
        .fails(1)
        .json();
    let error = &document["error"];
    assert_eq!(
        keys(error),
        ["kind", "message", "causes", "hint", "findings"]
    );
    assert_eq!(said(error), ["problem destination"]);
}
