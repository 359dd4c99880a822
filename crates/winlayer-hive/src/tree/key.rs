//! A key: the tree's node.

use std::{borrow::Cow, sync::Arc};

use crate::{
    HiveError, KeyLayer, KeyName, KeySemantics, Name, ValueData, ValueName,
    format::KeyNode,
    write::{Content, Node, NodeValue},
};

/// What a value of a tree holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueContent {
    /// Data.
    Data(ValueData<'static>),
    /// Only in deltas: the value of this name in the hives below is gone.
    Tombstone,
}

/// A named value of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeValue {
    /// Its name; empty for the default value.
    pub name: ValueName,
    /// Its content.
    pub content: ValueContent,
}

/// A key of a [`crate::HiveTree`] with its values and subkeys.
///
/// Subkeys are kept in the kernel's order; values in the order they were first set.
#[derive(Clone, Debug)]
pub struct TreeKey {
    name: KeyName,
    class: Option<Box<[u16]>>,
    security: Option<Arc<[u8]>>,
    last_written: Option<u64>,
    layer: KeyLayer,
    delta: bool,
    /// `nk` flags that belong to the key.
    flags: u16,
    user_flags: u16,
    values: Vec<TreeValue>,
    subkeys: Vec<TreeKey>,
}

impl TreeKey {
    pub(crate) fn root(name: KeyName, delta: bool) -> Self {
        Self::with_layer(name, delta, KeyLayer::NONE)
    }

    fn with_layer(name: KeyName, delta: bool, layer: KeyLayer) -> Self {
        Self {
            name,
            class: None,
            security: None,
            last_written: None,
            layer,
            delta,
            flags: 0,
            user_flags: 0,
            values: Vec::new(),
            subkeys: Vec::new(),
        }
    }

    /// The key's name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Class name as UTF-16 units.
    pub fn class(&self) -> Option<&[u16]> {
        self.class.as_deref()
    }

    /// Self-relative security descriptor; `None` takes the parent's.
    pub fn security(&self) -> Option<&Arc<[u8]>> {
        self.security.as_ref()
    }

    /// Last write time in 100 ns ticks since 1601; `None` takes the hive's.
    pub fn last_written(&self) -> Option<u64> {
        self.last_written
    }

    /// What the key does to the hives below.
    pub fn layer(&self) -> KeyLayer {
        self.layer
    }

    /// The values, in the order they were set.
    pub fn values(&self) -> &[TreeValue] {
        &self.values
    }

    /// The subkeys, sorted by upper-cased name.
    pub fn subkeys(&self) -> &[TreeKey] {
        &self.subkeys
    }

    /// The subkey at `path`, components separated by backslashes; case does not matter.
    pub fn get(&self, path: &str) -> Option<&TreeKey> {
        path.split('\\')
            .try_fold(self, |key, name| key.child(&KeyName::new(name).ok()?))
    }

    /// The data of the value `name`; case does not matter, tombstones have none.
    pub fn value(&self, name: &str) -> Option<&ValueData<'static>> {
        let name = ValueName::new(name).ok()?;
        self.values
            .iter()
            .find(|value| value.name == name)
            .and_then(|value| match &value.content {
                ValueContent::Data(data) => Some(data),
                ValueContent::Tombstone => None,
            })
    }

    /// The subkey at `path`, components separated by backslashes, created with its ancestors when
    /// missing.
    ///
    /// In a delta a new key merges with the one below it, except inside a replaced tree, where it
    /// belongs to the replacement.
    ///
    /// # Errors
    /// [`HiveError::KeyName`] for a component that is no key name.
    pub fn create(&mut self, path: &str) -> Result<&mut TreeKey, HiveError> {
        path.split('\\')
            .try_fold(self, |key, name| Ok(key.child_or_new(KeyName::new(name)?)))
    }

    /// Adds a finished subkey, replacing one of the same name.
    pub fn insert(&mut self, subkey: TreeKey) {
        match self.position(&subkey.name) {
            Ok(index) => {
                self.subkeys.remove(index);
                self.subkeys.insert(index, subkey);
            }
            Err(index) => self.subkeys.insert(index, subkey),
        }
    }

    /// Sets the value `name` (empty: the default value).
    ///
    /// # Errors
    /// [`HiveError::ValueName`] for a name that is too long.
    pub fn set(&mut self, name: &str, data: ValueData<'static>) -> Result<&mut Self, HiveError> {
        self.put(TreeValue {
            name: ValueName::new(name)?,
            content: ValueContent::Data(data),
        });
        Ok(self)
    }

    /// Deltas: removes the value `name` of the hives below.
    ///
    /// # Errors
    /// [`HiveError::ValueName`] for a name that is too long.
    pub fn delete_value(&mut self, name: &str) -> Result<&mut Self, HiveError> {
        self.put(TreeValue {
            name: ValueName::new(name)?,
            content: ValueContent::Tombstone,
        });
        Ok(self)
    }

    /// Deltas: removes the subkey at `path`, and everything below it, of the hives below.
    ///
    /// # Errors
    /// [`HiveError::KeyName`] for a component that is no key name.
    pub fn delete_key(&mut self, path: &str) -> Result<&mut Self, HiveError> {
        let key = self.create(path)?;
        let layer = KeyLayer {
            semantics: KeySemantics::Tombstone,
            inherit_class: false,
        };
        *key = Self::with_layer(key.name.clone(), key.delta, layer);
        Ok(self)
    }

    /// Deltas: sets what this key does to the hives below.
    pub fn set_layer(&mut self, layer: KeyLayer) -> &mut Self {
        self.layer = layer;
        self
    }

    /// Deltas: this key replaces the key below with everything under it; used for new trees too.
    pub fn replace_tree(&mut self) -> &mut Self {
        self.set_layer(KeyLayer {
            semantics: KeySemantics::SupersedeTree,
            inherit_class: false,
        })
    }

    /// Sets the class name.
    pub fn set_class(&mut self, class: &str) -> &mut Self {
        self.class = Some(class.encode_utf16().collect());
        self
    }

    /// Sets the self-relative security descriptor of this key and of the subkeys without their own.
    pub fn set_security(&mut self, descriptor: impl Into<Arc<[u8]>>) -> &mut Self {
        self.security = Some(descriptor.into());
        self
    }

    /// Sets the last write time, in 100 ns ticks since 1601.
    pub fn set_last_written(&mut self, ticks: u64) -> &mut Self {
        self.last_written = Some(ticks);
        self
    }

    /// Makes the key a symbolic link to the key that its value `SymbolicLinkValue` names.
    pub fn set_link(&mut self) -> &mut Self {
        self.flags |= KeyNode::LINK;
        self
    }

    /// Adds what another hive has: the key's own facts and values, not its subkeys.
    pub(crate) fn from_node(node: &impl Node, delta: bool) -> Result<Self, HiveError> {
        let name = KeyName::from_units(node.name().units().collect())?;
        let mut key = Self::with_layer(name, delta, node.layer());
        let class = node.class()?.filter(|class| !class.is_empty());
        key.class = class.map(|class| {
            let (units, _) = class.as_chunks::<2>();
            units.iter().map(|unit| u16::from_le_bytes(*unit)).collect()
        });
        key.security = node.security()?.map(|descriptor| descriptor.into());
        key.last_written = node.last_written();
        key.flags = node.flags() & KeyNode::LASTING;
        key.user_flags = node.user_flags();
        for value in node.values()? {
            let content = match value.content {
                Content::Tombstone => ValueContent::Tombstone,
                Content::Data(data) => ValueContent::Data(data.clone()),
                Content::Stored(value) => ValueContent::Data(value.data()?.into_owned()),
            };
            let name = ValueName::from_units(value.name.units().collect())?;
            key.values.push(TreeValue { name, content });
        }
        Ok(key)
    }

    /// Sets the subkeys, which are sorted by name.
    pub(crate) fn adopt(&mut self, subkeys: Vec<Self>) {
        self.subkeys = subkeys;
    }

    pub(crate) fn rename(&mut self, name: KeyName) {
        self.name = name;
    }

    fn put(&mut self, value: TreeValue) {
        match self.values.iter_mut().find(|old| old.name == value.name) {
            Some(old) => *old = value,
            None => self.values.push(value),
        }
    }

    fn position(&self, name: &KeyName) -> Result<usize, usize> {
        self.subkeys.binary_search_by(|key| key.name.cmp(name))
    }

    fn child(&self, name: &KeyName) -> Option<&TreeKey> {
        self.position(name)
            .ok()
            .and_then(|index| self.subkeys.get(index))
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the index is the one just found or inserted at"
    )]
    fn child_or_new(&mut self, name: KeyName) -> &mut TreeKey {
        let index = self.position(&name).unwrap_or_else(|index| {
            let layer = match (self.delta, self.layer.semantics) {
                (false, _) => KeyLayer::NONE,
                (true, KeySemantics::SupersedeTree) => self.layer,
                (true, _) => KeyLayer::ANCESTOR,
            };
            self.subkeys
                .insert(index, Self::with_layer(name, self.delta, layer));
            index
        });
        &mut self.subkeys[index]
    }
}

impl Node for &TreeKey {
    fn name(&self) -> Name<'_> {
        Name::from_units(self.name.units().iter().copied())
    }

    fn layer(&self) -> KeyLayer {
        self.layer
    }

    fn flags(&self) -> u16 {
        self.flags
    }

    fn user_flags(&self) -> u16 {
        self.user_flags
    }

    fn last_written(&self) -> Option<u64> {
        self.last_written
    }

    fn class_len(&self) -> usize {
        self.class.as_ref().map_or(0, |class| 2 * class.len())
    }

    fn class(&self) -> Result<Option<Cow<'_, [u8]>>, HiveError> {
        let bytes = |class: &[u16]| class.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        Ok(self.class.as_deref().map(bytes))
    }

    fn security(&self) -> Result<Option<Cow<'_, [u8]>>, HiveError> {
        Ok(self.security.as_deref().map(Cow::Borrowed))
    }

    fn values(&self) -> Result<Vec<NodeValue<'_>>, HiveError> {
        let values = self.values.iter().map(|value| NodeValue {
            name: Name::from_units(value.name.units().iter().copied()),
            content: match &value.content {
                ValueContent::Data(data) => Content::Data(data),
                ValueContent::Tombstone => Content::Tombstone,
            },
        });
        Ok(values.collect())
    }

    fn children(&self) -> Result<Vec<Self>, HiveError> {
        Ok(self.subkeys.iter().collect())
    }
}
