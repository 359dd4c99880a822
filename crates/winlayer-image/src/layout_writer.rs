//! Writing an OCI image layout directory.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};
use winlayer_digest::{DiffId, Digest};

use crate::{
    error::{ImageError, ImageErrorKind},
    media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST},
    platform::Platform,
    source::REF_NAME,
};

/// Writes an image into an OCI layout directory (OCI image specification, image-layout.md).
///
/// The same calls give the same bytes: no time and no random name goes in. Other images of an
/// existing layout stay; one with the same tag is replaced in `index.json`.
pub struct OciLayoutWriter {
    dir: PathBuf,
    config: Map<String, Value>,
}

impl fmt::Debug for OciLayoutWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OciLayoutWriter")
            .field("dir", &self.dir)
            .finish()
    }
}

impl OciLayoutWriter {
    /// Makes `dir` (and its parents) an OCI layout.
    ///
    /// # Errors
    /// Io when it cannot be written.
    pub fn create(dir: &Path) -> Result<Self, ImageError> {
        let writer = Self {
            dir: dir.to_owned(),
            config: Map::new(),
        };
        let blobs = dir.join("blobs").join("sha256");
        fs::create_dir_all(&blobs).map_err(|error| writing(&blobs, error))?;
        writer.write(
            &dir.join("oci-layout"),
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        Ok(writer)
    }

    /// Takes a finished file in as the blob `digest`, for which the caller vouches. The file is
    /// moved, or copied and removed when it is on another file system.
    ///
    /// # Errors
    /// Io or NotFound.
    pub fn add_blob_file(&mut self, file: &Path, digest: Digest) -> Result<(), ImageError> {
        let blob = self.blob_path(digest);
        if fs::rename(file, &blob).is_ok() {
            return Ok(());
        }
        let staged = staged(&blob);
        fs::copy(file, &staged)
            .and_then(|_| fs::rename(&staged, &blob))
            .and_then(|()| fs::remove_file(file))
            .map_err(|error| {
                ImageError::io(
                    format!("cannot move {} to {}", file.display(), blob.display()),
                    error,
                )
            })
    }

    /// Writes a blob and returns its digest.
    ///
    /// # Errors
    /// Io when it cannot be written.
    pub fn add_blob(&mut self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = Digest::of(bytes);
        self.write(&self.blob_path(digest), bytes)?;
        Ok(digest)
    }

    /// Adds members to the image config: `created`, `author`, `config`, `history` (OCI image
    /// specification, config.md). Platform and layers come from [`finish`](Self::finish), whatever
    /// is given here.
    pub fn set_config(&mut self, members: Map<String, Value>) {
        self.config = members;
    }

    /// Writes config, manifest and the index entry `tag` for layers given base first as (media
    /// type, digest of the blob, its size in bytes, DiffID), and returns the manifest's digest.
    ///
    /// # Errors
    /// NotFound when a layer's blob was not added, Verification when it has another size, Io when
    /// a file cannot be written.
    pub fn finish(
        mut self,
        layers: &[(String, Digest, u64, DiffId)],
        platform: &Platform,
        tag: &str,
    ) -> Result<Digest, ImageError> {
        for (_, digest, size, _) in layers {
            self.check_blob(*digest, *size)?;
        }
        let document = config(std::mem::take(&mut self.config), layers, platform);
        let config = self.add_json(&document)?;
        let layers: Vec<Value> = layers
            .iter()
            .map(|(media_type, digest, size, _)| descriptor(media_type, *digest, *size))
            .collect();
        let manifest = self.add_json(&json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, config.0, config.1),
            "layers": layers,
        }))?;
        let mut entry = descriptor(OCI_MANIFEST, manifest.0, manifest.1);
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("annotations".into(), json!({ REF_NAME: tag }));
            entry.insert("platform".into(), platform_json(platform));
        }
        self.write_index(entry, tag)?;
        Ok(manifest.0)
    }

    fn write_index(&self, entry: Value, tag: &str) -> Result<(), ImageError> {
        let path = self.dir.join("index.json");
        let mut manifests = match fs::read(&path) {
            Ok(bytes) => manifests_of(&bytes).ok_or_else(|| {
                ImageError::new(
                    ImageErrorKind::Malformed,
                    format!("{} is not an OCI index", path.display()),
                )
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(writing(&path, error)),
        };
        manifests.retain(|other| {
            other
                .pointer("/annotations")
                .and_then(|all| all.get(REF_NAME))
                .and_then(Value::as_str)
                != Some(tag)
        });
        manifests.push(entry);
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
        self.write(&path, index.to_string().as_bytes())
    }

    fn add_json(&mut self, document: &Value) -> Result<(Digest, u64), ImageError> {
        let bytes = document.to_string().into_bytes();
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok((self.add_blob(&bytes)?, size))
    }

    fn check_blob(&self, digest: Digest, size: u64) -> Result<(), ImageError> {
        let path = self.blob_path(digest);
        let found = fs::metadata(&path)
            .map_err(|error| ImageError::io(format!("blob {digest} was not added"), error))?
            .len();
        if found == size {
            return Ok(());
        }
        Err(ImageError::new(
            ImageErrorKind::Verification,
            format!("blob {digest} has {found} bytes, but {size} are promised"),
        ))
    }

    fn blob_path(&self, digest: Digest) -> PathBuf {
        self.dir.join("blobs").join("sha256").join(digest.hex())
    }

    /// Never leaves half a file under the final name.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
        let staged = staged(path);
        fs::write(&staged, bytes)
            .and_then(|()| fs::rename(&staged, path))
            .map_err(|error| writing(path, error))
    }
}

fn staged(path: &Path) -> PathBuf {
    path.with_added_extension("tmp")
}

fn writing(path: &Path, error: std::io::Error) -> ImageError {
    ImageError::io(format!("cannot write {}", path.display()), error)
}

fn manifests_of(index: &[u8]) -> Option<Vec<Value>> {
    let index: Value = serde_json::from_slice(index).ok()?;
    index.get("manifests")?.as_array().cloned()
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Value {
    json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size })
}

fn platform_json(platform: &Platform) -> Value {
    let mut fields = serde_json::Map::new();
    fields.insert("architecture".into(), json!(platform.architecture));
    fields.insert("os".into(), json!(platform.os));
    if let Some(version) = &platform.os_version {
        fields.insert("os.version".into(), json!(version));
    }
    if !platform.os_features.is_empty() {
        fields.insert("os.features".into(), json!(platform.os_features));
    }
    Value::Object(fields)
}

fn config(
    members: Map<String, Value>,
    layers: &[(String, Digest, u64, DiffId)],
    platform: &Platform,
) -> Value {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|(_, _, _, diff_id)| diff_id.to_string())
        .collect();
    let history: Vec<Value> = layers
        .iter()
        .map(|_| json!({ "created_by": "winlayer" }))
        .collect();
    let mut fields = members;
    fields.entry("config").or_insert_with(|| json!({}));
    fields.entry("history").or_insert_with(|| json!(history));
    if let Value::Object(platform) = platform_json(platform) {
        fields.extend(platform);
    }
    let rootfs = json!({ "type": "layers", "diff_ids": diff_ids });
    fields.insert("rootfs".into(), rootfs);
    Value::Object(fields)
}
