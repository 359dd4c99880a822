//! Shared with the fuzz targets.
#![allow(unreachable_pub, reason = "a module here, a file of its own there")]

pub mod oracle;
pub mod seeds;
