//! Names: paths that lead out, names Windows reads differently, and names of our own side files.

use super::{
    Expect, Fact,
    scene::{Draft, EITHER, MALFORMED, Scene, UNSAFE, draft},
};
use crate::{RawEntry, RawTar};

pub(super) fn cases(scene: &Scene) -> Vec<Draft> {
    [refused(scene), kept(scene), case_rules(scene)].concat()
}

fn refused(scene: &Scene) -> Vec<Draft> {
    let long_path = format!("{}x", "d/".repeat(16_400));
    let long_name = "n".repeat(256);
    let names = [
        ("13", ".."),
        ("15", "localetc/sub/.."),
        ("35", "../../victim/dotdot"),
        ("57", "../x"),
        ("75", "a/../b"),
        ("76", "a:b/c"),
        ("78.path", &long_path),
        ("78.component", &long_name),
        ("110.drive", "C:x"),
        ("110.drive-slash", "C:/x"),
        ("110.question", "?/x"),
        ("110.pipe", "a|b"),
        ("110.quote", "a\"b"),
        ("110.star", "a*b"),
        ("110.less", "a<b"),
        ("110.greater", "a>b"),
        ("110.control", "a\x01b"),
        ("110.newline", "a\nb"),
        ("110.escape", "a\x1b[31mb"),
        ("128", "x.$wcidirs$"),
        ("128.case", "x.$WciDirs$"),
        ("128.below", "x.$wcidirs$/y"),
    ];
    let mut cases = Vec::new();
    for (id, name) in names {
        let shown: String = name
            .chars()
            .take(20)
            .flat_map(char::escape_default)
            .collect();
        for (kind, typeflag) in [("file", b'0'), ("dir", b'5'), ("link", b'2')] {
            let link = if typeflag == b'2' { "target" } else { "" };
            let entry = RawEntry::new(typeflag, scene.at(name)).link(link);
            let expect = if id.starts_with("110.drive") || id == "76" {
                EITHER
            } else {
                UNSAFE
            };
            let tar = scene.base().entry(entry);
            cases.push(draft(
                format!("{id}.{kind}"),
                format!("{kind} named {shown}"),
                [tar],
                expect,
            ));
        }
    }
    let not_utf8 = [scene.at("bad-").as_bytes(), b"\xff\xfe"].concat();
    cases.push(
        draft(
            "97",
            "a name that is not UTF-8",
            [scene.base().file(not_utf8, "x")],
            EITHER,
        )
        .only_as_written(),
    );
    let surrogate = [scene.at("bad-").as_bytes(), b"\xed\xa0\x80"].concat();
    cases.push(
        draft(
            "97.surrogate",
            "a name with an encoded surrogate",
            [scene.base().file(surrogate, "x")],
            EITHER,
        )
        .only_as_written(),
    );
    cases
}

fn kept(scene: &Scene) -> Vec<Draft> {
    let names = [
        "CON",
        "nul.txt",
        "AUX",
        "COM1",
        "lpt1.log",
        "CONIN$",
        "trailing.",
        "trailing ",
        " leading",
        "...",
        "a..b",
        "~1",
        "PROGRA~1",
        "é",
        "日本",
        "😀",
    ];
    let mut cases: Vec<_> = names
        .into_iter()
        .map(|name| {
            let facts = vec![scene.file(name, name), Fact::Spelled(scene.fact(name))];
            let tar = scene.base().file(scene.at(name), name);
            draft(
                format!("111.{name}"),
                format!("the legal name {name:?} is kept"),
                [tar],
                Expect::Accepted(facts),
            )
        })
        .collect();
    let dotted = scene
        .base()
        .file(format!("./{}//./file", scene.tree()), "x");
    let long = "n".repeat(255);
    cases.extend([
        draft(
            "85.dots",
            "`./`, empty and `.` components are normalised away",
            [dotted],
            Expect::Accepted(vec![scene.file("file", "x")]),
        )
        .only_as_written(),
        draft(
            "78.longest",
            "a name of 255 characters",
            [scene.base().file(scene.at(&long), "x")],
            Expect::Accepted(vec![scene.file(&long, "x")]),
        ),
    ]);
    if !scene.utility_vm {
        let orphan = scene.base().file(scene.at("a/b/c"), "x");
        let facts = vec![
            scene.directory("a"),
            scene.directory("a/b"),
            scene.file("a/b/c", "x"),
        ];
        cases.push(draft(
            "62",
            "missing parents are created",
            [orphan],
            Expect::Accepted(facts),
        ));
        let late = scene
            .base()
            .file(scene.at("a/b"), "x")
            .entry(RawEntry::dir(scene.at("a")).mtime(5));
        let facts = vec![scene.file("a/b", "x"), Fact::Modified(scene.fact("a"), 5)];
        cases.push(draft(
            "62.late",
            "a parent's entry after its child",
            [late],
            Expect::Accepted(facts),
        ));
    }
    cases
}

fn case_rules(scene: &Scene) -> Vec<Draft> {
    let pair = |one: &str, other: &str| {
        scene
            .base()
            .file(scene.at(one), "1")
            .file(scene.at(other), "2")
    };
    let twice = |id: &str, one: &str, other: &str| {
        draft(
            id,
            format!("{one:?} and {other:?} are one name"),
            [pair(one, other)],
            EITHER,
        )
    };
    let distinct = |id: &str, one: &str, other: &str| {
        let facts = vec![scene.file(one, "1"), scene.file(other, "2")];
        draft(
            id,
            format!("{one:?} and {other:?} are two names"),
            [pair(one, other)],
            Expect::Accepted(facts),
        )
    };
    let linked = scene
        .base()
        .file(scene.at("Target"), "t")
        .hard_link(scene.at("h"), scene.at("tARGET"));
    let replaced = [
        scene.base().file(scene.at("Name"), "old"),
        scene.diff().file(scene.at("nAME"), "new"),
    ];
    vec![
        twice("114.ascii", "Foo", "foo"),
        twice("114.accent", "É", "é"),
        twice("114.greek", "Σ", "σ"),
        twice("114.cyrillic", "Я", "я"),
        distinct("114.dotted-i", "i", "İ"),
        distinct("114.dotless-i", "I", "ı"),
        distinct("114.kelvin", "k", "\u{212A}"),
        distinct("114.sharp-s", "ß", "ss"),
        distinct("114.composed", "é", "e\u{301}"),
        draft(
            "114.dir-link",
            "directory, then a link of its name in another case, then a file below",
            [scene
                .base()
                .dir(scene.at("Foo"))
                .dir_symlink(scene.at("foo"), "..")
                .file(scene.at("Foo/x"), "x")],
            EITHER,
        ),
        draft(
            "114.hard-link",
            "hard-link target in another case",
            [linked],
            Expect::Accepted(vec![scene.same("h", "Target")]),
        ),
        draft(
            "114.replace",
            "a layer replaces a file in another case",
            replaced,
            Expect::Accepted(vec![scene.file("Name", "new")]),
        ),
        draft("122.files", "a file twice", [pair("x", "x")], EITHER),
        draft(
            "122.dirs",
            "a directory twice",
            [scene.base().dir(scene.at("d")).dir(scene.at("d"))],
            EITHER,
        ),
        draft(
            "122.dir-file",
            "a directory, then a file of its name",
            [scene.base().dir(scene.at("d")).file(scene.at("d"), "x")],
            EITHER,
        ),
        draft(
            "122.file-dir",
            "a file, then a directory of its name",
            [scene.base().file(scene.at("d"), "x").dir(scene.at("d"))],
            EITHER,
        ),
    ]
}

/// Cases about the root of the archive.
pub(super) fn image_cases() -> Vec<Draft> {
    let base = || RawTar::new().dir("Files");
    let mut cases = Vec::new();
    let escapes = [
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
        "../pwned",
        "../../pwned",
        "/../victim/slash-dotdot",
        "Files/../../victim/dotdot",
        "\\\\?\\C:\\x",
        "\\\\.\\PhysicalDrive0",
        "\\??\\C:\\x",
        "//server/share/x",
        "GLOBALROOT/x",
        "\\x",
        "Files\\..\\..\\x",
        "/Files/x",
        "Files/\\\\?\\C:\\x",
    ];
    for (index, name) in escapes.into_iter().enumerate() {
        let number = match name {
            _ if name == ".." || name.contains("pwned") => 51,
            _ if name.contains("victim") => 36,
            _ if name.contains('\\') || name.contains("share") || name.contains("ROOT") => 110,
            _ => 85,
        };
        for (kind, typeflag) in [("file", b'0'), ("dir", b'5'), ("link", b'2')] {
            if name == "/////////" && kind == "dir" {
                continue;
            }
            let link = if typeflag == b'2' { "x" } else { "" };
            let tar = base().entry(RawEntry::new(typeflag, name).link(link));
            cases.push(draft(
                format!("{number}.{index}.{kind}"),
                format!("{kind} named {name:?}"),
                [tar],
                EITHER,
            ));
        }
    }
    for (kind, typeflag) in [("file", b'0'), ("link", b'2'), ("hard", b'1')] {
        for name in ["", ".", "./"] {
            // A name that ends in a slash makes an old-style file a directory, but not these.
            let tar = base().entry(RawEntry::new(typeflag, name).link("Files"));
            cases.push(draft(
                format!("14.{kind}.{name}"),
                format!("{kind} that is the root, named {name:?}"),
                [tar],
                EITHER,
            ));
        }
    }
    cases.push(draft(
        "14.dir",
        "a directory that is the root is skipped",
        [RawTar::new().dir("./").dir("Files").file("Files/a", "a")],
        Expect::Accepted(vec![Fact::File("Files/a".into(), b"a".into())]),
    ));
    for name in [
        "layer.json",
        "layerchain.json",
        "layer-index.jsonl",
        "bcd.bak",
        "bcd.log.bak",
        "blank.vhdx",
        "layout",
        "Hives2/x",
        "winlayer-store.json",
        "etc/passwd",
        "Files.$wcidirs$",
        "Hives.$wcidirs$",
        "tombstones.txt/x",
    ] {
        let in_base = vec![base().file(name, "x")];
        let in_diff = vec![base(), base().dir("Hives").file(name, "x")];
        for (role, layers) in [("base", in_base), ("diff", in_diff)] {
            let shown = format!("top-level name {name}");
            cases.push(draft(format!("129.{role}.{name}"), shown, layers, UNSAFE));
        }
    }
    let tombstones = RawTar::new()
        .dir("Files")
        .dir("Hives")
        .file("tombstones.txt", "\u{feff}Version 1.0\n\\keep\n");
    let keep = Fact::File("Files/keep".into(), b"k".into());
    cases.push(draft(
        "129.tombstones",
        "tombstones.txt deletes nothing",
        [base().file("Files/keep", "k"), tombstones],
        Expect::Accepted(vec![keep.clone()]),
    ));
    cases.extend(root_kinds(&keep));
    cases
}

fn root_kinds(keep: &Fact) -> Vec<Draft> {
    let mut cases = Vec::new();
    let base = || RawTar::new().dir("Files").file("Files/keep", "k");
    for root in ["Files", "Hives", "UtilityVM"] {
        let below = if root == "Files" {
            RawTar::new()
        } else {
            RawTar::new().dir("Files")
        };
        let kinds: [(&str, RawTar); 5] = [
            ("file", below.clone().file(root, "x")),
            (
                "link",
                below
                    .clone()
                    .dir_symlink(root, "C:\\victim")
                    .file(format!("{root}/x"), "x"),
            ),
            ("junction", below.clone().junction(root, "C:\\victim")),
            ("then-file", below.clone().dir(root).file(root, "x")),
            (
                "then-link",
                below
                    .dir(root)
                    .dir_symlink(root.to_lowercase(), "C:\\victim"),
            ),
        ];
        for (kind, tar) in kinds {
            let name = format!("{root} as a {kind}");
            cases.push(draft(
                format!("130.{root}.{kind}"),
                name,
                [base(), tar],
                EITHER,
            ));
        }
    }
    let uvm = || RawTar::new().dir("Files").dir("UtilityVM");
    let both = || uvm().dir("UtilityVM/Files");
    cases.extend([
        draft(
            "79",
            "UtilityVM/Files is a junction",
            [uvm()
                .junction("UtilityVM/Files", "C:\\victim")
                .file("UtilityVM/Files/x", "x")],
            EITHER,
        ),
        draft(
            "80.entry",
            "an entry below UtilityVM before UtilityVM/Files",
            [uvm().file("UtilityVM/Files/x", "x")],
            MALFORMED,
        ),
        draft(
            "80.missing",
            "UtilityVM/Files before UtilityVM",
            [RawTar::new().dir("Files").dir("UtilityVM/Files")],
            MALFORMED,
        ),
        draft(
            "80.other",
            "something else in UtilityVM",
            [both().file("UtilityVM/SystemTemplate.vhdx", "x")],
            EITHER,
        ),
        draft(
            "130.base-hives",
            "Hives in a base layer",
            [RawTar::new()
                .dir("Files")
                .dir("Hives")
                .file("Hives/System_Delta", "x")],
            EITHER,
        ),
        draft(
            "130.hives-dir",
            "a directory in Hives",
            [
                base(),
                RawTar::new().dir("Files").dir("Hives").dir("Hives/x"),
            ],
            EITHER,
        ),
        draft(
            "130.hives-link",
            "a link in Hives",
            [
                base(),
                RawTar::new()
                    .dir("Files")
                    .dir("Hives")
                    .symlink("Hives/System_Delta", "C:\\x"),
            ],
            EITHER,
        ),
        draft(
            "130.hives-deep",
            "a path below a file of Hives",
            [
                base(),
                RawTar::new()
                    .dir("Files")
                    .dir("Hives")
                    .file("Hives/a/b", "x"),
            ],
            EITHER,
        ),
        draft(
            "130.other-case",
            "top-level names in another case",
            [
                base(),
                RawTar::new()
                    .dir("fILES")
                    .dir("hives")
                    .file("FILES/new", "n"),
            ],
            Expect::Accepted(vec![
                keep.clone(),
                Fact::File("Files/new".into(), b"n".into()),
                Fact::Spelled("Files".into()),
            ]),
        ),
    ]);
    cases
}
