//! An image in a registry.

use std::{io::Read, path::Path, sync::Arc};

use ureq::http::header;
use winlayer_digest::Digest;

use super::{Documents, Role, Source, layout::too_large};
use crate::{
    document::Descriptor,
    error::{ImageError, ImageErrorKind},
    image::{Layer, Resolved, SourceOptions},
    media_type,
    platform::PlatformChoice,
    reference::RegistryReference,
    registry::{BlobReader, Client, Tuning},
    resolve::{self, Root},
};

pub(super) struct RegistrySource {
    client: Arc<Client>,
    image: RegistryReference,
    limit: u64,
}

impl RegistrySource {
    pub(super) fn new(
        image: &RegistryReference,
        options: &SourceOptions,
        tuning: Tuning,
    ) -> Result<Self, ImageError> {
        let client = Arc::new(Client::new(image, options, tuning)?);
        Ok(Self {
            client,
            image: image.clone(),
            limit: options.document_limit(),
        })
    }

    /// The document the reference names. By tag, its digest is ours to compute; by digest, it must
    /// have that one.
    fn root(&self) -> Result<Root, ImageError> {
        let reference = match (&self.image.digest, &self.image.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_else(|| "latest".into()),
        };
        let (bytes, headers) = self.client.manifest(&reference, self.limit)?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let served_as = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let announced: Option<Digest> =
            text("docker-content-digest").and_then(|text| text.parse().ok());
        if let Some(expected) = self.image.digest.or(announced) {
            check(&bytes, expected)?;
        }
        let descriptor = Descriptor::of(media_type::essence(served_as), &bytes);
        Ok(Root {
            descriptor,
            bytes: Some(bytes),
        })
    }
}

fn check(bytes: &[u8], expected: Digest) -> Result<(), ImageError> {
    let found = Digest::of(bytes);
    if found == expected {
        return Ok(());
    }
    Err(ImageError::new(
        ImageErrorKind::Verification,
        format!(
            "document {expected} holds other content: its digest is {found}; the registry or a proxy before it is broken"
        ),
    ))
}

impl Documents for RegistrySource {
    fn document(&self, descriptor: &Descriptor, role: Role) -> Result<Vec<u8>, ImageError> {
        let digest = descriptor.digest()?;
        if descriptor.size > self.limit {
            return Err(too_large(
                &format!("document {digest}"),
                descriptor.size,
                self.limit,
            ));
        }
        let bytes = match role {
            Role::Manifest => self.client.manifest(&digest.to_string(), self.limit)?.0,
            Role::Config => self.client.small_blob(digest, self.limit)?,
        };
        check(&bytes, digest)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length != descriptor.size {
            return Err(ImageError::new(
                ImageErrorKind::Verification,
                format!(
                    "document {digest} has {length} bytes, but {} are promised",
                    descriptor.size
                ),
            ));
        }
        Ok(bytes)
    }
}

impl Source for RegistrySource {
    fn resolve(&self, choice: &PlatformChoice) -> Result<Resolved, ImageError> {
        resolve::resolve(self, vec![self.root()?], choice)
    }

    fn open_layer(
        &self,
        layer: &Layer,
        partial: Option<&Path>,
    ) -> Result<Box<dyn Read + Send>, ImageError> {
        let digest = layer.digest.ok_or_else(|| {
            ImageError::new(
                ImageErrorKind::NotFound,
                "the layer is of another image: it has no digest",
            )
        })?;
        let reader = BlobReader::open(
            Arc::clone(&self.client),
            digest,
            layer.compressed_bytes,
            &layer.urls,
            partial,
        )?;
        Ok(Box::new(reader))
    }
}
