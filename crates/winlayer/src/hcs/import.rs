//! Layer folders from elsewhere into a store of finished layers.

use std::path::{Path, PathBuf};

use serde::Serialize;
use winlayer_digest::{ChainId, DiffId};
use winlayer_sys::Dir;

use super::absolute;
use crate::{
    ChainLink, Error, HcsFamily, LayerStore, Result,
    store::{LAYER_CHAIN_FILE, LAYER_FILE, LayerRecord, read_json_file},
    target::hcs::{HcsMaker, import_layer, in_store},
};

/// What [`import_folder`] did.
#[derive(Clone, Debug, Serialize)]
pub struct ImportedLayers {
    /// The finished layers, topmost first.
    pub chain: Vec<ChainLink>,
    /// How many of them were imported now; the others were there already.
    pub imported: usize,
}

/// Imports the layer folder `source`, made by `unpack --to folder` on any system, and the layers below
/// it into the store `root`, which is made when missing.
///
/// Parents are looked for beside `source` by their ChainID, so it does not matter where the store was
/// when it was made; then where its `layerchain.json` says. Every file is compared with the folder's
/// index. `source` is not changed.
///
/// # Errors
///
/// Kind `Verification` for a folder that is not as its index says; `NotFound` for a missing parent;
/// errors of the platform. Layers below the failed one stay in the store, they are whole.
pub fn import_folder(source: &Path, root: &Path, family: HcsFamily) -> Result<ImportedLayers> {
    let source = absolute(source)?;
    in_store(root, family, |store, maker| {
        import_into(store, maker, source)
    })
}

fn import_into(
    store: &LayerStore,
    maker: &HcsMaker<'_>,
    source: PathBuf,
) -> Result<ImportedLayers> {
    let top = record_of(&source)?;
    let id = checked_id(&source, &top)?;
    let mut missing = Vec::new();
    let mut next = Some((source, top));
    while let Some((folder, record)) = next {
        if store.layer_folder(checked_id(&folder, &record)?)?.is_some() {
            break;
        }
        next = parent(&folder, &record)?;
        // The platform is about to make that.
        let unfinished = Vec::new();
        missing.push((
            folder,
            LayerRecord {
                unfinished,
                ..record
            },
        ));
    }
    let mut imported = 0;
    for (folder, record) in missing.iter().rev() {
        let dir = Dir::open_ambient(folder)?;
        imported += usize::from(import_layer(maker, store, &dir, record)?);
    }
    let chain = store.chain(id)?.layers;
    Ok(ImportedLayers { chain, imported })
}

pub(super) fn record_of(folder: &Path) -> Result<LayerRecord> {
    let path = folder.join(LAYER_FILE);
    let record = read_json_file(&path)?;
    record.ok_or_else(|| {
        let what = format!(
            "{} is not a layer folder: it has no {LAYER_FILE}",
            folder.display()
        );
        Error::not_found(what)
    })
}

/// The ChainID, which must follow from the parent's and the DiffID.
pub(super) fn checked_id(folder: &Path, record: &LayerRecord) -> Result<ChainId> {
    let file = folder.join(LAYER_FILE);
    let bad = |error| Error::damaged_by(file.display(), "digest", error);
    let diff_id: DiffId = record.diff_id.parse().map_err(bad)?;
    let id = match &record.parent_chain_id {
        Some(parent) => parent.parse::<ChainId>().map_err(bad)?.child(diff_id),
        None => ChainId::base(diff_id),
    };
    if id.to_string() == record.chain_id {
        return Ok(id);
    }
    let what = format!("expected chain_id {id}, found {}", record.chain_id);
    Err(Error::damaged(file.display(), what))
}

fn parent(folder: &Path, record: &LayerRecord) -> Result<Option<(PathBuf, LayerRecord)>> {
    let Some(wanted) = &record.parent_chain_id else {
        return Ok(None);
    };
    let hex = wanted.rsplit(':').next().unwrap_or_default();
    let beside = folder.with_file_name(hex);
    let listed: Option<Vec<PathBuf>> = read_json_file(&folder.join(LAYER_CHAIN_FILE))?.flatten();
    let listed = listed.unwrap_or_default().into_iter().next();
    for candidate in std::iter::once(beside).chain(listed) {
        let Some(found) = read_json_file::<LayerRecord>(&candidate.join(LAYER_FILE))? else {
            continue;
        };
        if found.chain_id == *wanted {
            return Ok(Some((candidate, found)));
        }
    }
    let what = format!(
        "the parent {wanted} of layer folder {} is not beside it",
        folder.display()
    );
    Err(Error::not_found(what))
}
