//! The JSON documents of an image, as far as they are read; the whole text is kept beside them.
//!
//! Sources: OCI image specification (descriptor.md, image-index.md, manifest.md, config.md). Go's
//! writers spell empty lists and maps as `null`, so null is taken for empty everywhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use winlayer_digest::{DiffId, Digest};

use crate::{
    error::{ImageError, ImageErrorKind},
    media_type::{self, DocumentKind},
    platform::Platform,
    text::printable,
};

fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// A pointer to a blob: what it is, its digest and its size in bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) media_type: String,
    digest: String,
    pub(crate) size: u64,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) urls: Vec<String>,
    pub(crate) platform: Option<PlatformDocument>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub(crate) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes).to_string(),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            urls: Vec::new(),
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    pub(crate) fn digest(&self) -> Result<Digest, ImageError> {
        parse_digest(&self.digest)
    }
}

fn parse_digest(text: &str) -> Result<Digest, ImageError> {
    text.parse().map_err(|error| {
        let known = text
            .split_once(':')
            .is_some_and(|(algorithm, _)| matches!(algorithm, "sha512" | "sha384"));
        let kind = if known {
            ImageErrorKind::Unsupported
        } else {
            ImageErrorKind::Malformed
        };
        ImageError::new(kind, "a digest is not one winlayer can check").caused_by(error)
    })
}

/// `platform` of an index entry.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PlatformDocument {
    #[serde(default, deserialize_with = "null_is_empty")]
    os: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    architecture: String,
    #[serde(rename = "os.version")]
    os_version: Option<String>,
    #[serde(default, rename = "os.features", deserialize_with = "null_is_empty")]
    os_features: Vec<String>,
}

impl From<PlatformDocument> for Platform {
    fn from(document: PlatformDocument) -> Self {
        Self {
            os: document.os,
            architecture: document.architecture,
            os_version: document.os_version.filter(|version| !version.is_empty()),
            os_features: document.os_features,
        }
    }
}

/// OCI index or Docker manifest list.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Index {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) manifests: Vec<Descriptor>,
}

/// OCI manifest or Docker manifest, schema 2.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    /// Base first.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) layers: Vec<Descriptor>,
}

/// Image config.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(flatten)]
    platform: PlatformDocument,
    rootfs: RootFs,
}

#[derive(Clone, Debug, Deserialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    diff_ids: Vec<String>,
}

impl Config {
    pub(crate) fn platform(&self) -> Platform {
        self.platform.clone().into()
    }

    /// DiffIDs, base first, one for each of `layers` layers.
    pub(crate) fn diff_ids(&self, layers: usize) -> Result<Vec<DiffId>, ImageError> {
        let malformed = |message: String| ImageError::new(ImageErrorKind::Malformed, message);
        if self.rootfs.kind != "layers" {
            return Err(malformed(format!(
                "config: rootfs.type is {:?}, expected \"layers\"",
                printable(&self.rootfs.kind)
            )));
        }
        if self.rootfs.diff_ids.len() != layers {
            return Err(malformed(format!(
                "config lists {} diff_ids, but the manifest has {layers} layers; they must be as many",
                self.rootfs.diff_ids.len()
            )));
        }
        self.rootfs
            .diff_ids
            .iter()
            .map(|text| parse_digest(text).map(DiffId::new))
            .collect()
    }
}

/// One entry of `manifest.json` in a `docker save` archive.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SavedImage {
    pub(crate) config: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) repo_tags: Vec<String>,
    /// Base first.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) layers: Vec<String>,
}

/// Parses a document; `what` names it in the error ("manifest sha256:…").
pub(crate) fn parse<T: DeserializeOwned>(
    bytes: &[u8],
    what: &str,
) -> Result<(T, Value), ImageError> {
    let malformed = |error| {
        ImageError::new(
            ImageErrorKind::Malformed,
            format!("{what} is not what its specification says"),
        )
        .caused_by(error)
    };
    let value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    if !value.is_object() {
        // Serde would read an array as the fields in order; no other reader does.
        return Err(ImageError::new(
            ImageErrorKind::Malformed,
            format!("{what} is not a JSON object"),
        ));
    }
    let typed = T::deserialize(&value).map_err(malformed)?;
    Ok((typed, value))
}

/// What kind of document `bytes` is. `announced` is the media type it was served or listed under;
/// the document's own `mediaType` must not contradict it, and a document that could be read as
/// manifest *and* index is refused (two readers would see two images).
pub(crate) fn kind_of(
    bytes: &[u8],
    announced: &str,
    what: &str,
) -> Result<DocumentKind, ImageError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Outline {
        schema_version: Option<Value>,
        media_type: Option<String>,
        #[serde(default)]
        manifests: Option<Value>,
        #[serde(default)]
        layers: Option<Value>,
        #[serde(default)]
        config: Option<Value>,
        #[serde(default)]
        fs_layers: Option<Value>,
    }
    let refuse = |kind, message: String| Err(ImageError::new(kind, format!("{what}: {message}")));
    let (outline, _) = parse::<Outline>(bytes, what)?;
    let own = outline
        .media_type
        .as_deref()
        .filter(|text| !text.is_empty());
    let shape = match (
        outline.manifests.is_some(),
        outline.layers.is_some() || outline.config.is_some(),
    ) {
        (true, true) => {
            return refuse(
                ImageErrorKind::Malformed,
                "has the fields of a manifest and of an index".into(),
            );
        }
        (true, false) => Some(DocumentKind::Index),
        (false, true) => Some(DocumentKind::Manifest),
        (false, false) if outline.fs_layers.is_some() => Some(DocumentKind::Schema1),
        (false, false) => None,
    };
    let says = [Some(announced), own]
        .into_iter()
        .flatten()
        .filter_map(media_type::document_kind);
    let mut kinds = says.chain(shape);
    let Some(kind) = kinds.next() else {
        return refuse(
            ImageErrorKind::Unsupported,
            format!(
                "is neither an image manifest nor an index (media type {:?})",
                printable(own.unwrap_or(announced))
            ),
        );
    };
    if kind == DocumentKind::Schema1
        || outline.schema_version.as_ref().and_then(Value::as_u64) == Some(1)
    {
        return refuse(
            ImageErrorKind::Unsupported,
            "is a schema 1 manifest, which has no DiffIDs to check; push the image again with a current tool".into(),
        );
    }
    if kinds.any(|other| other != kind) {
        return refuse(
            ImageErrorKind::Malformed,
            format!(
                "was announced as {:?}, but is something else",
                printable(announced)
            ),
        );
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn config(rootfs: &str) -> Config {
        let text = format!(
            r#"{{"os":"windows","architecture":"amd64","os.version":"10.0.20348.1","os.features":null,"rootfs":{rootfs}}}"#
        );
        parse(text.as_bytes(), "config").unwrap().0
    }

    #[test]
    fn a_config_gives_platform_and_diff_ids() {
        let config = config(&format!(r#"{{"type":"layers","diff_ids":["{DIGEST}"]}}"#));
        assert_eq!(
            config.platform().os_version.as_deref(),
            Some("10.0.20348.1")
        );
        assert_eq!(config.diff_ids(1).unwrap()[0].to_string(), DIGEST);
        assert_eq!(
            config.diff_ids(2).unwrap_err().kind(),
            ImageErrorKind::Malformed
        );
    }

    #[test]
    fn other_rootfs_types_and_digests_are_refused() {
        for rootfs in [
            r#"{"type":"layers+base","diff_ids":["x"]}"#.to_owned(),
            r#"{"type":"layers","diff_ids":["x"]}"#.to_owned(),
        ] {
            assert_eq!(
                config(&rootfs).diff_ids(1).unwrap_err().kind(),
                ImageErrorKind::Malformed,
                "{rootfs}"
            );
        }
        let sha512 = format!(
            r#"{{"type":"layers","diff_ids":["sha512:{}"]}}"#,
            "0".repeat(128)
        );
        assert_eq!(
            config(&sha512).diff_ids(1).unwrap_err().kind(),
            ImageErrorKind::Unsupported
        );
    }

    #[test]
    fn diff_ids_that_are_no_strings_are_refused() {
        let text =
            br#"{"os":"windows","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[1]}}"#;
        assert_eq!(
            parse::<Config>(text, "config").unwrap_err().kind(),
            ImageErrorKind::Malformed
        );
    }

    #[test]
    fn null_lists_are_empty_lists() {
        let text = br#"{"mediaType":"x","digest":"d","size":1,"urls":null,"annotations":null}"#;
        let (descriptor, _) = parse::<Descriptor>(text, "x").unwrap();
        assert!(descriptor.urls.is_empty() && descriptor.annotations.is_empty());
        assert!(parse::<Descriptor>(br#"{"mediaType":"x","digest":"d","size":-1}"#, "x").is_err());
    }

    #[test]
    fn the_kind_comes_from_type_field_and_shape_together() {
        let kind = |text: &str, announced: &str| kind_of(text.as_bytes(), announced, "document");
        assert_eq!(
            kind(r#"{"manifests":[]}"#, "application/json").unwrap(),
            DocumentKind::Index
        );
        assert_eq!(
            kind(r#"{"config":{},"layers":[]}"#, "").unwrap(),
            DocumentKind::Manifest
        );
        assert_eq!(
            kind("{}", media_type::OCI_MANIFEST).unwrap(),
            DocumentKind::Manifest
        );
        for (text, announced, expected) in [
            (
                r#"{"manifests":[],"layers":[]}"#,
                "",
                ImageErrorKind::Malformed,
            ),
            (
                r#"{"manifests":[]}"#,
                media_type::OCI_MANIFEST,
                ImageErrorKind::Malformed,
            ),
            (
                r#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#,
                media_type::DOCKER_MANIFEST,
                ImageErrorKind::Malformed,
            ),
            (
                r#"{"schemaVersion":1,"fsLayers":[]}"#,
                "",
                ImageErrorKind::Unsupported,
            ),
            (r#"{"hello":1}"#, "text/html", ImageErrorKind::Unsupported),
            ("<html>", "text/html", ImageErrorKind::Malformed),
            ("[2]", media_type::OCI_INDEX, ImageErrorKind::Malformed),
        ] {
            assert_eq!(
                kind(text, announced).unwrap_err().kind(),
                expected,
                "{text}"
            );
        }
    }
}
