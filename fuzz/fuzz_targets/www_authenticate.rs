//! Any text as a value of `WWW-Authenticate`.
//!
//! Oracle and seeds: `crates/winlayer-image/src/fuzzing.rs`, which also runs them as an ordinary test.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| winlayer_image::fuzzing::www_authenticate(data));
