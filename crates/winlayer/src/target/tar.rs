//! `--to tar`: the merged image, or one layer of it, as one Windows layer tar.
//!
//! The merged tar is a base layer: `Files` and `UtilityVM/Files` without whiteouts, with the registry
//! deltas merged into the hives, readable by hcsshim. Its order depends on the image alone: all directories in the order
//! of a sorted walk, then files and links as the layers have them, topmost layer first, then hard
//! links. So parents come before children, streams after their owner and targets before links.
//!
//! The layers are read twice: directories come first in the tar, but a lower layer may describe a
//! directory that a higher one only uses.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, BufRead, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use winlayer_image::Image;
use winlayer_metadata::{FileAttributes, FileTime, FileTimes};
use winlayer_tar::{
    AlternateStream, Body, HardLink, LayerPath, LayerTarWriter, Metadata, Object, ObjectKind,
};

use crate::{
    Error, Result, UnpackOptions,
    merge::{
        ImageLayers, Keep, LayerNumber, Layers, Merge, ReadLayer, Selection, Sink, copy_body,
        merge_layers, read_layer,
    },
    names::NodeId,
    registry::merged::MergedHives,
    report::Outcome,
    target::tree::{Staging, layer_warnings},
};

/// Names inside the staging directory.
const TAR: &str = "image.tar";
const STREAMS: &str = "streams.spool";

type TarFile<'a> = LayerTarWriter<&'a mut dyn Write>;

/// Writes the merged image, or only layer number `layer`, to the tar file `root`, replacing a file
/// that is there.
pub(crate) fn unpack(
    image: &Image,
    root: &Path,
    layer: Option<usize>,
    options: &UnpackOptions,
) -> Result<Outcome> {
    let staging = Staging::beside(root)?;
    let mut file = BufWriter::with_capacity(1 << 20, staging.dir().create_file(TAR)?);
    let layers = ImageLayers::new(image, &options.limits, options.observer.as_deref())
        .keeping_blobs_in(staging.path(), Keep::UntilMerged);
    let outcome = match layer {
        Some(number) => write_layer(&layers, layers.number(number)?, &mut file)?,
        None => {
            options.step("reading the metadata of all layers");
            let quiet = ImageLayers::new(image, &options.limits, None)
                .keeping_blobs_in(staging.path(), Keep::ForNextMerge);
            let spool = staging.dir().create_file(STREAMS)?;
            let merged = write_merged(&quiet, &layers, options.limits.entries, spool, &mut file)?;
            let mut warnings = layer_warnings(LayerNumber::BASE, &merged.layers);
            warnings.extend(merged.warnings);
            Outcome {
                layers: layers.report(&merged.layers),
                warnings,
            }
        }
    };
    let file = file
        .into_inner()
        .map_err(|error| tar_failed(error.into_error()))?;
    file.sync_all().map_err(tar_failed)?;
    staging.publish(TAR)?;
    Ok(outcome)
}

/// One layer as it is, encoded canonically.
fn write_layer(
    layers: &ImageLayers<'_>,
    number: LayerNumber,
    file: &mut dyn Write,
) -> Result<Outcome> {
    let mut tar = LayerTarWriter::new(file);
    // The rules among a layer's own entries hold here too.
    let mut merge = Merge::new(Selection::Image, number, layers.limits().entries);
    merge.begin_layer(number);
    let read = read_layer(layers, number, &mut |item, body| {
        merge.judge(item)?;
        tar.item(item).map_err(tar_failed)?;
        copy_body(body, &mut tar, describe_tar)?;
        Ok(())
    })?;
    tar.finish().map_err(tar_failed)?;
    let read = [read];
    Ok(Outcome {
        layers: layers.report_of(number, &read),
        warnings: layer_warnings(number, &read),
    })
}

/// What came of merging into a tar.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) layers: Vec<ReadLayer>,
    pub(crate) warnings: Vec<String>,
}

/// Merges `layers` into the tar `file`; `first` are the same layers, for the first reading.
pub(crate) fn write_merged(
    first: &dyn Layers,
    second: &dyn Layers,
    max_names: u64,
    spool: File,
    file: &mut dyn Write,
) -> Result<Merged> {
    let topmost = first
        .numbers()?
        .last()
        .copied()
        .unwrap_or(LayerNumber::BASE);
    let mut survey = Survey::new(spool);
    let mut merge = Merge::new(Selection::Image, topmost, max_names);
    merge_layers(first, &mut merge, &mut survey)?;

    let mut writer = MergedTar {
        tar: LayerTarWriter::new(file),
        survey,
        primaries: HashMap::new(),
    };
    let sorted = merge.sorted_from(NodeId::ROOT);
    writer.directories(&merge, &sorted)?;
    // Reading the same bytes again gives the same nodes.
    let mut again = Merge::new(Selection::Image, topmost, max_names);
    let mut hives = MergedHives::new(&mut writer);
    let layers = merge_layers(second, &mut again, &mut hives)?;
    let mut warnings = merge.warnings();
    warnings.extend(hives.finish());
    writer.hard_links(&merge, &sorted)?;
    writer.tar.finish().map_err(tar_failed)?;
    Ok(Merged { layers, warnings })
}

/// First reading: what has to be known before the tar can begin.
struct Survey {
    directories: HashMap<NodeId, Metadata>,
    /// Streams of directories, in a temporary file.
    streams: HashMap<NodeId, Vec<AlternateStream>>,
    starts: HashMap<NodeId, u64>,
    spool: BufWriter<File>,
    spooled: u64,
    /// The directory the streams that follow belong to.
    owner: Option<NodeId>,
    /// Objects with further names.
    linked: HashSet<NodeId>,
}

impl Survey {
    fn new(spool: File) -> Self {
        Self {
            directories: HashMap::new(),
            streams: HashMap::new(),
            starts: HashMap::new(),
            spool: BufWriter::new(spool),
            spooled: 0,
            owner: None,
            linked: HashSet::new(),
        }
    }
}

impl Sink for Survey {
    fn directory(&mut self, _: &Merge, node: NodeId, object: &Object) -> Result<()> {
        self.directories.insert(node, object.metadata.clone());
        self.owner = Some(node);
        Ok(())
    }

    fn object(&mut self, _: &Merge, _: NodeId, _: &Object, _: &mut dyn BufRead) -> Result<()> {
        self.owner = None;
        Ok(())
    }

    fn links(&mut self, _: &Merge, to: NodeId, _: &[NodeId]) -> Result<()> {
        self.linked.insert(to);
        Ok(())
    }

    fn stream(&mut self, _: &Merge, stream: &AlternateStream, body: &mut Body<'_>) -> Result<()> {
        let Some(owner) = self.owner else {
            return Ok(());
        };
        self.starts.entry(owner).or_insert(self.spooled);
        self.streams.entry(owner).or_default().push(stream.clone());
        let size = copy_body(body, &mut self.spool, describe_tar)?;
        self.spooled = self.spooled.saturating_add(size);
        Ok(())
    }
}

/// Second reading: the tar itself.
struct MergedTar<'a> {
    tar: TarFile<'a>,
    survey: Survey,
    /// What hard-link entries repeat of the objects they name.
    primaries: HashMap<NodeId, (FileAttributes, FileTimes)>,
}

impl MergedTar<'_> {
    fn directories(&mut self, view: &Merge, sorted: &[NodeId]) -> Result<()> {
        self.survey.spool.flush().map_err(tar_failed)?;
        for &node in sorted
            .iter()
            .filter(|&&node| view.state(node).kind.is_directory())
        {
            let metadata = self
                .survey
                .directories
                .remove(&node)
                .unwrap_or_else(plain_directory);
            let path = layer_path(view, node)?;
            let object = Object {
                path,
                kind: ObjectKind::Directory,
                metadata,
            };
            self.tar.object(&object).map_err(tar_failed)?;
            self.directory_streams(node).map_err(tar_failed)?;
        }
        Ok(())
    }

    fn directory_streams(&mut self, node: NodeId) -> io::Result<()> {
        let Some(streams) = self.survey.streams.remove(&node) else {
            return Ok(());
        };
        let start = self.survey.starts.get(&node).copied().unwrap_or_default();
        let spool = self.survey.spool.get_mut();
        spool.seek(SeekFrom::Start(start))?;
        for stream in &streams {
            self.tar.stream(stream)?;
            io::copy(&mut spool.take(stream.size), &mut self.tar)?;
        }
        Ok(())
    }

    fn hard_links(&mut self, view: &Merge, sorted: &[NodeId]) -> Result<()> {
        for &node in sorted {
            let Some(primary) = view.state(node).primary else {
                continue;
            };
            let (attributes, times) = self.primaries.get(&primary).copied().unwrap_or_default();
            let metadata = Metadata {
                attributes,
                times,
                ..Metadata::default()
            };
            let (path, target) = (layer_path(view, node)?, layer_path(view, primary)?);
            self.tar
                .hard_link(&HardLink {
                    path,
                    target,
                    metadata,
                })
                .map_err(tar_failed)?;
        }
        Ok(())
    }
}

impl Sink for MergedTar<'_> {
    fn directory(&mut self, _: &Merge, node: NodeId, _: &Object) -> Result<()> {
        self.survey.owner = Some(node);
        Ok(())
    }

    fn object(
        &mut self,
        view: &Merge,
        at: NodeId,
        object: &Object,
        body: &mut dyn BufRead,
    ) -> Result<()> {
        self.survey.owner = None;
        if self.survey.linked.contains(&at) {
            let Metadata {
                attributes, times, ..
            } = object.metadata;
            self.primaries.insert(at, (attributes, times));
        }
        let path = layer_path(view, at)?;
        match path == object.path {
            true => self.tar.object(object),
            false => self.tar.object(&Object {
                path,
                ..object.clone()
            }),
        }
        .map_err(tar_failed)?;
        copy_body(body, &mut self.tar, describe_tar).map(drop)
    }

    fn links(&mut self, _: &Merge, _: NodeId, _: &[NodeId]) -> Result<()> {
        Ok(())
    }

    fn stream(&mut self, _: &Merge, stream: &AlternateStream, body: &mut Body<'_>) -> Result<()> {
        if self.survey.owner.is_some() {
            return Ok(());
        }
        self.tar.stream(stream).map_err(tar_failed)?;
        copy_body(body, &mut self.tar, describe_tar).map(drop)
    }
}

/// What a directory gets that no layer describes: the same in every run.
fn plain_directory() -> Metadata {
    let time = FileTime::UNIX_EPOCH;
    Metadata {
        attributes: FileAttributes::DIRECTORY,
        times: FileTimes {
            created: time,
            accessed: time,
            written: time,
            changed: time,
        },
        ..Metadata::default()
    }
}

fn layer_path(view: &Merge, node: NodeId) -> Result<LayerPath> {
    let path = view.names().path(node);
    // Made of parsed paths, so only the length can be wrong: long names below a longer spelling.
    LayerPath::parse(&path).map_err(|error| Error::refused_entry(&path, error.to_string()))
}

fn describe_tar() -> String {
    "the tar file".to_owned()
}

fn tar_failed(source: io::Error) -> Error {
    Error::io("write the tar file", source)
}

#[cfg(test)]
mod tests;
