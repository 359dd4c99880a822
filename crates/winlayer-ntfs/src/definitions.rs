//! `$AttrDef`: the types of attributes a volume knows.

use zerocopy::{
    FromZeros, IntoBytes,
    little_endian::{U32, U64},
};

use crate::{attribute::AttributeType, format::AttributeDefinition};

const INDEXED: u32 = 0x02;
const RESIDENT: u32 = 0x40;
const MOVABLE: u32 = 0x80;
const UNLIMITED: u64 = u64::MAX;

/// Type, flags, least and most bytes.
const DEFINITIONS: [(AttributeType, u32, u64, u64); 15] = [
    (AttributeType::STANDARD_INFORMATION, RESIDENT, 48, 72),
    (AttributeType::ATTRIBUTE_LIST, MOVABLE, 0, UNLIMITED),
    (AttributeType::FILE_NAME, RESIDENT | INDEXED, 68, 578),
    (AttributeType::OBJECT_ID, RESIDENT, 0, 256),
    (AttributeType::SECURITY_DESCRIPTOR, MOVABLE, 0, UNLIMITED),
    (AttributeType::VOLUME_NAME, RESIDENT, 2, 256),
    (AttributeType::VOLUME_INFORMATION, RESIDENT, 12, 12),
    (AttributeType::DATA, 0, 0, UNLIMITED),
    (AttributeType::INDEX_ROOT, RESIDENT, 0, UNLIMITED),
    (AttributeType::INDEX_ALLOCATION, MOVABLE, 0, UNLIMITED),
    (AttributeType::BITMAP, MOVABLE, 0, UNLIMITED),
    (AttributeType::REPARSE_POINT, MOVABLE, 0, 16384),
    (AttributeType::EA_INFORMATION, RESIDENT, 8, 8),
    (AttributeType::EA, 0, 0, 65536),
    (AttributeType::LOGGED_UTILITY_STREAM, MOVABLE, 0, 65536),
];

/// The content of `$AttrDef`, which an empty definition ends.
pub(crate) fn attribute_definitions() -> Vec<u8> {
    let mut table = Vec::new();
    for (kind, flags, least, most) in DEFINITIONS {
        let mut definition = AttributeDefinition::new_zeroed();
        let name = kind.name().unwrap_or_default().encode_utf16();
        let name = name.flat_map(u16::to_le_bytes);
        (definition.name.iter_mut().zip(name)).for_each(|(to, from)| *to = from);
        definition.kind = U32::new(kind.0);
        definition.flags = U32::new(flags);
        definition.min_size = U64::new(least);
        definition.max_size = U64::new(most);
        table.extend(definition.as_bytes());
    }
    table.extend(AttributeDefinition::new_zeroed().as_bytes());
    table
}
