//! Reads the layers of an image, topmost first, through a [`Merge`] into a [`Sink`].

use std::{
    io::{BufRead, Write},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use winlayer_image::{Image, Layer, Reference};
use winlayer_tar::{
    AlternateStream, Body, Entry, LayerItem, LayerPath, LayerReader, LayerRole, LayerSummary,
    Limits, Object, ObjectKind, Progress, ReadOptions, Tree,
};

use super::{LayerNumber, Merge, Verdict};
use crate::{Error, Observer, Result, error::Problem, names::NodeId, report::UnpackedLayer};

/// What takes the merged view, object by object.
///
/// `view` is the merge so far: a name's spelling and parents are final, other names may still come.
pub(crate) trait Sink {
    /// `node` is a visible directory with this metadata. Directories no layer describes are only
    /// found in the view at the end.
    fn directory(&mut self, view: &Merge, node: NodeId, object: &Object) -> Result<()>;

    /// `object`, a file or link, belongs at `at`, which need not be its own path.
    fn object(
        &mut self,
        view: &Merge,
        at: NodeId,
        object: &Object,
        body: &mut dyn BufRead,
    ) -> Result<()>;

    /// A file in `Hives` of layer `number`; those of all layers come by, topmost first.
    fn hive_delta(
        &mut self,
        _number: LayerNumber,
        _path: &LayerPath,
        _body: &mut dyn BufRead,
    ) -> Result<()> {
        Ok(())
    }

    /// `names` are further names of the object placed at `to`.
    fn links(&mut self, view: &Merge, to: NodeId, names: &[NodeId]) -> Result<()>;

    /// An alternate stream of the directory or object given last.
    fn stream(&mut self, view: &Merge, stream: &AlternateStream, body: &mut Body<'_>)
    -> Result<()>;

    /// True when the rest is of no interest; reading stops, so nothing more is verified.
    fn is_complete(&self) -> bool {
        false
    }
}

/// Where layers come from: an image, or a test.
pub(crate) trait Layers {
    /// Base first.
    fn numbers(&self) -> Result<Vec<LayerNumber>>;

    /// False when a layer may refer to layers that are left out.
    fn are_complete(&self) -> bool;

    /// Starts reading a layer; `again` when it has been read before.
    fn open(&self, number: LayerNumber, again: bool) -> Result<LayerReader>;

    /// Reads a layer's rest and checks it.
    fn close(&self, number: LayerNumber, reader: LayerReader, again: bool) -> Result<LayerSummary>;

    /// The layer is not read again by this merge.
    fn release(&self, _number: LayerNumber) {}

    /// Adds the layer to an error.
    fn blame(&self, number: LayerNumber, error: Error) -> Error;
}

/// A layer that was read to its end and checked.
#[derive(Debug)]
pub(crate) struct ReadLayer {
    pub(crate) summary: LayerSummary,
    pub(crate) seconds: f64,
}

/// Merges all layers into `sink`. Returns what was read, base first; nothing if the sink stopped.
pub(crate) fn merge_layers(
    layers: &dyn Layers,
    merge: &mut Merge,
    sink: &mut dyn Sink,
) -> Result<Vec<ReadLayer>> {
    let mut done = Vec::new();
    for number in layers.numbers()?.into_iter().rev() {
        merge.begin_layer(number);
        let read = merge_layer(layers, number, merge, sink);
        match read.map_err(|error| layers.blame(number, error))? {
            Some(layer) => done.push(layer),
            None => return Ok(Vec::new()),
        }
    }
    if layers.are_complete() {
        let finished = merge.finish();
        finished.map_err(|(number, error)| layers.blame(number, error))?;
    }
    done.reverse();
    Ok(done)
}

/// The number of the layer at `index`, 0 for the base.
pub(crate) fn layer_number(index: usize) -> Result<LayerNumber> {
    LayerNumber::from_index(index).ok_or_else(|| {
        let what = "the image has more than 65,535 layers";
        Error::refused(what, "no known builder makes such images")
    })
}

fn merge_layer(
    layers: &dyn Layers,
    number: LayerNumber,
    merge: &mut Merge,
    sink: &mut dyn Sink,
) -> Result<Option<ReadLayer>> {
    let started = Instant::now();
    let mut reader = layers.open(number, false)?;
    let mut owner_taken = false;
    while let Some(Entry { item, mut body }) = reader.next_entry()? {
        if let LayerItem::Stream(stream) = item {
            if owner_taken {
                sink.stream(merge, stream, &mut body)?;
            }
        } else {
            let verdict = merge.judge(item)?;
            if let LayerItem::Object(object) = item
                && object.path.tree() == Tree::Hives
                && verdict == Verdict::Skip
                && matches!(object.kind, ObjectKind::File { .. })
            {
                sink.hive_delta(number, &object.path, &mut body)?;
            }
            owner_taken = deliver(&verdict, item, merge, sink, &mut body)?;
        }
        if sink.is_complete() {
            return Ok(None);
        }
    }
    let summary = layers.close(number, reader, false)?;
    if merge.missed() > 0 {
        merge_missed(layers, number, merge, sink)?;
    }
    layers.release(number);
    let seconds = started.elapsed().as_secs_f64();
    Ok(Some(ReadLayer { summary, seconds }))
}

/// Reads one layer by itself, every entry of it.
pub(crate) fn read_layer(
    layers: &dyn Layers,
    number: LayerNumber,
    each: &mut dyn FnMut(&LayerItem, &mut Body<'_>) -> Result<()>,
) -> Result<ReadLayer> {
    let started = Instant::now();
    let mut read = || {
        let mut reader = layers.open(number, false)?;
        while let Some(Entry { item, mut body }) = reader.next_entry()? {
            each(item, &mut body)?;
        }
        let summary = layers.close(number, reader, false)?;
        Ok(ReadLayer {
            summary,
            seconds: started.elapsed().as_secs_f64(),
        })
    };
    read().map_err(|error| layers.blame(number, error))
}

/// Reads a layer again for objects that turned out to be needed after they had gone by.
fn merge_missed(
    layers: &dyn Layers,
    number: LayerNumber,
    merge: &mut Merge,
    sink: &mut dyn Sink,
) -> Result<()> {
    let mut reader = layers.open(number, true)?;
    let mut owner_taken = false;
    while let Some(Entry { item, mut body }) = reader.next_entry()? {
        match item {
            LayerItem::Stream(stream) if owner_taken => sink.stream(merge, stream, &mut body)?,
            LayerItem::Stream(_) => {}
            LayerItem::Object(object) if merge.missed() > 0 => {
                let verdict = merge.judge_again(object);
                owner_taken = deliver(&verdict, item, merge, sink, &mut body)?;
            }
            _ => owner_taken = false,
        }
        if sink.is_complete() {
            return Ok(());
        }
    }
    layers.close(number, reader, true)?;
    Ok(())
}

/// Hands an entry to the sink; true when streams that follow belong to the sink as well.
fn deliver(
    verdict: &Verdict,
    item: &LayerItem,
    merge: &Merge,
    sink: &mut dyn Sink,
    body: &mut Body<'_>,
) -> Result<bool> {
    match (verdict, item) {
        (Verdict::Directory(node), LayerItem::Object(object)) => {
            sink.directory(merge, *node, object)?;
        }
        (Verdict::Object { at, links }, LayerItem::Object(object)) => {
            sink.object(merge, *at, object, body)?;
            if !links.is_empty() {
                sink.links(merge, *at, links)?;
            }
        }
        (Verdict::Links { to, names }, _) => {
            sink.links(merge, *to, names)?;
            return Ok(false);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Copies the rest of a body; `describe` names what is written, for the error.
pub(crate) fn copy_body(
    body: &mut (impl BufRead + ?Sized),
    out: &mut dyn Write,
    describe: impl Fn() -> String,
) -> Result<u64> {
    let mut copied = 0_u64;
    loop {
        let chunk = body.fill_buf().map_err(read_failed)?;
        if chunk.is_empty() {
            return Ok(copied);
        }
        out.write_all(chunk)
            .map_err(|source| Error::io(format!("write {}", describe()), source))?;
        let used = chunk.len();
        copied = copied.saturating_add(used as u64);
        body.consume(used);
    }
}

/// Reading an entry's content failed.
pub(crate) fn read_failed(source: std::io::Error) -> Error {
    Error::io("read the layer", source)
}

/// How long a fetched blob is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Until its layer is merged.
    UntilMerged,
    /// For another merge of the same image.
    ForNextMerge,
}

/// The layers of an image.
pub(crate) struct ImageLayers<'a> {
    image: &'a Image,
    limits: &'a Limits,
    observer: Option<&'a dyn Observer>,
    /// Only this layer.
    only: Option<LayerNumber>,
    /// Where to keep blobs, so that they need not be fetched twice, and how long.
    keep: Option<(PathBuf, Keep)>,
}

impl std::fmt::Debug for ImageLayers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageLayers")
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

impl<'a> ImageLayers<'a> {
    pub(crate) fn new(
        image: &'a Image,
        limits: &'a Limits,
        observer: Option<&'a dyn Observer>,
    ) -> Self {
        Self {
            image,
            limits,
            observer,
            only: None,
            keep: None,
        }
    }

    /// Keeps blobs from a registry in this directory, which the caller removes.
    pub(crate) fn keeping_blobs_in(mut self, directory: PathBuf, keep: Keep) -> Self {
        if matches!(self.image.reference(), Reference::Registry(_)) {
            self.keep = Some((directory, keep));
        }
        self
    }

    fn kept_blob(&self, layer: &Layer) -> Option<PathBuf> {
        let (directory, _) = self.keep.as_ref()?;
        Some(directory.join(format!("{}.partial", layer.diff_id.hex())))
    }

    /// Only one layer, counted from 1, as if there were no others.
    pub(crate) fn only(mut self, number: usize) -> Result<Self> {
        self.only = Some(self.number(number)?);
        Ok(self)
    }

    /// The layer people call `number`, the base being 1.
    pub(crate) fn number(&self, number: usize) -> Result<LayerNumber> {
        let count = self.image.layers().len();
        match number.checked_sub(1).filter(|&index| index < count) {
            Some(index) => layer_number(index),
            None => Err(Error::not_found(format!(
                "the image has layers 1 to {count}, and no layer {number}"
            ))),
        }
    }

    /// A merge of all layers of the image.
    pub(crate) fn merge(&self, selection: super::Selection) -> Result<Merge> {
        let topmost = layer_number(self.image.layers().len().saturating_sub(1))?;
        Ok(Merge::new(selection, topmost, self.limits.entries))
    }

    pub(crate) fn layer(&self, number: LayerNumber) -> Result<&'a Layer> {
        let missing = || Error::not_found(format!("the image has no layer {}", number.get()));
        self.image.layers().get(number.index()).ok_or_else(missing)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.image.layers().len()
    }

    /// Says that nobody reads the layer any further.
    pub(crate) fn leave(&self, number: LayerNumber) {
        let layer = self.image.layers().get(number.index());
        if let Some((observer, layer)) = self.observer.zip(layer) {
            observer.layer_finished(layer, false);
        }
    }

    pub(crate) fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// What the report says of the layers, all of them read.
    pub(crate) fn report(&self, read: &[ReadLayer]) -> Vec<UnpackedLayer> {
        self.report_of(LayerNumber::BASE, read)
    }

    /// What the report says of the layers from `first` on.
    pub(crate) fn report_of(&self, first: LayerNumber, read: &[ReadLayer]) -> Vec<UnpackedLayer> {
        let layers = self.image.layers().iter().skip(first.index()).zip(read);
        let report = |(layer, read): (&Layer, &ReadLayer)| UnpackedLayer {
            digest: layer.digest.map(|digest| digest.to_string()),
            diff_id: layer.diff_id.to_string(),
            chain_id: layer.chain_id.to_string(),
            media_type: layer.media_type.clone(),
            compressed_bytes: read.summary.compressed_bytes,
            uncompressed_bytes: read.summary.uncompressed_bytes,
            entries: read.summary.entries,
            seconds: read.seconds,
            reused: false,
        };
        layers.map(report).collect()
    }
}

impl Layers for ImageLayers<'_> {
    fn numbers(&self) -> Result<Vec<LayerNumber>> {
        match self.only {
            Some(number) => Ok(vec![number]),
            None => (0..self.image.layers().len()).map(layer_number).collect(),
        }
    }

    fn are_complete(&self) -> bool {
        self.only.is_none()
    }

    fn open(&self, number: LayerNumber, again: bool) -> Result<LayerReader> {
        let layer = self.layer(number)?;
        let kept = self.kept_blob(layer);
        let blob = self.image.open_layer(layer, kept.as_deref())?;
        let progress = Arc::new(Progress::default());
        if let Some(observer) = self.observer.filter(|_| !again) {
            observer.layer_started(layer, Arc::clone(&progress));
        }
        let role = match number {
            LayerNumber::BASE => LayerRole::Base,
            _ => LayerRole::Diff,
        };
        let options = ReadOptions {
            limits: self.limits.clone(),
            role: Some(role),
            progress: Some(progress),
        };
        Ok(LayerReader::open(blob, options))
    }

    fn close(&self, number: LayerNumber, reader: LayerReader, again: bool) -> Result<LayerSummary> {
        let layer = self.layer(number)?;
        let summary = reader.finish()?;
        if summary.diff_id != layer.diff_id {
            let (expected, found) = (layer.diff_id, summary.diff_id);
            return Err(Problem::DiffId { expected, found }.into());
        }
        if let Some(observer) = self.observer.filter(|_| !again) {
            observer.layer_finished(layer, false);
        }
        Ok(summary)
    }

    fn release(&self, number: LayerNumber) {
        let done = matches!(&self.keep, Some((_, Keep::UntilMerged)));
        let layer = self.image.layers().get(number.index()).filter(|_| done);
        if let Some(kept) = layer.and_then(|layer| self.kept_blob(layer)) {
            // The directory goes away with what could not be removed.
            let _ = std::fs::remove_file(kept);
        }
    }

    fn blame(&self, number: LayerNumber, error: Error) -> Error {
        match self.layer(number) {
            Ok(layer) => error.in_layer(layer, self.image.layers().len()),
            Err(_) => error,
        }
    }
}
