//! Layers whose structure, whiteouts or streams try something: each is refused with the kind that tells
//! the caller why.
#![cfg(test)] // helpers of tests are test code to clippy too

mod support;

use support::layers::{BOTH, as_role, object, read, refused, roots};
use support::{Blocks, header, with_link};
use winlayer_tar::TarErrorKind::{Limit, Malformed, Unsafe};
use winlayer_tar::{LayerItem, LayerRole};

// Structure

#[test]
fn the_roots_of_the_trees_must_be_directories() {
    for root in ["Files", "Hives", "UtilityVM"] {
        assert_eq!(refused(Blocks::default().file(root, b"")), Unsafe);
        assert_eq!(refused(Blocks::default().link(root, "C:\\Windows")), Unsafe);
        assert_eq!(refused(Blocks::default().hard(root, "Files/a")), Unsafe);
    }
    assert_eq!(
        refused(
            Blocks::default()
                .dir("UtilityVM")
                .link("UtilityVM/Files", "x")
        ),
        Unsafe
    );
}

#[test]
fn the_utility_vm_comes_in_order() {
    assert_eq!(refused(Blocks::default().dir("UtilityVM/Files")), Malformed);
    assert_eq!(
        refused(
            Blocks::default()
                .dir("UtilityVM")
                .file("UtilityVM/Files/a", b"")
        ),
        Malformed
    );
    assert_eq!(
        refused(
            Blocks::default()
                .dir("UtilityVM")
                .file("UtilityVM/Files/.wh.a", b"")
        ),
        Malformed
    );
    assert_eq!(refused(roots().dir("UtilityVM/Other")), Unsafe);
    assert_eq!(
        refused(roots().file("UtilityVM/SystemTemplate.vhdx", b"")),
        Unsafe
    );
    assert!(read(roots().file("UtilityVM/Files/a", b"")).is_ok());
}

#[test]
fn hives_hold_files_of_diff_layers() {
    let hives = || {
        Blocks::default()
            .dir("Hives")
            .file("Hives/System_Delta", b"regf")
    };
    assert_eq!(as_role(hives(), LayerRole::Diff).unwrap().len(), 2);
    assert_eq!(
        as_role(hives(), LayerRole::Base).unwrap_err().kind(),
        Unsafe
    );
    // As buildkit makes it for an image from scratch.
    let empty = Blocks::default().dir("Hives/").dir("Files/");
    assert_eq!(as_role(empty, LayerRole::Base).unwrap().len(), 1);
    assert_eq!(refused(hives().dir("Hives/x")), Unsafe);
    assert_eq!(refused(hives().link("Hives/x", "y")), Unsafe);
    assert_eq!(refused(hives().file("Hives/x/y", b"")), Unsafe);
    assert_eq!(
        refused(hives().hard("Hives/x", "Hives/System_Delta")),
        Unsafe
    );
    assert_eq!(refused(hives().file("Hives/System_Delta:s", b"")), Unsafe);
}

#[test]
fn hard_links_stay_among_files() {
    let base = || roots().file("Files/a", b"a");
    for target in [
        "../victim/hello",
        "/../victim/hello",
        "/etc/passwd",
        "Files/../../x",
        "Files\\a",
        "C:\\a",
        "Files",
        "UtilityVM",
        "UtilityVM/Files",
        "Hives/System_Delta",
        "Files/a:s",
        "a",
        "tombstones.txt",
        "",
        "Files/A*",
    ] {
        assert_eq!(refused(base().hard("Files/l", target)), Unsafe, "{target}");
    }
    assert_eq!(refused(base().hard("Files/l:s", "Files/a")), Unsafe);
    assert_eq!(refused(base().hard("Files/a", "Files/A")), Unsafe);
    for (link, target) in [
        ("Files/l", "Files/a"),
        ("UtilityVM/Files/l", "files//a"),
        ("Files/l", "UtilityVM/Files/below"),
    ] {
        assert!(read(base().hard(link, target)).is_ok());
    }
}

// Whiteouts

#[test]
fn whiteouts_are_told_by_the_basename_for_every_type() {
    for tree in BOTH {
        for typeflag in [b'0', b'5', b'2', b'1'] {
            let entry = with_link(
                header(format!("{tree}/.wh.gone").as_bytes(), typeflag, 0),
                b"x",
            );
            let items = read(roots().block(entry)).unwrap();
            assert!(
                matches!(items.last(), Some(LayerItem::Whiteout(path)) if path.as_str() == format!("{tree}/gone"))
            );
        }
        let items = read(roots().file(&format!("{tree}/d/.wh..wh..opq"), b"")).unwrap();
        assert!(
            matches!(items.last(), Some(LayerItem::OpaqueWhiteout(path)) if path.as_str() == format!("{tree}/d"))
        );
    }
    let items = read(roots().file("Files/.wh.dir/file", b"")).unwrap();
    assert_eq!(object(&items).path.as_str(), "Files/.wh.dir/file");
}

#[test]
fn refuses_whiteouts_of_nothing_and_of_too_much() {
    for tree in BOTH {
        for name in [
            ".wh.",
            ".wh..",
            ".wh...",
            ".wh..wh.aufs",
            ".wh..wh.plnk",
            ".wh.a:s",
            ".wh.a\\b",
        ] {
            assert_eq!(
                refused(roots().file(&format!("{tree}/{name}"), b"")),
                Unsafe,
                "{name}"
            );
        }
    }
    for name in [
        ".wh.Files",
        "UtilityVM/.wh.Files",
        "Hives/.wh.System_Delta",
        ".wh..wh..opq",
        "Hives/.wh..wh..opq",
    ] {
        assert_eq!(refused(roots().file(name, b"")), Unsafe, "{name}");
    }
    assert_eq!(refused(roots().file("Files/../.wh.etc", b"")), Unsafe);
}

#[test]
fn refuses_a_whiteout_in_a_base_layer() {
    for name in ["Files/.wh.x", "Files/.wh..wh..opq", "UtilityVM/Files/.wh.x"] {
        assert_eq!(
            as_role(roots().file(name, b""), LayerRole::Base)
                .unwrap_err()
                .kind(),
            Unsafe
        );
        assert!(as_role(roots().file(name, b""), LayerRole::Diff).is_ok());
    }
}

#[test]
fn refuses_a_base_layer_without_files() {
    let utility_vm = || Blocks::default().dir("UtilityVM").dir("UtilityVM/Files");
    for tar in [Blocks::default(), utility_vm()] {
        let error = as_role(tar, LayerRole::Base).unwrap_err();
        assert_eq!(error.kind(), Malformed);
        assert!(error.to_string().contains("no directory Files"), "{error}");
    }
    // Whoever leaves out the entry of a directory still has the directory.
    as_role(Blocks::default().file("Files/x", b""), LayerRole::Base).unwrap();
    as_role(utility_vm(), LayerRole::Diff).unwrap();
}

// Streams

#[test]
fn streams_belong_to_the_object_before_them() {
    for name in ["Files/f:s", "./Files//f:s:$DATA", "files/f:s:$data"] {
        let items = read(
            roots()
                .file("Files/f", b"f")
                .file(name, b"abc")
                .file("Files/f:t", b""),
        )
        .unwrap();
        assert!(
            matches!(&items[4], LayerItem::Stream(stream) if stream.name == "s" && stream.size == 3)
        );
        assert!(matches!(&items[5], LayerItem::Stream(stream) if stream.name == "t"));
    }
    assert!(read(roots().dir("Files/d/").file("Files/d:s", b"x")).is_ok());
    assert!(read(roots().dir("Files/d").file("Files/d:odd <name>", b"x")).is_ok());
}

#[test]
fn refuses_control_characters_in_the_name_of_a_stream() {
    for control in ['\u{1}', '\u{1b}', '\u{7f}', '\u{9b}'] {
        let tar = roots()
            .file("Files/f", b"f")
            .file(&format!("Files/f:a{control}b"), b"x");
        assert_eq!(refused(tar), Unsafe);
    }
}

#[test]
fn refuses_streams_without_their_owner() {
    let file = || roots().file("Files/f", b"f");
    assert_eq!(refused(roots().file("Files/f:s", b"")), Unsafe);
    assert_eq!(
        refused(file().file("Files/g", b"").file("Files/f:s", b"")),
        Unsafe
    );
    assert_eq!(refused(file().file("Files/F:s", b"")), Unsafe);
    assert_eq!(
        refused(file().hard("Files/l", "Files/f").file("Files/l:s", b"")),
        Unsafe
    );
    assert_eq!(
        refused(file().link("Files/l", "f").file("Files/l:s", b"")),
        Unsafe
    );
    assert_eq!(
        refused(file().file("Files/.wh.f", b"").file("Files/f:s", b"")),
        Unsafe
    );
    assert_eq!(
        refused(
            Blocks::default()
                .file("Files/f:s", b"")
                .file("Files/f", b"")
        ),
        Unsafe
    );
    for typeflag in [b'5', b'2'] {
        let entry = with_link(header(b"Files/f:s", typeflag, 0), b"x");
        assert_eq!(refused(file().block(entry)), Unsafe);
    }
}

#[test]
fn refuses_stream_names_that_mean_something_else() {
    for stream in [
        "",
        ":$DATA",
        "$DATA",
        "s:$EA",
        "$I30:$INDEX_ALLOCATION",
        ":$INDEX_ALLOCATION",
        "s:$DATA:$DATA",
        "s:t",
        "a\\b",
    ] {
        assert_eq!(
            refused(
                roots()
                    .file("Files/f", b"")
                    .file(&format!("Files/f:{stream}"), b"")
            ),
            Unsafe,
            "{stream}"
        );
    }
    assert_eq!(
        refused(roots().file("Files/f", b"").file("Files/f:a/b", b"")),
        Unsafe
    );
}

#[test]
fn refuses_a_stream_that_comes_twice() {
    let twice = roots()
        .file("Files/f", b"")
        .file("Files/f:s", b"")
        .file("Files/f:S", b"");
    assert_eq!(refused(twice), Unsafe);
    let mut many = roots().file("Files/f", b"");
    for number in 0..1025 {
        many = many.file(&format!("Files/f:{number}"), b"");
    }
    assert_eq!(refused(many), Limit);
}
