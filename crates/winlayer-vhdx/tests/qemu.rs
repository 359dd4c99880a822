//! VHDX files that we make read by QEMU, and those that QEMU makes read by us.
#![cfg(target_os = "linux")]

mod support;

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use support::{all_of, new_file, noise, options, raw_by_qemu, run};
use winlayer_vhdx::{
    BlockSize, Disk, DiskKind, DynamicDisk, Rule, SectorSize, Severity, VhdxError, open_chain,
    verify,
};

const MIB: usize = 1 << 20;

/// A disk of 40 MiB and a bit, written to here and there by qemu-io.
fn make(folder: &Path, options: &str) -> std::path::PathBuf {
    let file = folder.join("qemu.vhdx");
    let size = (40 << 20) + 4096;
    run(
        "qemu-img",
        &[
            &"create",
            &"-q",
            &"-f",
            &"vhdx",
            &"-o",
            &options,
            &file,
            &size.to_string(),
        ],
    );
    for command in [
        "write -P 1 0 512",
        "write -P 2 3M 9M",
        "write -P 3 20479k 2k",
        "write -P 4 40M 4k",
        "write -z 5M 1M",
    ] {
        run("qemu-io", &[&"-f", &"vhdx", &"-c", &command, &file]);
    }
    file
}

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
fn every_kind_and_block_size() {
    for (options, kind, block) in [
        (
            "subformat=dynamic,block_size=1M",
            DiskKind::Dynamic,
            1 << 20,
        ),
        (
            "subformat=dynamic,block_size=8M,block_state_zero=off",
            DiskKind::Dynamic,
            8 << 20,
        ),
        (
            "subformat=dynamic,block_size=256M,log_size=3M",
            DiskKind::Dynamic,
            256 << 20,
        ),
        ("subformat=fixed,block_size=2M", DiskKind::Fixed, 2 << 20),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = make(folder.path(), options);
        let raw = raw_by_qemu(&path);
        let mut disk = Disk::open(File::open(&path).unwrap()).unwrap();
        assert!(all_of(&mut disk) == raw, "{options}");
        let info = disk.info();
        assert_eq!((info.kind, info.size), (kind, raw.len() as u64));
        assert_eq!(info.block_size, BlockSize::try_from(block).unwrap());
        assert_eq!(
            (info.logical_sector, info.physical_sector),
            (SectorSize::B512, SectorSize::B512)
        );
        assert!(info.creator.starts_with("QEMU v"), "{}", info.creator);
        // QEMU does not mark the two regions as required, which they are.
        let findings = verify(File::open(&path).unwrap()).unwrap();
        let rules: Vec<_> = findings
            .iter()
            .map(|finding| (finding.rule, finding.severity))
            .collect();
        assert_eq!(
            rules,
            [(Rule::Flags, Severity::Harmless); 2],
            "{findings:?}"
        );
        assert!(all_of(open_chain(&path).unwrap()) == raw, "a chain of one");
    }
}

#[test]
fn a_log_that_was_not_replayed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = make(folder.path(), "block_size=1M");
    let mut bytes = fs::read(&path).unwrap();
    // No program here stops between log and data, so the log's id and the checksum are put in by hand.
    for header in [64 << 10, 128 << 10] {
        let header = bytes.get_mut(header..).unwrap().split_at_mut(4096).0;
        header.get_mut(48..64).unwrap().fill(7);
        header.get_mut(4..8).unwrap().fill(0);
        let sum = crc32c::crc32c(header).to_le_bytes();
        header.get_mut(4..8).unwrap().copy_from_slice(&sum);
    }
    let disk = Disk::open(std::io::Cursor::new(bytes));
    assert!(matches!(disk, Err(VhdxError::NeedsReplay)), "{disk:?}");
}

#[test]
fn seeking_follows_the_rules_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = make(folder.path(), "block_size=1M");
    let mut disk = Disk::open(File::open(path).unwrap()).unwrap();
    let mut byte = [0];
    assert_eq!(disk.seek(SeekFrom::End(-4096)).unwrap(), 40 << 20);
    assert_eq!((disk.read(&mut byte).unwrap(), byte), (1, [4]));
    assert_eq!(disk.seek(SeekFrom::Current(-1)).unwrap(), 40 << 20);
    assert_eq!(disk.seek(SeekFrom::End(5)).unwrap(), (40 << 20) + 4096 + 5);
    assert_eq!(disk.read(&mut byte).unwrap(), 0);
    assert!(disk.seek(SeekFrom::Current(i64::MIN)).is_err());
    assert_eq!(disk.stream_position().unwrap(), (40 << 20) + 4096 + 5);
}
