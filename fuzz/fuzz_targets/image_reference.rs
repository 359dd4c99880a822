//! Any text as the name of an image.
//!
//! Oracle and seeds: `crates/winlayer-image/src/fuzzing.rs`, which also runs them as an ordinary test.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| winlayer_image::fuzzing::image_reference(data));
