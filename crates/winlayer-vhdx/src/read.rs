//! Reading disks.

mod blocks;
mod chain;
mod disk;
mod headers;
mod load;
mod metadata;

pub use chain::{Chain, open_chain, open_files};
pub use disk::{Disk, DiskInfo, DiskKind};
pub use load::verify;
