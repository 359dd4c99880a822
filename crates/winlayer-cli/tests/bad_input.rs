//! Bad input gives one clear error and the right exit code, and leaves everything as it was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::Place;
use common::snapshot::{assert_same, snapshot};
use serde_json::json;
use std::fs;
use winlayer_testkit::layout::blob_path;
use winlayer_testkit::{Compression, LayerSpec, Layout, LayoutBuilder, RawTar};

/// A Windows image of these tars, base first, as `oci:image`.
fn image<const N: usize>(place: &Place, tars: [Vec<u8>; N]) -> Layout {
    LayoutBuilder::of(tars).write(place.path("image"))
}

fn image_of_layer(place: &Place, layer: LayerSpec) {
    LayoutBuilder::new()
        .layer_spec(layer)
        .write(place.path("image"));
}

/// A tar of one-byte files, after a `Files` directory.
fn tar(names: &[&str]) -> Vec<u8> {
    let files = names
        .iter()
        .fold(RawTar::new().dir("Files"), |tar, name| tar.file(name, "x"));
    files.finish()
}

/// What a failed unpack into a store may leave.
#[derive(Clone, Copy, PartialEq)]
enum Left {
    Nothing,
    /// The layers below the bad one: whole and verified, of use to the next run.
    WholeLayers,
}

/// Unpacks `oci:image` to every target: each must fail in the same way and leave nothing new.
/// A store that holds another image already must stay as it was.
#[track_caller]
fn refuses(place: &Place, code: i32, saying: &[&str]) {
    refuses_with(place, &[], code, saying, Left::Nothing);
}

#[track_caller]
fn refuses_with(place: &Place, more: &[&str], code: i32, saying: &[&str], left: Left) {
    if !place.exists("store") {
        place
            .winlayer(["sample", "oci:other", "--files", "5"])
            .succeeds();
        place.winlayer(["unpack", "oci:other", "store"]).succeeds();
    }
    let before = snapshot(place.root());
    let targets = [
        &["store"] as &[_],
        &["new-store"],
        &["tree", "--to", "tree", "--metadata", "tree.jsonl"],
        &["image.tar", "--to", "tar"],
    ];
    // Programs take long to start there.
    let step = if cfg!(windows) { 2 } else { 1 };
    for target in targets.into_iter().step_by(step) {
        let arguments = [&["unpack", "oci:image"], target, more].concat();
        let answer = place.winlayer(arguments).fails(code).saying(saying);
        assert_eq!(answer.stdout, "");
        if left == Left::WholeLayers && target.len() == 1 {
            place.winlayer(["verify", target[0]]).succeeds();
        }
        let mut after = snapshot(place.root());
        after.retain(|path, what| before.contains_key(path) || !may_stay(path, what, left));
        assert_same(&after, &before);
        if place.exists("new-store") {
            fs::remove_dir_all(place.path("new-store")).unwrap();
        }
    }
    let arguments = [&["verify", "oci:image"], more].concat();
    place.winlayer(arguments).fails(code);
}

/// Nothing may, but whole layers and the store around them.
fn may_stay(path: &str, what: &str, left: Left) -> bool {
    let empty = what.starts_with("directory");
    left == Left::WholeLayers
        && match path.split('/').collect::<Vec<_>>()[..] {
            ["new-store"] | ["new-store", _] if empty => true,
            ["new-store", "winlayer-store.json"] | ["store" | "new-store", "layers", ..] => true,
            _ => false,
        }
}

// ── damaged ──

#[test]
fn refuses_a_layer_with_a_wrong_digest() {
    for (layer, left) in [(0, Left::Nothing), (2, Left::WholeLayers)] {
        let place = Place::new();
        let layout = image(
            &place,
            ["Files/a", "Files/b", "Files/c"].map(|name| tar(&[name])),
        );
        let path = blob_path(&layout.path, layout.layers[layer].digest);
        let mut blob = fs::read(&path).unwrap();
        // In the last bytes, so that everything before looks right.
        let at = blob.len() - 5;
        blob[at] ^= 0x10;
        fs::write(&path, blob).unwrap();
        refuses_with(
            &place,
            &[],
            4,
            &[&format!("layer {} of 3", layer + 1)],
            left,
        );
    }
}

#[test]
fn refuses_a_blob_that_ends_early_or_late() {
    let place = Place::with_sample();
    let document = place.winlayer(["inspect", "--json", "oci:image"]).json();
    let digest = document["layers"][0]["digest"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let path = blob_path(&place.path("image"), digest);
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    refuses(&place, 4, &["layer 1 of 3"]);
    fs::write(&path, [&good[..], &[0; 512]].concat()).unwrap();
    refuses(&place, 4, &["layer 1 of 3"]);
    fs::remove_file(&path).unwrap();
    refuses(&place, 3, &["layer 1 of 3"]);
}

#[test]
fn refuses_a_truncated_gzip_stream_although_its_digest_is_right() {
    let whole = tar(&["Files/a", "Files/b"]);
    let good = Compression::Gzip.compress(&whole);
    for length in [good.len() - 1, good.len() / 2, 15] {
        let place = Place::new();
        let blob = Some(good[..length].to_vec());
        image_of_layer(
            &place,
            LayerSpec {
                tar: whole.clone(),
                blob,
                ..LayerSpec::default()
            },
        );
        refuses(&place, 4, &["layer 1 of 1"]);
    }
}

#[test]
fn refuses_a_layer_that_is_no_archive() {
    let place = Place::new();
    image(&place, [b"This is not a tar. ".repeat(200)]);
    refuses(&place, 4, &["layer 1 of 1"]);
}

#[test]
fn refuses_a_layer_that_is_not_the_one_the_config_names() {
    let place = Place::new();
    let diff_id = format!("sha256:{:064}", 7);
    let layer = LayerSpec {
        tar: tar(&["Files/a"]),
        diff_id: Some(diff_id.clone()),
        ..LayerSpec::default()
    };
    image_of_layer(&place, layer);
    refuses(&place, 4, &["layer 1 of 1", &diff_id]);
}

#[test]
fn refuses_a_config_that_does_not_match_its_digest() {
    let place = Place::new();
    let layout = image(&place, [tar(&["Files/a"])]);
    let path = blob_path(&layout.path, layout.config);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("amd64", "arm64")).unwrap();
    refuses(&place, 4, &[&layout.config.to_string()]);
}

#[test]
fn refuses_a_config_with_fewer_diff_ids_than_layers() {
    let place = Place::new();
    let rootfs = json!({"type": "layers", "diff_ids": [format!("sha256:{:064}", 7)]});
    let layers = LayoutBuilder::of([tar(&["Files/a"]), tar(&["Files/b"])]);
    layers
        .config_member("rootfs", rootfs)
        .write(place.path("image"));
    refuses(&place, 4, &["2", "1"]);
}

// ── not what was asked for ──

#[test]
fn refuses_a_linux_image() {
    let place = Place::new();
    let layers = LayoutBuilder::of([tar(&["Files/a"])]);
    layers
        .platform("linux", "amd64", "")
        .write(place.path("image"));
    refuses(&place, 3, &["linux", "windows"]);
}

#[test]
fn refuses_another_architecture() {
    let place = Place::with_sample();
    refuses_with(
        &place,
        &["--platform", "windows/arm64"],
        3,
        &["arm64", "amd64"],
        Left::Nothing,
    );
}

#[test]
fn finds_no_missing_tag_and_no_missing_layout() {
    let place = Place::with_sample();
    for (image, says) in [
        ("oci:image:missing", "missing"),
        ("oci:nowhere", "nowhere"),
        ("oci-archive:nowhere.tar", "nowhere.tar"),
        ("docker-archive:nowhere.tar", "nowhere.tar"),
    ] {
        for command in [
            &["unpack", image, "store"] as &[_],
            &["inspect", image],
            &["verify", image],
        ] {
            place.winlayer(command).fails(3).saying(&[says]);
        }
    }
    assert!(!place.exists("store"));
}

// ── dangerous ──

#[test]
fn refuses_names_that_leave_the_layer() {
    for name in [
        "../escaped",
        "Files/../../escaped",
        "/Files/escaped",
        "Files/a/../../../escaped",
    ] {
        let place = Place::new();
        image(&place, [tar(&[name])]);
        refuses(&place, 5, &["layer 1 of 1", name]);
        assert!(!place.exists("../escaped"));
    }
}

#[test]
fn refuses_a_whiteout_in_a_base_layer() {
    let place = Place::new();
    image(&place, [tar(&["Files/.wh.gone"]), tar(&["Files/b"])]);
    refuses(&place, 5, &["layer 1 of 2", "Files/.wh.gone", "base layer"]);
}

#[test]
fn shows_no_escape_codes_of_a_hostile_name() {
    let place = Place::new();
    image(&place, [tar(&["Files/\u{1b}]0;owned\u{7}"])]);
    let answer = place.winlayer(["unpack", "oci:image", "store"]).fails(5);
    assert!(!answer.stderr.contains(['\u{1b}', '\u{7}']), "{answer:#?}");
    assert!(answer.stderr.contains("owned"), "{answer:#?}");
}

#[test]
fn refuses_what_is_over_a_limit_and_names_the_limit() {
    let place = Place::new();
    image(&place, [tar(&["Files/a", "Files/b", "Files/c", "Files/d"])]);
    refuses_with(
        &place,
        &["--limit-entries", "3"],
        5,
        &["layer 1 of 1", "3"],
        Left::Nothing,
    );
    refuses_with(
        &place,
        &["--limit-unpacked-bytes", "2KiB"],
        5,
        &["layer 1 of 1", "2048"],
        Left::Nothing,
    );
    refuses_with(
        &place,
        &["--limit-path-units", "6"],
        5,
        &["layer 1 of 1", "6"],
        Left::Nothing,
    );
}

// ── the machine says no ──

#[cfg(unix)]
mod full_disks {
    use super::common::{Answer, Place, answer, snapshot::snapshot};
    use std::{ffi::OsStr, fs, path::PathBuf, process::Command};

    #[test]
    fn says_that_no_space_is_left() {
        let place = Place::with_big_sample();
        let Some(small) = SmallDisk::mount(&place) else {
            return says_that_files_may_not_grow(&place);
        };
        for target in [
            &["small/store"] as &[_],
            &["small/tree", "--to", "tree"],
            &["small/t", "--to", "tar"],
            &["small/v", "--to", "ntfs"],
            &["small/d", "--to", "vhdx"],
        ] {
            let arguments = [&["unpack", "oci:image"], target].concat();
            place
                .winlayer(arguments)
                .fails(1)
                .saying(&["o space left", "hint: "]);
            let dest = target[0];
            assert!(dest == "small/store" || !place.exists(dest), "{target:?}");
        }
        let left = snapshot(&place.path("small"));
        assert!(left.is_empty(), "{left:?}");
        drop(small);
    }

    /// For people who may not mount: files end at 1 MiB.
    fn says_that_files_may_not_grow(place: &Place) {
        let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"";
        let mut command = Command::new("bash");
        command.args([
            "-c",
            script,
            env!("CARGO_BIN_EXE_winlayer"),
            "unpack",
            "oci:image",
            "t",
            "--to",
            "tar",
        ]);
        let answer: Answer = answer(command.current_dir(place.root()));
        answer.fails(1).saying(&["too large"]);
        assert!(!place.exists("t"));
    }

    /// 4 MiB of memory as a file system, for root.
    struct SmallDisk(PathBuf);

    impl SmallDisk {
        fn mount(place: &Place) -> Option<Self> {
            let dir = place.path("small");
            fs::create_dir(&dir).unwrap();
            let disk = Self(dir);
            let options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs"].map(OsStr::new);
            let mounted = Command::new("mount").args(options).arg(&disk.0).output();
            mounted
                .is_ok_and(|output| output.status.success())
                .then_some(disk)
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            // Not mounted is as good.
            let _ = Command::new("umount").arg(&self.0).output();
        }
    }
}

#[test]
fn says_when_the_destination_cannot_be_one() {
    let place = Place::with_sample();
    fs::write(place.path("file"), "mine").unwrap();
    place
        .winlayer(["unpack", "oci:image", "file"])
        .fails(1)
        .saying(&["file"]);
    place
        .winlayer(["unpack", "oci:image", "file", "--to", "tree"])
        .fails(1)
        .saying(&["file"]);
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "mine");
    fs::create_dir(place.path("full")).unwrap();
    fs::write(place.path("full/mine"), "mine").unwrap();
    place
        .winlayer(["unpack", "oci:image", "full"])
        .fails(1)
        .saying(&["full"]);
    place.winlayer(["verify", "full"]).fails(3);
    place.winlayer(["chain", "full"]).fails(3);
    assert_eq!(fs::read_dir(place.path("full")).unwrap().count(), 1);
}
