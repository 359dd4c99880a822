//! Names that try something, and names that only look so.
#![cfg(test)] // helpers of tests are test code to clippy too

mod support;

use support::layers::{BOTH, object, read, read_with, refused, roots};
use support::{Blocks, header, with_link};
use winlayer_tar::TarErrorKind::{Limit, Malformed, Unsafe};
use winlayer_tar::{LayerItem, Limits, ReadOptions};

#[test]
fn refuses_names_that_lead_out_of_the_layer() {
    for name in [
        "/tmp/x",
        "//tmp/x",
        "///tmp/x",
        "/./tmp/x",
        "//./tmp/x",
        "///./tmp/x",
        "/../x",
        "../x",
        "./../x",
        "some/../../x",
        "././//./..",
        "..",
        "/////////..",
        "/////////",
        "C://tmp/x",
        "C://./tmp/x",
        "C:x",
        "C:/x",
        "\\\\?\\C:\\x",
        "\\\\.\\PhysicalDrive0",
        "\\??\\x",
        "//server/share/x",
        "GLOBALROOT",
        "../pwned",
        "../../pwned",
        "Files/..",
        "Files/a/../../../b",
        "Files\\a",
        "Files/a\\b",
        "Files/..\\b",
        "Files/C:/x",
        "Files/a:b/c",
    ] {
        for typeflag in [b'0', b'5', b'2'] {
            let entry = with_link(
                header(name.as_bytes(), typeflag, 0),
                if typeflag == b'2' { b"x" } else { b"" },
            );
            assert_eq!(
                refused(roots().block(entry)),
                Unsafe,
                "{name} of type {}",
                typeflag as char
            );
        }
    }
}

#[test]
fn refuses_an_empty_name() {
    assert_eq!(refused(roots().dir("")), Malformed);
    assert_eq!(refused(roots().file("", b"x")), Malformed);
}

#[test]
fn refuses_characters_ntfs_does_not_allow() {
    for character in ["\"", "*", "<", ">", "?", "|", "\x01", "\n", "\x1b", "\x7f"] {
        for tree in BOTH {
            assert_eq!(
                refused(roots().file(&format!("{tree}/a{character}b"), b"")),
                Unsafe
            );
        }
    }
}

#[test]
fn refuses_names_that_are_not_utf8() {
    assert_eq!(
        refused(roots().block(header(b"Files/\xff", b'0', 0))),
        Malformed
    );
    let record = support::record("path", b"Files/\xff");
    assert_eq!(
        refused(roots().raw_pax(b'x', &record).file("Files/a", b"")),
        Malformed
    );
}

#[test]
fn refuses_metadata_sidecars() {
    for name in ["x.$wcidirs$", "x.$WCIDirs$", ".$wcidirs$", "x.$wcidirs$/y"] {
        assert_eq!(refused(roots().file(&format!("Files/{name}"), b"")), Unsafe);
        assert_eq!(refused(roots().dir(&format!("Files/{name}"))), Unsafe);
    }
}

#[test]
fn refuses_unknown_top_level_names() {
    for name in [
        "layer.json",
        "layerchain.json",
        "bcd.bak",
        "blank.vhdx",
        "layout",
        "Windows",
        "tombstones.txt/x",
        "FilesX",
    ] {
        assert_eq!(refused(roots().file(name, b"x")), Unsafe, "{name}");
    }
    assert_eq!(refused(roots().dir("tombstones.txt")), Unsafe);
    assert_eq!(refused(roots().link("tombstones.txt", "x")), Unsafe);
}

#[test]
fn skips_a_deletion_list_with_a_warning() {
    for name in ["tombstones.txt", "./Tombstones.TXT"] {
        let archive = roots().file(name, b"\\Windows").file("Files/a", b"a").end();
        let (items, warnings) = read_with(&archive, ReadOptions::default()).unwrap();
        assert_eq!(items.len(), 4);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains(name));
    }
}

#[test]
fn skips_the_root_itself_only_as_a_directory() {
    for name in [".", "./", "././"] {
        assert_eq!(
            read(Blocks::default().dir(name).dir("Files"))
                .unwrap()
                .len(),
            1
        );
        assert_eq!(refused(Blocks::default().link(name, "x")), Unsafe);
    }
}

#[test]
fn normalises_case_of_the_top_and_separators() {
    let items = read(
        Blocks::default()
            .dir("./fILES/")
            .dir("utilityvm//")
            .dir("UTILITYVM/./files/"),
    )
    .unwrap();
    let paths: Vec<_> = items
        .iter()
        .map(|item| match item {
            LayerItem::Object(object) => object.path.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(paths, ["Files", "UtilityVM", "UtilityVM/Files"]);
}

#[test]
fn keeps_names_only_old_windows_programs_refuse() {
    for name in [
        "CON",
        "nul.txt",
        "AUX",
        "COM1",
        "LPT1.log",
        "CONIN$",
        "dot.",
        "space ",
        "...",
        "a.$wcidirs$.txt",
        "ſ",
    ] {
        let items = read(roots().file(&format!("Files/{name}"), b"")).unwrap();
        assert_eq!(object(&items).path.file_name(), name);
    }
}

#[test]
fn refuses_names_over_the_limits_of_windows() {
    let long = "x".repeat(256);
    assert_eq!(
        refused(
            roots()
                .pax(&[("path", &format!("Files/{long}"))])
                .file("a", b"")
        ),
        Unsafe
    );
    let wide = "é".repeat(255);
    assert!(
        read(
            roots()
                .pax(&[("path", &format!("Files/{wide}"))])
                .file("a", b"")
        )
        .is_ok()
    );
    let astral = "𐐷".repeat(128);
    assert_eq!(
        refused(
            roots()
                .pax(&[("path", &format!("Files/{astral}"))])
                .file("a", b"")
        ),
        Unsafe
    );
    let deep = format!("Files{}", "/a".repeat(16_382));
    assert_eq!(
        refused(roots().pax(&[("path", &deep)]).file("a", b"")),
        Unsafe
    );
    assert!(read(roots().pax(&[("path", &deep[..32_767])]).file("a", b"")).is_ok());
    let options = ReadOptions {
        limits: Limits {
            path_units: 8,
            ..Limits::default()
        },
        ..ReadOptions::default()
    };
    let error = read_with(&roots().end(), options).unwrap_err();
    assert_eq!(error.kind(), Limit);
}

#[test]
fn refuses_a_trailing_slash_on_anything_but_a_directory() {
    assert_eq!(refused(roots().file("Files/a/", b"")), Malformed);
    assert_eq!(refused(roots().file("Files/a/.", b"")), Malformed);
    assert_eq!(refused(roots().link("Files/a/", "x")), Malformed);
    assert_eq!(
        refused(roots().file("Files/b", b"").hard("Files/a/", "Files/b")),
        Malformed
    );
    assert_eq!(
        refused(roots().file("Files/b", b"").hard("Files/a", "Files/b/")),
        Malformed
    );
    assert_eq!(refused(roots().entry("Files/a/", 0, b"")), Malformed);
    assert!(read(roots().entry("Files/a", 0, b"x")).is_ok());
}

#[test]
fn names_in_messages_cannot_move_the_cursor() {
    let error = read(roots().file("Files/\x1b[2J\u{202e}*", b"")).unwrap_err();
    let text = error.to_string();
    assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
    assert!(text.contains("\\u{1b}[2J"), "{text}");
    assert!(error.entry().is_some_and(|name| name.starts_with("Files/")));
    assert_eq!(error.entry_number(), 4);
}
