//! What the merge remembers of a name.

use std::num::NonZeroU16;

use winlayer_tar::ObjectKind;

use crate::names::NodeId;

/// A layer's number as people count: the base is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LayerNumber(NonZeroU16);

impl LayerNumber {
    /// The base layer.
    pub(crate) const BASE: Self = Self(NonZeroU16::MIN);

    /// The layer at `index`, the base being 0; none beyond 65,534.
    pub(crate) fn from_index(index: usize) -> Option<Self> {
        let number = u16::try_from(index.checked_add(1)?).ok()?;
        NonZeroU16::new(number).map(Self)
    }

    /// The number to print, 1 for the base.
    pub(crate) const fn get(self) -> usize {
        self.0.get() as usize
    }

    /// The position in `Image::layers`, 0 for the base.
    pub(crate) const fn index(self) -> usize {
        self.get() - 1
    }
}

/// The layers that cut lower layers off at one place.
///
/// Layers are read from the top down, so marks arrive highest first. A mark of layer `k` concerns
/// only layers below `k`, wherever in the tar of `k` it stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    highest: Option<LayerNumber>,
    lowest: Option<LayerNumber>,
    before_lowest: Option<LayerNumber>,
}

impl Marks {
    pub(crate) fn set(&mut self, layer: LayerNumber) {
        if self.lowest == Some(layer) {
            return;
        }
        self.highest = self.highest.or(Some(layer));
        self.before_lowest = self.lowest.replace(layer);
    }

    /// Whether `layer` is cut off by a layer above it.
    pub(crate) fn hides(&self, layer: LayerNumber) -> bool {
        self.highest.is_some_and(|mark| mark > layer)
    }

    /// The nearest layer above `layer` that has a mark here.
    pub(crate) fn nearest_above(&self, layer: LayerNumber) -> Option<LayerNumber> {
        [self.lowest, self.before_lowest]
            .into_iter()
            .flatten()
            .find(|&mark| mark > layer)
    }
}

/// What a name is in the merged view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not there: only mentioned by a whiteout, a hidden entry or a link target.
    #[default]
    Absent,
    /// A directory that so far no layer describes, only something below it.
    Implicit,
    Directory,
    File,
    FileLink,
    DirectoryLink,
    /// A further name of an object.
    HardLink,
}

impl Kind {
    pub(crate) const fn of(kind: &ObjectKind) -> Self {
        match kind {
            ObjectKind::Directory => Self::Directory,
            ObjectKind::File { .. } => Self::File,
            ObjectKind::Link {
                directory: true, ..
            } => Self::DirectoryLink,
            ObjectKind::Link { .. } => Self::FileLink,
        }
    }

    pub(crate) const fn is_directory(self) -> bool {
        matches!(self, Self::Implicit | Self::Directory)
    }
}

/// What the layer being read has said of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Seen {
    #[default]
    Nothing,
    /// Something below it, so it has to be a directory.
    Above,
    Directory,
    /// Nothing can lie below it, nor can hard links name it.
    DirectoryLink,
    /// A file or a link that is one.
    Object,
    HardLink,
}

/// The merge's note on one name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NodeState {
    /// In the merged view.
    pub(crate) kind: Kind,
    /// The layer that defines the visible object.
    pub(crate) defined_in: Option<LayerNumber>,
    /// Visible and part of what was asked for.
    pub(crate) wanted: bool,
    /// For a hard link: the name that carries the object, once known.
    pub(crate) primary: Option<NodeId>,
    /// `seen` is about this layer.
    seen_in: Option<LayerNumber>,
    seen: Seen,
    /// The lowest layer that needs this name to be a directory without defining it.
    pub(crate) required_by: Option<LayerNumber>,
    /// The lowest layer whose whiteout of this name has not met an object yet.
    pub(crate) whited_out_by: Option<LayerNumber>,
    /// Layers that remove or replace the name and everything below it.
    pub(crate) removed: Marks,
    /// Layers that empty the directory.
    pub(crate) emptied: Marks,
    /// Hard links wait for a lower layer to define this name.
    pub(crate) awaited: bool,
}

impl NodeState {
    pub(crate) fn seen(&self, layer: LayerNumber) -> Seen {
        if self.seen_in == Some(layer) {
            self.seen
        } else {
            Seen::Nothing
        }
    }

    pub(crate) fn set_seen(&mut self, layer: LayerNumber, seen: Seen) {
        (self.seen_in, self.seen) = (Some(layer), seen);
    }
}
