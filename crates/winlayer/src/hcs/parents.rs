//! The parents of a layer, and whether they may be used.

use std::path::{Path, PathBuf};

use super::{LayerOptions, absolute};
use crate::{
    Error, LayerChain, Result,
    store::{LAYER_FILE, LAYER_INDEX_FILE},
};

/// The parents of `folder`, immediate parent first, all of them finished.
pub(super) fn of(folder: &Path, options: &LayerOptions) -> Result<Vec<PathBuf>> {
    let parents = match &options.parents {
        Some(given) => given
            .iter()
            .map(|parent| absolute(parent))
            .collect::<Result<_>>()?,
        None => {
            let chain = LayerChain::from_layer_folder(folder)?;
            chain
                .layers
                .into_iter()
                .skip(1)
                .map(|link| link.path)
                .collect::<Vec<_>>()
        }
    };
    parents.iter().try_for_each(|parent| check(parent))?;
    Ok(parents)
}

/// Refuses a folder that is no layer, or one that was never finished.
pub(super) fn check(layer: &Path) -> Result<()> {
    if !layer.is_dir() {
        return Err(Error::not_found(format!(
            "layer folder {} does not exist",
            layer.display()
        )));
    }
    // The index is there from the beginning, the record from the end. Layers of other programs have
    // neither.
    if layer.join(LAYER_INDEX_FILE).exists() && !layer.join(LAYER_FILE).exists() {
        let what = format!("layer {} was never finished", layer.display());
        return Err(Error::refused(what, "unpack or import the image again"));
    }
    Ok(())
}
