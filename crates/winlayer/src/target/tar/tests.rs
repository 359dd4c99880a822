use proptest::prelude::*;
use winlayer_tar::{LayerItem, LayerReader, ReadOptions};

use super::*;
use crate::merge::{
    testing::*,
    tests::{layers, merged, model::Model},
};

fn merged_tar(layers: &TestLayers) -> Result<Vec<u8>> {
    let mut tar = Vec::new();
    let spool = tempfile::tempfile().unwrap();
    write_merged(layers, layers, 10_000, spool, &mut tar)?;
    Ok(tar)
}

/// The entries of a tar, one word each.
fn entries(tar: &[u8]) -> Vec<String> {
    let mut reader = LayerReader::open(io::Cursor::new(tar.to_vec()), ReadOptions::default());
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        entries.push(match entry.item {
            LayerItem::Object(object) => object.path.as_str().to_owned(),
            LayerItem::Stream(stream) => format!(":{}", stream.name),
            LayerItem::HardLink(link) => format!("{}={}", link.path.as_str(), link.target.as_str()),
            other => panic!("{other:?}"),
        });
    }
    reader.finish().unwrap();
    entries
}

#[test]
fn directories_come_first_streams_follow_owners_and_links_come_last() {
    let base = vec![
        directory("Files", 1),
        stream("of-files", "x"),
        file("Files/b", 2, "old b"),
        hard_link("Files/c", "Files/b"),
        directory("Files/d", 3),
        file("Files/d/x", 4, "x"),
        stream("s1", "1"),
        stream("s2", "2"),
    ];
    let top = vec![
        file("Files/d/e/y", 5, "y"),
        file("Files/b", 6, "new b"),
        hard_link("Files/a", "Files/b"),
    ];
    let tar = merged_tar(&TestLayers::new(&[base, top])).unwrap();
    assert_eq!(
        entries(&tar),
        [
            "Files",
            ":of-files",
            "Files/d",
            "Files/d/e",
            "Files/d/e/y",
            "Files/b",
            "Files/d/x",
            ":s1",
            ":s2",
            "Files/c",
            "Files/a=Files/b"
        ]
    );
}

#[test]
fn registry_deltas_and_whiteouts_do_not_reach_the_merged_tar() {
    let base = vec![directory("Files", 1), file("Files/a", 2, "a")];
    let hives = vec![
        directory("Hives", 3),
        file("Hives/System_Delta", 4, "regf"),
        whiteout("Files/a"),
    ];
    let layers = TestLayers::new(&[base, hives]);
    assert_eq!(entries(&merged_tar(&layers).unwrap()), ["Files"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_merged_tar_read_again_is_the_same_view(layers in layers()) {
        let (items, view) = Model::build(&layers, false);
        let layers = TestLayers::new(&items);
        let tar = merged_tar(&layers).unwrap();
        let again = merged(&TestLayers(vec![tar.clone()]), Selection::Image).unwrap();
        let mut expected = view.unwrap();
        for seen in expected.values_mut().filter(|seen| seen.mark == 0) {
            seen.mark = u64::try_from(FileTime::UNIX_EPOCH.ticks()).unwrap();
        }
        prop_assert_eq!(again, expected);
        // The order and the bytes depend on nothing but the layers.
        prop_assert_eq!(merged_tar(&layers).unwrap(), tar.clone());
        prop_assert_eq!(merged_tar(&TestLayers(vec![tar.clone()])).unwrap(), tar);
    }
}
