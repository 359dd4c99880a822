//! Dynamic disks that we make, read by QEMU.

mod support;

use std::{
    fs::File,
    io::{Cursor, Seek, SeekFrom, Write},
};

use support::{all_of, new_file, noise, options, raw_by_qemu, run};
use winlayer_vhdx::{Disk, DiskKind, DynamicDisk, verify};

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
