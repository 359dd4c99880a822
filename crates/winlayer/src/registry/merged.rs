//! Merged hives for merged outputs.
//!
//! A merged file system has no place for deltas, so what they change goes into the full hives in
//! `Files/Windows/System32/config`. Layers are read topmost first, so when the full hive comes by,
//! the deltas over it are known.

use std::{
    fs::File,
    io::{BufRead, BufReader, Cursor, Seek, SeekFrom},
    sync::Arc,
};

use winlayer_hive::{Hive, HiveError, KeySemantics, Overlay, PagedSource, Source as _};
use winlayer_metadata::Upcase;
use winlayer_tar::{AlternateStream, Body, LayerPath, Object, ObjectKind};

use super::{
    Part, RegistryHive, View,
    collect::{CONFIG, delta, spool},
    describe,
};
use crate::{
    Error, Result,
    error::escape,
    merge::{LayerNumber, Merge, Sink},
    names::NodeId,
};

/// A [`Sink`] before another one, which gives it merged hives.
///
/// A hive that cannot be merged is given as its layer has it, and a warning names what is to blame.
pub(crate) struct MergedHives<'s> {
    inner: &'s mut dyn Sink,
    /// Deltas, topmost first.
    deltas: Vec<Part>,
    /// Full hives that went by, and their layers.
    placed: Vec<(RegistryHive, Option<LayerNumber>)>,
    warnings: Vec<String>,
}

impl<'s> MergedHives<'s> {
    pub(crate) fn new(inner: &'s mut dyn Sink) -> Self {
        Self {
            inner,
            deltas: Vec::new(),
            placed: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// What could not be merged, once all layers have been read.
    pub(crate) fn finish(mut self) -> Vec<String> {
        for part in &self.deltas {
            if !self.is_placed(part.hive) {
                let name = part.hive.file_name();
                let why = format!("no layer has the file Files/{CONFIG}/{name}");
                self.warnings.push(not_merged(part, &why));
            }
        }
        self.warnings
    }

    fn is_placed(&self, hive: RegistryHive) -> bool {
        self.placed.iter().any(|(placed, _)| *placed == hive)
    }

    /// The full hive that belongs at `at`.
    fn hive_at(view: &Merge, at: NodeId) -> Option<RegistryHive> {
        let hive = RegistryHive::of_file(view.names().name(at))?;
        let path = view.names().path(at);
        let folder = path.strip_prefix("Files/")?.rsplit_once('/')?.0;
        Upcase::eq(folder, CONFIG).then_some(hive)
    }

    fn merge(&mut self, hive: RegistryHive, base: File, entry: &str) -> Result<Option<Vec<u8>>> {
        let base = part(hive, 0, true, entry, base)?;
        let deltas = self.deltas.iter().rev().filter(|part| part.hive == hive);
        let parts: Vec<&Part> = std::iter::once(&base).chain(deltas).collect();
        if let Some(why) = too_large(parts.iter().map(|part| part.source.size())) {
            let warning = not_merged(&base, &why);
            self.warnings.push(warning);
            return Ok(None);
        }
        let merge = |parts: &[&Part]| View::open(parts)?.overlay.to_bytes();
        let error = match merge(&parts) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) => error,
        };
        let mut warnings = Vec::new();
        for part in &parts {
            if let Err(error) = merge(&[part]) {
                warnings.push(not_merged(part, &describe(&error)));
            }
        }
        if warnings.is_empty() {
            warnings.push(not_merged(&base, &describe(&error)));
        }
        self.warnings.append(&mut warnings);
        Ok(None)
    }
}

impl Sink for MergedHives<'_> {
    fn hive_delta(
        &mut self,
        number: LayerNumber,
        path: &LayerPath,
        body: &mut dyn BufRead,
    ) -> Result<()> {
        let Some(hive) = delta(path) else {
            let entry = escape(path.as_str());
            let layer = number.get();
            let text = format!("layer {layer}: {entry}: not merged: no hive is known by this name");
            self.warnings.push(text);
            return Ok(());
        };
        let part = part(hive, number.get(), false, path.as_str(), spool(body)?)?;
        if part
            .open()
            .and_then(|delta| changes_nothing(&delta))
            .unwrap_or(false)
        {
            return Ok(());
        }
        match self.placed.iter().find(|(placed, _)| *placed == hive) {
            // It lies over a full hive of its own layer, which has gone by.
            Some((_, Some(layer))) if *layer == number => {
                let why = "the full hive is in the same layer, before it";
                self.warnings.push(not_merged(&part, why));
            }
            // It lies below the full hive that counts.
            Some(_) => {}
            None => self.deltas.push(part),
        }
        Ok(())
    }

    fn directory(&mut self, view: &Merge, node: NodeId, object: &Object) -> Result<()> {
        self.inner.directory(view, node, object)
    }

    fn object(
        &mut self,
        view: &Merge,
        at: NodeId,
        object: &Object,
        body: &mut dyn BufRead,
    ) -> Result<()> {
        let is_file = matches!(object.kind, ObjectKind::File { .. });
        let Some(hive) = Self::hive_at(view, at).filter(|_| is_file) else {
            return self.inner.object(view, at, object, body);
        };
        self.placed.push((hive, view.state(at).defined_in));
        if !self.deltas.iter().any(|part| part.hive == hive) {
            return self.inner.object(view, at, object, body);
        }
        let failed = |error| Error::io("read a temporary file", error);
        let mut base = spool(body)?;
        let copy = base.try_clone().map_err(failed)?;
        match self.merge(hive, copy, object.path.as_str())? {
            Some(bytes) => {
                let size = bytes.len() as u64;
                let merged = Object {
                    kind: ObjectKind::File { size },
                    ..object.clone()
                };
                let body = &mut Cursor::new(bytes);
                self.inner.object(view, at, &merged, body)
            }
            None => {
                base.seek(SeekFrom::Start(0)).map_err(failed)?;
                let body = &mut BufReader::new(base);
                self.inner.object(view, at, object, body)
            }
        }
    }

    fn links(&mut self, view: &Merge, to: NodeId, names: &[NodeId]) -> Result<()> {
        self.inner.links(view, to, names)
    }

    fn stream(
        &mut self,
        view: &Merge,
        stream: &AlternateStream,
        body: &mut Body<'_>,
    ) -> Result<()> {
        self.inner.stream(view, stream, body)
    }

    fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }
}

/// Layer 0 stands for whichever has the full hive.
fn part(hive: RegistryHive, layer: usize, is_whole: bool, entry: &str, file: File) -> Result<Part> {
    let source = PagedSource::new(file);
    let source = source.map_err(|error| Error::io("read a temporary file", error))?;
    Ok(Part {
        hive,
        layer,
        is_whole,
        entry: entry.to_owned(),
        source: Arc::new(source),
        logs: Arc::default(),
    })
}

/// The hive with the changes of its logs and of a delta, if there are any; the inner error says why
/// that cannot be.
pub(crate) fn merge_over(
    base: File,
    logs: &[Vec<u8>],
    delta: Option<File>,
) -> Result<std::result::Result<Option<Vec<u8>>, String>> {
    let failed = |error| Error::io("read a hive", error);
    let again = base.try_clone().map_err(failed)?;
    let [base, again] = [base, again].map(PagedSource::new);
    let (base, again) = (base.map_err(failed)?, again.map_err(failed)?);
    let delta = delta.map(PagedSource::new).transpose().map_err(failed)?;
    let sizes = [Some(base.size()), delta.as_ref().map(PagedSource::size)];
    if let Some(why) = too_large(sizes.into_iter().flatten()) {
        return Ok(Err(why));
    }
    let merged = || {
        let delta = delta.map(Hive::from_source).transpose()?;
        let delta = match delta {
            Some(delta) if changes_nothing(&delta)? => None,
            delta => delta,
        };
        let (base, replayed) = match Hive::from_source(base) {
            Err(HiveError::Dirty { .. }) if !logs.is_empty() => {
                let logs: Vec<&[u8]> = logs.iter().map(Vec::as_slice).collect();
                (Hive::from_source_with_logs(again, &logs)?, true)
            }
            _ if delta.is_none() => return Ok(None),
            base => (base?, false),
        };
        if delta.is_none() && !replayed {
            return Ok(None);
        }
        Overlay::new([base].into_iter().chain(delta))?
            .to_bytes()
            .map(Some)
    };
    Ok(merged().map_err(|error: HiveError| describe(&error)))
}

/// Hives are merged in memory; the largest of Windows, SOFTWARE, has some 100 MiB.
const MOST_MERGED_BYTES: u64 = 512 << 20;

/// Why hives of these sizes are not merged, if they are not.
pub(super) fn too_large(sizes: impl Iterator<Item = u64>) -> Option<String> {
    let together = sizes.fold(0, u64::saturating_add);
    (together > MOST_MERGED_BYTES).then(|| {
        format!("{together} bytes of hives are more than are merged, at most {MOST_MERGED_BYTES}")
    })
}

/// Most deltas are of this kind; merging one would only pack the full hive anew.
fn changes_nothing(delta: &Hive<'_>) -> std::result::Result<bool, HiveError> {
    let root = delta.root()?;
    let is_empty = root.subkey_count() == 0 && root.value_count() == 0;
    Ok(is_empty && root.layer().semantics == KeySemantics::Merge)
}

fn not_merged(part: &Part, why: &str) -> String {
    let (entry, hive) = (escape(&part.entry), part.hive.root());
    match part.is_whole {
        true => format!("{entry}: {hive} is without the changes of the layers above: {why}"),
        false => format!(
            "layer {}: {entry}: not merged into {hive}: {why}",
            part.layer
        ),
    }
}
