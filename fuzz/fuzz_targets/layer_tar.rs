//! Any bytes as a layer tar.
//!
//! Oracles: nothing panics; an archive the raw reader accepts is read in the same way by the `tar` crate
//! (differences accepted: see `crates/winlayer-tar/tests/differential.rs`); a layer that is accepted has a
//! canonical form, that is, written again and read again it gives the same items.
//!
//! Seeds: `cargo run --example seeds` in this folder writes them to `corpus/layer_tar`;
//! `crates/winlayer-tar/tests/seeds.rs` runs the oracles on them as an ordinary test.
#![no_main]

#[path = "../../crates/winlayer-tar/tests/support/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));
