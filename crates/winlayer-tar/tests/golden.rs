//! Archives made by Go's `archive/tar` from headers filled in as go-winio and hcsshim do: the writer must
//! give the same bytes, and the reader must find in them what went in.
#![cfg(test)] // helpers of tests are test code to clippy too

mod support;

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use winlayer_digest::Digest;
use winlayer_metadata::{
    ExtendedAttribute, ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint,
    SecurityDescriptor,
};
use winlayer_tar::{
    AlternateStream, HardLink, ItemReader, LayerItem, LayerPath, LayerTarWriter, Metadata, Object,
    ObjectKind, ReadOptions,
};

const ADMINISTRATORS: &str =
    "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUgAAAAIAIAAA==";

fn path(text: &str) -> LayerPath {
    LayerPath::parse(text).unwrap()
}

fn metadata(attributes: u32) -> Metadata {
    // 2020-01-01T00:00:00.1234567Z
    let time = FileTime::from_ticks(132_223_104_001_234_567);
    Metadata {
        attributes: FileAttributes::from_bits_retain(attributes),
        times: FileTimes {
            created: time,
            accessed: time,
            written: time,
            changed: time,
        },
        ..Metadata::default()
    }
}

fn vector_a() -> Vec<(LayerItem, &'static [u8])> {
    let descriptor = SecurityDescriptor::parse(&STANDARD.decode(ADMINISTRATORS).unwrap()).unwrap();
    let object = |name: &str, kind, metadata| {
        LayerItem::Object(Object {
            path: path(name),
            kind,
            metadata,
        })
    };
    let file = Metadata {
        security: Some(Arc::new(descriptor)),
        ..metadata(32)
    };
    let junction = ObjectKind::Link {
        reparse: ReparsePoint::mount_point("C:\\a").unwrap(),
        directory: true,
    };
    vec![
        (object("Files", ObjectKind::Directory, metadata(16)), b""),
        (
            object("Files/a.txt", ObjectKind::File { size: 2 }, file),
            b"hi",
        ),
        (
            LayerItem::Stream(AlternateStream {
                name: "s".to_owned(),
                size: 3,
            }),
            b"abc",
        ),
        (object("Files/j", junction, metadata(1040)), b""),
        (
            LayerItem::HardLink(HardLink {
                path: path("Files/l"),
                target: path("Files/a.txt"),
                metadata: metadata(32),
            }),
            b"",
        ),
        (LayerItem::Whiteout(path("Files/gone")), b""),
    ]
}

fn vector_b() -> (LayerItem, &'static [u8]) {
    let second = FileTime::from_unix(1_577_836_800, 0).unwrap();
    let created = FileTime::from_ticks(FileTime::UNIX_EPOCH.ticks() - 12_500_000);
    let attribute = ExtendedAttribute {
        flags: 0,
        name: b"$KERNEL.PURGE.X".to_vec(),
        value: b"v".to_vec(),
    };
    let name = format!("Files/{}/{}é.txt", "a".repeat(60), "b".repeat(60));
    let object = Object {
        path: path(&name),
        kind: ObjectKind::File { size: 0 },
        metadata: Metadata {
            attributes: FileAttributes::from_bits_retain(34),
            times: FileTimes {
                created,
                accessed: second,
                written: second,
                changed: second,
            },
            security: None,
            extended_attributes: ExtendedAttributes::from_list(vec![attribute]).unwrap(),
        },
    };
    (LayerItem::Object(object), b"")
}

fn write(items: &[(LayerItem, &[u8])]) -> Vec<u8> {
    let mut writer = LayerTarWriter::new(Vec::new());
    for (item, body) in items {
        writer.item(item).unwrap();
        writer.write_all(body).unwrap();
    }
    writer.finish().unwrap()
}

fn read(archive: &[u8]) -> Vec<(LayerItem, Vec<u8>)> {
    let mut reader = ItemReader::new(Cursor::new(archive), ReadOptions::default());
    let mut items = Vec::new();
    while let Some(mut entry) = reader.next_entry().unwrap() {
        let mut body = Vec::new();
        entry.body.read_to_end(&mut body).unwrap();
        items.push((entry.item.clone(), body));
    }
    assert_eq!(reader.finish().unwrap(), Vec::<String>::new());
    items
}

fn as_read(items: &[(LayerItem, &[u8])]) -> Vec<(LayerItem, Vec<u8>)> {
    items
        .iter()
        .map(|(item, body)| (item.clone(), body.to_vec()))
        .collect()
}

#[test]
fn vector_a_has_the_bytes_of_the_reference() {
    let archive = write(&vector_a());
    let records = "46 LIBARCHIVE.creationtime=1577836800.1234567\n\
                   25 MSWINDOWS.fileattr=16\n\
                   28 atime=1577836800.1234567\n\
                   28 ctime=1577836800.1234567\n\
                   28 mtime=1577836800.1234567\n";
    assert_eq!(
        archive[512..512 + 155].escape_ascii().to_string(),
        records.as_bytes().escape_ascii().to_string()
    );
    assert_eq!(archive.len(), 10240);
    let digest = Digest::of(&archive).hex();
    assert_eq!(
        digest,
        "f2133efc9acef82c637c5b87b6827dbec06419509a0e3516b66e7602804d9899"
    );
}

#[test]
fn vector_b_has_the_bytes_of_the_reference() {
    let archive = write(&[vector_b()]);
    assert_eq!(archive.len(), 2560);
    let digest = Digest::of(&archive).hex();
    assert_eq!(
        digest,
        "94ddfc638c3bcbaf3699ef787e634514173b4e90f9631df8d748fea8aa8b245d"
    );
}

#[test]
fn the_vectors_read_back_as_what_was_written() {
    let items = vector_a();
    assert_eq!(read(&write(&items)), as_read(&items));
    let item = [vector_b()];
    assert_eq!(read(&write(&item)), as_read(&item));
}
