//! A name as a hive stores it.

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use super::{list_hash, printable, upcase};

/// The name of a key or value as it is stored: Latin-1 or UTF-16LE bytes.
///
/// Equality, order and hash ignore case. `Display` is for messages: control characters escaped, cut
/// to 100 characters; see [`Name::to_text`] for the whole name.
#[derive(Clone)]
pub struct Name<'n> {
    bytes: Cow<'n, [u8]>,
    is_latin1: bool,
}

impl<'n> Name<'n> {
    /// `None` for half a UTF-16 unit.
    pub(crate) fn stored(bytes: Cow<'n, [u8]>, is_latin1: bool) -> Option<Self> {
        (is_latin1 || bytes.len().is_multiple_of(2)).then_some(Self { bytes, is_latin1 })
    }

    /// A name in the form hives prefer: Latin-1 when it has such a spelling.
    pub(crate) fn from_units(units: impl Iterator<Item = u16> + Clone) -> Self {
        let narrow: Option<Vec<u8>> = units.clone().map(|unit| u8::try_from(unit).ok()).collect();
        match narrow {
            Some(bytes) => Self {
                bytes: bytes.into(),
                is_latin1: true,
            },
            None => Self {
                bytes: units.flat_map(u16::to_le_bytes).collect(),
                is_latin1: false,
            },
        }
    }

    /// The bytes as stored.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether they are Latin-1, not UTF-16LE.
    pub(crate) fn is_latin1(&self) -> bool {
        self.is_latin1
    }

    /// Whether it is the default value's.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Length in UTF-16 units.
    pub fn len(&self) -> usize {
        self.bytes.len() / if self.is_latin1 { 1 } else { 2 }
    }

    /// The UTF-16 units, which need not be valid Unicode.
    pub fn units(&self) -> impl Iterator<Item = u16> + Clone {
        let (narrow, wide) = if self.is_latin1 {
            (&*self.bytes, &[][..])
        } else {
            (&[][..], self.bytes.as_chunks::<2>().0)
        };
        let wide = wide.iter().map(|unit| u16::from_le_bytes(*unit));
        narrow.iter().copied().map(u16::from).chain(wide)
    }

    /// The whole name, unpaired surrogates as U+FFFD. May contain any character.
    pub fn to_text(&self) -> String {
        char::decode_utf16(self.units())
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }

    pub(crate) fn is_ascii(&self) -> bool {
        self.units().all(|unit| unit < 0x80)
    }

    pub(crate) fn list_hash(&self) -> u32 {
        list_hash(self.units())
    }

    /// Whether an `lf` list may mean this ASCII name by these letters: those up to a NUL count.
    pub(crate) fn may_start_with(&self, letters: [u8; 4]) -> bool {
        let hint = letters.iter().take_while(|letter| **letter != 0);
        hint.zip(self.units())
            .all(|(letter, unit)| *letter >= 0x80 || upcase(u16::from(*letter)) == upcase(unit))
    }
}

impl From<&str> for Name<'_> {
    fn from(name: &str) -> Self {
        Self::from_units(name.encode_utf16())
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Name<'_> {}

impl PartialEq<str> for Name<'_> {
    fn eq(&self, other: &str) -> bool {
        self.units()
            .map(upcase)
            .eq(other.encode_utf16().map(upcase))
    }
}

impl PartialOrd for Name<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.is_latin1 && other.is_latin1 {
            let upper = |byte: &u8| upcase(u16::from(*byte));
            return self
                .bytes
                .iter()
                .map(upper)
                .cmp(other.bytes.iter().map(upper));
        }
        self.units().map(upcase).cmp(other.units().map(upcase))
    }
}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for unit in self.units().map(upcase) {
            state.write_u16(unit);
        }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(self.units()))
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
