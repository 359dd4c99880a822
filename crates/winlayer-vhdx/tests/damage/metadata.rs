//! Rules for the metadata.

use winlayer_vhdx::{Guid, Place, Rule, Severity};

use crate::image::*;

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
