//! What an image can be made into: one module per kind of output.

pub(crate) mod disk;
pub(crate) mod folder;
#[cfg(windows)]
pub(crate) mod hcs;
pub(crate) mod tar;
pub(crate) mod tree;
