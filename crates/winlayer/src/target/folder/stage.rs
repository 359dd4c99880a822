//! From tar entries to the objects of a layer: everything that needs this layer only.

use std::io;

use winlayer_metadata::FileTimes;
use winlayer_sys::Dir;
use winlayer_tar::{
    AlternateStream, Body, Entry, HardLink, LayerItem, LayerPath, LayerReader, LayerRole, Object,
    ObjectKind, TarError, Tree,
};

use super::{
    framing::{CopyError, PlainFile, copy_body, write_failed},
    index::{IndexLine, IndexWriter, LineKind, Unframed},
    links::PendingLink,
    sink::{NewObject, ObjectSink},
    tombstones::Whiteouts,
    utility_vm,
};
use crate::{
    Error, Result,
    error::escape,
    layer_names::{LayerNames, Named},
    names::NodeId,
    store::LayerCounts,
};

/// What one layer's tar has brought so far.
#[derive(Debug)]
pub(super) struct Stager<'a> {
    pub(super) dir: &'a Dir,
    sink: &'a mut dyn ObjectSink,
    pub(super) role: LayerRole,
    pub(super) names: LayerNames,
    pub(super) index: IndexWriter,
    pub(super) whiteouts: Whiteouts,
    pub(super) links: Vec<PendingLink>,
    pub(super) counts: LayerCounts,
    pub(super) warnings: Vec<String>,
    open: Option<OpenObject>,
}

/// The object that may still get alternate streams.
#[derive(Debug)]
struct OpenObject {
    node: NodeId,
    path: String,
    kind: LineKind,
    attributes: winlayer_metadata::FileAttributes,
    times: FileTimes,
    unframed: Unframed,
}

/// Why staging an entry failed; a failed read of the tar has a better error waiting in the reader.
#[derive(Debug)]
pub(super) enum StageError {
    Read(io::Error),
    Other(Error),
}

impl<E: Into<Error>> From<E> for StageError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl<'a> Stager<'a> {
    pub(super) fn new(
        dir: &'a Dir,
        sink: &'a mut dyn ObjectSink,
        role: LayerRole,
        most_names: u64,
    ) -> Result<Self> {
        Ok(Self {
            dir,
            sink,
            role,
            names: LayerNames::new(most_names),
            index: IndexWriter::create(dir)?,
            whiteouts: Whiteouts::default(),
            links: Vec::new(),
            counts: LayerCounts::default(),
            warnings: Vec::new(),
            open: None,
        })
    }

    /// Takes all entries; `stop` is asked before each one.
    pub(super) fn take_all(
        &mut self,
        reader: &mut LayerReader,
        stop: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        loop {
            stop()?;
            let Some(mut entry) = reader.next_entry()? else {
                break;
            };
            match self.take(&mut entry) {
                Ok(()) => {}
                Err(StageError::Other(error)) => return Err(error),
                Err(StageError::Read(error)) => return Err(read_failed(reader, error)),
            }
        }
        self.close()
    }

    fn take(&mut self, entry: &mut Entry<'_>) -> std::result::Result<(), StageError> {
        if let LayerItem::Stream(stream) = entry.item {
            self.counts.streams += 1;
            return self.stream(stream, &mut entry.body);
        }
        self.close()?;
        match entry.item {
            LayerItem::Object(object) => self.object(entry.item, object, &mut entry.body)?,
            LayerItem::HardLink(link) => self.hard_link(entry.item, link)?,
            LayerItem::Whiteout(path) => {
                self.counts.whiteouts += 1;
                self.whiteouts.names.push(path.clone());
            }
            LayerItem::OpaqueWhiteout(path) => {
                self.counts.opaque_whiteouts += 1;
                self.whiteouts.opaque.push(path.clone());
            }
            LayerItem::Stream(_) => {}
        }
        Ok(())
    }

    fn object(
        &mut self,
        item: &LayerItem,
        object: &Object,
        body: &mut Body<'_>,
    ) -> std::result::Result<(), StageError> {
        let (node, was_implied) = self.admit(item, &object.path)?;
        let path = self.names.path(node);
        self.sink.begin(&NewObject {
            path: &path,
            tree: object.path.tree(),
            kind: &object.kind,
            metadata: &object.metadata,
            exists: was_implied,
        })?;
        if matches!(object.kind, ObjectKind::File { .. }) {
            self.body(&path, &object.path, &object.metadata.times, body)?;
        }
        self.count(&object.kind);
        let in_hives = object.path.tree() == Tree::Hives;
        self.open = Some(OpenObject {
            node,
            path,
            kind: LineKind::of(self.names.get(node).kind),
            attributes: object.metadata.attributes,
            times: object.metadata.times,
            unframed: match object.kind {
                ObjectKind::File { .. } if in_hives => Unframed::of(&object.metadata),
                _ => Unframed::default(),
            },
        });
        Ok(())
    }

    /// Takes the name, and makes the directories it needs.
    fn admit(&mut self, item: &LayerItem, path: &LayerPath) -> Result<(NodeId, bool)> {
        let admitted = self.names.admit(item)?;
        let admitted =
            admitted.ok_or_else(|| Error::refused_entry(path.as_str(), "names no object"))?;
        for directory in admitted.implied {
            self.sink.directory(&self.names.path(directory))?;
        }
        Ok((admitted.node, admitted.was_implied))
    }

    fn body(
        &mut self,
        path: &str,
        entry: &LayerPath,
        times: &FileTimes,
        body: &mut Body<'_>,
    ) -> std::result::Result<(), StageError> {
        let mut backup = match utility_vm::backup_name(entry) {
            Some(name) => Some((name, PlainFile::create(self.dir, name, Vec::new())?)),
            None => None,
        };
        let second = backup.as_mut().map(|(_, file)| file);
        copy(body, self.sink.content(), second, path)?;
        if let Some((name, file)) = backup {
            let (written, _) = file
                .finish(times)
                .map_err(|error| write_failed(name, error))?;
            let line = IndexLine::new(name, LineKind::SideFile, written.size, written.crc32);
            self.index.write(&line)?;
        }
        Ok(())
    }

    fn stream(
        &mut self,
        stream: &AlternateStream,
        body: &mut Body<'_>,
    ) -> std::result::Result<(), StageError> {
        let Some(open) = &self.open else {
            return Err(Error::refused_entry(&stream.name, "a stream without its file").into());
        };
        if self.sink.alternate(&stream.name, stream.size)? {
            return copy(body, self.sink.content(), None, &open.path);
        }
        let (path, name) = (escape(&open.path), escape(&stream.name));
        self.warnings
            .push(format!("{path}: a hive cannot keep its stream {name}"));
        Ok(())
    }

    fn hard_link(&mut self, item: &LayerItem, link: &HardLink) -> Result<()> {
        // Looked up before the link's own name is taken: nothing can be a link to itself.
        let target = self.names.find(link.target.as_str());
        let (node, _) = self.admit(item, &link.path)?;
        self.links.push(PendingLink::new(
            node,
            target,
            link,
            &self.names,
            self.role,
        )?);
        self.counts.hard_links += 1;
        Ok(())
    }

    fn count(&mut self, kind: &ObjectKind) {
        let count = match kind {
            ObjectKind::Directory => &mut self.counts.directories,
            ObjectKind::File { .. } => &mut self.counts.files,
            ObjectKind::Link { .. } => &mut self.counts.links,
        };
        *count += 1;
    }

    /// Finishes the open object: its times, its line in the index, its size and checksum.
    fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let written = self.sink.close()?;
        let named = self.names.get(open.node);
        self.names.set(
            open.node,
            Named {
                size: written.size,
                crc32: written.crc32,
                ..named
            },
        );
        let line = IndexLine::new(open.path, open.kind, written.size, written.crc32);
        let line = line.with_metadata(open.attributes, open.times);
        self.index.write(&line.with_unframed(open.unframed))
    }
}

fn copy(
    body: &mut Body<'_>,
    file: &mut dyn io::Write,
    second: Option<&mut PlainFile>,
    path: &str,
) -> std::result::Result<(), StageError> {
    copy_body(body, file, second).map_err(|error| match error {
        CopyError::Read(error) => StageError::Read(error),
        CopyError::Write(error) => write_failed(path, error).into(),
    })
}

/// The reader knows more about a failed read than the body that reported it.
fn read_failed(reader: &mut LayerReader, error: io::Error) -> Error {
    let known: Option<TarError> = reader.next_entry().err();
    known.map_or_else(|| Error::io("read the layer", error), Error::from)
}
