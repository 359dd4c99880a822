//! Registry hives (`regf` files) of Windows container layers.
//!
//! A base layer carries five full hives under `Windows\System32\config`; every other layer may
//! carry *delta* hives that say what changed. Both are the same file format; a delta sets a header
//! flag and uses four more bits per key and one per value.
//!
//! ```text
//!  Hive ── Key ──┬── Value (name, type, bytes │ tombstone)
//!                └── Key …          what a hive means, free of offsets
//!    │ to_bytes
//!    ▼
//!  base block │ bin │ bin │ …       bins hold cells: nk vk sk lh ri db, lists and data
//! ```
//!
//! What is written is version 1.5, clean (no log needed), deterministic and compact: the same tree
//! gives the same bytes whatever order its keys were added in.
//!
//! | module | idea |
//! | --- | --- |
//! | `format` | on-disk structures, nothing else |
//! | `name` | key and value names, and the order the kernel keeps keys in |
//! | `key`, `value`, `layer` | the tree |
//! | `write` | tree to bytes |
//!
//! Sources: "Windows registry file format specification" (M. Suhanov, CC BY 4.0), "Containerized
//! registry hives in Windows" (dfir.ru, 2020), "The Windows Registry Adventure #5: The regf file
//! format" (Project Zero, 2024).
//!
//! ```
//! use winlayer_hive::{Hive, ValueData};
//!
//! let mut software = Hive::new("SOFTWARE");
//! software
//!     .root_mut()
//!     .create(r"Microsoft\Windows NT\CurrentVersion")?
//!     .set("CurrentBuild", ValueData::string("20348"))?;
//! let bytes = software.to_bytes()?;
//! assert_eq!(&bytes[..4], b"regf");
//! # Ok::<(), winlayer_hive::HiveError>(())
//! ```

mod error;
mod format;
mod hive;
mod key;
mod layer;
mod name;
mod value;
mod write;

pub use error::HiveError;
pub use hive::{Hive, HiveKind};
pub use key::Key;
pub use layer::{KeyLayer, KeySemantics};
pub use name::{KeyName, ValueName};
pub use value::{Value, ValueContent, ValueData, ValueType};
