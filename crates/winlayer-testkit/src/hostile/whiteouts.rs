//! Deletion markers where they must not be, and what right ones do.

use super::{
    Expect, Fact,
    scene::{Draft, EITHER, Scene, draft},
};
use crate::{RawEntry, RawTar};

pub(super) fn cases(scene: &Scene) -> Vec<Draft> {
    [invalid(scene), valid(scene)].concat()
}

fn lower(scene: &Scene) -> RawTar {
    scene
        .base()
        .dir(scene.at("etc"))
        .file(scene.at("etc/keep"), "keep")
        .file(scene.at("etc/Old"), "old")
        .symlink(scene.at("link"), "etc\\keep")
}

fn invalid(scene: &Scene) -> Vec<Draft> {
    let mut cases = Vec::new();
    let markers = [
        ("21", ".wh..."),
        ("22", "etc/.wh..."),
        ("23", ".wh.."),
        ("24", "etc/.wh.."),
        ("60", ".wh."),
        ("60.below", "etc/.wh."),
        ("60.aufs", "etc/.wh..wh.plnk"),
        ("60.aufs-orph", "etc/.wh..wh.orph"),
    ];
    for (id, marker) in markers {
        for (kind, typeflag) in [("", b'0'), (".dir", b'5'), (".link", b'2'), (".hard", b'1')] {
            let entry = RawEntry::new(typeflag, scene.at(marker)).link(
                if typeflag == b'0' || typeflag == b'5' {
                    ""
                } else {
                    "x"
                },
            );
            let layers = [lower(scene), scene.diff().entry(entry)];
            cases.push(draft(
                format!("{id}{kind}"),
                format!("whiteout {marker} of type {}", char::from(typeflag)),
                layers,
                EITHER,
            ));
        }
    }
    let in_base = |marker: &str| lower(scene).file(scene.at(marker), "");
    cases.extend([
        draft(
            "29",
            "whiteout by a path with ..",
            [
                lower(scene),
                scene.diff().file(scene.at("dne/../.wh.etc"), ""),
            ],
            EITHER,
        ),
        draft(
            "82.base",
            "whiteout in a base layer",
            [in_base("etc/.wh.keep")],
            EITHER,
        ),
        draft(
            "82.base-opaque",
            "opaque whiteout in a base layer",
            [in_base("etc/.wh..wh..opq")],
            EITHER,
        ),
        draft(
            "82.base-dir",
            "whiteout that is a directory in a base layer",
            [lower(scene).dir(scene.at("etc/.wh.keep"))],
            EITHER,
        ),
    ]);
    for (id, marker) in [
        ("tree", ".wh.Files"),
        ("other-case", ".wh.fILES"),
        ("hives", "Hives/.wh.System_Delta"),
        ("hives-opaque", "Hives/.wh..wh..opq"),
        ("uvm", ".wh.UtilityVM"),
        ("uvm-files", "UtilityVM/.wh.Files"),
        ("root-opaque", ".wh..wh..opq"),
        ("layer-json", ".wh.layer.json"),
    ] {
        let layers = [lower(scene), scene.diff().file(marker, "")];
        cases.push(
            draft(
                format!("82.{id}"),
                format!("whiteout {marker}"),
                layers,
                EITHER,
            )
            .only_as_written(),
        );
    }
    if scene.utility_vm {
        let layers = [
            lower(scene),
            scene.diff().file(scene.at("etc/.wh.none"), ""),
        ];
        cases.push(draft(
            "83",
            "whiteout of nothing in the utility VM",
            layers,
            EITHER,
        ));
    }
    cases
}

fn valid(scene: &Scene) -> Vec<Draft> {
    let on_lower = |id: &str, name: &str, upper: RawTar, facts: Vec<Fact>| {
        draft(id, name, [lower(scene), upper], Expect::Accepted(facts))
    };
    let etc = || scene.diff().dir(scene.at("etc"));
    let mut cases = vec![
        on_lower(
            "25",
            "whiteout of a link leaves its target",
            scene.diff().file(scene.at(".wh.link"), ""),
            vec![scene.missing("link"), scene.file("etc/keep", "keep")],
        ),
        on_lower(
            "74",
            "whiteout of a file",
            etc().file(scene.via("etc/.wh.Old"), ""),
            vec![scene.missing("etc/Old"), scene.file("etc/keep", "keep")],
        ),
        on_lower(
            "114.whiteout",
            "whiteout in the other case",
            etc().file(scene.at("etc/.wh.oLD"), ""),
            vec![scene.missing("etc/Old")],
        ),
        on_lower(
            "27.dir",
            "whiteout of a directory",
            scene.diff().file(scene.at(".wh.etc"), ""),
            vec![scene.missing("etc/keep"), scene.missing("etc")],
        ),
        on_lower(
            "27.body",
            "whiteout with a body, which is skipped",
            etc().file(scene.at("etc/.wh.Old"), "junk"),
            vec![scene.missing("etc/Old")],
        ),
        on_lower(
            "64.after",
            "an entry wins over a whiteout of its name, whiteout last",
            etc()
                .file(scene.at("etc/Old"), "new")
                .file(scene.at("etc/.wh.Old"), ""),
            vec![scene.file("etc/Old", "new")],
        ),
        on_lower(
            "64.before",
            "an entry wins over a whiteout of its name, whiteout first",
            etc()
                .file(scene.at("etc/.wh.Old"), "")
                .file(scene.at("etc/Old"), "new"),
            vec![scene.file("etc/Old", "new")],
        ),
        on_lower(
            "64.dir",
            "a directory and a whiteout of its name hide what was in it",
            scene
                .diff()
                .file(scene.at(".wh.etc"), "")
                .dir(scene.at("etc"))
                .file(scene.at("etc/new"), "n"),
            vec![
                scene.file("etc/new", "n"),
                scene.missing("etc/keep"),
                scene.missing("etc/Old"),
            ],
        ),
        on_lower(
            "64.opaque",
            "an opaque whiteout hides the layers below, wherever it stands",
            etc()
                .file(scene.at("etc/one"), "1")
                .file(scene.via("etc/.wh..wh..opq"), "")
                .file(scene.at("etc/two"), "2"),
            vec![
                scene.file("etc/one", "1"),
                scene.file("etc/two", "2"),
                scene.missing("etc/keep"),
                scene.missing("etc/Old"),
            ],
        ),
        on_lower(
            "77",
            "a read-only file is replaced",
            etc().entry(RawEntry::file(scene.at("etc/keep"), "new").attributes(1)),
            vec![scene.file("etc/keep", "new")],
        ),
    ];
    if !scene.utility_vm {
        cases.extend([
            on_lower(
                "83",
                "whiteout of nothing",
                scene.diff().file(scene.at(".wh.none"), ""),
                vec![scene.file("etc/keep", "keep")],
            ),
            on_lower(
                "27",
                "a directory name that looks like a whiteout",
                scene.diff().file(scene.at(".wh.etc/some"), "s"),
                vec![
                    scene.file(".wh.etc/some", "s"),
                    scene.file("etc/keep", "keep"),
                ],
            ),
        ]);
    }
    let dated = scene
        .base()
        .entry(RawEntry::dir(scene.at("d")).mtime(1_000_000_000))
        .file(scene.at("d/f"), "x");
    let layers = [dated, scene.diff().file(scene.at("d/.wh.f"), "")];
    let facts = vec![
        scene.missing("d/f"),
        Fact::Modified(scene.fact("d"), 1_000_000_000),
    ];
    cases.push(draft(
        "63",
        "a whiteout leaves the directory's time alone",
        layers,
        Expect::Accepted(facts),
    ));
    cases
}
