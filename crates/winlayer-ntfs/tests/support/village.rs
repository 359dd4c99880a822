//! A small volume of our own with the paths of the town, and most of what is there.

use std::{
    io::{Cursor, Write},
    sync::Arc,
};

use winlayer_metadata::{
    ExtendedAttribute, ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint,
    SecurityDescriptor,
};
use winlayer_ntfs::{FileId, ObjectMetadata, VolumeOptions, VolumeSize, VolumeWriter};

/// Files in the directory of many.
pub const NAMES: usize = 300;

/// Makes the volume.
pub fn build() -> Vec<u8> {
    let options = VolumeOptions {
        size: VolumeSize::Fit { free: 256 << 10 },
        label: "Dorf".into(),
        serial: 0x1234_5678_9abc_def0,
        created: FileTime::UNIX_EPOCH,
        hidden_sectors: 2048,
    };
    let mut writer = VolumeWriter::create(Cursor::new(Vec::new()), options).unwrap();
    fill(&mut writer);
    let (cursor, summary) = writer.finish().unwrap();
    let mut image = cursor.into_inner();
    image.resize(summary.size as usize, 0);
    image
}

fn fill(writer: &mut VolumeWriter<Cursor<Vec<u8>>>) {
    let none = ExtendedAttributes::default();
    let sddl = ["O:BAG:SYD:(A;;FA;;;BA)", "O:SYG:SYD:P(A;;FA;;;SY)"];
    let [security, other] = sddl.map(|sddl| Arc::new(SecurityDescriptor::from_sddl(sddl).unwrap()));
    let plain = ObjectMetadata {
        attributes: FileAttributes::ARCHIVE,
        times: FileTimes {
            created: FileTime::from_ticks(132_223_104_001_234_567),
            accessed: FileTime::from_ticks(133_000_000_000_000_001),
            written: FileTime::from_ticks(132_223_104_009_999_999),
            changed: FileTime::from_ticks(132_223_104_020_000_000),
        },
        security: &security,
        extended_attributes: &none,
        reparse: None,
    };
    let root = FileId::ROOT;
    writer.begin_directory(root, &plain).unwrap();
    let windows = writer.add_directory(root, "Windows").unwrap();
    let system = writer.add_directory(windows, "System32").unwrap();
    file(writer, windows, "win.ini", &plain, b"[fonts]\r\n");
    file(writer, windows, "twin-a", &plain, b"");
    file(writer, windows, "twin-b", &plain, b"");
    let content: Vec<u8> = (0..40_000_u32).map(|n| (n * 7) as u8).collect();
    let kernel = file(writer, system, "kernel32.dll", &plain, &content);
    writer.link(kernel, windows, "kernel-again.dll").unwrap();

    let many = writer.add_directory(root, "many").unwrap();
    for number in 0..NAMES {
        let name = format!(
            "{} {number:05} {}",
            ["alpha", "Bravo", "zz"][number % 3],
            "x".repeat(number % 60)
        );
        file(writer, many, &name, &plain, number.to_string().as_bytes());
    }
    let links = writer.add_directory(root, "links").unwrap();
    let linked = file(writer, root, "linked", &plain, b"one of many");
    for number in 0..60 {
        writer
            .link(
                linked,
                links,
                &format!("a rather long name of link {number}"),
            )
            .unwrap();
    }
    file(writer, root, "streams.txt", &plain, b"content");
    for (name, length) in [("small", 9), ("large", 20_000)] {
        writer.begin_stream(name, length).unwrap();
        writer.write_all(&vec![7; length as usize]).unwrap();
    }
    sparse(writer, &plain);

    let entry = |name: &[u8], flags, value: &[u8]| ExtendedAttribute {
        flags,
        name: name.to_vec(),
        value: value.to_vec(),
    };
    let list = vec![
        entry(b"FIRST", 0, b"value"),
        entry(b"SECOND.ONE", 0x80, &[7; 300]),
    ];
    let facts = ObjectMetadata {
        attributes: FileAttributes::READONLY | FileAttributes::HIDDEN,
        security: &other,
        extended_attributes: &ExtendedAttributes::from_list(list).unwrap(),
        ..plain
    };
    file(writer, root, "facts", &facts, b"all of them");
    reparse_points(writer, &plain);
}

fn file(
    writer: &mut VolumeWriter<Cursor<Vec<u8>>>,
    parent: FileId,
    name: &str,
    metadata: &ObjectMetadata<'_>,
    content: &[u8],
) -> FileId {
    let size = content.len() as u64;
    let file = writer.begin_file(parent, name, metadata, size).unwrap();
    writer.write_all(content).unwrap();
    file
}

fn sparse(writer: &mut VolumeWriter<Cursor<Vec<u8>>>, plain: &ObjectMetadata<'_>) {
    let sparse = ObjectMetadata {
        attributes: FileAttributes::SPARSE_FILE,
        ..*plain
    };
    let mut content = vec![0; 10 * 131_072];
    for island in content.chunks_mut(131_072) {
        island[..10].fill(7);
    }
    file(writer, FileId::ROOT, "islands", &sparse, &content);
    let mut content = vec![0; 3 << 20];
    content.extend(b"far out");
    file(writer, FileId::ROOT, "hole", &sparse, &content);
}

fn reparse_points(writer: &mut VolumeWriter<Cursor<Vec<u8>>>, plain: &ObjectMetadata<'_>) {
    let root = FileId::ROOT;
    let mut placeholder = 0x8000_0018_u32.to_le_bytes().to_vec();
    placeholder.extend([4, 0, 0, 0, 1, 2, 3, 4]);
    let points = [
        ReparsePoint::mount_point(r"C:\Windows"),
        ReparsePoint::symlink(r"Windows\win.ini"),
        ReparsePoint::parse(&placeholder),
    ];
    let [junction, link, opaque] = points.map(Result::unwrap);
    let with = |reparse| ObjectMetadata {
        reparse: Some(reparse),
        ..*plain
    };
    writer
        .begin_directory_link(root, "junction", &with(&junction))
        .unwrap();
    writer.begin_file(root, "link", &with(&link), 0).unwrap();
    writer
        .begin_file(root, "opaque", &with(&opaque), 0)
        .unwrap();
}
