//! The places an image can come from.

mod archive_docker;
mod archive_oci;
mod layout;
mod registry;
mod tar_index;

#[cfg(test)]
mod tests;

pub(crate) use layout::REF_NAME;

use std::{io::Read, path::Path};

use crate::{
    document::Descriptor,
    error::ImageError,
    image::{Layer, Resolved, SourceOptions},
    platform::PlatformChoice,
    reference::Reference,
    registry::Tuning,
};

/// An opened place of one image.
pub(crate) trait Source: Send + Sync {
    fn resolve(&self, choice: &PlatformChoice) -> Result<Resolved, ImageError>;

    /// The verified bytes of a layer.
    fn open_layer(
        &self,
        layer: &Layer,
        partial: Option<&Path>,
    ) -> Result<Box<dyn Read + Send>, ImageError>;
}

/// What a document is fetched as; registries keep configs and manifests apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Manifest,
    Config,
}

/// A place documents are fetched from by descriptor.
pub(crate) trait Documents {
    /// The bytes `descriptor` promises: digest and size are checked, and the size is within the
    /// limit on documents.
    fn document(&self, descriptor: &Descriptor, role: Role) -> Result<Vec<u8>, ImageError>;
}

pub(crate) fn open(
    reference: &Reference,
    options: &SourceOptions,
    tuning: Tuning,
) -> Result<Box<dyn Source>, ImageError> {
    let limit = options.document_limit();
    Ok(match reference {
        Reference::Registry(image) => {
            Box::new(registry::RegistrySource::new(image, options, tuning)?)
        }
        Reference::OciLayout { dir, tag } => {
            Box::new(layout::open_directory(dir, tag.as_deref(), limit)?)
        }
        Reference::OciArchive { file, tag } => {
            Box::new(archive_oci::open(file, tag.as_deref(), limit)?)
        }
        Reference::DockerArchive { file, name } => Box::new(archive_docker::DockerArchive::open(
            file,
            name.as_deref(),
            limit,
        )?),
    })
}
