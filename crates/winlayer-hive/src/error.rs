//! The crate's error.

use std::{io, sync::Arc};

/// Why a hive cannot be read, built or written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HiveError {
    /// The source of the hive's bytes failed.
    #[error("cannot read {length} bytes at file offset {offset:#x}")]
    Read {
        /// Where, in the file.
        offset: u64,
        /// How much.
        length: usize,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// The file is no primary hive file.
    #[error("not a registry hive: {expected} expected at the start, found {found}")]
    NotAHive {
        /// What a hive has there.
        expected: &'static str,
        /// What the file has.
        found: String,
    },
    /// A version whose structures are not known.
    #[error("hive of version {major}.{minor}, only 1.3 to 1.6 are supported")]
    Version {
        /// Major version.
        major: u32,
        /// Minor version.
        minor: u32,
    },
    /// Changes to the hive are in its log files only, or half written.
    #[error("the hive was not closed cleanly ({reason}): {remedy}")]
    Dirty {
        /// How that is seen.
        reason: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A structure breaks the rules of the format.
    #[error("damaged hive: {expected} expected at file offset {offset:#x}, found {found}")]
    Damaged {
        /// Where, in the file.
        offset: u64,
        /// The rule.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// No hive, or more than the kernel stacks.
    #[error("{count} hives lie over each other, 1 to 128 can")]
    Layers {
        /// How many were given.
        count: usize,
    },
    /// A key name is empty, longer than 255 UTF-16 units or contains a backslash.
    #[error("key name \"{name}\" {rule}")]
    KeyName {
        /// The name, control characters escaped, cut to 100 characters.
        name: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A value name is longer than 16383 UTF-16 units.
    #[error("value name of {units} UTF-16 units is too long, at most 16383 are allowed")]
    ValueName {
        /// Its length.
        units: usize,
    },
    /// Keys are nested deeper than the kernel accepts.
    #[error("key \"{name}\" lies deeper than 512 levels")]
    Depth {
        /// The first key that is too deep.
        name: String,
    },
    /// A key's class name is longer than 65534 bytes.
    #[error("class of key \"{name}\" has {bytes} bytes, at most 65534 are allowed")]
    Class {
        /// The key.
        name: String,
        /// Length of the class as UTF-16.
        bytes: usize,
    },
    /// A value does not fit into the hive's length fields.
    #[error("value of key \"{name}\" has {bytes} bytes, at most {limit} are allowed")]
    ValueSize {
        /// The key.
        name: String,
        /// Length of the data.
        bytes: usize,
        /// Most bytes of one value: 65535 segments of 16344 bytes.
        limit: usize,
    },
    /// Layer semantics in a hive that is not a delta.
    #[error("key \"{name}\" has layer semantics but the hive is not a delta")]
    NotADelta {
        /// The key.
        name: String,
    },
    /// A deleted key that still has a class, values or subkeys.
    #[error("deleted key \"{name}\" must have no class, values and subkeys")]
    TombstoneWithContent {
        /// The key.
        name: String,
    },
    /// A key below one that replaces its whole tree does not do so as well.
    #[error("key \"{name}\" lies in a replaced tree, so it must replace its tree or be deleted")]
    InsideReplacedTree {
        /// The key.
        name: String,
    },
    /// The root of a hive cannot be deleted.
    #[error("the root key cannot be deleted")]
    RootTombstone,
    /// The hive would be larger than its 32-bit offsets reach.
    #[error("the hive needs more than 2 GiB")]
    TooLarge,
}
