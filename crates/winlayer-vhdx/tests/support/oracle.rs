//! What must hold for any bytes; used by tests and by the fuzz targets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{
    io::{Cursor, ErrorKind, Read, Seek, SeekFrom, Write},
    sync::OnceLock,
};

use winlayer_vhdx::{
    DifferencingDisk, Disk, DiskOptions, DynamicDisk, Guid, ParentLocator, Severity,
    gpt::{BASIC_DATA, Gpt, GptPartition},
    verify,
};

/// A file, and the same after changes: the first byte's lowest bit chooses the file, the next says that checksums are
/// made right. Then follow changes, each an offset of three bytes, a length of one, and as many bytes.
fn changed(data: &[u8], files: [&[u8]; 2], mend: fn(&mut [u8])) -> Vec<u8> {
    let (flags, mut changes) = data.split_first().unwrap_or((&0, &[]));
    let mut file = files[usize::from(flags & 1)].to_vec();
    while let Some(([a, b, c, length], rest)) = changes.split_first_chunk() {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        let offset = u32::from_le_bytes([*a, *b, *c, 0]) as usize % file.len();
        for (old, new) in file[offset..].iter_mut().zip(bytes) {
            *old = *new;
        }
        changes = rest;
    }
    if flags & 2 != 0 {
        mend(&mut file);
    }
    file
}

/// A change for [`changed`].
pub(crate) fn change(offset: u32, bytes: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = offset.to_le_bytes();
    [&[a, b, c, bytes.len() as u8], bytes].concat()
}

fn options() -> DiskOptions {
    let [disk, data, file] = [1, 2, 3].map(Guid::from_u128);
    DiskOptions::new((2 << 20) + 4096, disk, data, file)
}

/// A dynamic and a differencing disk of one whole and one partly written block.
pub(crate) fn vhdx_files() -> [&'static [u8]; 2] {
    static FILES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    fn write(mut disk: impl Write + Seek) {
        disk.write_all(&[1; 1 << 20]).unwrap();
        disk.seek(SeekFrom::End(-512)).unwrap();
        disk.write_all(&[2; 512]).unwrap();
    }
    let make = || {
        let [file, other, parent] = [0; 3].map(|_| Cursor::new(Vec::new()));
        let mut dynamic = DynamicDisk::create(file, &options()).unwrap();
        write(&mut dynamic);
        let locator = ParentLocator {
            relative_path: Some(r".\base.vhdx".to_owned()),
            ..ParentLocator::default()
        };
        let mut child = DifferencingDisk::create(other, parent, &options(), &locator).unwrap();
        write(&mut child);
        [dynamic.finish(), child.finish()].map(|file| file.unwrap().into_inner())
    };
    FILES.get_or_init(make).each_ref().map(|file| &**file)
}

fn mend_vhdx(file: &mut [u8]) {
    for (offset, length) in [(1, 4096), (2, 4096), (3, 65536), (4, 65536)] {
        let part = &mut file[offset << 16..][..length];
        part[4..8].fill(0);
        let sum = crc32c::crc32c(part).to_le_bytes();
        part[4..8].copy_from_slice(&sum);
    }
}

/// Opens when nothing fatal is found, and then reads.
pub(crate) fn vhdx_read(data: &[u8]) {
    for file in [data, &changed(data, vhdx_files(), mend_vhdx)] {
        let findings = verify(Cursor::new(file)).expect("a file in memory");
        assert!(findings.len() <= 1001);
        let fatal = findings
            .iter()
            .any(|found| found.severity == Severity::Fatal);
        let disk = Disk::open(Cursor::new(file));
        assert_eq!(fatal, disk.is_err(), "{findings:?} {disk:?}");
        let Ok(mut disk) = disk else {
            continue;
        };
        let size = disk.info().size;
        let mut buffer = vec![0; 1 << 20];
        for start in [0, size.saturating_sub(1 << 20)] {
            disk.seek(SeekFrom::Start(start)).unwrap();
            match disk.read_exact(&mut buffer[..(size - start).min(1 << 20) as usize]) {
                Ok(()) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
            }
        }
    }
}

/// Two small partitioned disks.
pub(crate) fn gpt_disks() -> [&'static [u8]; 2] {
    static DISKS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    let make = || {
        [1, 3].map(|count| {
            let partitions = (0..count).map(|number| GptPartition {
                kind: BASIC_DATA,
                id: Guid::from_u128(number),
                offset: 40 * 512 + number as u64 * 4096,
                length: 4096,
                attributes: 0,
                name: format!("ü{number}"),
            });
            let gpt = Gpt {
                disk_size: 64 << 10,
                disk_id: Guid::from_u128(9),
                partitions: partitions.collect(),
            };
            let mut disk = Cursor::new(vec![0; 64 << 10]);
            gpt.write_to(&mut disk).unwrap();
            disk.into_inner()
        })
    };
    DISKS.get_or_init(make).each_ref().map(|disk| &**disk)
}

fn mend_gpt(disk: &mut [u8]) {
    for (header, entries) in [(1, 2), (127, 95)] {
        let entries = crc32fast::hash(&disk[entries * 512..][..128 * 128]);
        let header = &mut disk[header * 512..][..92];
        header[88..92].copy_from_slice(&entries.to_le_bytes());
        header[16..20].fill(0);
        let sum = crc32fast::hash(header).to_le_bytes();
        header[16..20].copy_from_slice(&sum);
    }
}

/// What is read and can be written is read again.
pub(crate) fn gpt_read(data: &[u8]) {
    for disk in [data, &changed(data, gpt_disks(), mend_gpt)] {
        let Ok(gpt) = Gpt::read(&mut Cursor::new(disk)) else {
            continue;
        };
        for partition in &gpt.partitions {
            assert!(partition.offset + partition.length <= disk.len() as u64);
        }
        let mut copy = Cursor::new(vec![0; disk.len()]);
        if gpt.write_to(&mut copy).is_ok() {
            assert_eq!(Gpt::read(&mut copy).unwrap(), gpt);
        }
    }
}
