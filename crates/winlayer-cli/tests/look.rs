//! Looking into images, and at what was unpacked from them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::{Answer, Place, keys};
use std::fs;
use std::process::Stdio;

#[test]
fn inspect_shows_layers_and_counts_only_when_asked() {
    let place = Place::with_sample();
    let document = place
        .winlayer(["inspect", "--json", "oci:image"])
        .succeeds()
        .json();
    assert_eq!(
        keys(&document),
        [
            "image",
            "manifest_digest",
            "platform",
            "layers",
            "windows",
            "changes",
            "findings",
            "config"
        ]
    );
    let layers = document["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 3);
    assert_eq!(layers[0]["number"], 1);
    assert!(layers.iter().all(|layer| layer["contents"].is_null()));

    let document = place
        .winlayer(["inspect", "--contents", "--json", "oci:image"])
        .succeeds()
        .json();
    let contents = |number: usize| &document["layers"][number]["contents"];
    assert!(contents(0)["files"].as_u64().unwrap() > 0);
    assert_eq!(contents(0)["whiteouts"], 0);
    assert_eq!(contents(0)["utility_vm"], true);
    let whiteouts = |key: &str| {
        (1..3)
            .map(|layer| contents(layer)[key].as_u64().unwrap())
            .sum::<u64>()
    };
    assert!(whiteouts("whiteouts") > 0);
    assert!(whiteouts("opaque_whiteouts") > 0);

    let words = place
        .winlayer(["inspect", "--contents", "oci:image"])
        .succeeds();
    assert!(words.stdout.contains("windows/amd64 10.0."), "{words:#?}");
    assert!(words.stdout.contains("a utility VM"), "{words:#?}");
}

fn listed(answer: &Answer) -> Vec<String> {
    let document = answer.json();
    let objects = document["objects"].as_array().unwrap();
    objects
        .iter()
        .map(|object| object["path"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn ls_names_the_same_folder_in_every_spelling() {
    let place = Place::with_sample();
    let ls = |path: &str| {
        listed(
            &place
                .winlayer(["ls", "--json", "oci:image", path])
                .succeeds(),
        )
    };
    let expected = ls("Windows");
    assert!(!expected.is_empty());
    for spelling in [
        "C:\\Windows",
        "c:/windows",
        "Files/Windows",
        "\\Windows\\",
        "WINDOWS",
    ] {
        assert_eq!(ls(spelling), expected, "{spelling}");
    }
}

#[test]
fn ls_prints_one_line_an_object() {
    let place = Place::with_sample();
    let document = place
        .winlayer(["ls", "--json", "-R", "oci:image"])
        .succeeds();
    let short = place.winlayer(["ls", "-R", "oci:image"]).succeeds();
    let long = place.winlayer(["ls", "-lR", "oci:image"]).succeeds();
    let paths = listed(&document);
    assert_eq!(short.stdout.lines().collect::<Vec<_>>(), paths);
    assert_eq!(long.stdout.lines().count(), paths.len());
    assert!(paths.len() > 20);
}

#[test]
fn what_is_not_there_is_not_found() {
    let place = Place::with_sample();
    place
        .winlayer(["ls", "oci:image", "C:\\No\\Such"])
        .fails(3)
        .saying(&["No"]);
    place
        .winlayer(["cat", "oci:image", "C:\\No\\Such"])
        .fails(3)
        .saying(&["No"]);
    place.winlayer(["ls", "oci:image", "--layer", "9"]).fails(3);
    place
        .winlayer([
            "unpack",
            "oci:image",
            "t.tar",
            "--to",
            "tar",
            "--layer",
            "9",
        ])
        .fails(3);
    assert!(!place.exists("t.tar"));
}

#[test]
fn cat_writes_the_file_that_a_tree_holds() {
    let place = Place::with_sample();
    place.unpack_json(&["t", "--to", "tree"]);
    let objects = place
        .winlayer(["ls", "--json", "-R", "oci:image"])
        .succeeds()
        .json();
    let files = objects["objects"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|object| {
            object["kind"] == "file" && object["path"].as_str().unwrap().starts_with("Files/")
        });
    let mut compared = 0;
    for object in files.take(25) {
        let path = object["path"].as_str().unwrap();
        let output = place.command(["cat", "oci:image", path]).output().unwrap();
        let expected =
            fs::read(place.path("t").join(path.strip_prefix("Files/").unwrap())).unwrap();
        assert!(output.status.success(), "{path}");
        assert!(output.stdout == expected, "{path}");
        assert_eq!(
            object["size"].as_u64().unwrap(),
            expected.len() as u64,
            "{path}"
        );
        compared += 1;
    }
    assert_eq!(compared, 25);
}

#[test]
fn cat_says_why_there_is_no_content_and_blames_no_layer() {
    let place = Place::with_sample();
    for (path, code, says) in [
        (
            "C:\\Windows",
            1,
            "error: \"Files/Windows\" is a directory\n",
        ),
        (
            "Documents and Settings",
            1,
            "error: \"Files/Documents and Settings\" is a link to \"C:\\Users\"\n",
        ),
        (
            "Windows/win.ini:none",
            3,
            "error: no stream \"none\" of \"Files/Windows/win.ini\"\n",
        ),
    ] {
        place
            .winlayer(["cat", "oci:image", path])
            .fails(code)
            .saying(&[says]);
    }
}

#[test]
fn help_shows_the_limits_defaults() {
    let place = Place::new();
    let help = place.winlayer(["unpack", "--help"]).succeeds().stdout;
    for default in ["4000000", "128GiB", "32767", "1MiB", "27", "5"] {
        assert!(help.contains(&format!("[default: {default}]")), "{default}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let place = Place::with_sample();
    for arguments in [
        &["ls", "-lR", "oci:image"] as &[_],
        &["inspect", "oci:image"],
        &["--help"],
    ] {
        let mut command = place.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let answer = Answer::new(format!("{arguments:?}"), child.wait_with_output().unwrap());
        assert_eq!(answer.succeeds().stderr, "");
    }
}

#[test]
fn nothing_is_coloured_in_a_pipe() {
    let place = Place::with_sample();
    for arguments in [
        &["--help"] as &[_],
        &["unpack", "oci:image", "s"],
        &["ls", "oci:none"],
        &["x"],
    ] {
        let answer = place.winlayer(arguments);
        assert!(
            !answer.stdout.contains('\u{1b}') && !answer.stderr.contains('\u{1b}'),
            "{answer:#?}"
        );
    }
}

// ── what was unpacked ──

#[test]
fn chain_prints_the_folders_topmost_first() {
    let place = Place::with_sample();
    let unpacked = place.unpack_json(&["store"]);
    let expected: Vec<_> = unpacked["chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["path"].as_str().unwrap())
        .collect();
    let answer = place.winlayer(["chain", "store"]).succeeds();
    assert_eq!(answer.stdout.lines().collect::<Vec<_>>(), expected);
    let document = place
        .winlayer(["chain", "--json", "store"])
        .succeeds()
        .json();
    assert_eq!(document["chain"], unpacked["chain"]);
    // The topmost layer's folder leads to the same chain.
    let from_layer = place.winlayer(["chain", expected[0]]).succeeds();
    assert_eq!(from_layer.stdout.lines().count(), 3);
}

#[test]
fn chain_asks_which_image_when_there_are_several() {
    let place = Place::with_sample();
    place.unpack_json(&["store"]);
    place
        .winlayer(["sample", "oci:other", "--files", "3"])
        .succeeds();
    place.winlayer(["unpack", "oci:other", "store"]).succeeds();
    place
        .winlayer(["chain", "store"])
        .fails(2)
        .saying(&["several images", "--image"]);
    let records = ["oci:image", "oci:other"];
    let chains = records.map(|image| {
        place
            .winlayer(["chain", "store", "--image", image])
            .succeeds()
            .stdout
    });
    assert_ne!(chains[0], chains[1]);
    place
        .winlayer(["chain", "store", "--image", "oci:third"])
        .fails(3);
}

#[test]
fn uvm_finds_the_boot_files() {
    let place = Place::with_sample();
    let unpacked = place.unpack_json(&["store"]);
    let document = place.winlayer(["uvm", "--json", "store"]).succeeds().json();
    assert_eq!(document, unpacked["uvm"]);
    assert!(
        document["boot_rel_path"]
            .as_str()
            .unwrap()
            .to_lowercase()
            .ends_with("bootmgfw.efi")
    );
    let words = place.winlayer(["uvm", "store"]).succeeds();
    let boots = r"boots         Windows Server, \Windows\System32\winload.efi";
    assert!(words.stdout.contains(boots), "{words:#?}");
    assert!(words.stdout.contains("boot manager  "), "{words:#?}");
    place
        .winlayer(["uvm", "--processed", "store"])
        .fails(1)
        .saying(&["SystemTemplate.vhdx"]);
}

#[test]
fn verify_accepts_what_unpack_made_and_finds_a_changed_byte() {
    let place = Place::with_sample();
    let unpacked = place.unpack_json(&["store"]);
    place.unpack_json(&["t", "--to", "tree", "--metadata", "t.jsonl"]);
    let verify_tree = ["verify", "t", "--metadata", "t.jsonl"];
    for arguments in [
        &["verify", "oci:image"] as &[_],
        &["verify", "store"],
        &verify_tree,
    ] {
        let answer = place.winlayer(arguments).succeeds();
        assert!(
            answer
                .stdout
                .starts_with(&format!("verified {}: ", arguments[1])),
            "{answer:#?}"
        );
    }
    let document = place
        .winlayer(["verify", "--json", "store"])
        .succeeds()
        .json();
    assert_eq!(keys(&document), ["layers", "entries", "bytes", "seconds"]);
    assert_eq!(document["layers"], 3);

    let top = place
        .root()
        .join(unpacked["chain"][0]["path"].as_str().unwrap())
        .join("Files");
    change_a_byte(&top);
    place
        .winlayer(["verify", "store"])
        .fails(4)
        .saying(&["layer"]);
    change_a_byte(&place.path("t"));
    place.winlayer(verify_tree).fails(4);
}

/// Of the largest file below `dir`.
fn change_a_byte(dir: &std::path::Path) {
    let mut largest = (0, None);
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_file() && metadata.len() > largest.0 {
                largest = (metadata.len(), Some(path));
            }
        }
    }
    let path = largest.1.unwrap();
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
}
