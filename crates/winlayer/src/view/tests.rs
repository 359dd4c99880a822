use winlayer_image::Image;
use winlayer_tar::Limits;

use super::*;
use crate::{
    ErrorKind, InspectOptions, Target, UnpackOptions, inspect, testing::*, unpack_windows_image,
};

fn sample(folder: &std::path::Path) -> Image {
    let mut base = vec![
        dir("Files"),
        dir("Files/Windows"),
        file("Files/Windows/a.txt", "first a"),
        stream("Zone.Identifier", "[ZoneTransfer]"),
        hard_link("Files/Windows/b.txt", "Files/Windows/a.txt"),
        junction("Files/link"),
    ];
    base.append(&mut utility_vm());
    let top = vec![
        dir("Files"),
        file("Files/Windows/c.txt", "c"),
        hard_link("Files/Windows/d.txt", "Files/Windows/b.txt"),
        whiteout("Files/Windows/a.txt"),
        dir("Hives"),
        file("Hives/System_Delta", "regf"),
    ];
    image(folder, &[base, top])
}

fn names(image: &Image, path: Option<&str>, layer: Option<usize>, recursive: bool) -> Vec<String> {
    let listed = list(image, path, layer, recursive, &Limits::default()).unwrap();
    let describe =
        |object: ListedObject| format!("{} {} {}", object.layer, object.kind, object.path);
    listed.into_iter().map(describe).collect()
}

fn content(image: &Image, path: &str, layer: Option<usize>) -> crate::Result<String> {
    let mut out = Vec::new();
    cat(image, path, layer, &Limits::default(), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn lists_the_merged_view_and_single_layers() {
    let folder = tempfile::tempdir().unwrap();
    let image = sample(folder.path());
    assert_eq!(
        names(&image, Some(r"c:\WINDOWS"), None, false),
        [
            "1 file Files/Windows/b.txt",
            "2 file Files/Windows/c.txt",
            "2 file Files/Windows/d.txt"
        ]
    );
    assert_eq!(
        names(&image, None, None, false),
        ["2 directory Files", "1 directory UtilityVM"]
    );
    assert_eq!(
        names(&image, Some("link"), None, false),
        ["1 junction Files/link"]
    );
    assert_eq!(
        names(&image, None, Some(2), true),
        [
            "2 directory Files",
            "2 whiteout Files/Windows/a.txt",
            "2 file Files/Windows/c.txt",
            "2 hard_link Files/Windows/d.txt",
            "2 directory Hives",
            "2 file Hives/System_Delta"
        ]
    );
    assert_eq!(
        names(&image, Some("utilityvm/files"), None, true).len(),
        utility_vm().len() - 2
    );
}

#[test]
fn prints_files_streams_and_hard_links() {
    let folder = tempfile::tempdir().unwrap();
    let image = sample(folder.path());
    assert_eq!(content(&image, "Windows/C.TXT", None).unwrap(), "c");
    assert_eq!(
        content(&image, r"C:\Windows\b.txt", None).unwrap(),
        "first a"
    );
    assert_eq!(content(&image, "Windows/d.txt", None).unwrap(), "first a");
    assert_eq!(
        content(&image, "Windows/b.txt:zone.identifier", None).unwrap(),
        "[ZoneTransfer]"
    );
    assert_eq!(
        content(&image, "Windows/a.txt", Some(1)).unwrap(),
        "first a"
    );
    assert_eq!(
        content(&image, "Hives/System_Delta", Some(2)).unwrap(),
        "regf"
    );
}

#[test]
fn says_why_something_cannot_be_printed() {
    let folder = tempfile::tempdir().unwrap();
    let image = sample(folder.path());
    let error = |path: &str, layer| content(&image, path, layer).unwrap_err();
    for (path, layer) in [
        ("Windows/a.txt", None),
        ("Windows/c.txt:s", None),
        ("Hives/System_Delta", None),
        ("Windows/c.txt", Some(1)),
        ("Windows/c.txt", Some(3)),
    ] {
        assert_eq!(error(path, layer).kind(), ErrorKind::NotFound, "{path}");
    }
    assert!(format!("{:?}", error("Windows", None)).contains("is a directory"));
    assert!(format!("{:?}", error("link", None)).contains("link to"));
    assert!(
        error("Windows/d.txt", Some(2))
            .to_string()
            .contains("lower layer")
    );
}

#[test]
fn inspect_counts_what_is_in_a_layer() {
    let folder = tempfile::tempdir().unwrap();
    let image = sample(folder.path());
    let contents = InspectOptions {
        contents: true,
        ..InspectOptions::default()
    };
    let facts = inspect(&image, &contents, None).unwrap();
    let [base, top] = facts.layers.as_slice() else {
        panic!("{facts:?}");
    };
    let (base, top) = (
        base.contents.as_ref().unwrap(),
        top.contents.as_ref().unwrap(),
    );
    assert!(base.utility_vm && !top.utility_vm);
    assert_eq!((base.streams, base.hard_links, base.links), (1, 1, 1));
    assert_eq!((top.whiteouts, top.hard_links, top.files), (1, 1, 2));
    assert_eq!(top.hives, ["System_Delta"]);
    let facts = inspect(&image, &InspectOptions::default(), None).unwrap();
    assert!(facts.layers.iter().all(|layer| layer.contents.is_none()));
}

#[test]
fn unpacks_to_a_tree_and_to_tars() {
    let folder = tempfile::tempdir().unwrap();
    let image = sample(&folder.path().join("image"));
    let to = |name: &str, target| {
        let root = folder.path().join(name);
        let unpacked = unpack_windows_image(&image, &root, &UnpackOptions::new(target)).unwrap();
        (root, unpacked)
    };
    let (tree, unpacked) = to(
        "tree",
        Target::Tree {
            metadata: None,
            utility_vm: false,
        },
    );
    assert_eq!(
        std::fs::read(tree.join("Windows/d.txt")).unwrap(),
        b"first a"
    );
    assert_eq!(unpacked.layers.len(), 2);
    assert!(
        unpacked
            .warnings
            .iter()
            .any(|warning| warning.contains("layer 2: Hives/System_Delta: not merged"))
    );
    let (tree, _) = to(
        "uvm",
        Target::Tree {
            metadata: None,
            utility_vm: true,
        },
    );
    assert_eq!(std::fs::read(tree.join("ntdll.dll")).unwrap(), b"code");
    let (merged, _) = to("merged.tar", Target::Tar { layer: None });
    let (again, _) = to("again.tar", Target::Tar { layer: None });
    assert_eq!(
        std::fs::read(merged).unwrap(),
        std::fs::read(again).unwrap()
    );
    let (layer, unpacked) = to("layer.tar", Target::Tar { layer: Some(2) });
    let written = winlayer_digest::Digest::of(&std::fs::read(layer).unwrap()).to_string();
    // The test's layers are canonical, so encoding them again changes nothing.
    assert_eq!(unpacked.layers[0].diff_id, written);
}
