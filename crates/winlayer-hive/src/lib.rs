//! Registry hives (`regf` files) of Windows container layers, and any others.
//!
//! A base layer carries five full hives under `Windows\System32\config`; every other layer may
//! carry *delta* hives that say what changed. Both are the same file format; a delta sets a header
//! flag and uses four more bits per key and one per value.
//!
//! ```text
//!  file ── Hive ── Key ──┬── Value ── ValueData       read as it is asked for, nothing copied
//!           │            └── Key …
//!           ▼
//!          Overlay ── MergedKey ── MergedValue        a full hive and deltas, seen as one
//!           │ to_tree        │ to_bytes
//!           ▼                ▼
//!          HiveTree ── to_bytes ──► base block │ bin │ bin │ …
//! ```
//!
//! What is written is version 1.5, clean (no log needed), deterministic and compact: the same keys
//! give the same bytes whatever order they came in. What is read is any of 1.3 to 1.6; a hive that
//! was not closed cleanly needs its logs.
//!
//! | module | idea |
//! | --- | --- |
//! | `format` | on-disk structures, nothing else |
//! | `name` | key and value names, and the order the kernel keeps keys in |
//! | `source` | where bytes come from: memory, or a file of which only pages are read |
//! | `hive`, `read` | a hive file, its keys and values |
//! | `log` | what a hive lacks that was not closed cleanly |
//! | `overlay` | hives over each other; `overlay/rules.rs` has all rules of layers |
//! | `tree`, `value`, `layer` | keys and values in memory, free of offsets |
//! | `write` | keys to bytes |
//! | `bcd` | boot configuration data, which is a hive |
//!
//! Sources: "Windows registry file format specification" (M. Suhanov, CC BY 4.0), "Containerized
//! registry hives in Windows" (dfir.ru, 2020), "The Windows Registry Adventure #5: The regf file
//! format" (Project Zero, 2024).
//!
//! ```
//! use winlayer_hive::{Hive, HiveTree, ValueData};
//!
//! let mut software = HiveTree::new("SOFTWARE");
//! software
//!     .root_mut()
//!     .create(r"Microsoft\Windows NT\CurrentVersion")?
//!     .set("CurrentBuild", ValueData::string("20348"))?;
//! let bytes = software.to_bytes()?;
//!
//! let software = Hive::from_bytes(&bytes)?;
//! let key = software.get(r"microsoft\windows nt\currentversion")?.expect("just made");
//! let build = key.value("CurrentBuild")?.expect("just set").data()?;
//! assert_eq!(build.to_text().as_deref(), Some("20348"));
//! # Ok::<(), winlayer_hive::HiveError>(())
//! ```

mod bcd;
mod error;
mod format;
mod hive;
mod layer;
mod log;
mod name;
mod overlay;
mod read;
mod source;
mod tree;
mod value;
mod write;

pub use bcd::{BcdDevice, BcdElement, BcdElementType, BcdObject, BcdObjectType, BcdStore};
pub use error::HiveError;
pub use hive::Hive;
pub use layer::{KeyLayer, KeySemantics};
pub use name::{KeyName, Name, ValueName};
pub use overlay::{MergedKey, MergedSubkeys, MergedValue, Overlay};
pub use read::{Key, Subkeys, Value, Values};
pub use source::{PagedSource, Source};
pub use tree::{HiveKind, HiveTree, TreeKey, TreeValue, ValueContent};
pub use value::{ValueData, ValueType};
