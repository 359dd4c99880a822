use crate::{
    Hive, HiveError, HiveTree, KeyLayer, KeySemantics, ValueData, ValueType,
    format::{BaseBlock, PAGE},
};

/// A hive's file, with places in it found by the hive itself.
struct File(Vec<u8>);

impl File {
    fn of(tree: &HiveTree) -> Self {
        Self(tree.to_bytes().unwrap())
    }

    fn hive(&self) -> Hive<'_> {
        Hive::from_bytes(&self.0).unwrap()
    }

    /// Where the content of the cell at `offset` is in the file.
    fn cell(offset: u32) -> usize {
        PAGE + offset as usize + 4
    }

    /// Where the record of the key at `path` is in the file.
    fn key(&self, path: &str) -> usize {
        Self::cell(self.hive().get(path).unwrap().unwrap().offset())
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap())
    }

    fn put(&mut self, at: usize, number: u32) {
        self.0[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }

    /// Where the list of subkeys of the key at `path` is in the file.
    fn list(&self, path: &str) -> usize {
        Self::cell(self.u32(self.key(path) + 28))
    }

    fn put_header(&mut self, at: usize, number: u32) {
        self.put(at, number);
        let sum = (0..508).step_by(4).fold(0, |sum, at| sum ^ self.u32(at));
        self.put(508, sum);
    }

    fn names(&self, path: &str) -> Result<Vec<String>, HiveError> {
        let hive = self.hive();
        let key = hive.get(path)?.unwrap();
        key.subkeys().map(|key| Ok(key?.name().to_text())).collect()
    }
}

fn three() -> File {
    let mut tree = HiveTree::new("h");
    for name in ["alpha", "Beta", "gamma"] {
        tree.root_mut().create(name).unwrap();
    }
    File::of(&tree)
}

#[test]
fn lists_of_every_kind_are_read_and_searched() {
    let hashed = three();
    let mut hinted = three();
    let list = hinted.list("");
    hinted.0[list..list + 2].copy_from_slice(b"lf");
    for (index, hint) in [b"alph", b"Beta", b"gamm"].into_iter().enumerate() {
        hinted.0[list + 8 + 8 * index..][..4].copy_from_slice(hint);
    }
    let mut plain = three();
    plain.0[list..list + 2].copy_from_slice(b"li");
    for index in 0..3 {
        let cell = hashed.u32(list + 4 + 8 * index);
        plain.put(list + 4 + 4 * index, cell);
    }
    for file in [hashed, hinted, plain] {
        assert_eq!(file.names("").unwrap(), ["alpha", "Beta", "gamma"]);
        assert!(file.hive().get("BETA").unwrap().is_some());
        assert!(file.hive().get("delta").unwrap().is_none());
    }
}

#[test]
fn an_unsorted_list_is_read_but_not_one_that_repeats_a_key() {
    let mut file = three();
    let list = file.list("");
    let [first, second] = [list + 4, list + 12].map(|at| file.0[at..at + 8].to_vec());
    file.0[list + 4..list + 12].copy_from_slice(&second);
    file.0[list + 12..list + 20].copy_from_slice(&first);
    assert_eq!(file.names("").unwrap(), ["Beta", "alpha", "gamma"]);
    file.0[list + 20..list + 28].copy_from_slice(&second);
    let error = file.names("").unwrap_err().to_string();
    assert!(error.contains("listed before"), "{error}");
}

#[test]
fn refuses_circles_and_keys_of_other_parents() {
    let mut tree = HiveTree::new("h");
    tree.root_mut().create(r"a\b").unwrap();
    let mut file = File::of(&tree);
    let list = file.list("a");
    let [root, a] = ["", "a"].map(|path| (file.key(path) - 4 - PAGE) as u32);
    for target in [root, a] {
        file.put(list + 4, target);
        assert!(matches!(file.names("a"), Err(HiveError::Damaged { .. })));
    }
    let at = file.key("");
    file.put(list + 4, root);
    file.put(at + 16, a);
    let error = file.names("a").unwrap_err();
    assert!(
        matches!(error, HiveError::Damaged { .. }),
        "the root is nobody's child"
    );
}

#[test]
fn refuses_lists_with_more_or_fewer_keys_than_said() {
    for count in [2, 4, 4_000_000_000] {
        let mut file = three();
        let at = file.key("") + 20;
        file.put(at, count);
        assert!(
            matches!(file.names(""), Err(HiveError::Damaged { .. })),
            "{count}"
        );
    }
}

#[test]
fn data_of_version_1_3_lies_in_one_cell() {
    let mut tree = HiveTree::new("h");
    let bytes: Vec<u8> = (0..16000_u32).map(|at| (at % 251) as u8).collect();
    tree.root_mut()
        .set("big", ValueData::binary(bytes))
        .unwrap();
    let mut file = File::of(&tree);
    let values = File::cell(file.u32(file.key("") + 40));
    let record = File::cell(file.u32(values));
    let data = File::cell(file.u32(record + 8));
    // The rest of the bin is one free cell, which becomes part of the data.
    let used = file.u32(data - 4).wrapping_neg();
    let free = file.u32(data - 4 + used as usize);
    file.put(data - 4, (used + free).wrapping_neg());
    let length = used + free - 4;
    assert!(length > 16344);
    file.put(record + 4, length);
    let data_len = |file: &File| {
        let hive = file.hive();
        let value = hive.root()?.value("BIG")?.unwrap();
        Ok::<_, HiveError>(value.data()?.bytes.len())
    };
    assert!(data_len(&file).is_err(), "a later version needs segments");
    file.put_header(24, 3);
    assert_eq!(data_len(&file).unwrap(), length as usize);
}

#[test]
fn refuses_other_versions_other_files_and_lost_ends() {
    let refused = |change: fn(&mut File)| {
        let mut file = three();
        change(&mut file);
        Hive::from_bytes(file.0).unwrap_err()
    };
    let error = refused(|file| file.put_header(24, 2));
    assert!(matches!(error, HiveError::Version { major: 1, minor: 2 }));
    let error = refused(|file| file.put_header(28, 6));
    assert!(matches!(error, HiveError::NotAHive { .. }), "a log");
    let error = refused(|file| file.0[0] = b'x');
    assert!(matches!(error, HiveError::NotAHive { .. }));
    let error = refused(|file| file.0.truncate(100));
    assert!(matches!(error, HiveError::NotAHive { .. }));
    let error = refused(|file| file.0.truncate(8000));
    assert!(matches!(error, HiveError::Damaged { offset: 40, .. }));
}

#[test]
fn messages_say_where_in_the_file() {
    let mut file = three();
    let at = file.key("beta");
    file.0[at] = b'\x1B';
    let error = file.hive().get("beta").unwrap_err();
    let offset = format!("{:#x}", at - 4);
    assert!(error.to_string().contains(&offset), "{error}");
    assert!(!error.to_string().contains('\x1B'));
}

/// What the offline registry library writes for a sandbox, property by property.
#[test]
fn a_delta_as_windows_writes_it_is_sound() {
    let mut tree = HiveTree::delta(r"SandboxState\Hives\system_Delta");
    let root = tree.root_mut();
    let services = root.create(r"ControlSet001\Services").unwrap();
    services.delete_key("Gone").unwrap();
    services.delete_value("Old").unwrap();
    let mut new_tree = KeyLayer::ANCESTOR;
    new_tree.semantics = KeySemantics::SupersedeTree;
    let new = services.create("New").unwrap();
    new.set_layer(new_tree);
    new.set("", ValueData::string("default")).unwrap();
    let mut file = File::of(&tree);
    let root = file.key("");
    file.put(root + 24, 1); // a volatile subkey
    file.put(root + 32, 0x8000_0180); // in storage that is not in the file
    file.put(root + 16, 0x1234_5678); // the root's parent means nothing
    let bins = file.0.len();
    file.0.resize(2 * bins, 0xA5); // the rest of the file is no bin
    file.put(176, u32::from_le_bytes(*b"OfRg"));
    file.put(180, 1);
    file.put(4, 6);
    file.put(8, 6);
    file.put_header(24, 6);

    let hive = file.hive();
    assert_eq!(hive.minor_version(), 6);
    assert!(hive.is_layered());
    assert_eq!(hive.last_written(), 0);
    assert!(hive.file_name().ends_with("system_Delta"));
    let root = hive.root().unwrap();
    assert_eq!(root.name().to_text(), "ROOT");
    assert_eq!((root.layer(), root.node().access), (KeyLayer::NONE, 2));
    assert_eq!(root.subkeys().count(), 1, "volatile ones are not here");
    let services = root.get(r"controlset001\services").unwrap().unwrap();
    assert_eq!(services.layer(), KeyLayer::ANCESTOR);
    assert!(services.security().unwrap().is_some());
    let gone = services.subkey("gone").unwrap().unwrap();
    assert_eq!(gone.layer().semantics, KeySemantics::Tombstone);
    assert_eq!((gone.subkey_count(), gone.value_count()), (0, 0));
    assert_eq!(services.subkey("new").unwrap().unwrap().layer(), new_tree);
    let old = services.value("old").unwrap().unwrap();
    assert!(old.is_tombstone());
    assert_eq!(old.kind(), ValueType::NONE);
    assert!(old.data().unwrap().bytes.is_empty());
    assert_eq!(hive.base().flags.get(), BaseBlock::LAYERED);
}
