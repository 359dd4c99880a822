//! Volumes we write, as ntfs-3g's own tools see them.

use std::{fs::File, io::Write, path::Path, process::Command, sync::Arc};

use winlayer_metadata::{
    ExtendedAttribute, ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint,
    SecurityDescriptor,
};
use winlayer_ntfs::{FileId, ObjectMetadata, VolumeOptions, VolumeSize, VolumeWriter};

fn times(n: i64) -> FileTimes {
    let t = |k: i64| FileTime::from_ticks(133_000_000_000_000_000 + n * 10 + k);
    FileTimes {
        created: t(1),
        accessed: t(2),
        written: t(3),
        changed: t(4),
    }
}

#[test]
fn a_volume_of_everything_passes_the_checkers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("volume.img");
    let path = std::env::var_os("KEEP").map(Into::into).unwrap_or(path);
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    let options = VolumeOptions {
        size: VolumeSize::Fit { free: 1 << 20 },
        label: "sample".into(),
        serial: 0x1234_5678_9abc_def0,
        created: FileTime::from_ticks(133_000_000_000_000_000),
        hidden_sectors: 0,
    };
    let mut v = VolumeWriter::create(file, options).unwrap();
    let sd = Arc::new(
        SecurityDescriptor::from_sddl("O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)")
            .unwrap(),
    );
    let none = ExtendedAttributes::default();
    let eas = ExtendedAttributes::from_list(vec![
        ExtendedAttribute {
            flags: 0,
            name: b"FOO".to_vec(),
            value: vec![7; 100],
        },
        ExtendedAttribute {
            flags: 0x80,
            name: b"LONG".to_vec(),
            value: vec![8; 3000],
        },
    ])
    .unwrap();
    let meta = |n| ObjectMetadata {
        attributes: FileAttributes::ARCHIVE,
        times: times(n),
        security: &sd,
        extended_attributes: &none,
        reparse: None,
    };
    v.begin_directory(FileId::ROOT, &meta(0)).unwrap();
    let big = v.add_directory(FileId::ROOT, "big").unwrap();
    let mut first = None;
    for i in 0..5000 {
        let size = (i * 37) % 9000;
        let sd = Arc::new(
            SecurityDescriptor::from_sddl(&format!(
                "O:BAG:SYD:(A;;FA;;;S-1-5-21-1-2-3-{})",
                i % 700
            ))
            .unwrap(),
        );
        let f = v
            .begin_file(
                big,
                &format!("file number {i:05}.txt"),
                &ObjectMetadata {
                    security: &sd,
                    ..meta(i)
                },
                size as u64,
            )
            .unwrap();
        v.write_all(&vec![i as u8; size as usize]).unwrap();
        first.get_or_insert(f);
    }
    let links = v.add_directory(FileId::ROOT, "links").unwrap();
    for i in 0..1000 {
        v.link(
            first.unwrap(),
            links,
            &format!("link {i} to the first file"),
        )
        .unwrap();
    }
    v.begin_directory(
        links,
        &ObjectMetadata {
            extended_attributes: &eas,
            ..meta(9)
        },
    )
    .unwrap();
    v.begin_stream("on a directory", 3).unwrap();
    v.write_all(b"abc").unwrap();
    v.begin_file(
        links,
        "ea",
        &ObjectMetadata {
            extended_attributes: &eas,
            ..meta(10)
        },
        10,
    )
    .unwrap();
    v.write_all(b"0123456789").unwrap();
    for i in 0..40 {
        v.begin_stream(&format!("stream {i}"), i * 100).unwrap();
        v.write_all(&vec![1; i as usize * 100]).unwrap();
    }
    let link = ReparsePoint::symlink("..\\big").unwrap();
    v.begin_directory_link(
        links,
        "symlink",
        &ObjectMetadata {
            reparse: Some(&link),
            ..meta(11)
        },
    )
    .unwrap();
    let junction = ReparsePoint::mount_point("C:\\big").unwrap();
    v.begin_directory_link(
        links,
        "junction",
        &ObjectMetadata {
            reparse: Some(&junction),
            ..meta(12)
        },
    )
    .unwrap();
    let link = ReparsePoint::symlink("ea").unwrap();
    v.begin_file(
        links,
        "filelink",
        &ObjectMetadata {
            reparse: Some(&link),
            ..meta(13)
        },
        0,
    )
    .unwrap();
    let sparse = FileAttributes::SPARSE_FILE;
    v.begin_file(
        links,
        "sparse",
        &ObjectMetadata {
            attributes: sparse,
            ..meta(13)
        },
        1 << 20,
    )
    .unwrap();
    v.write_all(&vec![0; 300_000]).unwrap();
    v.write_all(&vec![1; 100_000]).unwrap();
    v.write_all(&vec![0; (1 << 20) - 400_000]).unwrap();
    let (file, summary) = v.finish().unwrap();
    file.set_len(summary.size).unwrap();
    eprintln!("{summary:?}");
    run("ntfsresize", &["-i", "-f"], &path);
    run("ntfsfix", &["-n"], &path);
    run("ntfsinfo", &["-m"], &path);
    run("ntfssecaudit", &["-a"], &path);
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let output = Command::new(program)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    eprintln!("{program}: {}\n{text}", output.status);
    assert!(output.status.success());
}
