//! Directory handles for the places where files are made.

use winlayer_sys::Dir;

use crate::{Error, Result, merge::Merge, names::NodeId};

/// Open directories of the tree being built, most recently used last.
///
/// Tars go through a tree depth first, so a few handles serve nearly every file without walking
/// from the root. While files are made the tree has no links, and names are never replaced, so a
/// handle stays what its name says.
#[derive(Debug)]
pub(super) struct Handles {
    root: Dir,
    root_path: &'static str,
    open: Vec<(NodeId, Dir)>,
    /// Directories that exist, by node.
    made: Vec<bool>,
    path: String,
}

impl Handles {
    /// Enough for the path being written and a few neighbours; far below any descriptor limit.
    const MOST_OPEN: usize = 32;

    /// Handles below `root`, which stands for the directory `root_path` of the image.
    pub(super) fn new(root: Dir, root_path: &'static str) -> Self {
        Self {
            root,
            root_path,
            open: Vec::new(),
            made: Vec::new(),
            path: String::new(),
        }
    }

    /// The path of a node from the root of the tree; empty for the root.
    pub(super) fn path(&mut self, view: &Merge, node: NodeId) -> &str {
        self.path.clear();
        view.names().push_path(node, &mut self.path);
        below(&self.path, self.root_path)
    }

    /// The directory a node lies in, made with its parents when missing.
    pub(super) fn parent_of(&mut self, view: &Merge, node: NodeId) -> Result<&Dir> {
        Ok(self.root_and_parent(view, node)?.1)
    }

    /// The tree's root, and the directory a node lies in as [`parent_of`](Self::parent_of).
    pub(super) fn root_and_parent(&mut self, view: &Merge, node: NodeId) -> Result<(&Dir, &Dir)> {
        let Some(parent) = view.names().parent(node) else {
            return Ok((&self.root, &self.root));
        };
        if self.open.last().is_none_or(|(open, _)| *open != parent) {
            self.open_directory(view, parent)?;
        }
        let dir = match self.open.last() {
            Some((open, dir)) if *open == parent => dir,
            _ => &self.root,
        };
        Ok((&self.root, dir))
    }

    /// Makes a directory of the tree unless it exists.
    pub(super) fn make(&mut self, view: &Merge, node: NodeId) -> Result<()> {
        if self.is_made(node) {
            return Ok(());
        }
        let mut missing = Vec::new();
        let mut at = Some(node);
        while let Some(node) = at.filter(|&node| !self.is_made(node)) {
            if self.is_root(view, node) {
                self.mark_made(node);
                break;
            }
            missing.push(node);
            at = view.names().parent(node);
        }
        for node in missing.into_iter().rev() {
            self.parent_of(view, node)?
                .create_dir(view.names().name(node))?;
            self.mark_made(node);
        }
        Ok(())
    }

    /// Notes that something else made the directory.
    pub(super) fn mark_made(&mut self, node: NodeId) {
        if self.made.len() <= node.index() {
            self.made.resize(node.index() + 1, false);
        }
        if let Some(made) = self.made.get_mut(node.index()) {
            *made = true;
        }
    }

    pub(super) fn is_made(&self, node: NodeId) -> bool {
        self.made.get(node.index()).copied().unwrap_or(false)
    }

    fn is_root(&mut self, view: &Merge, node: NodeId) -> bool {
        self.path(view, node).is_empty()
    }

    /// Leaves a handle of `node` as the last one; none for the root.
    fn open_directory(&mut self, view: &Merge, node: NodeId) -> Result<()> {
        if let Some(position) = self.open.iter().rposition(|(open, _)| *open == node) {
            let found = self.open.remove(position);
            self.open.push(found);
            return Ok(());
        }
        self.make(view, node)?;
        if self.is_root(view, node) {
            return Ok(());
        }
        let parent = view.names().parent(node);
        let above = self
            .open
            .iter()
            .rev()
            .find(|(open, _)| Some(*open) == parent);
        let dir = match above {
            Some((_, above)) => above.open_dir(view.names().name(node))?,
            None => {
                let path = self.path(view, node).to_owned();
                self.root.open_dir(&path)?
            }
        };
        if self.open.len() >= Self::MOST_OPEN {
            self.open.remove(0);
        }
        self.open.push((node, dir));
        Ok(())
    }
}

/// What follows the tree's root in a path of the image.
pub(super) fn below<'a>(path: &'a str, root: &str) -> &'a str {
    let rest = path.get(root.len()..).unwrap_or_default();
    rest.strip_prefix('/').unwrap_or(rest)
}

/// The error of a file that could not be written.
pub(super) fn write_failed(path: &str, source: std::io::Error) -> Error {
    Error::io(format!("write \"{}\"", crate::error::escape(path)), source)
}
