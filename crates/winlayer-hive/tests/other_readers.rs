//! Hives we write, read by other people's readers; hives that others wrote, read by us.
//!
//! Readers: libhivex (hivexml, hivexregedit), reglookup, libregf (regfinfo), chntpw's reged, and from
//! PyPI regipy and python-registry. `support/dump.py` turns what each sees into the same lines.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, not of a library"
)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{cache, dump, dump_of, lines};
use winlayer_hive::{Hive, HiveTree, KeyName, Overlay, ValueData, ValueType};

/// Standard output of `program`, which must exist and succeed.
fn run(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "cannot run {program} ({error}); install the test tools with `cargo xtask setup`"
            )
        });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} refused the hive: {errors}"
    );
    assert!(
        !errors.contains("WARN") && !errors.contains("ERROR"),
        "{program}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

struct Written {
    _dir: tempfile::TempDir,
    file: PathBuf,
}

fn write(hive: &HiveTree) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hive");
    std::fs::write(&file, hive.to_bytes().unwrap()).unwrap();
    Written { _dir: dir, file }
}

fn get(written: &Written, key: &str, value: &str) -> String {
    let output = Command::new("hivexget")
        .arg(&written.file)
        .args([key, value])
        .output()
        .unwrap_or_else(|error| panic!("cannot run hivexget ({error}); use `cargo xtask setup`"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end_matches('\n')
        .to_owned()
}

fn software() -> HiveTree {
    let mut hive = HiveTree::new(r"\SystemRoot\System32\Config\SOFTWARE");
    hive.set_last_written(132_223_104_001_234_567);
    let key = hive
        .root_mut()
        .create(r"Microsoft\Windows NT\CurrentVersion")
        .unwrap();
    key.set(
        "ProductName",
        ValueData::string("Windows Server 2022 Datacenter"),
    )
    .unwrap();
    key.set("UBR", ValueData::dword(587)).unwrap();
    key.set("InstallTime", ValueData::qword(1 << 40)).unwrap();
    key.set("PathName", ValueData::expand_string("%SystemRoot%"))
        .unwrap();
    key.set("Groups", ValueData::multi_string(&["one", "two"]))
        .unwrap();
    key.set("", ValueData::string("default")).unwrap();
    key.set(
        "Empty",
        ValueData {
            kind: ValueType::NONE,
            bytes: Vec::new().into(),
        },
    )
    .unwrap();
    key.set("Big", ValueData::binary(vec![b'b'; 40_000]))
        .unwrap();
    key.set_class("Shell");
    hive
}

#[test]
fn the_empty_hive_is_read_by_both() {
    let written = write(&HiveTree::new("SAM"));
    assert!(run("hivexml", &[], &written.file).contains("<node name=\"ROOT\" root=\"1\">"));
    assert!(run("reglookup", &[], &written.file).contains("PATH,TYPE,VALUE"));
}

#[test]
fn values_of_every_type_are_read_back() {
    let written = write(&software());
    let key = r"\Microsoft\Windows NT\CurrentVersion";
    assert_eq!(
        get(&written, key, "productname"),
        "Windows Server 2022 Datacenter"
    );
    assert_eq!(get(&written, key, "UBR"), "587");
    assert_eq!(get(&written, key, "InstallTime"), (1_u64 << 40).to_string());
    assert_eq!(get(&written, key, "PathName"), "%SystemRoot%");
    assert_eq!(get(&written, key, "Groups"), "one\ntwo");
    assert_eq!(get(&written, key, "@"), "default");
    assert_eq!(get(&written, key, "Big").as_bytes(), &[b'b'; 40_000][..]);
}

#[test]
fn reglookup_agrees_on_keys_types_times_and_owners() {
    let written = write(&software());
    let listing = run("reglookup", &["-s"], &written.file);
    let line = listing
        .lines()
        .find(|line| line.contains("ProductName"))
        .unwrap();
    assert!(
        line.contains("CurrentVersion/ProductName,SZ,Windows Server 2022 Datacenter"),
        "{line}"
    );
    let line = listing
        .lines()
        .find(|line| line.ends_with("Shell"))
        .unwrap_or(&listing);
    assert!(
        line.contains("2020-01-01 00:00:00") && line.contains("S-1-5-32-544"),
        "{line}"
    );
}

#[test]
fn thousands_of_keys_are_found_through_the_sorted_lists() {
    let mut hive = HiveTree::new("h");
    for index in 0..2000 {
        let key = hive
            .root_mut()
            .create(&format!(r"Many\Key_{index}"))
            .unwrap();
        key.set("n", ValueData::dword(index)).unwrap();
    }
    let written = write(&hive);
    assert_eq!(
        run("hivexml", &[], &written.file).matches("<node ").count(),
        2002
    );
    for index in [0, 1, 506, 507, 1013, 1014, 1999] {
        assert_eq!(
            get(&written, &format!(r"\many\KEY_{index}"), "n"),
            index.to_string()
        );
    }
}

#[test]
fn the_root_may_have_another_name() {
    let mut hive = HiveTree::new("BCD");
    hive.set_root_name(KeyName::new("NewStoreRoot").unwrap());
    let written = write(&hive);
    assert!(run("hivexml", &[], &written.file).contains("<node name=\"NewStoreRoot\" root=\"1\">"));
}

/// libhivex does not know value tombstones, so deltas without any are what it can check.
#[test]
fn a_delta_is_a_hive_to_readers_that_ignore_layers() {
    let mut hive = HiveTree::delta("Software_Delta");
    hive.root_mut()
        .create(r"Microsoft\New")
        .unwrap()
        .set("v", ValueData::dword(1))
        .unwrap();
    hive.root_mut().delete_key(r"Microsoft\Old").unwrap();
    let written = write(&hive);
    assert_eq!(get(&written, r"\Microsoft\New", "v"), "1");

    hive.root_mut()
        .create("Microsoft")
        .unwrap()
        .delete_value("Gone")
        .unwrap();
    let listing = run("reglookup", &[], &write(&hive).file);
    assert!(listing.contains("Microsoft/Old"), "{listing}");
}

/// Every type, names of letters all readers know, nothing in segments.
fn plain() -> HiveTree {
    let mut hive = HiveTree::new("SYSTEM");
    hive.set_last_written(132_223_104_001_234_567);
    for index in 0..600 {
        let key = hive
            .root_mut()
            .create(&format!(r"Many\Key_{index}"))
            .unwrap();
        key.set("n", ValueData::dword(index)).unwrap();
    }
    let key = hive.root_mut().create(r"Types\Below them").unwrap();
    key.set("", ValueData::string("default")).unwrap();
    key.set("sz", ValueData::string(r#"a "b" \c"#)).unwrap();
    key.set("expand", ValueData::expand_string("%SystemRoot%"))
        .unwrap();
    key.set("multi", ValueData::multi_string(&["one", "two"]))
        .unwrap();
    key.set("dword", ValueData::dword(u32::MAX)).unwrap();
    key.set("qword", ValueData::qword(1 << 40)).unwrap();
    for length in [1, 3, 4, 5, 8, 4000, 16344] {
        let bytes: Vec<u8> = (0..length).map(|at: u32| (at % 251) as u8).collect();
        key.set(&format!("binary {length}"), ValueData::binary(bytes))
            .unwrap();
    }
    hive.root_mut()
        .create("Classed")
        .unwrap()
        .set_class("Class");
    hive
}

/// With segments, and names beyond ASCII and Latin-1.
fn rich() -> HiveTree {
    let mut hive = plain();
    for (name, text) in [("Grüße", "é"), ("世界", "漢字"), ("\u{10400}", "\u{1F600}")] {
        let key = hive
            .root_mut()
            .create("Names")
            .unwrap()
            .create(name)
            .unwrap();
        key.set(name, ValueData::string(text)).unwrap();
    }
    for length in [16345, 40_000, 3 * 16344] {
        let bytes: Vec<u8> = (0..length).map(|at: u32| (at % 253) as u8).collect();
        let key = hive.root_mut().create("Big").unwrap();
        key.set(&length.to_string(), ValueData::binary(bytes))
            .unwrap();
    }
    hive
}

#[track_caller]
fn all_agree(bytes: &[u8], readers: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hive");
    fs::write(&file, bytes).unwrap();
    let ours = lines(&Hive::from_bytes(bytes).unwrap());
    for reader in readers {
        assert_same(reader, &dump(reader, &file), &ours);
    }
    assert!(run("regfinfo", &[], &file).contains("Windows NT Registry File"));
}

#[track_caller]
fn assert_same(reader: &str, theirs: &[String], ours: &[String]) {
    let cut = |line: &String| line.chars().take(120).collect::<String>();
    let only = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter()
            .filter(|line| !b.contains(line))
            .map(cut)
            .take(5)
            .collect()
    };
    // regipy knows no Latin-1 beyond ASCII.
    let as_regipy = |line: &String| {
        let beyond = '\u{80}'..='\u{FF}';
        line.replace(|letter| beyond.contains(&letter), "\u{FFFD}")
    };
    let replaced: Vec<String>;
    let ours = if reader == "regipy" {
        replaced = ours.iter().map(as_regipy).collect();
        &replaced
    } else {
        ours
    };
    if theirs != ours {
        panic!(
            "only {reader}: {:#?}\nonly we: {:#?}",
            only(theirs, ours),
            only(ours, theirs)
        );
    }
}

const EVERY_READER: [&str; 6] = [
    "hivexml",
    "hivexregedit",
    "reglookup",
    "reged",
    "regipy",
    "python-registry",
];
/// Those that know segments and names in UTF-16.
const FULL_READERS: [&str; 4] = ["hivexml", "hivexregedit", "regipy", "python-registry"];

#[test]
fn all_readers_see_the_same_keys_and_values() {
    all_agree(&plain().to_bytes().unwrap(), &EVERY_READER);
}

#[test]
fn readers_that_know_segments_and_utf16_see_them() {
    all_agree(&rich().to_bytes().unwrap(), &FULL_READERS);
}

#[test]
fn all_readers_see_a_merged_hive() {
    let mut delta = HiveTree::delta("System_Delta");
    let root = delta.root_mut();
    root.delete_key(r"Many\Key_7").unwrap();
    root.create("Types")
        .unwrap()
        .create("below them")
        .unwrap()
        .delete_value("QWORD")
        .unwrap();
    root.create(r"Many\Key_8")
        .unwrap()
        .replace_tree()
        .set("new", ValueData::dword(8))
        .unwrap();
    root.create("Many")
        .unwrap()
        .set("added", ValueData::string("above"))
        .unwrap();
    let (base, delta) = (plain().to_bytes().unwrap(), delta.to_bytes().unwrap());
    let overlay = Overlay::new([
        Hive::from_bytes(&base).unwrap(),
        Hive::from_bytes(&delta).unwrap(),
    ]);
    let merged = overlay.unwrap().to_bytes().unwrap();
    assert!(!lines(&Hive::from_bytes(&merged).unwrap()).contains(&r"K	Many\Key_7".to_owned()));
    all_agree(&merged, &EVERY_READER);
}

#[test]
fn we_read_the_hives_of_others_as_they_do() {
    for (name, reader) in [
        ("offreg-empty", "hivexregedit"),
        ("offreg-testhive", "hivexregedit"),
        ("minimal", "hivexregedit"),
        ("special", "python-registry"),
        ("rlenvalue_test_hive", "hivexregedit"),
    ] {
        let file = cache().join("hives").join(name);
        let bytes = fs::read(&file).unwrap();
        let hive = Hive::from_bytes(&bytes).unwrap();
        let ours = lines(&hive);
        assert_same(&format!("{reader} in {name}"), &dump(reader, &file), &ours);
        let rewritten = Overlay::new([hive]).unwrap().to_bytes().unwrap();
        assert_eq!(
            lines(&Hive::from_bytes(&rewritten).unwrap()),
            ours,
            "{name} written again"
        );
    }
}

#[test]
fn we_read_what_hivexregedit_changes() {
    let written = write(&plain());
    let changes = written.file.with_extension("reg");
    let text = "Windows Registry Editor Version 5.00\n\n[\\Types\\Added]\n\"v\"=dword:00000007\n\
                \"long\"=hex(3):01,02,03,04,05,06,07,08,09\n\n[-\\Many\\Key_3]\n\n[\\Many\\Key_5]\n\"n\"=-\n";
    fs::write(&changes, text).unwrap();
    let output = Command::new("hivexregedit")
        .args(["--merge"])
        .args([&written.file, &changes])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let bytes = fs::read(&written.file).unwrap();
    let ours = lines(&Hive::from_bytes(&bytes).unwrap());
    assert!(ours.contains(&"V\tTypes\\Added\tv\t4\t07000000".to_owned()));
    assert!(!ours.contains(&"K\tMany\\Key_3".to_owned()));
    assert_same("hivexregedit", &dump("hivexregedit", &written.file), &ours);
}

#[test]
fn regipy_replays_the_logs_to_the_same_hive() {
    let dir = tempfile::tempdir().unwrap();
    let [hive, log] = ["hive", "hive.LOG1"].map(|name| dir.path().join(name));
    // regipy replays into a hive of the same length only.
    let mut after = rich();
    let key = after.root_mut().create("Many").unwrap();
    key.create("Key_9")
        .unwrap()
        .set("n", ValueData::dword(0))
        .unwrap();
    let (file, entries) = support::crashed(&rich(), &after);
    fs::write(&hive, &file).unwrap();
    fs::write(&log, &entries).unwrap();
    let theirs = dump_of(&[
        "regipy-replayed".as_ref(),
        hive.as_os_str(),
        log.as_os_str(),
    ]);
    let replayed = Hive::from_bytes_with_logs(&file, &[&entries]).unwrap();
    assert_same("regipy", &theirs, &lines(&replayed));
    assert_eq!(
        lines(&replayed),
        lines(&Hive::from_bytes(after.to_bytes().unwrap()).unwrap())
    );
}
