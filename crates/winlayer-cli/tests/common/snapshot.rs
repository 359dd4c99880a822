//! A directory as text that can be compared.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Relative path to what is there: kind, content, time, and which paths share an inode.
pub(crate) type Snapshot = BTreeMap<String, String>;

/// Everything below `root`; nothing where it does not exist.
pub(crate) fn snapshot(root: &Path) -> Snapshot {
    let mut seen = Snapshot::new();
    let mut links = BTreeMap::new();
    if root.exists() {
        walk(root, root, &mut seen, &mut links);
    }
    seen
}

/// The published layers and image records of a store: what must not depend on how it came about.
pub(crate) fn published(store: &Path) -> Snapshot {
    let mut seen = snapshot(store);
    seen.retain(|path, _| path.starts_with("layers/") || path.starts_with("images/"));
    seen
}

/// As [`assert_eq!`], but says which paths differ and not everything.
#[track_caller]
pub(crate) fn assert_same(found: &Snapshot, expected: &Snapshot) {
    let mut differences: Vec<String> = Vec::new();
    for (path, what) in found {
        match expected.get(path) {
            Some(wanted) if wanted == what => {}
            wanted => differences.push(format!("{path}: found {what}, expected {wanted:?}")),
        }
    }
    let missing = expected.keys().filter(|path| !found.contains_key(*path));
    differences.extend(missing.map(|path| format!("{path}: missing")));
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

fn walk(root: &Path, dir: &Path, seen: &mut Snapshot, links: &mut BTreeMap<(u64, u64), String>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = path.strip_prefix(root).unwrap().to_string_lossy();
        let name = name.replace('\\', "/");
        let metadata = path.symlink_metadata().unwrap();
        let what = if metadata.is_dir() {
            walk(root, &path, seen, links);
            format!("directory {}", time(&metadata))
        } else if metadata.is_symlink() {
            format!("link to {}", fs::read_link(&path).unwrap().display())
        } else {
            let file = winlayer_sys::Dir::open_ambient(dir).unwrap();
            let file = file.stat(entry.file_name().to_str().unwrap()).unwrap();
            let first = links
                .entry(file.unwrap().inode)
                .or_insert_with(|| name.clone());
            format!(
                "{} {} inode of {first}",
                content(root, &path),
                time(&metadata)
            )
        };
        seen.insert(name, what);
    }
}

/// Documents name the place they are in; a copy elsewhere is the same all the same.
fn content(root: &Path, path: &Path) -> String {
    let mut bytes = fs::read(path).unwrap();
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
        && let Ok(text) = str::from_utf8(&bytes)
    {
        let root = serde_json::to_string(&*root.to_string_lossy()).unwrap();
        bytes = text.replace(root.trim_matches('"'), "ROOT").into_bytes();
    }
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{} bytes {:016x}", bytes.len(), hasher.finish())
}

/// Times of an image are long ago; times of the test itself do not count.
fn time(metadata: &Metadata) -> String {
    let modified = metadata.modified().unwrap();
    let age = SystemTime::now()
        .duration_since(modified)
        .unwrap_or_default();
    if age < Duration::from_hours(24) {
        return "now".to_owned();
    }
    match modified.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => format!("{}.{:09}", after.as_secs(), after.subsec_nanos()),
        Err(before) => format!("-{:?}", before.duration()),
    }
}
