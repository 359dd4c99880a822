//! A resolved image and the way from a reference to it.

use std::{
    fmt,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use winlayer_digest::{ChainId, DiffId, Digest};

use crate::{
    error::ImageError,
    platform::{Platform, PlatformChoice},
    reference::Reference,
    registry::Tuning,
    source::{self, Source},
};

/// How to reach a source and what to take from it.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// The variant wanted.
    pub platform: PlatformChoice,
    /// Credentials file, in place of those podman and docker use.
    pub authfile: Option<PathBuf>,
    /// PEM file of certificate authorities trusted besides the system's; the registry must then
    /// speak TLS even on loopback.
    pub ca_file: Option<PathBuf>,
    /// Speak plain HTTP at once. Otherwise only a registry on loopback is spoken to in plain HTTP,
    /// once it has turned out not to speak TLS.
    pub plain_http: bool,
    /// Accept any certificate; the registry must then speak TLS even on loopback.
    pub insecure_tls: bool,
    /// How often a request that failed without progress is tried again; 5 when not given.
    pub retries: Option<u32>,
    /// Most bytes of a manifest, index or config; 4 MiB when not given.
    pub max_document_bytes: Option<u64>,
}

/// Limit on manifests, indexes and configs: what containerd and registries agree on.
const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

impl SourceOptions {
    pub(crate) fn document_limit(&self) -> u64 {
        self.max_document_bytes.unwrap_or(MAX_DOCUMENT_BYTES)
    }
}

/// One layer of an image.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Position; the base is 0.
    pub index: usize,
    /// Digest of the blob. None for layers of a `docker save` archive that are not named by their
    /// digest; those have only the DiffID.
    pub digest: Option<Digest>,
    /// Digest of the unpacked tar, for the reader of the tar to check.
    pub diff_id: DiffId,
    /// Identity of this layer on top of all below it.
    pub chain_id: ChainId,
    /// Media type as the manifest has it. It does not reliably tell the compression.
    pub media_type: String,
    /// Size of the blob in bytes.
    pub compressed_bytes: u64,
    /// Places to fetch the blob from when the registry has none.
    pub urls: Vec<String>,
}

/// Everything known of an image before its layers are read.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) manifest_digest: Digest,
    pub(crate) manifest: Value,
    pub(crate) config: Value,
    pub(crate) platform: Platform,
    pub(crate) layers: Vec<Layer>,
}

/// A resolved, checked Windows image. Cheap to clone; blobs may be opened from several threads.
#[derive(Clone)]
pub struct Image {
    inner: Arc<Inner>,
}

struct Inner {
    reference: Reference,
    resolved: Resolved,
    source: Box<dyn Source>,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("reference", &self.inner.reference)
            .field("manifest_digest", &self.inner.resolved.manifest_digest)
            .field("platform", &self.inner.resolved.platform)
            .field("layers", &self.inner.resolved.layers)
            .finish_non_exhaustive()
    }
}

impl Image {
    /// Resolves index, manifest and config.
    ///
    /// Digests and sizes of all three, the platform, the media types and the number of DiffIDs are
    /// checked; no layer is read.
    ///
    /// # Errors
    /// Any [`ImageErrorKind`](crate::ImageErrorKind).
    pub fn resolve(reference: &Reference, options: &SourceOptions) -> Result<Self, ImageError> {
        Self::resolve_tuned(reference, options, Tuning::default())
    }

    pub(crate) fn resolve_tuned(
        reference: &Reference,
        options: &SourceOptions,
        tuning: Tuning,
    ) -> Result<Self, ImageError> {
        let source = source::open(reference, options, tuning)?;
        let resolved = source.resolve(&options.platform)?;
        Ok(Self {
            inner: Arc::new(Inner {
                reference: reference.clone(),
                resolved,
                source,
            }),
        })
    }

    /// What was asked for.
    pub fn reference(&self) -> &Reference {
        &self.inner.reference
    }

    /// Digest of the manifest chosen. A `docker save` archive has no manifest: there it is the
    /// digest of the config, which Docker calls the image ID.
    pub fn manifest_digest(&self) -> Digest {
        self.inner.resolved.manifest_digest
    }

    /// The platform the image is for.
    pub fn platform(&self) -> &Platform {
        &self.inner.resolved.platform
    }

    /// The config document, unknown fields included. Strings in it are as the image has them and
    /// may hold control characters.
    pub fn config_json(&self) -> &Value {
        &self.inner.resolved.config
    }

    /// The manifest document, unknown fields included; for a `docker save` archive the image's
    /// entry of `manifest.json`. Strings in it may hold control characters.
    pub fn manifest_json(&self) -> &Value {
        &self.inner.resolved.manifest
    }

    /// The layers, base first; never empty.
    pub fn layers(&self) -> &[Layer] {
        &self.inner.resolved.layers
    }

    /// Streams the blob of `layer`, one of [`layers`](Self::layers).
    ///
    /// Digest and size are checked: if they differ, the read that would report the end fails
    /// instead, with an [`io::Error`](std::io::Error) in which
    /// [`image_error_in`](crate::image_error_in) finds the reason.
    ///
    /// With `partial`, what comes from a registry is also kept in that file (made if missing), and
    /// a later call, also of a later process, takes up after it. A file whose content turns out
    /// wrong is emptied. Removing it is the caller's task; so is keeping two processes from using
    /// one file at a time. Local sources ignore it.
    ///
    /// # Errors
    /// NotFound when the blob is missing, Network and Unauthorized from a registry, Io for local
    /// files.
    pub fn open_layer(
        &self,
        layer: &Layer,
        partial: Option<&Path>,
    ) -> Result<Box<dyn Read + Send>, ImageError> {
        self.inner.source.open_layer(layer, partial)
    }
}
