//! What can be written: the keys of a tree, and those of an overlay.

use std::borrow::Cow;

use crate::{HiveError, KeyLayer, Name, Value, ValueData};

/// A key as the writer sees it. Reading one may fail, as it may lie in a file.
pub(crate) trait Node: Sized {
    fn name(&self) -> Name<'_>;
    fn layer(&self) -> KeyLayer;
    /// `nk` flags; only [`crate::format::KeyNode::LASTING`] ones count.
    fn flags(&self) -> u16;
    /// Virtualisation and user flags.
    fn user_flags(&self) -> u16;
    /// `None` takes the hive's.
    fn last_written(&self) -> Option<u64>;
    /// Bytes of the class name.
    fn class_len(&self) -> usize;
    /// Class name as UTF-16LE.
    fn class(&self) -> Result<Option<Cow<'_, [u8]>>, HiveError>;
    /// `None` takes the parent's.
    fn security(&self) -> Result<Option<Cow<'_, [u8]>>, HiveError>;
    /// In the order of the list.
    fn values(&self) -> Result<Vec<NodeValue<'_>>, HiveError>;
    /// Sorted by name.
    fn children(&self) -> Result<Vec<Self>, HiveError>;
}

/// A value as the writer sees it.
pub(crate) struct NodeValue<'v> {
    pub name: Name<'v>,
    pub content: Content<'v>,
}

/// What a value holds, read as late as possible.
pub(crate) enum Content<'v> {
    Tombstone,
    Data(&'v ValueData<'static>),
    Stored(Value<'v>),
}

impl Content<'_> {
    /// Bytes of the data.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Tombstone => 0,
            Self::Data(data) => data.bytes.len(),
            Self::Stored(value) => value.data_len(),
        }
    }
}
