//! `winlayer layer` and `--to hcs`: everywhere the same arguments, only on Windows the work.

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
use std::fs;

const COMMANDS: [&str; 7] = [
    "import",
    "export",
    "create-scratch",
    "mount",
    "unmount",
    "destroy",
    "make-base",
];

#[test]
fn help_of_every_command_has_examples_with_its_name() {
    let place = Place::new();
    let overview = place.winlayer(["layer", "--help"]).succeeds();
    for command in COMMANDS {
        assert!(
            overview.stdout.contains(&format!("\n  {command} ")),
            "{overview:#?}"
        );
        let help = place.winlayer(["layer", command, "--help"]).succeeds();
        let example = format!("\n  winlayer layer {command} ");
        assert!(help.stdout.contains("Examples:\n"), "{}", help.stdout);
        assert!(help.stdout.contains(&example), "{}", help.stdout);
    }
}

#[cfg(not(windows))]
#[test]
fn elsewhere_every_command_says_what_can_be_done_instead() {
    let place = Place::new();
    for name in ["base", "top"] {
        fs::create_dir(place.path(name)).unwrap();
    }
    let cases: [(&[&str], &str); 7] = [
        (&["import", "store", "dest"], "unpack --to folder"),
        (&["export", "top", "layer.tar"], "unpack --to tar"),
        (&["create-scratch", "s", "-p", "base"], "unpack --to tree"),
        (&["mount", "top"], "unpack --to tree"),
        (&["unmount", "top"], "nothing can be mounted here"),
        (&["destroy", "top"], "like any other folder"),
        (&["make-base", "top"], "copy the folder to Windows"),
    ];
    for (arguments, hint) in cases {
        let message = format!("error: layer {} needs Windows\nhint: ", arguments[0]);
        let arguments = [&["layer"], arguments].concat();
        place
            .winlayer(&arguments)
            .fails(1)
            .saying(&[&message, hint]);
    }
    assert_eq!(fs::read_dir(place.root()).unwrap().count(), 2);
}

#[test]
fn parents_in_the_wrong_order_are_refused() {
    let place = Place::with_sample();
    let unpacked = place.unpack_json(&["store", "--to", "folder"]);
    let layer = |index: usize| unpacked["chain"][index]["path"].as_str().unwrap();
    let (top, middle, base) = (layer(0), layer(1), layer(2));
    place
        .winlayer(["layer", "create-scratch", "s", "-p", base, "-p", middle])
        .fails(2)
        .saying(&["hint: give the immediate parent first and the base last"]);
    place
        .winlayer(["layer", "mount", "store", "-p", top, "-p", base])
        .fails(2);
    place
        .winlayer(["layer", "create-scratch", "s", "-p", "missing"])
        .fails(3);
}

#[cfg(not(windows))]
#[test]
fn layers_are_not_finished_elsewhere() {
    let place = Place::with_sample();
    place
        .winlayer(["unpack", "oci:image", "store", "--to", "hcs"])
        .fails(1)
        .saying(&[
            "error: --to hcs needs Windows\n",
            "hint: unpack with --to folder here, and on Windows: winlayer layer import",
        ]);
    assert!(!place.exists("store"));
}
