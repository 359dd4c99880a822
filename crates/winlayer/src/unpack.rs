//! From an image to unpacked layers: the whole story, top to bottom.
//!
//! ```text
//! plan            layers of the image, which of them the store has
//!   per layer     lock ─► fetch, inflate, verify, stage     several at the same time
//!                 wait for the layers below                 from here on base to top
//!                 finish ─► flush ─► publish
//! record the image, follow the chain, find the utility VM
//! ```

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use winlayer_image::{Image, Layer, Reference};
use winlayer_tar::{LayerReader, Progress, ReadOptions};

use crate::{
    Error, ErrorKind, HcsFamily, ImageRecord, LayerChain, LayerStore, Result, Target,
    UnpackOptions, UnpackedImage, UnpackedLayer, UvmBootFiles,
    error::layer_title,
    line::Line,
    locate_unprocessed_uvm_boot_files, locate_uvm_boot_files,
    report::Outcome,
    store::{Ingest, LayerRecord, PartialBlob, StoreKind},
    target::{
        self,
        disk::Kind as DiskKind,
        folder::{
            self, FinishedLayer, PublishedLayer, StagedLayer, TransportFolder, TransportSink,
        },
    },
};

/// Unpacks a Windows image to `root` as the options say.
///
/// Every blob is checked against its digest and size and every tar against its DiffID before
/// anything of it is published. Layers that were unpacked before are reused.
///
/// When this fails, nothing half-made stays: no tree, no tar, no record of the image, and no store
/// that was not there before. A store keeps the layers that were already whole and verified, which
/// are good for any image that has them, and `.partial` files from which the next run resumes a
/// download.
///
/// # Errors
///
/// See [`ErrorKind`] for what programs can tell apart.
pub fn unpack_windows_image(
    image: &Image,
    root: &Path,
    options: &UnpackOptions,
) -> Result<UnpackedImage> {
    let begun = Instant::now();
    let root = &std::path::absolute(root)
        .map_err(|error| Error::io(format!("find {}", root.display()), error))?;
    let mut chain = Vec::new();
    let mut uvm = None;
    let outcome = match &options.target {
        Target::Folder => {
            let (mut outcome, layers) =
                unpack_store(image, root, options, StoreKind::Folder, &FolderMaker)?;
            uvm = utility_vm(&layers, &mut outcome.warnings);
            chain = layers.layers;
            outcome
        }
        Target::Hcs { family } => {
            let (mut outcome, layers) = unpack_hcs(image, root, options, *family)?;
            uvm = processed_utility_vm(&layers, &mut outcome.warnings);
            chain = layers.layers;
            outcome
        }
        Target::Tree {
            metadata,
            utility_vm,
        } => target::tree::unpack(image, root, metadata.as_deref(), *utility_vm, options)?,
        Target::Ntfs(disk) => target::disk::unpack(image, root, DiskKind::Ntfs, disk, options)?,
        Target::Vhdx(disk) => target::disk::unpack(image, root, DiskKind::Vhdx, disk, options)?,
        Target::LayerDisks(disk) => {
            let maker = target::disk::DiskMaker::new(image, disk)?;
            // Each disk needs the one below, so there is nothing to do at the same time.
            let options = &UnpackOptions {
                jobs: 1,
                ..options.clone()
            };
            let (outcome, layers) = unpack_store(image, root, options, StoreKind::Vhdx, &maker)?;
            maker.check_chain(&layers)?;
            chain = layers.layers;
            outcome
        }
        Target::Tar { layer } => target::tar::unpack(image, root, *layer, options)?,
    };
    Ok(UnpackedImage {
        image: image.reference().to_string(),
        manifest_digest: image.manifest_digest().to_string(),
        platform: image.platform().clone(),
        target: options.target.name(),
        root: root.clone(),
        chain,
        layers: outcome.layers,
        uvm,
        warnings: outcome.warnings,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// An image without a utility VM is complete; one with a broken utility VM still serves process
/// isolation.
fn utility_vm(chain: &LayerChain, warnings: &mut Vec<String>) -> Option<UvmBootFiles> {
    found_utility_vm(locate_unprocessed_uvm_boot_files(chain), warnings)
}

/// The same for layers that Windows has processed.
fn processed_utility_vm(chain: &LayerChain, warnings: &mut Vec<String>) -> Option<UvmBootFiles> {
    found_utility_vm(locate_uvm_boot_files(chain), warnings)
}

fn found_utility_vm(
    found: Result<UvmBootFiles>,
    warnings: &mut Vec<String>,
) -> Option<UvmBootFiles> {
    match found {
        Ok(found) => Some(found),
        Err(error) if error.is_no_utility_vm() => None,
        Err(error) => {
            warnings.push(error.to_string());
            None
        }
    }
}

#[cfg(windows)]
fn unpack_hcs(
    image: &Image,
    root: &Path,
    options: &UnpackOptions,
    family: HcsFamily,
) -> Result<(Outcome, LayerChain)> {
    target::hcs::in_store(root, family, |store, maker| {
        unpack_into(store, image, options, maker)
    })
}

#[cfg(not(windows))]
fn unpack_hcs(
    _: &Image,
    _: &Path,
    _: &UnpackOptions,
    _: HcsFamily,
) -> Result<(Outcome, LayerChain)> {
    Err(Error::refused(
        "only Windows can finish layers for itself",
        "unpack with --to folder here, then run winlayer layer import on Windows",
    ))
}

fn unpack_store<M: LayerMaker>(
    image: &Image,
    root: &Path,
    options: &UnpackOptions,
    kind: StoreKind,
    maker: &M,
) -> Result<(Outcome, LayerChain)> {
    let store = LayerStore::open_or_create_kind(root, kind)?;
    let unpacked = unpack_into(&store, image, options, maker);
    if unpacked.is_err() {
        // The error of the unpack is the one to tell; an empty store that stays harms nobody.
        let _ = store.take_back();
    }
    unpacked
}

fn unpack_into<M: LayerMaker>(
    store: &LayerStore,
    image: &Image,
    options: &UnpackOptions,
    maker: &M,
) -> Result<(Outcome, LayerChain)> {
    let job = Job {
        image,
        store,
        options,
        maker,
        line: Line::new(image.layers().len()),
    };
    let unpacked = job.run()?;
    let top = image
        .layers()
        .last()
        .ok_or_else(|| Error::not_found("the image has no layers"))?;
    let record = ImageRecord {
        image: image.reference().to_string(),
        manifest_digest: image.manifest_digest().to_string(),
        chain_id: top.chain_id.to_string(),
    };
    store.record_image(&record, &image.manifest_digest().hex())?;

    let mut outcome = Outcome::default();
    for (layer, warnings) in unpacked {
        outcome.layers.push(layer);
        outcome.warnings.extend(warnings);
    }
    Ok((outcome, store.chain(top.chain_id)?))
}

/// How the layers of a store are made.
pub(crate) trait LayerMaker: Sync {
    /// A verified layer that waits for those below it.
    type Staged<'a>;

    /// Writes what the layer's tar brings, and checks its DiffID. `stop` ends it early.
    fn stage<'a>(
        &self,
        ingest: &Ingest<'a>,
        layer: &Layer,
        reader: LayerReader,
        most_names: u64,
        stop: &dyn Fn() -> Result<()>,
    ) -> Result<Self::Staged<'a>>;

    /// Does what needs the layers below, and publishes the layer.
    fn finish(
        &self,
        store: &LayerStore,
        ingest: Ingest<'_>,
        layer: &Layer,
        staged: Self::Staged<'_>,
        below: &[Arc<PublishedLayer>],
    ) -> Result<FinishedLayer>;
}

/// Makes layer folders in the transport format.
struct FolderMaker;

impl LayerMaker for FolderMaker {
    type Staged<'a> = StagedLayer;

    fn stage<'a>(
        &self,
        ingest: &Ingest<'a>,
        layer: &Layer,
        reader: LayerReader,
        most_names: u64,
        stop: &dyn Fn() -> Result<()>,
    ) -> Result<StagedLayer> {
        let mut sink = TransportSink::new(ingest.dir());
        folder::stage(ingest.dir(), &mut sink, layer, reader, most_names, stop)
    }

    fn finish(
        &self,
        store: &LayerStore,
        ingest: Ingest<'_>,
        layer: &Layer,
        staged: StagedLayer,
        below: &[Arc<PublishedLayer>],
    ) -> Result<FinishedLayer> {
        let dir = ingest.dir();
        let (assembly, layers) = (TransportFolder { dir }, store.layers_path());
        let mut finished = folder::finish(dir, &assembly, layer, staged, below, &layers)?;
        finished.record.unfinished = folder::unfinished(&finished.record);
        folder::seal(dir, &finished.record)?;
        ingest.publish()?;
        Ok(finished)
    }
}

/// One image on its way into one store.
struct Job<'a, M> {
    image: &'a Image,
    store: &'a LayerStore,
    options: &'a UnpackOptions,
    maker: &'a M,
    line: Line<Arc<PublishedLayer>>,
}

/// What a layer reports, and its warnings.
type Unpacked = (UnpackedLayer, Vec<String>);

impl<'a, M: LayerMaker> Job<'a, M> {
    /// Works on `jobs` layers at the same time. Layers are begun base to top and each waits only for
    /// those below it, so the lowest one in work can always go on.
    fn run(&self) -> Result<Vec<Unpacked>> {
        let layers = self.image.layers();
        let next = AtomicUsize::new(0);
        let jobs = self.options.jobs.clamp(1, layers.len().max(1));
        let mut unpacked: Vec<(usize, Unpacked)> = thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs)
                .map(|_| scope.spawn(|| self.work(&next)))
                .collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().unwrap_or_default())
                .collect()
        });
        self.line.take_error().map_or(Ok(()), Err)?;
        unpacked.sort_by_key(|(index, _)| *index);
        if unpacked.len() != layers.len() {
            return Err(Error::refused(
                "a worker thread ended early",
                "please report this",
            ));
        }
        Ok(unpacked.into_iter().map(|(_, layer)| layer).collect())
    }

    fn work(&self, next: &AtomicUsize) -> Vec<(usize, Unpacked)> {
        let layers = self.image.layers();
        let mut done = Vec::new();
        while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
            let index = layer.index;
            let guard = self.line.stop_on_panic(index);
            match self.unpack_layer(layer) {
                Ok(unpacked) => done.push((index, unpacked)),
                Err(error) => self.line.fail(index, error.in_layer(layer, layers.len())),
            }
            drop(guard);
            if self.line.is_stopped() {
                break;
            }
        }
        done
    }

    fn unpack_layer(&self, layer: &Layer) -> Result<Unpacked> {
        let begun = Instant::now();
        let built = match self.store.layer_folder(layer.chain_id)? {
            Some(_) => None,
            None => self.begin(layer)?,
        };
        let reused = built.is_none();
        let record = match built {
            Some(ingest) => self.build(layer, ingest)?,
            None => self.reuse(layer)?,
        };
        let unpacked = report(layer, &record, reused, begun.elapsed().as_secs_f64());
        let warnings = self.titled(layer, record.warnings);
        if let Some(observer) = &self.options.observer {
            observer.layer_finished(layer, reused);
            // Said once, when the layer is made; whoever reuses it finds them in the report.
            warnings
                .iter()
                .filter(|_| !reused)
                .for_each(|text| observer.warning(text));
        }
        Ok((unpacked, warnings))
    }

    /// Takes the layer's lock, waiting while somebody else builds the layer.
    fn begin(&self, layer: &Layer) -> Result<Option<Ingest<'a>>> {
        let number = layer.index.saturating_add(1);
        let what = format!("waiting for another winlayer to finish layer {number}");
        let waiting = || self.options.step(&what);
        self.store
            .begin(layer.chain_id, waiting, || self.line.check())
    }

    fn build(&self, layer: &Layer, ingest: Ingest<'a>) -> Result<LayerRecord> {
        let partial = self.partial_blob(layer)?;
        let make = || {
            let staged = self.stage(layer, &ingest, partial.as_ref())?;
            let parents = self.line.wait_for_all_below(layer.index)?;
            let maker = self.maker;
            maker.finish(self.store, ingest, layer, staged, &parents)
        };
        let finished = match make() {
            Ok(finished) => finished,
            Err(error) => {
                discard_wrong_bytes(partial, &error)?;
                return Err(error);
            }
        };
        let (names, tombstones) = (finished.names, finished.tombstones);
        let published = PublishedLayer::just_built(self.store, layer.chain_id, names, tombstones)?;
        self.line.done(layer.index, Arc::new(published));
        partial.map_or(Ok(()), PartialBlob::discard)?;
        Ok(finished.record)
    }

    /// Where the blob's bytes are kept for a later run, when they come over a network.
    fn partial_blob(&self, layer: &Layer) -> Result<Option<PartialBlob<'a>>> {
        match (self.image.reference(), layer.digest) {
            (Reference::Registry(_), Some(digest)) => self.store.partial_blob(digest),
            _ => Ok(None),
        }
    }

    fn stage(
        &self,
        layer: &Layer,
        ingest: &Ingest<'a>,
        partial: Option<&PartialBlob<'_>>,
    ) -> Result<M::Staged<'a>> {
        let progress = Arc::new(Progress::default());
        if let Some(observer) = &self.options.observer {
            observer.layer_started(layer, Arc::clone(&progress));
        }
        if let Some(kept) = partial.and_then(|partial| percent_kept(partial, layer)) {
            let title = self.title(layer);
            self.options.step(&format!(
                "{title}: resuming, an earlier run fetched {kept}% of it"
            ));
        }
        let partial = partial.map(PartialBlob::path);
        let blob = self.image.open_layer(layer, partial.as_deref())?;
        let limits = self.options.limits.clone();
        let most_names = limits.entries;
        let role = Some(folder::role_of(layer));
        let options = ReadOptions {
            limits,
            role,
            progress: Some(progress),
        };
        let reader = LayerReader::open(blob, options);
        let stop = || self.line.check();
        self.maker.stage(ingest, layer, reader, most_names, &stop)
    }

    fn reuse(&self, layer: &Layer) -> Result<LayerRecord> {
        let record = self.store.layer_record(layer.chain_id)?;
        let published = PublishedLayer::open(self.store, layer.chain_id)?;
        self.line.done(layer.index, Arc::new(published));
        Ok(record)
    }

    fn title(&self, layer: &Layer) -> String {
        let digest = layer.digest.unwrap_or_else(|| layer.diff_id.digest());
        layer_title(layer.index, self.image.layers().len(), &digest)
    }

    fn titled(&self, layer: &Layer, warnings: Vec<String>) -> Vec<String> {
        let title = self.title(layer);
        warnings
            .into_iter()
            .map(|text| format!("{title}: {text}"))
            .collect()
    }
}

/// How much of the layer's blob is there from an earlier run, if any is.
fn percent_kept(partial: &PartialBlob<'_>, layer: &Layer) -> Option<u64> {
    let (kept, whole) = (partial.bytes(), layer.compressed_bytes);
    // More than the whole is not its beginning and will be thrown away.
    (1..=whole)
        .contains(&kept)
        .then(|| kept.saturating_mul(100).checked_div(whole))
        .flatten()
}

/// Bytes that failed verification must not be resumed from.
fn discard_wrong_bytes(partial: Option<PartialBlob<'_>>, error: &Error) -> Result<()> {
    match partial {
        Some(partial) if error.kind() == ErrorKind::Verification => partial.discard(),
        _ => Ok(()),
    }
}

fn report(layer: &Layer, record: &LayerRecord, reused: bool, seconds: f64) -> UnpackedLayer {
    UnpackedLayer {
        digest: layer.digest.map(|digest| digest.to_string()),
        diff_id: layer.diff_id.to_string(),
        chain_id: layer.chain_id.to_string(),
        media_type: layer.media_type.clone(),
        compressed_bytes: layer.compressed_bytes,
        uncompressed_bytes: record.uncompressed_bytes,
        entries: record.counts.entries,
        seconds,
        reused,
    }
}

#[cfg(test)]
mod tests;
