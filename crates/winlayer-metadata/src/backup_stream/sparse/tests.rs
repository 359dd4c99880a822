use std::io::{self, Read, Write};

use super::super::tests::{BLOCK, NAMED, TERMINATOR, write};
use super::super::{BackupStreamError, BackupStreamReader, SparseReader, StreamHeader, StreamId};
use proptest::prelude::*;

/// Expands the first stream; gives the content and what follows it.
fn expand(bytes: &[u8]) -> Result<(Vec<u8>, Option<StreamId>), io::Error> {
    let mut reader = BackupStreamReader::new(bytes);
    let header = reader.next_record()?.unwrap();
    let mut content = Vec::new();
    SparseReader::new(&mut reader, &header).read_to_end(&mut content)?;
    let next = reader.next_record()?;
    Ok((content, next.map(|header| header.id)))
}

fn expand_error(bytes: &[u8]) -> BackupStreamError {
    *expand(bytes)
        .unwrap_err()
        .into_inner()
        .unwrap()
        .downcast()
        .unwrap()
}

fn sparse(blocks: &[(u64, &[u8])]) -> Vec<u8> {
    write(|w| {
        w.sparse_data()?;
        blocks.iter().try_for_each(|(offset, bytes)| {
            w.begin_sparse_block(*offset, bytes.len() as u64)?;
            w.write_all(bytes)
        })
    })
}

/// A `DATA` record with payload.
fn data(attributes: u32, bytes: &[u8]) -> Vec<u8> {
    write(|w| {
        w.begin(&StreamHeader {
            attributes,
            ..StreamHeader::new(StreamId::Data, bytes.len() as u64)
        })?;
        w.write_all(bytes)
    })
}

#[test]
fn expands_every_shape_of_a_sparse_file() {
    let shapes: [(&str, Vec<u8>, &[u8]); 7] = [
        ("plain", data(0, b"hi"), b"hi"),
        ("plain and empty", data(0, b""), b""),
        ("sparse and empty", data(StreamHeader::SPARSE, b""), b""),
        ("nothing allocated", sparse(&[(5, b"")]), b"\0\0\0\0\0"),
        (
            "one range, marked",
            data(StreamHeader::SPARSE, b"whole"),
            b"whole",
        ),
        (
            "several ranges",
            sparse(&[(2, b"ab"), (4, b"c"), (7, b"d"), (9, b"")]),
            b"\0\0abc\0\0d\0",
        ),
        ("no trailing hole", sparse(&[(1, b"a"), (2, b"")]), b"\0a"),
    ];
    for (shape, bytes, content) in shapes {
        assert_eq!(expand(&bytes).unwrap(), (content.to_vec(), None), "{shape}");
        let followed = [&bytes[..], &NAMED].concat();
        assert_eq!(
            expand(&followed).unwrap(),
            (content.to_vec(), Some(StreamId::AlternateData)),
            "{shape}"
        );
    }
}

#[test]
fn expands_the_published_blocks() {
    let bytes = [&data(StreamHeader::SPARSE, b"")[..], &BLOCK, &TERMINATOR].concat();
    let (content, _) = expand(&bytes).unwrap();
    assert_eq!(content.len(), 1_000_000);
    assert_eq!(&content[0x10000..0x10004], b"DATA");
    assert_eq!(content.iter().filter(|byte| **byte != 0).count(), 4);
}

#[test]
fn a_record_left_for_the_caller_keeps_its_payload() {
    let bytes = [&data(StreamHeader::SPARSE, b"")[..], &NAMED].concat();
    let mut reader = BackupStreamReader::new(&bytes[..]);
    let header = reader.next_record().unwrap().unwrap();
    io::copy(
        &mut SparseReader::new(&mut reader, &header),
        &mut io::sink(),
    )
    .unwrap();
    assert_eq!(reader.remaining(), 0);
    assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(
        reader.next_record().unwrap().unwrap().stream_name(),
        Some("s")
    );
    let mut body = String::new();
    reader.read_to_string(&mut body).unwrap();
    assert_eq!(body, "abc");
}

#[test]
fn refuses_blocks_that_go_backwards() {
    let error = expand_error(&sparse(&[(2, b"ab"), (3, b"x"), (9, b"")]));
    assert!(matches!(
        error,
        BackupStreamError::SparseBackwards {
            offset: 3,
            reached: 4
        }
    ));
    let error = expand_error(&sparse(&[(2, b"ab"), (3, b"")]));
    assert!(matches!(
        error,
        BackupStreamError::SparseBackwards {
            offset: 3,
            reached: 4
        }
    ));
}

#[test]
fn refuses_blocks_without_a_terminator() {
    let bytes = sparse(&[(2, b"ab")]);
    assert!(matches!(
        expand_error(&bytes),
        BackupStreamError::SparseTerminator { reached: 4 }
    ));
    let followed = [&bytes[..], &NAMED].concat();
    assert!(matches!(
        expand_error(&followed),
        BackupStreamError::SparseTerminator { reached: 4 }
    ));
    let cut = [&data(StreamHeader::SPARSE, b"")[..], &BLOCK[..30]].concat();
    assert!(matches!(
        expand_error(&cut),
        BackupStreamError::Truncated { missing: 2, .. }
    ));
}

#[test]
fn refuses_blocks_after_a_complete_stream() {
    for complete in [
        data(0, b"hi"),
        data(0, b""),
        data(StreamHeader::SPARSE, b"hi"),
        sparse(&[(5, b"")]),
    ] {
        let bytes = [&complete[..], &BLOCK].concat();
        let error = expand_error(&bytes);
        assert!(
            matches!(
                error,
                BackupStreamError::StraySparseBlock { offset: 0x10000 }
            ),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn sparse_files_round_trip(parts in prop::collection::vec((0..30_u64, prop::collection::vec(any::<u8>(), 1..20)), 0..6), tail in 0..30_u64) {
        let (mut content, mut blocks) = (Vec::new(), Vec::new());
        for (hole, bytes) in &parts {
            content.resize(content.len() + *hole as usize, 0);
            blocks.push((content.len() as u64, &bytes[..]));
            content.extend(bytes);
        }
        content.resize(content.len() + tail as usize, 0);
        blocks.push((content.len() as u64, &[]));
        prop_assert_eq!(expand(&sparse(&blocks)).unwrap(), (content, None));
    }
}
