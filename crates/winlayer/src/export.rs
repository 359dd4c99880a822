//! From the objects of a layer back to a layer tar.
//!
//! ```text
//! walk (lexical, parents first) ─► backup stream of each object ─► LayerTarWriter
//! ```
//!
//! The order is that of hcsshim's readers (`baselayerreader.go`, `legacy.go`): depth first, names sorted,
//! the deletions of a directory right after it. Nothing depends on the clock, so a layer gives the
//! same tar every time. A second name of a file becomes a hard link to the first.
//!
//! A tar entry begins with what may come last in a backup stream, so streams are read more than once;
//! those of ordinary files are kept in memory for that.

mod facts;
mod sources;
#[cfg(test)]
pub(crate) mod tests;
mod walk;

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Write},
};

use winlayer_metadata::{FileAttributes, FileTimes, ReparseTag, Upcase};
use winlayer_sys::FileKind;
use winlayer_tar::{
    AlternateStream, HardLink, LayerPath, LayerTarWriter, Metadata, Object, ObjectKind,
};

use crate::{Error, Result, error::escape};
use facts::{Facts, Stream};
#[cfg(windows)]
pub(crate) use sources::LiveSource;
pub(crate) use sources::{ObjectSource, TransportSource};
use walk::Walk;

/// Writes the objects of one layer.
pub(crate) struct Exporter<W: Write> {
    tar: LayerTarWriter<W>,
    /// The first name of files that have several.
    names: HashMap<(u64, u64), LayerPath>,
    /// Deletions by their up-cased directory.
    deletions: BTreeMap<Vec<u16>, Vec<LayerPath>>,
}

/// How a tree is exported.
pub(crate) struct TreeOptions<'a> {
    /// Objects that are left out, with all that is in them.
    pub(crate) skip: &'a dyn Fn(&str) -> bool,
    /// A file of the layer's root whose bytes stand for the object's.
    pub(crate) instead: &'a dyn Fn(&str) -> Option<&'static str>,
    /// Times of an object when they are not its own.
    pub(crate) times: &'a dyn Fn(&str, FileTimes) -> FileTimes,
}

impl Default for TreeOptions<'_> {
    fn default() -> Self {
        Self {
            skip: &|_| false,
            instead: &|_| None,
            times: &|_, times| times,
        }
    }
}

impl<W: Write> Exporter<W> {
    /// Writes to `out`; `deletions` are paths from the layer's root.
    pub(crate) fn new(out: W, deletions: &[String]) -> Result<Self> {
        let mut grouped: BTreeMap<Vec<u16>, Vec<LayerPath>> = BTreeMap::new();
        for path in deletions {
            let parsed = layer_path(path)?;
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            grouped.entry(key(directory)).or_default().push(parsed);
        }
        grouped.values_mut().for_each(|paths| paths.sort());
        Ok(Self {
            tar: LayerTarWriter::new(out),
            names: HashMap::new(),
            deletions: grouped,
        })
    }

    /// Writes an object and, if it is a directory, all below it.
    pub(crate) fn tree(
        &mut self,
        source: &dyn ObjectSource,
        root: &str,
        options: &TreeOptions<'_>,
    ) -> Result<()> {
        let mut walk = Walk::new(source, root)?;
        while let Some((path, kind)) = walk.next(options.skip)? {
            self.entry(source, &path, kind, options)?;
        }
        Ok(())
    }

    /// Writes one object alone.
    pub(crate) fn entry(
        &mut self,
        source: &dyn ObjectSource,
        path: &str,
        kind: FileKind,
        options: &TreeOptions<'_>,
    ) -> Result<()> {
        let parsed = layer_path(path)?;
        let (attributes, times) = source.describe(path, kind)?;
        let times = (options.times)(path, times);
        let metadata = Metadata {
            attributes,
            times,
            ..Metadata::default()
        };
        if kind == FileKind::File
            && let Some(target) = self.first_name(source, &parsed)?
        {
            let link = HardLink {
                path: parsed,
                target,
                metadata,
            };
            return self
                .tar
                .hard_link(&link)
                .map_err(|error| wrote(path, error));
        }
        self.object(source, parsed, metadata, kind, (options.instead)(path))?;
        if kind == FileKind::Directory {
            self.deletions_of(path)?;
        }
        Ok(())
    }

    fn first_name(
        &mut self,
        source: &dyn ObjectSource,
        path: &LayerPath,
    ) -> Result<Option<LayerPath>> {
        let Some(found) = source.dir().stat(path.as_str())? else {
            return Ok(None);
        };
        if found.links < 2 {
            return Ok(None);
        }
        if let Some(first) = self.names.get(&found.inode) {
            return Ok(Some(first.clone()));
        }
        self.names.insert(found.inode, path.clone());
        Ok(None)
    }

    fn object(
        &mut self,
        source: &dyn ObjectSource,
        path: LayerPath,
        metadata: Metadata,
        kind: FileKind,
        instead: Option<&'static str>,
    ) -> Result<()> {
        let name = path.as_str().to_owned();
        let read = |error: io::Error| Error::io(format!("read {}", escape(&name)), error);
        let stream = Stream::open(|| source.stream(&name, kind))?;
        let facts = Facts::scan(stream.read()?).map_err(read)?;
        let mut replaced = match instead {
            Some(file) if source.dir().stat(file)?.is_some() => Some(source.dir().read(file)?),
            _ => None,
        };
        let size = match &replaced {
            Some(bytes) => bytes.len() as u64,
            None => facts.size,
        };
        let object = Object {
            kind: kind_of(&name, &facts, metadata.attributes, kind, size)?,
            path,
            metadata: Metadata {
                security: facts.security.clone(),
                extended_attributes: facts.extended_attributes.clone(),
                ..metadata
            },
        };
        self.tar
            .object(&object)
            .map_err(|error| wrote(&name, error))?;
        if matches!(object.kind, ObjectKind::File { .. }) {
            match replaced.take() {
                Some(bytes) => self.tar.write_all(&bytes),
                None => facts::copy_data(stream.read()?, &mut self.tar),
            }
            .map_err(|error| wrote(&name, error))?;
        }
        if matches!(object.kind, ObjectKind::Link { .. }) {
            return Ok(());
        }
        for (number, (stream_name, size)) in facts.streams.iter().enumerate() {
            let entry = AlternateStream {
                name: stream_name.clone(),
                size: *size,
            };
            let written = self.tar.stream(&entry);
            let records = stream.read()?;
            written
                .and_then(|()| facts::copy_stream(records, number, &mut self.tar))
                .map_err(|error| wrote(&name, error))?;
        }
        Ok(())
    }

    fn deletions_of(&mut self, directory: &str) -> Result<()> {
        let Some(paths) = self.deletions.remove(&key(directory)) else {
            return Ok(());
        };
        self.whiteouts(paths)
    }

    fn whiteouts(&mut self, paths: Vec<LayerPath>) -> Result<()> {
        for path in paths {
            let written = self.tar.whiteout(&path);
            written.map_err(|error| wrote(path.as_str(), error))?;
        }
        Ok(())
    }

    /// Writes the deletions of directories that are not in the layer, and the end of the archive.
    pub(crate) fn finish(mut self) -> Result<W> {
        for (_, paths) in std::mem::take(&mut self.deletions) {
            self.whiteouts(paths)?;
        }
        let finished = self.tar.finish();
        finished.map_err(|error| Error::io("write the layer tar", error))
    }
}

/// The reparse data decides, not the attribute: exports set that on plain directories too.
fn kind_of(
    path: &str,
    facts: &Facts,
    attributes: FileAttributes,
    kind: FileKind,
    size: u64,
) -> Result<ObjectKind> {
    match &facts.reparse {
        Some(reparse) if matches!(reparse.tag(), ReparseTag::SYMLINK | ReparseTag::MOUNT_POINT) => {
            Ok(ObjectKind::Link {
                reparse: reparse.clone(),
                directory: attributes.contains(FileAttributes::DIRECTORY),
            })
        }
        Some(reparse) => {
            let rule = format!(
                "is a reparse point {}, which no layer can hold",
                reparse.tag()
            );
            Err(Error::malformed_entry(path, rule))
        }
        None if kind == FileKind::Directory => Ok(ObjectKind::Directory),
        None => Ok(ObjectKind::File { size }),
    }
}

fn wrote(path: &str, error: io::Error) -> Error {
    Error::io(format!("export {}", escape(path)), error)
}

fn layer_path(path: &str) -> Result<LayerPath> {
    LayerPath::parse(path).map_err(|error| Error::malformed_entry(path, error.to_string()))
}

/// A path as NTFS compares it.
fn key(path: &str) -> Vec<u16> {
    path.encode_utf16().map(Upcase::unit).collect()
}

/// Whether the recycle bin, which holds nothing of an image, is at this path.
pub(crate) fn is_recycle_bin(path: &str) -> bool {
    Upcase::eq(path, "Files/$Recycle.Bin")
}
