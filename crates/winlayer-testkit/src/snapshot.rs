//! "Nothing changed": everything below a directory as a value to compare.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use tempfile::TempDir;
use winlayer_digest::Digest;

/// What is below a directory, the directory itself (as "") included. Two are equal if no name,
/// content, link text, permission, modification time or number of names changed.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, Item>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    content: Content,
    modified: SystemTime,
    mode: u32,
    links: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Directory,
    File(Digest),
    Link(PathBuf),
    Other,
}

/// Takes a snapshot of `dir`, following no link.
pub fn tree_snapshot(dir: &Path) -> Snapshot {
    // In this form Windows takes names such as `nul.txt` as they are.
    #[cfg(windows)]
    let dir = &fs::canonicalize(dir).unwrap();
    let mut items = BTreeMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(path) = todo.pop() {
        let host = match path.as_os_str().is_empty() {
            true => dir.to_owned(),
            false => dir.join(&path),
        };
        let metadata = fs::symlink_metadata(&host).unwrap();
        let content = if metadata.is_dir() {
            let names = fs::read_dir(&host).unwrap();
            todo.extend(names.map(|entry| path.join(entry.unwrap().file_name())));
            Content::Directory
        } else if metadata.is_symlink() {
            Content::Link(fs::read_link(&host).unwrap())
        } else if metadata.is_file() {
            Content::File(Digest::of(&fs::read(&host).unwrap()))
        } else {
            Content::Other
        };
        let (mode, links) = permissions(&metadata);
        items.insert(
            path,
            Item {
                content,
                modified: metadata.modified().unwrap(),
                mode,
                links,
            },
        );
    }
    Snapshot(items)
}

#[cfg(unix)]
fn permissions(metadata: &fs::Metadata) -> (u32, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.mode(), metadata.nlink())
}

#[cfg(not(unix))]
fn permissions(metadata: &fs::Metadata) -> (u32, u64) {
    (u32::from(metadata.permissions().readonly()), 1)
}

impl Snapshot {
    /// The paths, relative to the directory, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// What differs in `later`, one line a path; empty if nothing does.
    pub fn changes(&self, later: &Self) -> String {
        let all = self
            .0
            .keys()
            .chain(later.0.keys().filter(|path| !self.0.contains_key(*path)));
        all.filter(|path| self.0.get(*path) != later.0.get(*path))
            .map(|path| {
                let [before, after] = [self, later].map(|snapshot| snapshot.0.get(path));
                format!("{}: {before:?} -> {after:?}\n", path.display())
            })
            .collect()
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.paths()).finish()
    }
}

/// Where temporary folders cost no waiting for a disk, if there is such a place.
pub fn memory_dir() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// A temporary folder with an empty `dest` to unpack into, and beside it a `victim` that must stay as
/// it is. Links such as `../victim` in a layer are meant for it.
#[derive(Debug)]
pub struct Victim {
    folder: TempDir,
    before: Snapshot,
}

impl Victim {
    /// Makes the folder: `victim/hello`, `victim/etc/passwd` and `outside`.
    #[expect(clippy::new_without_default, reason = "it makes files")]
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// As [`new`](Self::new), in the folder `parent`.
    pub fn below(parent: &Path) -> Self {
        let folder = tempfile::tempdir_in(parent).unwrap();
        let path = folder.path();
        fs::create_dir(path.join("dest")).unwrap();
        fs::create_dir_all(path.join("victim/etc")).unwrap();
        fs::write(path.join("victim/hello"), "untouched").unwrap();
        fs::write(path.join("victim/etc/passwd"), "root:x:0:0").unwrap();
        fs::write(path.join("outside"), "untouched").unwrap();
        let before = Self::look(path);
        Self { folder, before }
    }

    /// Where to unpack to.
    pub fn dest(&self) -> PathBuf {
        self.folder.path().join("dest")
    }

    /// What must not change.
    pub fn victim(&self) -> PathBuf {
        self.folder.path().join("victim")
    }

    /// Fails the test if anything outside `dest` was changed, added or removed.
    #[track_caller]
    pub fn assert_untouched(&self) {
        let changes = self.before.changes(&Self::look(self.folder.path()));
        assert!(
            changes.is_empty(),
            "changed outside the destination:\n{changes}"
        );
    }

    /// All but what is below `dest`, and `dest`'s own times.
    fn look(folder: &Path) -> Snapshot {
        let mut snapshot = tree_snapshot(folder);
        snapshot.0.retain(|path, _| !path.starts_with("dest"));
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_seen() {
        let scene = Victim::new();
        fs::write(scene.dest().join("inside"), "fine").unwrap();
        scene.assert_untouched();
        let before = tree_snapshot(&scene.victim());
        assert_eq!(before.paths().count(), 4);

        let hello = scene.victim().join("hello");
        let modified = fs::metadata(&hello).unwrap().modified().unwrap();
        fs::write(&hello, "TOUCHED!!").unwrap();
        fs::File::options()
            .write(true)
            .open(&hello)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        let changes = before.changes(&tree_snapshot(&scene.victim()));
        assert!(changes.starts_with("hello: "), "{changes}");
        assert_eq!(changes.lines().count(), 1);

        fs::remove_file(hello).unwrap();
        assert!(std::panic::catch_unwind(|| scene.assert_untouched()).is_err());
    }
}
