use std::io::{self, Read, Write};

use super::{
    BackupStreamError, BackupStreamReader, BackupStreamWriter, BackupWriteError, SparseReader,
    StreamHeader, StreamId,
};
use crate::{ExtendedAttribute, ExtendedAttributes, ReparsePoint, SecurityDescriptor};
use proptest::prelude::*;

pub(super) const NAMED: [u8; 39] = [
    4, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, //
    0x3a, 0, 0x73, 0, 0x3a, 0, 0x24, 0, 0x44, 0, 0x41, 0, 0x54, 0, 0x41, 0, 0x61, 0x62, 0x63,
];
const PLAIN: [u8; 22] = [
    1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x68, 0x69,
];
pub(super) const BLOCK: [u8; 32] = [
    9, 0, 0, 0, 8, 0, 0, 0, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
    0, 0, 1, 0, 0, 0, 0, 0, 0x44, 0x41, 0x54, 0x41,
];
pub(super) const TERMINATOR: [u8; 28] = [
    9, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x42, 0x0f, 0, 0, 0, 0, 0,
];

pub(super) fn write(
    make: impl FnOnce(&mut BackupStreamWriter<Vec<u8>>) -> io::Result<()>,
) -> Vec<u8> {
    let mut writer = BackupStreamWriter::new(Vec::new());
    make(&mut writer).unwrap();
    writer.finish().unwrap()
}

fn write_error(error: &io::Error) -> &BackupWriteError {
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    error.get_ref().unwrap().downcast_ref().unwrap()
}

/// Reads all records with their payloads.
fn records(bytes: &[u8]) -> Result<Vec<(StreamHeader, Vec<u8>)>, BackupStreamError> {
    let mut reader = BackupStreamReader::new(bytes);
    let mut all = Vec::new();
    while let Some(header) = reader.next_record()? {
        let mut body = Vec::new();
        reader.read_to_end(&mut body).unwrap();
        all.push((header, body));
    }
    Ok(all)
}

fn header_error(bytes: &[u8]) -> BackupStreamError {
    BackupStreamReader::new(bytes).next_record().unwrap_err()
}

#[test]
fn writes_a_plain_stream() {
    let bytes = write(|w| {
        w.begin_data(2)?;
        w.write_all(b"hi")
    });
    assert_eq!(bytes, PLAIN);
    assert_eq!(
        records(&PLAIN).unwrap(),
        [(StreamHeader::new(StreamId::Data, 2), b"hi".to_vec())]
    );
}

#[test]
fn writes_a_named_stream() {
    let bytes = write(|w| {
        w.begin_alternate("s", 3)?;
        w.write_all(b"abc")
    });
    assert_eq!(bytes, NAMED);
    let [(header, body)] = &records(&NAMED).unwrap()[..] else {
        panic!("one record")
    };
    assert_eq!(
        (header.id, header.size, header.name.as_str()),
        (StreamId::AlternateData, 3, ":s:$DATA")
    );
    assert_eq!((header.stream_name(), &body[..]), (Some("s"), &b"abc"[..]));
}

#[test]
fn writes_sparse_blocks_and_their_terminator() {
    let bytes = write(|w| {
        w.begin_sparse_block(0x10000, 4)?;
        w.write_all(b"DATA")?;
        w.begin_sparse_block(1_000_000, 0)
    });
    assert_eq!(bytes, [&BLOCK[..], &TERMINATOR].concat());
    let read = records(&bytes).unwrap();
    let facts: Vec<_> = read
        .iter()
        .map(|(h, body)| (h.id, h.attributes, h.size, h.sparse_offset, &body[..]))
        .collect();
    let id = StreamId::SparseBlock;
    assert_eq!(
        facts,
        [
            (id, 8, 4, 0x10000, &b"DATA"[..]),
            (id, 8, 0, 1_000_000, &b""[..])
        ]
    );
}

#[test]
fn writes_metadata_in_the_order_it_is_given_without_gaps() {
    let sd = SecurityDescriptor::from_sddl("O:BAG:BA").unwrap();
    let one = ExtendedAttribute {
        flags: 0,
        name: b"foo".to_vec(),
        value: b"bar".to_vec(),
    };
    let eas = ExtendedAttributes::from_list(vec![one]).unwrap();
    let link = ReparsePoint::symlink(r"..\b").unwrap();
    let bytes = write(|w| {
        w.security(&sd)?;
        w.extended_attributes(&ExtendedAttributes::default())?;
        w.extended_attributes(&eas)?;
        w.reparse(&link)?;
        w.begin_data(0)
    });
    assert_eq!(bytes.len(), 4 * 20 + 52 + 16 + 40);
    let read = records(&bytes).unwrap();
    let ids: Vec<_> = read
        .iter()
        .map(|(header, _)| (header.id, header.attributes, header.size))
        .collect();
    let expected = [
        (StreamId::SecurityData, 52),
        (StreamId::EaData, 16),
        (StreamId::ReparseData, 40),
        (StreamId::Data, 0),
    ];
    assert_eq!(ids, expected.map(|(id, size)| (id, 0, size)));
    assert_eq!(SecurityDescriptor::parse(&read[0].1), Ok(sd));
    assert_eq!(ExtendedAttributes::parse(&read[1].1), Ok(eas));
    assert_eq!(ReparsePoint::parse(&read[2].1), Ok(link));
}

#[test]
fn refuses_short_and_long_payloads() {
    let mut writer = BackupStreamWriter::new(Vec::new());
    let outside = writer.write(b"x").unwrap_err();
    assert_eq!(
        write_error(&outside),
        &BackupWriteError::Long { given: 1, room: 0 }
    );
    writer.begin_data(3).unwrap();
    let long = writer.write(b"abcd").unwrap_err();
    assert_eq!(
        write_error(&long),
        &BackupWriteError::Long { given: 4, room: 3 }
    );
    writer.write_all(b"ab").unwrap();
    assert_eq!(writer.remaining(), 1);
    let short = writer.begin_data(0).unwrap_err();
    assert_eq!(write_error(&short), &BackupWriteError::Short { missing: 1 });
    assert_eq!(
        writer.inner_mut().len(),
        22,
        "a refused record leaves no bytes"
    );
    let short = writer.finish().unwrap_err();
    assert_eq!(write_error(&short), &BackupWriteError::Short { missing: 1 });
}

#[test]
fn refuses_stream_names_ntfs_cannot_hold() {
    let mut writer = BackupStreamWriter::new(Vec::new());
    for name in [
        "",
        "a:b",
        r"a\b",
        "a/b",
        "a\0",
        &"x".repeat(256),
        &"𝄞".repeat(128),
    ] {
        let error = writer.begin_alternate(name, 0).unwrap_err();
        assert!(
            matches!(write_error(&error), BackupWriteError::BadStreamName { .. }),
            "{name:?}"
        );
    }
    writer.begin_alternate(&"x".repeat(255), 0).unwrap();
}

#[test]
fn refuses_sizes_beyond_a_signed_number() {
    let mut writer = BackupStreamWriter::new(Vec::new());
    let large = |error: io::Error| {
        assert!(matches!(
            write_error(&error),
            BackupWriteError::TooLarge { .. }
        ))
    };
    large(writer.begin_data(1 << 63).unwrap_err());
    large(writer.begin_sparse_block(i64::MAX as u64, 1).unwrap_err());
    large(
        writer
            .begin_sparse_block(0, i64::MAX as u64 - 7)
            .unwrap_err(),
    );
    large(writer.begin_sparse_block(u64::MAX, u64::MAX).unwrap_err());
    let offset = StreamHeader {
        sparse_offset: 1,
        ..StreamHeader::new(StreamId::Data, 0)
    };
    let error = writer.begin(&offset).unwrap_err();
    assert!(matches!(
        write_error(&error),
        BackupWriteError::SparseOffset { .. }
    ));
    writer.begin_sparse_block(i64::MAX as u64, 0).unwrap();
}

#[test]
fn skips_what_was_not_read() {
    let bytes = [&NAMED[..], &PLAIN].concat();
    let mut reader = BackupStreamReader::new(&bytes[..]);
    reader.next_record().unwrap();
    reader.read_exact(&mut [0]).unwrap();
    assert_eq!(reader.remaining(), 2);
    assert_eq!(reader.next_record().unwrap().unwrap().id, StreamId::Data);
    assert_eq!(reader.next_record().unwrap(), None);
    assert_eq!(
        (reader.next_record().unwrap(), reader.position()),
        (None, bytes.len() as u64)
    );
}

#[test]
fn reads_unknown_stream_ids() {
    let mut bytes = PLAIN;
    bytes[0] = 11;
    assert_eq!(
        records(&bytes).unwrap(),
        [(StreamHeader::new(StreamId::Other(11), 2), b"hi".to_vec())]
    );
    for raw in 0..20 {
        assert_eq!(StreamId::from_raw(raw).raw(), raw);
    }
}

#[test]
fn tells_a_cut_stream_from_an_ended_one() {
    for whole in [&PLAIN[..], &NAMED, &BLOCK] {
        for len in 1..whole.len() {
            let mut reader = BackupStreamReader::new(&whole[..len]);
            let error = reader
                .next_record()
                .and_then(|_| reader.next_record())
                .unwrap_err();
            let missing = (if len < 20 { 20 } else { whole.len() }) - len;
            match error {
                BackupStreamError::Truncated { position, part, .. }
                    if part != "a record payload" =>
                {
                    assert_eq!(position, len as u64, "{part}");
                }
                BackupStreamError::Truncated {
                    position,
                    missing: found,
                    ..
                } => {
                    assert_eq!((position, found), (len as u64, missing as u64));
                }
                other => panic!("{len}: {other}"),
            }
        }
    }
}

#[test]
fn reading_a_cut_payload_fails() {
    let mut reader = BackupStreamReader::new(&PLAIN[..21]);
    reader.next_record().unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(
        error.get_ref().unwrap().to_string(),
        "backup stream ends at position 21, 1 bytes before the end of a record payload"
    );
}

#[test]
fn refuses_names_of_odd_size_or_beyond_64_kib() {
    let mut bytes = NAMED;
    bytes[16] = 15;
    assert!(matches!(
        header_error(&bytes),
        BackupStreamError::OddNameSize {
            position: 0,
            size: 15
        }
    ));
    bytes[16..20].copy_from_slice(&65_538_u32.to_le_bytes());
    assert!(matches!(
        header_error(&bytes),
        BackupStreamError::NameTooLong { size: 65_538, .. }
    ));
    bytes[16..20].fill(0xfe);
    assert!(matches!(
        header_error(&bytes),
        BackupStreamError::NameTooLong { .. }
    ));
}

#[test]
fn refuses_names_that_are_not_text() {
    let mut bytes = NAMED;
    bytes[22..24].copy_from_slice(&[0x00, 0xdc]);
    assert!(matches!(
        header_error(&bytes),
        BackupStreamError::BadName { position: 0 }
    ));
    bytes[22..24].fill(0);
    assert!(matches!(
        header_error(&bytes),
        BackupStreamError::BadName { position: 0 }
    ));
    let mut counted_nul = NAMED;
    counted_nul[34..36].fill(0);
    assert_eq!(records(&counted_nul).unwrap()[0].0.name, ":s:$DAT");
}

#[test]
fn refuses_sizes_that_cannot_be() {
    let mut bytes = PLAIN;
    bytes[15] = 0x80;
    assert!(matches!(
        header_error(&bytes),
        BackupStreamError::NegativeSize { position: 0, .. }
    ));
    for size in 0..8 {
        let mut bytes = BLOCK;
        bytes[8] = size;
        let error = header_error(&bytes);
        assert!(
            matches!(error, BackupStreamError::SparseSize { size: found, .. } if found == size.into())
        );
    }
    let mut bytes = BLOCK;
    bytes[27] = 0x80;
    assert!(matches!(
        header_error(&bytes),
        BackupStreamError::SparseRange { .. }
    ));
    bytes[20..27].fill(0xff);
    bytes[27] = 0x7f;
    assert!(matches!(
        header_error(&bytes),
        BackupStreamError::SparseRange { size: 4, .. }
    ));
}

#[test]
fn knows_stream_names_by_their_form() {
    for (name, stream) in [
        (":s:$DATA", Some("s")),
        (":s:$data", Some("s")),
        ("::$DATA", None),
        ("s:$DATA", None),
        (":s", None),
        (":s:$INDEX", None),
        (":a:b:$DATA", None),
        ("", None),
    ] {
        let header = StreamHeader {
            name: name.into(),
            ..StreamHeader::new(StreamId::AlternateData, 0)
        };
        assert_eq!(header.stream_name(), stream, "{name}");
    }
}

fn any_record() -> impl Strategy<Value = (StreamHeader, Vec<u8>)> {
    let name = prop_oneof![Just(String::new()), "[^\\x00]{0,20}"];
    let body = prop::collection::vec(any::<u8>(), 0..50);
    (0..14_u32, any::<u32>(), name, 0..1_u64 << 62, body).prop_map(
        |(raw, attributes, name, offset, body)| {
            let id = StreamId::from_raw(raw);
            let sparse_offset = if id == StreamId::SparseBlock {
                offset
            } else {
                0
            };
            (
                StreamHeader {
                    id,
                    attributes,
                    size: body.len() as u64,
                    name,
                    sparse_offset,
                },
                body,
            )
        },
    )
}

proptest! {
    #[test]
    fn records_round_trip(all in prop::collection::vec(any_record(), 0..6)) {
        let bytes = write(|w| {
            all.iter().try_for_each(|(header, body)| {
                w.begin(header)?;
                w.write_all(body)
            })
        });
        prop_assert_eq!(records(&bytes).unwrap(), all);
    }

    #[test]
    fn reading_never_panics(
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        records in prop::collection::vec(any_record(), 0..3),
        at: prop::sample::Index,
    ) {
        let mut valid = write(|w| {
            records.iter().try_for_each(|(header, body)| {
                w.begin(header)?;
                w.write_all(body)
            })
        });
        if !valid.is_empty() {
            let at = at.index(valid.len());
            valid[at] ^= bytes.first().copied().unwrap_or(1);
        }
        bytes.extend(valid);
        let mut reader = BackupStreamReader::new(&bytes[..]);
        while let Ok(Some(header)) = reader.next_record() {
            let _ = SparseReader::new(&mut reader, &header).take(1000).read_to_end(&mut Vec::new());
        }
    }
}
