//! What the registry of an image says: `inspect`, `reg` and `reg-diff`. Debian's hivex reads along.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::{Place, keys};
use serde_json::{Value, json};
use std::fs;

const VERSION: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion";

fn json_of(place: &Place, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    place.winlayer(arguments).succeeds().json()
}

#[test]
fn inspect_says_which_windows_is_installed() {
    let place = Place::with_sample();
    let document = json_of(&place, &["inspect", "oci:image"]);
    let windows = &document["windows"];
    assert_eq!(
        keys(windows),
        [
            "product",
            "edition",
            "installation_type",
            "display_version",
            "version",
            "config_version",
            "version_matches",
            "build_lab",
            "product_type",
            "computer_name",
            "cumulative_level",
            "updates",
            "dotnet",
            "programs",
            "services",
            "environment"
        ]
    );
    assert_eq!(windows["product"], "Windows Server 2022 Datacenter");
    assert_eq!(windows["installation_type"], "Server Core");
    assert_eq!(windows["version"], "10.0.20348.2113");
    assert_eq!(windows["version_matches"], true);
    assert_eq!(windows["cumulative_level"], "20348.2113");
    assert_eq!(
        windows["dotnet"],
        json!({"release": 528_449, "version": "4.8"})
    );
    assert_eq!(document["findings"], json!([]));

    let update = |kb: &str| {
        let updates = windows["updates"].as_array().unwrap();
        let mut updates = updates.iter().filter(|update| update["kb"] == kb);
        updates.next().unwrap().clone()
    };
    let new = update("KB5032198");
    assert_eq!(
        (&new["state"], &new["layer"]),
        (&json!("installed"), &json!(2))
    );
    assert_eq!(new["installed"], "2023-11-14T18:00:00.0000000Z");
    assert_eq!(update("KB5003711")["state"], "superseded");
    let programs = windows["programs"].as_array().unwrap();
    assert_eq!(programs.len(), 2, "one has no name: {programs:?}");
    assert_eq!(programs[0]["name"], "Winlayer Sample");
    assert_eq!(
        (&programs[0]["layer"], &programs[1]["wow64"]),
        (&json!(3), &json!(true))
    );
    let services = windows["services"].as_array().unwrap();
    let names: Vec<_> = services.iter().map(|service| &service["name"]).collect();
    assert_eq!(names, ["EventLog", "gns", "NTFS"], "the update removed one");
    assert_eq!(services[0]["start"], "manual", "the update changed it");

    let words = place.winlayer(["inspect", "oci:image"]).succeeds().stdout;
    for line in [
        "installed    10.0.20348.2113\n",
        "             KB5032198 20348.2113.1.0 installed 2023-11-14\n",
        ".NET         Framework 4.8 (release 528449)\n",
        "             OS=Windows_NT\n",
    ] {
        assert!(words.contains(line), "{line:?} not in {words}");
    }
}

#[test]
fn inspect_shows_what_a_layer_changed() {
    let place = Place::with_sample();
    let document = json_of(&place, &["inspect", "--layer", "2", "oci:image"]);
    let changes = &document["changes"];
    assert_eq!(changes["layer"], 2);
    let hives = changes["hives"].as_array().unwrap();
    assert_eq!(hives.len(), 5);
    let software = hives
        .iter()
        .find(|hive| hive["hive"] == r"HKLM\SOFTWARE")
        .unwrap();
    assert_eq!(software["entry"], "Hives/Software_Delta");
    let counts = ["keys_added", "keys_removed", "values_set", "values_removed"];
    let counts = counts.map(|name| software[name].as_u64().unwrap());
    assert_eq!(counts, [4, 2, 11, 1]);
    let changed = |key: &str| {
        let mut keys = software["keys"].as_array().unwrap().iter();
        keys.find(|change| change["key"] == key).unwrap()
    };
    let obsolete = changed(&format!(r"{VERSION}\Obsolete"));
    assert_eq!(obsolete["change"], "removed");
    let revision = &changed(VERSION)["values"][0];
    assert_eq!(revision["name"], "UBR");
    assert_eq!(revision["before"]["data"], 1);
    assert_eq!(revision["after"]["data"], 2113);

    let words = place.winlayer(["inspect", "--layer", "2", "oci:image"]);
    let words = words.succeeds().stdout;
    assert!(
        words.contains("    ~ UBR  REG_DWORD  1 -> 2113\n"),
        "{words}"
    );
    place
        .winlayer(["inspect", "--layer", "4", "oci:image"])
        .fails(3);
}

#[test]
fn inspect_without_the_registry_reads_no_layer() {
    let place = Place::with_sample();
    let document = json_of(&place, &["inspect", "--no-registry", "oci:image"]);
    for layer in document["layers"].as_array().unwrap() {
        let digest = layer["digest"].as_str().unwrap();
        let blob = place.path("image/blobs").join(digest.replace(':', "/"));
        fs::remove_file(blob).unwrap();
    }
    let document = json_of(&place, &["inspect", "--no-registry", "oci:image"]);
    assert_eq!(document["windows"], Value::Null);
    // What is missing is told, and the documents all the same.
    let document = json_of(&place, &["inspect", "oci:image"]);
    assert_eq!(document["findings"].as_array().unwrap().len(), 3);
    assert_eq!(document["layers"].as_array().unwrap().len(), 3);
}

#[test]
fn reg_prints_keys_and_values() {
    let place = Place::with_sample();
    let key = json_of(&place, &["reg", "oci:image", &VERSION.to_lowercase()]);
    assert_eq!(
        keys(&key),
        [
            "key",
            "written",
            "layers",
            "class",
            "link",
            "subkeys",
            "values",
            "deleted_subkeys",
            "deleted_values"
        ]
    );
    assert_eq!(key["key"], VERSION);
    assert_eq!(key["layers"], json!([1, 2]));
    assert_eq!(key["subkeys"], json!(["Fonts"]));
    let value = json_of(&place, &["reg", "oci:image", VERSION, "ubr"]);
    let expected = json!({"name": "UBR", "type": "REG_DWORD", "data": 2113, "layer": 2});
    assert_eq!(value, expected);

    let reg = |more: &[&str]| place.winlayer([&["reg", "oci:image"], more].concat());
    assert_eq!(reg(&[VERSION, "UBR"]).succeeds().stdout, "2113\n");
    let options = r"HKLM\SYSTEM\CurrentControlSet\Control\ProductOptions";
    let suite = reg(&[options, "ProductSuite"]).succeeds().stdout;
    assert_eq!(suite, "Terminal Server\nDataCenter\n");
    reg(&[VERSION, "ReleaseId"]).fails(3).saying(&["ReleaseId"]);
    reg(&[r"HKLM\SOFTWARE\Nobody"]).fails(3);
    reg(&[r"HKCU\Software"]).fails(3).saying(&["HKU\\.DEFAULT"]);
}

#[test]
fn reg_shows_one_layer_with_what_it_deletes() {
    let place = Place::with_sample();
    let reg = |layer: &str, key: &str| place.winlayer(["reg", "--layer", layer, "oci:image", key]);
    let words = reg("2", VERSION).succeeds().stdout;
    assert!(words.contains("UBR         REG_DWORD  2113\n"), "{words}");
    assert!(words.contains("\n  - ReleaseId\n"), "{words}");
    assert!(
        words.contains(&format!("\n- {VERSION}\\Obsolete\n")),
        "{words}"
    );
    assert!(!words.contains("ProductName"), "the base's: {words}");
    let obsolete = format!(r"{VERSION}\Obsolete");
    reg("2", &obsolete)
        .fails(3)
        .saying(&["layer 2 deletes the key"]);
    reg("3", &obsolete)
        .fails(3)
        .saying(&["layer 3 has nothing of"]);
    reg("1", &obsolete).succeeds();
    // `Select` is in the base only.
    reg("2", r"HKLM\SYSTEM\CurrentControlSet\Services").succeeds();
}

#[test]
fn reg_diff_tells_registries_apart() {
    let place = Place::with_sample();
    let same = place.winlayer(["reg-diff", "oci:image", "oci:image"]);
    assert_eq!(same.succeeds().stdout, "");
    let layers = ["reg-diff", "oci:image", "oci:image", "--layer-a", "2"];
    let words = place.winlayer(layers).succeeds().stdout;
    assert!(words.contains("+ HKLM\\SOFTWARE\\Winlayer\n"), "{words}");
    assert!(
        words.contains("    + Greeting  REG_SZ  Grüß Gott, 世界\n"),
        "{words}"
    );
    let back = ["reg-diff", "oci:image", "oci:image", "--layer-b", "1"];
    let document = json_of(&place, &back);
    assert_eq!(keys(&document), ["a", "b", "layer_a", "layer_b", "keys"]);
    let changes = document["keys"].as_array().unwrap();
    let obsolete = format!(r"{VERSION}\Obsolete");
    let obsolete = changes.iter().find(|change| change["key"] == *obsolete);
    assert_eq!(obsolete.unwrap()["change"], "added", "the base has it");
}

// ── merged outputs, with libhivex and reglookup as judges ──

#[cfg(target_os = "linux")]
fn run(program: &str, arguments: &[&std::path::Path]) -> common::Answer {
    common::answer(std::process::Command::new(program).args(arguments))
}

#[cfg(target_os = "linux")]
#[test]
fn trees_tars_and_folders_have_merged_hives() {
    let place = Place::with_sample();
    let unpacked = place.unpack_json(&["tree", "--to", "tree", "--metadata", "tree.jsonl"]);
    let warnings = unpacked["warnings"].to_string();
    assert!(!warnings.contains("Hives"), "{warnings}");
    place
        .winlayer(["verify", "tree", "--metadata", "tree.jsonl"])
        .succeeds();
    place.unpack_json(&["image.tar", "--to", "tar"]);
    place.unpack_json(&["again.tar", "--to", "tar"]);
    let tars = ["image.tar", "again.tar"].map(|name| fs::read(place.path(name)).unwrap());
    assert!(tars[0] == tars[1], "the same bytes every time");
    let config = "Files/Windows/System32/config";
    let software = format!("{config}/SOFTWARE");
    let arguments = ["-xf", "image.tar", &software, &format!("{config}/SYSTEM")];
    let tar = &mut std::process::Command::new("tar");
    common::answer(tar.args(arguments).current_dir(place.root())).succeeds();

    for name in ["SOFTWARE", "SYSTEM", "SAM", "SECURITY", "DEFAULT"] {
        let hive = place.path("tree/Windows/System32/config").join(name);
        run("hivexml", &[&hive]).succeeds();
        let from_tar = place.path(config).join(name);
        if from_tar.exists() {
            assert!(fs::read(&from_tar).unwrap() == fs::read(&hive).unwrap());
        }
    }
    let layers = place.unpack_json(&["store"]);
    let top = std::path::PathBuf::from(layers["chain"][0]["path"].as_str().unwrap());
    for (base, name) in [
        ("Software", "SOFTWARE"),
        ("System", "SYSTEM"),
        ("Sam", "SAM"),
        ("Security", "SECURITY"),
        ("DefaultUser", "DEFAULT"),
    ] {
        let base = fs::read(top.join(format!("Hives/{base}_Base"))).unwrap();
        let merged = fs::read(place.path("tree/Windows/System32/config").join(name)).unwrap();
        assert!(base == merged, "{name}: layer by layer, or all at once");
    }
    let hive = place.path("tree/Windows/System32/config/SOFTWARE");
    let get = |key: &str, value: &str| {
        let answer = run("hivexget", &[&hive, key.as_ref(), value.as_ref()]);
        answer.succeeds().stdout.trim_end().to_owned()
    };
    let version = r"\Microsoft\Windows NT\CurrentVersion";
    assert_eq!(get(version, "UBR"), "2113");
    assert_eq!(
        get(version, "ProductName"),
        "Windows Server 2022 Datacenter"
    );
    assert_eq!(get(r"\Winlayer", "Greeting"), "Grüß Gott, 世界");
    // Every value of the merged hive as two other programs and `winlayer reg` see it.
    let listing = run("reglookup", &[&hive]).succeeds().stdout;
    assert!(
        listing.contains("CurrentVersion/UBR,DWORD,0x00000841"),
        "{listing}"
    );
    assert!(
        !listing.contains("CurrentVersion/ReleaseId"),
        "a deleted value"
    );
    assert!(
        !listing.contains("CurrentVersion/Obsolete"),
        "a deleted key"
    );
    let packages =
        r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages";
    let seen = json_of(&place, &["reg", "oci:image", packages]);
    for package in seen["subkeys"].as_array().unwrap() {
        let name = package.as_str().unwrap();
        assert!(listing.contains(&format!("/Packages/{name},KEY")), "{name}");
        let key = format!("{}\\{name}", packages.trim_start_matches(r"HKLM\SOFTWARE"));
        let reg = place.winlayer([
            "reg",
            "oci:image",
            &format!(r"{packages}\{name}"),
            "CurrentState",
        ]);
        assert_eq!(get(&key, "CurrentState"), reg.succeeds().stdout.trim_end());
    }
}
