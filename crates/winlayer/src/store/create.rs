//! Making a store, and taking it back when nothing came of it.

use std::{
    fs,
    io::Write as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use winlayer_sys::Dir;

use super::{
    IMAGES, INGEST, LAYERS, LOCKS, LayerStore, STORE_FILE, StoreKind, VERSION, already_exists,
    record::StoreRecord, to_json,
};
use crate::{Error, Result};

const DIRECTORIES: [&str; 4] = [LAYERS, INGEST, LOCKS, IMAGES];

/// What this process made of a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    /// The directory too, not only what is in it.
    root: bool,
}

/// Opens a store for writing, or makes one.
pub(super) fn open_or_create(root: &Path, kind: StoreKind) -> Result<LayerStore> {
    // Another process may take back its store at any moment; then this one makes its own.
    const ATTEMPTS: usize = 100;
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match try_open_or_create(root, kind) {
            Ok(Some(store)) => return Ok(store),
            Ok(None) => {}
            Err(error) if error.is_gone() => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    let what = || {
        let what = format!("{} is removed again and again", root.display());
        Error::refused(what, "unpack when no other program works there")
    };
    Err(last.unwrap_or_else(what))
}

/// Nothing when the store was removed in between.
fn try_open_or_create(root: &Path, kind: StoreKind) -> Result<Option<LayerStore>> {
    let named = |error| Error::io(format!("create {}", root.display()), error);
    let made = if root.join(STORE_FILE).try_exists().map_err(named)? {
        None
    } else {
        let root_is_new = !root.try_exists().map_err(named)?;
        fs::create_dir_all(root).map_err(named)?;
        make(root, kind)?.then_some(Made { root: root_is_new })
    };
    let mut store = LayerStore::open(root)?;
    let marker = store.dir.open_file(STORE_FILE)?;
    marker
        .lock_shared()
        .map_err(|error| lock_failed(&store, error))?;
    if !store.dir.is_name_of(STORE_FILE, &marker)? {
        return Ok(None);
    }
    // Who takes back a store may be killed before the marker is gone, or may have removed directories
    // that this process had just made.
    make_directories(&store.dir)?;
    (store.marker, store.made) = (Some(marker), made);
    Ok(Some(store))
}

impl LayerStore {
    /// Removes a store that this process made, that is empty, and that nobody else writes to.
    pub(crate) fn take_back(mut self) -> Result<()> {
        let (Some(made), Some(shared)) = (self.made, self.marker.take()) else {
            return Ok(());
        };
        drop(shared);
        let marker = self.dir.open_file(STORE_FILE)?;
        let alone = marker.try_lock().is_ok() && self.dir.is_name_of(STORE_FILE, &marker)?;
        if !alone {
            return Ok(());
        }
        for name in DIRECTORIES {
            if !self.dir.read_dir(name)?.is_empty() {
                return Ok(());
            }
        }
        for name in DIRECTORIES {
            let path = self.root.join(name);
            let failed = |error| Error::io(format!("remove {}", path.display()), error);
            fs::remove_dir(&path).map_err(failed)?;
        }
        self.dir.remove_file(STORE_FILE)?;
        // Windows removes no directory while it or what it held is open.
        let Self { root, dir, .. } = self;
        drop((marker, dir));
        if made.root {
            // Not empty when another process has begun a store in its place.
            let _ = fs::remove_dir(&root);
        }
        Ok(())
    }
}

fn lock_failed(store: &LayerStore, error: std::io::Error) -> Error {
    let path = store.root.join(STORE_FILE);
    Error::io(format!("lock {}", path.display()), error)
}

fn make_directories(dir: &Dir) -> Result<()> {
    for name in DIRECTORIES {
        match dir.create_dir(name) {
            Err(error) if !already_exists(&error) => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Makes the layout; the version file comes last. False when another process was faster.
fn make(root: &Path, kind: StoreKind) -> Result<bool> {
    let dir = Dir::open_ambient(root)?;
    let is_ours = |name: &std::ffi::OsStr| {
        DIRECTORIES.iter().any(|ours| name == *ours)
            || name.to_str().is_some_and(|name| {
                // Where files in use cannot be removed at once, `Dir` gives them such a name first.
                name.starts_with(STORE_FILE) || name.starts_with(".removed-")
            })
    };
    if let Some(entry) = dir
        .read_dir("")?
        .into_iter()
        .find(|entry| !is_ours(&entry.name))
    {
        let name = crate::error::escape(&entry.name.to_string_lossy());
        let what = format!("{} is not a layer store: it holds {name}", root.display());
        return Err(Error::refused(what, "choose an empty or a new folder"));
    }
    make_directories(&dir)?;
    // Two threads may get here at once, and a crash may have left a file of an earlier process.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = format!("{STORE_FILE}.{}.{number}", std::process::id());
    dir.remove_all(&temporary)?;
    let mut file = dir.create_file(&temporary)?;
    let record = StoreRecord {
        version: VERSION,
        kind,
    };
    file.write_all(&to_json(&record)?)
        .and_then(|()| file.sync_all())
        .map_err(|error| Error::io(format!("write {}", root.join(STORE_FILE).display()), error))?;
    drop(file);
    let made = match dir.rename(&temporary, &dir, STORE_FILE) {
        Err(error) if already_exists(&error) => {
            dir.remove_file(&temporary)?;
            false
        }
        renamed => renamed.map(|()| true)?,
    };
    dir.sync_dir("")?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn only_a_store_of_ones_own_that_is_empty_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let open = || LayerStore::open_or_create(&root).unwrap();
        open().take_back().unwrap();
        assert!(!root.exists());

        let first = open();
        let second = open();
        first.take_back().unwrap();
        assert!(root.exists(), "somebody else uses it");
        second.take_back().unwrap();
        assert!(root.exists(), "it was there before");

        fs::remove_dir_all(&root).unwrap();
        fs::create_dir(&root).unwrap();
        open().take_back().unwrap();
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);

        let store = open();
        fs::create_dir(root.join("layers/x")).unwrap();
        store.take_back().unwrap();
        assert!(root.join("layers/x").exists());
        LayerStore::open(&root).unwrap();
    }

    #[test]
    fn taking_back_harms_nobody_who_comes_at_that_moment() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..if cfg!(windows) { 20 } else { 100 } {
                        let store = LayerStore::open_or_create(&root).unwrap();
                        for name in DIRECTORIES {
                            assert!(store.dir.stat(name).unwrap().is_some(), "{name}");
                        }
                        store.take_back().unwrap();
                    }
                });
            }
        });
    }
}
