use crate::{
    Hive, HiveError, HiveTree, KeyLayer, KeySemantics, MergedKey, Overlay, TreeKey, ValueData,
    format::{BaseBlock, KeyNode, PAGE},
};

/// Paths and values of everything below `key`, as `path`, `path=name:hex`.
fn dump(key: &MergedKey<'_>) -> Vec<String> {
    fn add(key: &MergedKey<'_>, path: &str, lines: &mut Vec<String>) {
        for value in key.values().unwrap() {
            let data = value.data().unwrap();
            lines.push(format!("{path}={}:{:x?}", value.name(), data.bytes));
        }
        for subkey in key.subkeys().unwrap() {
            let path = format!("{path}\\{}", subkey.name());
            lines.push(path.clone());
            add(&subkey, &path, lines);
        }
    }
    let mut lines = Vec::new();
    add(key, "", &mut lines);
    lines
}

fn flag(key: &mut TreeKey, name: &str, number: u8) {
    key.set(name, ValueData::binary([number])).unwrap();
}

/// `a` (v 0, w 0) with `b` (v 0) and `c\d` below.
fn base() -> HiveTree {
    let mut base = HiveTree::new("base");
    let a = base.root_mut().create("a").unwrap();
    a.set_class("base class");
    flag(a, "v", 0);
    flag(a, "w", 0);
    flag(a.create("b").unwrap(), "v", 0);
    a.create(r"c\d").unwrap();
    base
}

fn merged(deltas: &[HiveTree]) -> Vec<String> {
    let mut files = vec![base().to_bytes().unwrap()];
    files.extend(deltas.iter().map(|delta| delta.to_bytes().unwrap()));
    let overlay = Overlay::new(files.iter().map(|file| Hive::from_bytes(file).unwrap())).unwrap();
    let lines = dump(&overlay.root().unwrap());
    let eager = overlay.to_bytes().unwrap();
    let eager = Overlay::new([Hive::from_bytes(&eager).unwrap()]).unwrap();
    assert_eq!(dump(&eager.root().unwrap()), lines, "lazy and eager agree");
    let tree = overlay.to_tree().unwrap().to_bytes().unwrap();
    assert_eq!(tree, overlay.to_bytes().unwrap(), "so does the tree");
    lines
}

fn delta(change: impl FnOnce(&mut TreeKey)) -> HiveTree {
    let mut delta = HiveTree::delta("delta");
    change(delta.root_mut());
    delta
}

#[test]
fn a_delta_without_changes_changes_nothing() {
    let lines = merged(&[HiveTree::delta("delta")]);
    assert_eq!(
        lines,
        [
            r"\a",
            r"\a=v:[0]",
            r"\a=w:[0]",
            r"\a\b",
            r"\a\b=v:[0]",
            r"\a\c",
            r"\a\c\d"
        ]
    );
}

#[test]
fn merge_overlays_values_by_name() {
    let change = delta(|root| {
        let a = root.create("A").unwrap();
        flag(a, "new", 1);
        flag(a, "V", 1);
        flag(a.create("bb").unwrap(), "v", 1);
    });
    let lines = merged(&[change]);
    let expected = [
        r"\a",
        r"\a=V:[1]",
        r"\a=w:[0]",
        r"\a=new:[1]",
        r"\a\b",
        r"\a\b=v:[0]",
        r"\a\bb",
        r"\a\bb=v:[1]",
        r"\a\c",
        r"\a\c\d",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn tombstones_remove_keys_and_values() {
    let change = delta(|root| {
        root.create("a").unwrap().delete_value("V").unwrap();
        root.delete_key(r"a\C").unwrap();
        root.delete_key("never there").unwrap();
    });
    assert_eq!(
        merged(&[change]),
        [r"\a", r"\a=w:[0]", r"\a\b", r"\a\b=v:[0]"]
    );
}

#[test]
fn supersede_local_drops_values_but_not_subkeys() {
    let change = delta(|root| {
        let a = root.create("a").unwrap();
        a.set_layer(KeyLayer {
            semantics: KeySemantics::SupersedeLocal,
            inherit_class: true,
        });
        flag(a, "x", 1);
    });
    let lines = merged(&[change]);
    assert_eq!(
        lines,
        [
            r"\a",
            r"\a=x:[1]",
            r"\a\b",
            r"\a\b=v:[0]",
            r"\a\c",
            r"\a\c\d"
        ]
    );
}

#[test]
fn supersede_tree_drops_everything() {
    let change = delta(|root| {
        flag(
            root.create("a")
                .unwrap()
                .replace_tree()
                .create("b")
                .unwrap(),
            "w",
            1,
        );
    });
    assert_eq!(merged(&[change]), [r"\a", r"\a\b", r"\a\b=w:[1]"]);
}

#[test]
fn what_one_delta_deletes_a_higher_one_may_make_anew() {
    let gone = delta(|root| {
        root.delete_key("a").unwrap();
    });
    let back = delta(|root| {
        flag(root.create("a").unwrap(), "v", 2);
    });
    assert_eq!(merged(&[gone, back]), [r"\a", r"\a=v:[2]"]);
}

#[test]
fn class_descriptor_and_time_come_from_the_right_hive() {
    let mut below = base();
    below.set_last_written(7);
    below.root_mut().create("a").unwrap().set_last_written(9);
    let own: Vec<u8> = [1, 0, 0, 0x80].into_iter().chain([0; 16]).collect();
    let mut above = HiveTree::delta("delta");
    above.set_last_written(5);
    above
        .root_mut()
        .create("A")
        .unwrap()
        .set_security(own.clone());
    let no_class = above.root_mut().create(r"a\b").unwrap();
    no_class.set_layer(KeyLayer::NONE);
    let files = [below.to_bytes().unwrap(), above.to_bytes().unwrap()];
    let overlay = Overlay::new(files.iter().map(|file| Hive::from_bytes(file).unwrap())).unwrap();
    let key = overlay.get("a").unwrap().unwrap();
    let class: Vec<u8> = "base class"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(key.class().unwrap().unwrap(), class, "inherited");
    assert_eq!(*key.security().unwrap().unwrap(), own);
    assert_eq!(key.last_written(), 9, "the newest");
    assert_eq!(key.name().to_text(), "a", "spelled as below");
    let parts: Vec<usize> = key.parts().map(|(hive, _)| hive).collect();
    assert_eq!(parts, [1, 0]);
    assert_eq!(overlay.get(r"a\b").unwrap().unwrap().class().unwrap(), None);
}

#[test]
fn values_say_which_hive_they_are_from() {
    let change = delta(|root| flag(root.create("a").unwrap(), "v", 1));
    let files = [base().to_bytes().unwrap(), change.to_bytes().unwrap()];
    let overlay = Overlay::new(files.iter().map(|file| Hive::from_bytes(file).unwrap())).unwrap();
    let key = overlay.get("a").unwrap().unwrap();
    assert_eq!(key.value("v").unwrap().unwrap().hive(), 1);
    assert_eq!(key.value("w").unwrap().unwrap().hive(), 0);
    assert!(key.value("x").unwrap().is_none());
}

#[test]
fn many_values_are_found_by_their_names() {
    let fill = |key: &mut TreeKey, number: u8| {
        for index in 0..100 {
            flag(
                key,
                &format!("{}{index}", if number == 0 { "Value" } else { "VALUE" }),
                number,
            );
        }
    };
    let mut below = HiveTree::new("base");
    fill(below.root_mut(), 0);
    let above = delta(|root| fill(root, 1));
    let files = [below.to_bytes().unwrap(), above.to_bytes().unwrap()];
    let overlay = Overlay::new(files.iter().map(|file| Hive::from_bytes(file).unwrap())).unwrap();
    let values = overlay.root().unwrap().values().unwrap();
    assert_eq!(values.len(), 100);
    assert!(values.iter().all(|value| value.hive() == 1));
}

#[test]
fn the_layer_byte_of_an_older_full_hive_means_nothing() {
    let mut file = base().to_bytes().unwrap();
    let a = Hive::from_bytes(&file)
        .unwrap()
        .get("a")
        .unwrap()
        .unwrap()
        .offset() as usize;
    file[PAGE + a + 4 + 13] = 1;
    let overlay = Overlay::new([Hive::from_bytes(&file).unwrap()]).unwrap();
    assert!(overlay.get("a").unwrap().is_some());
    drop(overlay);
    file[144] = BaseBlock::LAYERED as u8;
    file[508] ^= BaseBlock::LAYERED as u8;
    let overlay = Overlay::new([Hive::from_bytes(&file).unwrap()]).unwrap();
    assert!(
        overlay.get("a").unwrap().is_none(),
        "but with layers it does"
    );
}

#[test]
fn links_stay_links() {
    let mut below = HiveTree::new("base");
    let link = below.root_mut().create("CurrentControlSet").unwrap();
    link.set_link();
    let file = below.to_bytes().unwrap();
    let merged = Overlay::new([Hive::from_bytes(&file).unwrap()])
        .unwrap()
        .to_bytes()
        .unwrap();
    let merged = Hive::from_bytes(&merged).unwrap();
    assert!(merged.get("currentcontrolset").unwrap().unwrap().is_link());
    assert_eq!(merged.root().unwrap().node().flags.get() & KeyNode::LINK, 0);
}

#[test]
fn refuses_no_hive_too_many_and_a_deleted_root() {
    assert!(matches!(
        Overlay::new([]),
        Err(HiveError::Layers { count: 0 })
    ));
    let file = base().to_bytes().unwrap();
    let many = (0..129).map(|_| Hive::from_bytes(&file).unwrap());
    assert!(matches!(
        Overlay::new(many),
        Err(HiveError::Layers { count: 129 })
    ));
    let mut gone = HiveTree::delta("delta").to_bytes().unwrap();
    gone[PAGE + 0x20 + 4 + 13] = 1;
    let overlay = Overlay::new([
        Hive::from_bytes(&file).unwrap(),
        Hive::from_bytes(&gone).unwrap(),
    ]);
    assert!(matches!(
        overlay.unwrap().root(),
        Err(HiveError::Damaged { .. })
    ));
}

/// Two keys share a value list: sound for a look-up, but not as something to copy.
#[test]
fn refuses_to_multiply_values() {
    let mut tree = HiveTree::new("h");
    for name in ["a", "b"] {
        let key = tree.root_mut().create(name).unwrap();
        key.set("v", ValueData::binary(vec![name.as_bytes()[0]; 3000]))
            .unwrap();
    }
    let mut file = tree.to_bytes().unwrap();
    let keys = ["a", "b"].map(|name| {
        let hive = Hive::from_bytes(&file).unwrap();
        hive.get(name).unwrap().unwrap().offset() as usize + PAGE + 4
    });
    let hive_of = |file: &[u8]| {
        let overlay = Overlay::new([Hive::from_bytes(file.to_vec()).unwrap()]).unwrap();
        overlay.to_bytes().map(|_| ())
    };
    hive_of(&file).unwrap();
    let cell = u32::from_le_bytes(file[keys[0] + 40..keys[0] + 44].try_into().unwrap());
    let value = u32::from_le_bytes(file[PAGE + 4 + cell as usize..][..4].try_into().unwrap());
    // 500 times the same value of 3000 bytes, in room that the second one's data had.
    let own = u32::from_le_bytes(file[keys[1] + 40..keys[1] + 44].try_into().unwrap());
    let own = u32::from_le_bytes(file[PAGE + 4 + own as usize..][..4].try_into().unwrap());
    let data = u32::from_le_bytes(file[PAGE + 4 + own as usize + 8..][..4].try_into().unwrap());
    for index in 0..500 {
        file[PAGE + 4 + data as usize + 4 * index..][..4].copy_from_slice(&value.to_le_bytes());
    }
    file[keys[1] + 36..][..4].copy_from_slice(&500_u32.to_le_bytes());
    file[keys[1] + 40..][..4].copy_from_slice(&data.to_le_bytes());
    assert_eq!(
        Hive::from_bytes(&file)
            .unwrap()
            .get("b")
            .unwrap()
            .unwrap()
            .values()
            .count(),
        500
    );
    assert!(matches!(hive_of(&file), Err(HiveError::Damaged { .. })));
}
