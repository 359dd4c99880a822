use winlayer_digest::Digest;
use winlayer_sys::Dir;
use winlayer_tar::{ItemReader, LayerItem, ReadOptions};

use super::*;
use crate::{
    Target, UnpackOptions,
    target::folder::Tombstones,
    testing::{
        Item, dir, file, hard_link, image, junction, opaque, stream, tar, utility_vm, whiteout,
    },
    unpack_windows_image,
};

fn unpack(folder: &std::path::Path, layers: &[Vec<Item>]) -> std::path::PathBuf {
    let image = image(&folder.join("image"), layers);
    let options = UnpackOptions::new(Target::Folder);
    let unpacked = unpack_windows_image(&image, &folder.join("store"), &options).unwrap();
    unpacked.chain[0].path.clone()
}

/// The transport format in a folder: `Files` framed, and what `tombstones.txt` lists.
fn export_transport(dir: &Dir, deletions: &[String]) -> Result<Vec<u8>> {
    let mut exporter = Exporter::new(Vec::new(), deletions)?;
    let source = TransportSource::new(dir);
    for tree in ["Files", "Hives", "UtilityVM"] {
        if dir.stat(tree)?.is_some() {
            let skip: &dyn Fn(&str) -> bool = &is_recycle_bin;
            exporter.tree(
                &source,
                tree,
                &TreeOptions {
                    skip,
                    ..TreeOptions::default()
                },
            )?;
        }
    }
    exporter.finish()
}

fn export(layer: &std::path::Path) -> Vec<u8> {
    let dir = Dir::open_ambient(layer).unwrap();
    let deletions = Tombstones::list(&dir).unwrap();
    export_transport(&dir, &deletions).unwrap()
}

/// Items without their times, and the bodies: Wine does not keep all four times.
pub(crate) fn contents(tar: &[u8]) -> Vec<(LayerItem, Vec<u8>)> {
    let mut reader = ItemReader::new(tar, ReadOptions::default());
    let mut contents = Vec::new();
    while let Some(mut entry) = reader.next_entry().unwrap() {
        let mut item = entry.item.clone();
        match &mut item {
            LayerItem::Object(object) => object.metadata.times = FileTimes::default(),
            LayerItem::HardLink(link) => link.metadata.times = FileTimes::default(),
            _ => {}
        }
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut entry.body, &mut body).unwrap();
        contents.push((item, body));
    }
    contents
}

/// Short, because tars are not readable.
#[track_caller]
fn assert_same(exported: &[u8], expected: &[u8]) {
    assert_eq!(names(exported), names(expected));
    assert!(contents(exported) == contents(expected));
    if cfg!(not(windows)) {
        assert_eq!(Digest::of(exported), Digest::of(expected));
    }
}

fn names(tar: &[u8]) -> Vec<String> {
    let mut reader = ItemReader::new(tar, ReadOptions::default());
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(match entry.item {
            LayerItem::Object(object) => object.path.to_string(),
            LayerItem::Stream(stream) => format!(":{}", stream.name),
            LayerItem::HardLink(link) => format!("{} = {}", link.path, link.target),
            LayerItem::Whiteout(path) => format!("-{path}"),
            LayerItem::OpaqueWhiteout(path) => format!("-{path}/*"),
        });
    }
    names
}

fn layer() -> Vec<Item> {
    vec![
        dir("Files"),
        file("Files/a.txt", "hi"),
        stream("s", "abc"),
        stream("t", ""),
        dir("Files/d"),
        whiteout("Files/d/gone"),
        file("Files/d/x", "x"),
        hard_link("Files/d/y", "Files/a.txt"),
        dir("Files/e"),
        junction("Files/j"),
        dir("Hives"),
        file("Hives/System_Delta", "registry"),
    ]
}

#[test]
fn a_tar_in_the_order_of_an_export_comes_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let base = vec![dir("Files"), dir("Files/d"), file("Files/d/gone", "")];
    let exported = export(&unpack(folder.path(), &[base, layer()]));
    assert_same(&exported, &tar(&layer()));
}

#[test]
fn what_is_exported_unpacks_to_the_same_layer() {
    let folder = tempfile::tempdir().unwrap();
    let base = vec![dir("Files"), dir("Files/d"), file("Files/d/gone", "")];
    let mut items = layer();
    items.push(file("Files/z/without/entry", "z"));
    items.push(whiteout("Files/nowhere/else"));
    items.push(opaque("Files/d"));
    items.extend(utility_vm());
    let first = export(&unpack(folder.path(), &[base.clone(), items]));
    let again = tempfile::tempdir().unwrap();
    let image = crate::testing::image_of_tars(
        &again.path().join("image"),
        &[tar(&base), first.clone()],
        &[&tar(&base), &first].map(|tar| winlayer_digest::DiffId::new(Digest::of(tar))),
    );
    let options = UnpackOptions::new(Target::Folder);
    let unpacked = unpack_windows_image(&image, &again.path().join("store"), &options).unwrap();
    assert_same(&export(&unpacked.chain[0].path), &first);
}

#[test]
fn the_recycle_bin_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let layer = unpack(
        folder.path(),
        &[vec![
            dir("Files"),
            dir("Files/$RECYCLE.BIN"),
            file("Files/$RECYCLE.BIN/x", ""),
            dir("Files/$Recycle.Bin2"),
        ]],
    );
    assert_eq!(names(&export(&layer)), ["Files", "Files/$Recycle.Bin2"]);
}
