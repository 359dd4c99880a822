//! From the documents a reference names to the one image that fits: index → manifest → config.

use std::collections::HashSet;

use winlayer_digest::{ChainId, DiffId, Digest};

use crate::{
    document::{self, Config, Descriptor, Index, Manifest},
    error::{ImageError, ImageErrorKind},
    image::{Layer, Resolved},
    media_type::{self, DocumentKind, LayerKind},
    platform::{Platform, PlatformChoice, Rank},
    source::{Documents, Role},
    text::{first_few, printable},
};

/// Deepest nesting of indexes; the field nests at most twice.
const MAX_DEPTH: usize = 4;

/// Most documents fetched to find one image, so that an index cannot keep a client busy.
const MAX_DOCUMENTS: usize = 64;

/// Where resolution starts: a descriptor and, where it is already at hand, its document.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) descriptor: Descriptor,
    pub(crate) bytes: Option<Vec<u8>>,
}

/// A manifest that may be the one.
struct Candidate {
    descriptor: Descriptor,
    bytes: Option<Vec<u8>>,
    platform: Option<Platform>,
}

/// Finds the image for `choice` below `roots`.
pub(crate) fn resolve(
    documents: &dyn Documents,
    roots: Vec<Root>,
    choice: &PlatformChoice,
) -> Result<Resolved, ImageError> {
    let mut search = Search {
        documents,
        seen: HashSet::new(),
        fetched: 0,
        candidates: Vec::new(),
    };
    for root in roots {
        search.visit(root.descriptor, root.bytes, 0)?;
    }
    search.choose(choice)
}

struct Search<'d> {
    documents: &'d dyn Documents,
    seen: HashSet<Digest>,
    fetched: usize,
    candidates: Vec<Candidate>,
}

impl Search<'_> {
    fn fetch(&mut self, descriptor: &Descriptor, role: Role) -> Result<Vec<u8>, ImageError> {
        self.fetched += 1;
        if self.fetched > MAX_DOCUMENTS {
            return Err(ImageError::new(
                ImageErrorKind::Limit,
                format!(
                    "the image needs more than {MAX_DOCUMENTS} documents to be found; name a manifest by digest"
                ),
            ));
        }
        self.documents.document(descriptor, role)
    }

    /// Collects the manifests at and below `descriptor`, in order.
    fn visit(
        &mut self,
        descriptor: Descriptor,
        bytes: Option<Vec<u8>>,
        depth: usize,
    ) -> Result<(), ImageError> {
        let digest = descriptor.digest()?;
        if !self.seen.insert(digest) {
            return Ok(());
        }
        let platform = descriptor.platform.clone().map(Platform::from);
        let listed_as = media_type::document_kind(&descriptor.media_type);
        // A manifest listed with its platform need not be fetched to be judged.
        if depth > 0 && bytes.is_none() && listed_as == Some(DocumentKind::Manifest) {
            self.candidates.push(Candidate {
                descriptor,
                bytes,
                platform,
            });
            return Ok(());
        }
        let what = format!("document {digest}");
        let bytes = match bytes {
            Some(bytes) => bytes,
            // An index may list signatures and the like; only what could be an image matters.
            None if depth > 0 && listed_as.is_none() => return Ok(()),
            None => self.fetch(&descriptor, Role::Manifest)?,
        };
        match document::kind_of(&bytes, &descriptor.media_type, &what)? {
            DocumentKind::Index => {
                if depth >= MAX_DEPTH {
                    return Err(ImageError::new(
                        ImageErrorKind::Limit,
                        format!("index {digest} is nested more than {MAX_DEPTH} deep"),
                    ));
                }
                let (index, _) = document::parse::<Index>(&bytes, &format!("index {digest}"))?;
                for entry in index.manifests {
                    self.visit(entry, None, depth + 1)?;
                }
            }
            _ => self.candidates.push(Candidate {
                descriptor,
                bytes: Some(bytes),
                platform,
            }),
        }
        Ok(())
    }

    fn choose(mut self, choice: &PlatformChoice) -> Result<Resolved, ImageError> {
        let mut offers: Vec<String> = Vec::new();
        let mut best: Option<(Rank, Candidate)> = None;
        let mut undeclared = Vec::new();
        for candidate in std::mem::take(&mut self.candidates) {
            let Some(platform) = &candidate.platform else {
                undeclared.push(candidate);
                continue;
            };
            // Build attestations are listed as images for "unknown/unknown".
            if platform.os != "unknown" {
                offers.push(platform.to_string());
            }
            if let Some(rank) = choice.rank(platform)
                && best.as_ref().is_none_or(|(highest, _)| rank > *highest)
            {
                best = Some((rank, candidate));
            }
        }
        if let Some((_, candidate)) = best {
            return self
                .load(candidate, choice)?
                .map_err(|offer| no_match(choice, &[offer]));
        }
        // Without a platform in the index the config decides, and there too the best one wins.
        let mut best: Option<(Option<Rank>, Resolved)> = None;
        for candidate in undeclared {
            match self.load(candidate, choice)? {
                Ok(resolved) => {
                    let rank = choice.rank(&resolved.platform);
                    if best.as_ref().is_none_or(|(highest, _)| rank > *highest) {
                        best = Some((rank, resolved));
                    }
                }
                Err(offer) => offers.push(offer),
            }
        }
        best.map(|(_, resolved)| resolved)
            .ok_or_else(|| no_match(choice, &offers))
    }

    /// Fetches and checks everything of a candidate but its layers. The inner error is the platform
    /// of an image that does not fit.
    fn load(
        &mut self,
        candidate: Candidate,
        choice: &PlatformChoice,
    ) -> Result<Result<Resolved, String>, ImageError> {
        let manifest_digest = candidate.descriptor.digest()?;
        let what = format!("manifest {manifest_digest}");
        let bytes = match candidate.bytes {
            Some(bytes) => bytes,
            None => {
                let bytes = self.fetch(&candidate.descriptor, Role::Manifest)?;
                document::kind_of(&bytes, &candidate.descriptor.media_type, &what)?;
                bytes
            }
        };
        let (manifest, manifest_json) = document::parse::<Manifest>(&bytes, &what)?;
        if !media_type::is_image_config(&manifest.config.media_type) {
            return Err(ImageError::new(
                ImageErrorKind::Unsupported,
                format!(
                    "{what} is no container image: its config is {:?}",
                    printable(&manifest.config.media_type)
                ),
            ));
        }
        let bytes = self.fetch(&manifest.config, Role::Config)?;
        let what = format!("config {}", manifest.config.digest()?);
        let (config, config_json) = document::parse::<Config>(&bytes, &what)?;
        let platform = with_listed(config.platform(), candidate.platform);
        if choice.rank(&platform).is_none() {
            return Ok(Err(platform.to_string()));
        }
        let layers = layers(&manifest, &config)?;
        Ok(Ok(Resolved {
            manifest_digest,
            manifest: manifest_json,
            config: config_json,
            platform,
            layers,
        }))
    }
}

/// The config's word on the platform; what it leaves out the index may tell.
fn with_listed(mut own: Platform, listed: Option<Platform>) -> Platform {
    if let Some(listed) = listed {
        own.os_version = own.os_version.or(listed.os_version);
        if own.os_features.is_empty() {
            own.os_features = listed.os_features;
        }
    }
    own
}

pub(crate) fn no_match(choice: &PlatformChoice, offers: &[String]) -> ImageError {
    let mut offers = offers.to_vec();
    offers.sort();
    offers.dedup();
    let offered = if offers.is_empty() {
        "nothing".to_owned()
    } else {
        first_few(&offers)
    };
    let message = format!("no variant of the image fits {choice}; it offers {offered}");
    if offers.iter().any(|offer| offer.starts_with("windows/")) {
        return ImageError::new(ImageErrorKind::NoMatchingPlatform, message);
    }
    ImageError::new(
        ImageErrorKind::NoMatchingPlatform,
        format!("{message}: it is not a Windows image"),
    )
    .with_hint("name a Windows image; winlayer unpacks no others")
}

fn layers(manifest: &Manifest, config: &Config) -> Result<Vec<Layer>, ImageError> {
    let diff_ids = config.diff_ids(manifest.layers.len())?;
    let layers: Vec<_> = manifest
        .layers
        .iter()
        .zip(with_chain_ids(diff_ids))
        .enumerate()
        .map(|(index, (descriptor, (diff_id, chain_id)))| {
            check_layer_type(&descriptor.media_type, index, manifest.layers.len())?;
            Ok(Layer {
                index,
                digest: Some(descriptor.digest()?),
                diff_id,
                chain_id,
                media_type: descriptor.media_type.clone(),
                compressed_bytes: descriptor.size,
                urls: descriptor.urls.clone(),
            })
        })
        .collect::<Result<_, _>>()?;
    not_empty(layers)
}

pub(crate) fn not_empty(layers: Vec<Layer>) -> Result<Vec<Layer>, ImageError> {
    if layers.is_empty() {
        return Err(ImageError::new(
            ImageErrorKind::Malformed,
            "the image has no layers; a Windows image has at least one",
        ));
    }
    Ok(layers)
}

pub(crate) fn with_chain_ids(diff_ids: Vec<DiffId>) -> impl Iterator<Item = (DiffId, ChainId)> {
    let chain_ids = ChainId::chain(diff_ids.iter().copied());
    diff_ids.into_iter().zip(chain_ids)
}

fn check_layer_type(media_type: &str, index: usize, count: usize) -> Result<(), ImageError> {
    let problem = match media_type::layer_kind(media_type) {
        LayerKind::Tar => return Ok(()),
        LayerKind::Encrypted => {
            "is encrypted; decrypt the image first (`skopeo copy --decryption-key`)"
        }
        LayerKind::OtherCompression => "is compressed with something other than gzip and zstd",
        LayerKind::Unknown => "is not a layer of a container image",
    };
    let position = index.saturating_add(1);
    Err(ImageError::new(
        ImageErrorKind::Unsupported,
        format!(
            "layer {position} of {count} {problem} (media type {:?})",
            printable(media_type)
        ),
    ))
}

#[cfg(test)]
mod tests;
