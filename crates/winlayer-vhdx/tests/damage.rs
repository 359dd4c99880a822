//! Each rule of the format, broken in an otherwise sound file: `verify` names it, and the disk opens only when it does
//! not matter.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

mod support;

use std::io::{Cursor, Seek, SeekFrom, Write};

use support::options;
use winlayer_vhdx::{
    DifferencingDisk, Disk, DynamicDisk, Finding, Guid, ParentLocator, Place, Rule, Severity,
    TableCopy::{First, Second},
    VhdxError, verify,
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const HEADERS: [usize; 2] = [64 * KIB, 128 * KIB];
const REGION_TABLES: [usize; 2] = [192 * KIB, 256 * KIB];
/// Where our writer puts things.
const METADATA: usize = 2 * MIB;
const BAT: usize = 3 * MIB;
/// Entry of the bitmap block of the first chunk.
const BITMAP: usize = BAT + 4096 * 8;
/// Order of our entries in the metadata table, and of the items behind it.
const PARAMETERS: usize = METADATA + 32;
const DISK_SIZE: usize = PARAMETERS + 32;
const DISK_ID: usize = DISK_SIZE + 32;
const PARENT: usize = METADATA + 32 * 6;
const ITEMS: usize = METADATA + 64 * KIB;
const LOCATOR: usize = ITEMS + 8 + 8 + 16 + 8 + 8;

const BAT_REGION: Guid = Guid::from_u128(0x2DC27766_F623_4200_9D64_115E9BFD4A08);
const METADATA_REGION: Guid = Guid::from_u128(0x8B7CA206_4790_4B9A_B8FE_575F050F886E);
const PARAMETERS_ITEM: Guid = Guid::from_u128(0xCAA16737_FA36_4D43_B3B6_33F0AA44E76B);
const SIZE_ITEM: Guid = Guid::from_u128(0x2FA54224_CD1B_4876_B211_5DBED83BF4B8);
const ID_ITEM: Guid = Guid::from_u128(0xBECA12AB_B2E6_4523_93EF_C309E000C746);
const PARENT_ITEM: Guid = Guid::from_u128(0xA8D35F2D_B30B_454D_ABF7_D3D84834AB0C);
/// An id that means nothing.
const NOTHING: [u8; 16] = [9; 16];

/// A file with its checksums left alone.
struct Image(Vec<u8>);

impl Image {
    /// Four blocks, the last only half on the disk. Blocks 0 and 3 are partly present, at 4 and 6 MiB, block 1 is whole,
    /// at 5 MiB; the bitmap block is at 7 MiB.
    fn differencing() -> Self {
        let size = 3 * MIB + 512 * KIB;
        let locator = ParentLocator {
            linkage: Guid::from_u128(1),
            relative_path: Some(r".\base.vhdx".to_owned()),
            ..ParentLocator::default()
        };
        let parent = Cursor::new(Vec::new());
        let file = Cursor::new(Vec::new());
        let options = options(size as u64);
        let mut disk = DifferencingDisk::create(file, parent, &options, &locator).unwrap();
        for (offset, length) in [(512, 512), (MIB, MIB), (3 * MIB, 512)] {
            disk.seek(SeekFrom::Start(offset as u64)).unwrap();
            disk.write_all(&vec![1; length]).unwrap();
        }
        Self(disk.finish().unwrap().into_inner())
    }

    /// Two blocks, both written, at 4 and 5 MiB.
    fn dynamic() -> Self {
        let file = Cursor::new(Vec::new());
        let mut disk = DynamicDisk::create(file, &options(5 << 30)).unwrap();
        disk.write_all(&vec![1; 2 * MIB]).unwrap();
        Self(disk.finish().unwrap().into_inner())
    }

    fn put(&mut self, offset: usize, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Puts it into both headers or both region tables.
    fn put_both(
        &mut self,
        copies: [usize; 2],
        offset: usize,
        bytes: impl AsRef<[u8]>,
    ) -> &mut Self {
        for copy in copies {
            self.put(copy + offset, &bytes);
        }
        self.mend()
    }

    /// Makes all checksums right.
    fn mend(&mut self) -> &mut Self {
        let headers = HEADERS.map(|offset| (offset, 4 * KIB));
        let tables = REGION_TABLES.map(|offset| (offset, 64 * KIB));
        for (offset, length) in headers.into_iter().chain(tables) {
            self.put(offset + 4, [0; 4]);
            let sum = crc32c::crc32c(&self.0[offset..offset + length]);
            self.put(offset + 4, sum.to_le_bytes());
        }
        self
    }

    fn verify(&self) -> Vec<Finding> {
        verify(Cursor::new(&self.0)).unwrap()
    }

    /// Every finding, and whether the disk can be opened nevertheless.
    #[track_caller]
    fn breaks(&self, expected: &[(Place, Rule)], severity: Severity) {
        let findings = self.verify();
        let found: Vec<_> = findings
            .iter()
            .map(|found| (found.place, found.rule))
            .collect();
        assert_eq!(found, expected, "{findings:#?}");
        let worst = findings
            .iter()
            .any(|found| found.severity == Severity::Fatal);
        assert_eq!(worst, severity == Severity::Fatal, "{findings:#?}");
        let opened = Disk::open(Cursor::new(&self.0));
        assert_eq!(opened.is_err(), worst, "{opened:?}");
    }

    #[track_caller]
    fn is_harmless(&self, place: Place, rule: Rule) {
        self.breaks(&[(place, rule)], Severity::Harmless);
    }

    #[track_caller]
    fn is_fatal(&self, place: Place, rule: Rule) {
        self.breaks(&[(place, rule)], Severity::Fatal);
    }
}

fn differencing(change: impl FnOnce(&mut Image)) -> Image {
    let mut image = Image::differencing();
    change(&mut image);
    image
}

/// The entry of a block in the BAT.
fn block(number: usize) -> usize {
    BAT + number * 8
}

fn entry(state: u64, mib: u64) -> [u8; 8] {
    (state | mib << 20).to_le_bytes()
}

#[test]
fn sound_files_break_nothing() {
    assert_eq!(Image::differencing().verify(), []);
    assert_eq!(Image::dynamic().verify(), []);
}

#[test]
fn file_and_identifier() {
    differencing(|image| image.0[3] ^= 1).is_fatal(Place::Identifier, Rule::Signature);
    differencing(|image| image.0.push(0)).is_harmless(Place::File, Rule::Aligned);
    let truncated = differencing(|image| image.0.truncate(7 * MIB));
    truncated.is_fatal(Place::Bitmap(0), Rule::Inside);
    let empty = Image(Vec::new()).verify();
    assert!(
        empty.iter().any(|found| found.place == Place::Identifier),
        "{empty:?}"
    );
}

#[test]
fn one_header_is_enough() {
    differencing(|image| image.0[HEADERS[0]] ^= 1)
        .is_harmless(Place::Header(First), Rule::Signature);
    // The current one: the other takes its place.
    differencing(|image| image.0[HEADERS[1] + 17] ^= 1)
        .is_harmless(Place::Header(Second), Rule::Checksum);
    let none = differencing(|image| HEADERS.iter().for_each(|header| image.0[header + 4] ^= 1));
    let broken = [First, Second].map(|copy| (Place::Header(copy), Rule::Checksum));
    none.breaks(&broken, Severity::Fatal);
}

#[test]
fn header_fields() {
    let header = |offset, bytes: &[u8]| {
        differencing(|image| {
            image.put_both(HEADERS, offset, bytes);
        })
    };
    let current = Place::Header(Second);
    // Both are equal then, as Disk2vhd leaves them.
    header(8, &[5]).is_harmless(current, Rule::Sequence);
    let unclear = differencing(|image| {
        image
            .put_both(HEADERS, 8, [5])
            .put(HEADERS[0] + 20, [5])
            .mend();
    });
    unclear.is_fatal(current, Rule::Sequence);
    // The greater number wins, wherever it is.
    let first = differencing(|image| {
        image
            .put(HEADERS[0] + 8, [3])
            .put(HEADERS[1] + 66, [9])
            .mend();
    });
    assert_eq!(first.verify(), []);
    let with_sequence = |offset, bytes: &[u8]| {
        differencing(|image| {
            image.put(HEADERS[1] + offset, bytes).mend();
        })
    };
    with_sequence(66, &[2]).is_fatal(current, Rule::Version);
    with_sequence(4000, &[2]).is_harmless(current, Rule::Reserved);
    with_sequence(64, &[1]).is_fatal(Place::Log, Rule::Version);
    with_sequence(68, &[1]).is_fatal(Place::Log, Rule::Aligned);
    with_sequence(72, &[1]).is_fatal(Place::Log, Rule::Aligned);
    with_sequence(72, &entry(0, 8)).is_fatal(Place::Log, Rule::Inside);
    with_sequence(72, &[0xFF; 8]).is_fatal(Place::Log, Rule::Aligned);
    with_sequence(72, &entry(0, (1 << 44) - 1)).is_fatal(Place::Log, Rule::Inside);
    with_sequence(72, &entry(0, 0)).is_fatal(Place::Log, Rule::BehindHeaders);
    with_sequence(72, &entry(0, 7)).is_fatal(Place::Bitmap(0), Rule::Overlap);
    let pending = with_sequence(48, &[1]);
    pending.is_fatal(Place::Log, Rule::EmptyLog);
    let refused = Disk::open(Cursor::new(pending.0));
    assert!(matches!(refused, Err(VhdxError::NeedsReplay)));
}

#[test]
fn region_tables() {
    let [first, second] = [First, Second].map(Place::RegionTable);
    differencing(|image| image.0[REGION_TABLES[0]] ^= 1).is_harmless(first, Rule::Signature);
    differencing(|image| image.0[REGION_TABLES[1] + 5000] ^= 1).is_harmless(second, Rule::Checksum);
    let other = differencing(|image| {
        image.put(REGION_TABLES[1] + 5000, [1]).mend();
    });
    other.is_harmless(second, Rule::EqualCopies);
    let none = differencing(|image| {
        REGION_TABLES
            .iter()
            .for_each(|table| image.0[table + 4] ^= 1)
    });
    none.breaks(
        &[(first, Rule::Checksum), (second, Rule::Checksum)],
        Severity::Fatal,
    );

    let both = |offset, bytes: &[u8]| {
        differencing(|image| {
            image.put_both(REGION_TABLES, offset, bytes);
        })
    };
    let many = both(8, &2048u32.to_le_bytes());
    many.breaks(
        &[(first, Rule::Count), (second, Rule::Count)],
        Severity::Fatal,
    );
    let reserved = both(12, &[1]);
    reserved.breaks(
        &[(first, Rule::Reserved), (second, Rule::Reserved)],
        Severity::Harmless,
    );
    let unknown = Place::Region(Guid::from_bytes(NOTHING));
    both(8, &[1]).is_fatal(Place::Region(METADATA_REGION), Rule::Present);
    let renamed = both(16, &NOTHING);
    renamed.breaks(
        &[
            (unknown, Rule::Known),
            (Place::Region(BAT_REGION), Rule::Present),
        ],
        Severity::Fatal,
    );

    let bat = Place::Region(BAT_REGION);
    both(16 + 16, &[1]).is_fatal(bat, Rule::Aligned);
    both(16 + 16, &entry(0, 8)).is_fatal(bat, Rule::Inside);
    both(16 + 16, &entry(0, 0)).is_fatal(bat, Rule::BehindHeaders);
    both(16 + 24, &[1]).is_fatal(bat, Rule::Aligned);
    both(16 + 24, &[0; 4]).is_fatal(Place::Bat, Rule::Length);
    both(16 + 28, &[0]).is_harmless(bat, Rule::Flags);
    both(16 + 28, &[3]).is_harmless(bat, Rule::Reserved);
    both(48 + 24, &(2u32 << 20).to_le_bytes()).is_fatal(bat, Rule::Overlap);
    let twice = differencing(|image| {
        let entry = image.0[REGION_TABLES[0] + 16..][..32].to_vec();
        image
            .put_both(REGION_TABLES, 80, entry)
            .put_both(REGION_TABLES, 8, [3]);
    });
    let twice_findings = [
        (bat, Rule::Unique),
        (bat, Rule::Unique),
        (bat, Rule::Overlap),
    ];
    twice.breaks(&twice_findings, Severity::Fatal);
}

/// A third region, in a MiB at the end of the file.
fn third_region(id: [u8; 16], required: u8) -> Image {
    differencing(|image| {
        image.0.resize(9 * MIB, 0);
        let mut entry = [0; 32];
        entry[..16].copy_from_slice(&id);
        entry[16..24].copy_from_slice(&(8u64 << 20).to_le_bytes());
        entry[26] = 0x10;
        entry[28] = required;
        image
            .put_both(REGION_TABLES, 80, entry)
            .put_both(REGION_TABLES, 8, [3]);
    })
}

#[test]
fn unknown_regions_matter_when_they_are_required() {
    assert_eq!(third_region(NOTHING, 0).verify(), []);
    let place = Place::Region(Guid::from_bytes(NOTHING));
    third_region(NOTHING, 1).is_fatal(place, Rule::Known);
}

#[test]
fn the_metadata_table() {
    let change = |offset, bytes: &[u8]| {
        differencing(|image| {
            image.put(offset, bytes);
        })
    };
    let (table, parameters) = (Place::MetadataTable, Place::Item(PARAMETERS_ITEM));
    change(METADATA, b"M").is_fatal(table, Rule::Signature);
    change(METADATA + 8, &[1]).is_harmless(table, Rule::Reserved);
    change(METADATA + 31, &[1]).is_harmless(table, Rule::Reserved);
    change(METADATA + 10, &[0, 8]).is_fatal(table, Rule::Count);
    change(PARAMETERS + 16, &[0; 4]).is_fatal(parameters, Rule::BehindHeaders);
    change(PARAMETERS + 16, &[0xF9, 0xFF, 0x0F]).is_fatal(parameters, Rule::Inside);
    change(PARAMETERS + 20, &[4]).is_fatal(parameters, Rule::Length);
    change(PARAMETERS + 24, &[6]).is_harmless(parameters, Rule::Flags);
    change(PARAMETERS + 25, &[1]).is_harmless(parameters, Rule::Reserved);
    change(PARAMETERS + 28, &[1]).is_harmless(parameters, Rule::Reserved);
    let size = Place::Item(SIZE_ITEM);
    change(DISK_ID + 16, &[12]).is_fatal(Place::Item(ID_ITEM), Rule::Overlap);
    let other = Place::Item(Guid::from_bytes(NOTHING));
    let renamed = change(DISK_SIZE, &NOTHING);
    renamed.breaks(
        &[(other, Rule::Known), (size, Rule::Present)],
        Severity::Fatal,
    );
    // An item of the user's with a known id is another item.
    let user = change(DISK_SIZE + 24, &[3]);
    user.is_fatal(size, Rule::Present);
    let twice = change(DISK_SIZE, &PARAMETERS_ITEM.to_bytes());
    let findings = twice.verify();
    assert!(
        findings
            .iter()
            .any(|found| (found.place, found.rule) == (parameters, Rule::Unique))
    );
}

#[test]
fn unknown_items_matter_when_they_are_required() {
    let seventh = |flags| {
        differencing(|image| {
            let mut entry = [0; 32];
            entry[..16].copy_from_slice(&NOTHING);
            entry[24] = flags;
            image.put(METADATA + 32 * 7, entry).put(METADATA + 10, [7]);
        })
    };
    let place = Place::Item(Guid::from_bytes(NOTHING));
    assert_eq!(seventh(0).verify(), []);
    assert_eq!(seventh(1).verify(), []);
    seventh(4).is_fatal(place, Rule::Known);
}

#[test]
fn metadata_items() {
    let change = |offset, bytes: &[u8]| {
        differencing(|image| {
            image.put(ITEMS + offset, bytes);
        })
    };
    change(0, &[1]).is_fatal(Place::FileParameters, Rule::Value);
    change(4, &[6]).is_harmless(Place::FileParameters, Rule::Reserved);
    change(8, &[1]).is_fatal(Place::DiskSize, Rule::Value);
    change(8, &[0; 8]).is_fatal(Place::DiskSize, Rule::Value);
    change(8, &entry(0, (64 << 20) + 1)).is_fatal(Place::DiskSize, Rule::Value);
    change(8, &entry(0, 64 << 20)).is_fatal(Place::Bat, Rule::Length);
    change(32, &[0; 4]).is_fatal(Place::LogicalSector, Rule::Value);
    change(40, &[1]).is_fatal(Place::PhysicalSector, Rule::Value);
}

#[test]
fn the_parent_locator() {
    let change = |offset, bytes: &[u8]| {
        differencing(|image| {
            image.put(LOCATOR + offset, bytes);
        })
    };
    let place = Place::ParentLocator;
    change(0, &[1]).is_fatal(place, Rule::Known);
    change(16, &[1]).is_harmless(place, Rule::Reserved);
    change(18, &[0xFF]).is_fatal(place, Rule::Count);
    change(18, &[1]).is_fatal(place, Rule::Present);
    let twice = differencing(|image| {
        // The second key is the first again, which is longer, so its value has to be shorter.
        let first_key = image.0[LOCATOR + 20..][..4].to_vec();
        image
            .put(LOCATOR + 32, first_key)
            .put(LOCATOR + 40, [28, 0, 16, 0]);
    });
    let broken = [Rule::Unique, Rule::Value, Rule::Present].map(|rule| (place, rule));
    twice.breaks(&broken, Severity::Fatal);
    let overlapping = change(20 + 10, &[250]);
    overlapping.breaks(
        &[
            (place, Rule::Overlap),
            (place, Rule::Present),
            (place, Rule::Present),
        ],
        Severity::Fatal,
    );
    change(20 + 3, &[0xFF]).breaks(
        &[(place, Rule::Inside), (place, Rule::Present)],
        Severity::Fatal,
    );
    // `parent_linkage` is behind two entries, its value behind it.
    let key = 20 + 2 * 12;
    change(key, b"P").is_fatal(place, Rule::Present);
    change(key + 14 * 2 + 2, b"x").is_fatal(place, Rule::Value);
    let path_key = key + 14 * 2 + 38 * 2;
    change(path_key, b"R").is_fatal(place, Rule::Present);
    let missing = differencing(|image| {
        image.put(METADATA + 10, [5]);
    });
    missing.is_fatal(place, Rule::Present);
    let short = differencing(|image| {
        image.put(PARENT + 20, [19, 0, 0, 0]);
    });
    short.is_fatal(place, Rule::Length);
    assert_eq!(
        Image::differencing().0[PARENT..][..16],
        PARENT_ITEM.to_bytes()
    );
}

#[test]
fn entries_of_blocks() {
    let change = |offset, bytes: [u8; 8]| {
        differencing(|image| {
            image.put(offset, bytes);
        })
    };
    let first = Place::Block(0);
    for state in [4, 5] {
        change(block(0), entry(state, 4)).is_fatal(first, Rule::State);
    }
    for state in [1, 2, 3] {
        assert_eq!(change(block(0), entry(state, 999)).verify(), []);
    }
    change(block(0), entry(6 | 8, 4)).is_fatal(first, Rule::Reserved);
    change(block(0), entry(6 | 1 << 19, 4)).is_fatal(first, Rule::Reserved);
    change(block(0), entry(6, 0)).is_fatal(first, Rule::BehindHeaders);
    change(block(0), entry(6, 8)).is_fatal(first, Rule::Inside);
    change(block(0), entry(6, (1 << 44) - 1)).is_fatal(first, Rule::Inside);
    for (mib, other) in [
        (1, first),
        (2, first),
        (3, first),
        (5, Place::Block(1)),
        (7, Place::Bitmap(0)),
    ] {
        let image = change(block(0), entry(6, mib));
        let [finding] = &*image.verify() else {
            panic!("{:?}", image.verify());
        };
        assert_eq!(finding.rule, Rule::Overlap);
        let both = format!("{} {}", finding.place, finding.found);
        assert!(both.contains(&other.to_string()), "{both}");
    }
    change(block(4), entry(6, 4)).is_fatal(Place::Block(4), Rule::State);
}

#[test]
fn entries_of_bitmaps() {
    let gone = differencing(|image| {
        image.put(BITMAP, [0; 8]);
    });
    let blocks = [0, 3].map(|number| (Place::Block(number), Rule::NeedsBitmap));
    gone.breaks(&blocks, Severity::Fatal);
    let state = differencing(|image| {
        image.put(BITMAP, entry(7, 7));
    });
    state.is_fatal(Place::Bitmap(0), Rule::State);
    // Bit 1024 of block 3's bits is for the first sector behind the end of the disk.
    let behind = differencing(|image| {
        image.put(7 * MIB + 3 * 256 + 128, [1]);
    });
    behind.is_harmless(Place::Block(3), Rule::BehindEnd);
}

#[test]
fn a_dynamic_disk_has_neither_bitmaps_nor_parts_of_blocks() {
    let change = |offset, bytes: [u8; 8]| {
        let mut image = Image::dynamic();
        image.put(offset, bytes);
        image
    };
    change(block(1), entry(7, 5)).is_fatal(Place::Block(1), Rule::State);
    change(BITMAP, entry(6, 5)).is_fatal(Place::Bitmap(0), Rule::State);
    change(block(1), entry(6, 4)).is_fatal(Place::Block(1), Rule::Overlap);
}

#[test]
fn all_that_is_wrong_is_reported() {
    let image = differencing(|image| {
        image
            .put(HEADERS[0], b"x")
            .put(METADATA + 8, [1])
            .put(block(1), entry(5, 5))
            .put(block(2), entry(6, 99));
    });
    image.breaks(
        &[
            (Place::Header(First), Rule::Signature),
            (Place::MetadataTable, Rule::Reserved),
            (Place::Block(1), Rule::State),
            (Place::Block(2), Rule::Inside),
        ],
        Severity::Fatal,
    );
    let text = image.verify()[3].to_string();
    assert_eq!(
        text,
        "the entry of block 2 at file offset 0x300010: a place inside of what holds it expected, found 0x0000000006300006"
    );
}

/// A file of noise must not fill memory with findings.
#[test]
fn findings_are_bounded() {
    let mut image = Image::differencing();
    image.0[BAT..BAT + MIB].fill(0xFF);
    let findings = image.verify();
    assert_eq!(findings.len(), 1000);
}
