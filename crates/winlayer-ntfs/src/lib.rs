//! NTFS 3.1 volumes: written in one pass, gone on with, read, and verified.
//!
//! ```text
//!  VolumeWriter ──► bytes ──► Volume ──► NtfsObject, StreamReader
//!       ▲             │
//!       └── open ◄────┴─────► verify ──► Finding
//! ```
//!
//! Every volume is written in one way: clusters of 4096 bytes, records of 1024, index blocks of 4096. What is read may have any
//! sizes NTFS allows; compressed and encrypted streams are refused.
//!
//! | module | idea |
//! | --- | --- |
//! | `format` | on-disk structures, nothing else |
//! | `runs`, `attribute`, `record`, `protect` | values in clusters, attributes, file records, and their update sequences |
//! | `index` | B-trees, built from sorted entries |
//! | `write` | new volumes, and going on with one |
//! | `read` | any volume, every offset checked |
//! | `verify` | every rule that the structures keep among themselves |
//! | `definitions`, `quota` | what is the same on every volume |
//!
//! Sources: the linux-ntfs layout documentation; libyal, "New Technologies File System"; volumes of mkntfs and ntfs-3g.

// The helpers in `tests/support` serve the tests in here as well, and name the crate as from outside.
#[cfg(test)]
extern crate self as winlayer_ntfs;

mod attribute;
mod definitions;
mod error;
mod format;
mod index;
mod protect;
mod quota;
mod read;
mod record;
mod reference;
mod runs;
mod verify;
mod write;

pub use attribute::{AttributeType, Namespace};
pub use error::{NtfsError, Place, Result};
pub use read::{
    DirectoryEntry, NtfsObject, ObjectKind, ObjectName, StreamFacts, StreamReader, Volume,
    VolumeFacts,
};
pub use record::RecordFlags;
pub use reference::FileReference;
pub use verify::{Finding, Rule, Severity, VerifiedVolume, verify};
pub use write::{
    ExistingName, FileId, NameId, ObjectMetadata, VolumeOptions, VolumeSize, VolumeSummary,
    VolumeWriter,
};
