//! What the writer writes, the reader reads: any layer, through any kind of source.
#![cfg(test)] // helpers of tests are test code to clippy too

use std::io::{BufReader, Cursor, Read, Write};
use std::sync::Arc;

use proptest::prelude::*;
use winlayer_metadata::{
    ExtendedAttribute, ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint,
    SecurityDescriptor,
};
use winlayer_tar::{
    AlternateStream, HardLink, ItemReader, LayerItem, LayerPath, LayerReader, LayerTarWriter,
    Metadata, Object, ObjectKind, ReadOptions,
};

type Items = Vec<(LayerItem, Vec<u8>)>;

fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zA-Z0-9 ._$-]{0,9}[a-zA-Z0-9$]",
        1 => "[a-z]{120,200}",
        1 => "[àéîõü漢字𐐷 ]{1,30}x",
        1 => "CON|NUL\\.txt|dot\\.",
    ]
    .prop_filter("whiteouts and sidecars have a meaning", |name| {
        !name.starts_with(".wh.") && !name.to_ascii_lowercase().ends_with(".$wcidirs$")
    })
}

fn path() -> impl Strategy<Value = LayerPath> {
    prop::collection::vec(component(), 1..5)
        .prop_map(|parts| LayerPath::parse(&format!("Files/{}", parts.join("/"))).unwrap())
}

fn time() -> impl Strategy<Value = FileTime> {
    prop_oneof![
        4 => (0..3_000_000_000_000_000_000_i64).prop_map(FileTime::from_ticks),
        1 => any::<i64>().prop_map(FileTime::from_ticks),
        1 => (0..253_402_300_799_i64).prop_map(|seconds| FileTime::from_unix(seconds, 0).unwrap()),
    ]
}

fn times() -> impl Strategy<Value = FileTimes> {
    (time(), time(), time(), time()).prop_map(|(created, accessed, written, changed)| FileTimes {
        created,
        accessed,
        written,
        changed,
    })
}

fn security() -> impl Strategy<Value = Option<Arc<SecurityDescriptor>>> {
    let known = [
        "O:BAG:BA",
        "O:BUG:BU",
        "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)",
    ];
    prop::option::of(prop::sample::select(known.to_vec()))
        .prop_map(|sddl| sddl.map(|sddl| Arc::new(SecurityDescriptor::from_sddl(sddl).unwrap())))
}

fn extended_attributes() -> impl Strategy<Value = ExtendedAttributes> {
    let attribute = (
        "[$A-Z][A-Z.]{0,20}",
        prop::collection::vec(any::<u8>(), 0..40),
    );
    prop::collection::btree_map(attribute.0, attribute.1, 0..3).prop_map(|map| {
        let list = map.into_iter().map(|(name, value)| ExtendedAttribute {
            flags: 0,
            name: name.into_bytes(),
            value,
        });
        ExtendedAttributes::from_list(list.collect()).unwrap()
    })
}

/// Metadata whose attributes say `directory`.
fn metadata(directory: bool) -> impl Strategy<Value = Metadata> {
    (any::<u32>(), times(), security(), extended_attributes()).prop_map(
        move |(bits, times, security, extended_attributes)| {
            let mut attributes = FileAttributes::from_bits_retain(bits);
            attributes.set(FileAttributes::DIRECTORY, directory);
            Metadata {
                attributes,
                times,
                security,
                extended_attributes,
            }
        },
    )
}

fn reparse() -> impl Strategy<Value = ReparsePoint> {
    prop_oneof![
        "[a-zé. ]{1,30}".prop_map(|target| ReparsePoint::symlink(&target).unwrap()),
        "[a-z\\\\]{1,150}"
            .prop_map(|target| ReparsePoint::symlink(&format!("C:\\{target}")).unwrap()),
        "[a-z\\\\]{1,30}"
            .prop_map(|target| ReparsePoint::mount_point(&format!("D:\\{target}")).unwrap()),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 1..20),
        prop::collection::vec(any::<u8>(), 511..1200)
    ]
}

/// An item with its body, and the streams after it.
fn items() -> impl Strategy<Value = Items> {
    let streams = || {
        prop::collection::btree_map("[a-zäö.]{1,12}", body(), 0..3).prop_map(|map| -> Items {
            let stream = |(name, body): (String, Vec<u8>)| {
                (
                    LayerItem::Stream(AlternateStream {
                        name,
                        size: body.len() as u64,
                    }),
                    body,
                )
            };
            map.into_iter().map(stream).collect()
        })
    };
    let one = |item, body, more: Items| std::iter::once((item, body)).chain(more).collect();
    prop_oneof![
        (path(), metadata(true), streams()).prop_map(move |(path, metadata, streams)| {
            one(
                LayerItem::Object(Object {
                    path,
                    kind: ObjectKind::Directory,
                    metadata,
                }),
                Vec::new(),
                streams,
            )
        }),
        (path(), metadata(false), body(), streams()).prop_map(
            move |(path, metadata, body, streams)| {
                let kind = ObjectKind::File {
                    size: body.len() as u64,
                };
                one(
                    LayerItem::Object(Object {
                        path,
                        kind,
                        metadata,
                    }),
                    body,
                    streams,
                )
            }
        ),
        (
            path(),
            any::<bool>().prop_flat_map(|directory| (Just(directory), metadata(directory))),
            reparse()
        )
            .prop_map(move |(path, (directory, metadata), reparse)| {
                let kind = ObjectKind::Link { reparse, directory };
                one(
                    LayerItem::Object(Object {
                        path,
                        kind,
                        metadata,
                    }),
                    Vec::new(),
                    Vec::new(),
                )
            }),
        (path(), path(), metadata(false))
            .prop_filter("a link to itself", |(path, target, _)| !path
                .as_str()
                .eq_ignore_ascii_case(target.as_str()))
            .prop_map(move |(path, target, metadata)| {
                // The tar of a hard link has no place for these.
                let metadata = Metadata {
                    security: None,
                    extended_attributes: ExtendedAttributes::default(),
                    ..metadata
                };
                one(
                    LayerItem::HardLink(HardLink {
                        path,
                        target,
                        metadata,
                    }),
                    Vec::new(),
                    Vec::new(),
                )
            }),
        path().prop_map(move |path| one(LayerItem::Whiteout(path), Vec::new(), Vec::new())),
        path().prop_map(move |path| one(LayerItem::OpaqueWhiteout(path), Vec::new(), Vec::new())),
    ]
}

fn write(items: &Items) -> Vec<u8> {
    let mut writer = LayerTarWriter::new(Vec::new());
    for (item, body) in items {
        writer.item(item).unwrap();
        writer.write_all(body).unwrap();
    }
    writer.finish().unwrap()
}

/// Gives one byte at a time.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let room = buffer.len().min(1);
        self.0.read(&mut buffer[..room])
    }
}

fn read(source: impl std::io::BufRead) -> Items {
    let mut reader = ItemReader::new(source, ReadOptions::default());
    let mut items = Vec::new();
    while let Some(mut entry) = reader.next_entry().unwrap() {
        let mut body = Vec::new();
        assert_eq!(entry.body.remaining(), entry.item.body_len());
        entry.body.read_to_end(&mut body).unwrap();
        items.push((entry.item.clone(), body));
    }
    reader.finish().unwrap();
    items
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_written_is_read(layer in prop::collection::vec(items(), 0..8)) {
        let items: Items = layer.into_iter().flatten().collect();
        let archive = write(&items);
        prop_assert_eq!(&write(&items), &archive, "the writer must be deterministic");
        prop_assert_eq!(&read(Cursor::new(&archive)), &items);
        prop_assert_eq!(&read(BufReader::with_capacity(1, Trickle(Cursor::new(archive)))), &items);
    }

    #[test]
    fn bodies_that_are_not_read_are_skipped(layer in prop::collection::vec(items(), 0..8)) {
        let items: Items = layer.into_iter().flatten().collect();
        let mut reader = LayerReader::open(Trickle(Cursor::new(write(&items))), ReadOptions::default());
        let mut seen = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            seen.push(entry.item.clone());
        }
        prop_assert_eq!(reader.finish().unwrap().entries, items.len() as u64);
        prop_assert_eq!(seen, items.into_iter().map(|(item, _)| item).collect::<Vec<_>>());
    }
}
