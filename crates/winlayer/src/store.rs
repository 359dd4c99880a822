//! [`LayerStore`]: unpacked layers on disk, named by ChainID, each complete or not there at all.
//!
//! ```text
//! ROOT/winlayer-store.json          {"version":1}, for others than layer folders with "kind"
//! ROOT/layers/<chain hex>/          published layers
//! ROOT/ingest/<chain hex>/          a layer being built, or what a crash left of one
//! ROOT/ingest/<12 hex digits>/      what the platform imports into a layer of kind `hcs`
//! ROOT/ingest/<blob hex>.partial    bytes of a blob fetched so far
//! ROOT/ingest/<number>.spool        bytes that come only once and are needed twice
//! ROOT/locks/<chain hex>.lock       held while that layer is built
//! ROOT/images/<manifest hex>.json   an ImageRecord
//! ```
//!
//! A layer is built below `ingest`, flushed to stable storage, and only then renamed to `layers`.
//! Whatever happens in between, the next run finds either the finished layer or garbage it may
//! remove. Lock files go away with their locks (`lock.rs` says how that is safe).
//!
//! A layer of kind `hcs` cannot be moved once the platform has finished it, so it is finished in
//! `layers`. There it counts only when it has its `layer.json`, which is written last.
//!
//! Whoever writes to a store holds a shared lock on `winlayer-store.json`. A run that made a store
//! and published nothing in it removes it again, if it is alone: with the exclusive lock.

mod create;
#[cfg(any(windows, test))]
mod finishing;
mod ingest;
mod lock;
mod record;
#[cfg(any(windows, test))]
mod spool;

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use winlayer_digest::ChainId;
use winlayer_sys::{Dir, SysError};

use create::Made;
#[cfg(windows)]
pub(crate) use finishing::Transport;
pub(crate) use ingest::{Ingest, PartialBlob};
use record::StoreRecord;
pub(crate) use record::{HardLinkRecord, LayerCounts, LayerRecord, Role, read_json_file, to_json};
pub use record::{ImageRecord, StoreKind};

use crate::{ChainLink, Error, LayerChain, Result};

/// What a published layer is.
pub(crate) const LAYER_FILE: &str = "layer.json";
/// The folders below it, immediate parent first.
pub(crate) const LAYER_CHAIN_FILE: &str = "layerchain.json";
/// One line per object.
pub(crate) const LAYER_INDEX_FILE: &str = "layer-index.jsonl";

const STORE_FILE: &str = "winlayer-store.json";
const VERSION: u32 = 1;
const LAYERS: &str = "layers";
const INGEST: &str = "ingest";
const LOCKS: &str = "locks";
const IMAGES: &str = "images";

/// A directory of unpacked layers: the root of `--to folder`.
///
/// Layers are shared: a base that ten images have in common is unpacked once. Any number of
/// processes may use a store at the same time; they must be on the machine that has the disk,
/// because file locks are not to be trusted across a network.
#[derive(Debug)]
pub struct LayerStore {
    root: PathBuf,
    kind: StoreKind,
    dir: Dir,
    /// Shows that the store is in use; only for those who write.
    marker: Option<File>,
    made: Option<Made>,
}

impl LayerStore {
    /// Opens an existing store without changing it.
    ///
    /// # Errors
    ///
    /// Kind `NotFound` when `root` is not a store; `Failed` when a newer version made it.
    pub fn open(root: &Path) -> Result<Self> {
        let root = absolute(root)?;
        let missing = || {
            let shown = root.display();
            Error::not_found(match root.exists() {
                true => format!("{shown} is not a layer store"),
                false => format!("{shown} does not exist"),
            })
        };
        let record: Option<StoreRecord> = read_json_file(&root.join(STORE_FILE))?;
        let StoreRecord { version, kind } = record.ok_or_else(missing)?;
        if version != VERSION {
            let what = format!(
                "{} is a store of version {version}, expected 1",
                root.display()
            );
            return Err(Error::refused(
                what,
                "use the winlayer that made it, or another folder",
            ));
        }
        let dir = Dir::open_ambient(&root)?;
        Ok(Self {
            root,
            kind,
            dir,
            marker: None,
            made: None,
        })
    }

    /// Opens a store, making it when `root` is missing or empty, and removes what crashed runs left.
    ///
    /// # Errors
    ///
    /// When `root` has other contents, so that no directory of the user's is filled by mistake; when
    /// it cannot be written; and as [`open`](Self::open).
    pub fn open_or_create(root: &Path) -> Result<Self> {
        Self::open_or_create_kind(root, StoreKind::Folder)
    }

    /// As [`open_or_create`](Self::open_or_create), for layers of any kind.
    pub(crate) fn open_or_create_kind(root: &Path, kind: StoreKind) -> Result<Self> {
        let store = create::open_or_create(&absolute(root)?, kind)?;
        if store.kind != kind {
            let (root, found) = (store.root.display(), store.kind.name());
            let what = format!(
                "{root} is a store of {found} layers, expected {}",
                kind.name()
            );
            return Err(Error::refused(what, "choose another folder"));
        }
        store.remove_garbage()?;
        Ok(store)
    }

    /// What its layers are.
    pub fn kind(&self) -> StoreKind {
        self.kind
    }

    /// The store's directory, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a layer, when it has been unpacked.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn layer_folder(&self, chain_id: ChainId) -> Result<Option<PathBuf>> {
        let published = self.is_published(chain_id)?;
        Ok(published.then(|| self.layer_host_path(chain_id)))
    }

    /// Where the folder of a layer is, or will be.
    pub(crate) fn layer_host_path(&self, id: ChainId) -> PathBuf {
        // Component by component, for the system's own separators.
        self.root.join(LAYERS).join(id.hex())
    }

    /// Whether the layer is there and complete.
    fn is_published(&self, id: ChainId) -> Result<bool> {
        let path = layer_path(id);
        let found = match self.kind {
            StoreKind::Folder | StoreKind::Vhdx => self.dir.stat(&path)?,
            StoreKind::Hcs => match self.dir.stat(&path)? {
                Some(_) => self.dir.stat(&format!("{path}/{LAYER_FILE}"))?,
                None => None,
            },
        };
        Ok(found.is_some())
    }

    /// The chain of an unpacked layer.
    ///
    /// Follows the parents by ChainID, so it also works after the store was moved.
    ///
    /// # Errors
    ///
    /// Kind `NotFound` when the layer was not unpacked here; `Verification` when a layer's record is
    /// damaged or one of its parents is missing.
    pub fn chain(&self, chain_id: ChainId) -> Result<LayerChain> {
        let Some(path) = self.layer_folder(chain_id)? else {
            let what = format!(
                "layer {chain_id} is not in the store {}",
                self.root.display()
            );
            return Err(Error::not_found(what));
        };
        let mut layers = Vec::new();
        let mut expected = None;
        let mut next = Some((chain_id, path));
        while let Some((id, path)) = next {
            let record = self.layer_record(id)?;
            // Numbers fall by one from layer to layer, so a loop cannot hide here.
            let number = record.number;
            let fits = expected.is_none_or(|expected| expected == number);
            if !fits || (number > 1) != record.parent_chain_id.is_some() {
                let what = format!("layer number {number} does not fit its place in the chain");
                return Err(Error::damaged(path.join(LAYER_FILE).display(), what));
            }
            expected = number.checked_sub(1);
            layers.push(ChainLink {
                id: id.to_string(),
                path,
            });
            next = self.parent(id, &record)?;
        }
        Ok(LayerChain { layers })
    }

    fn parent(&self, id: ChainId, record: &LayerRecord) -> Result<Option<(ChainId, PathBuf)>> {
        let Some(parent) = &record.parent_chain_id else {
            return Ok(None);
        };
        let file = self.root.join(layer_path(id)).join(LAYER_FILE);
        let parent: ChainId = parent
            .parse()
            .map_err(|error| Error::damaged_by(file.display(), "parent_chain_id", error))?;
        match self.layer_folder(parent)? {
            Some(path) => Ok(Some((parent, path))),
            None => Err(Error::damaged(
                file.display(),
                format!("parent {parent} is missing"),
            )),
        }
    }

    /// The images recorded in this store, sorted by manifest digest.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or a record is damaged.
    pub fn images(&self) -> Result<Vec<ImageRecord>> {
        let mut images = Vec::new();
        for entry in self.dir.read_dir(IMAGES)? {
            let path = self.root.join(IMAGES).join(&entry.name);
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                images.extend(read_json_file::<ImageRecord>(&path)?);
            }
        }
        images.sort_by(|a, b| a.manifest_digest.cmp(&b.manifest_digest));
        Ok(images)
    }

    /// Where published layers are.
    pub(crate) fn layers_path(&self) -> PathBuf {
        self.root.join(LAYERS)
    }

    /// The ChainIDs of all published layers, sorted.
    pub(crate) fn layer_ids(&self) -> Result<Vec<ChainId>> {
        let mut ids = Vec::new();
        for entry in self.dir.read_dir(LAYERS)? {
            let name = entry.name.to_string_lossy();
            let id = format!("sha256:{name}").parse().map_err(|error| {
                Error::damaged_by(
                    self.root.join(LAYERS).join(&entry.name).display(),
                    "name",
                    error,
                )
            })?;
            if self.is_published(id)? {
                ids.push(id);
            }
        }
        ids.sort();
        Ok(ids)
    }

    /// What a published layer says of itself.
    pub(crate) fn layer_record(&self, id: ChainId) -> Result<LayerRecord> {
        let path = self.root.join(layer_path(id)).join(LAYER_FILE);
        let record: Option<LayerRecord> = read_json_file(&path)?;
        let record = record.ok_or_else(|| Error::damaged(path.display(), "is missing"))?;
        if record.chain_id != id.to_string() {
            let what = format!("expected chain_id {id}, found {}", record.chain_id);
            return Err(Error::damaged(path.display(), what));
        }
        Ok(record)
    }

    /// A handle on a published layer's folder.
    pub(crate) fn open_layer(&self, id: ChainId) -> Result<Dir> {
        Ok(self.dir.open_dir(&layer_path(id))?)
    }

    /// Remembers an image, so that `verify` and people can tell what the layers are for.
    pub(crate) fn record_image(&self, record: &ImageRecord, manifest_hex: &str) -> Result<()> {
        let path = format!("{IMAGES}/{manifest_hex}.json");
        let json = to_json(record)?;
        if self.dir.stat(&path)?.is_some() && self.dir.read(&path)? == json {
            return Ok(());
        }
        self.replace_file(&path, &json)
    }

    fn replace_file(&self, path: &str, contents: &[u8]) -> Result<()> {
        // All temporary files share one lock, so that garbage is known by the lock being free.
        let _lock = self.lock_temporary_files()?;
        let temporary = format!("{INGEST}/{}.tmp", std::process::id());
        self.dir.remove_all(&temporary)?;
        let mut file = self.dir.create_file(&temporary)?;
        let failed = |error| Error::io(format!("write {}", self.root.join(path).display()), error);
        file.write_all(contents)
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        drop(file);
        self.dir.rename_replace(&temporary, &self.dir, path)?;
        Ok(self.dir.sync_dir(IMAGES)?)
    }
}

pub(super) fn layer_path(id: ChainId) -> String {
    format!("{LAYERS}/{}", id.hex())
}

fn ingest_path(id: ChainId) -> String {
    format!("{INGEST}/{}", id.hex())
}

fn absolute(root: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(root)
        .map_err(|error| Error::io(format!("find {}", root.display()), error))?;
    if path.to_str().is_none() {
        let what = format!("{} is not valid Unicode", path.display());
        return Err(Error::refused(
            what,
            "choose another name: layerchain.json must hold this path",
        ));
    }
    Ok(path)
}

fn already_exists(error: &SysError) -> bool {
    error.io_kind() == io::ErrorKind::AlreadyExists
}
