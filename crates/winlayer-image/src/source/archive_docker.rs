//! Archives in the format of `docker save`: `manifest.json` names configs and layer tars.
//!
//! Layers lie at `<id>/layer.tar` (old Docker; repeated ones as links), `<hex>.tar` (skopeo) or
//! `blobs/sha256/<hex>` (Docker since 25). Only the last form tells a digest of the blob; for the
//! others the DiffID is the one check, made by the reader of the tar.

use std::{io::Read, path::Path};

use serde::Deserialize as _;
use serde_json::Value;
use winlayer_digest::Digest;

use super::{Source, layout::too_large, tar_index::TarIndex};
use crate::{
    document::{self, Config, SavedImage},
    error::{ImageError, ImageErrorKind},
    image::{Layer, Resolved},
    media_type,
    platform::PlatformChoice,
    reference,
    resolve::{no_match, not_empty, with_chain_ids},
    text::{first_few, printable},
    verify::{VerifyingReader, read_up_to},
};

pub(super) struct DockerArchive {
    files: TarIndex,
    entry: Value,
    image: SavedImage,
    limit: u64,
}

impl DockerArchive {
    pub(super) fn open(file: &Path, name: Option<&str>, limit: u64) -> Result<Self, ImageError> {
        let files = TarIndex::scan(file)?;
        let bytes = read_document(&files, "manifest.json", limit)?;
        let what = format!("manifest.json of {}", files.shown_name());
        let malformed = |error| {
            ImageError::new(
                ImageErrorKind::Malformed,
                format!("{what} is not what docker save writes"),
            )
            .caused_by(error)
        };
        let entries: Vec<Value> = serde_json::from_slice(&bytes).map_err(malformed)?;
        let images = entries
            .into_iter()
            .map(|entry| Ok((SavedImage::deserialize(&entry).map_err(malformed)?, entry)))
            .collect::<Result<Vec<_>, ImageError>>()?;
        let (image, entry) = select(images, name, &files.shown_name())?;
        Ok(Self {
            files,
            entry,
            image,
            limit,
        })
    }

    fn layer(
        &self,
        index: usize,
    ) -> Result<(impl Read + Send + use<>, u64, Option<Digest>), ImageError> {
        let missing = |path: &str| {
            ImageError::new(
                ImageErrorKind::NotFound,
                format!(
                    "{} does not have the layer file {:?}",
                    self.files.shown_name(),
                    printable(path)
                ),
            )
        };
        let path = self.image.layers.get(index).ok_or_else(|| missing("?"))?;
        let (file, size) = self
            .files
            .open_member(path)
            .map_err(|error| {
                ImageError::io(
                    format!("cannot open the archive {}", self.files.shown_name()),
                    error,
                )
            })?
            .ok_or_else(|| missing(path))?;
        Ok((file, size, digest_in(path)))
    }
}

/// The digest a path like `blobs/sha256/<hex>` promises.
fn digest_in(path: &str) -> Option<Digest> {
    format!("sha256:{}", path.strip_prefix("blobs/sha256/")?)
        .parse()
        .ok()
}

fn read_document(files: &TarIndex, path: &str, limit: u64) -> Result<Vec<u8>, ImageError> {
    let shown = format!("{} of {}", printable(path), files.shown_name());
    let cannot_read = |error| ImageError::io(format!("cannot read {shown}"), error);
    let (mut file, size) = files
        .open_member(path)
        .map_err(cannot_read)?
        .ok_or_else(|| {
            ImageError::new(
                ImageErrorKind::NotFound,
                format!(
                    "{} is not a docker archive: it has no {}",
                    files.shown_name(),
                    printable(path)
                ),
            )
        })?;
    if size > limit {
        return Err(too_large(&shown, size, limit));
    }
    let bytes = read_up_to(&mut file, limit)
        .map_err(cannot_read)?
        .unwrap_or_default();
    if u64::try_from(bytes.len()).is_ok_and(|length| length == size) {
        return Ok(bytes);
    }
    Err(ImageError::new(
        ImageErrorKind::Malformed,
        format!("{shown} is cut off"),
    ))
}

fn select(
    mut images: Vec<(SavedImage, Value)>,
    name: Option<&str>,
    shown: &str,
) -> Result<(SavedImage, Value), ImageError> {
    let names: Vec<String> = images
        .iter()
        .flat_map(|(image, _)| image.repo_tags.clone())
        .collect();
    let known = match names.as_slice() {
        [] => "no names".to_owned(),
        names => first_few(names),
    };
    let not_found = |message: String| ImageError::new(ImageErrorKind::NotFound, message);
    match name {
        None if images.len() > 1 => Err(not_found(format!(
            "{shown} holds several images; name one of {known}"
        ))),
        None => images
            .pop()
            .ok_or_else(|| not_found(format!("{shown} holds no image"))),
        Some(name) => {
            let wanted = normal_name(name);
            let fits = |(image, _): &(SavedImage, Value)| {
                image.repo_tags.iter().any(|tag| normal_name(tag) == wanted)
            };
            let found = images.iter().position(fits);
            found
                .map(|position| images.swap_remove(position))
                .ok_or_else(|| {
                    not_found(format!(
                        "{shown} has no image {:?}; it has {known}",
                        printable(name)
                    ))
                })
        }
    }
}

/// A name with host, namespace and tag filled in, so that `app` and `docker.io/library/app:latest`
/// are the same.
fn normal_name(name: &str) -> Option<String> {
    let mut image = reference::registry(name).ok()?;
    image.tag.get_or_insert_with(|| "latest".into());
    Some(image.to_string())
}

impl Source for DockerArchive {
    fn resolve(&self, choice: &PlatformChoice) -> Result<Resolved, ImageError> {
        let bytes = read_document(&self.files, &self.image.config, self.limit)?;
        let digest = Digest::of(&bytes);
        if let Some(promised) = digest_in(&self.image.config).filter(|promised| *promised != digest)
        {
            return Err(ImageError::new(
                ImageErrorKind::Verification,
                format!(
                    "blob {promised} holds other content: its digest is {digest}; save the image again"
                ),
            ));
        }
        let what = format!("config {}", printable(&self.image.config));
        let (config, config_json) = document::parse::<Config>(&bytes, &what)?;
        let platform = config.platform();
        if choice.rank(&platform).is_none() {
            return Err(no_match(choice, &[platform.to_string()]));
        }
        let diff_ids = config.diff_ids(self.image.layers.len())?;
        let layers = with_chain_ids(diff_ids)
            .enumerate()
            .map(|(index, (diff_id, chain_id))| {
                let (_, compressed_bytes, digest) = self.layer(index)?;
                Ok(Layer {
                    index,
                    digest,
                    diff_id,
                    chain_id,
                    media_type: media_type::DOCKER_LAYER.to_owned(),
                    compressed_bytes,
                    urls: Vec::new(),
                })
            })
            .collect::<Result<_, ImageError>>()?;
        let layers = not_empty(layers)?;
        Ok(Resolved {
            manifest_digest: digest,
            manifest: self.entry.clone(),
            config: config_json,
            platform,
            layers,
        })
    }

    fn open_layer(
        &self,
        layer: &Layer,
        _: Option<&Path>,
    ) -> Result<Box<dyn Read + Send>, ImageError> {
        let (file, _, digest) = self.layer(layer.index)?;
        Ok(Box::new(VerifyingReader::new(
            file,
            digest,
            layer.compressed_bytes,
        )))
    }
}
