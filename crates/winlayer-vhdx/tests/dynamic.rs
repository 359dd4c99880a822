//! Dynamic disks while they are made; what others read of them is in `qemu.rs`.
#![expect(
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

mod support;

use std::{
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
};

use support::{all_of, new_file, noise, options};
use winlayer_vhdx::{Disk, DynamicDisk, VhdxError, verify};

const MIB: usize = 1 << 20;

#[test]
fn a_disk_that_was_never_written_is_a_small_file() {
    let disk = DynamicDisk::create(Cursor::new(Vec::new()), &options(20 << 30)).unwrap();
    assert_eq!(disk.finish().unwrap().get_ref().len(), 4 * MIB);
}

#[test]
fn equal_writes_give_equal_files() {
    let write = || {
        let mut disk = DynamicDisk::create(Cursor::new(Vec::new()), &options(1 << 30)).unwrap();
        disk.seek(SeekFrom::Start(77)).unwrap();
        disk.write_all(&noise(1, 3 * MIB)).unwrap();
        disk.finish().unwrap().into_inner()
    };
    assert!(write() == write());
}

#[test]
fn a_file_that_was_not_finished_is_no_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.vhdx");
    let mut disk = DynamicDisk::create(new_file(&path), &options(1 << 30)).unwrap();
    disk.write_all(&noise(1, 3 * MIB)).unwrap();
    drop(disk);
    let opened = Disk::open(File::open(path).unwrap());
    assert!(matches!(opened, Err(VhdxError::Damaged(_))), "{opened:?}");
}

#[test]
fn impossible_disks_are_refused() {
    let create = |file: &[u8], options| {
        DynamicDisk::create(Cursor::new(file.to_vec()), &options).unwrap_err()
    };
    assert!(matches!(
        create(b"x", options(512)),
        VhdxError::NotEmpty { length: 1 }
    ));
    assert!(matches!(
        create(b"", options(100)),
        VhdxError::Size { size: 100 }
    ));
    let mut long = options(512);
    long.creator = "x".repeat(256);
    assert!(matches!(
        create(b"", long),
        VhdxError::TooLong { units: 256, .. }
    ));
}

#[test]
fn nothing_is_written_past_the_end() {
    let mut disk = DynamicDisk::create(Cursor::new(Vec::new()), &options(1024)).unwrap();
    disk.seek(SeekFrom::Start(1000)).unwrap();
    assert!(disk.write(&[1; 25]).is_err());
    disk.write_all(&[1; 24]).unwrap();
    assert!(disk.write(&[1]).is_err());
    assert_eq!(disk.write(&[]).unwrap(), 0);
    assert_eq!(all_of(&mut disk)[999..], [&[0][..], &[1; 24]].concat());
}

/// Takes half of the data that has `bad` in front, then fails.
struct Failing {
    file: Cursor<Vec<u8>>,
    bad: u8,
}

impl Write for Failing {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.first() == Some(&self.bad) {
            self.file.write_all(&data[..data.len() / 2])?;
            return Err(io::Error::other("the disk is full"));
        }
        self.file.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[test]
fn a_failed_write_does_not_show_elsewhere() {
    let file = Failing {
        file: Cursor::new(Vec::new()),
        bad: 0xBB,
    };
    let mut disk = DynamicDisk::create(file, &options(10 << 20)).unwrap();
    disk.write_all(&[1; 512]).unwrap();
    disk.seek(SeekFrom::Start(5 << 20)).unwrap();
    assert!(disk.write(&vec![0xBB; 2 * MIB]).is_err());
    disk.seek(SeekFrom::Start(2 << 20)).unwrap();
    disk.write_all(&[2; 512]).unwrap();
    let mut file = disk.finish().unwrap().file;
    assert_eq!(verify(&mut file).unwrap(), []);
    let bytes = all_of(Disk::open(file).unwrap());
    let mut model = vec![0; 10 * MIB];
    model[..512].fill(1);
    model[2 * MIB..2 * MIB + 512].fill(2);
    assert!(bytes[..5 * MIB] == model[..5 * MIB]);
    assert!(bytes[7 * MIB..] == model[7 * MIB..]);
}
