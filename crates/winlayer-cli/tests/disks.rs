//! `winlayer unpack --to ntfs` and `--to vhdx`: what other people's tools find on the volumes.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use common::oracles::{DISSECT, LIBFSNTFS, MOUNT, Reader, SEVENZIP, SLEUTHKIT, WIM};
use common::{Place, answer};
use serde_json::Value;
use winlayer_testkit::memory_dir;

const READERS: [Reader<'static>; 5] = [MOUNT, WIM, DISSECT, LIBFSNTFS, SEVENZIP];
const ALL_READERS: [Reader<'static>; 6] = [MOUNT, WIM, DISSECT, LIBFSNTFS, SEVENZIP, SLEUTHKIT];

/// A place in memory with a sample image.
fn with_sample(more: &[&str]) -> Place {
    let place = Place::below(&memory_dir());
    let arguments = [&["sample", "oci:image"], more].concat();
    place.winlayer(arguments).succeeds();
    place
}

fn unpack(place: &Place, dest: &str, more: &[&str]) {
    let (_, kind) = dest.rsplit_once('.').unwrap();
    let arguments = [
        &["unpack", "--quiet", "oci:image", dest, "--to", kind],
        more,
    ]
    .concat();
    place.winlayer(arguments).succeeds();
}

/// Standard output of a tool that must succeed.
#[track_caller]
fn tool(place: &Place, words: &[&str]) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .current_dir(place.root())
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env("LC_ALL", "C.UTF-8");
    answer(&mut command).succeeds().stdout
}

// ── what is on the volumes ──

#[test]
fn the_sample_is_on_its_volume() {
    let place = with_sample(&[]);
    unpack(&place, "volume.ntfs", &[]);
    let tars = place.dump_of_tars(&[]);
    place.holds_what_the_tars_say("volume.ntfs", &tars, &ALL_READERS);
    the_hives_are_those_of_the_tree(&place, "volume.ntfs.mount");
    the_driver_would_have_written_the_same(&place, "volume.ntfs.mount", &tars);
}

/// The merged hives of a container are the same whatever they are merged for.
fn the_hives_are_those_of_the_tree(place: &Place, dump: &str) {
    place.unpack_json(&["tree", "--to", "tree"]);
    let mut compared = 0;
    for line in fs::read_to_string(place.path(dump)).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let path = record["path"].as_str().unwrap();
        if path.starts_with("Windows/System32/config/") && record["kind"] == "file" {
            let said = tool(place, &["sha256sum", &format!("tree/{path}")]);
            let sum = said.split_whitespace().next();
            assert_eq!(record["sha256"].as_str(), sum, "{path}");
            compared += 1;
        }
    }
    assert_eq!(compared, 5);
}

/// The same tars through mkntfs and ntfs-3g: all is the same but what the driver cannot keep.
fn the_driver_would_have_written_the_same(place: &Place, ours: &str, tars: &str) {
    let size = (256 << 20).to_string();
    place.oracle("write_mounted", &["image", "mounted", "--size", &size]);
    let theirs = place.dump("mount", "mounted");
    let [ours, theirs] = [ours, &theirs].map(|dump| as_far_as_the_tars_go(place, dump, tars));
    let arguments = [
        &*ours,
        &theirs,
        "--ignore",
        "changed,changed_s",
        "--require",
        "sha256,sd,links",
    ];
    place.oracle("compare", &arguments);
}

/// What a dump says of that which the tars say: no hives that are merged, no descriptors that are made up.
fn as_far_as_the_tars_go(place: &Place, dump: &str, tars: &str) -> String {
    let records = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(place.path(name)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let tars = records(tars);
    let mut text = String::new();
    for mut record in records(dump) {
        let told = tars.iter().find(|told| told["path"] == record["path"]);
        let fields = record.as_object_mut().unwrap();
        fields.retain(|key, _| told.is_some_and(|told| told.get(key).is_some()));
        text += &format!("{record}\n");
    }
    let name = format!("{dump}.told");
    fs::write(place.path(&name), text).unwrap();
    name
}

#[test]
fn thousands_of_files_are_on_their_disk() {
    let place = with_sample(&["--files", "2000", "--bytes", "50000000"]);
    unpack(&place, "disk.vhdx", &[]);
    let tars = place.dump_of_tars(&[]);
    place.holds_what_the_tars_say("disk.vhdx", &tars, &READERS);
    unpack(&place, "volume.ntfs", &[]);
    place.holds_what_the_tars_say("volume.ntfs", &tars, &[DISSECT]);
    let content: u64 = fs::read_to_string(place.path("disk.vhdx.mount"))
        .unwrap()
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["size"].as_u64().unwrap_or(0)
        })
        .sum();
    let length = fs::metadata(place.path("volume.ntfs")).unwrap().len();
    assert!(
        length < content * 11 / 10 + (80 << 20),
        "{length} bytes for {content}"
    );
}

#[test]
fn the_utility_vm_is_on_its_volume_and_disk() {
    let place = with_sample(&[]);
    let tars = place.dump_of_tars(&["--utility-vm"]);
    // The sample has no hard links there.
    let readers = READERS.map(|(reader, fields)| (reader, fields.replace("links,", "")));
    let readers = readers
        .each_ref()
        .map(|(reader, fields)| (*reader, fields.as_str()));
    for dest in ["volume.ntfs", "disk.vhdx"] {
        unpack(&place, dest, &["--utility-vm"]);
        place.holds_what_the_tars_say(dest, &tars, &readers);
    }
}

// ── the disk around the volume ──

#[test]
fn a_disk_is_one_for_qemu_libvhdi_and_the_partitioners() {
    let place = with_sample(&[]);
    unpack(
        &place,
        "disk.vhdx",
        &["--size", "1GiB", "--label", "Sample disk"],
    );
    let info = tool(&place, &["qemu-img", "info", "--output=json", "disk.vhdx"]);
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(
        (&info["format"], &info["virtual-size"]),
        (&"vhdx".into(), &(1_u64 << 30).into())
    );
    tool(&place, &["qemu-img", "check", "-f", "vhdx", "disk.vhdx"]);
    tool(
        &place,
        &["qemu-img", "convert", "-O", "raw", "disk.vhdx", "disk.raw"],
    );
    let said = tool(&place, &["vhdiinfo", "disk.vhdx"]);
    for expected in ["Dynamic", "1073741824 bytes"] {
        assert!(said.contains(expected), "{expected} is missing: {said}");
    }
    assert!(tool(&place, &["sgdisk", "-v", "disk.raw"]).contains("No problems found"));
    assert!(tool(&place, &["sfdisk", "--verify", "disk.raw"]).contains("No errors detected"));
    let table = tool(&place, &["sfdisk", "--json", "disk.raw"]);
    let table: Value = serde_json::from_str(&table).unwrap();
    let partitions = table["partitiontable"]["partitions"].as_array().unwrap();
    let types: Vec<_> = partitions
        .iter()
        .map(|partition| partition["type"].as_str().unwrap())
        .collect();
    let [reserved, basic_data] = [
        "E3C9E316-0B5C-4DB8-817D-F92DF00215AE",
        "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
    ];
    assert_eq!(types, [reserved, basic_data]);
    the_boot_sector_knows_its_place(&place, &partitions[1]);

    // The raw disk is the same for every reader, and so is what libvhdi makes of the file.
    let tars = place.dump_of_tars(&[]);
    place.holds_what_the_tars_say("disk.raw", &tars, &[MOUNT, DISSECT]);
    let script = "import pyvhdi, sys\n\
        disk = pyvhdi.file()\n\
        disk.open('disk.vhdx')\n\
        with open('disk.raw', 'rb') as raw:\n\
        \x20   while True:\n\
        \x20       expected = raw.read(1 << 20)\n\
        \x20       if disk.read(1 << 20) != expected:\n\
        \x20           sys.exit(f'differs before {raw.tell()}')\n\
        \x20       if not expected:\n\
        \x20           break\n";
    answer(place.python().args(["-c", script])).succeeds();
}

/// Windows' boot code finds the volume by the sectors before it.
fn the_boot_sector_knows_its_place(place: &Place, partition: &Value) {
    let start = partition["start"].as_u64().unwrap();
    let disk = fs::read(place.path("disk.raw")).unwrap();
    let boot = &disk[start as usize * 512..][..512];
    assert_eq!(&boot[3..11], b"NTFS    ");
    let number = |at: usize, length: usize| {
        let bytes = boot[at..at + length].iter().rev();
        bytes.fold(0_u64, |number, &byte| number << 8 | u64::from(byte))
    };
    assert_eq!(number(0x1c, 4), start, "hidden sectors");
    let sectors = partition["size"].as_u64().unwrap();
    assert_eq!(
        number(0x28, 8),
        sectors - 1,
        "sectors, without the copy of the first one"
    );
    let copy = &disk[(start + sectors - 1) as usize * 512..][..512];
    assert!(boot == copy, "the last sector is the copy of the first");
}

// ── the bytes ──

#[test]
fn the_same_image_gives_the_same_bytes() {
    let place = with_sample(&[]);
    for kind in ["ntfs", "vhdx"] {
        let names = ["one", "two", "deep/er/three"].map(|name| format!("{name}.{kind}"));
        fs::create_dir_all(place.path("deep/er")).unwrap();
        for name in &names {
            unpack(&place, name, &[]);
        }
        // Over a file that is there.
        unpack(&place, &names[1], &["--jobs", "1"]);
        let [first, others @ ..] = names.map(|name| fs::read(place.path(&name)).unwrap());
        assert!(others.iter().all(|other| *other == first), "{kind}");
    }
}

#[test]
fn the_build_time_is_that_of_the_volume_itself() {
    let place = with_sample(&[]);
    let unpack_at = |dest: &str, time: &str| {
        let mut command = place.command(["unpack", "-q", "oci:image", dest, "--to", "ntfs"]);
        answer(command.env("SOURCE_DATE_EPOCH", time)).succeeds();
        tool(&place, &["ntfsinfo", "-v", "-i", "3", dest])
    };
    let said = unpack_at("then.ntfs", "1700000000");
    assert!(said.contains("Tue Nov 14 22:13:20 2023"), "{said}");
    assert_eq!(unpack_at("again.ntfs", "1700000000"), said);
    let same =
        |a: &str, b: &str| fs::read(place.path(a)).unwrap() == fs::read(place.path(b)).unwrap();
    assert!(same("then.ntfs", "again.ntfs"));
    let other = unpack_at("other.ntfs", "1700000001");
    assert!(other.contains("22:13:21"), "{other}");
    assert!(!same("then.ntfs", "other.ntfs"));
    // Files have the times the image gives them.
    let tars = place.dump_of_tars(&[]);
    place.holds_what_the_tars_say("then.ntfs", &tars, &[DISSECT]);
}

#[test]
fn size_and_label_are_as_told() {
    let place = with_sample(&[]);
    let odd = (64 << 20) + 512;
    unpack(
        &place,
        "odd.ntfs",
        &["--size", &odd.to_string(), "--label", "Größe 1"],
    );
    assert_eq!(fs::metadata(place.path("odd.ntfs")).unwrap().len(), odd);
    place.oracle("checks", &["odd.ntfs", "--exact-names"]);
    assert_eq!(tool(&place, &["ntfslabel", "odd.ntfs"]).trim(), "Größe 1");
    unpack(&place, "plain.ntfs", &[]);
    assert_eq!(tool(&place, &["ntfslabel", "plain.ntfs"]).trim(), "");
    place
        .winlayer([
            "unpack",
            "oci:image",
            "l.ntfs",
            "--to",
            "ntfs",
            "--label",
            &"x".repeat(33),
        ])
        .fails(2)
        .saying(&["--label", "32"]);
    assert!(!place.exists("l.ntfs"));
}

// ── failures ──

#[test]
fn a_size_too_small_is_refused_and_leaves_nothing() {
    let place = with_sample(&["--files", "400", "--bytes", "10MiB"]);
    fs::create_dir(place.path("out")).unwrap();
    for (kind, size) in [
        ("ntfs", "8MiB"),
        ("vhdx", "24MiB"),
        ("ntfs", "1MiB"),
        ("ntfs", "20000001"),
        ("vhdx", "1MiB"),
    ] {
        let dest = format!("out/disk.{kind}");
        let arguments = [
            "unpack",
            "-q",
            "oci:image",
            &dest,
            "--to",
            kind,
            "--size",
            size,
        ];
        place.winlayer(arguments).fails(1).saying(&["--size"]);
        assert_eq!(
            fs::read_dir(place.path("out")).unwrap().count(),
            0,
            "{kind} {size}"
        );
    }
}

#[test]
fn a_killed_unpack_leaves_no_disk_and_the_next_one_cleans_up() {
    let place = with_sample(&["--files", "1000", "--bytes", "30MiB"]);
    for kind in ["ntfs", "vhdx"] {
        unpack(&place, &format!("whole.{kind}"), &[]);
        let dest = format!("out/disk.{kind}");
        let arguments = ["unpack", "-q", "oci:image", &dest, "--to", kind];
        let mut killed = 0;
        // As soon as there is something, and when about so many bytes have been written.
        for bytes in [0, 1, 4 << 20, 12 << 20, 20 << 20] {
            let mut child = place.start(arguments);
            while written(&place.path("out")) < bytes || !place.exists("out") {
                if child.try_wait().unwrap().is_some() {
                    break;
                }
            }
            let busy = child.try_wait().unwrap().is_none();
            child.kill().unwrap();
            child.wait().unwrap();
            if busy {
                killed += 1;
                assert!(!place.exists(&dest), "a file under its final name is whole");
            }
            place.winlayer(arguments).succeeds();
            assert_eq!(names(&place.path("out")), [format!("disk.{kind}")]);
            assert!(
                fs::read(place.path(&dest)).unwrap()
                    == fs::read(place.path(&format!("whole.{kind}"))).unwrap()
            );
            fs::remove_dir_all(place.path("out")).unwrap();
        }
        assert!(killed >= 3, "only {killed} were killed in the middle");
    }
}

/// Bytes below a folder in which files come and go.
fn written(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(facts) if facts.is_dir() => written(&entry.path()),
        Ok(facts) => facts.blocks() * 512,
        Err(_) => 0,
    });
    bytes.sum()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
