//! What a volume and its objects are made with.

use std::sync::Arc;

use winlayer_metadata::{
    ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint, SecurityDescriptor,
};

use crate::format::system;

/// How large a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeSize {
    /// Bytes, a multiple of 512, and at least 4 MiB.
    Exact(u64),
    /// As large as its content, with at least this many bytes free; a whole number of MiB.
    Fit {
        /// Bytes to be left free.
        free: u64,
    },
}

/// What a volume is made with.
#[derive(Clone, Debug)]
pub struct VolumeOptions {
    /// Its size.
    pub size: VolumeSize,
    /// At most 32 UTF-16 units.
    pub label: String,
    /// What Windows shows the lower half of.
    pub serial: u64,
    /// When it was made: the times of its own files, and of a root that is given none.
    pub created: FileTime,
    /// Sectors of 512 bytes before the volume on its disk.
    pub hidden_sectors: u32,
}

/// A file or directory of the volume that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(super) u32);

impl FileId {
    /// The root directory.
    pub const ROOT: Self = Self(system::ROOT);
}

/// All of an object but its names and streams.
#[derive(Clone, Copy, Debug)]
pub struct ObjectMetadata<'a> {
    /// `FILE_ATTRIBUTE_*`. NTFS keeps those that can be set; the rest follows from the object.
    pub attributes: FileAttributes,
    /// The four times.
    pub times: FileTimes,
    /// Owner, group and access.
    pub security: &'a Arc<SecurityDescriptor>,
    /// May be empty.
    pub extended_attributes: &'a ExtendedAttributes,
    /// Makes it a link, or whatever the tag says.
    pub reparse: Option<&'a ReparsePoint>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeSummary {
    /// Bytes of the volume.
    pub size: u64,
    /// Bytes of the clusters in use.
    pub used: u64,
    /// File records, those of the volume itself included.
    pub records: u64,
}
