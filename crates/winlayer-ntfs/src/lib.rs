//! NTFS 3.1 volumes.

mod attribute;
mod error;
mod format;
mod protect;
mod read;
mod record;
mod reference;
mod runs;
mod verify;

pub use attribute::{AttributeType, Namespace};
pub use error::{NtfsError, Place, Result};
pub use read::{
    DirectoryEntry, NtfsObject, ObjectKind, ObjectName, StreamFacts, StreamReader, Volume,
    VolumeFacts,
};
pub use record::RecordFlags;
pub use reference::FileReference;
pub use verify::{Finding, Rule, Severity, VerifiedVolume, verify};
