//! NTFS 3.1 volumes.

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
    FileId, NameId, ObjectMetadata, VolumeOptions, VolumeSize, VolumeSummary, VolumeWriter,
};
