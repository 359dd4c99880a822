//! What an image says of itself, and what its layers change.

use serde::Serialize;
use serde_json::Value;
use winlayer_image::{Image, Layer, Platform};
use winlayer_tar::{LayerItem, LayerPath, Limits, ObjectKind, Tree};

use crate::{
    Observer, Result,
    merge::{ImageLayers, LayerNumber, layer_number, read_layer},
};

/// An image's manifest and config in short, with its layers.
#[derive(Clone, Debug, Serialize)]
pub struct ImageFacts {
    /// The reference as the user wrote it.
    pub image: String,
    /// Digest of the chosen manifest.
    pub manifest_digest: String,
    /// What the image says it is for.
    pub platform: Platform,
    /// Base first.
    pub layers: Vec<LayerFacts>,
    /// The config document as it is.
    pub config: Value,
}

/// One layer of an image.
#[derive(Clone, Debug, Serialize)]
pub struct LayerFacts {
    /// 1 for the base.
    pub number: usize,
    /// Digest of the blob; none for the layers of a docker-archive.
    pub digest: Option<String>,
    /// Digest of the uncompressed tar.
    pub diff_id: String,
    /// Identity of this layer on top of those below it.
    pub chain_id: String,
    /// Media type in the manifest.
    pub media_type: String,
    /// Size of the blob.
    pub compressed_bytes: u64,
    /// Other places to fetch the blob from.
    pub urls: Vec<String>,
    /// The build step that made the layer, when the config's history says.
    pub created_by: Option<String>,
    /// What is in the layer, only when contents were asked for.
    pub contents: Option<LayerContents>,
}

/// What one layer's tar has.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct LayerContents {
    /// Size of the tar.
    pub uncompressed_bytes: u64,
    /// Regular files, registry deltas included.
    pub files: u64,
    /// Directories with an entry.
    pub directories: u64,
    /// Symbolic links and junctions.
    pub links: u64,
    /// Further names of files.
    pub hard_links: u64,
    /// Alternate data streams.
    pub streams: u64,
    /// Names removed from the layers below.
    pub whiteouts: u64,
    /// Directories emptied of what the layers below have in them.
    pub opaque_whiteouts: u64,
    /// Names in `Hives`, such as `System_Delta`.
    pub hives: Vec<String>,
    /// Something lies in `UtilityVM/Files`.
    pub utility_vm: bool,
    /// Bytes of all files and streams.
    pub bytes: u64,
}

/// Describes an image; with `contents` every layer is read, counted and verified.
///
/// # Errors
///
/// With `contents`: a layer cannot be read, is malformed or has another DiffID than announced.
pub fn inspect(
    image: &Image,
    contents: bool,
    limits: &Limits,
    observer: Option<&dyn Observer>,
) -> Result<ImageFacts> {
    let readers = ImageLayers::new(image, limits, observer);
    let mut steps = build_steps(image.config_json());
    let mut layers = Vec::with_capacity(image.layers().len());
    for layer in image.layers() {
        let mut facts = describe(layer, steps.next().flatten());
        if contents {
            facts.contents = Some(count(&readers, layer_number(layer.index)?)?);
        }
        layers.push(facts);
    }
    Ok(ImageFacts {
        image: image.reference().to_string(),
        manifest_digest: image.manifest_digest().to_string(),
        platform: image.platform().clone(),
        layers,
        config: image.config_json().clone(),
    })
}

fn describe(layer: &Layer, created_by: Option<String>) -> LayerFacts {
    LayerFacts {
        number: layer.index.saturating_add(1),
        digest: layer.digest.map(|digest| digest.to_string()),
        diff_id: layer.diff_id.to_string(),
        chain_id: layer.chain_id.to_string(),
        media_type: layer.media_type.clone(),
        compressed_bytes: layer.compressed_bytes,
        urls: layer.urls.clone(),
        created_by,
        contents: None,
    }
}

/// The `created_by` of each layer: history entries without a layer are skipped (image-spec config).
fn build_steps(config: &Value) -> impl Iterator<Item = Option<String>> + '_ {
    let history = config.get("history").and_then(Value::as_array);
    let with_layer = |step: &&Value| step.get("empty_layer").and_then(Value::as_bool) != Some(true);
    let created_by = |step: &Value| Some(step.get("created_by")?.as_str()?.to_owned());
    history
        .into_iter()
        .flatten()
        .filter(with_layer)
        .map(created_by)
}

fn count(layers: &ImageLayers<'_>, number: LayerNumber) -> Result<LayerContents> {
    let mut contents = LayerContents::default();
    let read = read_layer(layers, number, &mut |item, _| {
        contents.add(item);
        Ok(())
    })?;
    contents.uncompressed_bytes = read.summary.uncompressed_bytes;
    Ok(contents)
}

impl LayerContents {
    fn add(&mut self, item: &LayerItem) {
        let path = match item {
            LayerItem::Object(object) => {
                match &object.kind {
                    ObjectKind::Directory => self.directories += 1,
                    ObjectKind::File { size } => {
                        self.files += 1;
                        self.bytes = self.bytes.saturating_add(*size);
                    }
                    ObjectKind::Link { .. } => self.links += 1,
                }
                if object.path.tree() == Tree::Hives && object.kind != ObjectKind::Directory {
                    self.hives.push(object.path.below_tree().to_owned());
                }
                &object.path
            }
            LayerItem::HardLink(link) => {
                self.hard_links += 1;
                &link.path
            }
            LayerItem::Stream(stream) => {
                self.streams += 1;
                self.bytes = self.bytes.saturating_add(stream.size);
                return;
            }
            LayerItem::Whiteout(_) => return self.whiteouts += 1,
            LayerItem::OpaqueWhiteout(_) => return self.opaque_whiteouts += 1,
        };
        self.utility_vm |= is_in_utility_vm(path);
    }
}

fn is_in_utility_vm(path: &LayerPath) -> bool {
    path.tree() == Tree::UtilityVmFiles && !path.below_tree().is_empty()
}
