//! GUIDs as they lie on disk.

use std::{fmt, str::FromStr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A GUID: 16 bytes in the order they have on disk, the first three fields little-endian (RFC 4122
/// calls them `time_low`, `time_mid`, `time_hi_and_version`), the rest as they are read.
#[derive(
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(transparent)]
pub struct Guid([u8; 16]);

impl Guid {
    /// All zero: none.
    pub const NIL: Self = Self([0; 16]);

    /// From the bytes as they lie on disk.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes as they lie on disk.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// From the number whose 32 hexadecimal digits are the GUID's text without its hyphens.
    #[must_use]
    pub const fn from_u128(digits: u128) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = digits.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = rest;
        Self([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
    }

    /// The number whose 32 hexadecimal digits are the GUID's text without its hyphens.
    #[must_use]
    pub const fn to_u128(self) -> u128 {
        let swapped = Self::from_u128(u128::from_be_bytes(self.0));
        u128::from_be_bytes(swapped.0)
    }

    /// Whether all bytes are zero.
    #[must_use]
    pub fn is_nil(self) -> bool {
        self == Self::NIL
    }
}

/// As in `caa16737-fa36-4d43-b3b6-33f0aa44e76b`.
impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.to_u128();
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            digits >> 96,
            (digits >> 80) & 0xFFFF,
            (digits >> 64) & 0xFFFF,
            (digits >> 48) & 0xFFFF,
            digits & 0xFFFF_FFFF_FFFF
        )
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

/// A text that is no GUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is no GUID; 32 hexadecimal digits in groups of 8-4-4-4-12 are expected, braces are allowed"
)]
pub struct GuidError {
    /// The text, control characters escaped, cut to 100 characters.
    pub text: String,
}

/// Either case, with or without braces.
impl FromStr for Guid {
    type Err = GuidError;

    fn from_str(text: &str) -> Result<Self, GuidError> {
        let error = || GuidError {
            text: text
                .chars()
                .take(100)
                .flat_map(char::escape_default)
                .collect(),
        };
        let bare = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}').ok_or_else(error)?,
            None => text,
        };
        let groups: Vec<&str> = bare.split('-').collect();
        if !groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
            || !groups
                .iter()
                .all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return Err(error());
        }
        let digits = u128::from_str_radix(&groups.concat(), 16).map_err(|_| error())?;
        Ok(Self::from_u128(digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAT: Guid = Guid::from_u128(0x2DC27766_F623_4200_9D64_115E9BFD4A08);

    #[test]
    fn the_first_three_fields_are_little_endian_on_disk() {
        assert_eq!(
            BAT.to_bytes(),
            [
                0x66, 0x77, 0xC2, 0x2D, 0x23, 0xF6, 0x00, 0x42, 0x9D, 0x64, 0x11, 0x5E, 0x9B, 0xFD,
                0x4A, 0x08
            ]
        );
        assert_eq!(Guid::from_bytes(BAT.to_bytes()), BAT);
    }

    #[test]
    fn text_is_lower_case_and_either_is_read() {
        let text = "2dc27766-f623-4200-9d64-115e9bfd4a08";
        assert_eq!(BAT.to_string(), text);
        for form in [text.to_owned(), text.to_uppercase(), format!("{{{text}}}")] {
            assert_eq!(form.parse(), Ok(BAT));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "{2dc27766-f623-4200-9d64-115e9bfd4a08",
            "2dc27766f62342009d64115e9bfd4a08",
            "+dc27766-f623-4200-9d64-115e9bfd4a08",
            "2dc27766-f623-4200-9d64-115e9bfd4a0ü",
        ] {
            assert!(text.parse::<Guid>().is_err(), "{text}");
        }
    }
}
