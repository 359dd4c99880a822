//! Layers in memory, for tests of the merge and its targets.

use std::io::{Cursor, Write};

use winlayer_metadata::{FileAttributes, FileTime, FileTimes, ReparsePoint};
use winlayer_tar::{
    AlternateStream, HardLink, LayerItem, LayerPath, LayerReader, LayerRole, LayerSummary,
    LayerTarWriter, Metadata, Object, ObjectKind, ReadOptions,
};

use super::{LayerNumber, Layers, layer_number};
use crate::{Error, Result};

/// Uncompressed layer tars, base first.
pub(crate) struct TestLayers(pub(crate) Vec<Vec<u8>>);

impl TestLayers {
    pub(crate) fn new(layers: &[Vec<TestItem>]) -> Self {
        Self(layers.iter().map(|layer| layer_tar(layer)).collect())
    }
}

impl Layers for TestLayers {
    fn numbers(&self) -> Result<Vec<LayerNumber>> {
        (0..self.0.len()).map(layer_number).collect()
    }

    fn are_complete(&self) -> bool {
        true
    }

    fn open(&self, number: LayerNumber, _again: bool) -> Result<LayerReader> {
        let role = match number {
            LayerNumber::BASE => LayerRole::Base,
            _ => LayerRole::Diff,
        };
        let options = ReadOptions {
            role: Some(role),
            ..ReadOptions::default()
        };
        Ok(LayerReader::open(
            Cursor::new(self.0[number.index()].clone()),
            options,
        ))
    }

    fn close(&self, _: LayerNumber, reader: LayerReader, _: bool) -> Result<LayerSummary> {
        Ok(reader.finish()?)
    }

    fn blame(&self, _: LayerNumber, error: Error) -> Error {
        error
    }
}

/// An entry with its content.
#[derive(Clone, Debug)]
pub(crate) struct TestItem {
    pub(crate) item: LayerItem,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn path(text: &str) -> LayerPath {
    LayerPath::parse(text).unwrap()
}

/// Metadata whose times and attributes tell `mark` from others.
pub(crate) fn metadata(mark: u32, attributes: FileAttributes) -> Metadata {
    let time = FileTime::from_ticks(132_223_104_001_234_500 + i64::from(mark) * 10_000_000);
    let times = FileTimes {
        created: time,
        accessed: time,
        written: time,
        changed: time,
    };
    Metadata {
        attributes,
        times,
        ..Metadata::default()
    }
}

fn object(at: &str, mark: u32, kind: ObjectKind, attributes: FileAttributes) -> LayerItem {
    LayerItem::Object(Object {
        path: path(at),
        kind,
        metadata: metadata(mark, attributes),
    })
}

fn bare(item: LayerItem) -> TestItem {
    TestItem {
        item,
        body: Vec::new(),
    }
}

pub(crate) fn directory(at: &str, mark: u32) -> TestItem {
    bare(object(
        at,
        mark,
        ObjectKind::Directory,
        FileAttributes::DIRECTORY,
    ))
}

pub(crate) fn file(at: &str, mark: u32, content: &str) -> TestItem {
    let body = content.as_bytes().to_vec();
    let kind = ObjectKind::File {
        size: body.len() as u64,
    };
    TestItem {
        item: object(at, mark, kind, FileAttributes::ARCHIVE),
        body,
    }
}

pub(crate) fn symlink(at: &str, mark: u32, target: &str, directory: bool) -> TestItem {
    let reparse = ReparsePoint::symlink(target).unwrap();
    let mut attributes = FileAttributes::REPARSE_POINT;
    attributes.set(FileAttributes::DIRECTORY, directory);
    bare(object(
        at,
        mark,
        ObjectKind::Link { reparse, directory },
        attributes,
    ))
}

pub(crate) fn stream(name: &str, content: &str) -> TestItem {
    let body = content.as_bytes().to_vec();
    let stream = AlternateStream {
        name: name.to_owned(),
        size: body.len() as u64,
    };
    TestItem {
        item: LayerItem::Stream(stream),
        body,
    }
}

pub(crate) fn hard_link(at: &str, target: &str) -> TestItem {
    let metadata = metadata(0, FileAttributes::ARCHIVE);
    bare(LayerItem::HardLink(HardLink {
        path: path(at),
        target: path(target),
        metadata,
    }))
}

pub(crate) fn whiteout(at: &str) -> TestItem {
    bare(LayerItem::Whiteout(path(at)))
}

pub(crate) fn opaque(at: &str) -> TestItem {
    bare(LayerItem::OpaqueWhiteout(path(at)))
}

fn layer_tar(items: &[TestItem]) -> Vec<u8> {
    let mut tar = LayerTarWriter::new(Vec::new());
    for TestItem { item, body } in items {
        tar.item(item).unwrap();
        tar.write_all(body).unwrap();
    }
    tar.finish().unwrap()
}
