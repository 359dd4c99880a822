//! The merged view of an image: what is left when all layers lie on top of each other.
//!
//! Layers are read from the topmost down to the base, each from front to back, and every entry is
//! judged the moment it is read ([`Merge::judge`]): a name that a higher layer defines, removes or
//! replaces is skipped, so no target ever writes what it would have to remove again. All that is
//! kept is one small note per name ([`NodeState`]).
//!
//! Rules that need a lower layer are checked when that layer is read, or at the end: a hard link
//! waits for the layer that holds its target, a layer that writes below a directory it does not
//! define waits for the layer that does, and so does a whiteout inside the utility VM.
//!
//! | file | idea |
//! | --- | --- |
//! | `state.rs` | the note on a name |
//! | `links.rs` | which name carries the content of a hard-linked object |
//! | `walk.rs` | the finished view in a fixed order |
//! | `read.rs` | layers of an image through the merge into a [`Sink`] |

mod links;
mod read;
mod state;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod tests;
mod walk;

use winlayer_tar::{LayerItem, LayerPath, Object, Tree};

use self::links::Links;
use self::state::Seen;
pub(crate) use self::{
    read::{
        ImageLayers, Keep, Layers, ReadLayer, Sink, copy_body, layer_number, merge_layers,
        read_layer,
    },
    state::{Kind, LayerNumber, NodeState},
};
use crate::{
    Error, Result,
    names::{NameTree, NodeId},
};

/// The part of the merged view that a target wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// `Files` and below.
    Files,
    /// `UtilityVM/Files` and below.
    UtilityVmFiles,
    /// Both, and `UtilityVM` itself; never the registry deltas, which describe layers, not the image.
    Image,
    /// What the layers have, registry deltas included (the topmost of each name).
    Everything,
}

impl Selection {
    fn contains(self, tree: Tree) -> bool {
        match self {
            Self::Files => tree == Tree::Files,
            Self::UtilityVmFiles => tree == Tree::UtilityVmFiles,
            Self::Image => tree != Tree::Hives,
            Self::Everything => true,
        }
    }
}

/// What to do with the entry just judged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: hidden, not asked for, or not known yet.
    Skip,
    /// The entry describes this visible directory.
    Directory(NodeId),
    /// The entry's object belongs at `at`; `links` are its further names.
    Object { at: NodeId, links: Vec<NodeId> },
    /// `names` are further names of the object already placed at `to`.
    Links { to: NodeId, names: Vec<NodeId> },
}

/// A name in the layer being read, and how the layers above see it.
#[derive(Clone, Copy, Debug)]
struct Spot {
    node: NodeId,
    /// A higher layer hides what the current layer has here.
    hidden: bool,
    /// The nearest higher layer that cuts off the current one here.
    nearest: Option<LayerNumber>,
}

impl Spot {
    /// Whether layer `above` still sees what the current layer has here; its own marks count.
    fn visible_from(&self, above: LayerNumber) -> bool {
        self.nearest.is_none_or(|mark| mark > above)
    }
}

/// The merge of an image's layers, topmost first.
#[derive(Debug)]
pub(crate) struct Merge {
    names: NameTree<NodeState>,
    selection: Selection,
    layer: LayerNumber,
    links: Links,
    nowhere: NodeState,
    /// The last parent directory something was created in, with the path it was asked by.
    parent: Option<(String, Spot)>,
}

impl Merge {
    /// A merge of layers 1 to `topmost`, with at most `max_names` names.
    pub(crate) fn new(selection: Selection, topmost: LayerNumber, max_names: u64) -> Self {
        Self {
            names: NameTree::new(NodeState::default(), max_names),
            selection,
            layer: topmost,
            links: Links::default(),
            nowhere: NodeState::default(),
            parent: None,
        }
    }

    pub(crate) fn names(&self) -> &NameTree<NodeState> {
        &self.names
    }

    pub(crate) fn state(&self, node: NodeId) -> NodeState {
        self.names.data(node).copied().unwrap_or_default()
    }

    /// Turns to the next lower layer.
    pub(crate) fn begin_layer(&mut self, layer: LayerNumber) {
        self.layer = layer;
        self.parent = None;
        self.links.begin_layer();
    }

    /// Judges the next entry of the layer; a stream belongs to the object before it.
    ///
    /// # Errors
    ///
    /// The entry contradicts another one of its layer, or would reach through a link or below a
    /// file.
    pub(crate) fn judge(&mut self, item: &LayerItem) -> Result<Verdict> {
        match item {
            LayerItem::Object(object) => self.object(object),
            LayerItem::HardLink(link) => self.hard_link(link),
            LayerItem::Whiteout(path) => self.whiteout(path).map(|()| Verdict::Skip),
            LayerItem::OpaqueWhiteout(path) => self.opaque_whiteout(path).map(|()| Verdict::Skip),
            LayerItem::Stream(_) => Ok(Verdict::Skip),
        }
    }

    /// Checks what only all layers together can tell; an error comes with the layer to blame.
    pub(crate) fn finish(&self) -> std::result::Result<(), (LayerNumber, Error)> {
        if let Some((layer, link)) = self.links.first_awaiting() {
            let rule =
                "is a hard link to a name that neither its layer has before it nor a layer below";
            return Err((layer, Error::refused_entry(&self.names.path(link), rule)));
        }
        let Some(utility_vm) = self.names.find("UtilityVM/Files") else {
            return Ok(());
        };
        let missed = self.names.ids().find_map(|id| {
            let layer = self.state(id).whited_out_by?;
            self.is_below(id, utility_vm).then_some((layer, id))
        });
        match missed {
            Some((layer, id)) => Err((layer, self.missing_whiteout(id))),
            None => Ok(()),
        }
    }

    fn is_below(&self, id: NodeId, above: NodeId) -> bool {
        std::iter::successors(Some(id), |&id| self.names.parent(id)).any(|id| id == above)
    }

    fn missing_whiteout(&self, id: NodeId) -> Error {
        let layer = self.state(id).whited_out_by.map_or(0, LayerNumber::get);
        let rule =
            format!("layer {layer} removes it from the utility VM, but no layer below has it");
        Error::refused_entry(&self.names.path(id), rule)
    }

    fn object(&mut self, object: &Object) -> Result<Verdict> {
        let kind = Kind::of(&object.kind);
        let seen = match kind {
            Kind::Directory => Seen::Directory,
            Kind::DirectoryLink => Seen::DirectoryLink,
            _ => Seen::Object,
        };
        let (spot, wanted) = self.define(&object.path, kind, seen)?;
        if seen != Seen::Object {
            self.refuse_links_to_directory(spot)?;
        }
        if kind == Kind::Directory {
            return Ok(match wanted {
                true => Verdict::Directory(spot.node),
                false => Verdict::Skip,
            });
        }
        let names = self.take_awaiting(spot)?;
        Ok(self.place(spot.node, wanted, names, kind))
    }

    /// Notes that the layer has an object at `path`; true when it is visible and asked for.
    fn define(&mut self, path: &LayerPath, kind: Kind, seen: Seen) -> Result<(Spot, bool)> {
        let parent = self.parent_of(path)?;
        if path.below_tree().is_empty() && kind != Kind::Directory {
            let rule = "must be a directory";
            return Err(Error::refused_entry(path.as_str(), rule));
        }
        let spot = self.step(parent, path.file_name())?;
        let (layer, selected) = (self.layer, self.selection.contains(path.tree()));
        let state = self.state_mut(spot.node);
        match state.seen(layer) {
            Seen::Nothing => {}
            Seen::Above if kind == Kind::Directory => {}
            Seen::Above => {
                let rule = "is not a directory, but the same layer has entries below it";
                return Err(Error::refused_entry(path.as_str(), rule));
            }
            Seen::Directory | Seen::DirectoryLink | Seen::Object | Seen::HardLink => {
                let rule = "appears twice in its layer (names are compared as NTFS does)";
                return Err(Error::refused_entry(path.as_str(), rule));
            }
        }
        if let Some(above) = state.required_by.take()
            && kind != Kind::Directory
            && spot.visible_from(above)
            && above != layer
        {
            let rule = format!(
                "is a file or link, and layer {} reaches below it without replacing it",
                above.get()
            );
            return Err(Error::refused_entry(path.as_str(), rule));
        }
        state.set_seen(layer, seen);
        meet_whiteout(state, spot);
        if kind != Kind::Directory {
            state.removed.set(layer);
        }
        let fills =
            state.kind == Kind::Absent || (state.kind == Kind::Implicit && kind == Kind::Directory);
        if spot.hidden || !fills {
            return Ok((spot, false));
        }
        let respell = state.kind == Kind::Absent;
        (state.kind, state.defined_in, state.wanted) = (kind, Some(layer), selected);
        if respell {
            self.names.respell(spot.node, path.file_name());
        }
        Ok((spot, selected))
    }

    fn whiteout(&mut self, path: &LayerPath) -> Result<()> {
        let parent = self.reach_parent(path, Reach::Look)?;
        let spot = self.step(parent, path.file_name())?;
        let layer = self.layer;
        if path.tree() == Tree::UtilityVmFiles
            && self
                .state(spot.node)
                .whited_out_by
                .is_some_and(|above| above != layer)
        {
            return Err(self.missing_whiteout(spot.node));
        }
        let state = self.state_mut(spot.node);
        state.removed.set(layer);
        state.whited_out_by = Some(layer);
        Ok(())
    }

    fn opaque_whiteout(&mut self, directory: &LayerPath) -> Result<()> {
        let spot = self.reach(directory.as_str(), Reach::Look)?;
        let layer = self.layer;
        self.state_mut(spot.node).emptied.set(layer);
        Ok(())
    }

    /// The directory an entry of this layer lies in; created when nobody else describes it.
    fn parent_of(&mut self, path: &LayerPath) -> Result<Spot> {
        let parent = path.parent().unwrap_or_default();
        if let Some((asked, spot)) = &self.parent
            && asked == parent
        {
            return Ok(*spot);
        }
        let spot = self.reach(parent, Reach::Create)?;
        match &mut self.parent {
            Some((asked, known)) => {
                asked.clear();
                asked.push_str(parent);
                *known = spot;
            }
            None => self.parent = Some((parent.to_owned(), spot)),
        }
        Ok(spot)
    }

    fn reach_parent(&mut self, path: &LayerPath, reach: Reach) -> Result<Spot> {
        self.reach(path.parent().unwrap_or_default(), reach)
    }

    /// Walks to a directory, which the layer thereby says it is.
    fn reach(&mut self, path: &str, reach: Reach) -> Result<Spot> {
        let mut spot = Spot {
            node: NodeId::ROOT,
            hidden: false,
            nearest: None,
        };
        for name in path.split('/').filter(|name| !name.is_empty()) {
            spot = self.step(spot, name)?;
            self.require_directory(spot, reach)?;
        }
        Ok(spot)
    }

    /// One name further down, seen from the layer being read.
    fn step(&mut self, above: Spot, name: &str) -> Result<Spot> {
        let layer = self.layer;
        let emptied = self.state(above.node).emptied;
        let (node, _) = self
            .names
            .child_or_insert(above.node, name, NodeState::default)?;
        let removed = self.state(node).removed;
        let marks = [
            above.nearest,
            emptied.nearest_above(layer),
            removed.nearest_above(layer),
        ];
        Ok(Spot {
            node,
            hidden: above.hidden || emptied.hides(layer) || removed.hides(layer),
            nearest: marks.into_iter().flatten().min(),
        })
    }

    fn require_directory(&mut self, spot: Spot, reach: Reach) -> Result<()> {
        let layer = self.layer;
        let state = self.state_mut(spot.node);
        match state.seen(layer) {
            Seen::Directory => return Ok(()),
            Seen::Above => {}
            Seen::Nothing => state.set_seen(layer, Seen::Above),
            Seen::DirectoryLink | Seen::Object | Seen::HardLink => {
                let rule = "is a file or link, but the same layer reaches below it";
                return Err(Error::refused_entry(&self.names.path(spot.node), rule));
            }
        }
        state.required_by = Some(layer);
        if reach == Reach::Look {
            return Ok(());
        }
        meet_whiteout(state, spot);
        let appears = state.kind == Kind::Absent && !spot.hidden;
        if appears {
            (state.kind, state.defined_in) = (Kind::Implicit, Some(layer));
            let wanted = self.is_selected(spot.node);
            self.state_mut(spot.node).wanted = wanted;
        }
        self.refuse_links_to_directory(spot)
    }

    /// As [`Selection::contains`], for a directory known only by its node.
    fn is_selected(&self, node: NodeId) -> bool {
        let mut path = self.names.path(node);
        path.make_ascii_lowercase();
        let tree = match path.split('/').next() {
            Some("files") => Tree::Files,
            Some("hives") => Tree::Hives,
            _ if path.contains('/') => Tree::UtilityVmFiles,
            _ => Tree::UtilityVm,
        };
        self.selection.contains(tree)
    }

    /// The note on a node. Every node is this merge's own, so `nowhere` stays unused.
    fn state_mut(&mut self, node: NodeId) -> &mut NodeState {
        match self.names.data_mut(node) {
            Some(state) => state,
            None => &mut self.nowhere,
        }
    }
}

/// Why a directory is walked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// To put something into it.
    Create,
    /// To name something that may or may not be below it.
    Look,
}

/// A whiteout is answered by the first object that the layers in between do not hide.
fn meet_whiteout(state: &mut NodeState, spot: Spot) {
    if let Some(above) = state.whited_out_by
        && spot.nearest.is_none_or(|mark| mark >= above)
    {
        state.whited_out_by = None;
    }
}
