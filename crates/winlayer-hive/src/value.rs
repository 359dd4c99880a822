//! Types and data of values.

use std::borrow::Cow;

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
    /// `REG_DWORD_BIG_ENDIAN`: 32 bits, big-endian.
    pub const DWORD_BIG_ENDIAN: Self = Self(5);
    /// `REG_LINK`: UTF-16LE path of a key, without a NUL.
    pub const LINK: Self = Self(6);
    /// `REG_MULTI_SZ`: NUL-terminated strings, then one more NUL.
    pub const MULTI_STRING: Self = Self(7);
    /// `REG_QWORD`: 64 bits, little-endian.
    pub const QWORD: Self = Self(11);
}

/// A type and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueData<'d> {
    /// How the bytes are meant.
    pub kind: ValueType,
    /// The bytes, exactly as stored.
    pub bytes: Cow<'d, [u8]>,
}

impl ValueData<'static> {
    /// A `REG_SZ`.
    pub fn string(text: &str) -> Self {
        Self::owned(ValueType::STRING, terminated(text).collect())
    }

    /// A `REG_EXPAND_SZ`.
    pub fn expand_string(text: &str) -> Self {
        Self::owned(ValueType::EXPAND_STRING, terminated(text).collect())
    }

    /// A `REG_MULTI_SZ`.
    pub fn multi_string(texts: &[&str]) -> Self {
        let texts = texts.iter().flat_map(|text| terminated(text));
        Self::owned(ValueType::MULTI_STRING, texts.chain([0, 0]).collect())
    }

    /// A `REG_DWORD`.
    pub fn dword(number: u32) -> Self {
        Self::owned(ValueType::DWORD, number.to_le_bytes().to_vec())
    }

    /// A `REG_QWORD`.
    pub fn qword(number: u64) -> Self {
        Self::owned(ValueType::QWORD, number.to_le_bytes().to_vec())
    }

    /// A `REG_BINARY`.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self::owned(ValueType::BINARY, bytes.into())
    }

    fn owned(kind: ValueType, bytes: Vec<u8>) -> Self {
        let bytes = Cow::Owned(bytes);
        Self { kind, bytes }
    }
}

impl ValueData<'_> {
    /// The text of a `REG_SZ`, `REG_EXPAND_SZ` or `REG_LINK` up to the first NUL, unpaired
    /// surrogates as U+FFFD; `None` for other types.
    pub fn to_text(&self) -> Option<String> {
        let kinds = [ValueType::STRING, ValueType::EXPAND_STRING, ValueType::LINK];
        kinds
            .contains(&self.kind)
            .then(|| text(self.units().take_while(|unit| *unit != 0)))
    }

    /// The strings of a `REG_MULTI_SZ` up to the empty one that ends them; `None` for other types.
    pub fn to_texts(&self) -> Option<Vec<String>> {
        if self.kind != ValueType::MULTI_STRING {
            return None;
        }
        let units: Vec<u16> = self.units().collect();
        let texts = units.split(|unit| *unit == 0);
        let texts = texts.take_while(|units| !units.is_empty());
        Some(texts.map(|units| text(units.iter().copied())).collect())
    }

    /// The number of a `REG_DWORD` or `REG_DWORD_BIG_ENDIAN` of four bytes.
    pub fn to_u32(&self) -> Option<u32> {
        let bytes = <[u8; 4]>::try_from(&*self.bytes).ok()?;
        match self.kind {
            ValueType::DWORD => Some(u32::from_le_bytes(bytes)),
            ValueType::DWORD_BIG_ENDIAN => Some(u32::from_be_bytes(bytes)),
            _ => None,
        }
    }

    /// The number of a `REG_QWORD` of eight bytes, or of what [`ValueData::to_u32`] takes.
    pub fn to_u64(&self) -> Option<u64> {
        match <[u8; 8]>::try_from(&*self.bytes) {
            Ok(bytes) if self.kind == ValueType::QWORD => Some(u64::from_le_bytes(bytes)),
            _ => self.to_u32().map(u64::from),
        }
    }

    /// The same, independent of the hive it is from.
    pub fn into_owned(self) -> ValueData<'static> {
        ValueData {
            kind: self.kind,
            bytes: Cow::Owned(self.bytes.into_owned()),
        }
    }

    fn units(&self) -> impl Iterator<Item = u16> {
        let (units, _) = self.bytes.as_chunks::<2>();
        units.iter().map(|unit| u16::from_le_bytes(*unit))
    }
}

fn text(units: impl Iterator<Item = u16>) -> String {
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

fn terminated(text: &str) -> impl Iterator<Item = u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_where_windows_ends_them() {
        assert_eq!(
            ValueData::string("a\u{1F600}").to_text().unwrap(),
            "a\u{1F600}"
        );
        assert_eq!(ValueData::string("a\0b").to_text().unwrap(), "a");
        let unterminated = ValueData {
            kind: ValueType::EXPAND_STRING,
            bytes: Cow::Borrowed(b"%\0x\0!"),
        };
        assert_eq!(unterminated.to_text().unwrap(), "%x");
        assert_eq!(ValueData::dword(1).to_text(), None);
        assert_eq!(
            ValueData::multi_string(&["a", "b"]).to_texts().unwrap(),
            ["a", "b"]
        );
        assert!(ValueData::multi_string(&[]).to_texts().unwrap().is_empty());
    }

    #[test]
    fn numbers_need_their_length() {
        assert_eq!(ValueData::dword(7).to_u32(), Some(7));
        assert_eq!(ValueData::dword(7).to_u64(), Some(7));
        assert_eq!(ValueData::qword(1 << 40).to_u64(), Some(1 << 40));
        let big_endian = ValueData {
            kind: ValueType::DWORD_BIG_ENDIAN,
            bytes: Cow::Borrowed(&[0, 0, 1, 2]),
        };
        assert_eq!(big_endian.to_u32(), Some(258));
        let short = ValueData {
            kind: ValueType::DWORD,
            bytes: Cow::Borrowed(&[1, 2]),
        };
        assert_eq!(short.to_u32(), None);
    }
}
