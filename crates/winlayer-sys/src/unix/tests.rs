//! Every case runs once with each backend.

use super::*;
use std::{
    io::Write as _,
    os::unix::fs as host,
    sync::atomic::{AtomicBool, Ordering},
};
use tempfile::TempDir;

/// A contained directory `root`, and beside it a `victim` that nothing may ever touch.
struct Scene {
    _folder: TempDir,
    root: PathBuf,
    victim: PathBuf,
    dir: Dir,
}

impl Scene {
    fn new(backend: Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [root, victim] = ["root", "victim"].map(|name| folder.path().join(name));
        std::fs::create_dir(&root).unwrap();
        std::fs::create_dir_all(victim.join("sub")).unwrap();
        std::fs::write(victim.join("hello"), "untouched").unwrap();
        let dir = Dir::open_ambient(&root).unwrap().with_backend(backend);
        Self {
            _folder: folder,
            root,
            victim,
            dir,
        }
    }

    #[track_caller]
    fn assert_victim_untouched(&self) {
        let mut names: Vec<_> = std::fs::read_dir(&self.victim)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["hello", "sub"]);
        assert_eq!(
            std::fs::read_dir(self.victim.join("sub")).unwrap().count(),
            0
        );
        assert_eq!(
            std::fs::read_to_string(self.victim.join("hello")).unwrap(),
            "untouched"
        );
        let links = std::os::unix::fs::MetadataExt::nlink(
            &std::fs::metadata(self.victim.join("hello")).unwrap(),
        );
        assert_eq!(links, 1);
    }
}

#[track_caller]
fn assert_unsafe<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.expect_err("must be refused");
    assert!(error.is_unsafe(), "{error}");
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

/// Every way to reach an object by a path. None may succeed on a path that leads outside.
fn every_call(dir: &Dir, path: &str) -> Vec<(&'static str, Option<SysError>)> {
    dir.create_dir_all("calls").unwrap();
    if dir.stat("calls/source").unwrap().is_none() {
        dir.create_file("calls/source").unwrap();
    }
    vec![
        ("open_dir", dir.open_dir(path).err()),
        ("create_dir", dir.create_dir(path).err()),
        ("create_dir_all", dir.create_dir_all(path).err()),
        ("create_file", dir.create_file(path).err()),
        ("open_file", dir.open_file(path).err()),
        ("read", dir.read(path).err()),
        ("symlink", dir.symlink("x", path).err()),
        ("read_link", dir.read_link(path).err()),
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

#[track_caller]
fn assert_every_call_refused(dir: &Dir, path: &str) {
    for (call, error) in every_call(dir, path) {
        assert!(
            error.as_ref().is_some_and(SysError::is_unsafe),
            "{call} {path:?}: {error:?}"
        );
    }
}

fn creates_and_reads_back(backend: Backend) {
    let Scene { dir, .. } = &Scene::new(backend);
    dir.create_dir("a").unwrap();
    dir.create_dir_all("a/b/c").unwrap();
    dir.create_dir_all("a/b/c").unwrap();
    dir.create_file("a/b/c/f")
        .unwrap()
        .write_all(b"content")
        .unwrap();
    assert_eq!(dir.read("a/b/c/f").unwrap(), b"content");
    dir.symlink("../../anywhere", "a/link").unwrap();
    assert_eq!(
        dir.read_link("a/link").unwrap(),
        Path::new("../../anywhere")
    );
    dir.hard_link("a/b/c/f", dir, "a/second").unwrap();

    let stat = dir.stat("a/second").unwrap().unwrap();
    assert_eq!((stat.kind, stat.size, stat.links), (FileKind::File, 7, 2));
    assert_eq!(stat.inode, dir.stat("a/b/c/f").unwrap().unwrap().inode);
    assert_eq!(dir.stat("a/link").unwrap().unwrap().kind, FileKind::Symlink);
    assert_eq!(dir.stat("").unwrap().unwrap().kind, FileKind::Directory);
    assert!(dir.stat("a/none").unwrap().is_none());
    assert!(dir.stat("none/none").is_err());

    let names = |path| -> Vec<(String, FileKind)> {
        let entries = dir.read_dir(path).unwrap();
        entries
            .into_iter()
            .map(|e| (e.name.into_string().unwrap(), e.kind))
            .collect()
    };
    assert_eq!(names(""), [("a".to_owned(), FileKind::Directory)]);
    let expected = [
        ("b", FileKind::Directory),
        ("link", FileKind::Symlink),
        ("second", FileKind::File),
    ];
    assert_eq!(
        names("a"),
        expected.map(|(name, kind)| (name.to_owned(), kind))
    );

    let below = dir.open_dir("a/b").unwrap();
    assert_eq!(below.read("c/f").unwrap(), b"content");
    assert!(below.path().ends_with("a/b"));
    assert!(dir.available_bytes().unwrap() > 0);
    dir.sync_dir("a").unwrap();
    dir.sync_all().unwrap();
    sync::sync_each(dir).unwrap();
}

fn never_replaces_what_exists(backend: Backend) {
    let Scene { dir, .. } = &Scene::new(backend);
    dir.create_file("taken")
        .unwrap()
        .write_all(b"first")
        .unwrap();
    dir.create_file("other").unwrap();
    dir.create_dir("empty").unwrap();
    dir.symlink("nowhere", "dangling").unwrap();
    for taken in ["taken", "empty", "dangling"] {
        assert_kind(dir.create_file(taken), io::ErrorKind::AlreadyExists);
        assert_kind(dir.create_dir(taken), io::ErrorKind::AlreadyExists);
        assert_kind(dir.symlink("x", taken), io::ErrorKind::AlreadyExists);
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
    assert!(dir.stat("nowhere").unwrap().is_none());
    dir.rename_replace("other", dir, "taken").unwrap();
    assert_eq!(dir.read("taken").unwrap(), b"");
}

fn refuses_paths_that_are_not_relative_and_plain(backend: Backend) {
    let scene = Scene::new(backend);
    let absolute = scene.victim.join("hello");
    for path in [
        "..",
        "../victim/hello",
        "calls/../../victim/hello",
        absolute.to_str().unwrap(),
        ".",
        "calls/.",
        "calls//source",
        "calls/",
        "calls/so\0urce",
    ] {
        assert_every_call_refused(&scene.dir, path);
    }
    assert_unsafe(scene.dir.create_file(""));
    assert_unsafe(scene.dir.remove_all(""));
    scene.assert_victim_untouched();
}

fn refuses_to_pass_through_a_link(backend: Backend) {
    let scene = Scene::new(backend);
    let Scene {
        dir, root, victim, ..
    } = &scene;
    dir.create_dir_all("deep/er").unwrap();
    host::symlink(victim, root.join("absolute")).unwrap();
    host::symlink("../victim", root.join("relative")).unwrap();
    host::symlink("../../../victim", root.join("deep/er/link")).unwrap();
    host::symlink(".", root.join("self")).unwrap();
    host::symlink("deep", root.join("inside")).unwrap();
    host::symlink("absolute", root.join("chained")).unwrap();
    host::symlink("loop", root.join("loop")).unwrap();
    for link in [
        "absolute",
        "relative",
        "deep/er/link",
        "self",
        "inside",
        "chained",
        "loop",
    ] {
        for below in ["hello", "new", "sub/new"] {
            assert_every_call_refused(dir, &format!("{link}/{below}"));
        }
        assert_unsafe(dir.open_dir(link));
        assert_unsafe(dir.read_dir(link));
        assert_unsafe(dir.sync_dir(link));
        assert_unsafe(dir.open_file(link));
        assert_unsafe(dir.create_dir_all(link));
    }
    scene.assert_victim_untouched();
}

fn a_link_itself_is_removed_linked_renamed_and_dated(backend: Backend) {
    let scene = Scene::new(backend);
    let Scene {
        dir, root, victim, ..
    } = &scene;
    let before = std::fs::metadata(victim).unwrap().modified().unwrap();
    for name in ["one", "two", "three", "four"] {
        host::symlink(victim, root.join(name)).unwrap();
    }
    dir.set_times("one", SOME_TIME, SOME_TIME).unwrap();
    dir.hard_link("one", dir, "again").unwrap();
    dir.rename("two", dir, "moved").unwrap();
    for (name, kind) in [
        ("one", FileKind::Symlink),
        ("again", FileKind::Symlink),
        ("moved", FileKind::Symlink),
    ] {
        assert_eq!(dir.stat(name).unwrap().unwrap().kind, kind, "{name}");
    }
    dir.remove_file("one").unwrap();
    dir.remove_all("three").unwrap();
    dir.remove_all("again").unwrap();
    dir.remove_all("moved").unwrap();
    assert_eq!(dir.read_dir("").unwrap().len(), 1);
    assert_eq!(
        std::fs::metadata(victim).unwrap().modified().unwrap(),
        before
    );
    scene.assert_victim_untouched();
}

fn a_file_in_the_way_is_an_error_but_not_unsafe(backend: Backend) {
    let Scene { dir, .. } = &Scene::new(backend);
    dir.create_file("file").unwrap();
    assert_kind(dir.create_file("file/x"), io::ErrorKind::NotADirectory);
    assert_kind(dir.create_dir_all("file/x"), io::ErrorKind::NotADirectory);
    assert_kind(dir.create_dir_all("file"), io::ErrorKind::NotADirectory);
    assert_kind(dir.open_dir("file"), io::ErrorKind::NotADirectory);
    assert_kind(dir.create_file("missing/x"), io::ErrorKind::NotFound);
    assert_kind(dir.remove_file("missing"), io::ErrorKind::NotFound);
    dir.remove_all("missing").unwrap();
    dir.remove_all("missing/too").unwrap();
}

fn only_regular_files_are_opened(backend: Backend) {
    let Scene { dir, root, .. } = &Scene::new(backend);
    dir.create_dir("directory").unwrap();
    assert_kind(dir.open_file("directory"), io::ErrorKind::IsADirectory);
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    assert!(dir.open_file("socket").is_err());
    let status = std::process::Command::new("mkfifo")
        .arg(root.join("pipe"))
        .status()
        .unwrap();
    assert!(status.success());
    // Must neither succeed nor wait for a writer.
    assert!(dir.open_file("pipe").is_err());
    assert_eq!(dir.stat("pipe").unwrap().unwrap().kind, FileKind::Other);
}

fn paths_longer_than_path_max_work(backend: Backend) {
    let Scene { dir, .. } = &Scene::new(backend);
    let component = "x".repeat(200);
    let parent = vec![component.as_str(); 60].join("/");
    assert!(parent.len() > 2 * 4096);
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
    dir.symlink(".", &format!("{parent}/self")).unwrap();
    assert_unsafe(dir.read(&format!("{parent}/self/file")));
    let too_long = format!("{}/f", "y".repeat(256));
    assert_kind(dir.create_file(&too_long), io::ErrorKind::InvalidFilename);
    dir.remove_all(&component).unwrap();
    assert_eq!(dir.read_dir("").unwrap().len(), 1);
}

fn a_tree_of_any_depth_and_width_is_removed(backend: Backend) {
    let scene = Scene::new(backend);
    let Scene {
        dir, root, victim, ..
    } = &scene;
    // Deeper than the handles kept open, twice over, with a name the removal itself would use.
    let deep = vec!["d"; 400].join("/");
    dir.create_dir_all(&format!("tree/{deep}/.removing-1/x"))
        .unwrap();
    dir.create_dir_all("tree/.removing-1").unwrap();
    dir.create_dir_all("tree/.removing-2/y").unwrap();
    for number in 0..300 {
        dir.create_file(&format!("tree/d/{number}")).unwrap();
        dir.create_dir_all(&format!("tree/wide/{number}/sub"))
            .unwrap();
    }
    host::symlink(victim, root.join("tree/d/d/link")).unwrap();
    dir.remove_all("tree").unwrap();
    assert!(dir.read_dir("").unwrap().is_empty());
    scene.assert_victim_untouched();
}

fn the_kept_parent_is_forgotten_when_it_is_replaced(backend: Backend) {
    let Scene { dir, root, .. } = &Scene::new(backend);
    let other = Dir::open_ambient(root).unwrap().with_backend(backend);
    dir.create_dir_all("a/b").unwrap();
    dir.create_file("a/b/1").unwrap();
    // Removed and made anew through another handle.
    other.remove_all("a").unwrap();
    other.create_dir_all("a/b").unwrap();
    dir.create_file("a/b/2").unwrap();
    assert!(other.stat("a/b/2").unwrap().is_some());
    // Renamed away, and another put in its place.
    other.rename("a", &other, "old").unwrap();
    other.create_dir_all("a/b").unwrap();
    dir.create_file("a/b/3").unwrap();
    assert!(other.stat("a/b/3").unwrap().is_some());
    assert!(other.stat("old/b/3").unwrap().is_none());
    // Removed by another process, made anew by this one.
    std::fs::remove_dir_all(root.join("a")).unwrap();
    dir.create_dir("a").unwrap();
    dir.create_file("a/4").unwrap();
    std::fs::remove_dir_all(root.join("a")).unwrap();
    dir.create_dir("a").unwrap();
    dir.create_file("a/5").unwrap();
    assert!(other.stat("a/5").unwrap().is_some());
}

fn times_are_kept_and_clamped(backend: Backend) {
    let Scene { dir, .. } = &Scene::new(backend);
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
    // 1073741823 nanoseconds would mean "now" to the system.
    let special = UnixTime {
        seconds: 5,
        nanos: (1 << 30) - 1,
    };
    set_file_times(&file, special, special).unwrap();
    assert_eq!(
        modified(),
        SystemTime::UNIX_EPOCH + Duration::new(5, 999_999_999)
    );
    for seconds in [-11_644_473_600, 910_692_730_085, i64::MIN, i64::MAX] {
        let extreme = UnixTime { seconds, nanos: 0 };
        set_file_times(&file, extreme, extreme).unwrap();
    }
    dir.set_times("", SOME_TIME, SOME_TIME).unwrap();
    assert_eq!(dir.stat("").unwrap().unwrap().modified, expected);
}

/// Ends the attacker also when an assertion fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Another process swaps a directory for a link outside, over and over, while files are made in it.
fn a_racing_swap_never_leads_outside(backend: Backend) {
    const ROUNDS: u32 = 3000;
    let scene = Scene::new(backend);
    let Scene {
        dir, root, victim, ..
    } = &scene;
    dir.create_dir_all("d/sub").unwrap();
    dir.create_dir("elsewhere").unwrap();
    host::symlink(victim, root.join("link")).unwrap();
    let done = AtomicBool::new(false);
    let (mut made, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use rustix::fs::{RenameFlags, renameat_with};
            let [d, link] = ["d", "link"].map(|name| root.join(name));
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, &d, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                std::thread::yield_now();
            }
        });
        let _stop = StopOnDrop(&done);
        for round in 0..ROUNDS {
            // Another parent in between, so that the kept handle does not hide the race.
            dir.set_times("elsewhere/.", SOME_TIME, SOME_TIME)
                .unwrap_err();
            let _ = dir.stat("elsewhere/x").unwrap();
            let attempts = [
                dir.create_file(&format!("d/{round}")).map(drop),
                dir.create_dir_all(&format!("d/sub/{round}")),
                dir.symlink("x", &format!("d/sub/link-{round}")),
                dir.remove_all("d/hello"),
            ];
            for attempt in attempts {
                match attempt {
                    Ok(()) => made += 1,
                    Err(error) if error.is_unsafe() => refused += 1,
                    Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
                }
            }
        }
    });
    scene.assert_victim_untouched();
    assert!(
        made > 0 && refused > 0,
        "the race was never run: {made} made, {refused} refused"
    );
}

macro_rules! with_every_backend {
    ($($case:ident)*) => {
        #[cfg(target_os = "linux")]
        mod openat2 {
            $(#[test] fn $case() { super::$case(super::Backend::Openat2); })*
        }
        mod components {
            $(#[test] fn $case() { super::$case(super::Backend::Components); })*
        }
    };
}

with_every_backend! {
    creates_and_reads_back
    never_replaces_what_exists
    refuses_paths_that_are_not_relative_and_plain
    refuses_to_pass_through_a_link
    a_link_itself_is_removed_linked_renamed_and_dated
    a_file_in_the_way_is_an_error_but_not_unsafe
    only_regular_files_are_opened
    paths_longer_than_path_max_work
    a_tree_of_any_depth_and_width_is_removed
    the_kept_parent_is_forgotten_when_it_is_replaced
    times_are_kept_and_clamped
    a_racing_swap_never_leads_outside
}

#[test]
fn a_handle_is_shared_between_threads() {
    fn assert_shareable<T: Send + Sync>() {}
    assert_shareable::<Dir>();
    let Scene { dir, .. } = &Scene::new(Backend::detect());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for number in 0..200 {
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

/// The number of files a directory gets must not matter: one `openat` each.
#[test]
#[cfg(target_os = "linux")]
fn creating_files_of_one_directory_opens_it_once() {
    let Scene { dir, .. } = &Scene::new(Backend::Openat2);
    dir.create_dir_all("a/b").unwrap();
    // Other tests of this process make handles stale at any time; look between two of their calls.
    let kept = (0..1000).find_map(|number| {
        let before = recent::generation();
        let first = dir.parent("a/b").unwrap();
        dir.create_file(&format!("a/b/{number}")).unwrap();
        let again = dir.parent("a/b").unwrap();
        (recent::generation() == before).then(|| Arc::ptr_eq(&first, &again))
    });
    assert_eq!(kept, Some(true));
}
