//! Any bytes, split at 0x1e, as index, manifest and config.
//!
//! Oracle and seeds: `crates/winlayer-image/src/fuzzing.rs`, which also runs them as an ordinary test.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| winlayer_image::fuzzing::image_documents(data));
