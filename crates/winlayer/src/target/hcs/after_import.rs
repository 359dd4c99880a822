//! What is left to do when the platform has imported a layer's files.
//!
//! The platform puts into each directory of the layer what the layers below have there. From that
//! the deletions are made; then hard links, whose targets may lie in layers below; and last the times
//! of directories, which both have changed (hcsshim `importlayer.go`, `Close`).

use std::sync::Arc;

use winlayer_sys::{Dir, ObjectAccess};

use super::{chain_id, live::basic_info};
use crate::{
    Error, Result,
    store::{LAYER_FILE, LayerRecord},
    target::folder::{PublishedLayer, Tombstones, directories_children_first},
};

/// `dir` is the layer; `below` are the layers below it, base first.
pub(super) fn complete(
    dir: &Dir,
    record: &LayerRecord,
    below: &[Arc<PublishedLayer>],
) -> Result<()> {
    delete(dir)?;
    link(dir, record, below)?;
    restore_directories(dir)
}

/// None of the deletions is a name of this layer or above one. What is not there was never in the
/// layers below, which is common.
fn delete(dir: &Dir) -> Result<()> {
    for path in Tombstones::list(dir)? {
        dir.remove_all(&path)?;
    }
    Ok(())
}

fn link(dir: &Dir, record: &LayerRecord, below: &[Arc<PublishedLayer>]) -> Result<()> {
    for link in &record.hard_links {
        let from = match link.found_in == record.chain_id {
            true => dir,
            false => {
                let id = chain_id(&link.found_in, LAYER_FILE)?;
                let layer = below.iter().find(|layer| layer.id() == id);
                let missing = || Error::damaged(LAYER_FILE, format!("{id} is not below"));
                layer.ok_or_else(missing)?.dir()
            }
        };
        dir.remove_all(&link.path)?;
        from.hard_link(&link.target, dir, &link.path)?;
    }
    Ok(())
}

/// Sets times and attributes of every directory again, children first, as the index has them.
pub(super) fn restore_directories(dir: &Dir) -> Result<()> {
    for directory in directories_children_first(dir)? {
        let object = dir.open_object(&directory.path, ObjectAccess::Attributes)?;
        object.set_basic_info(&basic_info(directory.attributes, &directory.times))?;
    }
    Ok(())
}
