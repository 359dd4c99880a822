//! VHDX files that QEMU makes, read by us.

mod support;

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use support::{all_of, raw_by_qemu, run};
use winlayer_vhdx::{
    BlockSize, Disk, DiskKind, Rule, SectorSize, Severity, VhdxError, open_chain, verify,
};

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
