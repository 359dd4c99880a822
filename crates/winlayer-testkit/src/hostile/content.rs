//! Streams, reparse targets, security descriptors, extended attributes and attribute words.

use super::{
    Expect, Fact,
    scene::{Draft, EITHER, Scene, UNSAFE, draft},
};
use crate::RawEntry;

pub(super) fn cases(scene: &Scene) -> Vec<Draft> {
    let cases = [streams(scene), reparse(scene), metadata(scene)].concat();
    cases.into_iter().map(Draft::only_as_written).collect()
}

fn streams(scene: &Scene) -> Vec<Draft> {
    let on_file = |id: &str, name: &str, expect| {
        let tar = scene
            .base()
            .file(scene.at("f"), "x")
            .file(scene.at(name), "s");
        draft(format!("112.{id}"), format!("stream {name}"), [tar], expect)
    };
    let stream = || {
        Expect::Accepted(vec![
            scene.file("f", "x"),
            Fact::Stream(scene.fact("f"), "s".into(), b"s".into()),
        ])
    };
    let dir_stream = scene.base().dir(scene.at("d")).file(scene.at("d:s"), "s");
    vec![
        on_file("plain", "f:s", stream()),
        on_file("suffix", "f:s:$DATA", stream()),
        on_file("suffix-case", "f:s:$data", stream()),
        on_file("default", "f::$DATA", EITHER),
        on_file("empty", "f:", EITHER),
        on_file("index", "f:$I30:$INDEX_ALLOCATION", EITHER),
        on_file("ea", "f:s:$EA", EITHER),
        on_file("colons", "f:a:b:c", EITHER),
        on_file("slash", "f:a/b", EITHER),
        on_file("backslash", "f:a\\b", EITHER),
        on_file("control", "f:a\x01b", UNSAFE),
        on_file("control-c1", "f:a\u{9b}b", UNSAFE),
        on_file("other-owner", "g:s", EITHER),
        draft(
            "112.first",
            "a stream before its file",
            [scene
                .base()
                .file(scene.at("f:s"), "s")
                .file(scene.at("f"), "x")],
            EITHER,
        ),
        draft(
            "112.late",
            "a stream that does not follow its file",
            [scene
                .base()
                .file(scene.at("f"), "x")
                .file(scene.at("g"), "y")
                .file(scene.at("f:s"), "s")],
            EITHER,
        ),
        draft(
            "112.twice",
            "a stream twice",
            [scene
                .base()
                .file(scene.at("f"), "x")
                .file(scene.at("f:s"), "1")
                .file(scene.at("f:S"), "2")],
            EITHER,
        ),
        draft(
            "112.dir",
            "a stream of a directory",
            [dir_stream],
            Expect::Accepted(vec![Fact::Stream(scene.fact("d"), "s".into(), b"s".into())]),
        ),
        draft(
            "112.dir-index",
            "the index of a directory as a stream",
            [scene
                .base()
                .dir(scene.at("d"))
                .file(scene.at("d:$I30:$INDEX_ALLOCATION"), "s")],
            EITHER,
        ),
        draft(
            "112.dir-default",
            "an index without a name as a stream",
            [scene
                .base()
                .dir(scene.at("d"))
                .file(scene.at("d::$INDEX_ALLOCATION"), "s")],
            EITHER,
        ),
        draft(
            "112.link",
            "a stream of a link",
            [scene
                .base()
                .symlink(scene.at("l"), "x")
                .file(scene.at("l:s"), "s")],
            Expect::RefusedOr(vec![scene.link("l")]),
        ),
        draft(
            "112.hard-link",
            "a stream after a hard link",
            [scene
                .base()
                .file(scene.at("f"), "x")
                .hard_link(scene.at("h"), scene.at("f"))
                .file(scene.at("h:s"), "s")],
            EITHER,
        ),
        draft(
            "112.dir-entry",
            "a directory named like a stream",
            [scene.base().file(scene.at("f"), "x").dir(scene.at("f:s"))],
            EITHER,
        ),
    ]
}

fn reparse(scene: &Scene) -> Vec<Draft> {
    let mut cases = Vec::new();
    let linked = || Expect::Accepted(vec![scene.link("l")]);
    for (id, target) in [
        ("nt", "\\??\\C:\\Windows"),
        ("drive", "C:\\Windows"),
        ("drive-relative", "C:foo"),
        (
            "volume",
            "\\\\?\\Volume{00000000-0000-0000-0000-000000000001}\\",
        ),
    ] {
        let tar = scene.base().symlink(scene.at("l"), target);
        cases.push(draft(
            format!("116.{id}"),
            format!("symlink to {target}"),
            [tar],
            Expect::RefusedOr(vec![scene.link("l")]),
        ));
    }
    let long = "x".repeat(20_000);
    cases.extend([
        draft(
            "116.empty",
            "symlink to nothing",
            [scene.base().symlink(scene.at("l"), "")],
            Expect::RefusedOr(vec![scene.link("l")]),
        ),
        draft(
            "116.long",
            "symlink target over 16 KiB",
            [scene.base().symlink(scene.at("l"), long)],
            EITHER,
        ),
        draft(
            "116.nul",
            "symlink target with a NUL",
            [scene
                .base()
                .entry(RawEntry::symlink(scene.at("l"), "x").pax("linkpath", "a\0b"))],
            EITHER,
        ),
        draft(
            "116.junction",
            "junction to a directory",
            [scene.base().junction(scene.at("l"), "C:\\Windows")],
            linked(),
        ),
        draft(
            "116.junction-volume",
            "mount point of a volume",
            [scene.base().junction(
                scene.at("l"),
                "\\\\?\\Volume{00000000-0000-0000-0000-000000000001}\\",
            )],
            linked(),
        ),
        draft(
            "116.junction-relative",
            "relative junction",
            [scene.base().junction(scene.at("l"), "..\\x")],
            EITHER,
        ),
        draft(
            "116.on-file",
            "mount-point record on a file",
            [scene
                .base()
                .entry(RawEntry::file(scene.at("f"), "x").pax("MSWINDOWS.mountpoint", "1"))],
            Expect::RefusedOr(vec![scene.file("f", "x")]),
        ),
        draft(
            "119.reparse",
            "reparse attribute on a file",
            [scene
                .base()
                .entry(RawEntry::file(scene.at("f"), "x").attributes(0x400))],
            Expect::RefusedOr(vec![scene.file("f", "x")]),
        ),
        draft(
            "119.directory",
            "directory attribute on a file",
            [scene
                .base()
                .entry(RawEntry::file(scene.at("f"), "x").attributes(0x10))],
            Expect::RefusedOr(vec![scene.file("f", "x")]),
        ),
        draft(
            "119.reparse-dir",
            "reparse attribute on a directory",
            [scene
                .base()
                .entry(RawEntry::dir(scene.at("d")).attributes(0x410))
                .file(scene.at("d/f"), "x")],
            Expect::RefusedOr(vec![scene.file("d/f", "x")]),
        ),
    ]);
    cases
}

fn metadata(scene: &Scene) -> Vec<Draft> {
    let mut cases = Vec::new();
    let file = || RawEntry::file(scene.at("f"), "x");
    let kept = || Expect::Accepted(vec![scene.file("f", "x")]);
    let mut add = |id: String, name: &str, entry: RawEntry, expect| {
        cases.push(draft(id, name, [scene.base().entry(entry)], expect));
    };
    for value in [
        "-1",
        "4294967296",
        "abc",
        "",
        "0x20",
        "+5",
        "1.5",
        "99999999999999999999",
    ] {
        add(
            format!("119.{value}"),
            "attribute word that is none",
            file().pax("MSWINDOWS.fileattr", value),
            EITHER,
        );
    }
    for attributes in [0x4000, 0x1000, !0x410_u32, 1, 0] {
        add(
            format!("119.bits-{attributes:x}"),
            "unusual attributes are kept",
            file().attributes(attributes),
            kept(),
        );
    }
    // Base64 of: nothing; 3 bytes; revision 2; owner offset far outside; DACL offset far outside.
    let descriptors = [
        ("empty", ""),
        ("truncated", "AQAE"),
        (
            "revision",
            "AgAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUgAAAAIAIAAA==",
        ),
        (
            "owner-offset",
            "AQAAgP///38kAAAAAAAAAAAAAAABAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUgAAAAIAIAAA==",
        ),
        (
            "dacl-offset",
            "AQAEgBQAAAAkAAAAAAAAAP///38BAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUgAAAAIAIAAA==",
        ),
        ("not-base64", "!!!!"),
        ("bad-padding", "AQAAg"),
    ];
    for (id, text) in descriptors {
        add(
            format!("117.{id}"),
            "broken security descriptor",
            file().pax("MSWINDOWS.rawsd", text),
            EITHER,
        );
    }
    add(
        "117.huge".into(),
        "security descriptor over 64 KiB",
        file().pax("MSWINDOWS.rawsd", "A".repeat(400_000)),
        EITHER,
    );
    add(
        "117.sddl".into(),
        "SDDL that is none",
        file().pax("MSWINDOWS.sd", "O:BAG:BAD:(junk"),
        EITHER,
    );
    add(
        "117.minimal".into(),
        "descriptor of owner and group only",
        file().pax(
            "MSWINDOWS.rawsd",
            "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUgAAAAIAIAAA==",
        ),
        kept(),
    );
    // No owner, no group, no ACLs: twenty bytes, legal.
    add(
        "117.no-owner".into(),
        "descriptor without an owner",
        file().pax("MSWINDOWS.rawsd", "AQAAgAAAAAAAAAAAAAAAAAAAAAA="),
        Expect::RefusedOr(vec![scene.file("f", "x")]),
    );

    let ea = |name: &str| format!("MSWINDOWS.xattr.{name}");
    add(
        "118.not-base64".into(),
        "extended attribute that is no base64",
        file().pax(&ea("A"), "!"),
        EITHER,
    );
    add(
        "118.nul".into(),
        "extended attribute name with a NUL",
        file().pax(&ea("A\0B"), "dg=="),
        EITHER,
    );
    add(
        "118.unnamed".into(),
        "extended attribute without a name",
        file().pax(&ea(""), "dg=="),
        EITHER,
    );
    add(
        "118.long-name".into(),
        "extended attribute name of 256 bytes",
        file().pax(&ea(&"N".repeat(256)), "dg=="),
        EITHER,
    );
    add(
        "118.twice".into(),
        "extended attribute twice in two cases",
        file().pax(&ea("NAME"), "dg==").pax(&ea("name"), "dg=="),
        EITHER,
    );
    add(
        "118.huge".into(),
        "extended attribute over 64 KiB",
        file().pax(&ea("A"), "A".repeat(90_000)),
        EITHER,
    );
    add(
        "118.total".into(),
        "extended attributes over 64 KiB together",
        file()
            .pax(&ea("A"), "A".repeat(60_000))
            .pax(&ea("B"), "A".repeat(60_000)),
        EITHER,
    );
    add(
        "118.kernel".into(),
        "servicing data is kept",
        file().pax(&ea("$KERNEL.PURGE.ESBCACHE"), "dg=="),
        kept(),
    );
    for (id, time) in [
        ("junk", "x"),
        ("fraction", "1.x"),
        ("two-dots", "1.2.3"),
        ("empty", ""),
        ("huge", "99999999999999999999"),
    ] {
        add(
            format!("119.time-{id}"),
            "time that is none",
            file().pax("mtime", time),
            Expect::RefusedOr(vec![scene.file("f", "x")]),
        );
    }
    cases
}
