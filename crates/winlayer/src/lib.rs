//! Unpacks Windows container images into verified layer chains, on any system.
//!
//! ```text
//! Image (winlayer-image) ─► LayerReader (winlayer-tar) ─► target
//!                                                          ├ folder: LayerStore ─► LayerChain ─► UvmBootFiles
//!                                                          ├ hcs:    LayerStore of layers that Windows finished
//!                                                          ├ tree:   merged plain files
//!                                                          └ tar:    one Windows layer tar
//! ```
//!
//! [`unpack_windows_image`] is the main call. What it wrote is found again through [`LayerStore`] and
//! [`LayerChain`], booted through [`locate_uvm_boot_files`], and checked by [`verify_store`] or
//! [`verify_tree`]. [`list`], [`cat`] and [`inspect()`] look inside an image without unpacking it;
//! [`read_registry`] and [`registry_diff`] into its registry.
//! [`list_disk`], [`cat_disk`], [`extract_disk`] and [`verify_disk`] read NTFS disks, anyone's.
//! [`doctor`] finds what is in the way on this machine.

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

mod chain;
mod disk;
pub mod doctor;
mod error;
#[cfg(any(windows, test))]
mod export;
#[cfg(windows)]
pub mod hcs;
mod inspect;
mod layer_names;
mod line;
mod merge;
mod names;
mod registry;
mod report;
mod sample;
mod selftest;
mod store;
mod target;
#[cfg(test)]
mod testing;
mod unpack;
mod uvm;
mod verify;
mod view;

pub use chain::{ChainLink, LayerChain};
pub use disk::{
    DiskFile, DiskFinding, DiskFormat, DiskTarget, ExtractOptions, ExtractedDisk, FindingSeverity,
    VerifiedDisk, VerifiedFile, VerifiedVolume, cat_disk, extract_disk, list_disk, verify_disk,
};
pub use error::{Error, ErrorKind, Result};
pub use inspect::{ImageFacts, InspectOptions, LayerContents, LayerFacts, inspect};
pub use registry::{
    Change, DotNet, HiveChanges, ImageRegistry, KeyChange, LayerChanges, Program, RegistryData,
    RegistryFinding, RegistryHive, RegistryKey, RegistryPath, RegistryValue, Service, Update,
    ValueChange, Variable, WindowsFacts, read_hive, read_registry, registry_diff,
};
pub use report::{
    DiskOptions, HcsFamily, Observer, Target, UnpackOptions, UnpackedImage, UnpackedLayer,
};
pub use sample::{SampleOptions, write_sample};
pub use selftest::{SelftestOptions, SelftestReport, SelftestStep, selftest};
pub use store::{ImageRecord, LayerStore, StoreKind};
pub use target::{
    disk::{BlankDisks, write_blank_disk},
    tree::verify_tree,
};
pub use unpack::unpack_windows_image;
pub use uvm::{
    UvmBootEntry, UvmBootFiles, locate_unprocessed_uvm_boot_files, locate_uvm_boot_files,
};
pub use verify::{Verified, verify_image, verify_store};
pub use view::{ListedObject, cat, list};
pub use winlayer_digest::{ChainId, DiffId, Digest};
pub use winlayer_image::{
    Image, ImageError, Layer, Platform, PlatformChoice, Reference, SourceOptions,
};
pub use winlayer_metadata::FileTime;
pub use winlayer_sys::PlatformError;
pub use winlayer_tar::{Limits, Progress};
