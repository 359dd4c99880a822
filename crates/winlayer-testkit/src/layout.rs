//! OCI layouts (image-spec `image-layout.md`) from layer tars, truthful unless told otherwise.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use winlayer_digest::{DiffId, Digest};

/// How a layer's blob is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar.
    None,
    /// gzip.
    #[default]
    Gzip,
    /// zstd.
    Zstd,
}

impl Compression {
    /// Compresses a tar.
    pub fn compress(self, tar: &[u8]) -> Vec<u8> {
        match self {
            Self::None => tar.to_vec(),
            Self::Gzip => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(tar).unwrap();
                gzip.finish().unwrap()
            }
            Self::Zstd => zstd::encode_all(tar, 1).unwrap(),
        }
    }

    /// The OCI media type of such a layer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::None => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// One layer and what the image says about it. Fields left `None` are the truth.
#[derive(Clone, Debug, Default)]
pub struct LayerSpec {
    /// The uncompressed tar.
    pub tar: Vec<u8>,
    /// How it is compressed.
    pub compression: Compression,
    /// The blob's bytes, instead of the compressed tar.
    pub blob: Option<Vec<u8>>,
    /// The digest the manifest gives; the blob is stored under it.
    pub digest: Option<Digest>,
    /// The compressed size the manifest gives.
    pub size: Option<u64>,
    /// The DiffID the config gives, any text.
    pub diff_id: Option<String>,
    /// The media type the manifest gives.
    pub media_type: Option<String>,
    /// Other places to fetch the blob from.
    pub urls: Vec<String>,
    /// Leaves the blob out of the layout.
    pub omit_blob: bool,
}

/// Builds a layout with one Windows image.
#[derive(Clone, Debug)]
pub struct LayoutBuilder {
    layers: Vec<LayerSpec>,
    tag: String,
    platform: Value,
    other_manifests: Option<Vec<Value>>,
    config_extra: Value,
}

/// A layout that was written.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The layout's folder.
    pub path: PathBuf,
    /// Digest of the image manifest.
    pub manifest: Digest,
    /// Digest of the image config.
    pub config: Digest,
    /// What the tag names: the manifest, or the image index around it.
    pub top: Digest,
    /// The tag.
    pub tag: String,
    /// The layers as the manifest lists them, base first.
    pub layers: Vec<LayoutLayer>,
}

/// A layer as the image describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutLayer {
    /// Digest in the manifest.
    pub digest: Digest,
    /// Size in the manifest.
    pub size: u64,
    /// The true DiffID of the tar.
    pub diff_id: DiffId,
}

impl Default for LayoutBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl LayoutBuilder {
    /// An image without layers: tag `latest`, windows/amd64, version 10.0.20348.2113.
    pub fn new() -> Self {
        Self {
            layers: Vec::new(),
            tag: "latest".into(),
            platform: json!({
                "architecture": "amd64", "os": "windows", "os.version": "10.0.20348.2113"
            }),
            other_manifests: None,
            config_extra: json!({}),
        }
    }

    /// An image of these tars, base first, gzip.
    pub fn of(tars: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        tars.into_iter().fold(Self::new(), |image, tar| {
            image.layer(tar, Compression::Gzip)
        })
    }

    /// Adds a truthful layer on top.
    #[must_use]
    pub fn layer(self, tar: impl Into<Vec<u8>>, compression: Compression) -> Self {
        self.layer_spec(LayerSpec {
            tar: tar.into(),
            compression,
            ..LayerSpec::default()
        })
    }

    /// Adds a layer on top as described.
    #[must_use]
    pub fn layer_spec(mut self, spec: LayerSpec) -> Self {
        self.layers.push(spec);
        self
    }

    /// Sets the tag.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tag = tag.into();
        self
    }

    /// Sets the platform in config and index; an empty version leaves `os.version` out.
    #[must_use]
    pub fn platform(mut self, os: &str, architecture: &str, os_version: &str) -> Self {
        self.platform = json!({ "architecture": architecture, "os": os });
        if !os_version.is_empty() {
            self.platform["os.version"] = os_version.into();
        }
        self
    }

    /// Lets the tag name an image index of this image and `others` (whole descriptors).
    #[must_use]
    pub fn image_index(mut self, others: Vec<Value>) -> Self {
        self.other_manifests = Some(others);
        self
    }

    /// Sets a member of the config object, say `config` or `history`.
    #[must_use]
    pub fn config_member(mut self, name: &str, value: Value) -> Self {
        self.config_extra[name] = value;
        self
    }

    /// Writes the layout into `dir`, which is created.
    pub fn write(&self, dir: impl AsRef<Path>) -> Layout {
        let dir = dir.as_ref();
        fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let (layers, descriptors, diff_ids) = self.write_layers(dir);

        let mut config = self.platform.clone();
        config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        for (name, value) in self.config_extra.as_object().unwrap() {
            config[name] = value.clone();
        }
        let (config, config_size) = write_json(dir, &config);
        let (manifest, manifest_size) = write_json(
            dir,
            &json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": config.to_string(),
                    "size": config_size,
                },
                "layers": descriptors,
            }),
        );
        let mut top_descriptor = json!({
            "mediaType": MANIFEST, "digest": manifest.to_string(), "size": manifest_size,
            "platform": self.platform,
        });
        let mut top = manifest;
        if let Some(others) = &self.other_manifests {
            let manifests: Vec<_> = others.iter().cloned().chain([top_descriptor]).collect();
            let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
            let size;
            (top, size) = write_json(dir, &index);
            top_descriptor = json!({ "mediaType": INDEX, "digest": top.to_string(), "size": size });
        }
        top_descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": self.tag });
        let index =
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [top_descriptor] });
        fs::write(dir.join("index.json"), index.to_string()).unwrap();
        Layout {
            path: dir.to_owned(),
            manifest,
            config,
            top,
            tag: self.tag.clone(),
            layers,
        }
    }

    fn write_layers(&self, dir: &Path) -> (Vec<LayoutLayer>, Vec<Value>, Vec<String>) {
        let (mut layers, mut descriptors, mut diff_ids) = (vec![], vec![], vec![]);
        for spec in &self.layers {
            let blob = spec
                .blob
                .clone()
                .unwrap_or_else(|| spec.compression.compress(&spec.tar));
            let digest = spec.digest.unwrap_or_else(|| Digest::of(&blob));
            let size = spec.size.unwrap_or(blob.len() as u64);
            let diff_id = DiffId::new(Digest::of(&spec.tar));
            if !spec.omit_blob {
                fs::write(blob_path(dir, digest), blob).unwrap();
            }
            let media_type = spec
                .media_type
                .as_deref()
                .unwrap_or(spec.compression.media_type());
            let mut descriptor =
                json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size });
            if !spec.urls.is_empty() {
                descriptor["urls"] = json!(spec.urls);
            }
            descriptors.push(descriptor);
            diff_ids.push(spec.diff_id.clone().unwrap_or_else(|| diff_id.to_string()));
            layers.push(LayoutLayer {
                digest,
                size,
                diff_id,
            });
        }
        (layers, descriptors, diff_ids)
    }
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Where a layout keeps a blob.
pub fn blob_path(layout: &Path, digest: Digest) -> PathBuf {
    layout.join("blobs/sha256").join(digest.hex())
}

fn write_json(dir: &Path, value: &Value) -> (Digest, u64) {
    let bytes = value.to_string().into_bytes();
    let digest = Digest::of(&bytes);
    fs::write(blob_path(dir, digest), &bytes).unwrap();
    (digest, bytes.len() as u64)
}

impl Layout {
    /// As skopeo names it: `oci:DIR:TAG`.
    pub fn reference(&self) -> String {
        format!("oci:{}:{}", self.path.display(), self.tag)
    }

    /// The bytes of a blob.
    pub fn blob(&self, digest: Digest) -> Vec<u8> {
        fs::read(blob_path(&self.path, digest)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RawTar, tools};

    fn tar(name: &str) -> Vec<u8> {
        RawTar::new()
            .dir("Files")
            .file(format!("Files/{name}"), name)
            .finish()
    }

    #[test]
    fn skopeo_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let layout = LayoutBuilder::new()
            .layer(tar("base"), Compression::Gzip)
            .layer(tar("plain"), Compression::None)
            .layer(tar("zstd"), Compression::Zstd)
            .image_index(vec![])
            .write(folder.path().join("layout"));
        let text = tools::skopeo(["inspect", &layout.reference()]);
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told["Os"], "windows");
        let digests: Vec<_> = layout
            .layers
            .iter()
            .map(|layer| layer.digest.to_string())
            .collect();
        assert_eq!(told["Layers"], json!(digests));
    }

    #[test]
    fn lies_are_told_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = Digest::of(b"something else");
        let spec = LayerSpec {
            tar: tar("x"),
            digest: Some(wrong),
            size: Some(7),
            diff_id: Some("sha256:junk".into()),
            ..LayerSpec::default()
        };
        let layout = LayoutBuilder::new().layer_spec(spec).write(folder.path());
        let manifest: Value = serde_json::from_slice(&layout.blob(layout.manifest)).unwrap();
        assert_eq!(manifest["layers"][0]["digest"], wrong.to_string());
        assert_eq!(manifest["layers"][0]["size"], 7);
        assert_ne!(Digest::of(&layout.blob(wrong)), wrong);
        let config: Value = serde_json::from_slice(&layout.blob(layout.config)).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], "sha256:junk");
    }
}
