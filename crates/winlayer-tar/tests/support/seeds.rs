//! Small archives that between them have everything the reader knows.

use super::{Blocks, header, with};

/// The archives by name.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let times = [
        ("mtime", "1577836800.1234567"),
        ("atime", "-1.25"),
        ("LIBARCHIVE.creationtime", "0"),
    ];
    let windows = [
        ("MSWINDOWS.fileattr", "32"),
        (
            "MSWINDOWS.rawsd",
            "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUgAAAAIAIAAA==",
        ),
        ("MSWINDOWS.xattr.$KERNEL.PURGE.X", "dg=="),
    ];
    let junction = [
        ("MSWINDOWS.fileattr", "1040"),
        ("MSWINDOWS.mountpoint", "1"),
    ];
    let roots = || {
        Blocks::default()
            .dir("Files")
            .dir("UtilityVM")
            .dir("UtilityVM/Files")
    };
    vec![
        ("empty", Blocks::default().end()),
        (
            "tree",
            roots()
                .file("Files/a", b"abc")
                .hard("Files/b", "Files/a")
                .link("Files/c", "..\\a")
                .end(),
        ),
        ("times", roots().pax(&times).file("Files/a", b"").end()),
        (
            "windows",
            roots()
                .pax(&windows)
                .file("Files/a", b"x")
                .file("Files/a:s:$DATA", b"stream")
                .end(),
        ),
        (
            "sddl",
            roots()
                .pax(&[("MSWINDOWS.sd", "O:BAG:BAD:(A;;FA;;;SY)")])
                .dir("Files/d/")
                .end(),
        ),
        (
            "junction",
            roots().pax(&junction).link("Files/j", "C:\\a").end(),
        ),
        (
            "whiteouts",
            roots()
                .file("Files/.wh.a", b"")
                .file("Files/d/.wh..wh..opq", b"")
                .end(),
        ),
        (
            "hives",
            Blocks::default()
                .dir("Hives")
                .file("Hives/System_Delta", b"regf")
                .end(),
        ),
        (
            "pax-names",
            roots()
                .pax(&[("path", "Files/é"), ("linkpath", "Files/a"), ("size", "0")])
                .hard("x", "y")
                .end(),
        ),
        (
            "gnu-names",
            roots()
                .long(b'K', b"Files/a\0")
                .long(b'L', b"Files/long\0")
                .hard("x", "y")
                .end(),
        ),
        (
            "global",
            Blocks::default()
                .raw_pax(b'g', b"13 comment=a\n")
                .dir("Files")
                .end(),
        ),
        (
            "prefix",
            Blocks::default()
                .block(with(header(b"a", b'0', 0), 345, b"Files"))
                .end(),
        ),
        (
            "tombstones",
            roots().file("tombstones.txt", b"\\Windows").dir("./").end(),
        ),
    ]
}
