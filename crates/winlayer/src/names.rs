//! [`NameTree`]: an index of paths that compares names as NTFS does.
//!
//! Targets need it to notice two names that differ only by case, to find hard-link targets and to
//! merge layers. It is the one structure that grows with the number of entries, so it is compact:
//! names lie in one arena, nodes are 20 bytes plus the payload, and the hash table holds node
//! numbers only.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use hashbrown::{HashTable, hash_table::Entry};
use winlayer_metadata::Upcase;

/// A node of a [`NameTree`]; only valid for the tree that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u32);

impl NodeId {
    /// The node every path starts from; it has no name.
    pub(crate) const ROOT: Self = Self(0);

    const NONE: Self = Self(u32::MAX);

    /// A number for tables beside the tree: 0 for the root, then in order of insertion.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

/// The tree would hold more names than it was allowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {limit} names; a limit against hostile layers, see --limit-entries")]
pub(crate) struct TooManyNames {
    pub(crate) limit: u32,
}

#[derive(Debug)]
struct Node<T> {
    parent: NodeId,
    name_start: u32,
    name_len: u32,
    first_child: NodeId,
    next_sibling: NodeId,
    data: T,
}

/// Names below a root, each compared with its siblings by the NTFS upcase table.
///
/// Keeps the spelling of the first insertion. Children are listed newest first.
#[derive(Debug)]
pub(crate) struct NameTree<T> {
    nodes: Vec<Node<T>>,
    names: String,
    table: HashTable<u32>,
    hasher: RandomState,
    limit: u32,
}

impl<T> NameTree<T> {
    /// A tree of only the root, which may grow by `limit` names.
    pub(crate) fn new(root: T, limit: u64) -> Self {
        let root = Node {
            parent: NodeId::NONE,
            name_start: 0,
            name_len: 0,
            first_child: NodeId::NONE,
            next_sibling: NodeId::NONE,
            data: root,
        };
        Self {
            nodes: vec![root],
            names: String::new(),
            table: HashTable::new(),
            hasher: RandomState::new(),
            limit: u32::try_from(limit).unwrap_or(u32::MAX).min(u32::MAX - 2),
        }
    }

    /// The number of nodes, the root included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The child of `parent` with this name in any case.
    pub(crate) fn child(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        let hash = self.hash(parent, name);
        self.table
            .find(hash, |&id| self.is(NodeId(id), parent, name))
            .map(|&id| NodeId(id))
    }

    /// The child of `parent` with this name, made with `data` when missing; true when made.
    pub(crate) fn child_or_insert(
        &mut self,
        parent: NodeId,
        name: &str,
        data: impl FnOnce() -> T,
    ) -> Result<(NodeId, bool), TooManyNames> {
        if let Some(id) = self.child(parent, name) {
            return Ok((id, false));
        }
        let too_many = TooManyNames { limit: self.limit };
        let id = u32::try_from(self.nodes.len())
            .ok()
            .filter(|&id| id <= self.limit)
            .ok_or(too_many)?;
        let name_start = u32::try_from(self.names.len()).map_err(|_| too_many)?;
        let name_len = u32::try_from(name.len()).map_err(|_| too_many)?;
        let Some(parent_node) = self.nodes.get_mut(index(parent)) else {
            return Err(too_many);
        };
        let next_sibling = std::mem::replace(&mut parent_node.first_child, NodeId(id));
        self.names.push_str(name);
        self.nodes.push(Node {
            parent,
            name_start,
            name_len,
            first_child: NodeId::NONE,
            next_sibling,
            data: data(),
        });
        let hash = self.hash(parent, name);
        let (nodes, names, hasher) = (&self.nodes, &self.names, &self.hasher);
        let rehash = |&id: &u32| {
            let parent = nodes
                .get(index(NodeId(id)))
                .map_or(NodeId::NONE, |node| node.parent);
            hash_name(hasher, parent, name_of(nodes, names, NodeId(id)))
        };
        match self.table.entry(hash, |_| false, rehash) {
            Entry::Vacant(slot) => drop(slot.insert(id)),
            Entry::Occupied(_) => {}
        }
        Ok((NodeId(id), true))
    }

    /// The node at a `/`-separated path below the root; the empty path is the root.
    pub(crate) fn find(&self, path: &str) -> Option<NodeId> {
        path.split('/')
            .filter(|name| !name.is_empty())
            .try_fold(NodeId::ROOT, |node, name| self.child(node, name))
    }

    /// The payload.
    pub(crate) fn data(&self, id: NodeId) -> Option<&T> {
        self.nodes.get(index(id)).map(|node| &node.data)
    }

    /// The payload.
    pub(crate) fn data_mut(&mut self, id: NodeId) -> Option<&mut T> {
        self.nodes.get_mut(index(id)).map(|node| &mut node.data)
    }

    /// The name as first spelled; empty for the root.
    pub(crate) fn name(&self, id: NodeId) -> &str {
        name_of(&self.nodes, &self.names, id)
    }

    /// Changes the spelling; `name` must be equal to the old one under the upcase table.
    pub(crate) fn respell(&mut self, id: NodeId, name: &str) {
        if self.name(id) == name {
            return;
        }
        let start = u32::try_from(self.names.len());
        let len = u32::try_from(name.len());
        if let (Ok(start), Ok(len), Some(node)) = (start, len, self.nodes.get_mut(index(id))) {
            (node.name_start, node.name_len) = (start, len);
            self.names.push_str(name);
        }
    }

    /// The node above; none for the root.
    pub(crate) fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.nodes.get(index(id))?.parent.some()
    }

    /// The children, newest first.
    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let first = self
            .nodes
            .get(index(id))
            .and_then(|node| node.first_child.some());
        std::iter::successors(first, |&child| {
            self.nodes.get(index(child))?.next_sibling.some()
        })
    }

    /// All nodes but the root, in order of insertion, so parents before children.
    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + use<T> {
        (1..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(NodeId)
    }

    /// Appends the `/`-separated path of the node, as first spelled, to `out`.
    pub(crate) fn push_path(&self, id: NodeId, out: &mut String) {
        // Collected, not recursive: a hostile path may be 16,000 components deep.
        let ancestors = std::iter::successors(Some(id), |&node| self.parent(node));
        let mut names: Vec<&str> = ancestors.map(|node| self.name(node)).collect();
        names.pop();
        for (depth, name) in names.iter().rev().enumerate() {
            if depth > 0 {
                out.push('/');
            }
            out.push_str(name);
        }
    }

    /// The path of the node as first spelled.
    pub(crate) fn path(&self, id: NodeId) -> String {
        let mut path = String::new();
        self.push_path(id, &mut path);
        path
    }

    fn is(&self, id: NodeId, parent: NodeId, name: &str) -> bool {
        self.nodes
            .get(index(id))
            .is_some_and(|node| node.parent == parent)
            && Upcase::eq(self.name(id), name)
    }

    fn hash(&self, parent: NodeId, name: &str) -> u64 {
        hash_name(&self.hasher, parent, name)
    }
}

const fn index(id: NodeId) -> usize {
    id.0 as usize
}

fn name_of<'a, T>(nodes: &[Node<T>], names: &'a str, id: NodeId) -> &'a str {
    let Some(node) = nodes.get(index(id)) else {
        return "";
    };
    let start = node.name_start as usize;
    names
        .get(start..start + node.name_len as usize)
        .unwrap_or_default()
}

fn hash_name(hasher: &RandomState, parent: NodeId, name: &str) -> u64 {
    let mut state = hasher.build_hasher();
    parent.hash(&mut state);
    Upcase::hash(name, &mut state);
    state.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(tree: &mut NameTree<u8>, path: &str) -> NodeId {
        path.split('/').fold(NodeId::ROOT, |node, name| {
            tree.child_or_insert(node, name, || 0).unwrap().0
        })
    }

    #[test]
    fn finds_names_in_any_case_and_keeps_the_first_spelling() {
        let mut tree = NameTree::new(0, 100);
        let config = insert(&mut tree, "Files/Windows/System32/config");
        assert_eq!(insert(&mut tree, "FILES/windows/SYSTEM32/Config"), config);
        assert_eq!(tree.find("files/WINDOWS/system32/CONFIG"), Some(config));
        assert_eq!(tree.path(config), "Files/Windows/System32/config");
        assert_eq!(tree.find("Files/Windows/System"), None);
        assert_eq!(tree.find(""), Some(NodeId::ROOT));
        assert_eq!(tree.len(), 5);
    }

    #[test]
    fn the_same_name_below_another_parent_is_another_node() {
        let mut tree = NameTree::new(0, 100);
        assert_ne!(insert(&mut tree, "a/x"), insert(&mut tree, "b/x"));
    }

    #[test]
    fn lists_children_and_ids() {
        let mut tree = NameTree::new(0, 100);
        let [b, c] = ["a/b", "a/c"].map(|path| insert(&mut tree, path));
        let a = tree.find("a").unwrap();
        assert_eq!(tree.children(a).collect::<Vec<_>>(), [c, b]);
        assert_eq!(tree.ids().collect::<Vec<_>>(), [a, b, c]);
        assert_eq!(tree.parent(b), Some(a));
    }

    #[test]
    fn refuses_to_grow_over_its_limit() {
        let mut tree = NameTree::new(0, 2);
        insert(&mut tree, "a/b");
        let root = NodeId::ROOT;
        assert_eq!(
            tree.child_or_insert(root, "c", || 0),
            Err(TooManyNames { limit: 2 })
        );
        assert!(tree.child_or_insert(root, "A", || 0).is_ok());
    }
}
