//! What a layer is made of: objects, their streams, hard links and whiteouts.

use std::sync::Arc;

use winlayer_metadata::{
    ExtendedAttributes, FileAttributes, FileTimes, ReparsePoint, SecurityDescriptor,
};

use crate::path::LayerPath;

/// What an object carries besides its content.
///
/// Times the tar does not give follow the write time: creation as in go-winio, access and change
/// because the alternative is Go's zero time, the year 1754.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Metadata {
    /// `FILE_ATTRIBUTE_*`, unknown bits included.
    pub attributes: FileAttributes,
    /// The four NTFS times.
    pub times: FileTimes,
    /// `None` lets the object inherit from its directory. Equal descriptors of one layer share one
    /// allocation.
    pub security: Option<Arc<SecurityDescriptor>>,
    /// NTFS extended attributes.
    pub extended_attributes: ExtendedAttributes,
}

/// What an [`Object`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A directory; its attributes always have `DIRECTORY`.
    Directory,
    /// A file.
    File {
        /// Length of the unnamed data stream in bytes.
        size: u64,
    },
    /// A symbolic link or a junction (mount point).
    Link {
        /// Where it leads.
        reparse: ReparsePoint,
        /// Whether it is a directory link: the `DIRECTORY` bit of its attributes.
        directory: bool,
    },
}

/// A directory, file or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Where it is.
    pub path: LayerPath,
    /// What it is.
    pub kind: ObjectKind,
    /// What it carries.
    pub metadata: Metadata,
}

/// Another name for a file of this layer or of a layer below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardLink {
    /// The new name.
    pub path: LayerPath,
    /// The name that exists already.
    pub target: LayerPath,
    /// Attributes and times as the tar gives them; informative, the file has its own.
    pub metadata: Metadata,
}

/// A named data stream of the object before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlternateStream {
    /// Name without `:` and `:$DATA`; at most 255 UTF-16 units, no `/`, `\`, `:` or
    /// control character.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
}

/// One step of a layer, in tar order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerItem {
    /// Creates an object; its body follows if it is a file.
    Object(Object),
    /// Adds a stream to the last object; its body follows.
    Stream(AlternateStream),
    /// Creates another name for a file.
    HardLink(HardLink),
    /// Removes this path of the layers below.
    Whiteout(LayerPath),
    /// Removes everything the layers below have in this directory.
    OpaqueWhiteout(LayerPath),
}

impl LayerItem {
    /// Length of the body that follows.
    pub fn body_len(&self) -> u64 {
        match self {
            Self::Object(Object {
                kind: ObjectKind::File { size },
                ..
            }) => *size,
            Self::Stream(stream) => stream.size,
            _ => 0,
        }
    }
}
