use std::{fs, io::Read as _, path::PathBuf};

use super::*;
use crate::{ErrorKind, merge::testing::*};

/// A place for a tree, its metadata file and whatever they leave behind.
struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn metadata(&self) -> PathBuf {
        self.directory.path().join("root.jsonl")
    }

    fn unpack(&self, layers: &[Vec<Item>]) -> Result<Vec<String>> {
        let layers = TestLayers::new(layers);
        let topmost = *layers.numbers()?.last().unwrap();
        let merge = Merge::new(Selection::Files, topmost, 10_000);
        let root = free_destination(&self.root())?;
        let staging = Staging::beside(&root)?;
        let metadata = self.metadata();
        let built = build(&layers, merge, Selection::Files, &staging, Some(&metadata));
        built.map(|(_, warnings)| warnings)
    }

    /// Names beside the destination.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn read(&self, path: &str) -> String {
        let mut text = String::new();
        fs::File::open(self.root().join(path))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }
}

fn layers() -> [Vec<Item>; 2] {
    let base = vec![
        directory("Files", 1),
        directory("Files/Windows", 2),
        stream("dir", "of a directory"),
        file("Files/Windows/a.dll", 3, "old"),
        hard_link("Files/Windows/b.dll", "Files/Windows/a.dll"),
        hard_link("Files/Windows/c.dll", "Files/Windows/a.dll"),
        symlink("Files/link", 4, r"c:\WINDOWS\b.dll", false),
        symlink("Files/Windows/up", 5, r"..\Users", true),
        symlink("Files/Windows/out", 6, r"\\server\share", true),
        symlink("Files/Windows/gone", 6, r"D:\x", false),
    ];
    let top = vec![
        directory("Files", 7),
        file("Files/windows/A.dll", 8, "new"),
        stream("Zone.Identifier", "[ZoneTransfer]"),
        file("Files/Users/x", 9, "x"),
    ];
    [base, top]
}

#[test]
fn writes_the_merged_files_and_links_inside_the_tree() {
    let scene = Scene::new();
    let warnings = scene.unpack(&layers()).unwrap();
    assert_eq!(scene.read("windows/A.dll"), "new");
    assert_eq!(scene.read("windows/b.dll"), "old");
    assert_eq!(scene.read("Users/x"), "x");
    // Where no links can be made (Wine, Windows without the privilege) that is said.
    let refused = warnings
        .iter()
        .any(|warning| warning.starts_with("2 links could not be made here"));
    assert!(!refused || cfg!(windows), "{warnings:?}");
    let tree = winlayer_sys::Dir::open_ambient(&scene.root()).unwrap();
    for (path, target) in [("link", "windows/b.dll"), ("windows/up", "../Users")] {
        match refused {
            false => assert_eq!(tree.read_link(path).unwrap(), PathBuf::from(target)),
            true => assert!(tree.read_link(path).is_err()),
        }
    }
    drop(tree);
    assert!(
        scene
            .root()
            .join("windows/out")
            .symlink_metadata()
            .unwrap()
            .is_dir()
    );
    assert!(
        scene
            .root()
            .join("windows/gone")
            .symlink_metadata()
            .unwrap()
            .is_file()
    );
    assert!(
        warnings
            .iter()
            .any(|warning| warning.starts_with("2 links lead out")),
        "{warnings:?}"
    );
    assert_eq!(scene.names(), ["root", "root.jsonl"]);
}

#[test]
fn keeps_last_write_times_of_files_links_and_directories() {
    let scene = Scene::new();
    scene.unpack(&layers()).unwrap();
    for (path, mark) in [
        ("", 7),
        ("windows", 2),
        ("windows/A.dll", 8),
        ("windows/b.dll", 3),
        ("link", 4),
    ] {
        let (seconds, nanos) = metadata(mark, Default::default()).times.written.to_unix();
        let found = scene
            .root()
            .join(path)
            .symlink_metadata()
            .unwrap()
            .modified()
            .unwrap();
        let found = found.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(
            (found.as_secs() as i64, found.subsec_nanos()),
            (seconds, nanos),
            "{path}"
        );
    }
}

#[test]
fn the_metadata_file_lists_every_object_in_order_and_verifies_the_tree() {
    let scene = Scene::new();
    scene.unpack(&layers()).unwrap();
    let text = fs::read_to_string(scene.metadata()).unwrap();
    let records: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let paths: Vec<&str> = records
        .iter()
        .map(|record| record["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            ".",
            "Users",
            "Users/x",
            "link",
            "windows",
            "windows/A.dll",
            "windows/b.dll",
            "windows/c.dll",
            "windows/gone",
            "windows/out",
            "windows/up"
        ]
    );
    let record = |path: &str| {
        records
            .iter()
            .find(|record| record["path"] == path)
            .unwrap()
    };
    assert_eq!(
        record("windows/A.dll")["streams"][0]["name"],
        "Zone.Identifier"
    );
    assert_eq!(record("windows")["streams"][0]["size"], 14);
    assert_eq!(record("windows/c.dll")["hard_link_to"], "windows/b.dll");
    assert_eq!(record("link")["reparse"]["target"], r"c:\WINDOWS\b.dll");
    assert_eq!(record("Users")["implicit"], true);
    let verified = verify_tree(&scene.root(), &scene.metadata()).unwrap();
    assert_eq!((verified.entries, verified.layers), (11, 2));
}

#[test]
fn verify_finds_changed_missing_and_strange_files() {
    type Damage = fn(PathBuf);
    let damages: [Damage; 4] = [
        |root| fs::write(root.join("Users/x"), "y").unwrap(),
        |root| fs::remove_file(root.join("link")).unwrap(),
        |root| fs::write(root.join("windows/stranger"), "").unwrap(),
        |root| {
            fs::remove_file(root.join("windows/A.dll")).unwrap();
            fs::create_dir(root.join("windows/A.dll")).unwrap();
        },
    ];
    for damage in damages {
        let scene = Scene::new();
        scene.unpack(&layers()).unwrap();
        damage(scene.root());
        let error = verify_tree(&scene.root(), &scene.metadata()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    }
}

#[test]
fn a_refused_layer_leaves_nothing_behind() {
    let scene = Scene::new();
    let hostile = vec![
        symlink("Files/l", 1, r"C:\", true),
        file("Files/l/x", 2, "x"),
    ];
    let error = scene
        .unpack(&[vec![file("Files/a", 0, "a")], hostile])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert!(scene.names().is_empty(), "{:?}", scene.names());
}

#[test]
fn the_destination_may_be_an_empty_directory_and_nothing_else() {
    let scene = Scene::new();
    fs::create_dir(scene.root()).unwrap();
    scene.unpack(&layers()).unwrap();
    let error = scene.unpack(&layers()).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
}

#[test]
fn the_next_start_removes_what_a_killed_process_left_but_not_what_is_in_use() {
    let scene = Scene::new();
    let busy = Staging::beside(&scene.root()).unwrap();
    let left = scene.directory.path().join(".root.winlayer-ingest-1-0");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("lock"), "").unwrap();
    fs::write(left.join("half"), "").unwrap();
    fs::create_dir(scene.directory.path().join(".root.winlayer-ingest-2-0")).unwrap();
    scene.unpack(&layers()).unwrap();
    let names = scene.names();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(busy.dir().stat("lock").unwrap().is_some());
}

#[test]
fn the_same_layers_give_the_same_metadata_file() {
    let text = || {
        let scene = Scene::new();
        scene.unpack(&layers()).unwrap();
        fs::read(scene.metadata()).unwrap()
    };
    assert_eq!(text(), text());
}
