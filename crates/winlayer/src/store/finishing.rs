//! Layers that the Windows container platform finishes in place.
//!
//! The platform writes the path of a layer into disks it makes there, so such a layer is moved to
//! `layers` first and finished there. Until its `layer.json` is written it is an [`Unfinished`]
//! layer: nobody reuses it, and who finds it without its lock held removes it.

use std::{
    fmt,
    io::Write as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use winlayer_digest::ChainId;
use winlayer_sys::Dir;

use super::{
    INGEST, Ingest, LAYER_FILE, LAYERS, LayerRecord, LayerStore, ingest::TRANSPORT_DIGITS,
    layer_path, lock::Lock, to_json,
};
use crate::{Error, Result};

/// How often a waiting thread looks again.
const POLL: Duration = Duration::from_millis(25);

/// Removes a layer folder as the platform wants it removed. A failure is its own affair: what is left
/// is removed without the platform.
pub(crate) type Destroy<'a> = &'a (dyn Fn(&Path) + Sync);

/// A folder from which the platform imports; dropping it removes it.
///
/// Not every Windows reads long paths there, so its own is short. Two layers that share the digits of
/// its name wait for each other, nothing worse.
#[derive(Debug)]
pub(crate) struct Transport<'a> {
    store: &'a LayerStore,
    name: String,
    dir: Dir,
    _lock: Lock,
}

impl Transport<'_> {
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.store.root.join(INGEST).join(&self.name)
    }
}

impl Drop for Transport<'_> {
    fn drop(&mut self) {
        // The next run removes what cannot be removed now.
        let _ = self.store.dir.remove_all(&in_ingest(&self.name));
    }
}

fn in_ingest(name: &str) -> String {
    format!("{INGEST}/{name}")
}

impl<'a> Ingest<'a> {
    /// Makes the layer's transport folder; the error of `stop` ends the waiting for it.
    pub(crate) fn transport(&self, stop: impl Fn() -> Result<()>) -> Result<Transport<'a>> {
        let store = self.store;
        let name: String = self.id.hex().chars().take(TRANSPORT_DIGITS).collect();
        let lock = loop {
            match store.try_lock(&format!("{name}.lock"))? {
                Some(lock) => break lock,
                None => stop()?,
            }
            thread::sleep(POLL);
        };
        let path = in_ingest(&name);
        store.dir.remove_all(&path)?;
        store.dir.create_dir(&path)?;
        let dir = store.dir.open_dir(&path)?;
        Ok(Transport {
            store,
            name,
            dir,
            _lock: lock,
        })
    }

    /// Flushes the layer and moves it to where it will be finished.
    pub(crate) fn into_place<'b>(self, destroy: Destroy<'b>) -> Result<Unfinished<'b>>
    where
        'a: 'b,
    {
        let (store, id): (&'b LayerStore, _) = (self.store, self.id);
        // A killed run may have got this far.
        store.remove_layer(id, destroy)?;
        let lock = self.move_to_layers()?;
        let finished = false;
        Ok(Unfinished {
            store,
            id,
            finished,
            destroy,
            _lock: lock,
        })
    }
}

/// A layer in its place that the platform has still to finish; dropping it removes it.
pub(crate) struct Unfinished<'a> {
    store: &'a LayerStore,
    id: ChainId,
    finished: bool,
    destroy: Destroy<'a>,
    _lock: Option<Lock>,
}

impl fmt::Debug for Unfinished<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unfinished").field(&self.id).finish()
    }
}

impl Unfinished<'_> {
    pub(crate) fn path(&self) -> PathBuf {
        self.store.layer_host_path(self.id)
    }

    /// A handle of the folder. No other call of ours keeps one open.
    pub(crate) fn open(&self) -> Result<Dir> {
        self.store.open_layer(self.id)
    }

    /// Writes `layer.json`, which makes it a layer of the store.
    pub(crate) fn finish(mut self, record: &LayerRecord) -> Result<()> {
        let dir = self.open()?;
        // What the platform wrote should not be younger than the file that vouches for it; where only
        // the platform could flush it, that is its affair.
        let _ = dir.sync_all();
        let temporary = format!("{LAYER_FILE}.tmp");
        let mut file = dir.create_file(&temporary)?;
        file.write_all(&to_json(record)?)
            .and_then(|()| file.sync_all())
            .map_err(|error| Error::io(format!("write {LAYER_FILE}"), error))?;
        drop(file);
        dir.rename(&temporary, &dir, LAYER_FILE)?;
        dir.sync_dir("")?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // The next run removes what cannot be removed now.
            let _ = self.store.remove_layer(self.id, self.destroy);
        }
    }
}

impl LayerStore {
    /// Removes the layers that killed runs left unfinished.
    pub(crate) fn remove_unfinished(&self, destroy: Destroy<'_>) -> Result<()> {
        for entry in self.dir.read_dir(LAYERS)? {
            let name = entry.name.to_string_lossy();
            let Ok(id) = format!("sha256:{name}").parse::<ChainId>() else {
                continue;
            };
            if self.is_published(id)? {
                continue;
            }
            let lock = self.try_lock(&format!("{}.lock", id.hex()))?;
            // Looked at again under the lock: it may just have been finished.
            if lock.is_some() && !self.is_published(id)? {
                self.remove_layer(id, destroy)?;
            }
        }
        Ok(())
    }

    /// Removes a layer, finished or not; its lock is held.
    pub(crate) fn remove_layer(&self, id: ChainId, destroy: Destroy<'_>) -> Result<()> {
        let path = layer_path(id);
        if self.dir.stat(&path)?.is_none() {
            return Ok(());
        }
        destroy(&self.layer_host_path(id));
        Ok(self.dir.remove_all(&path)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use winlayer_digest::{DiffId, Digest};

    use super::*;
    use crate::store::{LayerCounts, Role, StoreKind};

    fn record(id: ChainId) -> LayerRecord {
        LayerRecord {
            version: 1,
            number: 1,
            role: Role::Base,
            digest: None,
            diff_id: String::new(),
            chain_id: id.to_string(),
            parent_chain_id: None,
            media_type: String::new(),
            compressed_bytes: 0,
            uncompressed_bytes: 0,
            counts: LayerCounts::default(),
            utility_vm: false,
            utility_vm_from: None,
            hard_links: Vec::new(),
            implicit_directories: Vec::new(),
            unfinished: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn id() -> ChainId {
        ChainId::base(DiffId::new(Digest::of(b"layer")))
    }

    fn store(folder: &tempfile::TempDir) -> LayerStore {
        let root = folder.path().join("store");
        LayerStore::open_or_create_kind(&root, StoreKind::Hcs).unwrap()
    }

    fn begin(store: &LayerStore) -> Ingest<'_> {
        store.begin(id(), || {}, || Ok(())).unwrap().unwrap()
    }

    #[test]
    fn a_layer_counts_only_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let layer = begin(&store).into_place(&|_| {}).unwrap();
        assert!(layer.path().is_dir());
        assert_eq!(store.layer_folder(id()).unwrap(), None);
        assert_eq!(store.layer_ids().unwrap(), []);
        layer.finish(&record(id())).unwrap();
        assert_eq!(store.layer_ids().unwrap(), [id()]);
        assert!(store.begin(id(), || {}, || Ok(())).unwrap().is_none());
        assert!(store.dir.read_dir("locks").unwrap().is_empty());
    }

    #[test]
    fn an_abandoned_layer_is_destroyed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let destroyed = Mutex::new(Vec::new());
        let destroy = |path: &Path| destroyed.lock().unwrap().push(path.to_owned());
        let ingest = begin(&store);
        drop(ingest.dir().create_file("file").unwrap());
        let layer = ingest.into_place(&destroy).unwrap();
        let path = layer.path();
        drop(layer);
        assert!(!path.exists());
        assert_eq!(*destroyed.lock().unwrap(), [path]);
        begin(&store);
    }

    #[test]
    fn what_a_killed_run_left_unfinished_is_removed_but_nothing_in_work() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let left = store.layer_host_path(id());
        std::fs::create_dir_all(left.join("Files")).unwrap();
        let held = store.try_lock(&format!("{}.lock", id().hex())).unwrap();
        store.remove_unfinished(&|_| {}).unwrap();
        assert!(left.exists());
        drop(held);
        store.remove_unfinished(&|_| {}).unwrap();
        assert!(!left.exists());
        // Or by who builds it next.
        std::fs::create_dir_all(left.join("Files")).unwrap();
        let layer = begin(&store).into_place(&|_| {}).unwrap();
        assert!(!left.join("Files").exists());
        drop(layer);
    }

    #[test]
    fn a_transport_folder_goes_away_with_its_owner_or_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let first = store(&folder);
        let ingest = begin(&first);
        let transport = ingest.transport(|| Ok(())).unwrap();
        let path = transport.path();
        drop(transport.dir().create_file("file").unwrap());
        store(&folder);
        assert!(path.is_dir(), "in use");
        drop(transport);
        assert!(!path.exists());
        std::fs::create_dir(&path).unwrap();
        store(&folder);
        assert!(!path.exists());
    }

    #[test]
    fn kinds_of_stores_are_not_mixed() {
        let folder = tempfile::tempdir().unwrap();
        let root = store(&folder).root().to_owned();
        assert_eq!(LayerStore::open(&root).unwrap().kind(), StoreKind::Hcs);
        let error = LayerStore::open_or_create(&root).unwrap_err().to_string();
        assert!(
            error.ends_with("is a store of hcs layers, expected folder"),
            "{error}"
        );
    }
}
