use proptest::prelude::*;
use zerocopy::FromBytes;

use super::*;
use crate::{
    HiveTree, KeyLayer, TreeKey, ValueData,
    format::{BinHeader, KeySecurity, KeyValue, PAGE},
};

const TICKS: u64 = 132_223_104_001_234_567;

fn base_block(file: &[u8]) -> BaseBlock {
    BaseBlock::read_from_prefix(file).unwrap().0
}

/// The content of the cell at `offset`, which must be in use.
fn cell(file: &[u8], offset: u32) -> &[u8] {
    let at = PAGE + offset as usize;
    let size = i32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert!(size < 0, "cell {offset:#x} is free");
    &file[at + 4..at + size.unsigned_abs() as usize]
}

fn record<T: FromBytes>(file: &[u8], offset: u32) -> T {
    T::read_from_prefix(cell(file, offset)).unwrap().0
}

/// Every cell of every bin: offset and size, negative when in use. Fails unless bins fill the file
/// and cells fill their bins.
fn all_cells(file: &[u8]) -> Vec<(u32, i32)> {
    let mut cells = Vec::new();
    let mut bin = PAGE;
    while bin < file.len() {
        let header = BinHeader::read_from_prefix(&file[bin..]).unwrap().0;
        assert_eq!(header.signature, *b"hbin");
        assert_eq!(header.offset.get() as usize, bin - PAGE);
        let end = bin + header.size.get() as usize;
        let mut at = bin + 32;
        while at < end {
            let size = i32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            assert!(
                size != 0 && size % 8 == 0,
                "cell at {at:#x} has size {size}"
            );
            cells.push(((at - PAGE) as u32, size));
            at += size.unsigned_abs() as usize;
        }
        assert_eq!(at, end, "cells fill their bin");
        bin = end;
    }
    assert_eq!(bin, file.len());
    cells
}

#[test]
fn an_empty_hive_has_8192_bytes() {
    let file = HiveTree::new("SAM").to_bytes().unwrap();
    assert_eq!(file.len(), 8192);
    let base = base_block(&file);
    assert_eq!(base.root_cell.get(), 0x20);
    assert_eq!(base.bins_size.get(), 4096);
    let root: KeyNode = record(&file, 0x20);
    assert_eq!(root.flags.get(), 0x2C);
    assert_eq!(
        [
            root.subkey_list,
            root.value_list,
            root.class,
            root.volatile_list
        ]
        .map(|at| at.get()),
        [NIL; 4]
    );
    let security: KeySecurity = record(&file, root.security.get());
    assert_eq!(security.next.get(), root.security.get(), "a ring of one");
    assert_eq!(security.previous.get(), root.security.get());
    assert_eq!(security.references.get(), 1);
}

#[test]
fn the_checksum_is_the_xor_of_the_header() {
    let file = HiveTree::new("SYSTEM").to_bytes().unwrap();
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!(
        (0..508).step_by(4).fold(0, |sum, at| sum ^ word(at)),
        word(508)
    );
}

#[test]
fn keys_are_listed_in_upper_case_order_whatever_order_they_came_in() {
    let build = |names: &[&str]| {
        let mut hive = HiveTree::new("h");
        for name in names {
            hive.root_mut().create(name).unwrap();
        }
        hive.to_bytes().unwrap()
    };
    let file = build(&["zeta", "Alpha", "a_b", "aab", r"Mid\Below"]);
    assert_eq!(file, build(&["a_b", r"Mid\Below", "zeta", "aab", "Alpha"]));
    let root: KeyNode = record(&file, 0x20);
    let list = cell(&file, root.subkey_list.get());
    assert_eq!(&list[..2], b"lh");
    let names: Vec<_> = (0..5)
        .map(|index| {
            let key = u32::from_le_bytes(list[4 + 8 * index..8 + 8 * index].try_into().unwrap());
            let node: KeyNode = record(&file, key);
            cell(&file, key)[76..76 + usize::from(node.name_length.get())].to_vec()
        })
        .collect();
    assert_eq!(names, [&b"aab"[..], b"Alpha", b"a_b", b"Mid", b"zeta"]);
}

#[test]
fn equal_descriptors_are_stored_once_and_counted() {
    let mut hive = HiveTree::new("h");
    let own: Vec<u8> = [1, 0, 0, 0x80].into_iter().chain([0; 16]).collect();
    for index in 0..10 {
        hive.root_mut().create(&format!("default{index}")).unwrap();
        let key = hive.root_mut().create(&format!(r"own{index}")).unwrap();
        key.set_security(own.clone());
        key.create("inherits").unwrap();
    }
    let file = hive.to_bytes().unwrap();
    let rings: Vec<(u32, KeySecurity)> = all_cells(&file)
        .into_iter()
        .filter(|(at, size)| *size < 0 && cell(&file, *at).starts_with(b"sk"))
        .map(|(at, _)| (at, record(&file, at)))
        .collect();
    let [(first_at, first), (second_at, second)] = rings[..] else {
        panic!("{rings:?}")
    };
    assert_eq!((first.references.get(), second.references.get()), (11, 20));
    assert_eq!(
        (first.next.get(), first.previous.get()),
        (second_at, second_at)
    );
    assert_eq!(
        (second.next.get(), second.previous.get()),
        (first_at, first_at)
    );
}

#[test]
fn many_subkeys_are_listed_through_an_index() {
    let mut hive = HiveTree::new("h");
    for index in 0..1500 {
        hive.root_mut().create(&format!("key{index:04}")).unwrap();
    }
    let file = hive.to_bytes().unwrap();
    all_cells(&file);
    let root: KeyNode = record(&file, 0x20);
    assert_eq!(root.subkeys.get(), 1500);
    let index = cell(&file, root.subkey_list.get());
    assert_eq!(&index[..4], b"ri\x03\x00");
    let last = u32::from_le_bytes(index[12..16].try_into().unwrap());
    assert_eq!(&cell(&file, last)[..2], b"lh");
}

#[test]
fn data_over_16344_bytes_is_cut_into_segments() {
    for (length, segments) in [(16344, None), (16345, Some(2)), (3 * 16344, Some(3))] {
        let mut hive = HiveTree::new("h");
        let bytes: Vec<u8> = (0..length).map(|at: u32| (at % 251) as u8).collect();
        hive.root_mut()
            .set("big", ValueData::binary(bytes.clone()))
            .unwrap();
        let file = hive.to_bytes().unwrap();
        all_cells(&file);
        let root: KeyNode = record(&file, 0x20);
        assert_eq!(root.max_value_data.get(), length);
        let values = cell(&file, root.value_list.get());
        let value: KeyValue = record(&file, u32::from_le_bytes(values[..4].try_into().unwrap()));
        let data = cell(&file, u32::from_le_bytes(value.data));
        match segments {
            None => assert_eq!(&data[..bytes.len()], bytes),
            Some(count) => assert_eq!(&data[..4], [b'd', b'b', count, 0]),
        }
    }
}

#[test]
fn a_delta_says_what_changed() {
    let mut hive = HiveTree::delta("Software_Delta");
    let root = hive.root_mut();
    root.create(r"Microsoft\Windows")
        .unwrap()
        .delete_value("Old")
        .unwrap();
    root.delete_key(r"Gone").unwrap();
    root.create("New")
        .unwrap()
        .replace_tree()
        .create("Below")
        .unwrap();
    let file = hive.to_bytes().unwrap();
    assert_eq!(base_block(&file).flags.get(), 2);
    let layers: Vec<(Vec<u8>, u8)> = all_cells(&file)
        .into_iter()
        .filter(|(at, size)| *size < 0 && cell(&file, *at).starts_with(b"nk"))
        .map(|(at, _)| {
            let node: KeyNode = record(&file, at);
            let name = &cell(&file, at)[76..76 + usize::from(node.name_length.get())];
            (name.to_vec(), node.layer)
        })
        .collect();
    let expected: [(&[u8], u8); 6] = [
        (b"ROOT", 0),
        (b"Gone", 1),
        (b"Microsoft", 0x80),
        (b"New", 3),
        (b"Windows", 0x80),
        (b"Below", 3),
    ];
    assert_eq!(layers.len(), expected.len());
    for (name, layer) in expected {
        assert!(layers.contains(&(name.to_vec(), layer)), "{layers:?}");
    }
    let tombstone = all_cells(&file)
        .into_iter()
        .find(|(at, size)| *size < 0 && cell(&file, *at).starts_with(b"vk"))
        .map(|(at, _)| record::<KeyValue>(&file, at))
        .unwrap();
    assert_eq!(tombstone.flags.get(), 3, "tombstone with a Latin-1 name");
    assert_eq!(
        (tombstone.data_length.get(), tombstone.data_type.get()),
        (0, 0)
    );
    assert_eq!(tombstone.data, [0xFF; 4]);
}

#[test]
fn refuses_what_a_hive_cannot_mean() {
    let mut full = HiveTree::new("h");
    full.root_mut()
        .create("a")
        .unwrap()
        .delete_value("v")
        .unwrap();
    let error = full.to_bytes().unwrap_err();
    assert!(matches!(error, HiveError::NotADelta { name } if name == "a"));

    let mut full = HiveTree::new("h");
    full.root_mut().delete_key("a").unwrap();
    let error = full.to_bytes().unwrap_err();
    assert!(matches!(error, HiveError::NotADelta { name } if name == "a"));

    let mut delta = HiveTree::delta("h");
    delta
        .root_mut()
        .delete_key("a")
        .unwrap()
        .create(r"a\b")
        .unwrap();
    let error = delta.to_bytes().unwrap_err();
    assert!(matches!(error, HiveError::TombstoneWithContent { name } if name == "a"));

    let mut delta = HiveTree::delta("h");
    let new = delta.root_mut().create("new").unwrap().replace_tree();
    new.create("merges").unwrap().set_layer(KeyLayer::ANCESTOR);
    let error = delta.to_bytes().unwrap_err();
    assert!(matches!(error, HiveError::InsideReplacedTree { name } if name == "merges"));

    let mut deep = HiveTree::new("h");
    deep.root_mut().create(&vec!["k"; 512].join("\\")).unwrap();
    let error = deep.to_bytes().unwrap_err();
    assert!(matches!(error, HiveError::Depth { name } if name == "k"));
}

proptest! {
    /// Whatever the tree, cells fill their bins and the key count is right.
    #[test]
    fn any_tree_becomes_bins_without_gaps(
        keys in prop::collection::btree_map("[a-zé漢]{1,12}(\\\\[A-Z]{1,9}){0,3}", prop::collection::vec(("[a-z]{0,9}", 0_usize..40_000), 0..3), 0..40)
    ) {
        let mut hive = HiveTree::new("h");
        hive.set_last_written(TICKS);
        for (path, values) in &keys {
            let key = hive.root_mut().create(path).unwrap();
            for (name, length) in values {
                key.set(name, ValueData::binary(vec![7; *length])).unwrap();
            }
        }
        fn keys_in(key: &TreeKey) -> usize { 1 + key.subkeys().iter().map(keys_in).sum::<usize>() }
        let file = hive.to_bytes().unwrap();
        let written = all_cells(&file).into_iter()
            .filter(|(at, size)| *size < 0 && cell(&file, *at).starts_with(b"nk"))
            .filter(|(at, _)| record::<KeyNode>(&file, *at).last_written.get() == TICKS)
            .count();
        prop_assert_eq!(written, keys_in(hive.root()));
    }
}
