//! Any writes give the disk that the same writes give in memory: before it is finished, and opened again.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

mod support;

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use proptest::prelude::*;
use support::{all_of, noise, options};
use winlayer_vhdx::{BlockSize, Chain, DifferencingDisk, Disk, DynamicDisk, ParentLocator, verify};

const SIZE: usize = (3 << 20) + 5 * 512;

/// Offset and length of a write: a few bytes or sectors anywhere, or much.
fn writes() -> impl Strategy<Value = Vec<(usize, usize)>> {
    let offset = prop_oneof![
        0..SIZE,
        (0..SIZE / 512).prop_map(|sector| sector * 512),
        (0..3usize).prop_map(|block| block << 20),
    ];
    let length = prop_oneof![
        0..2000usize,
        (0..40usize).prop_map(|sectors| sectors * 512),
        Just(1 << 20),
        0..SIZE,
    ];
    let write = (offset, length).prop_map(|(offset, length)| (offset, length.min(SIZE - offset)));
    prop::collection::vec(write, 0..12)
}

/// Does the writes, and reads each back at once, with a little of what is around it.
fn write_all(
    disk: &mut (impl Read + Write + Seek),
    model: &mut [u8],
    writes: &[(usize, usize)],
) -> Result<(), TestCaseError> {
    for (seed, &(offset, length)) in writes.iter().enumerate() {
        let data = noise(seed as u64, length);
        model[offset..offset + length].copy_from_slice(&data);
        disk.seek(SeekFrom::Start(offset as u64)).unwrap();
        disk.write_all(&data).unwrap();
        let around = offset.saturating_sub(600)..(offset + length + 600).min(SIZE);
        let mut read = vec![1; around.len()];
        disk.seek(SeekFrom::Start(around.start as u64)).unwrap();
        disk.read_exact(&mut read).unwrap();
        prop_assert!(read == model[around]);
    }
    prop_assert!(all_of(disk) == model);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_dynamic_disk(writes in writes(), block in 0..2u32) {
        let mut options = options(SIZE as u64);
        options.block_size = BlockSize::try_from((1u32 << 20) << block).unwrap();
        let mut model = vec![0; SIZE];
        let mut disk = DynamicDisk::create(Cursor::new(Vec::new()), &options).unwrap();
        write_all(&mut disk, &mut model, &writes)?;
        let mut file = disk.finish().unwrap();
        prop_assert_eq!(verify(&mut file).unwrap(), []);
        prop_assert_eq!(file.get_ref().len() % (1 << 20), 0);
        prop_assert!(all_of(Disk::open(file).unwrap()) == model);
    }

    #[test]
    fn a_differencing_disk(below in writes(), writes in writes(), shorter in 0..SIZE / 512) {
        let parent_options = options((SIZE - shorter * 512) as u64);
        let mut parent = DynamicDisk::create(Cursor::new(Vec::new()), &parent_options).unwrap();
        let mut model = vec![0; SIZE];
        for (seed, &(offset, length)) in below.iter().enumerate() {
            let length = length.min((SIZE - shorter * 512).saturating_sub(offset));
            let data = noise(100 + seed as u64, length);
            model[offset..offset + length].copy_from_slice(&data);
            parent.seek(SeekFrom::Start(offset as u64)).unwrap();
            if length > 0 {
                parent.write_all(&data).unwrap();
            }
        }
        let parent = parent.finish().unwrap();

        let locator = ParentLocator {
            linkage: parent_options.data_write_id,
            relative_path: Some(r".\parent.vhdx".to_owned()),
            ..ParentLocator::default()
        };
        let mut disk = DifferencingDisk::create(
            Cursor::new(Vec::new()),
            Disk::open(parent.clone()).unwrap(),
            &options(SIZE as u64),
            &locator,
        )
        .unwrap();
        write_all(&mut disk, &mut model, &writes)?;
        let mut file = disk.finish().unwrap();
        prop_assert_eq!(verify(&mut file).unwrap(), []);
        let disks = [file, parent].map(|file| Disk::open(file).unwrap());
        prop_assert!(all_of(Chain::new(disks.into()).unwrap()) == model);
    }
}
