//! Shared by tests, those of the verifier in the crate included, and the fuzz target.
#![allow(dead_code, reason = "every test uses its own part")]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

pub mod oracle;
pub mod seeds;
pub mod village;
