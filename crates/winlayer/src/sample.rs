//! A small, complete, valid Windows image of our own making, for trying and testing.
//!
//! Three layers: a base with a utility VM, an update, an application. Between them they carry
//! everything a Windows layer can; nothing in them is Microsoft's. The same options give the same
//! bytes on every machine.

mod application;
mod base;
pub(crate) mod blob;
mod bulk;
mod content;
mod descriptors;
mod hives;
mod servicing;
#[cfg(test)]
mod tests;
mod tree;

use std::{io, path::Path};

use serde_json::{Map, Value, json};
use winlayer_digest::{DiffId, Digest};
use winlayer_image::{OciLayoutWriter, Platform};
use winlayer_metadata::FileTime;

use self::{
    blob::{BlobWriter, Packing},
    tree::LayerTree,
};
use crate::{Error, Result};

/// Third number of the version.
const BUILD: u32 = 20348;
/// Fourth number of the version in the base layer.
const BASE_REVISION: u32 = 1;
/// Fourth number of the version after the update; the image's.
const FINAL_REVISION: u32 = 2113;

/// 2021-05-08T08:15:00.1234567Z
const BASE_EPOCH: FileTime = FileTime::from_ticks(132_649_353_001_234_567);
/// 2023-11-14T18:00:00.0000001Z
const SERVICING_EPOCH: FileTime = FileTime::from_ticks(133_444_584_000_000_001);
/// 2024-02-29T12:00:00Z
const APPLICATION_EPOCH: FileTime = FileTime::from_ticks(133_536_816_000_000_000);

/// What [`write_sample`] makes.
#[derive(Clone, Debug)]
pub struct SampleOptions {
    /// Extra files in the base layer.
    pub files: u64,
    /// Their total size in bytes. They compress about 2.5 to 1.
    pub bytes: u64,
    /// The image's tag in the layout.
    pub tag: String,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self {
            files: 0,
            bytes: 0,
            tag: "latest".to_owned(),
        }
    }
}

/// Writes the sample image into the OCI layout directory `dir`; the digest of its manifest.
///
/// # Errors
/// When the layout cannot be written.
pub fn write_sample(dir: &Path, options: &SampleOptions) -> Result<Digest> {
    let mut layout = OciLayoutWriter::create(dir)?;
    let layers = [
        add_layer(&mut layout, dir, base::layer(options), Packing::Gzip)?,
        add_layer(&mut layout, dir, servicing::layer(), Packing::Zstd)?,
        add_layer(&mut layout, dir, application::layer(), Packing::Gzip)?,
    ];
    let platform = Platform {
        os: "windows".to_owned(),
        architecture: "amd64".to_owned(),
        os_version: Some(format!("10.0.{BUILD}.{FINAL_REVISION}")),
        os_features: Vec::new(),
    };
    layout.set_config(config());
    Ok(layout.finish(&layers, &platform, &options.tag)?)
}

/// Media type, digest, size, DiffID.
type LayerRow = (String, Digest, u64, DiffId);

/// Writes a layer's blob beside the others, under a name of its own until its digest is known.
fn add_layer(
    layout: &mut OciLayoutWriter,
    dir: &Path,
    tree: io::Result<LayerTree>,
    packing: Packing,
) -> Result<LayerRow> {
    let file = dir.join("layer.partial");
    let write = || {
        let mut blob = BlobWriter::create(&file, packing)?;
        tree?.write(&mut blob)?;
        blob.finish()
    };
    let blob = write().map_err(|error| {
        // Best effort: the write error is what people need to see.
        let _ = std::fs::remove_file(&file);
        Error::io(format!("write the sample layer {}", file.display()), error)
    })?;
    layout.add_blob_file(&file, blob.digest)?;
    Ok((
        packing.media_type().to_owned(),
        blob.digest,
        blob.bytes,
        blob.diff_id,
    ))
}

/// What the config says beyond platform and layers (OCI image-spec, config.md).
fn config() -> Map<String, Value> {
    let members = json!({
        "created": "2024-02-29T12:00:00Z",
        "author": "winlayer",
        "config": {
            "User": "ContainerAdministrator",
            "Env": [r"PATH=C:\app;C:\Windows\System32;C:\Windows"],
            "Entrypoint": [r"C:\app\winlayer-sample.exe"],
            "Cmd": ["--greet"],
            "WorkingDir": r"C:\app",
            "Labels": { "org.opencontainers.image.title": "winlayer sample" },
        },
        "history": [
            { "created": "2021-05-08T08:15:00Z", "created_by": "Apply image 10.0.20348.1" },
            { "created": "2023-11-14T18:00:00Z", "created_by": "Install update 10.0.20348.2113" },
            { "created": "2024-02-29T12:00:00Z", "created_by": r"COPY app C:\app" },
            {
                "created": "2024-02-29T12:00:00Z",
                "created_by": r#"ENTRYPOINT ["C:\\app\\winlayer-sample.exe"]"#,
                "empty_layer": true,
            },
        ],
    });
    members.as_object().cloned().unwrap_or_default()
}
