//! Links that lead out, and entries that go through them.

use super::{
    Expect,
    scene::{Draft, EITHER, Scene, UNSAFE, draft},
};
use crate::RawTar;

pub(super) fn cases(scene: &Scene) -> Vec<Draft> {
    [
        through_links(scene),
        hard_links(scene),
        across_layers(scene),
        harmless(scene),
    ]
    .concat()
}

/// A way of making a link to a directory.
type MakeLink = fn(RawTar, String, &str) -> RawTar;

const LINKS: [(&str, MakeLink); 3] = [
    ("symlink", |tar, name, target| tar.dir_symlink(name, target)),
    ("file-symlink", |tar, name, target| {
        tar.symlink(name, target)
    }),
    ("junction", |tar, name, _| tar.junction(name, "C:\\victim")),
];

/// Targets meant to lead outside, or back in by a detour.
const TARGETS: [(&str, &str); 14] = [
    ("1.absolute", "/etc"),
    ("2.up-and-out", "/dummy/../etc"),
    ("3.nested-absolute", "/localetc/etc"),
    ("4.nested-relative", "./etc"),
    ("5.windows-absolute", "C:\\Windows"),
    ("6.relative", "../../etc"),
    ("7.down-and-out", "../downandout/../../etc"),
    ("9.long", "../../../../../../../etc"),
    ("10.up-and-out-twice", "upandout/../../../etc"),
    ("45.beside", "../../victim"),
    ("50.up", ".."),
    ("58.root", "/"),
    ("58.root-up", "/../../../.."),
    ("58.dots", "/./.././../etc"),
];

fn through_links(scene: &Scene) -> Vec<Draft> {
    let mut cases = Vec::new();
    for (id, target) in TARGETS {
        for (kind, make) in LINKS {
            if kind != "symlink" && !id.starts_with("45") && !id.starts_with("1.") {
                continue;
            }
            let linked = || {
                make(
                    scene.base().dir(scene.at("etc")),
                    scene.at("localetc"),
                    target,
                )
            };
            let name = |what: &str| format!("{what} through a {kind} to {target}");
            let id = |what: &str| format!("{id}.{kind}.{what}");
            cases.extend([
                draft(
                    id("file"),
                    name("file"),
                    [linked().file(scene.via("localetc/x"), "x")],
                    UNSAFE,
                ),
                draft(
                    id("empty"),
                    name("empty file"),
                    [linked().file(scene.via("localetc/x"), "")],
                    UNSAFE,
                ),
                draft(
                    id("dir"),
                    name("directory"),
                    [linked().dir(scene.via("localetc/d"))],
                    UNSAFE,
                ),
                draft(
                    id("link"),
                    name("symlink"),
                    [linked().symlink(scene.via("localetc/s"), "x")],
                    UNSAFE,
                ),
            ]);
        }
    }
    let inner = scene
        .base()
        .dir(scene.at("inner"))
        .dir_symlink(scene.at("inner/go_up"), "..")
        .dir_symlink(scene.via("inner/go_up/escape"), "../../victim")
        .file(scene.via("inner/go_up/escape/new"), "x");
    let deep = scene
        .base()
        .dir(scene.at("a"))
        .dir_symlink(scene.at("a/l"), "..");
    let on_file = scene.base().file(scene.at("file"), "x");
    cases.extend([
        draft(
            "50.chain",
            "link through a link, then a file",
            [inner],
            UNSAFE,
        ),
        draft(
            "70",
            "directories made below a link",
            [deep.file(scene.via("a/l/b/c/d"), "x")],
            UNSAFE,
        ),
        draft(
            "61",
            "child of a file",
            [on_file.clone().file(scene.via("file/child"), "x")],
            UNSAFE,
        ),
        draft(
            "61.dir",
            "directory below a file",
            [on_file.dir(scene.via("file/child"))],
            UNSAFE,
        ),
        draft(
            "103",
            "link, then a directory entry of the same name, then a file below",
            [scene
                .base()
                .dir_symlink(scene.at("x"), "../../victim")
                .dir(scene.via("x"))
                .file(scene.via("x/y"), "y")],
            EITHER,
        ),
    ]);
    cases
}

fn hard_links(scene: &Scene) -> Vec<Draft> {
    let mut cases = Vec::new();
    let escapes = [
        ("11", "../../../../../etc/passwd".to_owned()),
        ("12", "/etc/passwd".to_owned()),
        ("37", "../victim/hello".to_owned()),
        ("38", "/../victim/hello".to_owned()),
        ("54", format!("/{}", scene.fact("a"))),
        ("108", format!("{}/../../victim/hello", scene.tree())),
        ("81.hives", "Hives/System_Delta".to_owned()),
        ("81.uvm", "UtilityVM".to_owned()),
        ("81.other", "layer.json".to_owned()),
        ("56.backslash", scene.fact("a").replace('/', "\\")),
        ("56.drive", "C:/Windows/win.ini".to_owned()),
        ("56.stream", format!("{}:s", scene.fact("a"))),
        ("56.empty", String::new()),
    ];
    for (id, target) in escapes {
        let expect = if matches!(id, "81.uvm" | "56.empty" | "56.drive" | "56.stream") {
            EITHER
        } else {
            UNSAFE
        };
        let tar = scene
            .base()
            .file(scene.at("a"), "a")
            .hard_link(scene.at("hard"), &target);
        cases.push(draft(id, format!("hard link to {target:?}"), [tar], expect));
    }
    let with_dir = || {
        scene
            .base()
            .dir(scene.at("d"))
            .file(scene.at("d/passwd"), "p")
    };
    let with_link = || with_dir().dir_symlink(scene.at("l"), "d");
    cases.extend([
        draft(
            "6",
            "hard-link target through a link",
            [with_link().hard_link(scene.at("h"), scene.via("l/passwd"))],
            UNSAFE,
        ),
        draft(
            "71",
            "hard link made below a link",
            [with_link().hard_link(scene.via("l/h"), scene.at("d/passwd"))],
            UNSAFE,
        ),
        draft(
            "39",
            "hard link to a directory",
            [with_dir().hard_link(scene.at("h"), scene.at("d"))],
            UNSAFE,
        ),
        draft(
            "65.missing",
            "hard link to nothing",
            [scene.base().hard_link(scene.at("h"), scene.at("none"))],
            EITHER,
        ),
        draft(
            "65.forward",
            "hard link before its target",
            [scene
                .base()
                .hard_link(scene.at("h"), scene.at("a"))
                .file(scene.at("a"), "a")],
            EITHER,
        ),
        draft(
            "65.self",
            "hard link to itself",
            [scene.base().hard_link(scene.at("h"), scene.at("h"))],
            EITHER,
        ),
        draft(
            "81.into-hives",
            "hard link in Hives",
            [
                scene.base(),
                scene
                    .diff()
                    .file(scene.at("a"), "a")
                    .hard_link("Hives/System_Delta", scene.at("a")),
            ],
            UNSAFE,
        ),
        draft(
            "16",
            "directory with a trailing slash, hard link below it",
            [with_dir()
                .dir(format!("{}/", scene.at("localetc")))
                .hard_link(scene.via("localetc/passwd"), scene.via("d/passwd"))],
            Expect::Accepted(vec![scene.same("localetc/passwd", "d/passwd")]),
        ),
        draft(
            "65.chain",
            "hard link to a hard link",
            [with_dir()
                .hard_link(scene.at("b"), scene.via("d/passwd"))
                .hard_link(scene.at("c"), scene.via("b"))],
            Expect::Accepted(vec![scene.same("b", "d/passwd"), scene.same("c", "b")]),
        ),
        draft(
            "31",
            "hard link to a link whose target appears later",
            [scene
                .base()
                .symlink(scene.at("l"), "later")
                .hard_link(scene.at("h"), scene.via("l"))
                .file(scene.at("later"), "x")],
            Expect::Accepted(vec![
                scene.link("l"),
                scene.link("h"),
                scene.file("later", "x"),
            ]),
        ),
        draft(
            "34",
            "metadata of a hard link to a link that leads outside",
            [scene
                .base()
                .symlink(scene.at("l"), "../../../../victim/hello")
                .entry(
                    crate::RawEntry::hard_link(scene.at("h"), scene.via("l"))
                        .attributes(1)
                        .mtime(1),
                )],
            Expect::Accepted(vec![scene.link("l"), scene.link("h")]),
        ),
        draft(
            "53",
            "hard link to a link to a link",
            [scene
                .base()
                .symlink(scene.at("l"), "m")
                .symlink(scene.at("m"), "n")
                .hard_link(scene.at("h"), scene.via("l"))],
            Expect::Accepted(vec![scene.link("h"), scene.missing("n")]),
        ),
    ]);
    cases
}

fn across_layers(scene: &Scene) -> Vec<Draft> {
    let with_dir = || {
        scene
            .base()
            .dir(scene.at("d"))
            .file(scene.at("d/keep"), "keep")
    };
    let with_link = || {
        with_dir()
            .dir_symlink(scene.at("l"), "../../victim")
            .junction(scene.at("j"), "C:\\victim")
    };
    let mut cases = vec![
        draft(
            "61.below",
            "child of a file of the layer below",
            [with_dir(), scene.diff().file(scene.via("d/keep/x"), "x")],
            UNSAFE,
        ),
        draft(
            "65.below",
            "hard link to a file of the layer below",
            [
                with_dir(),
                scene.diff().hard_link(scene.at("h"), scene.via("d/keep")),
            ],
            Expect::Accepted(vec![scene.file("h", "keep"), scene.file("d/keep", "keep")]),
        ),
        draft(
            "72",
            "hard-link target through a link of the layer below",
            [
                with_link(),
                scene.diff().hard_link(scene.at("h"), scene.via("l/hello")),
            ],
            UNSAFE,
        ),
        draft(
            "26",
            "whiteout through a link of the layer below",
            [with_link(), scene.diff().file(scene.via("l/.wh.hello"), "")],
            UNSAFE,
        ),
        draft(
            "26.junction",
            "whiteout through a junction of the layer below",
            [with_link(), scene.diff().file(scene.via("j/.wh.hello"), "")],
            UNSAFE,
        ),
        draft(
            "26.opaque",
            "opaque whiteout of a link of the layer below",
            [
                with_link(),
                scene.diff().file(scene.via("l/.wh..wh..opq"), ""),
            ],
            UNSAFE,
        ),
        draft(
            "28",
            "whiteout below a dangling link",
            [with_link(), scene.diff().file(scene.via("l/sub/.wh.x"), "")],
            UNSAFE,
        ),
        draft(
            "73",
            "whiteout below a link to a file",
            [
                scene
                    .base()
                    .file(scene.at("f"), "x")
                    .symlink(scene.at("l"), "f"),
                scene.diff().file(scene.via("l/.wh.x"), ""),
            ],
            UNSAFE,
        ),
    ];
    for (id, link) in [("69", "l"), ("69.junction", "j")] {
        let path = format!("{link}/new");
        cases.push(draft(
            id,
            "file through a link of the layer below",
            [with_link(), scene.diff().file(scene.via(&path), "x")],
            UNSAFE,
        ));
    }
    for (id, target) in [("17", "C:\\Windows"), ("18", "../../etc")] {
        let diff = scene
            .diff()
            .dir_symlink(scene.at("d"), target)
            .file(scene.via("d/unbroken"), "x");
        cases.push(draft(
            id,
            "directory of the layer below replaced by a link, file through it",
            [with_dir(), diff],
            UNSAFE,
        ));
    }
    cases
}

fn harmless(scene: &Scene) -> Vec<Draft> {
    let shapes = [
        "../../../../etc",
        "..",
        "../victim",
        "/etc",
        "./..",
        "a/../../..",
        "C:\\..\\..",
        "\\\\server\\share\\x",
    ];
    let mut cases: Vec<_> = shapes
        .into_iter()
        .enumerate()
        .map(|(index, target)| {
            let tar = scene.base().dir_symlink(scene.at("l"), target);
            let expect = Expect::Accepted(vec![scene.link("l")]);
            draft(
                format!("29.shape{index}"),
                format!("a link to {target} that nothing goes through"),
                [tar],
                expect,
            )
        })
        .collect();
    let dir = || {
        scene
            .base()
            .dir(scene.at("x"))
            .file(scene.at("x/child"), "c")
    };
    let link = || scene.base().dir_symlink(scene.at("x"), "../../victim");
    let file = || scene.base().file(scene.at("x"), "f");
    let replace = |id: &str, name: &str, below: RawTar, above: RawTar, facts| {
        draft(id, name, [below, above], Expect::Accepted(facts))
    };
    let on_top = || scene.diff();
    cases.extend([
        replace(
            "33.file-link",
            "link replaces a file",
            file(),
            on_top().symlink(scene.via("x"), "../../victim/hello"),
            vec![scene.link("x")],
        ),
        replace(
            "33.link-file",
            "file replaces a link",
            link(),
            on_top().file(scene.via("x"), "new"),
            vec![scene.file("x", "new")],
        ),
        replace(
            "33.dir-link",
            "link replaces a directory",
            dir(),
            on_top().dir_symlink(scene.via("x"), "../../victim"),
            vec![scene.link("x")],
        ),
        replace(
            "33.link-dir",
            "directory replaces a link",
            link(),
            on_top().dir(scene.via("x")).file(scene.via("x/new"), "n"),
            vec![scene.directory("x"), scene.file("x/new", "n")],
        ),
        replace(
            "33.link-link",
            "link replaces a link",
            link(),
            on_top().dir_symlink(scene.via("x"), "C:\\elsewhere"),
            vec![scene.link("x")],
        ),
        draft(
            "55",
            "file replaced by a directory and back",
            [
                file(),
                on_top().dir(scene.via("x")).file(scene.via("x/child"), "c"),
                on_top().file(scene.via("x"), "again"),
            ],
            Expect::Accepted(vec![scene.file("x", "again")]),
        ),
    ]);
    cases
}
