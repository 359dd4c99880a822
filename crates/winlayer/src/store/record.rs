//! The JSON documents of a store. None holds a clock value: the same image gives the same bytes.

use std::{io, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, Result};

/// Documents are small; a larger one is not ours.
const LARGEST: u64 = 256 << 20;

/// `winlayer-store.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoreRecord {
    pub(super) version: u32,
    #[serde(default, skip_serializing_if = "StoreKind::is_folder")]
    pub(super) kind: StoreKind,
}

/// What the layers of a store are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StoreKind {
    /// Folders in the transport format, made on any system.
    #[default]
    Folder,
    /// Layers finished by the Windows container platform.
    Hcs,
    /// One VHDX disk a layer, each differencing from the one below.
    Vhdx,
}

impl StoreKind {
    fn is_folder(&self) -> bool {
        *self == Self::Folder
    }

    /// As the command line names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Hcs => "hcs",
            Self::Vhdx => "vhdx",
        }
    }
}

/// An image that was unpacked into a store (`images/<manifest hex>.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The reference it was last unpacked from.
    pub image: String,
    /// Digest of its manifest, `sha256:…`.
    pub manifest_digest: String,
    /// ChainID of its topmost layer, `sha256:…`.
    pub chain_id: String,
}

/// `layer.json`: what a layer folder is and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    /// Version of this document; 1.
    pub(crate) version: u32,
    /// Position in the chain, counted from 1 (the base).
    pub(crate) number: usize,
    /// `base` or `diff`.
    pub(crate) role: Role,
    /// Digest of the blob it was unpacked from, when that has one.
    pub(crate) digest: Option<String>,
    pub(crate) diff_id: String,
    pub(crate) chain_id: String,
    pub(crate) parent_chain_id: Option<String>,
    pub(crate) media_type: String,
    pub(crate) compressed_bytes: u64,
    pub(crate) uncompressed_bytes: u64,
    pub(crate) counts: LayerCounts,
    /// True when the folder has a `UtilityVM/Files`.
    pub(crate) utility_vm: bool,
    /// ChainID of the layer the unchanged part of the utility VM came from.
    pub(crate) utility_vm_from: Option<String>,
    /// In the order of the tar.
    pub(crate) hard_links: Vec<HardLinkRecord>,
    /// Directories the tar uses but has no entry for, sorted.
    pub(crate) implicit_directories: Vec<String>,
    /// What only Windows can make of the layer, and has yet to make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unfinished: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Base,
    Diff,
}

/// What the tar held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerCounts {
    /// Tar entries of every kind.
    pub(crate) entries: u64,
    pub(crate) files: u64,
    pub(crate) directories: u64,
    /// Symbolic links and junctions.
    pub(crate) links: u64,
    pub(crate) hard_links: u64,
    pub(crate) streams: u64,
    pub(crate) whiteouts: u64,
    pub(crate) opaque_whiteouts: u64,
}

/// One hard link and the folder its target was found in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HardLinkRecord {
    pub(crate) path: String,
    /// As spelled in the layer that has it.
    pub(crate) target: String,
    /// ChainID of that layer.
    pub(crate) found_in: String,
}

/// Parses a JSON file; none when there is no such file.
pub(crate) fn read_json_file<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let failed = |error| Error::io(format!("read {}", path.display()), error);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let size = file.metadata().map_err(failed)?.len();
    if size > LARGEST {
        return Err(Error::damaged(
            path.display(),
            format!("{size} bytes is too large"),
        ));
    }
    let parsed = serde_json::from_reader(io::BufReader::new(file));
    let damaged = |error| Error::damaged_by(path.display(), "not the JSON expected", error);
    parsed.map(Some).map_err(damaged)
}

/// The document as it is stored: indented, with a newline at the end.
pub(crate) fn to_json<T: Serialize>(document: &T) -> Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(document)
        .map_err(|error| Error::io("encode JSON", error.into()))?;
    json.push(b'\n');
    Ok(json)
}
