//! Windows file metadata and its binary encodings.
//!
//! Everything a Windows file carries beside its bytes, as plain values: no I/O except the two stream adapters, no operating
//! system, no knowledge of tar or layers. All encodings are little-endian.
//!
//! | type | is | source of the format |
//! | --- | --- | --- |
//! | [`FileAttributes`] | the 32-bit attribute word | MS-FSCC 2.6 |
//! | [`FileTime`], [`FileTimes`] | 100 ns ticks since 1601 | MS-DTYP 2.3.3 |
//! | [`SecurityDescriptor`], [`Sid`] | self-relative descriptor, and SDDL both ways | MS-DTYP 2.4, 2.5.1 |
//! | [`ExtendedAttributes`] | `FILE_FULL_EA_INFORMATION` list | MS-FSCC 2.4.16 |
//! | [`ReparsePoint`] | `REPARSE_DATA_BUFFER` | MS-FSCC 2.1.2 |
//! | [`backup_stream`] | the records of `BackupRead` and `BackupWrite` | MS-BKUP 2.2 |
//! | [`Upcase`] | how NTFS compares names | the `$UpCase` file of a volume |
//!
//! Values are checked once, when they are made: `parse` functions accept bytes from anywhere and never panic, and a value that
//! exists is well formed. Descriptors and reparse buffers keep their bytes verbatim, so what came from an image goes out
//! unchanged.
//!
//! ```
//! use winlayer_metadata::{FileTime, ReparsePoint, SecurityDescriptor};
//!
//! let sd = SecurityDescriptor::from_sddl("O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)")?;
//! assert_eq!(sd.as_bytes().len(), 124);
//! assert_eq!(sd.owner().map(|sid| sid.to_string()).as_deref(), Some("S-1-5-32-544"));
//!
//! let link = ReparsePoint::symlink("../b")?;
//! assert_eq!(link.target(), Some(r"..\b"));
//!
//! assert_eq!(FileTime::UNIX_EPOCH.to_string(), "1970-01-01T00:00:00.0000000Z");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attributes;
mod ea;
mod reparse;
mod security;
mod text;
mod time;
mod upcase;

pub mod backup_stream;

pub use attributes::FileAttributes;
pub use ea::{EaError, ExtendedAttribute, ExtendedAttributes};
pub use reparse::{ReparseError, ReparsePoint, ReparseTag};
pub use security::{
    AclKind, SddlError, SecurityDescriptor, SecurityDescriptorError, Sid, SidError,
};
pub use time::{FileTime, FileTimeError, FileTimes};
pub use upcase::Upcase;
