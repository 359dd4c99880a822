//! A layer put together in any order and written in the order of hcsshim's exporter: depth first,
//! names of a directory in byte order, its whiteouts before its other entries.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
};

use winlayer_metadata::{
    ExtendedAttribute, ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint,
    SecurityDescriptor,
};
use winlayer_tar::{
    AlternateStream, HardLink, LayerItem, LayerPath, LayerTarWriter, Metadata, Object, ObjectKind,
};

use super::{
    bulk::Bulk,
    content::{Noise, PROGRAM_BYTES, Program, Random, program},
};

const SECOND: i64 = 10_000_000;

/// What a file holds.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    /// A program of this many bytes in all: a valid stub, then noise.
    Program(Program, u64),
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Program(_, size) => PROGRAM_BYTES.max(*size),
        }
    }
}

impl<const N: usize> From<&[u8; N]> for Content {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

#[derive(Debug)]
enum Kind {
    Directory,
    File(Content),
    Link(ReparsePoint),
    HardLink(String),
    Whiteout,
    Opaque,
    Bulk(Bulk),
}

/// An entry to be; the setters add what is unusual about it.
#[derive(Debug)]
pub(super) struct Node {
    path: String,
    kind: Kind,
    attributes: FileAttributes,
    times: FileTimes,
    security: Option<Arc<SecurityDescriptor>>,
    extended_attributes: Vec<ExtendedAttribute>,
    streams: Vec<(String, Vec<u8>)>,
}

impl Node {
    pub(super) fn attributes(&mut self, more: FileAttributes) -> &mut Self {
        self.attributes |= more;
        self
    }

    pub(super) fn times(&mut self, times: FileTimes) -> &mut Self {
        self.times = times;
        self
    }

    pub(super) fn extended_attribute(&mut self, name: &str, value: &[u8]) -> &mut Self {
        let (name, value) = (name.as_bytes().to_vec(), value.to_vec());
        self.extended_attributes.push(ExtendedAttribute {
            flags: 0,
            name,
            value,
        });
        self
    }

    pub(super) fn stream(&mut self, name: &str, content: &[u8]) -> &mut Self {
        self.streams.push((name.to_owned(), content.to_vec()));
        self
    }
}

/// A layer in the making.
#[derive(Debug)]
pub(super) struct LayerTree {
    nodes: BTreeMap<String, Node>,
    /// When the layer's files were made; each gets times of its own some days around it.
    epoch: FileTime,
}

impl LayerTree {
    pub(super) fn new(epoch: FileTime) -> Self {
        Self {
            nodes: BTreeMap::new(),
            epoch,
        }
    }

    pub(super) fn directory(&mut self, path: &str, security: &Descriptor) -> &mut Node {
        self.add(
            path,
            Kind::Directory,
            FileAttributes::DIRECTORY,
            security.clone(),
        )
    }

    pub(super) fn file(
        &mut self,
        path: &str,
        content: impl Into<Content>,
        security: &Descriptor,
    ) -> &mut Node {
        let kind = Kind::File(content.into());
        self.add(path, kind, FileAttributes::ARCHIVE, security.clone())
    }

    /// A symbolic link to a file.
    pub(super) fn file_link(
        &mut self,
        path: &str,
        target: &str,
        security: &Descriptor,
    ) -> io::Result<&mut Node> {
        let reparse = ReparsePoint::symlink(target).map_err(io::Error::other)?;
        let attributes = FileAttributes::ARCHIVE | FileAttributes::REPARSE_POINT;
        Ok(self.add(path, Kind::Link(reparse), attributes, security.clone()))
    }

    /// A symbolic link to a directory.
    pub(super) fn directory_link(
        &mut self,
        path: &str,
        target: &str,
        security: &Descriptor,
    ) -> io::Result<&mut Node> {
        let reparse = ReparsePoint::symlink(target).map_err(io::Error::other)?;
        let attributes = FileAttributes::DIRECTORY | FileAttributes::REPARSE_POINT;
        Ok(self.add(path, Kind::Link(reparse), attributes, security.clone()))
    }

    pub(super) fn junction(
        &mut self,
        path: &str,
        target: &str,
        security: &Descriptor,
    ) -> io::Result<&mut Node> {
        let reparse = ReparsePoint::mount_point(target).map_err(io::Error::other)?;
        let attributes = FileAttributes::DIRECTORY
            | FileAttributes::REPARSE_POINT
            | FileAttributes::NOT_CONTENT_INDEXED;
        Ok(self.add(path, Kind::Link(reparse), attributes, security.clone()))
    }

    /// Another name for a file, which must come earlier in this order or lie in a layer below.
    pub(super) fn hard_link(&mut self, path: &str, target: &str) {
        let kind = Kind::HardLink(target.to_owned());
        let times = times_of(target, self.epoch);
        self.add(path, kind, FileAttributes::ARCHIVE, None)
            .times(times);
    }

    pub(super) fn whiteout(&mut self, path: &str) {
        self.add(path, Kind::Whiteout, FileAttributes::empty(), None);
    }

    pub(super) fn opaque(&mut self, directory: &str) {
        self.add(directory, Kind::Opaque, FileAttributes::empty(), None);
    }

    /// Many generated directories, all of whose names sort where `path` does.
    pub(super) fn bulk(&mut self, path: &str, bulk: Bulk) {
        self.add(path, Kind::Bulk(bulk), FileAttributes::empty(), None);
    }

    fn add(
        &mut self,
        path: &str,
        kind: Kind,
        attributes: FileAttributes,
        security: Descriptor,
    ) -> &mut Node {
        let node = Node {
            path: path.to_owned(),
            attributes,
            times: times_of(path, self.epoch),
            security,
            extended_attributes: Vec::new(),
            streams: Vec::new(),
            kind,
        };
        let slot = self.nodes.entry(sort_key(&node)).insert_entry(node);
        slot.into_mut()
    }

    pub(super) fn write(self, out: impl Write) -> io::Result<()> {
        let mut tar = LayerTarWriter::new(out);
        let mut noise = Noise::new();
        for node in self.nodes.into_values() {
            write_node(node, &mut tar, &mut noise)?;
        }
        tar.finish()?.flush()
    }
}

/// A security descriptor many objects share; `None` inherits.
pub(super) type Descriptor = Option<Arc<SecurityDescriptor>>;

/// NUL sorts before every character of a name: a directory, then its whiteouts (two NULs), then
/// its entries (one), then its next sibling.
fn sort_key(node: &Node) -> String {
    let key = node.path.replace('/', "\0");
    match (&node.kind, key.rsplit_once('\0')) {
        (Kind::Opaque, _) => format!("{key}\0\0"),
        (Kind::Whiteout, Some((directory, name))) => format!("{directory}\0\0{name}"),
        _ => key,
    }
}

/// Four different times with 100 ns parts, always the same for a path.
pub(super) fn times_of(path: &str, epoch: FileTime) -> FileTimes {
    let mut random = Random::named(path);
    let mut later = |than: FileTime, seconds: i64| {
        let ticks = i64::try_from(random.next() >> 1).unwrap_or(0) % (seconds * SECOND);
        FileTime::from_ticks(than.ticks().saturating_add(ticks))
    };
    let created = later(epoch, 3 * 86_400);
    let written = later(created, 3600);
    let changed = later(written, 86_400);
    FileTimes {
        created,
        accessed: later(changed, 86_400),
        written,
        changed,
    }
}

fn write_node<W: Write>(
    node: Node,
    tar: &mut LayerTarWriter<W>,
    noise: &mut Noise,
) -> io::Result<()> {
    let path = LayerPath::parse(&node.path).map_err(io::Error::other)?;
    let metadata = Metadata {
        attributes: node.attributes,
        times: node.times,
        security: node.security,
        extended_attributes: ExtendedAttributes::from_list(node.extended_attributes)
            .map_err(io::Error::other)?,
    };
    match node.kind {
        Kind::Directory => {
            tar.object(&Object {
                path,
                kind: ObjectKind::Directory,
                metadata,
            })?;
        }
        Kind::File(content) => {
            let kind = ObjectKind::File {
                size: content.size(),
            };
            tar.object(&Object {
                path,
                kind,
                metadata,
            })?;
            write_content(&content, &node.path, tar, noise)?;
        }
        Kind::Link(reparse) => {
            let directory = metadata.attributes.contains(FileAttributes::DIRECTORY);
            tar.object(&Object {
                path,
                kind: ObjectKind::Link { reparse, directory },
                metadata,
            })?;
        }
        Kind::HardLink(target) => {
            let target = LayerPath::parse(&target).map_err(io::Error::other)?;
            tar.hard_link(&HardLink {
                path,
                target,
                metadata,
            })?;
        }
        Kind::Whiteout => tar.item(&LayerItem::Whiteout(path))?,
        Kind::Opaque => tar.item(&LayerItem::OpaqueWhiteout(path))?,
        Kind::Bulk(bulk) => bulk.write(tar, noise)?,
    }
    for (name, content) in node.streams {
        tar.stream(&AlternateStream {
            name,
            size: content.len() as u64,
        })?;
        tar.write_all(&content)?;
    }
    Ok(())
}

fn write_content<W: Write>(
    content: &Content,
    path: &str,
    tar: &mut LayerTarWriter<W>,
    noise: &mut Noise,
) -> io::Result<()> {
    match content {
        Content::Bytes(bytes) => tar.write_all(bytes),
        Content::Program(kind, size) => {
            tar.write_all(&program(*kind))?;
            noise.write(
                tar,
                super::content::hash(path),
                size.saturating_sub(PROGRAM_BYTES),
            )
        }
    }
}
