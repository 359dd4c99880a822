//! Types of attributes.

use std::fmt;

/// The type of an attribute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u32);

impl AttributeType {
    /// Times, attribute word, security id.
    pub const STANDARD_INFORMATION: Self = Self(0x10);
    /// Where the attributes are that do not fit the base record.
    pub const ATTRIBUTE_LIST: Self = Self(0x20);
    /// A name and the directory it is in.
    pub const FILE_NAME: Self = Self(0x30);
    /// A GUID.
    pub const OBJECT_ID: Self = Self(0x40);
    /// A descriptor of the object's own, before NTFS 3.0.
    pub const SECURITY_DESCRIPTOR: Self = Self(0x50);
    /// The volume's label.
    pub const VOLUME_NAME: Self = Self(0x60);
    /// The volume's version and state.
    pub const VOLUME_INFORMATION: Self = Self(0x70);
    /// Content: unnamed, or an alternate stream.
    pub const DATA: Self = Self(0x80);
    /// The top node of an index.
    pub const INDEX_ROOT: Self = Self(0x90);
    /// The other nodes.
    pub const INDEX_ALLOCATION: Self = Self(0xa0);
    /// Which of them are in use; for `$MFT`, which records.
    pub const BITMAP: Self = Self(0xb0);
    /// A reparse buffer.
    pub const REPARSE_POINT: Self = Self(0xc0);
    /// Lengths of the extended attributes.
    pub const EA_INFORMATION: Self = Self(0xd0);
    /// Extended attributes.
    pub const EA: Self = Self(0xe0);
    /// A stream of transactions and encryption.
    pub const LOGGED_UTILITY_STREAM: Self = Self(0x100);

    /// The name in `$AttrDef`, when this is a known type.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::STANDARD_INFORMATION => "$STANDARD_INFORMATION",
            Self::ATTRIBUTE_LIST => "$ATTRIBUTE_LIST",
            Self::FILE_NAME => "$FILE_NAME",
            Self::OBJECT_ID => "$OBJECT_ID",
            Self::SECURITY_DESCRIPTOR => "$SECURITY_DESCRIPTOR",
            Self::VOLUME_NAME => "$VOLUME_NAME",
            Self::VOLUME_INFORMATION => "$VOLUME_INFORMATION",
            Self::DATA => "$DATA",
            Self::INDEX_ROOT => "$INDEX_ROOT",
            Self::INDEX_ALLOCATION => "$INDEX_ALLOCATION",
            Self::BITMAP => "$BITMAP",
            Self::REPARSE_POINT => "$REPARSE_POINT",
            Self::EA_INFORMATION => "$EA_INFORMATION",
            Self::EA => "$EA",
            Self::LOGGED_UTILITY_STREAM => "$LOGGED_UTILITY_STREAM",
            _ => return None,
        })
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "attribute {:#x}", self.0),
        }
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
