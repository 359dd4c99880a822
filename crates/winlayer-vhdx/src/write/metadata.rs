//! The metadata region of a new disk.

use zerocopy::{IntoBytes, little_endian::U64};

use crate::{
    DiskOptions, ParentLocator, SectorSize, VhdxError,
    format::{
        FileIdentifier, FileParameters, LocatorEntry, LocatorHeader, METADATA_TABLE_SIZE,
        MetadataEntry, MetadataTableHeader, item,
    },
};

/// The region up to the end of its last item.
pub(super) fn metadata_region(
    options: &DiskOptions,
    parent: Option<&ParentLocator>,
) -> Result<Vec<u8>, VhdxError> {
    const FILE: u32 = MetadataEntry::REQUIRED;
    const DISK: u32 = MetadataEntry::REQUIRED | MetadataEntry::VIRTUAL_DISK;
    let parameters = FileParameters {
        block_size: options.block_size.bytes().into(),
        flags: parent.map_or(0, |_| FileParameters::HAS_PARENT).into(),
    };
    let logical = SectorSize::B512.bytes().to_le_bytes();
    let physical = options.physical_sector.bytes().to_le_bytes();
    let mut items = vec![
        (item::FILE_PARAMETERS, FILE, parameters.as_bytes().to_vec()),
        (
            item::DISK_SIZE,
            DISK,
            U64::new(options.size).as_bytes().to_vec(),
        ),
        (item::DISK_ID, DISK, options.disk_id.as_bytes().to_vec()),
        (item::LOGICAL_SECTOR, DISK, logical.to_vec()),
        (item::PHYSICAL_SECTOR, DISK, physical.to_vec()),
    ];
    if let Some(parent) = parent {
        items.push((item::PARENT_LOCATOR, FILE, locator(parent)?));
    }

    let header = MetadataTableHeader {
        signature: MetadataTableHeader::SIGNATURE,
        reserved: 0.into(),
        count: (items.len() as u16).into(),
        reserved_tail: [0; 20],
    };
    let mut table = header.as_bytes().to_vec();
    let mut content = Vec::new();
    for (id, flags, bytes) in &items {
        let entry = MetadataEntry {
            id: *id,
            offset: (METADATA_TABLE_SIZE + content.len() as u32).into(),
            length: (bytes.len() as u32).into(),
            flags: (*flags).into(),
            reserved: 0.into(),
        };
        table.extend_from_slice(entry.as_bytes());
        content.extend_from_slice(bytes);
        content.resize(content.len().next_multiple_of(8), 0);
    }
    table.resize(METADATA_TABLE_SIZE as usize, 0);
    table.append(&mut content);
    Ok(table)
}

/// The parent locator item.
fn locator(parent: &ParentLocator) -> Result<Vec<u8>, VhdxError> {
    let entries = parent.entries();
    if entries.len() < 2 {
        return Err(VhdxError::NoParentPath);
    }
    let header = LocatorHeader {
        locator_type: LocatorHeader::VHDX,
        reserved: 0.into(),
        count: (entries.len() as u16).into(),
    };
    let mut table = header.as_bytes().to_vec();
    let texts_at = table.len() + entries.len() * size_of::<LocatorEntry>();
    let mut texts = Vec::new();
    for (key, value) in &entries {
        let mut put = |text: &str| -> Result<_, VhdxError> {
            let offset = (texts_at + texts.len()) as u32;
            let encoded = utf16(key, text, MAX_PATH_UNITS)?;
            texts.extend_from_slice(encoded.as_bytes());
            Ok((offset, (encoded.len() * 2) as u16))
        };
        let ((key_offset, key_length), (value_offset, value_length)) = (put(key)?, put(value)?);
        let entry = LocatorEntry {
            key_offset: key_offset.into(),
            value_offset: value_offset.into(),
            key_length: key_length.into(),
            value_length: value_length.into(),
        };
        table.extend_from_slice(entry.as_bytes());
    }
    table.append(&mut texts);
    Ok(table)
}

/// Longest path of a parent: what fits the field for the length in bytes.
const MAX_PATH_UNITS: usize = 32767;

/// The identifier at the start of the file.
pub(super) fn file_identifier(creator: &str) -> Result<FileIdentifier, VhdxError> {
    let mut identifier = FileIdentifier {
        signature: FileIdentifier::SIGNATURE,
        creator: [[0; 2]; 256],
    };
    let units = utf16("the creator", creator, identifier.creator.len() - 1)?;
    for (place, unit) in identifier.creator.iter_mut().zip(units) {
        *place = unit;
    }
    Ok(identifier)
}

fn utf16(field: &'static str, text: &str, limit: usize) -> Result<Vec<[u8; 2]>, VhdxError> {
    let units: Vec<_> = text.encode_utf16().map(u16::to_le_bytes).collect();
    if units.len() > limit {
        return Err(VhdxError::TooLong {
            field,
            units: units.len(),
            limit,
        });
    }
    Ok(units)
}
