use winlayer_digest::{DiffId, Digest};
use winlayer_hive::{HiveTree, ValueData};
use winlayer_tar::Limits;

use super::*;
use crate::{ErrorKind, InspectOptions, inspect, testing::*};

const VERSION: &str = r"Microsoft\Windows NT\CurrentVersion";
const CONFIG: &str = "Files/Windows/System32/config";

fn hive(tree: &HiveTree) -> Vec<u8> {
    tree.to_bytes().unwrap()
}

/// `SOFTWARE` of a build, and its delta to another revision.
fn software(revision: u32) -> HiveTree {
    let mut tree = HiveTree::new("SOFTWARE");
    let key = tree.root_mut().create(VERSION).unwrap();
    key.set("ProductName", ValueData::string("Windows of a test"))
        .unwrap();
    key.set("CurrentBuildNumber", ValueData::string("20348"))
        .unwrap();
    key.set("CurrentMajorVersionNumber", ValueData::dword(10))
        .unwrap();
    key.set("CurrentMinorVersionNumber", ValueData::dword(0))
        .unwrap();
    key.set("UBR", ValueData::dword(revision)).unwrap();
    tree
}

fn software_delta(revision: u32) -> HiveTree {
    let mut tree = HiveTree::delta("Software_Delta");
    let key = tree.root_mut().create(VERSION).unwrap();
    key.set("UBR", ValueData::dword(revision)).unwrap();
    tree
}

fn system() -> HiveTree {
    let mut tree = HiveTree::new("SYSTEM");
    let root = tree.root_mut();
    let select = root.create("Select").unwrap();
    select.set("Current", ValueData::dword(2)).unwrap();
    let environment = r"ControlSet002\Control\Session Manager\Environment";
    let key = root.create(environment).unwrap();
    key.set("OS", ValueData::string("Windows_NT")).unwrap();
    tree
}

fn config_folder() -> Vec<Item> {
    let folders = ["Files", "Files/Windows", "Files/Windows/System32", CONFIG];
    folders.into_iter().map(dir).collect()
}

/// A base layer with all five hives.
fn base() -> Vec<Item> {
    let mut items = config_folder();
    for name in ["DEFAULT", "SAM", "SECURITY"] {
        let empty = hive(&HiveTree::new(name));
        items.push(file(&format!("{CONFIG}/{name}"), &empty));
    }
    // In another spelling, which is the same name.
    items.push(file(&format!("{CONFIG}/Software"), hive(&software(1))));
    items.push(file(&format!("{CONFIG}/SYSTEM"), hive(&system())));
    items
}

fn delta_layer(name: &str, delta: &[u8]) -> Vec<Item> {
    vec![
        dir("Files"),
        dir("Hives"),
        file(&format!("Hives/{name}"), delta),
    ]
}

fn facts(layers: &[Vec<Item>]) -> crate::ImageFacts {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), layers);
    inspect(&image, &InspectOptions::default(), None).unwrap()
}

#[test]
fn the_version_is_that_of_the_topmost_delta_and_a_mismatch_is_told() {
    let update = delta_layer("SOFTWARE_DELTA", &hive(&software_delta(2113)));
    let windows = facts(&[base(), update]).windows.unwrap();
    assert_eq!(windows.product.as_deref(), Some("Windows of a test"));
    assert_eq!(windows.version.as_deref(), Some("10.0.20348.2113"));
    assert_eq!(windows.config_version.as_deref(), Some("10.0.20348.1"));
    assert_eq!(windows.version_matches, Some(false));
    assert_eq!(windows.environment[0].name, "OS", "of the current set, 2");
    let windows = facts(&[base()]).windows.unwrap();
    assert_eq!(windows.version_matches, Some(true));
}

#[test]
fn an_image_without_hives_has_no_windows_facts_and_no_findings() {
    let facts = facts(&[vec![dir("Files")]]);
    assert_eq!((facts.windows, facts.findings), (None, Vec::new()));
}

#[test]
fn a_hive_that_is_none_is_named_with_its_layer_and_the_rest_is_told() {
    let broken = delta_layer("Software_Delta", b"no hive");
    let facts = facts(&[base(), broken]);
    let windows = facts.windows.unwrap();
    assert_eq!(windows.version.as_deref(), Some("10.0.20348.1"));
    let findings: Vec<String> = facts.findings.iter().map(ToString::to_string).collect();
    assert_eq!(findings.len(), 1, "{findings:?}");
    let start = "layer 2 of 2: Hives/Software_Delta: not a registry hive";
    assert!(findings[0].starts_with(start), "{findings:?}");
}

#[test]
fn damage_found_only_when_asked_is_blamed_on_the_hive_that_has_it() {
    let mut delta = hive(&software_delta(2113));
    // The value's record begins 20 bytes before its name.
    let name = delta.windows(3).position(|bytes| bytes == b"UBR").unwrap();
    assert_eq!(&delta[name - 20..name - 18], b"vk");
    delta[name - 20] = b'x';
    let above = hive(&software_delta(2227));
    let layers = [
        base(),
        delta_layer("Software_Delta", &delta),
        delta_layer("Software_Delta", &above),
    ];
    let facts = facts(&layers);
    let windows = facts.windows.unwrap();
    assert_eq!(windows.product.as_deref(), Some("Windows of a test"));
    assert_eq!(windows.version.as_deref(), Some("10.0.20348.2227"));
    let findings: Vec<String> = facts.findings.iter().map(ToString::to_string).collect();
    let start = "layer 2 of 3: Hives/Software_Delta: damaged hive";
    assert!(
        findings.iter().any(|text| text.starts_with(start)),
        "{findings:?}"
    );

    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), &layers);
    let registry = read_registry(&image, 2, &Limits::default(), None).unwrap();
    let path: RegistryPath = format!(r"HKLM\SOFTWARE\{VERSION}").parse().unwrap();
    let error = registry.key(&path, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification);
    assert!(error.to_string().starts_with(start), "{error}");
}

#[test]
fn a_whole_hive_of_a_layer_replaces_those_below_it() {
    let mut replaced = config_folder();
    let path = format!("{CONFIG}/SOFTWARE");
    replaced.push(file(&path, hive(&software(5000))));
    let update = delta_layer("Software_Delta", &hive(&software_delta(2113)));
    let windows = facts(&[base(), update, replaced]).windows.unwrap();
    assert_eq!(windows.version.as_deref(), Some("10.0.20348.5000"));
}

#[test]
fn layers_are_left_after_their_last_hive_and_then_not_verified() {
    let mut first = base();
    first.push(file("Files/later.txt", "not read"));
    let mut second = delta_layer("Software_Delta", &hive(&software_delta(2113)));
    second.extend(utility_vm());
    let tars = [tar(&first), tar(&second)];
    let wrong = DiffId::new(Digest::of(b"something else"));
    let folder = tempfile::tempdir().unwrap();
    let image = image_of_tars(folder.path(), &tars, &[wrong, wrong]);
    let registry = read_registry(&image, 1, &Limits::default(), None).unwrap();
    let mut findings = Vec::new();
    let windows = registry.windows(None, &mut findings);
    assert_eq!(windows.version.as_deref(), Some("10.0.20348.2113"));
    assert!(findings.is_empty(), "{findings:?}");
    let all = InspectOptions {
        contents: true,
        ..InspectOptions::default()
    };
    let error = inspect(&image, &all, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification);
}

#[test]
fn a_layer_that_cannot_be_read_is_a_finding_of_inspect_and_an_error_of_others() {
    let tars = [tar(&base()), tar(&[dir("Files")])];
    let right = DiffId::new(Digest::of(&tars[0]));
    let wrong = DiffId::new(Digest::of(b"something else"));
    let folder = tempfile::tempdir().unwrap();
    let image = image_of_tars(folder.path(), &tars, &[right, wrong]);
    let facts = inspect(&image, &InspectOptions::default(), None).unwrap();
    assert!(facts.windows.is_some());
    let finding = facts.findings[0].to_string();
    assert!(
        finding.starts_with("layer 2 of 2: cannot be read: "),
        "{finding}"
    );
    let error = read_registry(&image, 1, &Limits::default(), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification);
}

#[test]
fn keys_are_found_by_every_name_they_have() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), &[base()]);
    let registry = read_registry(&image, 1, &Limits::default(), None).unwrap();
    for name in [
        r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment",
        r"hklm:\system\controlset002\control\session manager\environment\",
        r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\\Session Manager\Environment",
    ] {
        let key = registry.key(&name.parse().unwrap(), None).unwrap();
        let full = r"HKLM\SYSTEM\ControlSet002\Control\Session Manager\Environment";
        assert_eq!(key.key, full);
        let value = key.value("os").unwrap();
        assert_eq!(value.data, RegistryData::Text("Windows_NT".into()));
        assert_eq!((value.kind.as_str(), value.layer), ("REG_SZ", 1));
    }
    for name in [r"HKU\.DEFAULT", r"HKEY_USERS\S-1-5-18", r"HKLM\SAM"] {
        registry.key(&name.parse().unwrap(), None).unwrap();
    }
    for name in ["", "HKLM", r"HKCU\Software", r"HKLM\HARDWARE", "SOFTWARE"] {
        let error = name.parse::<RegistryPath>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{name}");
    }
}

// ── merged outputs ──

/// What `unpack` makes of these layers: the tree's SOFTWARE, and the warnings.
fn tree_of(layers: &[Vec<Item>]) -> (Vec<u8>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let image = image(&folder.path().join("image"), layers);
    let target = crate::Target::Tree {
        metadata: Some(folder.path().join("metadata")),
        utility_vm: false,
    };
    let root = folder.path().join("tree");
    let options = crate::UnpackOptions::new(target);
    let unpacked = crate::unpack_windows_image(&image, &root, &options).unwrap();
    crate::verify_tree(&root, &folder.path().join("metadata")).unwrap();
    let config = root.join("Windows/System32/config");
    let name = ["SOFTWARE", "Software"].map(|name| config.join(name));
    let software = name.iter().find_map(|path| std::fs::read(path).ok());
    (software.unwrap_or_default(), unpacked.warnings)
}

fn revision(software: &[u8]) -> Option<u32> {
    let hive = Hive::from_bytes(software).unwrap();
    let key = hive.get(VERSION).unwrap().unwrap();
    key.value("UBR").unwrap().unwrap().data().unwrap().to_u32()
}

#[test]
fn a_tree_has_merged_hives_and_no_warnings() {
    let layers = [
        base(),
        delta_layer("Software_Delta", &hive(&software_delta(2113))),
        delta_layer("Software_Delta", &hive(&software_delta(2227))),
        delta_layer("Software_Delta", &hive(&HiveTree::delta("Software_Delta"))),
    ];
    let (software, warnings) = tree_of(&layers);
    assert_eq!(revision(&software), Some(2227));
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(tree_of(&layers).0, software, "the same every time");
}

#[test]
fn a_delta_that_changes_nothing_leaves_the_hive_as_it_is() {
    let nothing = hive(&HiveTree::delta("Software_Delta"));
    let (merged, _) = tree_of(&[base(), delta_layer("Software_Delta", &nothing)]);
    assert_eq!(merged, hive(&software(1)));
}

#[test]
fn only_deltas_above_a_whole_hive_are_merged_into_it() {
    let delta = |revision| delta_layer("Software_Delta", &hive(&software_delta(revision)));
    let mut replaced = config_folder();
    replaced.push(file(&format!("{CONFIG}/SOFTWARE"), hive(&software(5000))));
    let (merged, warnings) = tree_of(&[base(), delta(2113), replaced.clone()]);
    assert_eq!((revision(&merged), warnings.len()), (Some(5000), 0));
    let (merged, _) = tree_of(&[base(), replaced.clone(), delta(6000)]);
    assert_eq!(revision(&merged), Some(6000));
    replaced.extend(delta(7000).into_iter().skip(1));
    let (_, warnings) = tree_of(&[base(), replaced]);
    assert!(
        warnings[0].starts_with("layer 2: Hives/Software_Delta: not merged"),
        "{warnings:?}"
    );
}

/// The store that `unpack` makes of these layers, where its layers are, base first, and the warnings.
fn folders_of(layers: &[Vec<Item>]) -> (tempfile::TempDir, Vec<std::path::PathBuf>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let image = image(&folder.path().join("image"), layers);
    let store = folder.path().join("store");
    let options = crate::UnpackOptions::new(crate::Target::Folder);
    let unpacked = crate::unpack_windows_image(&image, &store, &options).unwrap();
    crate::verify_store(&store).unwrap();
    let chain = unpacked.chain.into_iter().rev();
    let paths = chain.map(|link| link.path).collect();
    (folder, paths, unpacked.warnings)
}

#[test]
fn a_folder_has_the_registry_as_the_layer_leaves_it() {
    let nothing = hive(&HiveTree::delta("Software_Delta"));
    let layers = [
        base(),
        delta_layer("Software_Delta", &hive(&software_delta(2113))),
        vec![dir("Files"), file("Files/a", "a")],
        delta_layer("Software_Delta", &nothing),
        delta_layer("Software_Delta", &hive(&software_delta(2227))),
    ];
    let (folder, paths, warnings) = folders_of(&layers);
    assert_eq!(warnings, Vec::<String>::new());
    let read = |layer: &std::path::PathBuf, name: &str| std::fs::read(layer.join(name)).unwrap();
    let software: Vec<_> = paths
        .iter()
        .map(|path| read(path, "Hives/Software_Base"))
        .collect();
    assert_eq!(software[0], hive(&self::software(1)), "as it is in the tar");
    let revisions: Vec<_> = software.iter().map(|software| revision(software)).collect();
    assert_eq!(revisions, [1, 2113, 2113, 2113, 2227].map(Some));
    assert_eq!(software[4], tree_of(&layers).0);
    for path in &paths {
        for name in [
            "DefaultUser_Base",
            "Sam_Base",
            "Security_Base",
            "System_Base",
        ] {
            let name = format!("Hives/{name}");
            assert_eq!(read(path, &name), read(&paths[0], &name));
        }
    }
    let layouts: Vec<_> = paths
        .iter()
        .map(|path| path.join("layout").exists())
        .collect();
    assert_eq!(layouts, [true, false, false, false, false]);
    assert_eq!(read(&paths[0], "layout"), b"vhd-with-hives\n");

    let stray = paths[2].join("Hives/Sam_Other");
    std::fs::write(&stray, "").unwrap();
    let error = crate::verify_store(&folder.path().join("store")).unwrap_err();
    assert!(error.to_string().contains("Hives/Sam_Other"), "{error}");
    std::fs::remove_file(stray).unwrap();
    std::fs::write(paths[4].join("Hives/Software_Base"), &software[1]).unwrap();
    let error = crate::verify_store(&folder.path().join("store")).unwrap_err();
    assert!(error.to_string().contains("Hives/Software_Base"), "{error}");
}

#[test]
fn what_cannot_be_merged_leaves_the_hive_below_as_it_is() {
    let broken = delta_layer("Software_Delta", b"no hive");
    let (_folder, paths, warnings) = folders_of(&[base(), broken]);
    let software = std::fs::read(paths[1].join("Hives/Software_Base")).unwrap();
    assert_eq!(revision(&software), Some(1));
    let end = "Hives/Software_Delta: not merged into Hives/Software_Base: not a registry hive";
    assert!(warnings[0].contains(end), "{warnings:?}");
    let update = delta_layer("Software_Delta", &hive(&software_delta(2113)));
    let (_folder, paths, warnings) = folders_of(&[vec![dir("Files")], update]);
    assert!(!paths[1].join("Hives/Software_Base").exists());
    assert!(
        warnings[0].ends_with("no layer below has this hive"),
        "{warnings:?}"
    );
}

#[test]
fn what_cannot_be_merged_is_named_and_the_base_stays() {
    let broken = delta_layer("Software_Delta", b"no hive");
    let (software, warnings) = tree_of(&[base(), broken]);
    assert_eq!(revision(&software), Some(1));
    let start =
        r"layer 2: Hives/Software_Delta: not merged into HKLM\SOFTWARE: not a registry hive";
    assert!(warnings[0].starts_with(start), "{warnings:?}");
    assert_eq!(warnings.len(), 1, "{warnings:?}");

    let mut base = config_folder();
    base.push(file(&format!("{CONFIG}/SOFTWARE"), "no hive"));
    let update = delta_layer("Software_Delta", &hive(&software_delta(2113)));
    let (software, warnings) = tree_of(&[base, update.clone()]);
    assert_eq!(software, b"no hive");
    assert!(warnings[0].starts_with("Files/Windows/System32/config/SOFTWARE: "));
    let (_, warnings) = tree_of(&[vec![dir("Files")], update]);
    let end = "no layer has the file Files/Windows/System32/config/SOFTWARE";
    assert!(warnings[0].ends_with(end), "{warnings:?}");
}

#[test]
fn hives_that_are_too_large_are_not_merged() {
    use super::merged::too_large;
    assert_eq!(too_large([300 << 20, 200 << 20].into_iter()), None);
    let why = too_large([500 << 20, 13 << 20].into_iter()).unwrap();
    assert!(why.starts_with("537919488 bytes"), "{why}");
    assert!(too_large([u64::MAX, 1].into_iter()).is_some());
}
