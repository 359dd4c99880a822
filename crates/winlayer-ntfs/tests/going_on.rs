//! Going on with a volume: removing, adding and replacing names, as checkers we did not write and our own reader see it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Cursor, Read, Seek, Write},
    process::Command,
    sync::Arc,
};

use winlayer_metadata::{
    ExtendedAttribute, ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint,
    SecurityDescriptor,
};
use winlayer_ntfs::{
    FileId, FileReference, ObjectMetadata, Volume, VolumeOptions, VolumeSize, VolumeWriter,
};

fn options(size: VolumeSize) -> VolumeOptions {
    VolumeOptions {
        size,
        label: "sample".into(),
        serial: 0x1234_5678_9abc_def0,
        created: FileTime::UNIX_EPOCH,
        hidden_sectors: 0,
    }
}

/// Metadata that lives as long as a test.
struct Facts {
    descriptors: Vec<Arc<SecurityDescriptor>>,
    none: ExtendedAttributes,
    some: ExtendedAttributes,
    link: ReparsePoint,
}

impl Facts {
    fn new() -> Self {
        let descriptor = |n: u32| {
            let sddl = format!("O:BAG:SYD:(A;;FA;;;S-1-5-21-1-2-3-{n})");
            Arc::new(SecurityDescriptor::from_sddl(&sddl).unwrap())
        };
        let ea = ExtendedAttribute {
            flags: 0,
            name: b"SAMPLE".to_vec(),
            value: vec![7; 2000],
        };
        Self {
            descriptors: (0..3000).map(descriptor).collect(),
            none: ExtendedAttributes::default(),
            some: ExtendedAttributes::from_list(vec![ea]).unwrap(),
            link: ReparsePoint::symlink("elsewhere").unwrap(),
        }
    }

    fn plain(&self, n: usize) -> ObjectMetadata<'_> {
        let time = FileTime::from_ticks(133_000_000_000_000_000 + n as i64);
        ObjectMetadata {
            attributes: FileAttributes::ARCHIVE,
            times: FileTimes {
                created: time,
                accessed: time,
                written: time,
                changed: time,
            },
            security: &self.descriptors[n % self.descriptors.len()],
            extended_attributes: &self.none,
            reparse: None,
        }
    }
}

type Names = BTreeMap<String, winlayer_ntfs::ExistingName>;

/// Existing names by their paths.
fn paths<D: Read + Write + Seek>(volume: &VolumeWriter<D>) -> Names {
    let names: Vec<_> = volume.existing_names().collect();
    let by_file: BTreeMap<_, _> = names.iter().map(|name| (name.file, name)).collect();
    let path = |name: &winlayer_ntfs::ExistingName| {
        let mut path = name.name.clone();
        let mut at = name.parent;
        while at != FileId::ROOT {
            let above = by_file[&at];
            path = format!("{}/{path}", above.name);
            at = above.parent;
        }
        path
    };
    names
        .iter()
        .map(|name| (path(name), name.clone()))
        .collect()
}

/// What the reader finds: path to size, first byte and links.
fn listing(bytes: &[u8]) -> BTreeMap<String, (u64, u8, usize)> {
    let mut volume = Volume::open(Cursor::new(bytes)).unwrap();
    let mut found = BTreeMap::new();
    let root = volume.root();
    walk(&mut volume, root, "", &mut found);
    found
}

fn walk(
    volume: &mut Volume<Cursor<&[u8]>>,
    directory: FileReference,
    path: &str,
    found: &mut BTreeMap<String, (u64, u8, usize)>,
) {
    for entry in volume.read_dir(directory).unwrap() {
        if entry.name == "." || (path.is_empty() && entry.name.starts_with('$')) {
            continue;
        }
        let path = format!("{path}/{}", entry.name);
        let object = volume.object(entry.reference).unwrap();
        let mut first = [0];
        if object.size > 0 {
            volume
                .stream(&object, "")
                .unwrap()
                .read_exact(&mut first)
                .unwrap();
        }
        found.insert(path.clone(), (object.size, first[0], object.names.len()));
        if object.kind == winlayer_ntfs::ObjectKind::Directory {
            walk(volume, entry.reference, &path, found);
        }
    }
}

fn passes_checkers(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("volume.img");
    File::create(&path).unwrap().write_all(bytes).unwrap();
    for (program, arguments) in [
        ("ntfsresize", ["-i", "-f"].as_slice()),
        ("ntfsfix", &["-n"]),
        ("ntfssecaudit", &["-a"]),
    ] {
        let output = Command::new(program).args(arguments).arg(&path).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{program}: {text}");
    }
}

/// A volume with two directories, the first with many files.
fn first_volume(facts: &Facts) -> Vec<u8> {
    let size = VolumeSize::Exact(64 << 20);
    let mut volume = VolumeWriter::create(Cursor::new(Vec::new()), options(size)).unwrap();
    volume
        .begin_directory(FileId::ROOT, &facts.plain(0))
        .unwrap();
    let many = volume.add_directory(FileId::ROOT, "many").unwrap();
    let few = volume.add_directory(FileId::ROOT, "few").unwrap();
    for n in 0..1500 {
        let size = n * 7 % 5000;
        volume
            .begin_file(many, &format!("file {n}"), &facts.plain(n), size as u64)
            .unwrap();
        volume.write_all(&vec![n as u8; size]).unwrap();
    }
    let metadata = ObjectMetadata {
        extended_attributes: &facts.some,
        ..facts.plain(1)
    };
    volume.begin_directory(few, &metadata).unwrap();
    volume.begin_stream("stream", 10_000).unwrap();
    volume.write_all(&[9; 10_000]).unwrap();
    let linked = volume
        .begin_file(few, "linked", &facts.plain(5), 3)
        .unwrap();
    volume.write_all(b"abc").unwrap();
    for n in 0..100 {
        volume.link(linked, few, &format!("link {n}")).unwrap();
    }
    let metadata = ObjectMetadata {
        reparse: Some(&facts.link),
        ..facts.plain(2)
    };
    volume
        .begin_directory_link(few, "points", &metadata)
        .unwrap();
    volume.finish().unwrap().0.into_inner()
}

#[test]
fn a_volume_that_is_not_changed_keeps_its_bytes() {
    let bytes = first_volume(&Facts::new());
    passes_checkers(&bytes);
    let volume = VolumeWriter::open(Cursor::new(bytes.clone())).unwrap();
    let (device, _) = volume.finish().unwrap();
    assert!(device.into_inner() == bytes);
}

#[test]
fn names_are_removed_added_and_replaced() {
    let facts = Facts::new();
    let bytes = first_volume(&facts);
    let mut expected = listing(&bytes);

    let mut volume = VolumeWriter::open(Cursor::new(bytes)).unwrap();
    let names = paths(&volume);
    assert_eq!(names.len(), expected.len());
    for n in (0..1500).filter(|n| n % 3 == 0) {
        volume
            .remove_name(names[&format!("many/file {n}")].id)
            .unwrap();
        expected.remove(&format!("/many/file {n}"));
    }
    let many = names["many"].file;
    for n in (0..1500).filter(|n| n % 6 == 0) {
        volume
            .begin_file(many, &format!("file {n}"), &facts.plain(2000 + n), 10)
            .unwrap();
        volume.write_all(&[0xee; 10]).unwrap();
        expected.insert(format!("/many/file {n}"), (10, 0xee, 1));
    }
    // A link to what was there, and one to what is removed but for it.
    let few = names["few"].file;
    volume
        .link(names["many/file 1"].file, few, "first")
        .unwrap();
    let (size, byte, _) = expected["/many/file 1"];
    expected.insert("/few/first".into(), (size, byte, 2));
    expected.insert("/many/file 1".into(), (size, byte, 2));
    volume.remove_name(names["many/file 2"].id).unwrap();
    volume
        .link(names["many/file 2"].file, few, "second")
        .unwrap();
    let moved = expected.remove("/many/file 2").unwrap();
    expected.insert("/few/second".into(), moved);
    for n in 0..99 {
        volume
            .remove_name(names[&format!("few/link {n}")].id)
            .unwrap();
        expected.remove(&format!("/few/link {n}"));
    }
    expected.insert("/few/linked".into(), (3, b'a', 2));
    expected.insert("/few/link 99".into(), (3, b'a', 2));
    volume.remove_name(names["few/points"].id).unwrap();
    expected.remove("/few/points");
    volume.begin_directory(few, &facts.plain(7)).unwrap();
    let new = volume.add_directory(few, "new").unwrap();
    volume
        .begin_file(new, "large", &facts.plain(8), 3 << 20)
        .unwrap();
    volume.write_all(&vec![5; 3 << 20]).unwrap();
    expected.insert("/few/new".into(), (0, 0, 1));
    expected.insert("/few/new/large".into(), (3 << 20, 5, 1));

    let bytes = volume.finish().unwrap().0.into_inner();
    assert_eq!(listing(&bytes), expected);
    passes_checkers(&bytes);

    // And once more, down to nothing.
    let mut volume = VolumeWriter::open(Cursor::new(bytes)).unwrap();
    for name in paths(&volume).values() {
        volume.remove_name(name.id).unwrap();
    }
    let bytes = volume.finish().unwrap().0.into_inner();
    assert_eq!(listing(&bytes), BTreeMap::new());
    passes_checkers(&bytes);
}

#[test]
fn a_directory_is_not_removed_while_names_are_in_it() {
    let mut volume = VolumeWriter::open(Cursor::new(first_volume(&Facts::new()))).unwrap();
    let names = paths(&volume);
    volume.remove_name(names["many"].id).unwrap();
    let error = volume.finish().unwrap_err().to_string();
    assert!(
        error.contains("the name of its directory was taken away"),
        "{error}"
    );
}
