//! Layers being built, and the removal of what was never finished.

use std::{fs, path::PathBuf};

use winlayer_digest::{ChainId, Digest};
use winlayer_sys::Dir;

use super::{INGEST, LayerStore, ingest_path, lock::Lock};
use crate::Result;

/// Digits of a ChainID that name a folder the platform imports from.
pub(super) const TRANSPORT_DIGITS: usize = 12;

fn is_transport(name: &str) -> bool {
    name.len() == TRANSPORT_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How the names of files end that hold what comes only once.
pub(super) const SPOOL: &str = ".spool";

/// The lock under which such a file is used.
pub(super) fn lock_of_spool(name: &str) -> String {
    format!("{name}.lock")
}

/// A layer being built in `ingest/<chain hex>`, empty at first.
///
/// Dropping it removes everything; [`publish`](Self::publish) makes it a layer of the store. The
/// layer's lock is held all the while.
#[derive(Debug)]
pub(crate) struct Ingest<'a> {
    pub(super) store: &'a LayerStore,
    pub(super) id: ChainId,
    dir: Dir,
    published: bool,
    /// Held until the layer is published or removed; `None` when somebody else has taken it over.
    lock: Option<Lock>,
}

impl LayerStore {
    /// Begins to build a layer; nothing when another process or thread has published it meanwhile.
    ///
    /// `waiting` and `stop` are called while somebody else builds it.
    pub(crate) fn begin(
        &self,
        id: ChainId,
        waiting: impl FnOnce(),
        stop: impl Fn() -> Result<()>,
    ) -> Result<Option<Ingest<'_>>> {
        let Some(lock) = self.lock_layer(id, waiting, stop)? else {
            return Ok(None);
        };
        let path = ingest_path(id);
        self.dir.remove_all(&path)?;
        self.dir.create_dir(&path)?;
        let dir = self.dir.open_dir(&path)?;
        Ok(Some(Ingest {
            store: self,
            id,
            dir,
            published: false,
            lock: Some(lock),
        }))
    }

    /// Where a blob's bytes are kept between runs; nothing while another process uses that file.
    pub(crate) fn partial_blob(&self, digest: Digest) -> Result<Option<PartialBlob<'_>>> {
        let name = format!("{INGEST}/{}.partial", digest.hex());
        let lock = self.try_lock_partial(&digest.hex())?;
        Ok(lock.map(|lock| PartialBlob {
            store: self,
            name,
            _lock: lock,
        }))
    }

    /// Removes unfinished layers and temporary files that nobody holds a lock on. Partial blobs stay.
    pub(super) fn remove_garbage(&self) -> Result<()> {
        for entry in self.dir.read_dir(INGEST)? {
            let Some(name) = entry.name.to_str() else {
                continue;
            };
            let lock = if let Ok(id) = format!("sha256:{name}").parse::<ChainId>() {
                self.try_lock(&format!("{}.lock", id.hex()))?
            } else if is_transport(name) {
                self.try_lock(&format!("{name}.lock"))?
            } else if name.ends_with(SPOOL) {
                self.try_lock(&lock_of_spool(name))?
            } else if name.ends_with(".tmp") {
                self.try_lock_temporary_files()?
            } else {
                None
            };
            if lock.is_some() {
                self.dir.remove_all(&format!("{INGEST}/{name}"))?;
            }
        }
        self.remove_free_locks()
    }
}

impl Ingest<'_> {
    /// The directory to build the layer in.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Flushes the layer to stable storage, then makes it visible.
    pub(crate) fn publish(self) -> Result<()> {
        self.move_to_layers().map(drop)
    }

    /// Flushes the layer to stable storage and moves it to where it will stay; gives the lock.
    pub(super) fn move_to_layers(mut self) -> Result<Option<Lock>> {
        self.dir.sync_all()?;
        // Windows renames no directory while it is open.
        self.dir = self.store.dir.open_dir(INGEST)?;
        self.store.publish_layer(self.id)?;
        self.published = true;
        Ok(self.lock.take())
    }
}

impl Drop for Ingest<'_> {
    fn drop(&mut self) {
        if !self.published {
            // The next run removes what cannot be removed now.
            let _ = self.store.dir.remove_all(&ingest_path(self.id));
        }
    }
}

/// `ingest/<blob hex>.partial`, for this process alone.
#[derive(Debug)]
pub(crate) struct PartialBlob<'a> {
    store: &'a LayerStore,
    name: String,
    _lock: Lock,
}

impl PartialBlob<'_> {
    pub(crate) fn path(&self) -> PathBuf {
        self.store.root.join(&self.name)
    }

    /// How many bytes earlier runs left.
    pub(crate) fn bytes(&self) -> u64 {
        fs::metadata(self.path()).map_or(0, |metadata| metadata.len())
    }

    /// Removes the bytes: the layer is published, or they are not what the digest promises.
    pub(crate) fn discard(self) -> Result<()> {
        Ok(self.store.dir.remove_all(&self.name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_may_use_the_bytes_of_a_blob() {
        let folder = tempfile::tempdir().unwrap();
        let store = LayerStore::open_or_create(&folder.path().join("store")).unwrap();
        let digest = Digest::of(b"blob");
        let first = store.partial_blob(digest).unwrap().unwrap();
        assert!(store.partial_blob(digest).unwrap().is_none());
        std::fs::write(first.path(), "bytes fetched so far").unwrap();
        drop(first);
        // Another process resumes from them, and removes them when all is done.
        let second = store.partial_blob(digest).unwrap().unwrap();
        assert_eq!(
            std::fs::read(second.path()).unwrap(),
            b"bytes fetched so far"
        );
        let path = second.path();
        second.discard().unwrap();
        assert!(!path.exists());
        store.partial_blob(digest).unwrap().unwrap();
    }

    #[test]
    fn a_published_layer_cannot_be_begun_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = LayerStore::open_or_create(&folder.path().join("store")).unwrap();
        let id = ChainId::base(winlayer_digest::DiffId::new(Digest::of(b"layer")));
        let begin = || store.begin(id, || {}, || Ok(())).unwrap();
        begin().unwrap().publish().unwrap();
        assert!(begin().is_none());
        assert!(store.layer_folder(id).unwrap().unwrap().is_dir());
    }
}
