//! What an image says of itself, and what its layers change.

use serde::Serialize;
use serde_json::Value;
use winlayer_image::{Image, Layer, Platform};
use winlayer_tar::{LayerItem, LayerPath, Limits, ObjectKind, Tree};

use crate::{
    LayerChanges, Observer, RegistryFinding, RegistryHive, Result, Target, UnpackOptions,
    WindowsFacts,
    registry::{Wanted, collect},
};

/// What [`inspect()`] looks at.
#[derive(Clone, Debug)]
pub struct InspectOptions {
    /// Every layer is read to its end, counted and verified.
    pub contents: bool,
    /// The hives of the layers are read, and say which Windows this is.
    pub registry: bool,
    /// With the registry: what this layer changes in it, 1 for the base.
    pub changes_of: Option<usize>,
    /// Layers to read at the same time; 0 counts as 1.
    pub jobs: usize,
    /// What a layer may cost at most.
    pub limits: Limits,
}

impl Default for InspectOptions {
    /// The registry and no contents.
    fn default() -> Self {
        Self {
            contents: false,
            registry: true,
            changes_of: None,
            jobs: UnpackOptions::new(Target::Folder).jobs,
            limits: Limits::default(),
        }
    }
}

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
    /// What the registry says; none when it was not asked, or there is none.
    pub windows: Option<WindowsFacts>,
    /// What one layer changes in the registry, when that was asked.
    pub changes: Option<LayerChanges>,
    /// Hives and layers that cannot be read; everything else is told all the same.
    pub findings: Vec<RegistryFinding>,
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

/// Describes an image.
///
/// Without anything else asked for, no layer is read. For the registry each is read up to its last
/// hive, as [`read_registry`](crate::read_registry) says, and such a layer is not verified; with
/// contents every layer is.
///
/// # Errors
///
/// With contents: a layer cannot be read, is malformed or has another DiffID than announced. For the
/// registry alone that is a finding. There is no such layer as `changes_of`.
pub fn inspect(
    image: &Image,
    options: &InspectOptions,
    observer: Option<&dyn Observer>,
) -> Result<ImageFacts> {
    let mut steps = build_steps(image.config_json());
    let describe = |layer| describe(layer, steps.next().flatten());
    let mut facts = ImageFacts {
        image: image.reference().to_string(),
        manifest_digest: image.manifest_digest().to_string(),
        platform: image.platform().clone(),
        layers: image.layers().iter().map(describe).collect(),
        windows: None,
        changes: None,
        findings: Vec::new(),
        config: image.config_json().clone(),
    };
    if options.contents || options.registry {
        look_into_layers(image, options, observer, &mut facts)?;
    }
    Ok(facts)
}

fn look_into_layers(
    image: &Image,
    options: &InspectOptions,
    observer: Option<&dyn Observer>,
    facts: &mut ImageFacts,
) -> Result<()> {
    let wanted = Wanted {
        hives: match options.registry {
            true => &RegistryHive::ALL,
            false => &[],
        },
        top: image.layers().len(),
        contents: options.contents,
        tolerant: !options.contents,
    };
    let found = collect(image, wanted, options.jobs, &options.limits, observer)?;
    for (layer, contents) in facts.layers.iter_mut().zip(found.contents) {
        layer.contents = Some(contents);
    }
    if !options.registry {
        return Ok(());
    }
    let registry = found.registry;
    facts.findings = registry.findings().to_vec();
    if !registry.is_empty() {
        let config_version = image.platform().os_version.as_deref();
        facts.windows = Some(registry.windows(config_version, &mut facts.findings));
    }
    if let Some(layer) = options.changes_of {
        facts.changes = Some(registry.changes(layer, &mut facts.findings)?);
    }
    Ok(())
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

impl LayerContents {
    pub(crate) fn add(&mut self, item: &LayerItem) {
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
