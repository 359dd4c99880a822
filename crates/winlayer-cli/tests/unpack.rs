//! `winlayer unpack`: what it says and what it makes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::snapshot::{assert_same, published, snapshot};
use common::{Place, keys};
use serde_json::Value;
use std::fs;
use winlayer_testkit::{LayoutBuilder, RawTar};

#[test]
fn unpack_tells_all_in_json() {
    let place = Place::with_sample();
    let document = place.unpack_json(&["store"]);
    assert_eq!(
        keys(&document),
        [
            "image",
            "manifest_digest",
            "platform",
            "target",
            "root",
            "chain",
            "layers",
            "uvm",
            "warnings",
            "seconds",
        ]
    );
    assert_eq!(document["target"], "folder");
    assert!(document["image"].as_str().unwrap().starts_with("oci:image"));
    assert!(
        document["manifest_digest"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
    assert_eq!(document["platform"]["os"], "windows");
    assert_eq!(document["platform"]["architecture"], "amd64");

    let layers = document["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 3);
    for layer in layers {
        assert_eq!(
            keys(layer),
            [
                "digest",
                "diff_id",
                "chain_id",
                "media_type",
                "compressed_bytes",
                "uncompressed_bytes",
                "entries",
                "seconds",
                "reused",
            ]
        );
        assert_eq!(layer["reused"], false);
        assert!(layer["entries"].as_u64().unwrap() > 0);
        assert!(layer["uncompressed_bytes"].as_u64().unwrap() >= 1024);
    }

    // Topmost first, and each folder exists.
    let chain = document["chain"].as_array().unwrap();
    assert_eq!(chain.len(), 3);
    for (link, layer) in chain.iter().zip(layers.iter().rev()) {
        assert_eq!(keys(link), ["id", "path"]);
        assert_eq!(link["id"], layer["chain_id"]);
        assert!(
            place
                .root()
                .join(link["path"].as_str().unwrap())
                .join("layer.json")
                .is_file()
        );
    }
    let uvm = &document["uvm"];
    assert_eq!(
        keys(uvm),
        [
            "uvm_layer_dir",
            "os_files_dir",
            "system_template_vhdx",
            "boot_rel_path"
        ]
    );
}

#[test]
fn unpack_reuses_what_is_there() {
    let place = Place::with_sample();
    let first = place.unpack_json(&["store"]);
    let before = snapshot(&place.path("store"));
    let second = place.unpack_json(&["store"]);
    assert_same(&snapshot(&place.path("store")), &before);
    for layer in second["layers"].as_array().unwrap() {
        assert_eq!(layer["reused"], true);
    }
    assert_eq!(first["chain"], second["chain"]);
    let words = place.winlayer(["unpack", "oci:image", "store"]).succeeds();
    assert!(
        words.stdout.contains("everything was there already"),
        "{words:#?}"
    );
}

#[test]
fn unpack_says_in_words_what_it_did() {
    let place = Place::with_sample();
    let answer = place.winlayer(["unpack", "oci:image", "store"]).succeeds();
    let names: Vec<_> = answer
        .stdout
        .lines()
        .map(|line| line.split("  ").next().unwrap())
        .collect();
    assert_eq!(
        names[..9],
        [
            "image",
            "manifest",
            "platform",
            "layer 1",
            "layer 2",
            "layer 3",
            "folder",
            "top layer",
            "utility VM",
        ],
        "{answer:#?}"
    );
    assert!(
        answer
            .stdout
            .lines()
            .last()
            .unwrap()
            .starts_with("unpacked 3 layers, "),
        "{answer:#?}"
    );
    assert!(
        answer.stderr.contains("layer 2 of 3 (sha256:"),
        "progress lines: {answer:#?}"
    );
}

#[test]
fn quiet_leaves_it_to_the_exit_code() {
    let place = Place::with_sample();
    for arguments in [
        &["unpack", "-q", "oci:image", "store"] as &[_],
        &["unpack", "-q", "oci:image", "t", "--to", "tree"],
        &["verify", "-q", "store"],
        &["sample", "-q", "oci:other"],
    ] {
        let answer = place.winlayer(arguments).succeeds();
        assert_eq!(
            (answer.stdout.as_str(), answer.stderr.as_str()),
            ("", ""),
            "{answer:#?}"
        );
    }
}

#[test]
fn tree_and_tar_have_no_chain() {
    let place = Place::with_sample();
    for (to, dest) in [("tree", "t"), ("tar", "t.tar")] {
        let document = place.unpack_json(&[dest, "--to", to]);
        assert_eq!(document["target"], to);
        assert_eq!(document["chain"], serde_json::json!([]));
        assert_eq!(document["uvm"], Value::Null);
    }
}

#[test]
fn a_tree_goes_only_into_an_empty_directory() {
    let place = Place::with_sample();
    fs::create_dir(place.path("t")).unwrap();
    fs::write(place.path("t/mine"), "precious").unwrap();
    place
        .winlayer(["unpack", "oci:image", "t", "--to", "tree"])
        .fails(1)
        .saying(&["empty"]);
    assert_eq!(fs::read_dir(place.path("t")).unwrap().count(), 1);
}

#[test]
fn the_same_image_gives_the_same_bytes() {
    let place = Place::with_sample();
    for copy in ["a", "b"] {
        let name = |what: &str| format!("{what}-{copy}");
        place
            .winlayer(["sample", &format!("oci:{}", name("image"))])
            .succeeds();
        place.unpack_json(&[&name("store")]);
        place.unpack_json(&[
            &name("tree"),
            "--to",
            "tree",
            "--metadata",
            &name("metadata"),
        ]);
        place.unpack_json(&[&name("uvm"), "--to", "tree", "--utility-vm"]);
        place.unpack_json(&[&name("merged.tar"), "--to", "tar"]);
        place.unpack_json(&[&name("layer.tar"), "--to", "tar", "--layer", "2"]);
    }
    for what in ["image", "tree", "uvm"] {
        let [a, b] = ["a", "b"].map(|copy| snapshot(&place.path(&format!("{what}-{copy}"))));
        assert!(!a.is_empty(), "{what}");
        assert_same(&a, &b);
    }
    assert_same(
        &published(&place.path("store-a")),
        &published(&place.path("store-b")),
    );
    for what in ["metadata", "merged.tar", "layer.tar"] {
        let [a, b] =
            ["a", "b"].map(|copy| fs::read(place.path(&format!("{what}-{copy}"))).unwrap());
        assert!(!a.is_empty() && a == b, "{what}");
    }
}

#[test]
fn the_number_of_jobs_changes_nothing() {
    let place = Place::with_sample();
    place.unpack_json(&["one", "--jobs", "1"]);
    place.unpack_json(&["eight", "--jobs", "8"]);
    assert_same(
        &published(&place.path("one")),
        &published(&place.path("eight")),
    );
}

#[test]
fn a_lone_layer_keeps_its_number() {
    let place = Place::new();
    let tar = || RawTar::new().dir("Files");
    let tars = [tar().finish(), tar().finish(), tar().without_end()];
    LayoutBuilder::of(tars).write(place.path("image"));
    let document = place.unpack_json(&["3.tar", "--to", "tar", "--layer", "3"]);
    let warnings = document["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].as_str().unwrap().starts_with("layer 3: "));
    let said = place.winlayer([
        "unpack",
        "oci:image",
        "again.tar",
        "--to",
        "tar",
        "--layer",
        "3",
    ]);
    let said = said.succeeds();
    let said = [said.stdout, said.stderr].concat();
    assert!(
        said.contains("layer 3") && !said.contains("layer 1"),
        "{said}"
    );
}
