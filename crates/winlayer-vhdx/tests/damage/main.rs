//! Each rule of the format, broken in an otherwise sound file: `verify` names it, and the disk opens only when it does
//! not matter.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

mod image;
mod metadata;
#[path = "../support/mod.rs"]
mod support;

use std::io::Cursor;

use image::*;
use winlayer_vhdx::{
    Disk, Guid, Place, Rule, Severity,
    TableCopy::{First, Second},
    VhdxError,
};

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
