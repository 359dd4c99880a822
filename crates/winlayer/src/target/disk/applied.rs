//! [`Applied`]: one layer onto the volume of the layers below it.
//!
//! Each name has a note: what the layers below have there and what this layer makes of it. A layer's marks concern only what is
//! below it, wherever in its tar they stand, so whiteouts are applied when all entries have come; a hard link means the object
//! of this layer that came before, or else the one below, even when this layer replaces that. Within the layer the rules of
//! [`LayerNames`] hold. What concerns the utility VM alone is not looked at.

mod hives;

use std::{
    collections::HashMap,
    io::{Read, Seek, Write},
};

use winlayer_ntfs::{ExistingName, FileId, NameId, VolumeWriter};
use winlayer_tar::{
    AlternateStream, Body, HardLink, LayerItem, LayerPath, Object, ObjectKind, Tree,
};

use self::hives::Deltas;
use super::{
    objects::{begin, describe, plain},
    per_layer::Before,
};
use crate::{
    Error, Result,
    error::escape,
    layer_names::LayerNames,
    merge::copy_body,
    names::{NameTree, NodeId},
    store::LayerCounts,
};

/// What this layer makes of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Own {
    #[default]
    Nothing,
    /// A directory that it uses without describing it.
    Implicit,
    Directory,
    /// Anything else.
    Object,
}

/// The note on a name.
#[derive(Clone, Copy, Debug, Default)]
struct Spot {
    /// What the layers below have, whatever becomes of it.
    below: Option<Below>,
    /// The name below that is still on the volume.
    lower: Option<NameId>,
    own: Own,
    /// What is at this name now.
    file: Option<FileId>,
    /// A file or link below became a directory without being replaced or removed, so far.
    unexplained: bool,
}

#[derive(Clone, Copy, Debug)]
struct Below {
    file: FileId,
    is_directory: bool,
    is_directory_link: bool,
}

/// A layer on its way onto a volume.
pub(super) struct Applied<D> {
    volume: VolumeWriter<D>,
    tree: NameTree<Spot>,
    names: LayerNames,
    counts: LayerCounts,
    whiteouts: Vec<LayerPath>,
    opaque: Vec<LayerPath>,
    deltas: Deltas,
    before: Option<Before>,
    /// Streams that follow belong to an object of the volume.
    takes_streams: bool,
    /// The first of the directories that got plain metadata, and how many there are.
    plain: Option<(String, u64)>,
}

/// What came of it.
pub(super) struct Done {
    pub names: LayerNames,
    pub counts: LayerCounts,
    pub warnings: Vec<String>,
}

impl<D: Read + Write + Seek> Applied<D> {
    /// Onto `volume`, which is empty or, with `before`, holds the layers below.
    pub(super) fn new(
        volume: VolumeWriter<D>,
        most_names: u64,
        before: Option<Before>,
    ) -> Result<Self> {
        let root = Spot {
            below: before.as_ref().map(|_| Below {
                file: FileId::ROOT,
                is_directory: true,
                is_directory_link: false,
            }),
            file: Some(FileId::ROOT),
            ..Spot::default()
        };
        let mut tree = NameTree::new(root, u64::MAX);
        if before.is_some() {
            load(&volume, &mut tree)?;
        }
        Ok(Self {
            volume,
            tree,
            names: LayerNames::new(most_names),
            counts: LayerCounts::default(),
            whiteouts: Vec::new(),
            opaque: Vec::new(),
            deltas: Deltas::default(),
            before,
            takes_streams: false,
            plain: None,
        })
    }

    /// Takes the next entry of the layer.
    pub(super) fn take(&mut self, item: &LayerItem, body: &mut Body<'_>) -> Result<()> {
        if let LayerItem::Stream(stream) = item {
            self.counts.streams += 1;
            return self.stream(stream, body);
        }
        self.takes_streams = false;
        self.names.admit(item)?;
        match item {
            LayerItem::Object(object) => self.object(object, body),
            LayerItem::HardLink(link) => self.hard_link(link),
            LayerItem::Whiteout(path) => {
                self.counts.whiteouts += 1;
                self.whiteouts.push(path.clone());
                Ok(())
            }
            LayerItem::OpaqueWhiteout(path) => {
                self.counts.opaque_whiteouts += 1;
                self.opaque.push(path.clone());
                Ok(())
            }
            LayerItem::Stream(_) => Ok(()),
        }
    }

    fn object(&mut self, object: &Object, body: &mut Body<'_>) -> Result<()> {
        let count = match object.kind {
            ObjectKind::Directory => &mut self.counts.directories,
            ObjectKind::File { .. } => &mut self.counts.files,
            ObjectKind::Link { .. } => &mut self.counts.links,
        };
        *count += 1;
        match object.path.tree() {
            Tree::Files => {}
            Tree::Hives => return self.deltas.take(object, body),
            Tree::UtilityVm | Tree::UtilityVmFiles => return Ok(()),
        }
        self.takes_streams = true;
        let path = &object.path;
        let in_entry = |error| Error::in_entry(path.as_str(), error);
        let node = match path.below_tree() {
            "" => NodeId::ROOT,
            _ => self.node_of(path)?,
        };
        if object.kind == ObjectKind::Directory {
            let file = self.directory_at(node, path.file_name(), Own::Directory)?;
            let metadata = describe(&object.metadata, None)?;
            let begun = self.volume.begin_directory(file, &metadata);
            return begun.map_err(in_entry);
        }
        self.drop_below(node)?;
        let parent = self.parent_of(node)?;
        let begun = begin(&mut self.volume, parent, path.file_name(), object)?;
        self.set(node, Own::Object, Some(begun.map_err(in_entry)?));
        copy_body(body, &mut self.volume, || escape(path.as_str()))?;
        Ok(())
    }

    fn stream(&mut self, stream: &AlternateStream, body: &mut Body<'_>) -> Result<()> {
        if !self.takes_streams {
            return Ok(());
        }
        let begun = self.volume.begin_stream(&stream.name, stream.size);
        begun.map_err(|error| Error::in_entry(&stream.name, error))?;
        copy_body(body, &mut self.volume, || escape(&stream.name))?;
        Ok(())
    }

    fn hard_link(&mut self, link: &HardLink) -> Result<()> {
        self.counts.hard_links += 1;
        if link.path.tree() != Tree::Files {
            return Ok(());
        }
        let refuse = |rule: &str| {
            let target = escape(link.target.as_str());
            let rule = format!("is a hard link to \"{target}\", which {rule}");
            Err(Error::refused_entry(link.path.as_str(), rule))
        };
        if link.target.tree() != Tree::Files {
            return refuse("is outside of Files, and disks of layers hold only Files");
        }
        // Looked up before the link's own name is taken: nothing can be a link to itself.
        let target = self.tree.find(link.target.below_tree());
        let spot = target.map(|target| self.spot(target)).unwrap_or_default();
        let file = match (spot.own, spot.file, spot.below) {
            (Own::Object, Some(file), _) => file,
            (Own::Directory | Own::Implicit, ..) => return refuse("is a directory"),
            (_, _, Some(below)) if below.is_directory || below.is_directory_link => {
                return refuse("is a directory");
            }
            (_, _, Some(below)) => below.file,
            _ => return refuse("neither this layer has before it nor a layer below"),
        };
        let node = self.node_of(&link.path)?;
        self.drop_below(node)?;
        let parent = self.parent_of(node)?;
        let linked = self.volume.link(file, parent, link.path.file_name());
        linked.map_err(|error| Error::in_entry(link.path.as_str(), error))?;
        self.set(node, Own::Object, Some(file));
        Ok(())
    }

    /// The node of an entry's path, its directories made.
    fn node_of(&mut self, path: &LayerPath) -> Result<NodeId> {
        let mut node = NodeId::ROOT;
        let mut components = path.below_tree().split('/').peekable();
        while let Some(name) = components.next() {
            (node, _) = self.tree.child_or_insert(node, name, Spot::default)?;
            if components.peek().is_some() {
                self.directory_at(node, name, Own::Implicit)?;
            }
        }
        Ok(node)
    }

    fn parent_of(&self, node: NodeId) -> Result<FileId> {
        let parent = self
            .tree
            .parent(node)
            .and_then(|parent| self.spot(parent).file);
        parent.ok_or_else(|| Error::refused("a directory has no place", "please report this"))
    }

    /// The directory at `node`: the one below, or a new one.
    fn directory_at(&mut self, node: NodeId, name: &str, own: Own) -> Result<FileId> {
        let spot = self.spot(node);
        if let (Own::Implicit | Own::Directory, Some(file)) = (spot.own, spot.file) {
            if own == Own::Directory {
                self.set(node, own, Some(file));
            }
            return Ok(file);
        }
        if node == NodeId::ROOT {
            self.set(node, own, Some(FileId::ROOT));
            return Ok(FileId::ROOT);
        }
        let in_entry = |error| Error::in_entry(name, error);
        let file = match (spot.lower, spot.below) {
            (Some(id), Some(below)) if below.is_directory => {
                let renamed = self.volume.rename(id, name).map_err(in_entry)?;
                if let Some(spot) = self.tree.data_mut(node) {
                    spot.lower = Some(renamed);
                }
                below.file
            }
            (lower, _) => {
                let is_replaced = lower.is_some();
                self.drop_below(node)?;
                if is_replaced
                    && own == Own::Implicit
                    && let Some(spot) = self.tree.data_mut(node)
                {
                    spot.unexplained = true;
                }
                let parent = self.parent_of(node)?;
                let made = self.volume.add_directory(parent, name);
                let made = made.map_err(in_entry)?;
                self.volume.begin_directory(made, &plain()?)?;
                made
            }
        };
        self.set(node, own, Some(file));
        Ok(file)
    }

    /// Removes what the layers below have at and below `node`; directories of this layer stay.
    fn drop_below(&mut self, node: NodeId) -> Result<()> {
        // Parents come before their children, so names are taken away in the order that this list ends.
        let mut all = vec![node];
        let mut next = 0;
        while let Some(&node) = all.get(next) {
            all.extend(self.tree.children(node));
            next += 1;
        }
        for node in all.into_iter().rev() {
            let spot = self.spot(node);
            let is_own_directory = matches!(spot.own, Own::Implicit | Own::Directory);
            if let Some(id) = spot.lower.filter(|_| !is_own_directory) {
                self.volume.remove_name(id)?;
            }
            if spot.own == Own::Implicit
                && let Some(file) = spot.file
            {
                self.volume.begin_directory(file, &plain()?)?;
            }
            if let Some(spot) = self.tree.data_mut(node) {
                spot.unexplained = false;
                if !is_own_directory {
                    spot.lower = None;
                }
            }
        }
        Ok(())
    }

    /// Applies what waited for the whole layer; the volume is complete.
    pub(super) fn finish(mut self) -> Result<(D, Done)> {
        for path in std::mem::take(&mut self.whiteouts) {
            self.names.check_whiteout(&path)?;
            if let Some(node) = self.found(&path) {
                self.drop_below(node)?;
            }
        }
        for path in std::mem::take(&mut self.opaque) {
            let children = self.found(&path);
            let children: Vec<NodeId> = children
                .map(|node| self.tree.children(node).collect())
                .unwrap_or_default();
            for node in children {
                self.drop_below(node)?;
            }
        }
        self.refuse_unexplained()?;
        self.note_plain();
        let mut warnings = self.merge_hives()?;
        if let Some((first, count)) = &self.plain {
            warnings.push(format!(
                "{count} directories have no entry in any layer and got plain metadata; the first is \"{}\"",
                escape(first)
            ));
        }
        let (device, _) = self.volume.finish()?;
        let done = Done {
            names: self.names,
            counts: self.counts,
            warnings,
        };
        Ok((device, done))
    }

    fn found(&self, path: &LayerPath) -> Option<NodeId> {
        (path.tree() == Tree::Files).then(|| self.tree.find(path.below_tree()))?
    }

    fn refuse_unexplained(&self) -> Result<()> {
        let mut nodes = self.tree.ids();
        match nodes.find(|&node| self.spot(node).unexplained) {
            None => Ok(()),
            Some(node) => {
                let rule =
                    "is a file or link below, and this layer reaches below it without replacing it";
                Err(Error::refused_entry(&self.tree.path(node), rule))
            }
        }
    }

    /// Counts the directories that no layer describes and that are new here.
    fn note_plain(&mut self) {
        let is_plain = |&node: &NodeId| {
            let spot = self.spot(node);
            spot.own == Own::Implicit && spot.lower.is_none()
        };
        let mut nodes = self.tree.ids().filter(is_plain);
        if let Some(first) = nodes.next() {
            let count = nodes.count() as u64 + 1;
            self.plain = Some((self.tree.path(first), count));
        }
    }

    fn spot(&self, node: NodeId) -> Spot {
        self.tree.data(node).copied().unwrap_or_default()
    }

    fn set(&mut self, node: NodeId, own: Own, file: Option<FileId>) {
        if let Some(spot) = self.tree.data_mut(node) {
            (spot.own, spot.file) = (own, file);
        }
    }
}

/// Puts the names of a volume into a tree.
fn load<D: Read + Write + Seek>(volume: &VolumeWriter<D>, tree: &mut NameTree<Spot>) -> Result<()> {
    let mut children: HashMap<FileId, Vec<ExistingName>> = HashMap::new();
    for name in volume.existing_names() {
        children.entry(name.parent).or_default().push(name);
    }
    let mut open = vec![(FileId::ROOT, NodeId::ROOT)];
    while let Some((directory, node)) = open.pop() {
        for name in children.remove(&directory).unwrap_or_default() {
            let is_link = name.is_reparse_point;
            let spot = Spot {
                below: Some(Below {
                    file: name.file,
                    is_directory: name.is_directory && !is_link,
                    is_directory_link: name.is_directory && is_link,
                }),
                lower: Some(name.id),
                own: Own::Nothing,
                file: Some(name.file),
                unexplained: false,
            };
            let (child, _) = tree.child_or_insert(node, &name.name, || spot)?;
            if name.is_directory {
                open.push((name.file, child));
            }
        }
    }
    Ok(())
}
