//! [`Below`]: what the published layers below a new one look like together.

use std::sync::{Arc, OnceLock};

use winlayer_digest::ChainId;
use winlayer_sys::Dir;

use super::{index, tombstones::Tombstones};
use crate::{
    Result,
    layer_names::{LayerNames, NameKind, Named},
    names::{NameTree, NodeId},
    store::LayerStore,
};

/// A layer of the store. Its names are read from its index only when something asks for them.
#[derive(Debug)]
pub(crate) struct PublishedLayer {
    id: ChainId,
    dir: Dir,
    names: OnceLock<(LayerNames, Tombstones)>,
}

impl PublishedLayer {
    /// A layer that was unpacked before.
    pub(crate) fn open(store: &LayerStore, id: ChainId) -> Result<Self> {
        Ok(Self {
            id,
            dir: store.open_layer(id)?,
            names: OnceLock::new(),
        })
    }

    /// A layer that was just built, whose names are still known.
    pub(crate) fn just_built(
        store: &LayerStore,
        id: ChainId,
        names: LayerNames,
        tombstones: Tombstones,
    ) -> Result<Self> {
        let layer = Self::open(store, id)?;
        let _ = layer.names.set((names, tombstones));
        Ok(layer)
    }

    pub(crate) fn id(&self) -> ChainId {
        self.id
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(crate) fn names(&self) -> Result<&LayerNames> {
        Ok(&self.contents()?.0)
    }

    fn contents(&self) -> Result<&(LayerNames, Tombstones)> {
        if let Some(contents) = self.names.get() {
            return Ok(contents);
        }
        let contents = (index::read_names(&self.dir)?, Tombstones::read(&self.dir)?);
        Ok(self.names.get_or_init(|| contents))
    }
}

/// All layers below a new one, seen as one file system.
#[derive(Debug)]
pub(crate) struct Below<'a> {
    /// Base first.
    layers: &'a [Arc<PublishedLayer>],
}

/// What the layers below have at a path.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    Nothing,
    Object(Found<'a>),
    /// On the way there is something that is not a directory.
    Behind {
        path: String,
        kind: NameKind,
    },
}

/// An object and the topmost layer that has it.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) layer: &'a Arc<PublishedLayer>,
    /// As spelled in that layer.
    pub(super) path: String,
    pub(super) named: Named,
}

/// How far a path could be followed within one layer.
enum Walked {
    Object(NodeId),
    NotADirectory { node: NodeId, level: usize },
    Missing { level: usize },
}

impl<'a> Below<'a> {
    /// `layers` are base first.
    pub(crate) fn new(layers: &'a [Arc<PublishedLayer>]) -> Self {
        Self { layers }
    }

    /// Topmost first.
    pub(super) fn layers(&self) -> impl Iterator<Item = &'a Arc<PublishedLayer>> {
        self.layers.iter().rev()
    }

    /// What the merged view has at `path`.
    pub(super) fn look_up(&self, path: &str) -> Result<Seen<'a>> {
        // Names from the root that a layer above has as directories. A file in their place further
        // down is replaced, and with it all that could be below.
        let mut directories = 0;
        for layer in self.layers() {
            let (names, tombstones) = layer.contents()?;
            match walk(names, path) {
                Walked::Object(node) => {
                    let (path, named) = (names.path(node), names.get(node));
                    return Ok(Seen::Object(Found { layer, path, named }));
                }
                Walked::NotADirectory { level, .. } if level < directories => {
                    return Ok(Seen::Nothing);
                }
                Walked::NotADirectory { node, .. } => {
                    let (path, kind) = (names.path(node), names.get(node).kind);
                    return Ok(Seen::Behind { path, kind });
                }
                Walked::Missing { level } => directories = directories.max(level),
            }
            if tombstones.hide(path) {
                break;
            }
        }
        Ok(Seen::Nothing)
    }

    /// Whether the merged view has a directory at `path`.
    pub(super) fn has_directory(&self, path: &str) -> Result<bool> {
        Ok(match self.look_up(path)? {
            Seen::Object(found) => found.named.kind.is_directory(),
            Seen::Behind { .. } | Seen::Nothing => false,
        })
    }

    /// The path and kind of everything the merged view has in a directory, sorted.
    pub(super) fn children(&self, directory: &str) -> Result<Vec<(String, NameKind)>> {
        let mut spellings = NameTree::new((), u64::MAX);
        for layer in self.layers() {
            let names = layer.names()?;
            let Some(node) = names.find(directory) else {
                continue;
            };
            for child in names.children(node) {
                spellings.child_or_insert(NodeId::ROOT, names.name(child), || ())?;
            }
        }
        let mut children = Vec::new();
        for node in spellings.ids() {
            let path = format!("{directory}/{}", spellings.name(node));
            if let Seen::Object(found) = self.look_up(&path)? {
                children.push((path, found.named.kind));
            }
        }
        children.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(children)
    }

    /// The nearest layer that has a utility VM. It is complete there, so nothing is merged.
    pub(super) fn utility_vm(&self) -> Result<Option<&'a Arc<PublishedLayer>>> {
        for layer in self.layers() {
            if layer.names()?.find("UtilityVM/Files").is_some() {
                return Ok(Some(layer));
            }
        }
        Ok(None)
    }

    /// What the utility VM below has at `path`.
    pub(super) fn look_up_in_utility_vm(&self, path: &str) -> Result<Seen<'a>> {
        let Some(layer) = self.utility_vm()? else {
            return Ok(Seen::Nothing);
        };
        let names = layer.names()?;
        let (node, behind) = match walk(names, path) {
            Walked::Object(node) => (node, false),
            Walked::NotADirectory { node, .. } => (node, true),
            Walked::Missing { .. } => return Ok(Seen::Nothing),
        };
        let (path, named) = (names.path(node), names.get(node));
        Ok(match behind {
            true => Seen::Behind {
                path,
                kind: named.kind,
            },
            false => Seen::Object(Found { layer, path, named }),
        })
    }
}

fn walk(names: &LayerNames, path: &str) -> Walked {
    let mut node = NodeId::ROOT;
    for (level, name) in path.split('/').enumerate() {
        if level > 0 && !names.get(node).kind.is_directory() {
            return Walked::NotADirectory {
                node,
                level: level - 1,
            };
        }
        match names.child(node, name) {
            Some(child) => node = child,
            None => return Walked::Missing { level },
        }
    }
    Walked::Object(node)
}
