//! Hives out of the layers of an image.

use std::{
    fs::File,
    io::{BufRead, Read, Seek, SeekFrom, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use winlayer_hive::{HiveError, PagedSource};
use winlayer_image::Image;
use winlayer_metadata::Upcase;
use winlayer_tar::{Entry, LayerItem, LayerPath, Limits, ObjectKind, Tree};

use super::{ImageRegistry, Part, RegistryFinding, RegistryHive};
use crate::{
    Error, LayerContents, Observer, Result,
    line::Line,
    merge::{ImageLayers, LayerNumber, Layers, copy_body, layer_number},
};

/// Where full hives are, below `Files`.
pub(crate) const CONFIG: &str = "Windows/System32/config";
/// Hives have 32-bit offsets; what is larger is none.
const MOST_BYTES: u64 = 2 << 30;
/// What the logs beside a hive have after its name and a dot.
pub(crate) const LOGS: [&str; 3] = ["LOG", "LOG1", "LOG2"];
/// Logs are read into memory.
pub(crate) const MOST_LOG_BYTES: u64 = 64 << 20;

/// What to take from an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// These hives.
    pub(crate) hives: &'a [RegistryHive],
    /// Of the layers up to this one.
    pub(crate) top: usize,
    /// All layers are read to the end, verified and counted.
    pub(crate) contents: bool,
    /// A layer that cannot be read is a finding, not an error.
    pub(crate) tolerant: bool,
}

/// What was taken.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) registry: ImageRegistry,
    /// Base first; empty unless asked for.
    pub(crate) contents: Vec<LayerContents>,
}

/// Takes the hives of an image out of its layers, `jobs` layers at the same time.
///
/// Every layer is read once, and no further than to the last hive it can have: a base layer to its
/// fifth hive; a layer above, whose entries come in the order `Files`, `Hives`, `UtilityVM`, to the
/// end of `Hives`. A layer that is left before its end is *not* verified; use
/// [`verify_image`](crate::verify_image) for that.
///
/// A hive that is damaged, or was not closed and has no logs beside it, is named in
/// [`ImageRegistry::findings`].
///
/// # Errors
///
/// A layer cannot be read or is malformed; there is no space for temporary files.
pub fn read_registry(
    image: &Image,
    jobs: usize,
    limits: &Limits,
    observer: Option<&dyn Observer>,
) -> Result<ImageRegistry> {
    let wanted = Wanted {
        hives: &RegistryHive::ALL,
        top: image.layers().len(),
        contents: false,
        tolerant: false,
    };
    Ok(collect(image, wanted, jobs, limits, observer)?.registry)
}

/// As [`read_registry`], but only what is needed to look into one hive: of all layers together, or of
/// layer number `layer` by itself.
///
/// # Errors
///
/// As for [`read_registry`]; kind `Verification` when the hive of one of these layers is damaged.
pub fn read_hive(
    image: &Image,
    hive: RegistryHive,
    layer: Option<usize>,
    jobs: usize,
    limits: &Limits,
    observer: Option<&dyn Observer>,
) -> Result<ImageRegistry> {
    let wanted = Wanted {
        hives: &[hive],
        top: layer.unwrap_or(usize::MAX),
        contents: false,
        tolerant: false,
    };
    let registry = collect(image, wanted, jobs, limits, observer)?.registry;
    registry.check()?;
    Ok(registry)
}

/// See [`read_registry`].
pub(crate) fn collect(
    image: &Image,
    wanted: Wanted<'_>,
    jobs: usize,
    limits: &Limits,
    observer: Option<&dyn Observer>,
) -> Result<Collected> {
    let count = image.layers().len();
    let layers = ImageLayers::new(image, limits, observer);
    let top = wanted.top.min(count);
    let line = Line::<()>::new(count);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= top || line.is_stopped() {
                return done;
            }
            let _guard = line.stop_on_panic(index);
            match scan_layer(&layers, index, wanted, &line) {
                Ok(found) => done.push((index, found)),
                Err(error) => line.fail(index, error),
            }
        }
    };
    let mut found: Vec<(usize, LayerHives)> = thread::scope(|scope| {
        let jobs = jobs.clamp(1, top.max(1));
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(std::result::Result::unwrap_or_default)
            .collect()
    });
    line.take_error().map_or(Ok(()), Err)?;
    found.sort_by_key(|(index, _)| *index);
    Ok(assemble(image, found))
}

fn assemble(image: &Image, found: Vec<(usize, LayerHives)>) -> Collected {
    let layers = image.layers();
    let mut registry = ImageRegistry {
        parts: Vec::new(),
        diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
        findings: Vec::new(),
    };
    let mut contents = Vec::new();
    for (_, layer) in found {
        contents.extend(layer.contents);
        registry.findings.extend(layer.findings);
        for part in layer.parts {
            match part.open().and_then(|hive| hive.root().map(drop)) {
                Ok(()) => registry.parts.push(part),
                Err(error) => {
                    let finding = registry.finding(&part, &error);
                    registry.findings.push(finding);
                }
            }
        }
    }
    // A full hive lies below the delta of its layer.
    registry
        .parts
        .sort_by_key(|part| (part.hive, part.layer, !part.is_whole));
    Collected { registry, contents }
}

/// What one layer has.
#[derive(Default)]
struct LayerHives {
    parts: Vec<Part>,
    findings: Vec<RegistryFinding>,
    contents: Option<LayerContents>,
}

fn scan_layer(
    layers: &ImageLayers<'_>,
    index: usize,
    wanted: Wanted<'_>,
    line: &Line<()>,
) -> Result<LayerHives> {
    let number = layer_number(index)?;
    let mut scan = Scan::new(number, wanted);
    let read = scan.read(layers, line);
    let mut found = scan.finish(layers.count());
    match read {
        Ok(contents) => found.contents = contents,
        Err(error) if error.is_cancelled() => return Err(error),
        Err(error) if wanted.tolerant => found.findings.push(RegistryFinding {
            layer: Some(number.get()),
            layers: layers.count(),
            entry: None,
            problem: format!("cannot be read: {}", with_causes(&error)),
        }),
        Err(error) => return Err(layers.blame(number, error)),
    }
    Ok(found)
}

fn with_causes(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A piece of the registry in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Whole,
    Delta,
    Log,
}

/// What the path of an entry says of it.
fn piece(path: &LayerPath) -> Option<(RegistryHive, Piece)> {
    let (folder, name) = match path.below_tree().rsplit_once('/') {
        Some((folder, name)) => (folder, name),
        None => ("", path.below_tree()),
    };
    match path.tree() {
        Tree::Hives if folder.is_empty() => Some((RegistryHive::of_delta(name)?, Piece::Delta)),
        Tree::Files if folder.len() >= CONFIG.len() && Upcase::eq(folder, CONFIG) => {
            if let Some(hive) = RegistryHive::of_file(name) {
                return Some((hive, Piece::Whole));
            }
            let (stem, extension) = name.split_once('.')?;
            let is_log = LOGS.iter().any(|log| Upcase::eq(log, extension));
            Some((RegistryHive::of_file(stem)?, Piece::Log)).filter(|_| is_log)
        }
        _ => None,
    }
}

/// The hive whose delta an entry is.
pub(crate) fn delta(path: &LayerPath) -> Option<RegistryHive> {
    piece(path)
        .filter(|(_, piece)| *piece == Piece::Delta)
        .map(|(hive, _)| hive)
}

/// Whether an entry is one of the five full hives.
#[cfg(any(windows, test))]
pub(crate) fn is_full_hive(path: &LayerPath) -> bool {
    piece(path).is_some_and(|(_, piece)| piece == Piece::Whole)
}

/// A layer being searched.
struct Scan<'a> {
    number: LayerNumber,
    wanted: Wanted<'a>,
    pieces: Vec<Found>,
    problems: Vec<(String, String)>,
    /// Entries of `Files` have gone by, then ones of `Hives`.
    past: (bool, bool),
    left_hives: bool,
}

struct Found {
    hive: RegistryHive,
    piece: Piece,
    entry: String,
    file: File,
}

impl<'a> Scan<'a> {
    fn new(number: LayerNumber, wanted: Wanted<'a>) -> Self {
        Self {
            number,
            wanted,
            pieces: Vec::new(),
            problems: Vec::new(),
            past: (false, false),
            left_hives: false,
        }
    }

    fn read(&mut self, layers: &ImageLayers<'_>, line: &Line<()>) -> Result<Option<LayerContents>> {
        let mut contents = self.wanted.contents.then(LayerContents::default);
        let mut reader = layers.open(self.number, false)?;
        while let Some(Entry { item, mut body }) = reader.next_entry()? {
            if let Some(contents) = &mut contents {
                contents.add(item);
            }
            self.take(item, &mut body)?;
            if contents.is_none() && self.is_complete() {
                layers.leave(self.number);
                return Ok(None);
            }
            line.check()?;
        }
        let summary = layers.close(self.number, reader, false)?;
        if let Some(contents) = &mut contents {
            contents.uncompressed_bytes = summary.uncompressed_bytes;
        }
        Ok(contents)
    }

    fn take(&mut self, item: &LayerItem, body: &mut dyn BufRead) -> Result<()> {
        let path = match item {
            LayerItem::Object(object) => &object.path,
            LayerItem::HardLink(link) => &link.path,
            LayerItem::Whiteout(path) | LayerItem::OpaqueWhiteout(path) => {
                self.pass(path.tree());
                return Ok(());
            }
            LayerItem::Stream(_) => return Ok(()),
        };
        self.pass(path.tree());
        let Some((hive, piece)) = piece(path).filter(|(hive, _)| self.wants(*hive)) else {
            return Ok(());
        };
        let entry = path.as_str().to_owned();
        let most = match piece {
            Piece::Log => MOST_LOG_BYTES,
            Piece::Whole | Piece::Delta => MOST_BYTES,
        };
        match item {
            LayerItem::Object(object) => match &object.kind {
                ObjectKind::File { size } if *size <= most => {
                    let file = spool(body)?;
                    self.pieces.push(Found {
                        hive,
                        piece,
                        entry,
                        file,
                    });
                }
                ObjectKind::File { size } => {
                    let problem = format!("{size} bytes are more than a hive can have");
                    self.problems.push((entry, problem));
                }
                _ if piece == Piece::Log => {}
                _ => self.problems.push((entry, "is no file".to_owned())),
            },
            _ if piece == Piece::Log => {}
            _ => self.problems.push((entry, "is a hard link".to_owned())),
        }
        Ok(())
    }

    fn wants(&self, hive: RegistryHive) -> bool {
        self.wanted.hives.contains(&hive)
    }

    fn pass(&mut self, tree: Tree) {
        let (files, hives) = self.past;
        match tree {
            Tree::Files => self.past.0 = true,
            Tree::Hives => self.past.1 = true,
            _ => self.left_hives = files && hives,
        }
    }

    /// Whether nothing more can come.
    fn is_complete(&self) -> bool {
        let has = |wanted, hive: &RegistryHive| {
            let mut pieces = self.pieces.iter();
            pieces.any(|found| found.piece == wanted && found.hive == *hive)
        };
        let all = |piece| self.wanted.hives.iter().all(|hive| has(piece, hive));
        let complete = match self.number {
            LayerNumber::BASE => all(Piece::Whole),
            // Exporters write `Files` first, where a whole hive would have been.
            _ => self.left_hives || (self.past.0 && all(Piece::Delta)),
        };
        // One that was not closed needs its logs, which follow.
        complete && !self.pieces.iter().any(Found::is_dirty)
    }

    fn finish(self, layers: usize) -> LayerHives {
        let mut found = LayerHives::default();
        let layer = self.number.get();
        let mut problems = self.problems;
        let (logs, hives): (Vec<_>, Vec<_>) = self
            .pieces
            .into_iter()
            .partition(|found| found.piece == Piece::Log);
        for piece in hives {
            let own = |log: &&Found| log.hive == piece.hive && piece.piece == Piece::Whole;
            let part = piece.part(layer, logs.iter().filter(own));
            match part {
                Ok(part) => found.parts.push(part),
                Err(error) => problems.push((piece.entry.clone(), error.to_string())),
            }
        }
        let finding = |(entry, problem)| RegistryFinding {
            layer: Some(layer),
            layers,
            entry: Some(entry),
            problem,
        };
        found.findings = problems.into_iter().map(finding).collect();
        found
    }
}

impl Found {
    fn is_dirty(&self) -> bool {
        let open = || {
            let source = PagedSource::new(self.file.try_clone().ok()?).ok()?;
            winlayer_hive::Hive::from_source(source).err()
        };
        self.piece == Piece::Whole && matches!(open(), Some(HiveError::Dirty { .. }))
    }

    fn part<'l>(
        &self,
        layer: usize,
        logs: impl Iterator<Item = &'l Self>,
    ) -> std::io::Result<Part> {
        let logs = match self.is_dirty() {
            true => logs.map(Self::bytes).collect::<std::io::Result<Vec<_>>>()?,
            false => Vec::new(),
        };
        Ok(Part {
            hive: self.hive,
            layer,
            is_whole: self.piece == Piece::Whole,
            entry: self.entry.clone(),
            source: Arc::new(PagedSource::new(self.file.try_clone()?)?),
            logs: logs.into(),
        })
    }

    fn bytes(&self) -> std::io::Result<Vec<u8>> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Copies a body to a temporary file without a name.
pub(crate) fn spool(body: &mut dyn BufRead) -> Result<File> {
    let failed = |error| Error::io("write a temporary file", error);
    let mut file = tempfile::tempfile().map_err(failed)?;
    copy_body(body, &mut file, || "a temporary file".to_owned())?;
    file.flush().map_err(failed)?;
    Ok(file)
}
