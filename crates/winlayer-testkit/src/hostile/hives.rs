//! Registry hives that are none, or lie where ours do.

use super::{
    Expect, Fact,
    scene::{Draft, draft},
};
use crate::RawTar;

const CONFIG: &str = "Files/Windows/System32/config";

/// A base layer up to the folder of the hives.
fn base() -> RawTar {
    let folders = ["Files/Windows", "Files/Windows/System32", CONFIG];
    let tar = RawTar::new().dir("Files").file("Files/keep", "k");
    folders.into_iter().fold(tar, RawTar::dir)
}

fn delta(name: &str, content: &[u8]) -> RawTar {
    RawTar::new()
        .dir("Files")
        .dir("Hives")
        .file(format!("Hives/{name}"), content)
}

/// What is no hive is kept as it is; nothing fails for it and nothing follows a link.
pub(super) fn cases() -> Vec<Draft> {
    let system = format!("{CONFIG}/SYSTEM");
    let whole = || base().file(&system, "no hive");
    let keep = Fact::File("Files/keep".into(), b"k".into());
    let unchanged = || {
        let file = Fact::File(system.clone(), b"no hive".into());
        Expect::Accepted(vec![keep.clone(), file])
    };
    let mut zeros = vec![0; 8192];
    zeros[..4].copy_from_slice(b"regf");
    let mut cases = Vec::new();
    for (id, name, content) in [
        ("120.empty", "a delta of no bytes", &[] as &[u8]),
        ("120.text", "a delta that is text", b"no hive"),
        (
            "120.zeros",
            "a delta with nothing in its base block",
            &zeros,
        ),
        (
            "120.short",
            "a delta that ends in its base block",
            &zeros[..100],
        ),
    ] {
        let layers = [whole(), delta("System_Delta", content)];
        cases.push(draft(id, name, layers, unchanged()));
    }
    let linked = || base().symlink(&system, "..\\..\\..\\..\\..\\victim\\hello");
    let linked_facts = vec![keep.clone(), Fact::Link(system.clone())];
    cases.extend([
        draft(
            "120.linked",
            "a hive that is a link, a delta above it",
            [linked(), delta("System_Delta", b"no hive")],
            Expect::Accepted(linked_facts),
        ),
        draft(
            "120.own",
            "a file named as the platform names its hives",
            [whole(), delta("SYSTEM_BASE", b"theirs")],
            Expect::RefusedOr(vec![keep.clone()]),
        ),
        draft(
            "120.own-directory",
            "a directory named as the platform names its hives",
            [
                whole(),
                RawTar::new()
                    .dir("Files")
                    .dir("Hives")
                    .dir("Hives/System_Base"),
            ],
            Expect::RefusedOr(vec![keep]),
        ),
    ]);
    cases
}
