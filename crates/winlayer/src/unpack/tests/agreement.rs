//! Layer folders laid over each other, tombstones applied, are what the merge sees.

use std::{collections::BTreeMap, io::Read as _};

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
}
