//! Layer folders laid over each other, tombstones applied, are what the merge sees; so are volumes, and the disks of layers.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
};

use proptest::prelude::*;
use winlayer_digest::DiffId;
use winlayer_metadata::{
    FileTime,
    backup_stream::{BackupStreamReader, StreamId},
};

use super::*;
use crate::{
    merge::{
        Selection,
        testing::TestLayers,
        tests::{
            layers, merged,
            model::{Model, Seen},
        },
    },
    target::folder::{LineKind, Tombstones, read_index, sidecar},
    testing::image_of_tars,
};

/// Upper-case path below `Files` to what lies there.
type View = BTreeMap<String, Seen>;

fn view_of(chain: &[crate::ChainLink]) -> View {
    let mut view = View::new();
    for link in chain.iter().rev() {
        let folder = winlayer_sys::Dir::open_ambient(&link.path).unwrap();
        let tombstones = Tombstones::read(&folder).unwrap();
        view.retain(|path, _| !tombstones.hide(path));
        let mut lines = BTreeMap::new();
        read_index(&folder, |line| {
            let path = line.path.to_string();
            let up = path.to_ascii_uppercase();
            if line.kind != LineKind::SideFile && (up == "FILES" || up.starts_with("FILES/")) {
                lines.insert(up, (path, line.kind));
            }
            Ok(())
        })
        .unwrap();
        for (up, (path, kind)) in lines {
            let directory = kind == LineKind::Directory;
            let stays = directory && view.get(&up).is_some_and(|there| there.directory);
            if !stays {
                let below = format!("{up}/");
                view.retain(|name, _| !name.starts_with(&below));
            }
            view.insert(up, staged(&link.path, &path, directory));
        }
    }
    view
}

fn staged(folder: &Path, path: &str, directory: bool) -> Seen {
    let name = if directory {
        sidecar(path)
    } else {
        path.to_owned()
    };
    let file = folder.join(name);
    let written = fs::metadata(&file).unwrap().modified().unwrap();
    let since_1970 = written.duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut seen = Seen::implicit();
    // A directory that no layer describes has the epoch.
    if !since_1970.is_zero() {
        seen.mark = (since_1970.as_nanos() / 100) as u64 + FileTime::UNIX_EPOCH.ticks() as u64;
    }
    seen.directory = directory;
    let bytes = fs::read(file).unwrap();
    let mut records = BackupStreamReader::new(&bytes[4..]);
    while let Some(header) = records.next_record().unwrap() {
        let mut text = String::new();
        match header.id {
            StreamId::Data => drop(records.read_to_string(&mut seen.content).unwrap()),
            StreamId::AlternateData => {
                records.read_to_string(&mut text).unwrap();
                let name = header.stream_name().unwrap();
                seen.streams.push(format!("{name}={text}"));
            }
            _ => {}
        }
    }
    seen
}

/// What a sound volume has.
fn view_of_volume(mut device: impl io::Read + io::Seek) -> View {
    let mut findings = Vec::new();
    let mut note = |finding: winlayer_ntfs::Finding| findings.push(finding.to_string());
    winlayer_ntfs::verify(&mut device, &mut note).unwrap();
    assert_eq!(findings, Vec::<String>::new());
    let mut volume = winlayer_ntfs::Volume::open(device).unwrap();
    let mut view = View::new();
    let root = volume.root();
    walk(&mut volume, root, "FILES", &mut view);
    view
}

/// The volume of a disk.
fn partition(disk: &Path) -> impl io::Read + io::Seek {
    let mut disk = winlayer_vhdx::open_chain(disk).unwrap();
    let table = winlayer_vhdx::gpt::Gpt::read(&mut disk).unwrap();
    let data = table.find(winlayer_vhdx::gpt::BASIC_DATA).unwrap();
    winlayer_vhdx::Partition::new(disk, data.offset, data.length).unwrap()
}

fn walk<D: io::Read + io::Seek>(
    volume: &mut winlayer_ntfs::Volume<D>,
    at: winlayer_ntfs::FileReference,
    path: &str,
    view: &mut View,
) {
    let object = volume.object(at).unwrap();
    let mut seen = Seen::implicit();
    let written = object.times.written;
    if written != FileTime::UNIX_EPOCH {
        seen.mark = written.ticks() as u64;
    }
    seen.directory = object.kind == winlayer_ntfs::ObjectKind::Directory;
    for stream in &object.streams {
        let mut text = String::new();
        volume
            .stream(&object, &stream.name)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        match stream.name.as_str() {
            "" => seen.content = text,
            name => seen.streams.push(format!("{name}={text}")),
        }
    }
    if seen.directory {
        for entry in volume.read_dir(at).unwrap() {
            let is_of_volume = entry.name == "." || entry.name.starts_with('$');
            if !is_of_volume {
                let path = format!("{path}/{}", entry.name.to_ascii_uppercase());
                walk(volume, entry.reference, &path, view);
            }
        }
    }
    view.insert(path.to_owned(), seen);
}

fn disk_target(per_layer: bool) -> Target {
    let disk = crate::DiskOptions {
        size: Some(48 << 20),
        ..crate::DiskOptions::default()
    };
    match per_layer {
        true => Target::LayerDisks(disk),
        false => Target::Ntfs(disk),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(windows) { 6 } else { 60 }, ..ProptestConfig::default() })]

    #[test]
    fn folders_tell_the_same_story_as_the_merge(layers in layers(), hostile in prop::bool::weighted(0.3)) {
        let (items, _) = Model::build(&layers, hostile);
        let tars = TestLayers::new(&items);
        let expected = merged(&tars, Selection::Files);
        let place = Place::new();
        let diff_ids: Vec<_> = tars.0.iter().map(|tar| DiffId::new(Digest::of(tar))).collect();
        let image = image_of_tars(&place.folder.path().join("image"), &tars.0, &diff_ids);
        let found = place.unpack_image(&image).map(|unpacked| view_of(&unpacked.chain));
        match (expected, found) {
            (Ok(expected), Ok(found)) => prop_assert_eq!(found, expected, "{:#?}", items),
            (Err(error), Ok(_)) => prop_assert!(false, "only the merge refuses: {error}\n{items:#?}"),
            (Ok(_), Err(error)) => prop_assert!(false, "only the folder refuses: {}\n{items:#?}", messages(&error)),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn volumes_tell_the_same_story_as_the_merge(
        layers in layers(),
        hostile in prop::bool::weighted(0.3),
        per_layer: bool,
    ) {
        let (items, _) = Model::build(&layers, hostile);
        let tars = TestLayers::new(&items);
        let expected = merged(&tars, Selection::Files);
        let place = Place::new();
        let diff_ids: Vec<_> = tars.0.iter().map(|tar| DiffId::new(Digest::of(tar))).collect();
        let image = image_of_tars(&place.folder.path().join("image"), &tars.0, &diff_ids);
        let options = UnpackOptions::new(disk_target(per_layer));
        let unpacked = unpack_windows_image(&image, &place.store(), &options);
        let found = unpacked.map(|unpacked| match unpacked.chain.first() {
            Some(top) => {
                let disk = top.path.join(crate::target::disk::LAYER_DISK);
                view_of_volume(partition(&disk))
            }
            None => view_of_volume(fs::File::open(&unpacked.root).unwrap()),
        });
        match (expected, found) {
            (Ok(expected), Ok(found)) => prop_assert_eq!(found, expected, "{:#?}", items),
            // Disks of layers hold nothing of the utility VM.
            (Err(error), Ok(_)) if per_layer && error.to_string().contains("UtilityVM") => {}
            (Err(error), Ok(_)) => prop_assert!(false, "only the merge refuses: {error}\n{items:#?}"),
            (Ok(_), Err(error)) if per_layer && messages(&error).contains("hold only Files") => {}
            (Ok(_), Err(error)) => prop_assert!(false, "only the volume refuses: {}\n{items:#?}", messages(&error)),
            (Err(_), Err(_)) => {}
        }
    }
}
