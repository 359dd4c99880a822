//! VHDX and VHD containers, and GPT.
//!
//! ```text
//!  Gpt, Partition                           a partition is a device again
//!        │
//!  DynamicDisk, DifferencingDisk            Disk, Chain
//!        │ write, then finish                  ▲ open
//!        ▼                                     │
//!   identifier │ headers │ region tables │ log │ metadata │ BAT │ blocks …
//! ```
//!
//! Disks are written once, from an empty file to a sound one, and then only read. Nothing is taken from a
//! clock or made up, so ids are the caller's and equal writes give equal files. A file whose log has to be
//! replayed is refused.
//!
//! | module | idea |
//! | --- | --- |
//! | `format` | on-disk structures of VHDX, nothing else |
//! | `geometry` | sizes, and where a block has its entry in the BAT |
//! | `bat`, `sectors` | the tables in memory: blocks of a file, sectors of a block |
//! | `device` | positions: of the file below, of the disk above |
//! | `write` | new disks: where blocks go, and what is written around them |
//! | `read` | disks and chains of them; every rule of the format is checked there |
//! | `finding` | a broken rule: where, which, what was found |
//! | [`gpt`], [`mbr`], `partition` | what is where on a disk, and a part of it as a device |
//! | [`vhd`] | the older container, of which only the fixed kind is known here |
//!
//! Source: \[MS-VHDX\] "Virtual Hard Disk v2 (VHDX) File Format".

mod bat;
mod device;
mod error;
mod finding;
mod format;
mod geometry;
pub mod gpt;
mod guid;
pub mod mbr;
mod options;
mod partition;
mod read;
mod sectors;
pub mod vhd;
mod write;

pub use error::VhdxError;
pub use finding::{Finding, Place, Rule, Severity, TableCopy};
pub use geometry::{BlockSize, SectorSize};
pub use guid::{Guid, GuidError};
pub use options::{DiskOptions, ParentLocator};
pub use partition::Partition;
pub use read::{Chain, Disk, DiskInfo, DiskKind, open_chain, open_files, verify};
pub use write::{DifferencingDisk, DynamicDisk};
