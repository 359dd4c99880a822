//! The footer of a VHD file.
//!
//! All numbers are big-endian. Source: "Virtual Hard Disk Image Format Specification" 1.0 (Microsoft, 2006),
//! "Hard Disk Footer Format".

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    big_endian::{U16, U32, U64},
};

use crate::Guid;

/// The last 512 bytes of the file.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Footer {
    /// 0: `conectix`.
    pub cookie: [u8; 8],
    /// 8: 2, which is always set; 1 for a temporary disk.
    pub features: U32,
    /// 12: [`Footer::VERSION`].
    pub version: U32,
    /// 16: where the next structure is; all ones for a fixed disk, which has none.
    pub data_offset: U64,
    /// 24: seconds since the start of 2000, UTC.
    pub timestamp: U32,
    /// 28: what made the file.
    pub creator: [u8; 4],
    /// 32: its version, 16 bits each major and minor.
    pub creator_version: U32,
    /// 36: what it ran on.
    pub creator_host: [u8; 4],
    /// 40: size of the disk when it was made.
    pub original_size: U64,
    /// 48: size of the disk.
    pub size: U64,
    /// 56: cylinders.
    pub cylinders: U16,
    /// 58: heads.
    pub heads: u8,
    /// 59: sectors per track.
    pub sectors: u8,
    /// 60: [`Footer::FIXED`].
    pub disk_type: U32,
    /// 64: complement of the sum of all bytes, with this field zero.
    pub checksum: U32,
    /// 68: identifies the disk.
    pub id: Guid,
    /// 84: 1 for a machine in saved state.
    pub saved_state: u8,
    /// 85: zero.
    pub reserved: [u8; 427],
}
const _: () = assert!(size_of::<Footer>() == 512);

impl Footer {
    pub(super) const COOKIE: [u8; 8] = *b"conectix";
    pub(super) const FEATURES: u32 = 2;
    pub(super) const VERSION: u32 = 0x0001_0000;
    pub(super) const FIXED: u32 = 2;

    /// The checksum of this footer as it stands.
    pub(super) fn compute_checksum(&self) -> u32 {
        let zeroed = Self {
            checksum: U32::ZERO,
            ..*self
        };
        let sum: u32 = zeroed.as_bytes().iter().map(|byte| u32::from(*byte)).sum();
        !sum
    }
}
