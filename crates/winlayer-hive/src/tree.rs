//! A hive being made.

mod key;

pub use key::{TreeKey, TreeValue, ValueContent};

use crate::{
    HiveError, KeyName,
    write::{self, Header},
};

/// Whether a hive stands alone or changes another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiveKind {
    /// A hive of its own.
    Full,
    /// Changes to the hives of the layers below.
    Delta,
}

/// A hive to be written: a tree of keys and the few facts of its header.
#[derive(Clone, Debug)]
pub struct HiveTree {
    root: TreeKey,
    kind: HiveKind,
    file_name: String,
    last_written: u64,
}

impl HiveTree {
    /// An empty full hive. `file_name` is informative: the header keeps its last 31 UTF-16 units.
    pub fn new(file_name: &str) -> Self {
        Self::of_kind(file_name, HiveKind::Full)
    }

    /// An empty delta hive: it changes nothing.
    pub fn delta(file_name: &str) -> Self {
        Self::of_kind(file_name, HiveKind::Delta)
    }

    fn of_kind(file_name: &str, kind: HiveKind) -> Self {
        Self {
            root: TreeKey::root(KeyName::root(), kind == HiveKind::Delta),
            kind,
            file_name: file_name.to_owned(),
            last_written: 0,
        }
    }

    /// Full or delta.
    pub fn kind(&self) -> HiveKind {
        self.kind
    }

    /// The root key.
    pub fn root(&self) -> &TreeKey {
        &self.root
    }

    /// The root key, to be filled.
    pub fn root_mut(&mut self) -> &mut TreeKey {
        &mut self.root
    }

    /// Names the root key; it is called `ROOT` otherwise. Nothing looks it up by name.
    pub fn set_root_name(&mut self, name: KeyName) -> &mut Self {
        self.root.rename(name);
        self
    }

    /// The file name the header keeps.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Sets the header's last write time, also that of every key without its own: 100 ns ticks
    /// since 1601.
    pub fn set_last_written(&mut self, ticks: u64) -> &mut Self {
        self.last_written = ticks;
        self
    }

    /// Last write time in 100 ns ticks since 1601.
    pub fn last_written(&self) -> u64 {
        self.last_written
    }

    /// The hive as a file: base block and bins.
    ///
    /// An empty hive has 8192 bytes. A root without a security descriptor gets one that gives
    /// administrators and the system full access and users read access.
    ///
    /// # Errors
    /// A [`HiveError`] that names the key which breaks a rule of the format.
    pub fn to_bytes(&self) -> Result<Vec<u8>, HiveError> {
        write::encode(
            &self.root,
            Header {
                kind: self.kind,
                layered: self.kind == HiveKind::Delta,
                file_name: write::name_tail(&self.file_name),
                last_written: self.last_written,
                size_hint: 0,
            },
        )
    }
}
