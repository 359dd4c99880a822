//! Windows metadata as records give it, and records that are not what they must be.
#![cfg(test)] // helpers of tests are test code to clippy too

mod support;

use support::layers::{object, read, read_with, refused, roots};
use support::{header, with};
use winlayer_metadata::{FileAttributes, FileTime};
use winlayer_tar::TarErrorKind::{Malformed, Unsafe};
use winlayer_tar::{LayerItem, ObjectKind, ReadOptions};

#[test]
fn missing_times_follow_the_write_time() {
    let entry = with(header(b"Files/a", b'0', 0), 136, b"00000000012\0");
    let items = read(roots().block(entry)).unwrap();
    let times = object(&items).metadata.times;
    let ten = FileTime::from_unix(10, 0).unwrap();
    assert_eq!(
        [times.created, times.accessed, times.written, times.changed],
        [ten; 4]
    );
    assert_eq!(object(&items).metadata.attributes, FileAttributes::empty());
    assert_eq!(
        read(roots())
            .map(|items| object(&items).metadata.attributes)
            .unwrap(),
        FileAttributes::DIRECTORY
    );
}

#[test]
fn refuses_records_that_are_not_what_they_must_be() {
    for record in [
        ("MSWINDOWS.fileattr", "-1"),
        ("MSWINDOWS.fileattr", "+1"),
        ("MSWINDOWS.fileattr", "4294967296"),
        ("MSWINDOWS.fileattr", "0x20"),
        ("MSWINDOWS.fileattr", ""),
        ("MSWINDOWS.fileattr", "32 "),
        ("mtime", "1e3"),
        ("atime", "x"),
        ("ctime", "1.x"),
        ("LIBARCHIVE.creationtime", "99999999999999"),
        ("MSWINDOWS.rawsd", ""),
        ("MSWINDOWS.rawsd", "!"),
        ("MSWINDOWS.rawsd", "AQAA"),
        ("MSWINDOWS.rawsd", "AQ\nAA"),
        ("MSWINDOWS.sd", "junk"),
        ("MSWINDOWS.xattr.X", "dg="),
        ("MSWINDOWS.xattr.X", "dh=="),
        ("MSWINDOWS.xattr.", "dg=="),
        ("size", "+3"),
        ("size", "-3"),
        ("size", ""),
        ("size", "9223372036854775808"),
        ("uid", "x"),
        ("path", ""),
    ] {
        assert_eq!(
            refused(roots().pax(&[record]).file("Files/a", b"")),
            Malformed,
            "{record:?}"
        );
    }
}

#[test]
fn refuses_attributes_that_contradict_the_entry() {
    let directory = [("MSWINDOWS.fileattr", "16")];
    assert_eq!(
        refused(roots().pax(&directory).file("Files/a", b"")),
        Unsafe
    );
    assert_eq!(
        refused(
            roots()
                .file("Files/b", b"")
                .pax(&directory)
                .hard("Files/a", "Files/b")
        ),
        Unsafe
    );
    assert_eq!(
        refused(
            roots()
                .pax(&[("MSWINDOWS.mountpoint", "1")])
                .file("Files/a", b"")
        ),
        Unsafe
    );
    let items = read(roots().pax(&[("MSWINDOWS.fileattr", "2")]).dir("Files/d")).unwrap();
    assert_eq!(
        object(&items).metadata.attributes,
        FileAttributes::DIRECTORY | FileAttributes::HIDDEN
    );
    let items = read(
        roots()
            .pax(&[("MSWINDOWS.fileattr", "1040")])
            .dir("Files/d"),
    )
    .unwrap();
    assert_eq!(
        object(&items).kind,
        ObjectKind::Directory,
        "the attribute alone makes no link"
    );
}

#[test]
fn repeated_extended_attributes_are_refused() {
    let twice = [("MSWINDOWS.xattr.A", "dg=="), ("MSWINDOWS.xattr.a", "dg==")];
    assert_eq!(refused(roots().pax(&twice).file("Files/a", b"")), Malformed);
}

#[test]
fn encrypted_files_are_read_with_a_warning() {
    let archive = roots()
        .pax(&[("MSWINDOWS.fileattr", "16384")])
        .file("Files/a", b"")
        .end();
    let (_, warnings) = read_with(&archive, ReadOptions::default()).unwrap();
    assert_eq!(warnings.len(), 1);
}

#[test]
fn links_are_told_by_the_type_and_mount_points_by_the_record() {
    let items = read(roots().link("Files/l", "../b")).unwrap();
    assert!(
        matches!(&object(&items).kind, ObjectKind::Link { reparse, directory: false } if reparse.target() == Some("..\\b"))
    );
    let records = [
        ("MSWINDOWS.mountpoint", "1"),
        ("MSWINDOWS.fileattr", "1040"),
    ];
    let items = read(roots().pax(&records).link("Files/j", "C:\\a")).unwrap();
    assert!(
        matches!(&object(&items).kind, ObjectKind::Link { reparse, directory: true } if !reparse.is_relative())
    );
    assert_eq!(refused(roots().pax(&records).link("Files/j", "a")), Unsafe);
    assert_eq!(refused(roots().link("Files/l", "")), Unsafe);
}

#[test]
fn equal_descriptors_share_one_allocation() {
    let records = [(
        "MSWINDOWS.rawsd",
        "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUgAAAAIAIAAA==",
    )];
    let items = read(
        roots()
            .pax(&records)
            .file("Files/a", b"")
            .pax(&records)
            .file("Files/b", b""),
    )
    .unwrap();
    let security = |index: usize| match &items[index] {
        LayerItem::Object(object) => object.metadata.security.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(std::sync::Arc::ptr_eq(&security(3), &security(4)));
}

#[test]
fn old_layers_give_descriptors_as_sddl() {
    let items = read(
        roots()
            .pax(&[("MSWINDOWS.sd", "O:BAG:BA")])
            .file("Files/a", b""),
    )
    .unwrap();
    assert!(
        object(&items)
            .metadata
            .security
            .as_ref()
            .is_some_and(|sd| sd.to_sddl() == "O:BAG:BA")
    );
}
