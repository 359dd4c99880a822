//! What a file system can do that Wine lacks (links, descriptors) is not tried here.

use super::*;
use std::{
    io::Write as _,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use winlayer_metadata::{FileAttributes, FileTime};

/// A contained directory `root`, and beside it a `victim` that nothing may ever touch.
struct Scene {
    // Closed before the folder is removed: an open directory cannot go.
    dir: Dir,
    root: PathBuf,
    victim: PathBuf,
    _folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [root, victim] = ["root", "victim"].map(|name| folder.path().join(name));
        std::fs::create_dir(&root).unwrap();
        std::fs::create_dir_all(victim.join("sub")).unwrap();
        std::fs::write(victim.join("hello"), "untouched").unwrap();
        let dir = Dir::open_ambient(&root).unwrap();
        Self {
            dir,
            root,
            victim,
            _folder: folder,
        }
    }

    #[track_caller]
    fn assert_victim_untouched(&self) {
        let victim = Dir::open_ambient(&self.victim).unwrap();
        let names: Vec<_> = victim.read_dir("").unwrap();
        let names: Vec<_> = names.iter().map(|entry| entry.name.to_str()).collect();
        assert_eq!(names, [Some("hello"), Some("sub")]);
        assert!(victim.read_dir("sub").unwrap().is_empty());
        assert_eq!(victim.read("hello").unwrap(), b"untouched");
        assert_eq!(victim.stat("hello").unwrap().unwrap().links, 1);
    }
}

#[track_caller]
fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: io::ErrorKind) {
    let error = result.expect_err("must fail");
    assert_eq!(error.io_kind(), kind, "{error}");
    assert!(!error.is_unsafe(), "{error}");
}

const SOME_TIME: UnixTime = UnixTime {
    seconds: 1_577_836_800,
    nanos: 123_456_700,
};

/// Every way to reach an object by a path.
fn every_call(dir: &Dir, path: &str) -> Vec<(&'static str, Option<SysError>)> {
    dir.create_dir_all("calls").unwrap();
    if dir.stat("calls/source").unwrap().is_none() {
        dir.create_file("calls/source").unwrap();
    }
    let [file, directory] = [ObjectKind::File, ObjectKind::Directory];
    vec![
        ("open_dir", dir.open_dir(path).err()),
        ("create_dir", dir.create_dir(path).err()),
        ("create_dir_all", dir.create_dir_all(path).err()),
        ("create_file", dir.create_file(path).err()),
        ("open_file", dir.open_file(path).err()),
        ("read", dir.read(path).err()),
        ("symlink", dir.symlink("x", path).err()),
        (
            "symlink_to_directory",
            dir.symlink_to_directory("x", path).err(),
        ),
        ("read_link", dir.read_link(path).err()),
        ("is_reparse_point", dir.is_reparse_point(path).err()),
        ("create file object", dir.create_object(path, file).err()),
        (
            "create directory object",
            dir.create_object(path, directory).err(),
        ),
        (
            "open_object",
            dir.open_object(path, ObjectAccess::Attributes).err(),
        ),
        (
            "open_object to write",
            dir.open_object(path, ObjectAccess::WriteBackup).err(),
        ),
        (
            "hard_link from",
            dir.hard_link(path, dir, "calls/linked").err(),
        ),
        (
            "hard_link to",
            dir.hard_link("calls/source", dir, path).err(),
        ),
        ("stat", dir.stat(path).err()),
        ("read_dir", dir.read_dir(path).err()),
        ("remove_file", dir.remove_file(path).err()),
        ("remove_all", dir.remove_all(path).err()),
        ("rename from", dir.rename(path, dir, "calls/renamed").err()),
        ("rename to", dir.rename("calls/source", dir, path).err()),
        (
            "rename_replace from",
            dir.rename_replace(path, dir, "calls/renamed").err(),
        ),
        (
            "rename_replace to",
            dir.rename_replace("calls/source", dir, path).err(),
        ),
        ("set_times", dir.set_times(path, SOME_TIME, SOME_TIME).err()),
        ("sync_dir", dir.sync_dir(path).err()),
    ]
}

#[test]
fn creates_and_reads_back() {
    let scene = Scene::new();
    let dir = &scene.dir;
    dir.create_dir("a").unwrap();
    dir.create_dir_all("a/b/c").unwrap();
    dir.create_dir_all("a/b/c").unwrap();
    dir.create_dir_all("").unwrap();
    let mut file = dir.create_file("a/b/c/f").unwrap();
    file.write_all(b"content").unwrap();
    drop(file);
    assert_eq!(dir.read("a/b/c/f").unwrap(), b"content");
    dir.hard_link("a/b/c/f", dir, "a/second").unwrap();

    let stat = dir.stat("a/second").unwrap().unwrap();
    assert_eq!((stat.kind, stat.size, stat.links), (FileKind::File, 7, 2));
    assert_eq!(stat.inode, dir.stat("a/b/c/f").unwrap().unwrap().inode);
    assert!(
        dir.is_name_of("a/second", &dir.open_file("a/b/c/f").unwrap())
            .unwrap()
    );
    assert_eq!(dir.stat("").unwrap().unwrap().kind, FileKind::Directory);
    assert_eq!(dir.stat("a").unwrap().unwrap().kind, FileKind::Directory);
    assert!(dir.stat("a/none").unwrap().is_none());
    assert!(dir.stat("none/none").is_err());
    assert!(!dir.is_reparse_point("a/second").unwrap());

    let names = |path| -> Vec<(String, FileKind)> {
        let entries = dir.read_dir(path).unwrap();
        entries
            .into_iter()
            .map(|e| (e.name.into_string().unwrap(), e.kind))
            .collect()
    };
    assert_eq!(names(""), [("a".to_owned(), FileKind::Directory)]);
    let expected = [("b", FileKind::Directory), ("second", FileKind::File)];
    assert_eq!(
        names("a"),
        expected.map(|(name, kind)| (name.to_owned(), kind))
    );

    let below = dir.open_dir("a/b").unwrap();
    assert_eq!(below.read("c/f").unwrap(), b"content");
    assert!(below.path().ends_with("a/b"));
    assert_eq!(dir.open_dir("").unwrap().read_dir("").unwrap().len(), 1);
    assert!(dir.available_bytes().unwrap() > 0);
    dir.sync_dir("a").unwrap();
    dir.sync_dir("").unwrap();
    dir.sync_all().unwrap();
    sync::sync_each(dir).unwrap();
}

#[test]
fn only_a_directory_is_opened_as_root() {
    let scene = Scene::new();
    let file = scene.victim.join("hello");
    assert_kind(Dir::open_ambient(&file), io::ErrorKind::NotADirectory);
    assert_kind(
        Dir::open_ambient(&scene.root.join("none")),
        io::ErrorKind::NotFound,
    );
}

#[test]
fn never_replaces_what_exists() {
    let scene = Scene::new();
    let dir = &scene.dir;
    dir.create_file("taken")
        .unwrap()
        .write_all(b"first")
        .unwrap();
    dir.create_file("other").unwrap();
    dir.create_dir("empty").unwrap();
    for taken in ["taken", "empty"] {
        assert_kind(dir.create_file(taken), io::ErrorKind::AlreadyExists);
        assert_kind(dir.create_dir(taken), io::ErrorKind::AlreadyExists);
        assert_kind(dir.symlink("x", taken), io::ErrorKind::AlreadyExists);
        assert_kind(
            dir.create_object(taken, ObjectKind::File),
            io::ErrorKind::AlreadyExists,
        );
        assert_kind(
            dir.hard_link("other", dir, taken),
            io::ErrorKind::AlreadyExists,
        );
        assert_kind(
            dir.rename("other", dir, taken),
            io::ErrorKind::AlreadyExists,
        );
    }
    assert_eq!(dir.read("taken").unwrap(), b"first");
    dir.rename_replace("other", dir, "taken").unwrap();
    assert_eq!(dir.read("taken").unwrap(), b"");
}

#[test]
fn a_directory_replaces_only_an_empty_one() {
    let scene = Scene::new();
    let dir = &scene.dir;
    dir.create_dir_all("new/inside").unwrap();
    dir.create_dir("empty").unwrap();
    dir.create_dir_all("full/x").unwrap();
    assert_kind(
        dir.rename_replace("new", dir, "full"),
        io::ErrorKind::DirectoryNotEmpty,
    );
    dir.rename_replace("new", dir, "empty").unwrap();
    assert!(dir.stat("empty/inside").unwrap().is_some());
    assert!(dir.stat("full/x").unwrap().is_some());
}

#[test]
fn refuses_paths_that_are_not_relative_and_plain() {
    let scene = Scene::new();
    let absolute = scene.victim.join("hello");
    for path in [
        "..",
        "../victim/hello",
        "calls/../../victim/hello",
        r"..\victim\hello",
        r"calls\..\..\victim\hello",
        absolute.to_str().unwrap(),
        r"\\?\C:\x",
        "C:x",
        "calls/source:stream",
        "calls/source::$DATA",
        "/calls",
        ".",
        "calls/.",
        "calls//source",
        "calls/",
        "calls/so\0urce",
    ] {
        for (call, error) in every_call(&scene.dir, path) {
            assert!(
                error.as_ref().is_some_and(SysError::is_unsafe),
                "{call} {path:?}: {error:?}"
            );
        }
    }
    assert!(scene.dir.create_file("").unwrap_err().is_unsafe());
    assert!(scene.dir.remove_all("").unwrap_err().is_unsafe());
    scene.assert_victim_untouched();
}

#[test]
fn a_reparse_point_met_on_the_way_is_unsafe() {
    // Wine makes no reparse points, so only what the system says is put in by hand.
    let scene = Scene::new();
    let dir = &scene.dir;
    let encountered = Status(0xC000_050B_u32.cast_signed());
    assert!(dir.failed("open file", "link/x", encountered).is_unsafe());
}

#[test]
fn a_link_is_made_whole_or_not_at_all() {
    let scene = Scene::new();
    let dir = &scene.dir;
    dir.create_dir("directory").unwrap();
    match dir.symlink_to_directory("directory", "link") {
        Ok(()) => {
            assert_eq!(dir.read_link("link").unwrap(), Path::new("directory"));
            assert_eq!(dir.stat("link").unwrap().unwrap().kind, FileKind::Symlink);
            assert!(dir.is_reparse_point("link").unwrap());
            assert!(dir.create_file("link/x").unwrap_err().is_unsafe());
            dir.remove_all("link").unwrap();
        }
        Err(error) => assert!(error.is_unsupported(), "{error:?}"),
    }
    assert!(dir.stat("link").unwrap().is_none());
    assert!(dir.stat("directory").unwrap().is_some());
}

#[test]
fn a_file_in_the_way_is_an_error_but_not_unsafe() {
    let scene = Scene::new();
    let dir = &scene.dir;
    dir.create_file("file").unwrap();
    for result in [
        dir.create_file("file/x").map(drop),
        dir.create_dir_all("file/x"),
        dir.create_dir_all("file"),
        dir.open_dir("file").map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(!error.is_unsafe(), "{error}");
    }
    assert_kind(dir.open_dir("file"), io::ErrorKind::NotADirectory);
    assert_kind(dir.create_file("missing/x"), io::ErrorKind::NotFound);
    assert_kind(dir.remove_file("missing"), io::ErrorKind::NotFound);
    dir.remove_all("missing").unwrap();
    dir.remove_all("missing/too").unwrap();
}

#[test]
fn only_regular_files_are_opened() {
    let scene = Scene::new();
    let dir = &scene.dir;
    dir.create_dir("directory").unwrap();
    assert_kind(dir.open_file("directory"), io::ErrorKind::IsADirectory);
    assert_kind(dir.remove_file("directory"), io::ErrorKind::IsADirectory);
    assert!(dir.stat("directory").unwrap().is_some());
}

#[test]
fn names_are_taken_as_they_are() {
    let scene = Scene::new();
    let dir = &scene.dir;
    for name in [
        "con",
        "aux.txt",
        "nul",
        "dots..",
        "space ",
        "\u{e9}\u{6587}",
    ] {
        dir.create_file(name)
            .unwrap()
            .write_all(name.as_bytes())
            .unwrap();
    }
    let names: Vec<_> = dir.read_dir("").unwrap();
    let names: Vec<_> = names
        .iter()
        .filter_map(|entry| entry.name.to_str())
        .collect();
    assert_eq!(
        names,
        [
            "aux.txt",
            "con",
            "dots..",
            "nul",
            "space ",
            "\u{e9}\u{6587}"
        ]
    );
    for name in names {
        assert_eq!(dir.read(name).unwrap(), name.as_bytes());
    }
    assert_kind(dir.create_file("a*b"), io::ErrorKind::InvalidFilename);
}

#[test]
fn paths_longer_than_260_characters_work() {
    let scene = Scene::new();
    let dir = &scene.dir;
    let component = "x".repeat(200);
    let parent = [component.as_str(); 15].join("/");
    dir.create_dir_all(&parent).unwrap();
    let [file, link] = ["file", "link"].map(|name| format!("{parent}/{name}"));
    dir.create_file(&file).unwrap().write_all(b"deep").unwrap();
    dir.hard_link(&file, dir, &link).unwrap();
    dir.rename(&link, dir, "top").unwrap();
    assert_eq!(dir.read(&file).unwrap(), b"deep");
    assert_eq!(dir.stat("top").unwrap().unwrap().links, 2);
    assert_eq!(
        dir.open_dir(&parent).unwrap().read_dir("").unwrap().len(),
        1
    );
    dir.remove_all(&component).unwrap();
    assert_eq!(dir.read_dir("").unwrap().len(), 1);
}

#[test]
fn a_tree_of_any_depth_and_width_is_removed() {
    let scene = Scene::new();
    let dir = &scene.dir;
    let deep = vec!["d"; 300].join("/");
    dir.create_dir_all(&format!("tree/{deep}/x")).unwrap();
    for number in 0..300 {
        dir.create_file(&format!("tree/d/{number}")).unwrap();
        dir.create_dir_all(&format!("tree/wide/{number}/sub"))
            .unwrap();
    }
    dir.remove_all("tree").unwrap();
    assert!(dir.read_dir("").unwrap().is_empty());
    scene.assert_victim_untouched();
}

#[test]
fn a_read_only_file_is_removed_and_its_other_names_stay_read_only() {
    let scene = Scene::new();
    let dir = &scene.dir;
    let attributes = |path| {
        let object = dir.open_object(path, ObjectAccess::Attributes).unwrap();
        object.attributes().unwrap()
    };
    let read_only = BasicInfo {
        attributes: FileAttributes::READONLY,
        ..BasicInfo::default()
    };
    for name in ["alone", "one", "directory"] {
        match name {
            "directory" => dir.create_dir(name).unwrap(),
            _ => drop(dir.create_file(name).unwrap()),
        }
        let object = dir.open_object(name, ObjectAccess::Attributes).unwrap();
        object.set_basic_info(&read_only).unwrap();
    }
    dir.hard_link("one", dir, "other").unwrap();
    dir.remove_file("alone").unwrap();
    dir.remove_file("one").unwrap();
    dir.remove_all("directory").unwrap();
    assert_eq!(dir.read_dir("").unwrap().len(), 1);
    assert!(attributes("other").contains(FileAttributes::READONLY));
    dir.remove_all("other").unwrap();
    assert!(dir.read_dir("").unwrap().is_empty());
}

#[test]
fn the_name_of_an_open_file_that_is_removed_is_free_at_once() {
    let scene = Scene::new();
    let dir = &scene.dir;
    let file = dir.create_file("f").unwrap();
    assert!(dir.is_name_of("f", &file).unwrap());
    dir.remove_file("f").unwrap();
    assert!(dir.stat("f").unwrap().is_none());
    assert!(!dir.is_name_of("f", &file).unwrap());
    dir.create_file("f").unwrap();
    assert!(!dir.is_name_of("f", &file).unwrap());
    drop(file);
    assert!(dir.stat("f").unwrap().is_some());
    dir.remove_all("f").unwrap();
    assert!(dir.read_dir("").unwrap().is_empty());
}

#[test]
fn times_are_kept_to_100_ns_and_clamped() {
    let scene = Scene::new();
    let dir = &scene.dir;
    let file = dir.create_file("f").unwrap();
    let modified = || dir.stat("f").unwrap().unwrap().modified;
    let expected = SystemTime::UNIX_EPOCH + Duration::new(1_577_836_800, 123_456_700);
    set_file_times(&file, SOME_TIME, SOME_TIME).unwrap();
    assert_eq!(modified(), expected);
    let before_1970 = UnixTime {
        seconds: -2,
        nanos: 750_000_000,
    };
    dir.set_times("f", SOME_TIME, before_1970).unwrap();
    assert_eq!(
        modified(),
        SystemTime::UNIX_EPOCH - Duration::from_millis(1250)
    );
    for seconds in [-11_644_473_600, 910_692_730_085, i64::MIN, i64::MAX] {
        let extreme = UnixTime { seconds, nanos: 0 };
        set_file_times(&file, extreme, extreme).unwrap();
    }
    dir.set_times("", SOME_TIME, SOME_TIME).unwrap();
    assert_eq!(dir.stat("").unwrap().unwrap().modified, expected);
}

#[test]
fn an_object_keeps_times_and_attributes() {
    let scene = Scene::new();
    let dir = &scene.dir;
    dir.create_dir("d").unwrap();
    let info = BasicInfo {
        created: FileTime::from_ticks(0),
        accessed: FileTime::from_ticks(132_223_104_001_234_567),
        written: FileTime::from_ticks(132_223_104_007_654_321),
        changed: FileTime::from_ticks(0),
        attributes: FileAttributes::HIDDEN | FileAttributes::SYSTEM,
    };
    for (path, kind) in [
        ("d/file", ObjectKind::File),
        ("d/directory", ObjectKind::Directory),
    ] {
        let object = dir.create_object(path, kind).unwrap();
        object.set_basic_info(&info).unwrap();
        let kept = object.basic_info().unwrap();
        assert_eq!(
            (kept.accessed, kept.written),
            (info.accessed, info.written),
            "{path}"
        );
        assert!(kept.attributes.contains(info.attributes), "{path}");
        assert_eq!(
            kept.attributes.contains(FileAttributes::DIRECTORY),
            kind == ObjectKind::Directory
        );
        assert_eq!((object.path(), object.root()), (path, dir.path()));
    }
    assert!(dir.open_object("", ObjectAccess::Attributes).is_ok());
    assert!(dir.open_object("d/file", ObjectAccess::WriteBackup).is_ok());
    assert!(dir.open_object("d/file", ObjectAccess::ReadBackup).is_ok());
}

#[test]
fn who_writes_an_object_writes_it_alone() {
    let scene = Scene::new();
    let dir = &scene.dir;
    let object = dir.create_object("f", ObjectKind::File).unwrap();
    let error = dir.open_object("f", ObjectAccess::WriteBackup).unwrap_err();
    assert!(error.to_string().contains("virus scanners"), "{error}");
    drop(object);
    dir.open_object("f", ObjectAccess::WriteBackup).unwrap();
}

#[test]
fn a_handle_is_shared_between_threads() {
    fn assert_shareable<T: Send + Sync>() {}
    assert_shareable::<Dir>();
    let scene = Scene::new();
    let dir = &scene.dir;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for number in 0..100 {
                    dir.create_dir_all(&format!("{thread}/{}", number % 7))
                        .unwrap();
                    dir.create_file(&format!("{thread}/{}/{number}", number % 7))
                        .unwrap();
                    if number % 50 == 49 {
                        dir.remove_all(&format!("{thread}/3")).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(dir.read_dir("").unwrap().len(), 4);
}
