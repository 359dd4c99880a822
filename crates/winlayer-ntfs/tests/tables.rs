//! What is the same on every volume: as mkntfs makes it.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

mod ntfs3g;
mod plan;

use std::{io::Cursor, process::Command};

use ntfs3g::driver::{Image, run};
use plan::{Object, Plan, checks};
use winlayer_ntfs::{Volume, VolumeSize};

/// Bytes of both volumes.
const SIZE: u64 = 64 << 20;

fn ours() -> Vec<u8> {
    let mut plan = Plan::new();
    plan.add(Object::file(0, "file", 10));
    plan.write(VolumeSize::Exact(SIZE)).unwrap().0
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let bytes = bytes[at..at + length].iter().rev();
    bytes.fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[test]
fn definitions_and_the_upcase_table_are_those_of_mkntfs() {
    let folder = checks::folder();
    let ours = checks::stored(&folder, &ours());
    let theirs = Image::formatted(SIZE, &[]);
    for file in ["$AttrDef", "$UpCase"] {
        let [ours, theirs] =
            [&ours, &theirs.path()].map(|path| run(Command::new("ntfscat").arg(path).arg(file)));
        assert!(ours == theirs, "{file}");
        assert!(ours.len() > 2000, "{file}: {} bytes", ours.len());
    }
}

#[test]
fn the_boot_sector_is_that_of_mkntfs_but_for_places() {
    let (ours, theirs) = (
        ours(),
        Image::formatted(SIZE, &["-s", "512", "-H", "255", "-S", "63", "-p", "0"]).bytes(),
    );
    // Jump, maker, bytes a sector, sectors a cluster, reserved, media, and what is zero.
    assert_eq!(ours[..0x18], theirs[..0x18]);
    for (at, length, what) in [
        (0x1c, 4, "hidden sectors"),
        (0x24, 4, "drive and signature"),
        (0x28, 8, "sectors"),
        (0x40, 4, "size of a record"),
        (0x44, 4, "size of an index block"),
        (0x1fe, 2, "the end mark"),
    ] {
        assert_eq!(
            number(&ours, at, length),
            number(&theirs, at, length),
            "{what}"
        );
    }
    assert_eq!(
        number(&ours, 0x48, 8),
        0x1234_5678_9abc_def0,
        "serial number"
    );
    let last = &ours[ours.len() - 512..];
    assert!(
        last == &ours[..512],
        "the last sector is the copy of the first"
    );
}

#[test]
fn the_first_records_are_there_twice() {
    let ours = ours();
    let [mft, mirror] = [0x30, 0x38].map(|at| number(&ours, at, 8) as usize * 4096);
    assert!(mft != mirror && ours[mft..mft + 5] == *b"FILE0");
    assert!(ours[mft..mft + 4096] == ours[mirror..mirror + 4096]);
}

/// Bytes of records as the format's descriptions give them.
#[test]
fn a_file_record_byte_by_byte() {
    let ours = ours();
    let mut volume = Volume::open(Cursor::new(&ours)).unwrap();
    let own = volume.lookup("file").unwrap().unwrap().record();
    let record = &ours[number(&ours, 0x30, 8) as usize * 4096 + own as usize * 1024..];
    let at = |at: usize, length: usize| number(record, at, length);
    // `FILE`, the update sequence at 0x30 of three words, sequence number 1, one name, attributes at 0x38, in use.
    assert_eq!(&record[..4], b"FILE");
    assert_eq!(
        [
            at(4, 2),
            at(6, 2),
            at(0x10, 2),
            at(0x12, 2),
            at(0x14, 2),
            at(0x16, 2)
        ],
        [0x30, 3, 1, 1, 0x38, 1]
    );
    assert_eq!([at(0x1c, 4), at(0x20, 8), at(0x2c, 4)], [1024, 0, own]);
    // The update sequence stands at the end of both sectors.
    assert_eq!([at(0x1fe, 2), at(0x3fe, 2)], [at(0x30, 2); 2]);
    // $STANDARD_INFORMATION: resident, 72 bytes; created, written, changed, accessed; attributes.
    assert_eq!([at(0x38, 4), at(0x40, 1), at(0x48, 4)], [0x10, 0, 72]);
    let times = [1, 3, 4, 2].map(|n| 132_000_000_000_000_000 + n);
    assert_eq!([at(0x50, 8), at(0x58, 8), at(0x60, 8), at(0x68, 8)], times);
    assert_eq!(at(0x70, 4), 0x20);
    // $FILE_NAME: in record 5 of sequence 5, four letters.
    let name = 0x38 + at(0x3c, 4) as usize;
    let value = name + at(name + 0x14, 2) as usize;
    assert_eq!([at(name, 4), at(value, 8)], [0x30, 5 << 48 | 5]);
    assert_eq!(
        [
            at(value + 8, 8),
            at(value + 0x10, 8),
            at(value + 0x18, 8),
            at(value + 0x20, 8)
        ],
        times
    );
    assert_eq!(
        [
            at(value + 0x28, 8),
            at(value + 0x30, 8),
            at(value + 0x38, 4)
        ],
        [16, 10, 0x20]
    );
    assert_eq!(record[value + 0x40..][..10], *b"\x04\0f\0i\0l\0e\0");
    // $DATA: resident, ten bytes; then the end.
    let data = name + at(name + 4, 4) as usize;
    assert_eq!(
        [at(data, 4), at(data + 8, 1), at(data + 0x10, 4)],
        [0x80, 0, 10]
    );
    assert_eq!(at(data + at(data + 4, 4) as usize, 4), 0xffff_ffff);
}
