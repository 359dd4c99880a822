//! Values of a key.

use crate::{ValueName, name::utf16le};

/// A value's type (`REG_*`); unknown types are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueType(pub u32);

impl ValueType {
    /// `REG_NONE`
    pub const NONE: Self = Self(0);
    /// `REG_SZ`: UTF-16LE text with a terminating NUL.
    pub const STRING: Self = Self(1);
    /// `REG_EXPAND_SZ`: as a string, with `%NAME%` references.
    pub const EXPAND_STRING: Self = Self(2);
    /// `REG_BINARY`
    pub const BINARY: Self = Self(3);
    /// `REG_DWORD`: 32 bits, little-endian.
    pub const DWORD: Self = Self(4);
    /// `REG_MULTI_SZ`: NUL-terminated strings, then one more NUL.
    pub const MULTI_STRING: Self = Self(7);
    /// `REG_QWORD`: 64 bits, little-endian.
    pub const QWORD: Self = Self(11);
}

/// A type and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueData {
    /// How the bytes are meant.
    pub kind: ValueType,
    /// The bytes, exactly as stored.
    pub bytes: Vec<u8>,
}

impl ValueData {
    /// A `REG_SZ`.
    pub fn string(text: &str) -> Self {
        Self {
            kind: ValueType::STRING,
            bytes: terminated(text),
        }
    }

    /// A `REG_EXPAND_SZ`.
    pub fn expand_string(text: &str) -> Self {
        Self {
            kind: ValueType::EXPAND_STRING,
            bytes: terminated(text),
        }
    }

    /// A `REG_MULTI_SZ`.
    pub fn multi_string(texts: &[&str]) -> Self {
        let mut bytes: Vec<u8> = texts.iter().flat_map(|text| terminated(text)).collect();
        bytes.extend([0, 0]);
        Self {
            kind: ValueType::MULTI_STRING,
            bytes,
        }
    }

    /// A `REG_DWORD`.
    pub fn dword(number: u32) -> Self {
        Self {
            kind: ValueType::DWORD,
            bytes: number.to_le_bytes().to_vec(),
        }
    }

    /// A `REG_QWORD`.
    pub fn qword(number: u64) -> Self {
        Self {
            kind: ValueType::QWORD,
            bytes: number.to_le_bytes().to_vec(),
        }
    }

    /// A `REG_BINARY`.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            kind: ValueType::BINARY,
            bytes: bytes.into(),
        }
    }
}

fn terminated(text: &str) -> Vec<u8> {
    utf16le(text.encode_utf16().chain([0]))
}

/// What a value holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueContent {
    /// Data.
    Data(ValueData),
    /// Only in deltas: the value of this name in the hives below is gone.
    Tombstone,
}

/// A named value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its name; empty for the default value.
    pub name: ValueName,
    /// Its content.
    pub content: ValueContent,
}
