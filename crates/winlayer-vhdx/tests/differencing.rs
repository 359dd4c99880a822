//! Differencing disks that we make, read by libvhdi, dissect.hypervisor and 7-Zip. QEMU knows none.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

mod support;

use std::{
    fs::File,
    io::{Cursor, ErrorKind, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use support::{all_of, new_file, noise, options};
use winlayer_vhdx::{
    Chain, DifferencingDisk, Disk, DiskKind, DiskOptions, DynamicDisk, Guid, ParentLocator,
    VhdxError, open_chain,
};

const MIB: usize = 1 << 20;
/// 7-Zip refuses sizes that are no multiple of 4096.
const SIZE: usize = 12 * MIB + 3 * 4096;

/// Base, child and grandchild in a folder, with what each should have.
struct Family {
    _folder: tempfile::TempDir,
    files: [PathBuf; 3],
    disks: [Vec<u8>; 3],
}

impl Family {
    #[cfg(target_os = "linux")]
    fn paths(&self, youngest: usize) -> Vec<&std::path::Path> {
        self.files[..=youngest]
            .iter()
            .rev()
            .map(|path| &**path)
            .collect()
    }
}

fn generation(number: u128) -> DiskOptions {
    let mut options = options(SIZE as u64);
    // 7-Zip takes files with the same ids for the same file.
    options.disk_id = Guid::from_u128(0x200 + number);
    options.file_write_id = Guid::from_u128(0x300 + number);
    options.data_write_id = Guid::from_u128(0x100 + number);
    options
}

fn locator(parent: u128, path: &str) -> ParentLocator {
    ParentLocator {
        linkage: Guid::from_u128(0x100 + parent),
        relative_path: Some(path.to_owned()),
        ..ParentLocator::default()
    }
}

/// Writes to a disk and to what it should have.
fn write(disk: &mut (impl Write + Seek), model: &mut [u8], writes: &[(usize, usize)]) {
    for &(offset, length) in writes {
        let data = noise((offset + length) as u64, length);
        model[offset..offset + length].copy_from_slice(&data);
        disk.seek(SeekFrom::Start(offset as u64)).unwrap();
        disk.write_all(&data).unwrap();
    }
}

fn family() -> Family {
    let folder = tempfile::tempdir().unwrap();
    let files =
        ["base", "child", "grandchild"].map(|name| folder.path().join(name).with_extension("vhdx"));
    let mut model = vec![0; SIZE];

    let mut disk = DynamicDisk::create(new_file(&files[0]), &generation(0)).unwrap();
    write(
        &mut disk,
        &mut model,
        &[(0, 3 * MIB), (5 * MIB, MIB), (11 * MIB, MIB + 3 * 4096)],
    );
    disk.finish().unwrap();
    let base = model.clone();

    let parent = Disk::open(File::open(&files[0]).unwrap()).unwrap();
    let locator_of_base = locator(0, r".\base.vhdx");
    let mut disk = DifferencingDisk::create(
        new_file(&files[1]),
        parent,
        &generation(1),
        &locator_of_base,
    )
    .unwrap();
    write(
        &mut disk,
        &mut model,
        &[
            (512, 1024),
            (MIB, MIB),
            (2 * MIB + 100, 1),
            (7 * MIB + 700, 9000),
            (12 * MIB, 3 * 4096),
        ],
    );
    assert!(all_of(&mut disk) == model);
    disk.finish().unwrap();
    let child = model.clone();

    let parent = open_chain(&files[1]).unwrap();
    let locator_of_child = locator(1, r".\child.vhdx");
    let mut disk = DifferencingDisk::create(
        new_file(&files[2]),
        parent,
        &generation(2),
        &locator_of_child,
    )
    .unwrap();
    write(
        &mut disk,
        &mut model,
        &[
            (1000, 5),
            (MIB + 4096, 4096),
            (9 * MIB, 512),
            (12 * MIB + 512, 512),
        ],
    );
    disk.finish().unwrap();
    Family {
        _folder: folder,
        files,
        disks: [base, child, model],
    }
}

#[cfg(target_os = "linux")]
#[test]
fn all_readers_see_the_same() {
    let family = family();
    for youngest in 1..3 {
        let (file, model) = (&family.files[youngest], &family.disks[youngest]);
        assert_eq!(
            winlayer_vhdx::verify(File::open(file).unwrap()).unwrap(),
            []
        );
        assert!(all_of(open_chain(file).unwrap()) == *model, "we");
        let files = family.paths(youngest);
        assert!(
            support::raw_by_python("libvhdi", &files) == *model,
            "libvhdi"
        );
        if youngest == 1 {
            // It reads too little of a bitmap when it is asked for sectors from the middle of a byte on, as it asks
            // itself for partly present blocks over each other.
            assert!(
                support::raw_by_python("dissect", &files) == *model,
                "dissect"
            );
        }
        assert!(support::raw_by_7zip(file) == *model, "7-Zip");
    }
}

#[test]
fn whole_blocks_need_no_bitmap() {
    let family = family();
    let base = Disk::open(File::open(&family.files[0]).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.vhdx");
    let mut disk = DifferencingDisk::create(
        new_file(&path),
        base,
        &generation(1),
        &locator(0, "base.vhdx"),
    )
    .unwrap();
    let mut model = family.disks[0].clone();
    // Block 12 is the last and ends with the disk; block 5 is written in two pieces.
    let writes = [
        (12 * MIB, 3 * 4096),
        (5 * MIB, MIB / 2),
        (5 * MIB + MIB / 2, MIB / 2),
    ];
    write(&mut disk, &mut model, &writes);
    let length = disk.finish().unwrap().metadata().unwrap().len();
    assert_eq!(
        length,
        6 << 20,
        "header, log, metadata, BAT, and two blocks"
    );
    let base = Disk::open(File::open(&family.files[0]).unwrap()).unwrap();
    let disk = Disk::open(File::open(&path).unwrap()).unwrap();
    assert_eq!(disk.info().allocated_blocks, 2);
    assert!(all_of(Chain::new(vec![disk, base]).unwrap()) == model);
}

#[test]
fn the_locator_is_read_back() {
    let family = family();
    let info = open_chain(&family.files[2]).unwrap().disks()[0].info();
    assert_eq!(info.kind, DiskKind::Differencing);
    assert_eq!(info.parent, Some(locator(1, r".\child.vhdx")));
    let linkage = "{00000000-0000-0000-0000-000000000101}".to_owned();
    assert_eq!(
        info.parent_entries,
        [
            ("parent_linkage".to_owned(), linkage),
            ("relative_path".to_owned(), r".\child.vhdx".to_owned()),
        ]
    );
}

#[test]
fn alone_it_reads_what_it_has_and_no_more() {
    let family = family();
    let mut disk = Disk::open(File::open(&family.files[1]).unwrap()).unwrap();
    let mut sector = [0; 512];
    disk.seek(SeekFrom::Start(512)).unwrap();
    disk.read_exact(&mut sector).unwrap();
    assert_eq!(sector, family.disks[1][512..1024]);
    disk.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(
        disk.read(&mut sector).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_shorter_parent_is_followed_by_zeros() {
    let mut child_options = options(4 << 20);
    child_options.data_write_id = Guid::from_u128(5);
    let parent = Cursor::new(noise(1, 700));
    let file = Cursor::new(Vec::new());
    let mut disk =
        DifferencingDisk::create(file, parent, &child_options, &locator(0, "p")).unwrap();
    let mut model = noise(1, 700);
    model.resize(4 << 20, 0);
    write(&mut disk, &mut model, &[(600, 10), (2 << 20, 1)]);
    assert!(all_of(&mut disk) == model);
}

/// A base and a child in memory.
fn two_disks(linkage: u128) -> [Disk<Cursor<Vec<u8>>>; 2] {
    let base = DynamicDisk::create(Cursor::new(Vec::new()), &generation(0)).unwrap();
    let base = base.finish().unwrap();
    let child = DifferencingDisk::create(
        Cursor::new(Vec::new()),
        Disk::open(base.clone()).unwrap(),
        &generation(1),
        &locator(linkage, "base.vhdx"),
    );
    let child = child.unwrap().finish().unwrap();
    [child, base].map(|file| Disk::open(file).unwrap())
}

#[test]
fn disks_that_do_not_belong_together_are_refused() {
    assert!(Chain::new(two_disks(0).into()).is_ok());
    let other = Chain::new(two_disks(7).into());
    assert!(
        matches!(other, Err(VhdxError::WrongParent { .. })),
        "{other:?}"
    );
    let [child, base] = two_disks(0);
    let [_, second_base] = two_disks(0);
    for disks in [vec![], vec![child], vec![base, second_base]] {
        let chain = Chain::new(disks);
        assert!(matches!(chain, Err(VhdxError::Chain { .. })), "{chain:?}");
    }
}

#[test]
fn chains_on_disk_that_lead_nowhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, parent: &str| {
        let path = folder.path().join(name);
        let nothing = Cursor::new(Vec::new());
        let disk = DifferencingDisk::create(
            new_file(&path),
            nothing,
            &generation(0),
            &locator(0, parent),
        );
        disk.unwrap().finish().unwrap();
        path
    };
    let orphan = open_chain(&make("orphan", r"..\nowhere\base.vhdx")).unwrap_err();
    assert!(
        matches!(&orphan, VhdxError::ParentNotFound { tried, .. } if tried.len() == 1),
        "{orphan}"
    );
    let (first, _) = (make("first", r".\second"), make("second", r".\first"));
    let circle = open_chain(&first).unwrap_err();
    assert!(matches!(circle, VhdxError::Circle { .. }), "{circle}");
    for number in 0..70 {
        make(&format!("deep{number}"), &format!("deep{}", number + 1));
    }
    let deep = open_chain(&folder.path().join("deep0")).unwrap_err();
    assert!(matches!(deep, VhdxError::TooDeep { limit: 64 }), "{deep}");
    std::fs::write(folder.path().join("noise"), noise(1, 1000)).unwrap();
    let damaged = open_chain(&make("over-noise", "noise")).unwrap_err();
    assert!(matches!(damaged, VhdxError::InFile { .. }), "{damaged}");
}

#[test]
fn the_absolute_path_is_tried_after_the_relative_one() {
    let family = family();
    let folder = tempfile::tempdir().unwrap();
    let locator = ParentLocator {
        absolute_win32_path: Some(family.files[0].to_str().unwrap().to_owned()),
        ..locator(0, r".\gone.vhdx")
    };
    let path = folder.path().join("child.vhdx");
    let base = Disk::open(File::open(&family.files[0]).unwrap()).unwrap();
    let disk = DifferencingDisk::create(new_file(&path), base, &generation(1), &locator).unwrap();
    disk.finish().unwrap();
    assert!(all_of(open_chain(&path).unwrap()) == family.disks[0]);
}

#[test]
fn a_locator_without_a_path_is_refused() {
    let locator = ParentLocator::default();
    let [file, parent] = [0, 1].map(|_| Cursor::new(Vec::new()));
    let disk = DifferencingDisk::create(file, parent, &generation(1), &locator);
    assert!(matches!(disk, Err(VhdxError::NoParentPath)));
}

/// Each 4 GiB of the disk have their own bitmap block.
#[test]
fn sectors_of_every_chunk_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let [base, child] = ["base.vhdx", "child.vhdx"].map(|name| folder.path().join(name));
    let generation = |number| DiskOptions {
        size: 10 << 30,
        ..generation(number)
    };
    let mut disk = DynamicDisk::create(new_file(&base), &generation(0)).unwrap();
    let places = [4096, 4 << 30, (8 << 30) + 512, (10 << 30) - 512];
    for place in places {
        disk.seek(SeekFrom::Start(place - 512)).unwrap();
        disk.write_all(&noise(1, 512)).unwrap();
    }
    disk.finish().unwrap();
    let parent = Disk::open(File::open(&base).unwrap()).unwrap();
    let mut disk = DifferencingDisk::create(
        new_file(&child),
        parent,
        &generation(1),
        &locator(0, "base.vhdx"),
    )
    .unwrap();
    for place in places {
        disk.seek(SeekFrom::Start(place)).unwrap();
        disk.write_all(&noise(place, 512)).unwrap();
    }
    let length = disk.finish().unwrap().metadata().unwrap().len();
    assert_eq!(
        length,
        (4 + 4 + 3) << 20,
        "four structures, four blocks, three bitmaps"
    );

    let mut ours = open_chain(&child).unwrap();
    for place in places {
        let expected = [noise(1, 512), noise(place, 512)].concat();
        let mut read = [0; 1024];
        ours.seek(SeekFrom::Start(place - 512)).unwrap();
        ours.read_exact(&mut read).unwrap();
        assert!(read[..] == expected, "{place:#x}");
        #[cfg(target_os = "linux")]
        for reader in ["libvhdi", "dissect"] {
            let window = Some((place - 512, 1024));
            let read = support::window_by_python(reader, &[&child, &base], window);
            assert!(read == expected, "{reader}, {place:#x}");
        }
    }
}
