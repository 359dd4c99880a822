//! One line of the metadata file: everything about an object that a plain file cannot hold.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use winlayer_metadata::{ExtendedAttributes, FileTimes, ReparsePoint, SecurityDescriptor};
use winlayer_tar::{Metadata, Object, ObjectKind};

use crate::merge::LayerNumber;

/// An object of the tree, as one JSON line. Keys that do not apply are left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// From the root of the tree, `/` between names; `.` for the root itself.
    pub(crate) path: String,
    /// `directory`, `file`, `symlink` or `junction`.
    pub(crate) kind: String,
    /// The layer that defines the object, 1 being the base.
    pub(crate) layer: usize,
    /// The name that carries everything else about this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hard_link_to: Option<String>,
    /// FILE_ATTRIBUTE_* bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attributes: Option<u32>,
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<Times>,
    /// Bytes of the content, and their CRC-32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc32: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) security: Option<Security>,
    /// FILE_FULL_EA_INFORMATION list (MS-FSCC 2.4.16), base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) eas: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reparse: Option<Reparse>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) streams: Vec<Stream>,
    /// A directory no layer has an entry for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) implicit: bool,
}

/// The four times of an object, RFC 3339 in UTC with seven digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) created: String,
    pub(crate) accessed: String,
    pub(crate) written: String,
    pub(crate) changed: String,
}

/// A security descriptor, to read and to restore.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Security {
    pub(crate) sddl: String,
    /// Self-relative SECURITY_DESCRIPTOR (MS-DTYP 2.4.6), base64.
    pub(crate) raw: String,
}

/// A reparse point.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reparse {
    /// REPARSE_DATA_BUFFER (MS-FSCC 2.1.2), base64.
    pub(crate) raw: String,
    /// The target as Windows shows it.
    pub(crate) target: Option<String>,
    /// The link is a directory in Windows.
    pub(crate) directory: bool,
    /// What the tree has at this name.
    pub(crate) stands_as: StandsAs,
}

/// How a link is represented in the tree.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StandsAs {
    /// A relative symbolic link with this text.
    Symlink(String),
    /// An empty file, because the target lies outside.
    #[default]
    EmptyFile,
    /// An empty directory, because the target lies outside.
    EmptyDirectory,
}

/// An alternate data stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) crc32: u32,
    /// Base64; left out when larger than 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
}

impl Record {
    /// The line of a visible object, but for its content and streams.
    pub(crate) fn of(path: String, layer: Option<LayerNumber>, object: &Object) -> Self {
        let Metadata {
            attributes,
            times,
            security,
            extended_attributes,
        } = &object.metadata;
        let (kind, reparse) = match &object.kind {
            ObjectKind::Directory => ("directory", None),
            ObjectKind::File { .. } => ("file", None),
            ObjectKind::Link { reparse, directory } => {
                let kind = link_kind(reparse);
                (kind, Some(Reparse::of(reparse, *directory)))
            }
        };
        Self {
            path,
            kind: kind.to_owned(),
            layer: layer.map_or(0, LayerNumber::get),
            attributes: Some(attributes.bits()),
            times: Some(Times::of(times)),
            security: security.as_deref().map(Security::of),
            eas: (!extended_attributes.is_empty()).then(|| encode_eas(extended_attributes)),
            reparse,
            ..Self::default()
        }
    }

    /// The line of a directory that no layer describes.
    pub(crate) fn implicit(path: String, layer: Option<LayerNumber>) -> Self {
        Self {
            path,
            kind: "directory".to_owned(),
            layer: layer.map_or(0, LayerNumber::get),
            implicit: true,
            ..Self::default()
        }
    }

    /// The line of a further name.
    pub(crate) fn hard_link(
        path: String,
        layer: Option<LayerNumber>,
        kind: &str,
        to: String,
    ) -> Self {
        Self {
            path,
            kind: kind.to_owned(),
            layer: layer.map_or(0, LayerNumber::get),
            hard_link_to: Some(to),
            ..Self::default()
        }
    }
}

/// `symlink` or `junction`.
pub(crate) fn link_kind(reparse: &ReparsePoint) -> &'static str {
    match reparse.tag() {
        winlayer_metadata::ReparseTag::MOUNT_POINT => "junction",
        _ => "symlink",
    }
}

impl Times {
    fn of(times: &FileTimes) -> Self {
        Self {
            created: times.created.to_string(),
            accessed: times.accessed.to_string(),
            written: times.written.to_string(),
            changed: times.changed.to_string(),
        }
    }
}

impl Security {
    fn of(descriptor: &SecurityDescriptor) -> Self {
        Self {
            sddl: descriptor.to_sddl(),
            raw: STANDARD.encode(descriptor.as_bytes()),
        }
    }
}

impl Reparse {
    fn of(reparse: &ReparsePoint, directory: bool) -> Self {
        Self {
            raw: STANDARD.encode(reparse.as_bytes()),
            target: reparse.target().map(str::to_owned),
            directory,
            stands_as: StandsAs::default(),
        }
    }
}

impl Stream {
    /// Content above this size is only named, measured and hashed.
    pub(crate) const LARGEST_KEPT: u64 = 64 << 10;

    pub(crate) fn new(name: &str, size: u64, crc32: u32, content: Option<&[u8]>) -> Self {
        let content = content.map(|content| STANDARD.encode(content));
        Self {
            name: name.to_owned(),
            size,
            crc32,
            content,
        }
    }
}

fn encode_eas(attributes: &ExtendedAttributes) -> String {
    let mut list = Vec::with_capacity(attributes.encoded_len());
    attributes.encode_into(&mut list);
    STANDARD.encode(list)
}
