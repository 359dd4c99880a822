//! Checking again: an image without unpacking it, and what was unpacked.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use serde::Serialize;
use winlayer_image::{Image, Layer};
use winlayer_tar::{LayerReader, Limits, Progress, ReadOptions};

use crate::{
    Error, LayerStore, Observer, Result, error::Problem, layer_names::LayerNames, line::Line,
    target::folder,
};

mod folder_check;

/// What was verified.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verified {
    /// Layers read.
    pub layers: u64,
    /// Tar entries, or objects on disk.
    pub entries: u64,
    /// Uncompressed bytes of tars, or bytes of files.
    pub bytes: u64,
    /// Wall time.
    pub seconds: f64,
}

/// Reads every layer of an image and writes nothing: digest and size of the blob, DiffID, and every
/// rule a layer tar must keep by itself.
///
/// `jobs` layers are read at the same time.
///
/// # Errors
///
/// The first problem of the lowest layer that has one.
pub fn verify_image(
    image: &Image,
    jobs: usize,
    limits: &Limits,
    observer: Option<Arc<dyn Observer>>,
) -> Result<Verified> {
    let begun = Instant::now();
    let layers = image.layers();
    let (next, entries, bytes) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let line = Line::<()>::new(layers.len());
    let work = || {
        while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
            let _guard = line.stop_on_panic(layer.index);
            match verify_layer(image, layer, limits, observer.as_deref(), &line) {
                Ok(found) => {
                    entries.fetch_add(found.entries, Ordering::Relaxed);
                    bytes.fetch_add(found.bytes, Ordering::Relaxed);
                }
                Err(error) => return line.fail(layer.index, error.in_layer(layer, layers.len())),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, layers.len().max(1)) {
            scope.spawn(work);
        }
    });
    line.take_error().map_or(Ok(()), Err)?;
    Ok(Verified {
        layers: layers.len() as u64,
        entries: entries.into_inner(),
        bytes: bytes.into_inner(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn verify_layer(
    image: &Image,
    layer: &Layer,
    limits: &Limits,
    observer: Option<&dyn Observer>,
    line: &Line<()>,
) -> Result<Verified> {
    let progress = Arc::new(Progress::default());
    if let Some(observer) = observer {
        observer.layer_started(layer, Arc::clone(&progress));
    }
    let role = Some(folder::role_of(layer));
    let options = ReadOptions {
        limits: limits.clone(),
        role,
        progress: Some(progress),
    };
    let mut reader = LayerReader::open(image.open_layer(layer, None)?, options);
    let mut names = LayerNames::new(limits.entries);
    while let Some(entry) = reader.next_entry()? {
        names.admit(entry.item)?;
        line.check()?;
    }
    let summary = reader.finish()?;
    let (expected, found) = (layer.diff_id, summary.diff_id);
    if expected != found {
        return Err(Problem::DiffId { expected, found }.into());
    }
    if let Some(observer) = observer {
        observer.layer_finished(layer, false);
    }
    Ok(Verified {
        entries: summary.entries,
        bytes: summary.uncompressed_bytes,
        ..Verified::default()
    })
}

/// Reads every object of a [`LayerStore`], or of one layer folder, and compares it with what the
/// folder's `layer-index.jsonl` says: size, CRC-32, nothing missing, nothing extra. The chain and
/// the counts of `layer.json` are checked too. Of layers that Windows has finished, which have become
/// something else than the index describes, only that every object is there is checked. Disks of layers
/// are checked as by [`verify_disk`](crate::verify_disk).
///
/// # Errors
///
/// Kind `Verification` for the first difference, which names the file; `NotFound` when `path` is
/// neither a store nor a layer folder.
pub fn verify_store(path: &Path) -> Result<Verified> {
    let begun = Instant::now();
    let mut verified = match LayerStore::open(path) {
        Ok(store) => folder_check::all_layers(&store)?,
        Err(error) if is_not_found(&error) && path.join(crate::store::LAYER_FILE).exists() => {
            folder_check::layer_folder(path)?
        }
        Err(error) => return Err(error),
    };
    verified.seconds = begun.elapsed().as_secs_f64();
    Ok(verified)
}

fn is_not_found(error: &Error) -> bool {
    error.kind() == crate::ErrorKind::NotFound
}
