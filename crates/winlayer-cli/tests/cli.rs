//! The command line as people and scripts see it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::{Place, keys};
use std::fs;

const COMMANDS: [&str; 16] = [
    "unpack",
    "inspect",
    "reg",
    "reg-diff",
    "ls",
    "cat",
    "verify",
    "chain",
    "uvm",
    "layer",
    "doctor",
    "selftest",
    "sample",
    "demo",
    "completions",
    "man",
];

// ── help and usage ──

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let help = Place::new().winlayer(["--help"]).succeeds();
    for command in COMMANDS {
        assert!(
            help.stdout.contains(&format!("\n  {command} ")),
            "{command}: {}",
            help.stdout
        );
    }
    assert!(help.stdout.contains("5 refused as unsafe or over a limit"));
    assert_eq!(help.stderr, "");
}

#[test]
fn help_of_every_command_has_examples_with_its_name() {
    let place = Place::new();
    for command in COMMANDS {
        let help = place.winlayer([command, "--help"]).succeeds();
        assert!(help.stdout.contains("Examples:\n"), "{}", help.stdout);
        assert!(
            help.stdout.contains(&format!("\n  winlayer {command}")),
            "{}",
            help.stdout
        );
    }
}

#[test]
fn usage_errors_exit_with_2_and_write_nothing() {
    let place = Place::new();
    let cases: &[&[&str]] = &[
        &["explode"],
        &["unpack"],
        &["unpack", "oci:image"],
        &["unpack", "oci:image", "store", "--hcs-family", "wclayer"],
        &[
            "unpack",
            "i",
            "t",
            "--to",
            "tree",
            "--hcs-family",
            "vmcompute",
        ],
        &["unpack", "oci:image", "store", "--to", "iso"],
        &["unpack", "oci:image", "store", "--metadata", "m"],
        &["unpack", "oci:image", "store", "--utility-vm"],
        &["unpack", "oci:image", "store", "--layer", "1"],
        &["unpack", "oci:image", "t", "--to", "tree", "--layer", "1"],
        &["unpack", "oci:image", "t", "--to", "tar", "--layer", "0"],
        &["unpack", "oci:image", "store", "--jobs", "0"],
        &[
            "unpack",
            "oci:image",
            "store",
            "--limit-unpacked-bytes",
            "much",
        ],
        &["unpack", "oci:image", "store", "--platform", "windows"],
        &["unpack", "", "store"],
        &["unpack", "docker://", "store"],
        &["sample", "docker://127.0.0.1:1/a"],
        &["sample", "oci:image", "--bytes", "1MiB"],
        &["verify", "oci:image", "--metadata", "m"],
        &["cat", "oci:image", "a", "--json"],
        &["layer", "explode"],
        &["layer", "import", "store"],
        &["layer", "create-scratch", "scratch"],
        &["layer", "export", "l", "f", "--gzip", "--zstd"],
        &["layer", "create-scratch", "s", "-p", "p", "--size", "big"],
        &["layer", "mount"],
        &["doctor", "a", "b"],
        &["selftest", "--image", ""],
        &["completions", "bash", "--json"],
        &["completions", "cobol"],
    ];
    for case in cases {
        place.winlayer(*case).fails(2);
    }
    assert_eq!(fs::read_dir(place.root()).unwrap().count(), 0);
}

#[test]
fn a_missing_image_is_named_for_what_it_should_be() {
    let place = Place::new();
    for (image, message) in [
        ("oci:nothing", "error: cannot open the OCI layout nothing\n"),
        (
            "oci-archive:nothing",
            "error: cannot open the archive nothing\n",
        ),
        (
            "docker-archive:nothing",
            "error: cannot open the archive nothing\n",
        ),
    ] {
        place
            .winlayer(["inspect", image])
            .fails(3)
            .saying(&[message, "hint: "]);
    }
}

#[test]
fn errors_are_json_documents_when_asked_for() {
    let place = Place::new();
    for (arguments, code, kind) in [
        (&["unpack", "--json"] as &[_], 2, "usage"),
        (&["chain", "--json", "nothing"], 3, "not-found"),
        (
            &["unpack", "--json", "oci:nothing", "store"],
            3,
            "not-found",
        ),
        (&["cat", "--json", "oci:image", "a"], 2, "usage"),
    ] {
        let answer = place.winlayer(arguments).fails(code);
        let document = answer.json();
        assert_eq!(keys(&document), ["error"]);
        let error = &document["error"];
        assert_eq!(keys(error), ["kind", "message", "causes", "hint"]);
        assert_eq!(error["kind"], kind);
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty())
        );
        assert!(error["causes"].is_array());
    }
}

#[test]
fn a_layout_is_not_taken_for_something_unpacked() {
    let place = Place::with_sample();
    place
        .winlayer(["verify", "image"])
        .fails(2)
        .saying(&["OCI layout", "hint: verify oci:image"]);
}

// ── the rest ──

#[test]
fn completions_and_man_pages_know_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.winlayer(["completions", shell]).succeeds().stdout;
        assert!(
            COMMANDS.iter().all(|command| script.contains(command)),
            "{shell}"
        );
    }
    place.winlayer(["man", "pages/man1"]).succeeds();
    let page = fs::read_to_string(place.path("pages/man1/winlayer.1")).unwrap();
    assert!(page.contains(".TH winlayer 1"));
    for command in COMMANDS {
        let page =
            fs::read_to_string(place.path(&format!("pages/man1/winlayer-{command}.1"))).unwrap();
        assert!(page.contains("Examples:"), "{command}");
    }
}

#[test]
fn demo_shows_every_step_and_cleans_up() {
    let place = Place::new();
    let mut command = place.command(["demo"]);
    fs::create_dir(place.path("tmp")).unwrap();
    let answer = common::answer(command.env("TMPDIR", place.path("tmp"))).succeeds();
    for step in [
        "sample", "inspect", "unpack", "chain", "uvm", "ls", "cat", "verify",
    ] {
        assert!(
            answer.stdout.contains(&format!("\n$ winlayer {step} ")),
            "{step}: {answer:#?}"
        );
    }
    assert_eq!(fs::read_dir(place.path("tmp")).unwrap().count(), 0);
    assert_eq!(answer.stderr, "");
}

#[test]
fn demo_keeps_the_directory_it_was_given_and_takes_only_an_empty_one() {
    let place = Place::new();
    let document = place.winlayer(["demo", "--json", "here"]).succeeds().json();
    assert_eq!(keys(&document), ["directory", "kept", "steps", "seconds"]);
    assert!(place.exists("here/store/layers"));
    place
        .winlayer(["demo", "here"])
        .fails(2)
        .saying(&["not empty"]);
}
