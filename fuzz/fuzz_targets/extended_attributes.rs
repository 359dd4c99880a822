//! Any bytes as a list of extended attributes.
//!
//! Oracle and seeds: `crates/winlayer-metadata/tests/support`; `tests/seeds.rs` there runs them as an
//! ordinary test.
#![no_main]

#[path = "../../crates/winlayer-metadata/tests/support/oracle.rs"]
#[allow(dead_code, reason = "every target uses its own part")]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::extended_attributes(data));
