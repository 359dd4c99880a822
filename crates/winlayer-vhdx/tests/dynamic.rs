//! Dynamic disks that we make, read by QEMU.
#![expect(
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

mod support;

use std::{
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
};

use support::{all_of, new_file, noise, options, raw_by_qemu, run};
use winlayer_vhdx::{Disk, DiskKind, DynamicDisk, VhdxError, verify};

const MIB: usize = 1 << 20;

#[test]
fn qemu_reads_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.vhdx");
    let size = 64 * MIB + 512 * 3;
    let mut model = vec![0; size];
    let mut disk = DynamicDisk::create(new_file(&path), &options(size as u64)).unwrap();
    for (seed, (offset, length)) in [
        (30 * MIB + 100, 5 * MIB),
        (0, 512),
        (64 * MIB + 512, 1024),
        (29 * MIB, 2 * MIB),
        (1_000_001, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let data = noise(seed as u64, length);
        model[offset..offset + length].copy_from_slice(&data);
        disk.seek(SeekFrom::Start(offset as u64)).unwrap();
        disk.write_all(&data).unwrap();
    }
    disk.finish().unwrap();

    let info = run("qemu-img", &[&"info", &path]);
    assert!(
        info.contains("virtual size: 64 MiB (67110400 bytes)"),
        "{info}"
    );
    assert!(raw_by_qemu(&path) == model);
    let mut disk = Disk::open(File::open(&path).unwrap()).unwrap();
    assert!(all_of(&mut disk) == model);
    assert_eq!(disk.info().kind, DiskKind::Dynamic);
    assert_eq!(disk.info().allocated_blocks, 9);
    assert_eq!(verify(File::open(&path).unwrap()).unwrap(), []);
}

#[test]
fn a_disk_that_was_never_written_is_a_small_file() {
    let disk = DynamicDisk::create(Cursor::new(Vec::new()), &options(20 << 30)).unwrap();
    assert_eq!(disk.finish().unwrap().get_ref().len(), 4 * MIB);
}

/// Behind each 4 GiB of the disk the table has an entry that is for no block.
#[test]
fn blocks_of_every_chunk_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.vhdx");
    let mut disk = DynamicDisk::create(new_file(&path), &options(20 << 30)).unwrap();
    let places = [(4 << 30) - 4096, (8 << 30) + 4096, (20 << 30) - 8192];
    for place in places {
        disk.seek(SeekFrom::Start(place)).unwrap();
        disk.write_all(&noise(place, 8192)).unwrap();
    }
    disk.finish().unwrap();
    for place in places {
        let raw = path.with_extension("raw");
        let skip = format!("skip={}", place / 4096);
        // Which counts from the start of the disk on.
        let count = format!("count={}", place / 4096 + 2);
        let [from, to] =
            [("if", &path), ("of", &raw)].map(|(key, path)| format!("{key}={}", path.display()));
        run(
            "qemu-img",
            &[
                &"dd", &"-f", &"vhdx", &"-O", &"raw", &"bs=4096", &skip, &count, &from, &to,
            ],
        );
        let read = std::fs::read(raw).unwrap();
        assert!(
            read.ends_with(&noise(place, 8192)),
            "{place:#x}: {} bytes",
            read.len()
        );
    }
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
