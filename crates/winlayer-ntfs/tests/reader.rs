//! Volumes of mkntfs and the ntfs-3g driver: what was put in comes out.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

mod ntfs3g;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use ntfs3g::{
    driver::{self, Image},
    town::{self, Scale},
};
use winlayer_metadata::{FileAttributes, ReparseTag, SecurityDescriptor};
use winlayer_ntfs::{Namespace, NtfsError, NtfsObject, ObjectKind, Volume};

fn object(volume: &mut Volume<File>, path: &str) -> NtfsObject {
    let reference = volume.lookup(path).unwrap();
    let reference = reference.unwrap_or_else(|| panic!("{path} is not there"));
    volume.object(reference).unwrap()
}

fn content(volume: &mut Volume<File>, path: &str, stream: &str) -> Vec<u8> {
    let object = object(volume, path);
    let mut bytes = Vec::new();
    let mut reader = volume.stream(&object, stream).unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, reader.size());
    bytes
}

#[test]
fn reads_what_the_driver_wrote() {
    let (image, told) = town::build(Scale::TOWN);
    let mut volume = Volume::open(image.open()).unwrap();
    let facts = volume.facts();
    assert_eq!((facts.label.as_str(), facts.version), ("Stadt", (3, 1)));
    assert_eq!(
        (facts.cluster, facts.record, facts.index_block),
        (4096, 1024, 4096)
    );
    assert_eq!(facts.total, (256 << 20) - 512);
    assert!(!facts.dirty);

    names(&mut volume);
    streams(&mut volume);
    metadata(&mut volume, &told);
    links(&mut volume);
    the_tools_agree(&image, &mut volume);
}

fn names(volume: &mut Volume<File>) {
    let root = volume.root();
    let listed = volume.read_dir(root).unwrap();
    let listed: Vec<_> = listed.iter().map(|entry| entry.name.as_str()).collect();
    let system = [
        "$AttrDef", "$BadClus", "$Bitmap", "$Boot", "$Extend", "$LogFile", "$MFT", "$MFTMirr",
        "$Secure", "$UpCase", "$Volume",
    ];
    let ours = [
        "facts",
        "hole",
        "islands",
        "junction",
        "link",
        "linked",
        "links",
        "many",
        "opaque",
        "posix-link",
        "streams.txt",
        "Windows",
    ];
    assert_eq!(listed, [&system[..], &ours].concat());

    let many = volume.lookup("MANY").unwrap().unwrap();
    let entries = volume.read_dir(many).unwrap();
    let found: BTreeSet<_> = entries.iter().map(|entry| entry.name.clone()).collect();
    let expected: BTreeSet<_> = (0..Scale::TOWN.names).map(town::name).collect();
    assert_eq!(found, expected);
    for number in 0..Scale::TOWN.names {
        let path = format!(r"\many/{}", town::name(number).to_uppercase());
        let reference = volume.lookup(&path).unwrap().unwrap();
        let entry = entries.iter().find(|entry| entry.reference == reference);
        assert_eq!(entry.unwrap().name, town::name(number));
    }
    for absent in [
        "many/none",
        "many/alpha",
        "none/at all",
        "facts/below a file",
    ] {
        assert_eq!(volume.lookup(absent).unwrap(), None, "{absent}");
    }
    assert_eq!(content(volume, "many/alpha 00000 ", ""), b"0");

    let short = volume.lookup("facts~1.txt").unwrap();
    assert_eq!(short, volume.lookup("facts").unwrap());
    let all = volume.read_dir_with_short_names(root).unwrap();
    let short = all.iter().find(|entry| entry.namespace == Namespace::DOS);
    assert_eq!(short.unwrap().name, "FACTS~1.TXT");
}

fn streams(volume: &mut Volume<File>) {
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| ((n * 7) >> 3) as u8).collect();
    assert_eq!(content(volume, "Windows/System32/KERNEL32.dll", ""), large);
    assert_eq!(content(volume, "Windows/win.ini", ""), b"[fonts]\r\n");
    assert_eq!(content(volume, "streams.txt", "small"), b"beside it");
    assert_eq!(content(volume, "streams.txt", "large"), large[..200_000]);
    assert_eq!(content(volume, "Windows", "on a directory"), b"too");
    let with = object(volume, "streams.txt");
    let listed: Vec<_> = with
        .streams
        .iter()
        .map(|s| (s.name.as_str(), s.size, s.allocated))
        .collect();
    assert_eq!(
        listed,
        [("", 7, 0), ("large", 200_000, 200_704), ("small", 9, 0)]
    );
    assert!(matches!(
        volume.stream(&with, "absent"),
        Err(NtfsError::Refused { .. })
    ));

    let islands = object(volume, "islands");
    assert!(islands.attributes.contains(FileAttributes::SPARSE_FILE));
    assert!(islands.is_sparse(""));
    assert_eq!(islands.streams[0].allocated, Scale::TOWN.islands * 4096);
    let mut reader = volume.stream(&islands, "").unwrap();
    let mut piece = vec![1; 131_072];
    for number in 0..Scale::TOWN.islands - 1 {
        reader.read_exact(&mut piece).unwrap();
        assert_eq!(piece[..4096], town::island(number), "island {number}");
        assert!(piece[4096..].iter().all(|&byte| byte == 0));
    }
    reader.seek(SeekFrom::Start(1000 * 131_072 + 100)).unwrap();
    reader.read_exact(&mut piece[..10]).unwrap();
    assert_eq!(piece[..10], town::island(1000)[100..110]);

    let hole = object(volume, "hole");
    assert_eq!(hole.size, 5 << 30);
    let mut reader = volume.stream(&hole, "").unwrap();
    reader.seek(SeekFrom::Start((4 << 30) - 3)).unwrap();
    let mut around = [9; 14];
    reader.read_exact(&mut around).unwrap();
    assert_eq!(&around, b"\0\0\0far out\0\0\0\0");
    assert_eq!(reader.seek(SeekFrom::End(-1)).unwrap(), (5 << 30) - 1);
    assert_eq!(reader.read(&mut around).unwrap(), 1);
    assert_eq!(reader.read(&mut around).unwrap(), 0);
}

fn metadata(volume: &mut Volume<File>, told: &town::Told) {
    let facts = object(volume, "facts");
    assert_eq!(facts.kind, ObjectKind::File);
    assert_eq!(facts.attributes.bits(), 0x2007);
    assert_eq!(facts.object_id, Some(town::OBJECT_ID));
    let times = [
        facts.times.created,
        facts.times.written,
        facts.times.accessed,
        facts.times.changed,
    ];
    let times = times.map(|time| time.ticks().to_le_bytes()).concat();
    assert_eq!(times, told.times);
    assert_eq!(facts.times.created.ticks(), town::CREATED);
    let expected = SecurityDescriptor::from_sddl(town::SDDL).unwrap();
    let descriptor = volume.descriptor_of(&facts).unwrap().unwrap();
    assert_eq!(descriptor.as_bytes(), told.acl);
    assert_eq!(descriptor.to_sddl(), expected.to_sddl());
    assert_eq!(volume.descriptor(0xffff_0000).unwrap(), None);
    let extended = facts.extended_attributes.unwrap();
    let extended: Vec<_> = extended
        .iter()
        .map(|ea| (&ea.name[..], ea.flags, &ea.value[..]))
        .collect();
    assert_eq!(
        extended,
        [
            (&b"FIRST"[..], 0, &b"value"[..]),
            (b"SECOND.ONE", 0x80, &[7; 300])
        ]
    );
    let names: Vec<_> = facts
        .names
        .iter()
        .map(|name| (name.name.as_str(), name.namespace))
        .collect();
    assert!(names.contains(&("facts", Namespace::WIN32)), "{names:?}");
    assert!(
        names.contains(&("FACTS~1.TXT", Namespace::DOS)),
        "{names:?}"
    );

    let windows = object(volume, "Windows");
    assert_eq!(windows.kind, ObjectKind::Directory);
    assert!(windows.attributes.contains(FileAttributes::DIRECTORY));
    let root = volume.root();
    let root = volume.object(root).unwrap();
    assert!(volume.descriptor_of(&root).unwrap().is_some());
}

fn links(volume: &mut Volume<File>) {
    let junction = object(volume, "junction");
    assert_eq!(junction.kind, ObjectKind::Link);
    let both = FileAttributes::DIRECTORY | FileAttributes::REPARSE_POINT;
    assert!(junction.attributes.contains(both));
    assert_eq!(
        junction.reparse.unwrap().unwrap().target(),
        Some(r"C:\Windows")
    );
    let link = object(volume, "link");
    assert_eq!(link.kind, ObjectKind::Link);
    assert!(!link.attributes.contains(FileAttributes::DIRECTORY));
    assert_eq!(
        link.reparse.unwrap().unwrap().target(),
        Some(r"Windows\win.ini")
    );
    let opaque = object(volume, "opaque");
    assert_eq!(opaque.kind, ObjectKind::File);
    let point = opaque.reparse.unwrap().unwrap();
    assert_eq!(
        (point.tag(), point.data()),
        (ReparseTag(0x8000_0018), &[1, 2, 3, 4][..])
    );

    let linked = object(volume, "linked");
    assert_eq!(linked.names.len(), 61);
    let folder = volume.lookup("links").unwrap().unwrap();
    let entries = volume.read_dir(folder).unwrap();
    assert_eq!(entries.len(), 60);
    for entry in entries {
        assert_eq!(entry.reference, linked.reference);
        assert!(
            linked
                .names
                .iter()
                .any(|name| name.parent == folder && name.name == entry.name)
        );
    }
    let again = volume.lookup("windows/KERNEL-again.dll").unwrap();
    assert_eq!(
        again,
        volume.lookup("Windows/System32/kernel32.dll").unwrap()
    );
}

/// ntfsinfo and ntfscat read the same volume with code of their own.
fn the_tools_agree(image: &Image, volume: &mut Volume<File>) {
    for (path, attribute_list) in [("islands", true), ("linked", true), ("facts", false)] {
        let reference = volume.lookup(path).unwrap().unwrap();
        let number = reference.record().to_string();
        let told = image.tool("ntfsinfo", &["-v", "-i", &number]);
        let told = String::from_utf8_lossy(&told);
        assert_eq!(told.contains("$ATTRIBUTE_LIST"), attribute_list, "{told}");
        let object = volume.object(reference).unwrap();
        // New files of the driver have a descriptor of their own until one is set.
        let id = match object.security_id {
            0 => "Dumping attribute $SECURITY_DESCRIPTOR".to_owned(),
            id => format!("Security ID:\t\t {id} ("),
        };
        assert!(told.contains(&id), "{id} in {told}");
        assert!(volume.descriptor_of(&object).unwrap().is_some());
        assert_eq!(
            told.matches("Dumping attribute $FILE_NAME").count(),
            object.names.len()
        );
    }
    // The table of this volume is the one this crate knows.
    let path = image.path();
    let mut upcase = std::process::Command::new("ntfscat");
    let upcase = driver::run(upcase.arg(path).arg("$UpCase"));
    assert_eq!(content(volume, "$UpCase", ""), upcase);
}

#[test]
fn reads_every_legal_geometry() {
    for (cluster, sector) in [
        ("512", "512"),
        ("1024", "512"),
        ("65536", "512"),
        ("2097152", "512"),
        ("4096", "4096"),
        ("8192", "1024"),
    ] {
        let image = Image::formatted(512 << 20, &["-c", cluster, "-s", sector]);
        image.mounted(|root| {
            std::fs::write(root.join("file"), vec![7; 3_000_000]).unwrap();
            std::fs::create_dir(root.join("folder")).unwrap();
            for number in 0..300 {
                std::fs::write(root.join("folder").join(town::name(number)), b"x").unwrap();
            }
        });
        let mut volume = Volume::open(image.open()).unwrap();
        assert_eq!(volume.facts().cluster.to_string(), cluster);
        assert_eq!(content(&mut volume, "FILE", ""), vec![7; 3_000_000]);
        let folder = volume.lookup("folder").unwrap().unwrap();
        assert_eq!(volume.read_dir(folder).unwrap().len(), 300);
        for number in 0..300 {
            assert_eq!(
                content(&mut volume, &format!("folder/{}", town::name(number)), ""),
                b"x"
            );
        }
    }
}

#[test]
fn compressed_streams_are_refused_and_say_so() {
    let image = Image::formatted(64 << 20, &["-C"]);
    image.mounted(|root| {
        let folder = root.join("squeezed");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("file"), vec![b'a'; 300_000]).unwrap();
    });
    let mut volume = Volume::open(image.open()).unwrap();
    let file = object(&mut volume, "squeezed/file");
    assert_eq!(file.size, 300_000);
    let refused = volume.stream(&file, "").unwrap_err();
    assert!(
        matches!(refused, NtfsError::Unsupported { .. }),
        "{refused}"
    );
}
