//! The finished view: what is in it, in an order that depends on nothing but the names.

use super::{Kind, Merge};
use crate::names::NodeId;

impl Merge {
    /// Everything wanted at and below `from`, parents first, siblings in byte order of their names
    /// (the order of Go's `filepath.Walk`, hence of hcsshim's exports).
    pub(crate) fn sorted_from(&self, from: NodeId) -> Vec<NodeId> {
        let mut sorted = Vec::new();
        let mut stack = vec![from];
        while let Some(node) = stack.pop() {
            if self.state(node).wanted {
                sorted.push(node);
            }
            let start = stack.len();
            stack.extend(self.names.children(node));
            if let Some(children) = stack.get_mut(start..) {
                children.sort_unstable_by(|&a, &b| self.names.name(b).cmp(self.names.name(a)));
            }
        }
        sorted
    }

    /// The wanted children of a directory, in byte order of their names.
    pub(crate) fn sorted_children(&self, directory: NodeId) -> Vec<NodeId> {
        let children = self.names.children(directory);
        let mut sorted: Vec<NodeId> = children.filter(|&id| self.state(id).wanted).collect();
        sorted.sort_unstable_by(|&a, &b| self.names.name(a).cmp(self.names.name(b)));
        sorted
    }

    /// What people should know about the merge as a whole.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let implicit = |&id: &NodeId| {
            let state = self.state(id);
            state.wanted && state.kind == Kind::Implicit
        };
        let mut undescribed = self.names.ids().filter(implicit);
        if let Some(first) = undescribed.next() {
            let count = undescribed.count().saturating_add(1);
            let path = self.names.path(first);
            warnings.push(format!(
                "{count} directories have no entry in any layer and got plain metadata; the first is \"{path}\""
            ));
        }
        warnings
    }
}
