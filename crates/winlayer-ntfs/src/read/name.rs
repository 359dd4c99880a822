//! Names: UTF-16 units on the volume, `String` outside.

use std::{cmp::Ordering, iter};

use winlayer_metadata::{FileAttributes, FileTime, FileTimes};
use zerocopy::FromBytes;

use crate::{FileReference, Namespace, format::FileNameHeader};

/// Stands before the four hexadecimal digits of a unit that is no character: no name can have it.
const ESCAPE: char = '\0';

/// A name as text. Half a surrogate pair becomes NUL and four hexadecimal digits.
pub(crate) fn text(units: &[u16]) -> String {
    let mut text = String::with_capacity(units.len());
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(character) => text.push(character),
            Err(lone) => {
                text.push(ESCAPE);
                text += &format!("{:04X}", lone.unpaired_surrogate());
            }
        }
    }
    text
}

/// The units of a text that [`text`] made, or any other.
pub(crate) fn units(text: &str) -> Vec<u16> {
    let mut parts = text.split(ESCAPE);
    let mut units: Vec<u16> = parts.next().unwrap_or_default().encode_utf16().collect();
    for part in parts {
        let digits = part.get(..4).map(|digits| u16::from_str_radix(digits, 16));
        match digits {
            Some(Ok(unit)) => {
                units.push(unit);
                units.extend(part.get(4..).unwrap_or_default().encode_utf16());
            }
            _ => units.extend(iter::once(0).chain(part.encode_utf16())),
        }
    }
    units
}

/// A `$FILE_NAME`, or the key of an entry in a directory.
#[derive(Clone, Debug)]
pub(crate) struct FileName {
    pub header: FileNameHeader,
    pub units: Vec<u16>,
}

impl FileName {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = FileNameHeader::read_from_prefix(bytes).ok()?;
        let name = rest.get(..usize::from(header.name_length) * 2)?;
        let name = name.as_chunks::<2>().0.iter();
        Some(Self {
            header,
            units: name.map(|&unit| u16::from_le_bytes(unit)).collect(),
        })
    }

    pub(crate) fn parent(&self) -> FileReference {
        FileReference::from_raw(self.header.parent.get())
    }

    pub(crate) fn namespace(&self) -> Namespace {
        Namespace(self.header.namespace)
    }

    pub(crate) fn times(&self) -> FileTimes {
        FileTimes {
            created: FileTime::from_ticks(self.header.created.get()),
            accessed: FileTime::from_ticks(self.header.accessed.get()),
            written: FileTime::from_ticks(self.header.written.get()),
            changed: FileTime::from_ticks(self.header.changed.get()),
        }
    }

    /// The attribute word with the bit for directories where Windows shows it.
    pub(crate) fn attributes(&self) -> FileAttributes {
        let word = self.header.attributes.get();
        shown_attributes(word, word & FileNameHeader::DIRECTORY != 0)
    }
}

/// What Windows shows for a stored attribute word.
pub(crate) fn shown_attributes(word: u32, directory: bool) -> FileAttributes {
    let word = word & !(FileNameHeader::DIRECTORY | FileNameHeader::VIEW);
    let mut shown = FileAttributes::from_bits_retain(word);
    shown.set(FileAttributes::DIRECTORY, directory);
    match shown.is_empty() {
        true => FileAttributes::NORMAL,
        false => shown,
    }
}

/// What an upcase table makes of names.
pub(crate) fn cmp_folded(upcase: &[u16], a: &[u16], b: &[u16]) -> Ordering {
    let fold = |&unit: &u16| upcase.get(usize::from(unit)).copied().unwrap_or(unit);
    a.iter().map(fold).cmp(b.iter().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_a_pair_is_told_from_every_other_name() {
        assert_eq!(text(&[0x61, 0xd800, 0x62]), "a\0D800b");
        assert_eq!(text(&[0xd83d, 0xde00]), "\u{1f600}");
        assert_eq!(text(&[0xfffd]), "\u{fffd}");
        assert_eq!(units("a\0D800b"), [0x61, 0xd800, 0x62]);
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in prop::collection::vec(1..=u16::MAX, 0..40)) {
            prop_assert_eq!(units(&text(&name)), name);
        }
    }
}
