//! Seeds of the fuzz targets.
#![allow(clippy::expect_used, reason = "helpers of tests, not of a library")]

use winlayer_hive::{HiveTree, ValueData};

use super::crashed;

/// A fuzz target: its name, its oracle and its seeds.
pub(crate) type Target = (&'static str, fn(&[u8]), Vec<Vec<u8>>);

/// All fuzz targets of the crate.
pub(crate) fn targets() -> Vec<Target> {
    let (file, log) = crashed(&full(), &full());
    let crashed = [file, log].concat();
    let [empty, full, delta] = [HiveTree::new("empty"), full(), delta()]
        .map(|tree| tree.to_bytes().expect("a sound tree"));
    vec![
        (
            "hive_read",
            super::oracle::hive_read,
            vec![empty.clone(), full.clone(), delta.clone(), crashed],
        ),
        (
            "hive_merge",
            super::oracle::hive_merge,
            vec![
                [&*full, &padded(&delta, full.len())].concat(),
                [&*full, &padded(&empty, full.len())].concat(),
            ],
        ),
    ]
}

/// Bytes after the last bin do not count.
fn padded(file: &[u8], length: usize) -> Vec<u8> {
    let mut file = file.to_vec();
    file.resize(length.max(file.len()), 0);
    file
}

fn full() -> HiveTree {
    let mut tree = HiveTree::new("full");
    let key = tree.root_mut().create(r"Microsoft\Windows").expect("names");
    key.set("", ValueData::string("default")).expect("a name");
    key.set("Großes", ValueData::binary(vec![7; 17_000]))
        .expect("a name");
    key.set("n", ValueData::dword(1)).expect("a name");
    key.set_class("class");
    for index in 0..20 {
        let path = format!(r"Services\漢 {index}");
        let key = tree.root_mut().create(&path).expect("names");
        key.set("ImagePath", ValueData::expand_string("%SystemRoot%"))
            .expect("a name");
    }
    tree
}

fn delta() -> HiveTree {
    let mut tree = HiveTree::delta("delta");
    let root = tree.root_mut();
    let key = root.create(r"Microsoft\Windows").expect("names");
    key.delete_value("N").expect("a name");
    key.set("new", ValueData::multi_string(&["a", "b"]))
        .expect("a name");
    root.delete_key(r"Services\漢 3").expect("names");
    root.create(r"Services\漢 4").expect("names").replace_tree();
    root.create("Added")
        .expect("names")
        .replace_tree()
        .create("Below")
        .expect("names");
    tree
}
