//! Layers in memory, for tests of the merge and its targets.

use std::io::Cursor;

use winlayer_metadata::{FileAttributes, FileTime, FileTimes, ReparsePoint};
use winlayer_tar::{
    LayerItem, LayerReader, LayerRole, LayerSummary, Metadata, Object, ObjectKind, ReadOptions,
};

use super::{LayerNumber, Layers, layer_number};
pub(crate) use crate::testing::{Item, hard_link, opaque, path, stream, whiteout};
use crate::{Error, Result, testing::tar};

/// Uncompressed layer tars, base first.
pub(crate) struct TestLayers(pub(crate) Vec<Vec<u8>>);

impl TestLayers {
    pub(crate) fn new(layers: &[Vec<Item>]) -> Self {
        Self(layers.iter().map(|layer| tar(layer)).collect())
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

fn bare(item: LayerItem) -> Item {
    (item, Vec::new())
}

pub(crate) fn directory(at: &str, mark: u32) -> Item {
    bare(object(
        at,
        mark,
        ObjectKind::Directory,
        FileAttributes::DIRECTORY,
    ))
}

pub(crate) fn file(at: &str, mark: u32, content: &str) -> Item {
    let body = content.as_bytes().to_vec();
    let kind = ObjectKind::File {
        size: body.len() as u64,
    };
    (object(at, mark, kind, FileAttributes::ARCHIVE), body)
}

pub(crate) fn symlink(at: &str, mark: u32, target: &str, directory: bool) -> Item {
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
