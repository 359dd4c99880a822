//! Directories that a tar uses without an entry for them.
//!
//! Such a directory must exist in the folder, sidecar included, or the platform's import fails. When
//! the layers below have it, it is that directory, and its sidecar is theirs; otherwise it is a plain
//! one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use winlayer_sys::Dir;

use super::{
    below::{Below, PublishedLayer, Seen},
    framing::{share_file, sidecar, write_implicit_sidecar},
    index::{IndexLine, IndexWriter, LineKind, take_over_lines},
};
use crate::{
    Error, Result,
    error::escape,
    layer_names::{LayerNames, NameKind, Named},
    names::NodeId,
};

/// Gives every directory without an entry its sidecar.
pub(super) fn complete(
    dir: &Dir,
    names: &mut LayerNames,
    below: &Below<'_>,
    index: &mut IndexWriter,
) -> Result<()> {
    // Sorted by layer, so that the index is the same every time.
    let mut shared: BTreeMap<_, Shared<'_>> = BTreeMap::new();
    for node in names.ids() {
        if names.get(node).kind != NameKind::ImplicitDirectory {
            continue;
        }
        let path = names.path(node);
        match directory_below(below, &path)? {
            Some((layer, theirs, named)) => {
                share_file(layer.dir(), &sidecar(&theirs), dir, &sidecar(&path))?;
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
            None => plain(dir, names, node, &path, index)?,
        }
    }
    shared
        .values()
        .try_for_each(|shared| shared.write_lines(index))
}

/// Directories taken from one layer.
struct Shared<'a> {
    layer: &'a PublishedLayer,
    /// Their path, our path.
    paths: HashMap<String, String>,
}

type DirectoryBelow<'a> = (&'a Arc<PublishedLayer>, String, Named);

/// The directory the layers below have at `path`; refuses anything else there.
fn directory_below<'a>(below: &Below<'a>, path: &str) -> Result<Option<DirectoryBelow<'a>>> {
    // A utility VM is complete in its own folder; nothing of it is merged with the layers below.
    if !path.starts_with("Files") {
        return Ok(None);
    }
    let refused = |found: &str, kind: NameKind| {
        let found = escape(found);
        let rule = format!(
            "is used as a directory without an entry, but \"{found}\" is {} in a layer below",
            kind.describe()
        );
        Err(Error::refused_entry(path, rule))
    };
    match below.look_up(path)? {
        Seen::Nothing => Ok(None),
        Seen::Object(found) if found.named.kind.is_directory() => {
            Ok(Some((found.layer, found.path, found.named)))
        }
        Seen::Object(found) => refused(&found.path, found.named.kind),
        Seen::Behind { path: found, kind } => refused(&found, kind),
    }
}

fn plain(
    dir: &Dir,
    names: &mut LayerNames,
    node: NodeId,
    path: &str,
    index: &mut IndexWriter,
) -> Result<()> {
    let (metadata, written) = write_implicit_sidecar(dir, path)?;
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
