//! Disks of ours and of others: looked into, extracted, verified.
//!
//! Needs the packages ntfs-3g, qemu-utils and gdisk, and root for FUSE.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::mount::mounted;
use common::snapshot::{assert_same, snapshot};
use common::{Place, keys};
use rustix::fs::{XattrFlags, lsetxattr};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use winlayer_testkit::LayoutBuilder;

/// The sample image unpacked to `image.vhdx` or `image.ntfs`.
fn with_disk(to: &str) -> Place {
    let place = Place::with_sample();
    let disk = format!("image.{to}");
    place
        .winlayer(["unpack", "-q", "oci:image", &disk, "--to", to])
        .succeeds();
    place
}

/// A tool of somebody else, which must succeed.
#[track_caller]
fn run(place: &Place, program: &str, arguments: &[&str]) {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(place.root());
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    common::answer(&mut command).succeeds();
}

/// A file of zeros.
fn zeros(place: &Place, name: &str, size: u64) {
    fs::File::create(place.path(name))
        .unwrap()
        .set_len(size)
        .unwrap();
}

/// `volume.img`, made by mkntfs and filled by the ntfs-3g driver.
fn foreign_volume(place: &Place, fill: impl FnOnce(&Path)) {
    zeros(place, "volume.img", 32 << 20);
    run(
        place,
        "mkntfs",
        &["-F", "-Q", "-q", "-L", "Foreign", "volume.img"],
    );
    mounted(&place.path("volume.img"), fill);
}

fn write_some_files(root: &Path) {
    fs::create_dir(root.join("Folder")).unwrap();
    fs::write(root.join("Folder/small.txt"), "small").unwrap();
    fs::write(root.join("Folder/small.txt:stream"), "beside").unwrap();
    fs::write(root.join("large.bin"), vec![7; 3 << 20]).unwrap();
    fs::hard_link(root.join("Folder/small.txt"), root.join("again.txt")).unwrap();
}

#[track_caller]
fn has_those_files(place: &Place, disk: &str) {
    let listed = place.winlayer(["ls", "-R", disk]).succeeds().stdout;
    let expected = "Folder\nFolder/small.txt\nagain.txt\nlarge.bin\n";
    assert_eq!(listed, expected, "{disk}");
    let cat = |path: &str| place.winlayer(["cat", disk, path]).succeeds().stdout;
    assert_eq!(cat(r"c:\FOLDER\Small.txt"), "small");
    assert_eq!(cat("/Folder/small.txt:STREAM"), "beside");
    assert_eq!(cat("large.bin").len(), 3 << 20);
}

/// The lines of a metadata file by path, without the layer.
fn records(place: &Place, name: &str) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(place.path(name)).unwrap();
    let lines = text.lines().map(|line| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record.as_object_mut().unwrap().remove("layer");
        // A volume has streams in the order of their names.
        if let Some(streams) = record["streams"].as_array_mut() {
            streams.sort_by_key(|stream| stream["name"].as_str().map(str::to_owned));
        }
        (record["path"].as_str().unwrap().to_owned(), record)
    });
    lines.collect()
}

#[test]
fn a_disk_gives_the_tree_its_image_gives() {
    for to in ["vhdx", "ntfs"] {
        let place = with_disk(to);
        place
            .winlayer([
                "unpack",
                "-q",
                "oci:image",
                "image-tree",
                "--to",
                "tree",
                "--metadata",
                "image.jsonl",
            ])
            .succeeds();
        let disk = format!("image.{to}");
        let document = place
            .winlayer([
                "extract",
                "--json",
                &disk,
                "disk-tree",
                "--metadata",
                "disk.jsonl",
            ])
            .succeeds()
            .json();
        assert_eq!(document["kind"], if to == "vhdx" { "vhdx" } else { "raw" });
        let found = snapshot(&place.path("disk-tree"));
        assert!(found.len() > 100);
        assert_same(&found, &snapshot(&place.path("image-tree")));

        let (found, mut expected) = (
            records(&place, "disk.jsonl"),
            records(&place, "image.jsonl"),
        );
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>()
        );
        for (path, expected) in &mut expected {
            let found = &found[path];
            // What has no descriptor in its layer gets the inherited one on the volume.
            if expected["security"].is_null() && expected["hard_link_to"].is_null() {
                assert!(!found["security"].is_null(), "{path}");
                expected["security"] = found["security"].clone();
            }
            assert_eq!(found, expected, "{path}");
        }
    }
}

#[test]
fn a_disk_gives_a_tar_that_gives_the_same_disk() {
    let place = with_disk("ntfs");
    place
        .winlayer(["extract", "-q", "image.ntfs", "disk.tar", "--to", "tar"])
        .succeeds();
    place
        .winlayer(["extract", "-q", "image.ntfs", "again.tar", "--to", "tar"])
        .succeeds();
    let tar = fs::read(place.path("disk.tar")).unwrap();
    assert!(tar == fs::read(place.path("again.tar")).unwrap());

    LayoutBuilder::of([tar]).write(place.path("of-disk"));
    place
        .winlayer([
            "unpack",
            "-q",
            "oci:of-disk",
            "of-disk.ntfs",
            "--to",
            "ntfs",
        ])
        .succeeds();
    for (disk, tree) in [("image.ntfs", "a"), ("of-disk.ntfs", "b")] {
        let metadata = format!("{tree}.jsonl");
        place
            .winlayer(["extract", "-q", disk, tree, "--metadata", &metadata])
            .succeeds();
    }
    assert_same(&snapshot(&place.path("b")), &snapshot(&place.path("a")));
    assert_eq!(records(&place, "b.jsonl"), records(&place, "a.jsonl"));
}

#[test]
fn lists_a_disk_as_an_image() {
    let place = with_disk("vhdx");
    let listed = |source: &str, path: &str| {
        let document = place
            .winlayer(["ls", "--json", "-R", source, path])
            .succeeds()
            .json();
        let objects = document["objects"].as_array().unwrap().clone();
        let objects = objects.into_iter().map(|mut object| {
            object["layer"] = 1.into();
            // The hives of an image are listed as its layers have them, a disk has them merged.
            if object["path"].as_str().unwrap().contains("config/") {
                object["size"] = 0.into();
            }
            let path = object["path"].as_str().unwrap();
            object["path"] = path.strip_prefix("Files/").unwrap_or(path).into();
            object
        });
        objects.collect::<Vec<Value>>()
    };
    assert_eq!(listed("image.vhdx", r"C:\"), listed("oci:image", r"C:\"));
    assert_eq!(
        listed("disk:image.vhdx", r"c:\WINDOWS"),
        listed("oci:image", r"C:\Windows")
    );

    let document = place
        .winlayer(["ls", "--json", "image.vhdx"])
        .succeeds()
        .json();
    assert_eq!(keys(&document), ["disk", "path", "layer", "objects"]);
    let long = place.winlayer(["ls", "-l", "image.vhdx", "Documents and Settings"]);
    let long = long.succeeds().stdout;
    assert!(
        long.ends_with("  1  Documents and Settings -> C:\\Users\n"),
        "{long}"
    );
}

#[test]
fn prints_what_the_image_has() {
    let place = with_disk("vhdx");
    for path in [
        r"C:\License.txt",
        "Users/Public/Downloads/setup.exe:Zone.Identifier",
    ] {
        let cat = |source| place.winlayer(["cat", source, path]).succeeds().stdout;
        assert_eq!(cat("image.vhdx"), cat("oci:image"), "{path}");
    }
    let fails = |path| place.winlayer(["cat", "image.vhdx", path]);
    fails(r"C:\gone.txt")
        .fails(3)
        .saying(&["no \"gone.txt\" on the disk"]);
    fails("License.txt:gone")
        .fails(3)
        .saying(&["no stream \"gone\""]);
    fails(r"D:\License.txt")
        .fails(3)
        .saying(&["no drive but C:"]);
    fails(r"..\x").fails(3);
    fails("Windows").fails(1).saying(&["is a directory"]);
    fails("Documents and Settings")
        .fails(1)
        .saying(&["is a link to \"C:\\Users\""]);
}

#[test]
fn a_sound_disk_is_verified_and_its_files_hashed() {
    let place = with_disk("vhdx");
    let document = place
        .winlayer(["verify", "--json", "image.vhdx"])
        .succeeds()
        .json();
    assert_eq!(
        keys(&document),
        [
            "disk",
            "kind",
            "partition",
            "volume",
            "objects",
            "bytes",
            "errors",
            "notes",
            "findings",
            "seconds"
        ]
    );
    assert_eq!(
        document["findings"],
        Value::Array(Vec::new()),
        "{document:#}"
    );
    assert_eq!(document["partition"], 2);

    let document = place
        .winlayer(["verify", "--json", "--files", "image.vhdx"])
        .succeeds()
        .json();
    let files = document["files"].as_array().unwrap();
    place
        .winlayer(["extract", "-q", "image.vhdx", "tree"])
        .succeeds();
    for file in files {
        let path = file["path"].as_str().unwrap();
        let content = fs::read(place.path("tree").join(path)).unwrap();
        let digest = winlayer::Digest::of(&content).hex();
        assert_eq!(file["sha256"], digest, "{path}");
        assert_eq!(file["size"], content.len(), "{path}");
    }
    let listed = place
        .winlayer(["ls", "--json", "-R", "image.vhdx"])
        .succeeds()
        .json();
    let listed = listed["objects"].as_array().unwrap();
    let listed = listed.iter().filter(|object| object["kind"] == "file");
    assert_eq!(files.len(), listed.count());
}

#[test]
fn reads_volumes_and_disks_that_others_made() {
    let place = Place::new();
    foreign_volume(&place, write_some_files);
    has_those_files(&place, "volume.img");

    // The volume on a disk of two partitions.
    zeros(&place, "disk.raw", 64 << 20);
    run(
        &place,
        "sgdisk",
        &["-n", "1:2048:+8M", "-n", "2:0:+32M", "disk.raw"],
    );
    let volume = fs::read(place.path("volume.img")).unwrap();
    let disk = fs::File::options()
        .write(true)
        .open(place.path("disk.raw"))
        .unwrap();
    disk.write_all_at(&volume, 9 << 20).unwrap();
    has_those_files(&place, "disk.raw");
    for (format, options, name) in [
        ("vhdx", "subformat=dynamic", "dynamic.vhdx"),
        ("vhdx", "subformat=fixed", "fixed.vhdx"),
        ("vpc", "subformat=fixed,force_size=on", "fixed.vhd"),
    ] {
        run(
            &place,
            "qemu-img",
            &[
                "convert", "-f", "raw", "-O", format, "-o", options, "disk.raw", name,
            ],
        );
        has_those_files(&place, name);
        // The name says nothing.
        fs::rename(place.path(name), place.path("some.file")).unwrap();
        has_those_files(&place, "disk:some.file");
    }
    place
        .winlayer(["ls", "disk.raw", "--partition", "1"])
        .fails(4)
        .saying(&["not an NTFS volume"]);
    place
        .winlayer(["ls", "disk.raw", "--partition", "3"])
        .fails(3)
        .saying(&["no partition 3"]);

    // The older table.
    zeros(&place, "mbr.raw", 64 << 20);
    fs::write(
        place.path("table"),
        "label: dos\nstart=2048, size=4096, type=83\nstart=8192, size=65536, type=7\n",
    )
    .unwrap();
    run(&place, "sh", &["-c", "sfdisk -q mbr.raw < table"]);
    let disk = fs::File::options()
        .write(true)
        .open(place.path("mbr.raw"))
        .unwrap();
    disk.write_all_at(&volume, 4 << 20).unwrap();
    has_those_files(&place, "mbr.raw");
}

#[test]
fn an_extracted_foreign_volume_has_its_content() {
    let place = Place::new();
    foreign_volume(&place, write_some_files);
    place
        .winlayer([
            "extract",
            "-q",
            "volume.img",
            "tree",
            "--metadata",
            "tree.jsonl",
        ])
        .succeeds();
    assert_eq!(fs::read(place.path("tree/again.txt")).unwrap(), b"small");
    assert_eq!(
        fs::read(place.path("tree/large.bin")).unwrap(),
        vec![7; 3 << 20]
    );
    let records = records(&place, "tree.jsonl");
    let names = ["Folder/small.txt", "again.txt"];
    let carries = |name: &&str| records[*name]["streams"][0]["name"] == "stream";
    let (carriers, links): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| carries(name));
    assert_eq!(records[links[0]]["hard_link_to"], carriers[0]);
    place
        .winlayer(["verify", "tree", "--metadata", "tree.jsonl"])
        .succeeds();
}

#[test]
fn nothing_is_extracted_outside_of_the_destination_and_no_loss_is_silent() {
    let place = Place::new();
    let odd = [
        "x*y",
        r"..\..\escaped",
        r"back\slash",
        "control\nname",
        ".wh.Folder",
        ".wh..wh..opq",
        "Folder.$wcidirs$",
        "a",
        "QQ",
    ];
    foreign_volume(&place, |root| {
        write_some_files(root);
        fs::write(root.join("A"), "A").unwrap();
        for name in ["con", "trailing.", "blank ", "..."].iter().chain(&odd) {
            fs::write(root.join(name), "x").unwrap();
        }
    });
    // No driver makes such a name.
    let mut volume = fs::read(place.path("volume.img")).unwrap();
    let mut at = 0;
    while let Some(found) = volume[at..].windows(4).position(|bytes| bytes == b"Q\0Q\0") {
        at += found;
        volume[at..at + 4].copy_from_slice(b".\0.\0");
    }
    fs::write(place.path("volume.img"), volume).unwrap();

    let before = snapshot(place.root());
    let answer = place
        .winlayer(["extract", "volume.img", "deep/tree"])
        .succeeds();
    let names: Vec<String> = snapshot(&place.path("deep/tree")).into_keys().collect();
    let kept = [
        "...",
        "A",
        "Folder",
        "Folder/small.txt",
        "again.txt",
        "blank ",
        "con",
        "large.bin",
        "trailing.",
    ];
    assert_eq!(names, kept);
    let mut after = snapshot(place.root());
    after.retain(|path, _| !path.starts_with("deep"));
    assert_same(&after, &before);
    for rule in [
        "it leads elsewhere; the first is \"..\"",
        "differs only in case; the first is \"a\"",
        "2 objects are left out, a layer cannot have the name: it would remove another one",
        "the character '*'",
        "2 objects are left out, a layer cannot have the name: has a '\\'",
        "reserved for directory metadata",
    ] {
        assert!(answer.stderr.contains(rule), "{rule}: {answer:#?}");
    }
}

/// Where a file record in the middle of `$MFT` is.
fn record_of_a_file(volume: &[u8]) -> usize {
    let starts = (0..volume.len()).step_by(1024);
    let records: Vec<usize> = starts
        .filter(|&at| volume[at..].starts_with(b"FILE"))
        .collect();
    records[records.len() / 2]
}

#[test]
fn a_damaged_disk_is_named_with_the_place() {
    let place = with_disk("ntfs");
    let sound = fs::read(place.path("image.ntfs")).unwrap();
    let user = record_of_a_file(&sound);
    for (at, what) in [
        (0x28, "boot sector"),
        (user + 20, "file record"),
        (user + 510, "file record"),
    ] {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        fs::write(place.path("damaged.ntfs"), &damaged).unwrap();
        place
            .winlayer(["verify", "damaged.ntfs"])
            .fails(4)
            .saying(&["damaged.ntfs is damaged"]);
        let document = place
            .winlayer(["verify", "--json", "damaged.ntfs"])
            .fails(4)
            .json();
        let findings = document["findings"].as_array().unwrap();
        let place_named = findings.iter().any(|finding| {
            finding["severity"] == "error"
                && [&finding["place"], &finding["rule"]]
                    .iter()
                    .any(|text| text.as_str().unwrap().contains(what))
        });
        assert!(place_named, "{at:#x}: {document:#}");
    }
}

#[test]
fn a_damaged_container_is_named_with_the_place() {
    let place = with_disk("vhdx");
    let sound = fs::read(place.path("image.vhdx")).unwrap();
    // Both headers; the table of regions, both copies; the first entry of the partition table.
    let entry = sound
        .windows(8)
        .position(|bytes| bytes == b"EFI PART")
        .unwrap()
        + 512;
    for (offsets, what) in [
        ([0x1_0010, 0x2_0010], "header"),
        ([0x3_0010, 0x4_0010], "region table"),
        ([entry, entry + 1], "partition table"),
    ] {
        let mut damaged = sound.clone();
        offsets.iter().for_each(|&at| damaged[at] ^= 0x10);
        fs::write(place.path("damaged.vhdx"), &damaged).unwrap();
        let answer = place.winlayer(["verify", "damaged.vhdx"]).fails(4);
        assert!(answer.stdout.contains(what), "{answer:#?}");
        place.winlayer(["ls", "damaged.vhdx"]).fails(4);
        place.winlayer(["extract", "damaged.vhdx", "tree"]).fails(4);
        assert!(!place.exists("tree"));
    }
}

#[test]
fn a_disk_that_cannot_be_read_to_its_end_leaves_nothing() {
    let place = with_disk("ntfs");
    let mut volume = fs::read(place.path("image.ntfs")).unwrap();
    let record = record_of_a_file(&volume);
    volume[record + 510] ^= 1;
    fs::write(place.path("image.ntfs"), volume).unwrap();
    let before = snapshot(place.root());
    for (to, dest) in [("tree", "out"), ("tar", "out.tar")] {
        place
            .winlayer(["extract", "image.ntfs", dest, "--to", to])
            .fails(4)
            .saying(&["image.ntfs", "file record", "winlayer verify"]);
    }
    assert_same(&snapshot(place.root()), &before);
}

/// A REPARSE_DATA_BUFFER of Microsoft's (MS-FSCC 2.1.2.2).
fn reparse_point(tag: u32, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    [&tag.to_le_bytes(), &length.to_le_bytes(), data].concat()
}

#[test]
fn what_a_layer_cannot_hold_is_named() {
    let place = Place::new();
    foreign_volume(&place, |root| {
        let set = |name: &str, attribute: &str, value: &[u8]| {
            let path = root.join(name);
            fs::write(&path, "stored").unwrap();
            lsetxattr(path, attribute, value, XattrFlags::empty()).unwrap();
        };
        const REPARSE: &str = "system.ntfs_reparse_data";
        set(
            "compressed.exe",
            REPARSE,
            &reparse_point(0x8000_0017, &[1; 16]),
        );
        set(
            "placeholder",
            REPARSE,
            &reparse_point(0x9000_601A, &[1; 16]),
        );
        set("alias.exe", REPARSE, &reparse_point(0x8000_001B, &[3; 8]));
        set("described", "system.ntfs_object_id", &[5; 16]);
        set("SHORT.TXT", "system.ntfs_dos_name", b"SHORT~1.TXT");
        fs::write(root.join("plain.txt"), "plain").unwrap();
    });
    let answer = place.winlayer(["extract", "--json", "volume.img", "tree"]);
    let answer = answer.succeeds();
    let names: Vec<String> = snapshot(&place.path("tree")).into_keys().collect();
    assert_eq!(names, ["SHORT.TXT", "alias.exe", "described", "plain.txt"]);
    assert_eq!(fs::read(place.path("tree/alias.exe")).unwrap(), b"stored");
    let warnings = answer.json()["warnings"].to_string();
    for loss in [
        "the content cannot be read: it is where reparse point",
        "compressed.exe",
        "placeholder",
        "lose their reparse point: layers have none of kind",
        "alias.exe",
        "lose their object id",
        "short names (8.3) are left out",
    ] {
        assert!(warnings.contains(loss), "{loss}: {warnings}");
        assert!(!warnings.contains("plain.txt"));
    }
    place
        .winlayer(["cat", "volume.img", "compressed.exe"])
        .fails(1)
        .saying(&["content elsewhere", "WOF"]);

    let verified = place.winlayer(["verify", "--json", "--files", "volume.img"]);
    let files = verified.json()["files"].as_array().unwrap().clone();
    let hashed: Vec<_> = files
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(hashed, ["SHORT.TXT", "alias.exe", "described", "plain.txt"]);
}

#[test]
fn a_layer_s_disk_is_read_through_its_parents() {
    let place = Place::with_sample();
    place
        .winlayer([
            "unpack",
            "-q",
            "oci:image",
            "disks",
            "--to",
            "vhdx",
            "--per-layer",
        ])
        .succeeds();
    let mut disks: Vec<String> = snapshot(&place.path("disks")).into_keys().collect();
    disks.retain(|path| path.ends_with(".vhdx"));
    assert_eq!(disks.len(), 3, "{disks:?}");
    for disk in &disks {
        let disk = format!("disks/{disk}");
        place.winlayer(["verify", &disk]).succeeds();
        place.winlayer(["cat", &disk, r"C:\License.txt"]).succeeds();
    }

    // Damage to one is damage to all above it, and is said to be in that file.
    let mut reached = Vec::new();
    for damaged in &disks {
        let path = place.path("disks").join(damaged);
        let sound = fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        [0x3_0010, 0x4_0010].iter().for_each(|&at| bytes[at] ^= 1);
        fs::write(&path, bytes).unwrap();
        let mut count = 0;
        for disk in &disks {
            let answer = place.winlayer(["verify", &format!("disks/{disk}")]);
            if answer.code == Some(0) {
                continue;
            }
            count += 1;
            let answer = answer.fails(4);
            let names_it = answer.stdout.contains(damaged.as_str());
            assert!(
                names_it && answer.stdout.contains("region table"),
                "{answer:#?}"
            );
        }
        reached.push(count);
        fs::write(&path, sound).unwrap();
    }
    reached.sort_unstable();
    assert_eq!(reached, [1, 2, 3]);
}

#[test]
fn what_is_no_disk_is_said_to_be_none() {
    let place = Place::new();
    fs::write(place.path("text.txt"), "no disk at all").unwrap();
    fs::write(place.path("empty"), "").unwrap();
    fs::write(place.path("noise"), vec![0xA5; 100_000]).unwrap();
    for name in ["text.txt", "empty", "noise"] {
        for command in ["ls", "verify"] {
            place
                .winlayer([command, name])
                .fails(4)
                .saying(&[name, "it is no disk"]);
        }
        place.winlayer(["extract", name, "out"]).fails(4);
        place.winlayer(["cat", name, "x"]).fails(4);
    }
    fs::write(place.path("disk.qcow2"), b"QFI\xfb\0\0\0\x03").unwrap();
    place
        .winlayer(["ls", "disk.qcow2"])
        .fails(1)
        .saying(&["a qcow2 disk", "qemu-img convert"]);
    for name in ["gone.vhdx", "./gone", "disk:gone"] {
        place
            .winlayer(["ls", name])
            .fails(3)
            .saying(&["no such file"]);
    }
    zeros(&place, "linux.raw", 16 << 20);
    run(
        &place,
        "sgdisk",
        &["-n", "1:2048:+8M", "-c", "1:Linux root", "linux.raw"],
    );
    place
        .winlayer(["ls", "linux.raw"])
        .fails(3)
        .saying(&["no NTFS volume", "partition 1: \"Linux root\""]);
}

#[test]
fn flags_of_images_do_not_go_with_disks() {
    let place = Place::with_sample();
    fs::write(place.path("disk"), "x").unwrap();
    place.winlayer(["ls", "disk", "--layer", "1"]).fails(2);
    place
        .winlayer(["cat", "disk", "x", "--layer", "1"])
        .fails(2);
    place
        .winlayer(["verify", "disk", "--metadata", "x"])
        .fails(2);
    place
        .winlayer(["ls", "oci:image", "--partition", "1"])
        .fails(2);
    place.winlayer(["verify", "oci:image", "--files"]).fails(2);
    place
        .winlayer(["extract", "oci:image", "x"])
        .fails(2)
        .saying(&["winlayer unpack"]);
    place
        .winlayer(["extract", "disk", "x", "--to", "tar", "--metadata", "m"])
        .fails(2);
}
