//! [`LayerChain`]: the layer folders of an image in the order the platform wants them.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    Error, Result,
    store::{LAYER_CHAIN_FILE, LayerRecord, read_json_file},
};

/// The longest chain that is followed: far above what Windows can mount, far below a loop.
const LONGEST: usize = 1024;

/// A layer and its parents, child to parent: index 0 is the topmost layer, the last is the base.
///
/// This is the order of `parentLayerPaths` in containerd and of hcsshim's layer lists (immediate
/// parent first).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerChain {
    /// Topmost first, base last; never empty.
    pub layers: Vec<ChainLink>,
}

/// One layer of a [`LayerChain`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainLink {
    /// The ChainID, `sha256:…`; the folder's name when the folder has no `layer.json`.
    pub id: String,
    /// The layer folder, absolute.
    pub path: PathBuf,
}

impl LayerChain {
    /// The chain that begins at a layer folder, as its `layerchain.json` tells it.
    ///
    /// The file is a JSON array of absolute folders, immediate parent first; `null` and a missing
    /// file mean a base layer, as they do for moby.
    ///
    /// # Errors
    ///
    /// When the folder or one of its parents does not exist, or the file is not such an array.
    pub fn from_layer_folder(path: &Path) -> Result<Self> {
        let top = std::path::absolute(path)
            .map_err(|error| Error::io(format!("find {}", path.display()), error))?;
        let parents: Option<Vec<PathBuf>> = read_json_file(&top.join(LAYER_CHAIN_FILE))?.flatten();
        let parents = parents.unwrap_or_default();
        if parents.len() >= LONGEST {
            let what = format!("{LAYER_CHAIN_FILE} lists {} parents", parents.len());
            return Err(Error::damaged(top.display(), what));
        }
        let layers = std::iter::once(top).chain(parents).map(link);
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
        })
    }

    /// The topmost layer's folder.
    pub fn top(&self) -> Option<&Path> {
        self.layers.first().map(|link| link.path.as_path())
    }
}

fn link(path: PathBuf) -> Result<ChainLink> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(Error::damaged(path.display(), "expected a layer folder")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let what = format!("layer folder {} does not exist", path.display());
            return Err(Error::not_found(what));
        }
        Err(error) => return Err(Error::io(format!("look at {}", path.display()), error)),
    }
    let record: Option<LayerRecord> = read_json_file(&path.join(crate::store::LAYER_FILE))?;
    let folder_name = || {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let id = record
        .map(|record| record.chain_id)
        .or_else(folder_name)
        .unwrap_or_default();
    Ok(ChainLink { id, path })
}
