//! Any bytes as a registry hive and a delta over it.
//!
//! Oracle and seeds: `crates/winlayer-hive/tests/support`; `tests/seeds.rs` there runs them as an
//! ordinary test.
#![no_main]

#[path = "../../crates/winlayer-hive/tests/support/oracle.rs"]
#[allow(dead_code, reason = "every target uses its own part")]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::hive_merge(data));
