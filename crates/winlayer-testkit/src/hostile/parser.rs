//! Archives that two parsers could read differently, and archives that are broken.

use super::{
    Expect,
    scene::{Draft, EITHER, MALFORMED, Scene, draft, raw_draft},
};
use crate::{RawEntry, RawTar, raw_tar::pax_record};

pub(super) fn cases(scene: &Scene) -> Vec<Draft> {
    let cases = [sizes(scene), headers(scene), broken(scene)].concat();
    cases.into_iter().map(Draft::only_as_written).collect()
}

/// A whole entry hidden in another one's body: with a wrong size a parser would see it.
fn hidden(scene: &Scene, size: usize) -> Vec<u8> {
    let mut body = RawEntry::symlink(scene.at("smuggled"), "C:\\victim").to_bytes();
    body.resize(size, 0);
    body
}

fn sizes(scene: &Scene) -> Vec<Draft> {
    let mut cases = Vec::new();
    for (id, header_size) in [("86", 8), ("87", 0)] {
        let body = hidden(scene, 2048);
        let entry = RawEntry::file(scene.at("a"), &body)
            .claimed_size(header_size)
            .pax("size", "2048");
        let facts = vec![
            super::Fact::File(scene.fact("a"), body),
            scene.missing("smuggled"),
            scene.file("after", "x"),
        ];
        let tar = scene.base().entry(entry).file(scene.at("after"), "x");
        let name = format!("pax size 2048 over header size {header_size}");
        cases.push(draft(id, name, [tar], Expect::RefusedOr(facts)));
    }
    let raw = |field: &[u8; 12]| {
        scene
            .base()
            .entry(RawEntry::file(scene.at("a"), "x").raw_size(*field))
    };
    cases.extend([
        draft(
            "67.negative",
            "negative size in base 256",
            [raw(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")],
            MALFORMED,
        ),
        draft(
            "100",
            "size that overflows",
            [raw(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")],
            EITHER,
        ),
        draft(
            "100.max",
            "size of 2^64 - 1",
            [raw(b"\x80\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff")],
            EITHER,
        ),
        draft(
            "100.junk",
            "size that is no number",
            [raw(b"0000000009z\0")],
            MALFORMED,
        ),
        draft(
            "100.minus",
            "size with a minus sign",
            [raw(b"-0000000001\0")],
            MALFORMED,
        ),
    ]);
    let values = ["-1", "+1", "", "1x", " 1", "18446744073709551616", "1e3"];
    for value in values {
        let tar = scene
            .base()
            .entry(RawEntry::file(scene.at("a"), "x").pax("size", value));
        cases.push(draft(
            format!("95.{value}"),
            format!("pax size {value:?}"),
            [tar],
            EITHER,
        ));
    }
    // A pax size meant for the entry must not be taken for the long-name header between.
    let mut tar = scene.base();
    let records = pax_record("size", b"1024");
    tar = tar.entry(RawEntry::new(b'x', "PaxHeaders.0/a").body(records));
    tar = tar.entry(
        RawEntry::file(scene.at("short"), hidden(scene, 1024)).gnu_long_name(scene.at("long")),
    );
    let facts = vec![scene.missing("smuggled")];
    cases.push(draft(
        "88",
        "pax size before a GNU long name",
        [tar],
        Expect::RefusedOr(facts),
    ));
    let with_body = scene
        .base()
        .entry(RawEntry::hard_link(scene.at("h"), scene.at("none")).body(hidden(scene, 512)));
    cases.push(draft(
        "108.body",
        "hard link to nothing, with a body",
        [with_body],
        EITHER,
    ));
    let dir_body = scene
        .base()
        .entry(RawEntry::dir(scene.at("d")).body(hidden(scene, 1024)));
    cases.push(draft(
        "108.dir",
        "a directory with a body",
        [dir_body],
        Expect::RefusedOr(vec![scene.missing("smuggled"), scene.directory("d")]),
    ));
    cases
}

fn headers(scene: &Scene) -> Vec<Draft> {
    let file = || RawEntry::file(scene.at("a"), "x");
    let with = |entry: RawEntry| [scene.base().entry(entry)];
    let mut cases = vec![
        draft(
            "89",
            "pax path and GNU long name",
            with(
                file()
                    .gnu_long_name(scene.at("gnu"))
                    .pax("path", scene.at("pax")),
            ),
            MALFORMED,
        ),
        draft(
            "90",
            "pax linkpath and GNU long link",
            with(
                RawEntry::symlink(scene.at("l"), "x")
                    .gnu_long_link("gnu")
                    .pax("linkpath", "pax"),
            ),
            MALFORMED,
        ),
        draft(
            "97.pax",
            "pax path that is not UTF-8",
            with(file().pax("path", [scene.at("").as_bytes(), b"\xff"].concat())),
            EITHER,
        ),
        draft(
            "97.link",
            "pax linkpath that is not UTF-8",
            with(RawEntry::symlink(scene.at("l"), "x").pax("linkpath", b"\xff")),
            EITHER,
        ),
        draft(
            "95.nul",
            "pax path with a NUL",
            with(file().pax("path", scene.at("a\0b"))),
            EITHER,
        ),
        draft(
            "95.empty",
            "empty pax path",
            with(file().pax("path", "")),
            Expect::RefusedOr(vec![scene.file("a", "x")]),
        ),
        draft(
            "95.last",
            "the last of repeated pax keys wins",
            with(
                file()
                    .pax("path", scene.at("first"))
                    .pax("path", scene.at("last")),
            ),
            Expect::RefusedOr(vec![scene.file("last", "x"), scene.missing("first")]),
        ),
        draft(
            "85.pax",
            "pax path with ..",
            with(file().pax("path", scene.at("../../x"))),
            EITHER,
        ),
        draft(
            "85.gnu",
            "GNU long name with ..",
            with(file().gnu_long_name("../../x")),
            EITHER,
        ),
        draft(
            "85.prefix-link",
            "pax linkpath with .. on a hard link",
            with(RawEntry::hard_link(scene.at("h"), scene.at("a")).pax("linkpath", "../../x")),
            EITHER,
        ),
        draft(
            "98",
            "ustar version NUL",
            with(file().magic(*b"ustar\0\0\0")),
            Expect::RefusedOr(vec![scene.file("a", "x")]),
        ),
        draft(
            "98.magic",
            "no magic at all",
            with(file().magic(*b"notatar!")),
            Expect::RefusedOr(vec![scene.file("a", "x")]),
        ),
        draft(
            "98.checksum",
            "wrong checksum",
            with(file().checksum(1)),
            MALFORMED,
        ),
        draft(
            "101",
            "GNU sparse records without a sparse entry",
            with(
                file()
                    .pax("GNU.sparse.major", "1")
                    .pax("GNU.sparse.minor", "0"),
            ),
            Expect::RefusedOr(vec![]),
        ),
        draft(
            "101.map",
            "partial sparse map",
            with(
                file()
                    .pax("GNU.sparse.size", "512")
                    .pax("GNU.sparse.map", "0,1,5"),
            ),
            Expect::RefusedOr(vec![]),
        ),
        draft(
            "101.size",
            "sparse file of 2^62 bytes",
            with(
                file()
                    .pax("GNU.sparse.major", "1")
                    .pax("GNU.sparse.minor", "0")
                    .pax("GNU.sparse.name", scene.at("s"))
                    .pax("GNU.sparse.realsize", "4611686018427387904"),
            ),
            EITHER,
        ),
        draft(
            "55.global",
            "a pax global header before any parent",
            [RawTar::new()
                .entry(RawEntry::new(b'g', "pax_global_header").body(pax_record("comment", b"x")))
                .raw(scene.base().without_end())
                .file(scene.at("a"), "x")],
            Expect::Accepted(vec![scene.file("a", "x")]),
        ),
        draft(
            "55.global-path",
            "a pax global header with a path",
            [RawTar::new()
                .entry(
                    RawEntry::new(b'g', "pax_global_header").body(pax_record("path", b"../../x")),
                )
                .raw(scene.base().without_end())
                .file(scene.at("a"), "x")],
            Expect::RefusedOr(vec![scene.file("a", "x")]),
        ),
    ];
    let records: [(&str, &[u8]); 9] = [
        ("unterminated", b"20 path=Files/pwned x"),
        ("too-long", b"99 path=Files/pwned\n"),
        ("too-short", b"5 path=Files/pwned\n"),
        ("zero", b"0 path=Files/pwned\n"),
        ("signed", b"+21 path=Files/pwned\n"),
        ("no-equals", b"12 pathxxxx\n"),
        ("no-key", b"5 =x\n"),
        ("huge", b"99999999999999999999 path=x\n"),
        ("no-space", b"20path=Files/pwned\n"),
    ];
    for (id, bytes) in records {
        let tar = scene.base().entry(file().pax_bytes(bytes));
        cases.push(draft(
            format!("91.{id}"),
            format!("pax record {id}"),
            [tar],
            EITHER,
        ));
    }
    for typeflag in *b"3467SDMVAX~" {
        let tar = scene
            .base()
            .entry(RawEntry::new(typeflag, scene.at("odd")).body("x"));
        let shown = char::from(typeflag);
        cases.push(draft(
            format!("107.{shown}"),
            format!("an entry of type {shown}"),
            [tar],
            Expect::RefusedOr(vec![scene.missing("odd")]),
        ));
    }
    cases
}

fn broken(scene: &Scene) -> Vec<Draft> {
    let whole = || scene.base().file(scene.at("a"), "x".repeat(1500));
    let bytes = whole().without_end();
    let cut = |id: &str, len: usize| {
        raw_draft(
            format!("99.{id}"),
            format!("truncated {id}"),
            [bytes[..len].to_vec()],
            MALFORMED,
        )
    };
    let hidden = || scene.base().file(scene.at("hidden"), "x").finish();
    let facts = || vec![scene.missing("hidden")];
    let dangling = RawEntry::file("x", "")
        .gnu_long_name(scene.at("gone"))
        .to_bytes();
    let dangling_pax = RawEntry::file("x", "")
        .pax("path", scene.at("gone"))
        .to_bytes();
    let half = || vec![0; 512];
    vec![
        cut("in-body", bytes.len() - 700),
        cut("in-padding", bytes.len() - 10),
        cut("in-header", bytes.len() - 2048 - 100),
        draft(
            "93",
            "GNU long name and then the end",
            [scene.base().raw(&dangling[..dangling.len() - 512])],
            MALFORMED,
        ),
        draft(
            "93.pax",
            "pax header and then the end",
            [scene.base().raw(&dangling_pax[..dangling_pax.len() - 512])],
            MALFORMED,
        ),
        raw_draft(
            "99.no-end",
            "no end marker",
            [bytes.clone()],
            Expect::RefusedOr(vec![scene.file("a", &"x".repeat(1500))]),
        ),
        raw_draft("99.empty", "no bytes at all", [vec![]], MALFORMED),
        raw_draft(
            "122.second",
            "a second archive after the end",
            [[whole().finish(), hidden()].concat()],
            Expect::RefusedOr(facts()),
        ),
        raw_draft(
            "122.trailing",
            "junk after the end",
            [[whole().finish(), b"junk".repeat(128)].concat()],
            Expect::RefusedOr(facts()),
        ),
        raw_draft(
            "122.half-end",
            "one zero block, then entries",
            [[whole().without_end(), half(), hidden()].concat()],
            Expect::RefusedOr(facts()),
        ),
        raw_draft(
            "122.padding",
            "a lot of zero padding",
            [[whole().finish(), vec![0; 100 * 512]].concat()],
            Expect::Accepted(vec![scene.file("a", &"x".repeat(1500))]),
        ),
        draft(
            "104",
            "many small entries in odd sizes",
            [(0..600).fold(scene.base(), |tar, n: usize| {
                tar.file(scene.at(&format!("f{n}")), "y".repeat(n))
            })],
            Expect::Accepted(vec![
                scene.file("f599", &"y".repeat(599)),
                scene.file("f512", &"y".repeat(512)),
                scene.file("f0", ""),
            ]),
        ),
    ]
}
