//! Locks between processes (and threads): one file per layer, locked while the layer is built.
//!
//! Only who holds a lock removes its file, and does so before letting go. So a lock counts only when
//! the locked file still has its name; who got one without, because its holder had just finished,
//! tries again with the file of that name.
//!
//! Who holds the lock of a layer waits only for layers below it, so waiting always goes towards the
//! base and never in a circle.

use std::{
    fs::{File, TryLockError},
    io, thread,
    time::Duration,
};

use winlayer_digest::ChainId;
use winlayer_sys::Dir;

use super::{INGEST, LAYERS, LOCKS, LayerStore, layer_path};
use crate::{Error, Result};

/// How often a waiting thread looks again; the system's own waiting could not be interrupted.
const POLL: Duration = Duration::from_millis(25);

const TEMPORARY: &str = "temporary.lock";
const PARTIAL: &str = ".partial.lock";

/// Held while it lives; its file goes away with it.
#[derive(Debug)]
pub(super) struct Lock {
    locks: Dir,
    name: String,
    /// Closing it releases the lock.
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A file that stays is in nobody's way; the next start removes it.
        let _ = self.locks.remove_file(&self.name);
    }
}

impl LayerStore {
    /// The lock of a layer, or nothing when somebody else published the layer first.
    ///
    /// `waiting` is called once when the lock is taken, then `stop` again and again until it is
    /// free; the error of `stop` ends the waiting.
    pub(super) fn lock_layer(
        &self,
        id: ChainId,
        waiting: impl FnOnce(),
        stop: impl Fn() -> Result<()>,
    ) -> Result<Option<Lock>> {
        let name = format!("{}.lock", id.hex());
        let mut waiting = Some(waiting);
        loop {
            let lock = self.try_lock(&name)?;
            // Looked at after the lock: the one who held it may just have published the layer.
            if self.is_published(id)? {
                return Ok(None);
            }
            if lock.is_some() {
                return Ok(lock);
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            stop()?;
            thread::sleep(POLL);
        }
    }

    /// The lock under which `<blob>.partial` may be used.
    pub(super) fn try_lock_partial(&self, blob_hex: &str) -> Result<Option<Lock>> {
        self.try_lock(&format!("{blob_hex}{PARTIAL}"))
    }

    /// The lock of all `*.tmp` files, held for moments only.
    pub(super) fn lock_temporary_files(&self) -> Result<Lock> {
        let locks = self.dir.open_dir(LOCKS)?;
        loop {
            let file = open_or_create(&locks, TEMPORARY)?;
            file.lock().map_err(|error| self.lock_failed(error))?;
            if locks.is_name_of(TEMPORARY, &file)? {
                return Ok(Lock {
                    locks,
                    name: TEMPORARY.to_owned(),
                    _file: file,
                });
            }
        }
    }

    pub(super) fn try_lock_temporary_files(&self) -> Result<Option<Lock>> {
        self.try_lock(TEMPORARY)
    }

    pub(super) fn try_lock(&self, name: &str) -> Result<Option<Lock>> {
        let locks = self.dir.open_dir(LOCKS)?;
        loop {
            let file = open_or_create(&locks, name)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(self.lock_failed(error)),
            }
            if locks.is_name_of(name, &file)? {
                return Ok(Some(Lock {
                    locks,
                    name: name.to_owned(),
                    _file: file,
                }));
            }
        }
    }

    /// Removes the lock files that killed processes left. The locks of partial blobs stay with the
    /// blobs: taking one, even for a moment, would make another process fetch from the start.
    pub(super) fn remove_free_locks(&self) -> Result<()> {
        for entry in self.dir.read_dir(LOCKS)? {
            let name = entry.name.to_str();
            if let Some(name) = name.filter(|name| !name.ends_with(PARTIAL)) {
                drop(self.try_lock(name)?);
            }
        }
        Ok(())
    }

    fn lock_failed(&self, error: io::Error) -> Error {
        Error::io(
            format!("lock a file in {}", self.root.join(LOCKS).display()),
            error,
        )
    }

    /// Moves a finished layer into place for good.
    pub(super) fn publish_layer(&self, id: ChainId) -> Result<()> {
        self.dir
            .rename(&super::ingest_path(id), &self.dir, &layer_path(id))?;
        self.dir.sync_dir(LAYERS)?;
        Ok(self.dir.sync_dir(INGEST)?)
    }
}

fn open_or_create(dir: &Dir, path: &str) -> Result<File> {
    loop {
        match dir.open_file(path) {
            Err(error) if error.io_kind() == io::ErrorKind::NotFound => {}
            opened => return Ok(opened?),
        }
        match dir.create_file(path) {
            Err(error) if super::already_exists(&error) => {}
            created => return Ok(created?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_lock_file_outlives_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let store = LayerStore::open_or_create(folder.path()).unwrap();
        let lock = store.try_lock("a.lock").unwrap().unwrap();
        assert!(store.try_lock("a.lock").unwrap().is_none());
        drop(lock);
        drop(store.lock_temporary_files().unwrap());
        assert!(store.dir.read_dir(LOCKS).unwrap().is_empty());
    }

    #[test]
    fn what_a_killed_process_leaves_of_its_locks_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = LayerStore::open_or_create(folder.path()).unwrap();
        drop(store.dir.create_file("locks/dead.lock").unwrap());
        let held = store.try_lock("alive.lock").unwrap().unwrap();
        LayerStore::open_or_create(folder.path()).unwrap();
        let left = store.dir.read_dir(LOCKS).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].name, "alive.lock");
        drop(held);
    }

    #[test]
    fn only_one_at_a_time_holds_a_lock_although_its_file_comes_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let store = LayerStore::open_or_create(folder.path()).unwrap();
        let (held, taken) = (AtomicBool::new(false), AtomicUsize::new(0));
        // Every call takes longer in Wine.
        let rounds = if cfg!(windows) { 200 } else { 2000 };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while taken.load(Ordering::SeqCst) < rounds {
                        let Some(lock) = store.try_lock("a.lock").unwrap() else {
                            continue;
                        };
                        assert!(!held.swap(true, Ordering::SeqCst), "held by two");
                        taken.fetch_add(1, Ordering::SeqCst);
                        held.store(false, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
    }
}
