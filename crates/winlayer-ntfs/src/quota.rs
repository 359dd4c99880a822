//! `$Quota`: nobody's use of the volume is limited, and this is how that is said.

use winlayer_metadata::FileTime;
use zerocopy::{
    Immutable, IntoBytes, Unaligned,
    little_endian::{I64, U32, U64},
};

use crate::index::Entries;

/// Data of an entry of `$Q`, before the owner's SID.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct QuotaEntry {
    /// 0: 2.
    version: U32,
    /// 4: 1, the default limits count.
    flags: U32,
    /// 8.
    bytes_used: U64,
    /// 16: FILETIME.
    changed: I64,
    /// 24: -1 for none.
    threshold: I64,
    /// 32: -1 for none.
    limit: I64,
    /// 40: FILETIME, 0 for never.
    exceeded: I64,
}
const _: () = assert!(size_of::<QuotaEntry>() == 48);

/// The entry of the defaults.
const DEFAULTS: u32 = 1;
/// The first owner.
const FIRST_OWNER: u32 = 0x100;
/// S-1-5-32-544, the administrators.
const ADMINISTRATORS: [u8; 16] = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0];

/// Entries of `$O`: owners by their SIDs.
pub(crate) fn by_owner() -> Entries {
    let mut entries = Entries::default();
    entries.push_view(&ADMINISTRATORS, &FIRST_OWNER.to_le_bytes(), &[]);
    entries
}

/// Entries of `$Q`: limits by owner.
pub(crate) fn by_id(created: FileTime) -> Entries {
    let limits = QuotaEntry {
        version: U32::new(2),
        flags: U32::new(1),
        bytes_used: U64::new(0),
        changed: I64::new(created.ticks()),
        threshold: I64::new(-1),
        limit: I64::new(-1),
        exceeded: I64::new(0),
    };
    let mut entries = Entries::default();
    entries.push_view(&DEFAULTS.to_le_bytes(), limits.as_bytes(), &[]);
    let owner = [limits.as_bytes(), &ADMINISTRATORS].concat();
    entries.push_view(&FIRST_OWNER.to_le_bytes(), &owner, &[]);
    entries
}
