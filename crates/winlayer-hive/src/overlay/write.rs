//! Merging everything at once.

use std::borrow::Cow;

use super::{MergedKey, Overlay, budget::Budget};
use crate::{
    Hive, HiveError, HiveKind, HiveTree, KeyLayer, Name, TreeKey,
    write::{self, Content, Header, Node, NodeValue},
};

/// See [`Overlay::to_bytes`].
pub(super) fn to_bytes(overlay: &Overlay<'_>) -> Result<Vec<u8>, HiveError> {
    let budget = Budget::new(overlay.hives());
    let header = Header {
        kind: HiveKind::Full,
        layered: lowest(overlay).is_some_and(Hive::is_layered),
        file_name: lowest(overlay).map_or([0; 64], |hive| hive.base().file_name),
        last_written: last_written(overlay),
        // Packed as tightly as here, a hive is hardly ever longer than it was.
        size_hint: overlay
            .hives()
            .iter()
            .map(|hive| hive.bins_size() as usize)
            .sum(),
    };
    write::encode(Merging::root(overlay, &budget)?, header)
}

/// See [`Overlay::to_tree`].
pub(super) fn to_tree(overlay: &Overlay<'_>) -> Result<HiveTree, HiveError> {
    let budget = Budget::new(overlay.hives());
    let root = tree(&Merging::root(overlay, &budget)?)?;
    let file_name = lowest(overlay).map_or(String::new(), Hive::file_name);
    let mut tree = HiveTree::new(&file_name);
    tree.set_last_written(last_written(overlay));
    *tree.root_mut() = root;
    Ok(tree)
}

/// A key with all below it. As deep as the kernel allows keys to be, which a stack has room for.
fn tree(node: &Merging<'_>) -> Result<TreeKey, HiveError> {
    let mut key = TreeKey::from_node(node, false)?;
    let subkeys = node.children()?;
    key.adopt(subkeys.iter().map(tree).collect::<Result<_, _>>()?);
    Ok(key)
}

fn lowest<'o>(overlay: &'o Overlay<'_>) -> Option<&'o Hive<'o>> {
    overlay.hives().first()
}

fn last_written(overlay: &Overlay<'_>) -> u64 {
    let times = overlay.hives().iter().map(Hive::last_written);
    times.max().unwrap_or_default()
}

/// A merged key on its way to the writer.
struct Merging<'o> {
    key: MergedKey<'o>,
    budget: &'o Budget,
}

impl<'o> Merging<'o> {
    fn root(overlay: &'o Overlay<'_>, budget: &'o Budget) -> Result<Self, HiveError> {
        Ok(Self {
            key: overlay.root()?,
            budget,
        })
    }
}

impl Node for Merging<'_> {
    fn name(&self) -> Name<'_> {
        self.key.name().clone()
    }

    fn layer(&self) -> KeyLayer {
        KeyLayer::NONE
    }

    fn flags(&self) -> u16 {
        self.key.top().map_or(0, |key| key.node().flags.get())
    }

    fn user_flags(&self) -> u16 {
        // The high byte is the debug byte.
        self.key
            .top()
            .map_or(0, |key| key.node().user_flags.get() & 0xFF)
    }

    fn last_written(&self) -> Option<u64> {
        Some(self.key.last_written())
    }

    fn class_len(&self) -> usize {
        self.key.class_len()
    }

    fn class(&self) -> Result<Option<Cow<'_, [u8]>>, HiveError> {
        self.key.class()
    }

    fn security(&self) -> Result<Option<Cow<'_, [u8]>>, HiveError> {
        self.key.security()
    }

    fn values(&self) -> Result<Vec<NodeValue<'_>>, HiveError> {
        self.budget.spend(&self.key)?;
        let values = self.key.values()?;
        let mut result = Vec::with_capacity(values.len());
        for value in values {
            self.budget.spend_value(&value)?;
            result.push(NodeValue {
                name: value.name().clone(),
                content: Content::Stored(value.into_value()),
            });
        }
        Ok(result)
    }

    fn children(&self) -> Result<Vec<Self>, HiveError> {
        let children = self.key.subkeys()?.map(|key| Self {
            key,
            budget: self.budget,
        });
        Ok(children.collect())
    }
}
