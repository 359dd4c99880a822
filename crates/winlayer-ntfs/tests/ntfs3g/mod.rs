//! Volumes made by others: mkntfs, and the ntfs-3g driver above them. Needs the packages ntfs-3g and wimtools, and root for FUSE.
#![allow(dead_code, reason = "every test uses its own part")]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

pub mod driver;
pub mod town;
