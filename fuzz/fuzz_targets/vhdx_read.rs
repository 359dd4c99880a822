//! Any bytes as a VHDX file, and any changes to a sound one.
//!
//! Oracle and seeds: `crates/winlayer-vhdx/tests/support`; `tests/seeds.rs` there runs them as an
//! ordinary test.
#![no_main]

#[path = "../../crates/winlayer-vhdx/tests/support/oracle.rs"]
#[allow(dead_code, reason = "every target uses its own part")]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::vhdx_read(data));
