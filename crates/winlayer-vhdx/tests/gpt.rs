//! Partition tables, checked by sgdisk, sfdisk and 7-Zip, and those of sgdisk read by us.
#![expect(clippy::unwrap_used, reason = "helpers of tests, not of a library")]

mod support;

use std::{
    fs::File,
    io::{Cursor, Read, Seek, SeekFrom, Write},
    path::Path,
};

use support::{new_file, noise, options};
use winlayer_vhdx::{
    Disk, DynamicDisk, Guid, Partition, VhdxError,
    gpt::{BASIC_DATA, Gpt},
};

const SIZE: u64 = 64 << 20;

fn table(size: u64) -> Gpt {
    Gpt::data_disk(
        size,
        Guid::from_u128(0x01234567_89ab_cdef_0123_456789abcdef),
        Guid::from_u128(1),
        Guid::from_u128(2),
        "Basic data partition",
    )
    .unwrap()
}

/// A VHDX file with the table and a partition that starts with some noise.
fn partitioned(path: &Path) {
    let mut disk = DynamicDisk::create(new_file(path), &options(SIZE)).unwrap();
    let gpt = table(SIZE);
    gpt.write_to(&mut disk).unwrap();
    let data = gpt.find(BASIC_DATA).unwrap();
    let mut partition = Partition::new(disk, data.offset, data.length).unwrap();
    partition.write_all(&noise(1, 3 << 20)).unwrap();
    partition.into_inner().finish().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn other_programs_find_nothing_to_complain_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.vhdx");
    partitioned(&path);
    let raw = support::raw_by_qemu(&path);
    assert_eq!(raw[17 << 20..20 << 20], noise(1, 3 << 20));
    let raw_path = path.with_extension("raw");

    let verified = support::run("sgdisk", &[&"-v", &raw_path]);
    assert!(verified.contains("No problems found"), "{verified}");
    let listed = support::run("sgdisk", &[&"-p", &"-i", &"1", &"-i", &"2", &raw_path]);
    for expected in [
        "Disk identifier (GUID): 01234567-89AB-CDEF-0123-456789ABCDEF",
        "Partition GUID code: E3C9E316-0B5C-4DB8-817D-F92DF00215AE (Microsoft reserved)",
        "First sector: 2048 (at 1024.0 KiB)",
        "Last sector: 34815 (at 17.0 MiB)",
        "Partition GUID code: EBD0A0A2-B9E5-4433-87C0-68B6B72699C7 (Microsoft basic data)",
        "Partition unique GUID: 00000000-0000-0000-0000-000000000002",
        "First sector: 34816 (at 17.0 MiB)",
        "Last sector: 129023 (at 63.0 MiB)",
        "Partition name: 'Basic data partition'",
    ] {
        assert!(listed.contains(expected), "{expected} is missing: {listed}");
    }
    let verified = support::run("sfdisk", &[&"--verify", &raw_path]);
    assert!(verified.contains("No errors detected."), "{verified}");

    let listed = support::run("7zz", &[&"l", &"-slt", &path]);
    for expected in ["Type = VHDX", "Type = GPT", "Basic data partition"] {
        assert!(listed.contains(expected), "{expected} is missing: {listed}");
    }
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.vhdx");
    partitioned(&path);
    let mut disk = Disk::open(File::open(path).unwrap()).unwrap();
    let gpt = Gpt::read(&mut disk).unwrap();
    assert_eq!(gpt, table(SIZE));
    let data = gpt.find(BASIC_DATA).unwrap();
    let mut partition = Partition::new(disk, data.offset, data.length).unwrap();
    let mut bytes = vec![0; 3 << 20];
    partition.read_exact(&mut bytes).unwrap();
    assert!(bytes == noise(1, 3 << 20));
}

#[cfg(target_os = "linux")]
#[test]
fn tables_that_sgdisk_makes_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    new_file(&path).set_len(SIZE).unwrap();
    let new = [
        "--new=1:2048:+16M",
        "--typecode=1:0c01",
        "--new=3:0:0",
        "--typecode=3:0700",
    ];
    support::run(
        "sgdisk",
        &[
            &new[0],
            &new[1],
            &new[2],
            &new[3],
            &"--change-name=3:Größe 漢",
            &"--attributes=3:set:63",
            &path,
        ],
    );
    let gpt = Gpt::read(&mut File::open(&path).unwrap()).unwrap();
    let [reserved, data] = &*gpt.partitions else {
        panic!("{gpt:?}");
    };
    assert_eq!(
        (reserved.kind, reserved.offset, reserved.length),
        (winlayer_vhdx::gpt::MICROSOFT_RESERVED, 1 << 20, 16 << 20)
    );
    assert_eq!((data.kind, data.offset), (BASIC_DATA, 17 << 20));
    assert_eq!((&*data.name, data.attributes), ("Größe 漢", 1 << 63));
    let mut copy = gpt.clone();
    copy.partitions.swap(0, 1);
    let mut image = std::fs::read(&path).unwrap();
    copy.write_to(&mut Cursor::new(&mut image)).unwrap();
    assert_eq!(Gpt::read(&mut Cursor::new(image)).unwrap(), copy);
}

#[test]
fn small_and_odd_disks_are_refused() {
    let layout = |size, name: &str| Gpt::data_disk(size, Guid::NIL, Guid::NIL, Guid::NIL, name);
    for size in [0, 512, (18 << 20) + 32 * 512, (64 << 20) + 1] {
        assert!(
            matches!(layout(size, ""), Err(VhdxError::DataDiskSize { .. })),
            "{size}"
        );
    }
    let gpt = layout((18 << 20) + 33 * 512, "").unwrap();
    assert_eq!(gpt.partitions[1].length, 1 << 20);
    let long = layout(SIZE, &"x".repeat(37));
    assert!(matches!(long, Err(VhdxError::TooLong { units: 37, .. })));
}

#[test]
fn partitions_over_each_other_are_not_written() {
    let mut gpt = table(SIZE);
    gpt.partitions[1].offset -= 512;
    let error = gpt
        .write_to(&mut Cursor::new(vec![0; SIZE as usize]))
        .unwrap_err();
    assert!(error.to_string().contains("partitions apart"), "{error}");
}

/// Every byte of MBR, headers and used entries counts, but for some of the MBR and what is behind a header.
#[test]
fn a_flipped_byte_is_noticed() {
    let mut image = Cursor::new(vec![0; SIZE as usize]);
    table(SIZE).write_to(&mut image).unwrap();
    let mut image = image.into_inner();
    let last = SIZE as usize - 512;
    let counting = [
        446 + 4..446 + 5,
        510..512,
        512..512 + 92,
        1024..1024 + 256,
        last - 32 * 512..last - 32 * 512 + 256,
        last..last + 92,
    ];
    for offset in counting.into_iter().flatten() {
        image[offset] ^= 0x10;
        let read = Gpt::read(&mut Cursor::new(&image));
        assert!(
            matches!(read, Err(VhdxError::Gpt { .. })),
            "{offset}: {read:?}"
        );
        image[offset] ^= 0x10;
    }
    assert!(Gpt::read(&mut Cursor::new(&image)).is_ok());
}

#[test]
fn a_partition_ends_where_it_ends() {
    let mut partition = Partition::new(Cursor::new(vec![7; 100]), 10, 20).unwrap();
    let mut all = Vec::new();
    assert_eq!(partition.read_to_end(&mut all).unwrap(), 20);
    partition.seek(SeekFrom::End(-5)).unwrap();
    partition.write_all(b"12345").unwrap();
    assert!(partition.write_all(b"6").is_err());
    partition.seek(SeekFrom::Start(18)).unwrap();
    assert!(partition.write(b"abc").is_err());
    let bytes = partition.into_inner().into_inner();
    assert_eq!(bytes[24..31], *b"\x0712345\x07");
    assert!(Partition::new(Cursor::new(vec![0; 100]), 90, 11).is_err());
    assert!(Partition::new(Cursor::new(vec![0; 100]), u64::MAX, 11).is_err());
}
