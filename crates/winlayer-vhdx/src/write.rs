//! Making disks.

mod differencing;
mod dynamic;
mod metadata;
mod store;

pub use differencing::DifferencingDisk;
pub use dynamic::DynamicDisk;
