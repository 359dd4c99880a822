//! Layers as the Host Compute Service names and describes them. Plain data, the same on every system.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Serialize;

use crate::{PlatformCode, PlatformError};

/// The identifier the platform knows a layer by: a GUID made from the last component of its folder's
/// path by `NameToGuid` of vmcompute.dll.
///
/// Text is lower-case `8-4-4-4-12`; the bytes kept here are in the order of that text.
///
/// ```
/// use winlayer_sys::LayerGuid;
/// let guid: LayerGuid = "bd9c3ef9-f239-59b5-a27e-15c523b1d149".parse()?;
/// assert_eq!(guid.to_string(), "bd9c3ef9-f239-59b5-a27e-15c523b1d149");
/// assert_eq!(guid.to_windows_bytes()[..8], [0xf9, 0x3e, 0x9c, 0xbd, 0x39, 0xf2, 0xb5, 0x59]);
/// # Ok::<(), winlayer_sys::InvalidLayerGuid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayerGuid([u8; 16]);

impl LayerGuid {
    /// From the bytes in the order of the text.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes in the order of the text.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// From a `GUID` in memory: the first three fields are little-endian (MS-DTYP 2.3.4.2).
    pub const fn from_windows_bytes(bytes: [u8; 16]) -> Self {
        Self(swap(bytes))
    }

    /// As a `GUID` in memory: the first three fields are little-endian (MS-DTYP 2.3.4.2).
    pub const fn to_windows_bytes(self) -> [u8; 16] {
        swap(self.0)
    }
}

/// Turns the fields of 4, 2 and 2 bytes round; its own inverse.
const fn swap(guid: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = guid;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

impl fmt::Display for LayerGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A text that is no GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a GUID: expected 32 hexadecimal digits as 8-4-4-4-12")]
pub struct InvalidLayerGuid;

impl FromStr for LayerGuid {
    type Err = InvalidLayerGuid;

    /// Upper case is accepted; braces are not.
    fn from_str(text: &str) -> Result<Self, InvalidLayerGuid> {
        let mut digits = 0u128;
        let mut count = 0;
        for (at, char) in text.char_indices() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if char != '-' {
                    return Err(InvalidLayerGuid);
                }
                continue;
            }
            let digit = char.to_digit(16).ok_or(InvalidLayerGuid)?;
            digits = digits << 4 | u128::from(digit);
            count += 1;
        }
        match count {
            32 => Ok(Self(digits.to_be_bytes())),
            _ => Err(InvalidLayerGuid),
        }
    }
}

/// A layer below another one. Lists of parents start with the immediate parent and end with the base
/// layer, in every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentLayer {
    /// The layer's folder, absolute.
    pub path: PathBuf,
    /// The layer's identifier; see `HostCompute::layer_guid`.
    pub id: LayerGuid,
}

/// A version of the schema of Host Compute Service documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SchemaVersion {
    /// The major version.
    pub major: u32,
    /// The minor version.
    pub minor: u32,
}

impl SchemaVersion {
    /// Known to Windows 10 1809 and Server 2019 (build 17763) and later.
    pub const V2_1: Self = Self { major: 2, minor: 1 };
    /// Known to Server 2022 (build 20348) and later.
    pub const V2_5: Self = Self { major: 2, minor: 5 };
}

/// The `layerData` document of computestorage.dll (hcsshim `computestorage/storage.go` `LayerData`):
/// the chain of parents, immediate parent first.
///
/// `FilterType` is left out: the layer filter (WCIFS) is what the platform takes then, and older
/// builds refuse a member they do not know.
///
/// ```
/// use winlayer_sys::{SchemaVersion, layer_data_json};
/// let json = layer_data_json(&[], SchemaVersion::V2_1)?;
/// assert_eq!(json, r#"{"SchemaVersion":{"Major":2,"Minor":1}}"#);
/// # Ok::<(), winlayer_sys::PlatformError>(())
/// ```
///
/// # Errors
///
/// ERROR_INVALID_NAME for a path that is not Unicode: the document could not name it.
pub fn layer_data_json(
    parents: &[ParentLayer],
    schema: SchemaVersion,
) -> Result<String, PlatformError> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct LayerData<'a> {
        schema_version: SchemaVersion,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        layers: Vec<Layer<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Layer<'a> {
        id: String,
        path: &'a str,
    }

    let invalid = |path: &Path| {
        let code = PlatformCode::Win32(123);
        PlatformError::new("layer data", path, code)
    };
    let layer = |parent: &'_ ParentLayer| -> Result<(), PlatformError> {
        parent
            .path
            .to_str()
            .map(drop)
            .ok_or_else(|| invalid(&parent.path))
    };
    parents.iter().try_for_each(layer)?;
    let layers = parents.iter().map(|parent| Layer {
        id: parent.id.to_string(),
        path: parent.path.to_str().unwrap_or_default(),
    });
    let data = LayerData {
        schema_version: schema,
        layers: layers.collect(),
    };
    // Numbers and strings: there is nothing serde_json could refuse.
    serde_json::to_string(&data).map_err(|_| invalid(Path::new("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "1532b584-8431-5b5a-8735-5e1b4fe9c2a9";

    #[test]
    fn a_guid_is_the_same_in_text_and_memory() {
        let guid: LayerGuid = NAME.parse().unwrap();
        assert_eq!(guid.to_string(), NAME);
        assert_eq!(NAME.to_uppercase().parse(), Ok(guid));
        let memory = guid.to_windows_bytes();
        assert_eq!(
            memory[..8],
            [0x84, 0xb5, 0x32, 0x15, 0x31, 0x84, 0x5a, 0x5b]
        );
        assert_eq!(memory[8..], guid.bytes()[8..]);
        assert_eq!(LayerGuid::from_windows_bytes(memory), guid);
        assert_eq!(LayerGuid::from_bytes(guid.bytes()), guid);
    }

    #[test]
    fn other_texts_are_no_guid() {
        for text in [
            "",
            "1532b58484315b5a87355e1b4fe9c2a9",
            "{1532b584-8431-5b5a-8735-5e1b4fe9c2a9}",
            "1532b584-8431-5b5a-8735-5e1b4fe9c2a",
            "1532b584-8431-5b5a-8735-5e1b4fe9c2a99",
            "1532b584-8431-5b5a-8735-5e1b4fe9c2ag",
            "1532b584-8431-5b5a-8735_5e1b4fe9c2a9",
            "1532b584-8431-5b5a-8735-5e1b4fe9c2a\u{e9}",
        ] {
            assert_eq!(text.parse::<LayerGuid>(), Err(InvalidLayerGuid), "{text}");
        }
    }

    #[test]
    fn layer_data_lists_the_immediate_parent_first() {
        let parent = |path: &str, id: &str| ParentLayer {
            path: path.into(),
            id: id.parse().unwrap(),
        };
        let parents = [
            parent(r"C:\layers\b2b8", NAME),
            parent("C:\\la\"yers\\4", "bd9c3ef9-f239-59b5-a27e-15c523b1d149"),
        ];
        assert_eq!(
            layer_data_json(&parents, SchemaVersion::V2_1).unwrap(),
            r#"{"SchemaVersion":{"Major":2,"Minor":1},"Layers":[{"Id":"1532b584-8431-5b5a-8735-5e1b4fe9c2a9","Path":"C:\\layers\\b2b8"},{"Id":"bd9c3ef9-f239-59b5-a27e-15c523b1d149","Path":"C:\\la\"yers\\4"}]}"#
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_path_the_document_cannot_name_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff")).to_owned();
        let id = NAME.parse().unwrap();
        let error = layer_data_json(&[ParentLayer { path, id }], SchemaVersion::V2_1).unwrap_err();
        assert_eq!(error.win32(), Some(123));
    }
}
