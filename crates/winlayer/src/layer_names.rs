//! [`LayerNames`]: the names of one layer and the rules they must keep among themselves.
//!
//! The tar reader judges each entry alone; what needs memory of earlier entries is judged here: no
//! name twice (compared as NTFS does), nothing below a file or a link, a utility VM that begins with
//! its two directories, and directories that have no entry of their own.

use winlayer_tar::{LayerItem, LayerPath, ObjectKind, Tree};

use crate::{
    Error, Result,
    names::{NameTree, NodeId},
};

/// What a name of a layer stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameKind {
    Directory,
    /// Used by other entries, without an entry of its own (yet).
    ImplicitDirectory,
    File,
    /// A symbolic link that is not a directory.
    FileLink,
    /// A symbolic link or junction that is a directory.
    DirectoryLink,
    HardLink,
}

impl NameKind {
    /// A directory other names may be in.
    pub(crate) const fn is_directory(self) -> bool {
        matches!(self, Self::Directory | Self::ImplicitDirectory)
    }

    /// As messages say it.
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::Directory | Self::ImplicitDirectory => "a directory",
            Self::File | Self::HardLink => "a file",
            Self::FileLink | Self::DirectoryLink => "a link",
        }
    }
}

/// What is kept of an object: enough to link to it and to list it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) kind: NameKind,
    /// Came with the parent's utility VM, not with this layer's tar.
    pub(crate) cloned: bool,
    /// CRC-32 of the staged file.
    pub(crate) crc32: u32,
    /// Size of the staged file.
    pub(crate) size: u64,
}

impl Named {
    pub(crate) const fn new(kind: NameKind) -> Self {
        Self {
            kind,
            cloned: false,
            crc32: 0,
            size: 0,
        }
    }
}

/// The names of one layer.
#[derive(Debug)]
pub(crate) struct LayerNames {
    tree: NameTree<Named>,
}

/// A name that was taken into [`LayerNames`].
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) node: NodeId,
    /// Directories that now exist because this name needs them, outermost first.
    pub(crate) implied: Vec<NodeId>,
    /// The name existed as an implicit directory.
    pub(crate) was_implied: bool,
}

impl LayerNames {
    /// No names yet, `limit` at most.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            tree: NameTree::new(Named::new(NameKind::Directory), limit),
        }
    }

    /// Takes the name of an object or a hard link, or says which rule it breaks.
    ///
    /// Other items name nothing of this layer and give nothing.
    pub(crate) fn admit(&mut self, item: &LayerItem) -> Result<Option<Admitted>> {
        let (path, kind) = match item {
            LayerItem::Object(object) => (&object.path, kind_of(&object.kind)),
            LayerItem::HardLink(link) => (&link.path, NameKind::HardLink),
            _ => return Ok(None),
        };
        let mut implied = Vec::new();
        let parent = self.admit_parents(path, &mut implied)?;
        let name = path.file_name();
        let (node, new) = self
            .tree
            .child_or_insert(parent, name, || Named::new(kind))?;
        let was_implied = !new;
        if was_implied {
            self.replace_implicit(node, path, kind)?;
        }
        Ok(Some(Admitted {
            node,
            implied,
            was_implied,
        }))
    }

    fn admit_parents(&mut self, path: &LayerPath, implied: &mut Vec<NodeId>) -> Result<NodeId> {
        let in_utility_vm = matches!(path.tree(), Tree::UtilityVm | Tree::UtilityVmFiles);
        let mut node = NodeId::ROOT;
        let depth = path.components().count().saturating_sub(1);
        for (level, name) in path.components().take(depth).enumerate() {
            let implicit = || Named::new(NameKind::ImplicitDirectory);
            let (child, new) = self.tree.child_or_insert(node, name, implicit)?;
            if new && in_utility_vm && level < 2 {
                let rule = "comes before the entries UtilityVM and UtilityVM/Files";
                return Err(Error::malformed_entry(path.as_str(), rule));
            }
            if new {
                implied.push(child);
            }
            let kind = self.get(child).kind;
            if !kind.is_directory() {
                let parent = crate::error::escape(&self.tree.path(child));
                let rule = format!(
                    "its parent \"{parent}\" is {} in this layer",
                    kind.describe()
                );
                return Err(Error::refused_entry(path.as_str(), rule));
            }
            node = child;
        }
        Ok(node)
    }

    fn replace_implicit(&mut self, node: NodeId, path: &LayerPath, kind: NameKind) -> Result<()> {
        let found = self.get(node).kind;
        if found == NameKind::ImplicitDirectory && kind == NameKind::Directory {
            self.set(node, Named::new(kind));
            return Ok(());
        }
        let rule = if found == NameKind::ImplicitDirectory {
            format!("is {}, but other entries are below it", kind.describe())
        } else {
            let first = crate::error::escape(&self.tree.path(node));
            format!("names the same object as the entry \"{first}\"")
        };
        Err(Error::refused_entry(path.as_str(), rule))
    }

    /// Takes a name of a layer that was already judged, with all its parents.
    pub(crate) fn insert(&mut self, path: &str, named: Named) -> Result<NodeId> {
        let mut node = NodeId::ROOT;
        for name in path.split('/') {
            let parent = || Named::new(NameKind::ImplicitDirectory);
            (node, _) = self.tree.child_or_insert(node, name, parent)?;
        }
        self.set(node, named);
        Ok(node)
    }

    /// The object at a `/`-separated path, in any case.
    pub(crate) fn find(&self, path: &str) -> Option<NodeId> {
        self.tree.find(path)
    }

    pub(crate) fn child(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        self.tree.child(parent, name)
    }

    /// The names in a directory, in no promised order.
    pub(crate) fn children(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.tree.children(node)
    }

    /// What a node stands for.
    pub(crate) fn get(&self, node: NodeId) -> Named {
        const NOTHING: Named = Named::new(NameKind::ImplicitDirectory);
        self.tree.data(node).copied().unwrap_or(NOTHING)
    }

    pub(crate) fn set(&mut self, node: NodeId, named: Named) {
        if let Some(data) = self.tree.data_mut(node) {
            *data = named;
        }
    }

    pub(crate) fn name(&self, node: NodeId) -> &str {
        self.tree.name(node)
    }

    /// The path in the spelling of its first use, which is the spelling on disk.
    pub(crate) fn path(&self, node: NodeId) -> String {
        self.tree.path(node)
    }

    /// All names, parents before children.
    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        self.tree.ids()
    }

    /// The paths of the directories without an entry, sorted.
    pub(crate) fn implicit_directories(&self) -> Vec<String> {
        let implicit = |&node: &NodeId| self.get(node).kind == NameKind::ImplicitDirectory;
        let mut paths: Vec<String> = self
            .ids()
            .filter(implicit)
            .map(|node| self.path(node))
            .collect();
        paths.sort();
        paths
    }

    /// Refuses a whiteout that reaches its name through a file or link of this same layer.
    pub(crate) fn check_whiteout(&self, path: &LayerPath) -> Result<()> {
        let mut node = NodeId::ROOT;
        let depth = path.components().count().saturating_sub(1);
        for name in path.components().take(depth) {
            let Some(child) = self.child(node, name) else {
                return Ok(());
            };
            let kind = self.get(child).kind;
            if !kind.is_directory() {
                let parent = crate::error::escape(&self.path(child));
                let rule = format!(
                    "whites out a name behind \"{parent}\", which is {} in this layer",
                    kind.describe()
                );
                return Err(Error::refused_entry(path.as_str(), rule));
            }
            node = child;
        }
        Ok(())
    }
}

fn kind_of(kind: &ObjectKind) -> NameKind {
    match kind {
        ObjectKind::Directory => NameKind::Directory,
        ObjectKind::File { .. } => NameKind::File,
        ObjectKind::Link {
            directory: true, ..
        } => NameKind::DirectoryLink,
        ObjectKind::Link {
            directory: false, ..
        } => NameKind::FileLink,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use winlayer_metadata::ReparsePoint;
    use winlayer_tar::{HardLink, Metadata, Object};

    fn object(path: &str, kind: ObjectKind) -> LayerItem {
        let path = LayerPath::parse(path).unwrap();
        LayerItem::Object(Object {
            path,
            kind,
            metadata: Metadata::default(),
        })
    }

    fn directory(path: &str) -> LayerItem {
        object(path, ObjectKind::Directory)
    }

    fn file(path: &str) -> LayerItem {
        object(path, ObjectKind::File { size: 0 })
    }

    fn link(path: &str) -> LayerItem {
        let reparse = ReparsePoint::symlink(r"C:\x").unwrap();
        object(
            path,
            ObjectKind::Link {
                reparse,
                directory: true,
            },
        )
    }

    fn admit(items: &[LayerItem]) -> Result<LayerNames> {
        let mut names = LayerNames::new(100);
        for item in items {
            names.admit(item)?;
        }
        Ok(names)
    }

    fn refusal(items: &[LayerItem]) -> String {
        admit(items).unwrap_err().to_string()
    }

    #[test]
    fn refuses_the_same_name_in_another_case() {
        let message = refusal(&[
            directory("Files"),
            file("Files/Straße"),
            file("Files/STRAßE"),
        ]);
        assert!(
            message.contains("same object as the entry \"Files/Straße\""),
            "{message}"
        );
        assert!(admit(&[file("Files/strasse"), file("Files/straße")]).is_ok());
    }

    #[test]
    fn refuses_a_directory_twice_but_not_one_after_its_children() {
        assert!(admit(&[file("Files/a/b"), directory("Files/a")]).is_ok());
        refusal(&[directory("Files/a"), directory("Files/A")]);
        refusal(&[file("Files/a/b"), file("Files/a")]);
        refusal(&[file("Files/a/b"), link("Files/a")]);
    }

    #[test]
    fn refuses_anything_below_a_file_or_a_link() {
        let message = refusal(&[link("Files/l"), file("Files/L/x")]);
        assert!(
            message.contains("parent \"Files/l\" is a link"),
            "{message}"
        );
        let target = LayerPath::parse("Files/f").unwrap();
        let path = LayerPath::parse("Files/f/x").unwrap();
        let hard = LayerItem::HardLink(HardLink {
            path,
            target,
            metadata: Metadata::default(),
        });
        refusal(&[file("Files/f"), hard]);
    }

    #[test]
    fn a_utility_vm_begins_with_its_two_directories() {
        refusal(&[directory("UtilityVM"), file("UtilityVM/Files/x")]);
        refusal(&[directory("UtilityVM/Files")]);
        admit(&[
            directory("UtilityVM"),
            directory("UtilityVM/Files"),
            file("UtilityVM/Files/x"),
        ])
        .unwrap();
    }

    #[test]
    fn notes_the_directories_that_have_no_entry() {
        let names = admit(&[file("Files/b/c/x"), directory("Files/b"), file("Files/a/x")]).unwrap();
        assert_eq!(
            names.implicit_directories(),
            ["Files", "Files/a", "Files/b/c"]
        );
    }

    #[test]
    fn refuses_a_whiteout_behind_a_link_or_a_file() {
        let names = admit(&[link("Files/l"), directory("Files/d"), file("Files/f")]).unwrap();
        let check = |path| names.check_whiteout(&LayerPath::parse(path).unwrap());
        assert!(check("Files/l/x").is_err());
        assert!(check("Files/f/x").is_err());
        assert!(check("Files/L").is_ok());
        assert!(check("Files/d/x").is_ok());
    }
}
