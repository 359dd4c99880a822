//! A link to what lies beside the destination, and what is then tried with it.

use super::{
    Expect,
    scene::{Draft, EITHER, Scene, UNSAFE, draft},
};
use crate::RawTar;

pub(super) fn cases(scene: &Scene) -> Vec<Draft> {
    [
        by_hard_link(scene),
        by_symlink(scene),
        by_hard_link_to_symlink(scene),
        hard_links_and_symlinks(scene),
    ]
    .concat()
}

/// What comes after a loophole, in the order of the peers' tests.
struct Then {
    file_below: RawTar,
    symlink_through: RawTar,
    hard_link_through: RawTar,
    file_in_its_place: RawTar,
}

impl Then {
    /// `tar` has made the loophole.
    fn after(tar: &RawTar, scene: &Scene) -> Self {
        Self {
            file_below: tar.clone().file(scene.via("loophole/file"), "x"),
            symlink_through: tar.clone().symlink(scene.at("s"), "loophole/hello"),
            hard_link_through: tar
                .clone()
                .hard_link(scene.at("h"), scene.via("loophole/hello")),
            file_in_its_place: tar.clone().file(scene.via("loophole"), "x"),
        }
    }
}

/// The loophole itself leads out of the layer.
fn by_hard_link(scene: &Scene) -> Vec<Draft> {
    let tar = scene.base().hard_link(scene.at("loophole"), "../victim");
    let then = Then::after(&tar, scene);
    let refused = |id: &str, what: &str, tar| {
        draft(id, format!("hard link to ../victim, {what}"), [tar], UNSAFE)
    };
    vec![
        refused("39.below", "then a file below it", then.file_below),
        refused("40", "then a symlink through it", then.symlink_through),
        refused("41", "then a hard link through it", then.hard_link_through),
        refused("42", "then a file in its place", then.file_in_its_place),
        draft(
            "42.inside",
            "hard link inside, then a file in its place",
            [scene
                .base()
                .file(scene.at("a"), "a")
                .hard_link(scene.at("loophole"), scene.via("a"))
                .file(scene.via("loophole"), "x")],
            EITHER,
        ),
    ]
}

/// The loophole is kept as what it is; nothing may go through it.
fn by_symlink(scene: &Scene) -> Vec<Draft> {
    let alone = |id: &str, target: &str| {
        draft(
            id,
            format!("symlink to {target} that nothing goes through"),
            [scene.base().symlink(scene.at("l"), target)],
            Expect::Accepted(vec![scene.link("l")]),
        )
    };
    let tar = scene
        .base()
        .dir_symlink(scene.at("loophole"), "../../victim");
    let then = Then::after(&tar, scene);
    vec![
        alone("43", "../../victim/hello"),
        alone("44", "/../victim/hello"),
        draft(
            "46",
            "symlink to ../../victim, then a symlink through it",
            [then.symlink_through],
            Expect::Accepted(vec![scene.link("loophole"), scene.link("s")]),
        ),
        draft(
            "47",
            "symlink to ../../victim, then a hard link through it",
            [then.hard_link_through],
            UNSAFE,
        ),
        draft(
            "48",
            "symlink to ../../victim, then a file in its place",
            [then.file_in_its_place],
            EITHER,
        ),
        draft(
            "48.file",
            "symlink to ../../victim/hello, then a file in its place",
            [scene
                .base()
                .symlink(scene.at("loophole"), "../../victim/hello")
                .file(scene.via("loophole"), "x")],
            EITHER,
        ),
    ]
}

/// The loophole is a second name of a symlink that leads out, which a symlink to a file may have.
fn by_hard_link_to_symlink(scene: &Scene) -> Vec<Draft> {
    let tar = scene
        .base()
        .symlink(scene.at("l"), "../../victim")
        .hard_link(scene.at("loophole"), scene.via("l"));
    let then = Then::after(&tar, scene);
    let case = |id: &str, what: &str, tar, expect| {
        let name = format!("hard link to a symlink to ../../victim, {what}");
        draft(id, name, [tar], expect)
    };
    let links = ["l", "loophole", "s"].map(|path| scene.link(path)).into();
    vec![
        case("39.link", "then a file below it", then.file_below, UNSAFE),
        case(
            "40.link",
            "then a symlink through it",
            then.symlink_through,
            Expect::Accepted(links),
        ),
        case(
            "41.link",
            "then a hard link through it",
            then.hard_link_through,
            UNSAFE,
        ),
        case(
            "42.link",
            "then a file in its place",
            then.file_in_its_place,
            EITHER,
        ),
    ]
}

fn hard_links_and_symlinks(scene: &Scene) -> Vec<Draft> {
    let etc = || {
        scene
            .base()
            .dir(scene.at("etc"))
            .file(scene.at("etc/passwd"), "inside")
    };
    let through = format!("/{}", scene.via("localetc/passwd"));
    vec![
        draft(
            "8",
            "absolute hard-link target through a symlink to /etc",
            [etc()
                .dir_symlink(scene.at("localetc"), "/etc")
                .hard_link(scene.at("passwd"), through)],
            UNSAFE,
        ),
        draft(
            "8.tree",
            "hard-link target /localetc/passwd, with a symlink of that name to /etc",
            [etc()
                .dir_symlink(scene.at("localetc"), "/etc")
                .hard_link(scene.at("passwd"), "/localetc/passwd")],
            UNSAFE,
        ),
        draft(
            "32",
            "hard link to a relative symlink that leads outside",
            [etc()
                .symlink(scene.at("l"), "../../../../../etc/passwd")
                .hard_link(scene.at("h"), scene.via("l"))],
            Expect::Accepted(vec![
                scene.link("l"),
                scene.link("h"),
                scene.file("etc/passwd", "inside"),
            ]),
        ),
    ]
}
