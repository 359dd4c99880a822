//! Values as people and programs read them.

use std::fmt::{self, Write};

use serde::Serialize;
use winlayer_hive::{HiveError, MergedValue, ValueData, ValueType};

/// The data of a value, by its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RegistryData {
    /// `REG_DWORD`, `REG_DWORD_BIG_ENDIAN`, `REG_QWORD`
    Number(u64),
    /// `REG_SZ`, `REG_EXPAND_SZ` (not expanded), `REG_LINK`
    Text(String),
    /// `REG_MULTI_SZ`
    Texts(Vec<String>),
    /// Everything else, and what does not fit its type: lower-case hexadecimal digits.
    Hex(String),
}

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistryValue {
    /// Its name; empty for the default value.
    pub name: String,
    /// `REG_SZ`, `REG_DWORD`, …; the number of an unknown type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it holds.
    pub data: RegistryData,
    /// The layer it is from, 1 for the base.
    pub layer: usize,
}

impl RegistryValue {
    pub(super) fn read(
        value: &MergedValue<'_>,
        layer: impl Fn(usize) -> usize,
    ) -> Result<Self, HiveError> {
        Ok(Self {
            name: value.name().to_text(),
            kind: kind_name(value.kind()),
            data: RegistryData::of(&value.data()?),
            layer: layer(value.hive()),
        })
    }
}

impl RegistryData {
    fn of(data: &ValueData<'_>) -> Self {
        if let Some(number) = data.to_u64() {
            return Self::Number(number);
        }
        match data.to_texts() {
            Some(texts) => Self::Texts(texts),
            None => match data.to_text() {
                Some(text) => Self::Text(text),
                None => Self::Hex(hex(&data.bytes)),
            },
        }
    }
}

/// Several texts on a line each.
impl fmt::Display for RegistryData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) | Self::Hex(text) => f.write_str(text),
            Self::Texts(texts) => f.write_str(&texts.join("\n")),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Names of the Windows headers (winnt.h).
fn kind_name(kind: ValueType) -> String {
    let name = match kind.0 {
        0 => "REG_NONE",
        1 => "REG_SZ",
        2 => "REG_EXPAND_SZ",
        3 => "REG_BINARY",
        4 => "REG_DWORD",
        5 => "REG_DWORD_BIG_ENDIAN",
        6 => "REG_LINK",
        7 => "REG_MULTI_SZ",
        8 => "REG_RESOURCE_LIST",
        9 => "REG_FULL_RESOURCE_DESCRIPTOR",
        10 => "REG_RESOURCE_REQUIREMENTS_LIST",
        11 => "REG_QWORD",
        other => return other.to_string(),
    };
    name.to_owned()
}
