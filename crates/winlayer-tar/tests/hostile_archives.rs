//! Archives readers could take differently: refused, or read in the one way everybody reads them.
#![cfg(test)] // helpers of tests are test code to clippy too

mod support;

use std::io::Cursor;

use support::layers::{read, read_with, refused, roots};
use support::{Block, Blocks, gnu, header, with, with_link};
use winlayer_tar::TarErrorKind::{Limit, Malformed, Unsafe};
use winlayer_tar::{ItemReader, LayerItem, ObjectKind, ReadOptions};

#[test]
fn refuses_types_that_are_no_files() {
    for typeflag in [b'3', b'4', b'6', b'7', b'D', b'V', b'M', b'A', b'X', b'N'] {
        assert_eq!(
            refused(roots().entry("Files/a", typeflag, b"")),
            Unsafe,
            "{}",
            typeflag as char
        );
    }
    assert_eq!(
        refused(roots().block(gnu(header(b"Files/a", b'S', 0)))),
        Malformed
    );
}

#[test]
fn refuses_data_where_none_belongs() {
    for typeflag in [b'1', b'2', b'5'] {
        let entry = with_link(header(b"Files/x", typeflag, 512), b"Files/y");
        assert_eq!(refused(roots().block(entry).body(&[0; 512])), Malformed);
        let entry = with_link(header(b"Files/x", typeflag, 0), b"Files/y");
        assert_eq!(
            refused(roots().pax(&[("size", "512")]).block(entry).body(&[0; 512])),
            Malformed
        );
        let entry = with_link(header(b"Files/x", typeflag, 512), b"Files/y");
        assert_eq!(
            refused(roots().pax(&[("size", "0")]).block(entry)),
            Malformed
        );
    }
}

#[test]
fn the_pax_size_wins_so_that_no_entry_hides_in_the_gap() {
    let hidden: Vec<u8> = Blocks::default()
        .link("Files/hidden", "C:\\")
        .0
        .into_iter()
        .chain([0; 1536])
        .collect();
    for header_size in [8, 0] {
        let visible = header(b"Files/a", b'0', header_size);
        let items = read(
            roots()
                .pax(&[("size", "2048")])
                .block(visible)
                .body(&hidden)
                .file("Files/b", b""),
        )
        .unwrap();
        assert_eq!(items.len(), 5);
        assert!(
            matches!(&items[3], LayerItem::Object(object) if object.kind == ObjectKind::File { size: 2048 })
        );
    }
}

#[test]
fn the_pax_size_never_applies_to_extension_headers() {
    let size = [("size", "512")];
    let long = b"Files/long\0";
    assert_eq!(
        refused(roots().pax(&size).long(b'L', long).file("Files/a", b"")),
        Malformed
    );
    assert_eq!(
        refused(
            roots()
                .pax(&size)
                .pax(&[("comment", "x")])
                .file("Files/a", b"")
        ),
        Malformed
    );
    assert_eq!(
        refused(
            roots()
                .pax(&size)
                .raw_pax(b'g', b"12 comment=\n")
                .file("Files/a", b"")
        ),
        Malformed
    );
}

#[test]
fn refuses_names_from_two_sources() {
    let pax = |key| roots().pax(&[(key, "Files/pax")]);
    assert_eq!(
        refused(pax("path").long(b'L', b"Files/gnu\0").file("Files/a", b"")),
        Malformed
    );
    assert_eq!(
        refused(
            pax("linkpath")
                .long(b'K', b"Files/gnu\0")
                .hard("Files/a", "Files/b")
        ),
        Malformed
    );
    let gnu_first = roots()
        .long(b'L', b"Files/gnu\0")
        .pax(&[("path", "Files/pax")]);
    assert_eq!(refused(gnu_first.file("Files/a", b"")), Malformed);
}

#[test]
fn reads_gnu_long_names() {
    let name = format!("Files/{}/{}", "a".repeat(90), "b".repeat(90));
    let target = format!("Files/{}", "c".repeat(150));
    let nul = |text: &str| format!("{text}\0").into_bytes();
    let items = read(
        roots()
            .long(b'K', &nul(&target))
            .long(b'L', &nul(&name))
            .hard("Files/cut", "Files/cut"),
    )
    .unwrap();
    match items.last() {
        Some(LayerItem::HardLink(link)) => {
            assert_eq!(
                (link.path.as_str(), link.target.as_str()),
                (name.as_str(), target.as_str())
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn refuses_long_names_that_are_not_one_name() {
    for bytes in [
        b"".as_slice(),
        b"\0",
        b"Files/a",
        b"Files/a\0\0",
        b"Files/a\0b\0",
    ] {
        assert_eq!(
            refused(roots().long(b'L', bytes).file("Files/x", b"")),
            Malformed,
            "{}",
            bytes.escape_ascii()
        );
    }
    assert_eq!(
        refused(
            roots()
                .long(b'L', b"a\0")
                .long(b'L', b"b\0")
                .file("Files/x", b"")
        ),
        Malformed
    );
}

#[test]
fn refuses_extension_headers_without_their_entry() {
    for blocks in [
        roots().pax(&[("path", "Files/a")]),
        roots().long(b'L', b"Files/a\0"),
        roots().long(b'K', b"Files/a\0"),
        roots().raw_pax(b'g', b"13 comment=a\n"),
    ] {
        assert_eq!(refused(blocks.clone()), Malformed);
        let error = read_with(&blocks.0, ReadOptions::default()).unwrap_err();
        assert_eq!(error.kind(), Malformed);
    }
}

#[test]
fn global_headers_are_skipped_unless_they_bind() {
    assert_eq!(
        read(
            Blocks::default()
                .raw_pax(b'g', b"13 comment=a\n")
                .dir("Files")
        )
        .unwrap()
        .len(),
        1
    );
    for key in [
        "path",
        "linkpath",
        "size",
        "mtime",
        "MSWINDOWS.fileattr",
        "MSWINDOWS.rawsd",
        "MSWINDOWS.xattr.A",
        "MSWINDOWS.x",
    ] {
        let record = support::record(key, b"1");
        assert_eq!(
            refused(Blocks::default().raw_pax(b'g', &record).dir("Files")),
            Malformed,
            "{key}"
        );
    }
}

#[test]
fn refuses_sparse_files() {
    for record in [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.name", "Files/b"),
        ("GNU.sparse.map", "0,1"),
        ("SCHILY.realsize", "3"),
    ] {
        assert_eq!(
            refused(roots().pax(&[record]).file("Files/a", b"abc")),
            Malformed
        );
    }
}

#[test]
fn refuses_headers_readers_take_differently() {
    let file = header(b"Files/a", b'0', 0);
    let mut unsealed: Block = file;
    unsealed[0] = b'G';
    let high = {
        // A sum of signed bytes, as some old writers made.
        let mut block = with(file, 265, b"\xff\xff");
        let sum: i32 = block
            .iter()
            .enumerate()
            .map(|(at, &byte)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    i32::from(byte as i8)
                }
            })
            .sum();
        support::set(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
        block
    };
    for block in [
        unsealed,
        high,
        with(file, 257, b"ustar\0\0\0"),
        with(file, 257, b"\0\0\0\0\0\0\0\0"),
        with(file, 508, b"tar\0"),
        with(gnu(file), 345, b"prefix"),
        with(file, 124, b"\0\0\0\0\0\0\0\0\0\0\0\0"),
        with(file, 124, b"-0000000001\0"),
        with(
            file,
            124,
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        with(file, 124, b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"),
        with(file, 136, b"garbage"),
        with(file, 108, b"9999999\0"),
    ] {
        assert_eq!(refused(roots().block(block)), Malformed);
    }
}

#[test]
fn refuses_an_archive_cut_anywhere() {
    let whole = roots()
        .pax(&[("path", "Files/b")])
        .file("a", &[b'x'; 600])
        .file("Files/c", b"c")
        .0;
    for length in 0..whole.len() {
        let options = ReadOptions::default();
        let result = read_with(&whole[..length], options);
        let between_entries = [0, 512, 1024, 1536, 1536 + 1024 + 1536].contains(&length);
        assert_eq!(result.is_ok(), between_entries, "cut at {length}");
        if let Err(error) = result {
            assert_eq!(error.kind(), Malformed, "cut at {length}");
        }
    }
}

#[test]
fn refuses_an_extension_header_over_the_limit() {
    let huge = header(b"PaxHeaders.0/x", b'x', 1 << 30);
    assert_eq!(refused(roots().block(huge)), Limit);
    let huge = gnu(header(b"././@LongLink", b'L', (1 << 20) + 1));
    assert_eq!(refused(roots().block(huge)), Limit);
}

#[test]
fn after_an_error_the_reader_stays_stopped() {
    let archive = roots().file("Files/../x", b"").file("Files/a", b"").end();
    let mut reader = ItemReader::new(Cursor::new(archive), ReadOptions::default());
    for _ in 0..3 {
        reader.next_entry().unwrap();
    }
    for _ in 0..3 {
        assert_eq!(reader.next_entry().unwrap_err().kind(), Unsafe);
    }
    assert_eq!(reader.finish().unwrap_err().kind(), Unsafe);
}
