//! Hard links across layers.
//!
//! A link means the object its target was made as earlier in the same layer, or else the one the
//! layers below have, even if the layer removes or replaces that one (hcsshim's `AddLink` looks in
//! the parents' folders). Only a utility VM is one tree in one folder, where what is removed or
//! replaced is gone. When the object lies in a lower layer the link waits for it, from layer to
//! layer if the target is itself a link. When the object
//! arrives it is placed at its own name if that is visible, else at the first name that waits.
//! An object that was skipped because nobody waited yet, and is then linked to by its own layer, is
//! *missed*: the layer is read again for the missed bodies.

use std::collections::{BTreeMap, HashMap};

use winlayer_tar::{HardLink, Object, Tree};

use super::{Kind, LayerNumber, Merge, Reach, Seen, Spot, Verdict};
use crate::{Error, Result, names::NodeId};

/// A link whose target is looked for in lower layers.
#[derive(Clone, Copy, Debug)]
struct Awaiting {
    /// The link's own name.
    name: NodeId,
    /// The layer from whose view the target is meant.
    layer: LayerNumber,
    /// The name is visible and asked for; otherwise the link is only checked.
    wanted: bool,
}

/// What a link of the current layer means.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// An object of this layer.
    Here(NodeId),
    /// What the layers below have at this name.
    Below(NodeId),
}

#[derive(Debug, Default)]
pub(super) struct Links {
    /// By the target.
    awaiting: BTreeMap<NodeId, Vec<Awaiting>>,
    /// What the links of the current layer mean.
    origins: HashMap<NodeId, Origin>,
    /// Objects of the current layer that were placed under another name.
    moved: HashMap<NodeId, NodeId>,
    /// Objects of the current layer that were skipped and then linked to, with the names.
    missed: BTreeMap<NodeId, Vec<NodeId>>,
}

impl Links {
    pub(super) fn begin_layer(&mut self) {
        self.origins.clear();
        self.moved.clear();
        self.missed.clear();
    }

    /// The layer and the name of a link that still waits for its target.
    pub(super) fn first_awaiting(&self) -> Option<(LayerNumber, NodeId)> {
        let (_, links) = self.awaiting.first_key_value()?;
        links.first().map(|link| (link.layer, link.name))
    }
}

impl Merge {
    /// The number of objects of the layer just read that it must be read again for.
    pub(crate) fn missed(&self) -> usize {
        self.links.missed.len()
    }

    /// Judges an object of the current layer when it is read again for the missed ones.
    pub(crate) fn judge_again(&mut self, object: &Object) -> Verdict {
        let node = self.names.find(object.path.as_str());
        match node.and_then(|node| Some((node, self.links.missed.remove(&node)?))) {
            Some((node, names)) => self.place(node, false, names, Kind::of(&object.kind)),
            None => Verdict::Skip,
        }
    }

    pub(super) fn hard_link(&mut self, link: &HardLink) -> Result<Verdict> {
        for path in [&link.path, &link.target] {
            if !matches!(path.tree(), Tree::Files | Tree::UtilityVmFiles) {
                let rule = "hard links exist only below Files and UtilityVM/Files";
                return Err(Error::refused_entry(path.as_str(), rule));
            }
        }
        let (spot, wanted) = self.define(&link.path, Kind::HardLink, Seen::HardLink)?;
        let mut names = self.take_awaiting(spot)?;
        if wanted {
            names.insert(0, spot.node);
        }
        let origin = self.origin_of(spot, link)?;
        self.links.origins.insert(spot.node, origin);
        let origin = match origin {
            Origin::Here(node) => node,
            Origin::Below(node) => {
                self.wait_for(node, spot.node, &names);
                return Ok(Verdict::Skip);
            }
        };
        let state = self.state(origin);
        let placed = match state.wanted && state.defined_in == Some(self.layer) {
            true => Some(origin),
            false => self.links.moved.get(&origin).copied(),
        };
        if names.is_empty() {
            return Ok(Verdict::Skip);
        }
        let Some(to) = placed else {
            self.links
                .missed
                .entry(origin)
                .or_default()
                .append(&mut names);
            return Ok(Verdict::Skip);
        };
        for &name in &names {
            self.state_mut(name).primary = Some(to);
        }
        Ok(Verdict::Links { to, names })
    }

    /// What a link means within its layer: an object of this layer, or a name of the layers below.
    fn origin_of(&mut self, link_spot: Spot, link: &HardLink) -> Result<Origin> {
        let parent = self.reach_parent(&link.target, Reach::Look)?;
        let target = self.step(parent, link.target.file_name())?.node;
        let refused = |rule: &str| {
            let rule = format!("is a hard link to \"{}\", {rule}", link.target.as_str());
            Err(Error::refused_entry(link.path.as_str(), rule))
        };
        if target == link_spot.node {
            return refused("which is the link itself");
        }
        match self.state(target).seen(self.layer) {
            Seen::Directory | Seen::DirectoryLink | Seen::Above => refused("which is a directory"),
            Seen::Object => Ok(Origin::Here(target)),
            Seen::Nothing => Ok(Origin::Below(target)),
            Seen::HardLink => {
                let origin = self.links.origins.get(&target).copied();
                Ok(origin.unwrap_or(Origin::Below(target)))
            }
        }
    }

    /// Lets `names`, or at least the check of `link`, wait for a lower layer to define `target`.
    fn wait_for(&mut self, target: NodeId, link: NodeId, names: &[NodeId]) {
        let layer = self.layer;
        self.state_mut(target).awaited = true;
        let waiting = self.links.awaiting.entry(target).or_default();
        if names.is_empty() {
            waiting.push(Awaiting {
                name: link,
                layer,
                wanted: false,
            });
        }
        let wanted = |&name: &NodeId| Awaiting {
            name,
            layer,
            wanted: true,
        };
        waiting.extend(names.iter().map(wanted));
    }

    /// The visible names that waited for what this layer has at `target`.
    pub(super) fn take_awaiting(&mut self, target: Spot) -> Result<Vec<NodeId>> {
        if !std::mem::take(&mut self.state_mut(target.node).awaited) {
            return Ok(Vec::new());
        }
        let waiting = self.links.awaiting.remove(&target.node).unwrap_or_default();
        let one_tree = self.is_in_utility_vm(target.node);
        let (own, waiting): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|link| link.layer == self.layer);
        for link in &waiting {
            let visible = match one_tree {
                true => target.visible_from(link.layer),
                false => target.nearest.is_none_or(|mark| mark >= link.layer),
            };
            if !visible {
                let rule = "which a layer between the link and the target removes";
                return Err(self.refused_link(link, target, rule));
            }
        }
        if let Some(link) = own.first() {
            if one_tree {
                return Err(self.refused_link(link, target, "which its layer has only later"));
            }
            // They mean the object below, not the one that now takes its place.
            self.state_mut(target.node).awaited = true;
            self.links.awaiting.insert(target.node, own);
        }
        let wanted = waiting.iter().filter(|link| link.wanted);
        Ok(wanted.map(|link| link.name).collect())
    }

    fn is_in_utility_vm(&self, node: NodeId) -> bool {
        let up = std::iter::successors(Some(node), |&node| self.names.parent(node));
        let top = up.filter(|&node| node != NodeId::ROOT).last();
        top.is_some_and(|top| self.names.name(top).eq_ignore_ascii_case("UtilityVM"))
    }

    /// Refuses the links that wait for what turns out to be a directory.
    pub(super) fn refuse_links_to_directory(&self, target: Spot) -> Result<()> {
        if !self.state(target.node).awaited {
            return Ok(());
        }
        let one_tree = self.is_in_utility_vm(target.node);
        let meant = |link: &&Awaiting| one_tree || link.layer != self.layer;
        let waiting = self.links.awaiting.get(&target.node);
        match waiting.and_then(|links| links.iter().find(meant)) {
            Some(link) => Err(self.refused_link(link, target, "which is a directory or missing")),
            None => Ok(()),
        }
    }

    fn refused_link(&self, link: &Awaiting, target: Spot, rule: &str) -> Error {
        let target = self.names.path(target.node);
        let rule = format!("is a hard link to \"{target}\", {rule}");
        Error::refused_entry(&self.names.path(link.name), rule)
    }

    /// Gives an object its place: its own name when visible, else the first that waits for it.
    pub(super) fn place(
        &mut self,
        origin: NodeId,
        visible: bool,
        mut names: Vec<NodeId>,
        kind: Kind,
    ) -> Verdict {
        let at = match (visible, names.is_empty()) {
            (true, _) => origin,
            (false, true) => return Verdict::Skip,
            (false, false) => names.remove(0),
        };
        if at != origin {
            self.state_mut(at).kind = kind;
            self.links.moved.insert(origin, at);
        }
        for &name in &names {
            self.state_mut(name).primary = Some(at);
        }
        Verdict::Object { at, links: names }
    }
}
