//! Media types of the documents and layers an image is made of.
//!
//! Sources: OCI image specification (media-types.md, layer.md) and the Docker image manifest
//! specification, version 2 schema 2.

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// What a top-level document is, told by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocumentKind {
    /// A list of manifests: OCI index or Docker manifest list.
    Index,
    /// One image: config and layers.
    Manifest,
    /// Docker's first manifest format, which has no config and no DiffIDs.
    Schema1,
}

/// The kind of a document; None for types that are no image document (`application/json`, …).
pub(crate) fn document_kind(media_type: &str) -> Option<DocumentKind> {
    match essence(media_type) {
        OCI_INDEX | DOCKER_LIST => Some(DocumentKind::Index),
        OCI_MANIFEST | DOCKER_MANIFEST => Some(DocumentKind::Manifest),
        "application/vnd.docker.distribution.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v1+prettyjws" => {
            Some(DocumentKind::Schema1)
        }
        _ => None,
    }
}

/// A media type without parameters such as `; charset=utf-8`.
pub(crate) fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or("").trim()
}

/// Whether a config of this type describes a container image. Old registries answered
/// `application/octet-stream` for configs, and manifests repeating that exist.
pub(crate) fn is_image_config(media_type: &str) -> bool {
    matches!(
        media_type,
        OCI_CONFIG | DOCKER_CONFIG | "application/octet-stream"
    )
}

/// Whether a layer can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerKind {
    /// A tar, plain or compressed as the bytes themselves tell.
    Tar,
    /// A tar that needs a key first.
    Encrypted,
    /// Compressed with something other than gzip and zstd.
    OtherCompression,
    /// No layer at all.
    Unknown,
}

pub(crate) fn layer_kind(media_type: &str) -> LayerKind {
    let (base, suffixes) = match media_type.split_once('+') {
        Some((base, suffixes)) => (base, suffixes),
        None => (media_type, ""),
    };
    let mut suffixes: Vec<&str> = suffixes
        .split('+')
        .filter(|suffix| !suffix.is_empty())
        .collect();
    let compression = match base {
        "application/vnd.oci.image.layer.v1.tar"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar" => None,
        _ => {
            let docker = [
                "application/vnd.docker.image.rootfs.diff.tar",
                "application/vnd.docker.image.rootfs.foreign.diff.tar",
            ]
            .iter()
            .find_map(|prefix| base.strip_prefix(prefix));
            match docker {
                Some("") => None,
                Some(compression) if compression.starts_with('.') => compression.get(1..),
                _ => return LayerKind::Unknown,
            }
        }
    };
    suffixes.extend(compression);
    if suffixes.contains(&"encrypted") {
        LayerKind::Encrypted
    } else if suffixes
        .iter()
        .all(|suffix| matches!(*suffix, "gzip" | "zstd"))
    {
        LayerKind::Tar
    } else {
        LayerKind::OtherCompression
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_windows_layer_type_is_read() {
        for media_type in [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.diff.tar.zstd",
            "application/vnd.docker.image.rootfs.foreign.diff.tar",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ] {
            assert_eq!(layer_kind(media_type), LayerKind::Tar, "{media_type}");
        }
    }

    #[test]
    fn what_is_no_readable_layer_is_told_apart() {
        for (media_type, kind) in [
            (
                "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
                LayerKind::Encrypted,
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+encrypted",
                LayerKind::Encrypted,
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip+encrypted",
                LayerKind::Encrypted,
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+xz",
                LayerKind::OtherCompression,
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.bzip2",
                LayerKind::OtherCompression,
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tarball",
                LayerKind::Unknown,
            ),
            (
                "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
                LayerKind::Unknown,
            ),
            ("application/octet-stream", LayerKind::Unknown),
            ("", LayerKind::Unknown),
        ] {
            assert_eq!(layer_kind(media_type), kind, "{media_type}");
        }
    }

    #[test]
    fn parameters_of_a_content_type_do_not_matter() {
        assert_eq!(
            document_kind("application/vnd.oci.image.index.v1+json; charset=utf-8"),
            Some(DocumentKind::Index)
        );
        assert_eq!(document_kind("application/json"), None);
    }
}
