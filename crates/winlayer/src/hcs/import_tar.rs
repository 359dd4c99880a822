//! Layer tars into a store of finished layers.
//!
//! ```text
//! first reading    the whole tar by its rules, digest and DiffID     from stdin: spooled meanwhile
//! second reading   what an unpack does with the layer of an image
//! ```
//!
//! A layer is named, locked and reused by its ChainID, which follows from the DiffID, so that must be
//! known before anything is written.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek as _, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use winlayer_digest::{ChainId, Hasher};
use winlayer_image::Layer;
use winlayer_tar::{Compression, LayerReader, LayerRole, LayerSummary, Limits, ReadOptions};

use super::{
    absolute,
    import::{checked_id, record_of},
    parents,
};
use crate::{
    Error, HcsFamily, LayerStore, Observer, Result,
    target::{
        folder::PublishedLayer,
        hcs::{HcsMaker, below, in_store},
    },
    unpack::LayerMaker as _,
};

/// Where a layer tar comes from. Its first bytes tell whether it is plain, gzip or zstd.
pub enum LayerTar {
    /// A file, read twice.
    File(PathBuf),
    /// Bytes that come once; they are kept in the store until the layer is finished.
    Stream(Box<dyn Read + Send>),
}

impl LayerTar {
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stream(_) => "from the stream".to_owned(),
        }
    }
}

impl fmt::Debug for LayerTar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LayerTar").field(&self.name()).finish()
    }
}

/// How a layer tar is imported.
#[derive(Clone, Default)]
pub struct TarOptions {
    /// The layers below, immediate parent first; the first alone is enough. Without any the tar is a
    /// base layer.
    pub parents: Vec<PathBuf>,
    /// The calls to use.
    pub family: HcsFamily,
    /// What the layer may cost at most.
    pub limits: Limits,
    /// Who watches: gets steps and warnings.
    pub observer: Option<Arc<dyn Observer>>,
}

impl fmt::Debug for TarOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarOptions")
            .field("parents", &self.parents)
            .field("family", &self.family)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What [`import_tar`] made.
#[derive(Clone, Debug, Serialize)]
pub struct ImportedTar {
    /// The layer's ChainID, `sha256:…`.
    pub id: String,
    /// Its folder.
    pub path: PathBuf,
    /// Whether the store had it already.
    pub reused: bool,
    /// The tar's DiffID, `sha256:…`.
    pub diff_id: String,
    /// What is odd about the layer but was accepted.
    pub warnings: Vec<String>,
}

/// Imports one layer tar into the store `root`, which is made when missing.
///
/// Parents are told by their ChainIDs: they must be finished layers of this store, or layers that it
/// has too. The tar is read to its end, by all its rules, before anything of it is written; the layer
/// is the one an unpack of an image with this tar makes, and is reused by one.
///
/// # Errors
///
/// Kind `Verification` for a tar that ends early or is malformed, `Unsafe` and `Limit` for one that is
/// refused; `NotFound` for a parent that is no layer; `Failed` for one that this store does not have,
/// and when the platform refuses. Nothing of the layer stays then.
pub fn import_tar(tar: LayerTar, root: &Path, options: &TarOptions) -> Result<ImportedTar> {
    in_store(root, options.family, |store, maker| {
        let parent = parent(store, &options.parents)?;
        let import = Import {
            store,
            maker,
            options,
            parent,
            below: below(store, parent)?,
        };
        let name = tar.name();
        import.step(&format!("reading layer tar {name}"));
        let imported = match tar {
            LayerTar::File(path) => import.file(&path),
            LayerTar::Stream(stream) => import.stream(stream),
        };
        imported.map_err(|error| error.in_tar(&name))
    })
}

/// The immediate parent. The store has it, and what lies below it is what else is `given`.
fn parent(store: &LayerStore, given: &[PathBuf]) -> Result<Option<ChainId>> {
    let mut ids = Vec::with_capacity(given.len());
    for folder in given {
        let folder = absolute(folder)?;
        parents::check(&folder)?;
        ids.push(checked_id(&folder, &record_of(&folder)?)?);
    }
    let (Some(&parent), Some(folder)) = (ids.first(), given.first()) else {
        return Ok(None);
    };
    if store.layer_folder(parent)?.is_none() {
        let (folder, root) = (folder.display(), store.root().display());
        return Err(Error::refused(
            format!("the parent {folder} is not in the store {root}"),
            "import into the store that has the parent, or bring the parent into this one first",
        ));
    }
    let chain = store.chain(parent)?.layers;
    let agree =
        chain.len() == ids.len() && chain.iter().zip(&ids).all(|(a, b)| a.id == b.to_string());
    if ids.len() > 1 && !agree {
        let what = format!("{} lies on other layers than those given", folder.display());
        return Err(Error::refused(
            what,
            "give the immediate parent first and the base last, or only the first",
        ));
    }
    Ok(Some(parent))
}

/// One tar on its way into one store.
struct Import<'a> {
    store: &'a LayerStore,
    maker: &'a HcsMaker<'a>,
    options: &'a TarOptions,
    parent: Option<ChainId>,
    /// Base first.
    below: Vec<Arc<PublishedLayer>>,
}

impl Import<'_> {
    fn file(&self, path: &Path) -> Result<ImportedTar> {
        let failed = |error| Error::io(format!("read {}", path.display()), error);
        // One handle for both readings: another file may take the name in between.
        let mut file = File::open(path).map_err(failed)?;
        let layer = self.survey(file.try_clone().map_err(failed)?)?;
        file.rewind().map_err(failed)?;
        self.make(&layer, file)
    }

    fn stream(&self, source: Box<dyn Read + Send>) -> Result<ImportedTar> {
        let spool = self.store.spool()?;
        let copy = spool.create()?;
        let layer = self.survey(Tee { source, copy })?;
        self.make(&layer, spool.open()?)
    }

    /// Reads the whole blob and checks what can be checked without the layers below.
    fn survey(&self, source: impl Read + Send + 'static) -> Result<Layer> {
        let hash = SharedHash::default();
        let copy = hash.clone();
        let reader = LayerReader::open(Tee { source, copy }, self.read_options());
        let summary = reader.finish()?;
        Ok(self.layer(&summary, &hash))
    }

    fn layer(&self, summary: &LayerSummary, hash: &SharedHash) -> Layer {
        let diff_id = summary.diff_id;
        let base = || ChainId::base(diff_id);
        Layer {
            index: self.below.len(),
            digest: Some(hash.with(|hasher| hasher.clone().finish())),
            diff_id,
            chain_id: self
                .parent
                .map_or_else(base, |parent| parent.child(diff_id)),
            media_type: media_type(summary.compression).to_owned(),
            compressed_bytes: summary.compressed_bytes,
            urls: Vec::new(),
        }
    }

    fn make(&self, layer: &Layer, blob: impl Read + Send + 'static) -> Result<ImportedTar> {
        let waiting = || self.step("waiting for another winlayer to finish this layer");
        let go_on = || Ok(());
        let begun = self.store.begin(layer.chain_id, waiting, go_on)?;
        let reused = begun.is_none();
        if let Some(ingest) = begun {
            self.step("finishing the layer");
            let reader = LayerReader::open(blob, self.read_options());
            let most_names = self.options.limits.entries;
            let staged = self
                .maker
                .stage(&ingest, layer, reader, most_names, &go_on)?;
            self.maker
                .finish(self.store, ingest, layer, staged, &self.below)?;
        }
        let warnings = self.store.layer_record(layer.chain_id)?.warnings;
        if let Some(observer) = self.options.observer.as_ref().filter(|_| !reused) {
            warnings.iter().for_each(|text| observer.warning(text));
        }
        Ok(ImportedTar {
            id: layer.chain_id.to_string(),
            path: self.store.layer_host_path(layer.chain_id),
            reused,
            diff_id: layer.diff_id.to_string(),
            warnings,
        })
    }

    fn read_options(&self) -> ReadOptions {
        ReadOptions {
            limits: self.options.limits.clone(),
            role: Some(match self.parent {
                None => LayerRole::Base,
                Some(_) => LayerRole::Diff,
            }),
            progress: None,
        }
    }

    fn step(&self, what: &str) {
        if let Some(observer) = &self.options.observer {
            observer.step(what);
        }
    }
}

/// OCI image specification, `layer.md`.
fn media_type(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    }
}

/// Writes to `copy` whatever is read.
struct Tee<R, W> {
    source: R,
    copy: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        self.copy.write_all(read)?;
        Ok(count)
    }
}

/// A hash that a reading thread makes and another one asks for.
#[derive(Clone, Default)]
struct SharedHash(Arc<Mutex<Hasher>>);

impl SharedHash {
    fn with<T>(&self, call: impl FnOnce(&mut Hasher) -> T) -> T {
        call(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for SharedHash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|hasher| hasher.update(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
