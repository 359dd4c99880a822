//! Directories that a tar uses without an entry for them.
//!
//! Such a directory must exist in the folder, sidecar included, or the platform's import fails. When
//! the layers below have it, it is that directory, and its sidecar is theirs; otherwise it is a plain
//! one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    assembly::Assembly,
    below::{Below, PublishedLayer, Seen},
    index::{IndexLine, IndexWriter, LineKind, take_over_lines},
    tombstones::Hidden,
};
use crate::{
    Error, Result,
    error::escape,
    layer_names::{LayerNames, NameKind, Named},
    names::NodeId,
};

/// Gives every directory without an entry its sidecar; counts the plain ones.
pub(super) fn complete(
    assembly: &dyn Assembly,
    names: &mut LayerNames,
    below: &Below<'_>,
    hidden: &Hidden,
    index: &mut IndexWriter,
) -> Result<usize> {
    let mut plain_ones = 0_usize;
    // Sorted by layer, so that the index is the same every time.
    let mut shared: BTreeMap<_, Shared<'_>> = BTreeMap::new();
    for node in names.ids() {
        let named = names.get(node);
        // What was cloned came with its sidecar.
        if named.kind != NameKind::ImplicitDirectory || named.cloned {
            continue;
        }
        let path = names.path(node);
        match directory_below(below, hidden, &path)? {
            Some((layer, theirs, named)) => {
                assembly.adopt_directory(layer, &theirs, &path)?;
                let Named { size, crc32, .. } = named;
                names.set(
                    node,
                    Named {
                        size,
                        crc32,
                        ..names.get(node)
                    },
                );
                let shared = shared
                    .entry(layer.id())
                    .or_insert_with(|| Shared::new(layer));
                shared.paths.insert(theirs, path);
            }
            None => {
                plain(assembly, names, node, &path, index)?;
                plain_ones = plain_ones.saturating_add(1);
            }
        }
    }
    shared
        .values()
        .try_for_each(|shared| shared.write_lines(index))?;
    Ok(plain_ones)
}

/// Directories taken from one layer.
struct Shared<'a> {
    layer: &'a PublishedLayer,
    /// Their path, our path.
    paths: HashMap<String, String>,
}

type DirectoryBelow<'a> = (&'a Arc<PublishedLayer>, String, Named);

/// The directory the layers below have at `path`; refuses anything else there.
fn directory_below<'a>(
    below: &Below<'a>,
    hidden: &Hidden,
    path: &str,
) -> Result<Option<DirectoryBelow<'a>>> {
    // A utility VM is complete in its own folder; nothing of it is merged with the layers below.
    if !path.starts_with("Files") {
        return Ok(None);
    }
    match below.look_up(path)? {
        Seen::Nothing => Ok(None),
        Seen::Object(found) if hidden.hides(&found.path) => Ok(None),
        Seen::Object(found) if found.named.kind.is_directory() => {
            Ok(Some((found.layer, found.path, found.named)))
        }
        Seen::Object(found) => Err(not_a_directory_below(path, &found.path, found.named.kind)),
        // An entry or a whiteout of this layer is in its place; otherwise that name of this layer
        // is without an entry too and comes first.
        Seen::Behind { .. } => Ok(None),
    }
}

/// The error for a layer that uses as a directory, without an entry, what is none below.
pub(super) fn not_a_directory_below(path: &str, found: &str, kind: NameKind) -> Error {
    let rule = format!(
        "is used as a directory without an entry, but \"{}\" is {} in a layer below",
        escape(found),
        kind.describe()
    );
    Error::refused_entry(path, rule)
}

fn plain(
    assembly: &dyn Assembly,
    names: &mut LayerNames,
    node: NodeId,
    path: &str,
    index: &mut IndexWriter,
) -> Result<()> {
    let (metadata, written) = assembly.plain_directory(path)?;
    let (size, crc32) = (written.size, written.crc32);
    names.set(
        node,
        Named {
            size,
            crc32,
            ..names.get(node)
        },
    );
    let line = IndexLine::new(path, LineKind::Directory, size, crc32);
    let mut line = line.with_metadata(metadata.attributes, metadata.times);
    line.implicit = true;
    index.write(&line)
}

impl<'a> Shared<'a> {
    fn new(layer: &'a PublishedLayer) -> Self {
        Self {
            layer,
            paths: HashMap::new(),
        }
    }

    fn write_lines(&self, index: &mut IndexWriter) -> Result<()> {
        take_over_lines(self.layer, &self.paths, index, |line| line.implicit = true)
    }
}
