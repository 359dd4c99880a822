//! Any damage of an NTFS volume: opened, walked, read and verified.
//!
//! Data are damages of a sound volume, five bytes each, so that a small input reaches deep structures. Oracle and seeds:
//! `crates/winlayer-ntfs/tests/support`; `tests/seeds.rs` there runs them as an ordinary test.
#![no_main]

#[path = "../../crates/winlayer-ntfs/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| support::oracle::ntfs_damage(data));
