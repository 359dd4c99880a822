//! A key of a hive file (`nk`).

use std::{borrow::Cow, fmt};

use zerocopy::FromBytes;

use super::{Subkeys, Value, Values, part};
use crate::{
    Hive, HiveError, KeyLayer, Name,
    format::{KeyNode, KeySecurity, MAX_DEPTH, NIL},
    hive::damaged,
};

/// A key of a [`Hive`].
///
/// Holds its own record; subkeys, values, class and descriptor are read when asked for.
#[derive(Clone)]
pub struct Key<'h> {
    hive: &'h Hive<'h>,
    offset: u32,
    /// 1 for the root.
    depth: u16,
    node: KeyNode,
    name: Name<'h>,
}

impl<'h> Key<'h> {
    pub(crate) fn root(hive: &'h Hive<'h>) -> Result<Self, HiveError> {
        Self::read(hive, hive.base().root_cell.get(), 1)
    }

    /// The subkey at `offset`, as a list of `parent` has it.
    pub(super) fn child(parent: &Self, offset: u32) -> Result<Self, HiveError> {
        let depth = parent.depth + 1;
        if depth > MAX_DEPTH {
            let found = "a deeper one";
            return Err(damaged(offset, "a key at most 512 levels deep", found));
        }
        let key = Self::read(parent.hive, offset, depth)?;
        // With one parent each, keys cannot form circles, nor be reached twice.
        if key.node.parent.get() != parent.offset || offset == parent.hive.base().root_cell.get() {
            let found = format!("one of the key at {:#x}", key.node.parent);
            return Err(damaged(offset, "a key of the list's own parent", found));
        }
        Ok(key)
    }

    fn read(hive: &'h Hive<'h>, offset: u32, depth: u16) -> Result<Self, HiveError> {
        let record = hive.cell(offset)?;
        let node = KeyNode::read_from_prefix(&record)
            .ok()
            .map(|(node, _)| node)
            .filter(|node| node.signature == KeyNode::SIGNATURE)
            .ok_or_else(|| damaged(offset, "a key (nk)", start(&record)))?;
        let name = part(record, size_of::<KeyNode>(), node.name_length.get().into());
        let is_latin1 = node.flags.get() & KeyNode::LATIN1_NAME != 0;
        let name = name
            .and_then(|bytes| Name::stored(bytes, is_latin1))
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                let found = format!("a length of {} bytes", node.name_length);
                damaged(offset, "a key name", found)
            })?;
        Ok(Self {
            hive,
            offset,
            depth,
            node,
            name,
        })
    }

    /// The key's name. That of the root means nothing.
    pub fn name(&self) -> &Name<'h> {
        &self.name
    }

    /// Last write time, in 100 ns ticks since 1601.
    pub fn last_written(&self) -> u64 {
        self.node.last_written.get()
    }

    /// What the key does to the same key of the hives below; only deltas say more than "merge".
    pub fn layer(&self) -> KeyLayer {
        KeyLayer::from_byte(self.node.layer)
    }

    /// Whether the key is a symbolic link: its value `SymbolicLinkValue` names another key.
    pub fn is_link(&self) -> bool {
        self.node.flags.get() & KeyNode::LINK != 0
    }

    /// Number of subkeys.
    pub fn subkey_count(&self) -> u32 {
        self.node.subkeys.get()
    }

    /// Number of values, tombstones included.
    pub fn value_count(&self) -> u32 {
        self.node.values.get()
    }

    /// Class name as UTF-16LE bytes.
    ///
    /// # Errors
    /// [`HiveError::Damaged`] when its cell is not there or too short.
    pub fn class(&self) -> Result<Option<Cow<'h, [u8]>>, HiveError> {
        let (offset, length) = (self.node.class.get(), self.class_len());
        if length == 0 {
            return Ok(None);
        }
        part(self.hive.cell(offset)?, 0, length)
            .map(Some)
            .ok_or_else(|| {
                let found = "a shorter cell";
                damaged(offset, "a class name of the length its key says", found)
            })
    }

    /// The self-relative security descriptor; `None` for the rare key that has none.
    ///
    /// # Errors
    /// [`HiveError::Damaged`] when the `sk` cell is not there or too short.
    pub fn security(&self) -> Result<Option<Cow<'h, [u8]>>, HiveError> {
        let offset = self.node.security.get();
        if offset == NIL {
            return Ok(None);
        }
        let content = self.hive.cell(offset)?;
        let record = KeySecurity::read_from_prefix(&content)
            .ok()
            .map(|(record, _)| record)
            .filter(|record| record.signature == KeySecurity::SIGNATURE)
            .ok_or_else(|| damaged(offset, "a security descriptor (sk)", start(&content)))?;
        let length = record.length.get();
        part(content, size_of::<KeySecurity>(), length as usize)
            .map(Some)
            .ok_or_else(|| {
                let found = format!("a length of {length} bytes");
                damaged(offset, "a security descriptor within its cell", found)
            })
    }

    /// The subkeys, in the order of the list, which is that of upper-cased names.
    pub fn subkeys(&self) -> Subkeys<'h> {
        Subkeys::new(self)
    }

    /// The subkey `name`; case does not matter.
    ///
    /// # Errors
    /// [`HiveError::Damaged`] or [`HiveError::Read`] when the list cannot be searched.
    pub fn subkey(&self, name: &str) -> Result<Option<Self>, HiveError> {
        self.find(&Name::from(name))
    }

    pub(crate) fn find(&self, name: &Name<'_>) -> Result<Option<Self>, HiveError> {
        Subkeys::new(self).find(name)
    }

    /// The key at `path` below this one, components separated by backslashes; the empty path is
    /// this key. Case does not matter.
    ///
    /// # Errors
    /// As for [`Key::subkey`].
    pub fn get(&self, path: &str) -> Result<Option<Self>, HiveError> {
        let mut key = self.clone();
        for name in path.split('\\').filter(|name| !name.is_empty()) {
            match key.subkey(name)? {
                Some(subkey) => key = subkey,
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    /// The values, in the order of the list.
    pub fn values(&self) -> Values<'h> {
        Values::new(self)
    }

    /// The value `name` (empty: the default value), which may be a tombstone; case does not matter.
    ///
    /// # Errors
    /// [`HiveError::Damaged`] or [`HiveError::Read`] when the list cannot be searched.
    pub fn value(&self, name: &str) -> Result<Option<Value<'h>>, HiveError> {
        self.find_value(&Name::from(name))
    }

    pub(crate) fn find_value(&self, name: &Name<'_>) -> Result<Option<Value<'h>>, HiveError> {
        for value in self.values() {
            let value = value?;
            if value.name() == name {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Bytes of the class name.
    pub(crate) fn class_len(&self) -> usize {
        if self.node.class.get() == NIL {
            0
        } else {
            self.node.class_length.get().into()
        }
    }

    pub(crate) fn hive(&self) -> &'h Hive<'h> {
        self.hive
    }

    pub(crate) fn node(&self) -> &KeyNode {
        &self.node
    }

    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name)
            .field("offset", &format_args!("{:#x}", self.offset))
            .finish_non_exhaustive()
    }
}

/// The start of a cell's content, for messages.
pub(super) fn start(content: &[u8]) -> String {
    match content.get(..2) {
        Some(tag) => format!("\"{}\"", tag.escape_ascii()),
        None => "nothing".into(),
    }
}
