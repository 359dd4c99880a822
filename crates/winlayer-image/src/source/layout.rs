//! OCI image layouts (OCI image specification, image-layout.md), in a directory or in a tar.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use winlayer_digest::Digest;

use super::{Documents, Role, Source};
use crate::{
    document::{self, Descriptor, Index},
    error::{ImageError, ImageErrorKind},
    image::{Layer, Resolved},
    platform::PlatformChoice,
    resolve::{self, Root},
    text::{first_few, printable},
    verify::{VerifyingReader, read_up_to},
};

/// The files of a layout, by their path with `/`.
pub(super) trait Files: Send + Sync {
    type File: Read + Send + 'static;

    /// Opens a regular file and tells its size; None when there is no such file.
    fn open(&self, path: &str) -> io::Result<Option<(Self::File, u64)>>;

    /// How messages call the whole.
    fn name(&self) -> String;
}

pub(super) struct Directory(PathBuf);

impl Files for Directory {
    type File = File;

    fn open(&self, path: &str) -> io::Result<Option<(File, u64)>> {
        let path = self.0.join(path);
        // Looked at before opening: opening a named pipe would block.
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                let file = File::open(&path)?;
                let size = file.metadata()?.len();
                Ok(Some((file, size)))
            }
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "not a regular file",
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn name(&self) -> String {
        printable(&self.0.display().to_string())
    }
}

/// One image of a layout.
pub(super) struct LayoutSource<F> {
    files: F,
    tag: Option<String>,
    limit: u64,
}

pub(super) fn open_directory(
    dir: &Path,
    tag: Option<&str>,
    limit: u64,
) -> Result<LayoutSource<Directory>, ImageError> {
    match fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            let name = printable(&dir.display().to_string());
            return Err(ImageError::new(
                ImageErrorKind::Malformed,
                format!(
                    "{name} is a file, not a directory; for a tar of a layout write oci-archive:{name}"
                ),
            ));
        }
        Err(error) => {
            return Err(ImageError::io(
                format!("cannot open the OCI layout {}", dir.display()),
                error,
            ));
        }
    }
    LayoutSource::new(Directory(dir.to_owned()), tag, limit)
}

impl<F: Files> LayoutSource<F> {
    pub(super) fn new(files: F, tag: Option<&str>, limit: u64) -> Result<Self, ImageError> {
        let source = Self {
            files,
            tag: tag.map(Into::into),
            limit,
        };
        source.check_version()?;
        Ok(source)
    }

    fn check_version(&self) -> Result<(), ImageError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Marker {
            image_layout_version: String,
        }
        let Some(bytes) = self.small_file("oci-layout")? else {
            return Err(ImageError::new(
                ImageErrorKind::NotFound,
                format!(
                    "{} is not an OCI image layout: it has no file oci-layout",
                    self.files.name()
                ),
            ));
        };
        let (marker, _) = document::parse::<Marker>(&bytes, "oci-layout")?;
        if marker.image_layout_version.starts_with("1.") {
            return Ok(());
        }
        Err(ImageError::new(
            ImageErrorKind::Unsupported,
            format!(
                "{}: layout version {:?}, expected 1.0.0",
                self.files.name(),
                printable(&marker.image_layout_version)
            ),
        ))
    }

    fn small_file(&self, path: &str) -> Result<Option<Vec<u8>>, ImageError> {
        let cannot_read = |error| {
            ImageError::io(
                format!("cannot read {path} of {}", self.files.name()),
                error,
            )
        };
        let Some((mut file, size)) = self.files.open(path).map_err(cannot_read)? else {
            return Ok(None);
        };
        let too_large = || too_large(path, size, self.limit);
        if size > self.limit {
            return Err(too_large());
        }
        read_up_to(&mut file, self.limit)
            .map_err(cannot_read)?
            .ok_or_else(too_large)
            .map(Some)
    }

    fn roots(&self) -> Result<Vec<Root>, ImageError> {
        let name = self.files.name();
        let bytes = self.small_file("index.json")?.ok_or_else(|| {
            ImageError::new(
                ImageErrorKind::NotFound,
                format!("{name} is not an OCI image layout: it has no file index.json"),
            )
        })?;
        let (index, _) = document::parse::<Index>(&bytes, &format!("index.json of {name}"))?;
        let entries = select(index.manifests, self.tag.as_deref(), &name)?;
        Ok(entries
            .into_iter()
            .map(|descriptor| Root {
                descriptor,
                bytes: None,
            })
            .collect())
    }

    fn open_blob(&self, digest: Digest, size: u64) -> Result<VerifyingReader<F::File>, ImageError> {
        let path = format!("blobs/sha256/{}", digest.hex());
        let (file, found) = self
            .files
            .open(&path)
            .map_err(|error| {
                ImageError::io(
                    format!("cannot open {path} of {}", self.files.name()),
                    error,
                )
            })?
            .ok_or_else(|| {
                ImageError::new(
                    ImageErrorKind::NotFound,
                    format!("{} does not have blob {digest}", self.files.name()),
                )
            })?;
        if found != size {
            return Err(ImageError::new(
                ImageErrorKind::Verification,
                format!(
                    "blob {digest} has {found} bytes, but {size} are promised; copy the image again"
                ),
            ));
        }
        Ok(VerifyingReader::new(file, Some(digest), size))
    }
}

pub(super) fn too_large(what: &str, size: u64, limit: u64) -> ImageError {
    ImageError::new(
        ImageErrorKind::Limit,
        format!("{what} has {size} bytes; documents of more than {limit} bytes are not read"),
    )
}

/// Annotation with the tag of an entry of index.json (OCI image specification, annotations.md).
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Where containerd and buildkit put the whole reference.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The entries of index.json that `tag` names; without a tag all, if they are one image.
fn select(
    entries: Vec<Descriptor>,
    tag: Option<&str>,
    name: &str,
) -> Result<Vec<Descriptor>, ImageError> {
    let annotated = |entry: &Descriptor, key| entry.annotations.get(key).cloned();
    let mut tags: Vec<String> = entries
        .iter()
        .filter_map(|entry| annotated(entry, REF_NAME))
        .collect();
    tags.sort();
    tags.dedup();
    let known = match tags.as_slice() {
        [] => "no tags".to_owned(),
        tags => first_few(tags),
    };
    let not_found = |message: String| ImageError::new(ImageErrorKind::NotFound, message);
    let Some(tag) = tag else {
        if entries.is_empty() {
            return Err(not_found(format!("{name} holds no image")));
        }
        if tags.len() > 1 {
            return Err(not_found(format!(
                "{name} holds several images; name one of its tags: {known}"
            )));
        }
        return Ok(entries);
    };
    let digest: Option<Digest> = tag.parse().ok();
    for key in [REF_NAME, CONTAINERD_NAME] {
        let fits = |entry: &Descriptor| annotated(entry, key).as_deref() == Some(tag);
        if entries.iter().any(fits) {
            return Ok(entries.into_iter().filter(fits).collect());
        }
    }
    let fits = |entry: &Descriptor| digest.is_some() && entry.digest().ok() == digest;
    if entries.iter().any(fits) {
        return Ok(entries.into_iter().filter(fits).collect());
    }
    Err(not_found(format!(
        "{name} has no tag {:?}; it has {known}",
        printable(tag)
    )))
}

impl<F: Files> Documents for LayoutSource<F> {
    fn document(&self, descriptor: &Descriptor, _: Role) -> Result<Vec<u8>, ImageError> {
        let digest = descriptor.digest()?;
        if descriptor.size > self.limit {
            return Err(too_large(
                &format!("document {digest}"),
                descriptor.size,
                self.limit,
            ));
        }
        let mut bytes = Vec::new();
        self.open_blob(digest, descriptor.size)?
            .read_to_end(&mut bytes)
            .map_err(|error| match crate::image_error_in(&error) {
                Some(known) => known.clone(),
                None => ImageError::io(
                    format!("cannot read document {digest} of {}", self.files.name()),
                    error,
                ),
            })?;
        Ok(bytes)
    }
}

impl<F: Files> Source for LayoutSource<F> {
    fn resolve(&self, choice: &PlatformChoice) -> Result<Resolved, ImageError> {
        resolve::resolve(self, self.roots()?, choice)
    }

    fn open_layer(
        &self,
        layer: &Layer,
        _: Option<&Path>,
    ) -> Result<Box<dyn Read + Send>, ImageError> {
        let digest = layer.digest.ok_or_else(|| {
            ImageError::new(
                ImageErrorKind::NotFound,
                "the layer is of another image: it has no digest",
            )
        })?;
        Ok(Box::new(self.open_blob(digest, layer.compressed_bytes)?))
    }
}
