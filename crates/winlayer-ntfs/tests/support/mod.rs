//! Shared by tests, the verifier's own included, and the fuzz target.
#![allow(dead_code, reason = "every test uses its own part")]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

#[cfg(target_os = "linux")]
pub mod driver;
pub mod oracle;
#[cfg(target_os = "linux")]
pub mod town;
pub mod village;
