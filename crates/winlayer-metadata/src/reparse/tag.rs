//! Reparse tags.

use std::fmt;

use super::{BufferHeader, GUID_LEN};

/// What a reparse buffer means (MS-FSCC 2.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReparseTag(pub u32);

/// Declares the named tags once, for the constants and for [`ReparseTag::name`].
macro_rules! tags {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl ReparseTag {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The name of the tag without `IO_REPARSE_TAG_`, for the tags winlayer knows.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

tags! {
    /// A mount point or junction.
    MOUNT_POINT = 0xA000_0003;
    /// A symbolic link.
    SYMLINK = 0xA000_000C;
    /// Content inside a WIM image.
    WIM = 0x8000_0008;
    /// Deduplicated content.
    DEDUP = 0x8000_0013;
    /// Compressed-file overlay.
    WOF = 0x8000_0017;
    /// Container filter: placeholder for an object of a parent layer, old form.
    WCI = 0x8000_0018;
    /// Container filter: placeholder for an object of a parent layer, the form current Windows makes.
    WCI_1 = 0x9000_1018;
    /// Container filter: placeholder that stands for another name.
    WCI_LINK = 0xA000_0027;
    /// Container filter: placeholder that stands for another name, directory capable.
    WCI_LINK_1 = 0xA000_1027;
    /// Container filter: a deleted object in a scratch volume.
    WCI_TOMBSTONE = 0xA000_001F;
    /// Internal to the container filter.
    UNHANDLED = 0x8000_0020;
    /// Alias of a packaged application.
    APPEXECLINK = 0x8000_001B;
    /// Symbolic link of the Windows Subsystem for Linux.
    LX_SYMLINK = 0xA000_001D;
    /// Unix socket.
    AF_UNIX = 0x8000_0023;
    /// Named pipe of the Windows Subsystem for Linux.
    LX_FIFO = 0x8000_0024;
    /// Character device of the Windows Subsystem for Linux.
    LX_CHR = 0x8000_0025;
    /// Block device of the Windows Subsystem for Linux.
    LX_BLK = 0x8000_0026;
    /// Cloud file placeholder (the variants differ in bits 12 to 15).
    CLOUD = 0x9000_001A;
    /// Projected file system.
    PROJFS = 0x9000_001C;
}

impl ReparseTag {
    /// Owned by Microsoft (bit 31); the buffer of any other tag carries a GUID before its data.
    pub const fn is_microsoft(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }

    /// Stands for another name in the system (bit 29), as links do.
    pub const fn is_name_surrogate(self) -> bool {
        self.0 & 0x2000_0000 != 0
    }

    /// A directory with this tag may have children of its own (bit 28).
    pub const fn is_directory_capable(self) -> bool {
        self.0 & 0x1000_0000 != 0
    }

    /// Made by the container filter of the platform: meaningful in an imported layer or a scratch volume, never in an image.
    pub const fn is_container_filter(self) -> bool {
        matches!(
            self,
            Self::WCI
                | Self::WCI_1
                | Self::WCI_LINK
                | Self::WCI_LINK_1
                | Self::WCI_TOMBSTONE
                | Self::UNHANDLED
        )
    }

    /// Bytes before the data of a buffer with this tag.
    pub(super) const fn data_offset(self) -> usize {
        size_of::<BufferHeader>() + if self.is_microsoft() { 0 } else { GUID_LEN }
    }
}

/// The name and the number, or the number alone: `SYMLINK (0xA000000C)`.
impl fmt::Display for ReparseTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:08X})", self.0),
            None => write!(f, "0x{:08X}", self.0),
        }
    }
}
