//! Hives we write, read by other people's readers: libhivex and reglookup.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, not of a library"
)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use winlayer_hive::{HiveTree, KeyName, ValueData, ValueType};

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
