//! Names of keys and values: sequences of UTF-16 units, compared after upper-casing each unit.

mod stored;

use std::{cmp::Ordering, fmt};

pub use stored::Name;

use crate::HiveError;

/// Most UTF-16 units of a key name.
const KEY_NAME_UNITS: usize = 255;
/// Most UTF-16 units of a value name.
const VALUE_NAME_UNITS: usize = 16383;

/// A key's name: 1 to 255 UTF-16 units, no backslash.
///
/// Equality and order ignore case, as the kernel does when it looks a key up.
#[derive(Clone)]
pub struct KeyName(Box<[u16]>);

/// A value's name: at most 16383 UTF-16 units; the empty name is the key's default value.
///
/// Equality and order ignore case.
#[derive(Clone)]
pub struct ValueName(Box<[u16]>);

impl KeyName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`HiveError::KeyName`] when it is empty, too long or contains a backslash.
    pub fn new(name: &str) -> Result<Self, HiveError> {
        Self::from_units(name.encode_utf16().collect())
    }

    /// Checks a name given as UTF-16 units, which need not be valid Unicode.
    ///
    /// # Errors
    /// As for [`KeyName::new`].
    pub fn from_units(units: Box<[u16]>) -> Result<Self, HiveError> {
        let rule = if units.is_empty() {
            "is empty"
        } else if units.len() > KEY_NAME_UNITS {
            "is longer than 255 UTF-16 units"
        } else if units.contains(&u16::from(b'\\')) {
            "contains a backslash"
        } else {
            return Ok(Self(units));
        };
        Err(HiveError::KeyName {
            name: printable(units.iter().copied()),
            rule,
        })
    }

    /// The name every new hive gives its root key.
    pub(crate) fn root() -> Self {
        Self("ROOT".encode_utf16().collect())
    }

    /// The UTF-16 units.
    pub fn units(&self) -> &[u16] {
        &self.0
    }
}

impl ValueName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`HiveError::ValueName`] when it is too long.
    pub fn new(name: &str) -> Result<Self, HiveError> {
        Self::from_units(name.encode_utf16().collect())
    }

    /// Checks a name given as UTF-16 units, which need not be valid Unicode.
    ///
    /// # Errors
    /// As for [`ValueName::new`].
    pub fn from_units(units: Box<[u16]>) -> Result<Self, HiveError> {
        if units.len() > VALUE_NAME_UNITS {
            return Err(HiveError::ValueName { units: units.len() });
        }
        Ok(Self(units))
    }

    /// The UTF-16 units.
    pub fn units(&self) -> &[u16] {
        &self.0
    }
}

macro_rules! name_traits {
    ($name:ident) => {
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0
                    .iter()
                    .copied()
                    .map(upcase)
                    .cmp(other.0.iter().copied().map(upcase))
            }
        }

        /// Control characters escaped, unpaired surrogates as U+FFFD, cut to 100 characters.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&printable(self.0.iter().copied()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{self}\"")
            }
        }
    };
}

name_traits!(KeyName);
name_traits!(ValueName);

/// The hash an `lh` list stores beside each key: `h = 37 h + upper-cased unit`.
fn list_hash(units: impl Iterator<Item = u16>) -> u32 {
    units.fold(0_u32, |hash, unit| {
        hash.wrapping_mul(37).wrapping_add(u32::from(upcase(unit)))
    })
}

/// A name as messages show it.
fn printable(units: impl Iterator<Item = u16>) -> String {
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .take(100)
        .fold(String::new(), |mut text, letter| {
            if letter.is_control() {
                text.extend(letter.escape_unicode());
            } else {
                text.push(letter);
            }
            text
        })
}

/// Upper-cases one unit as the kernel does: one unit to one unit, and never a letter outside ASCII
/// to one inside (dotless i and long s stay what they are).
pub(crate) fn upcase(unit: u16) -> u16 {
    match unit {
        0x61..=0x7A => unit - 0x20,
        0..=0x7F => unit,
        _ => upcase_beyond_ascii(unit),
    }
}

fn upcase_beyond_ascii(unit: u16) -> u16 {
    let Some(letter) = char::from_u32(u32::from(unit)) else {
        return unit;
    };
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) if !upper.is_ascii() => u16::try_from(u32::from(upper)).unwrap_or(unit),
        _ => unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_by_upper_case_unit_by_unit() {
        let order = |a: &str, b: &str| KeyName::new(a).unwrap().cmp(&KeyName::new(b).unwrap());
        assert_eq!(order("software", "SOFTWARE"), Ordering::Equal);
        assert_eq!(order("é", "É"), Ordering::Equal);
        assert_eq!(
            order("a_b", "aab"),
            Ordering::Greater,
            "`_` sorts after `A`, not before `a`"
        );
        assert_eq!(
            order("ı", "I"),
            Ordering::Greater,
            "dotless i is a letter of its own"
        );
        assert_eq!(
            order("ß", "SS"),
            Ordering::Greater,
            "sharp s has no single upper case"
        );
    }

    #[test]
    fn refuses_names_the_kernel_refuses() {
        assert!(KeyName::new("").is_err());
        assert!(KeyName::new(r"a\b").is_err());
        assert!(KeyName::new(&"k".repeat(256)).is_err());
        assert!(KeyName::new(&"k".repeat(255)).is_ok());
        assert!(ValueName::new("").is_ok(), "the default value");
        assert!(ValueName::new(&"v".repeat(16384)).is_err());
        assert!(ValueName::new(&"v".repeat(16383)).is_ok());
    }

    #[test]
    fn messages_never_carry_control_characters() {
        let error = KeyName::new("\u{1b}[2J\\").unwrap_err();
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }

    // The hash of "Select" worked by hand from the published rule.
    #[test]
    fn the_list_hash_multiplies_by_37() {
        let by_hand = "SELECT"
            .bytes()
            .fold(0_u32, |h, b| h.wrapping_mul(37).wrapping_add(b.into()));
        assert_eq!(Name::from("Select").list_hash(), by_hand);
    }
}
