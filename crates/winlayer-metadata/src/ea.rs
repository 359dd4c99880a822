//! Extended attributes.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Head of one `FILE_FULL_EA_INFORMATION` entry (MS-FSCC 2.4.16); name, NUL and value follow, then zeros up to a multiple of 4.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct EntryHeader {
    /// Offset 0: bytes from here to the next entry, a multiple of 4; 0 in the last.
    next: U32,
    /// Offset 4: 0x80 = `FILE_NEED_EA`.
    flags: u8,
    /// Offset 5: bytes of the name without its NUL; never 0.
    name_len: u8,
    /// Offset 6: bytes of the value.
    value_len: U16,
}
const _: () = assert!(size_of::<EntryHeader>() == 8);

/// Bytes beside name and value: the header and the NUL after the name.
const OVERHEAD: usize = size_of::<EntryHeader>() + 1;

/// One extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExtendedAttribute {
    /// 0, or [`ExtendedAttribute::NEED_EA`].
    pub flags: u8,
    /// 1 to 255 single-byte characters without NUL. NTFS stores names in upper case.
    pub name: Vec<u8>,
    /// At most 65535 bytes.
    pub value: Vec<u8>,
}

impl ExtendedAttribute {
    /// `FILE_NEED_EA`: the file must not be opened by who does not understand extended attributes.
    pub const NEED_EA: u8 = 0x80;

    fn encoded_len(&self) -> usize {
        (OVERHEAD + self.name.len() + self.value.len()).next_multiple_of(4)
    }
}

/// The extended attributes of a file, in one order: sorted by ASCII-upper-cased name, each name once.
///
/// The encoded list takes at most 65535 bytes, which is what NTFS can store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct ExtendedAttributes(Vec<ExtendedAttribute>);

/// What is wrong with a list of extended attributes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EaError {
    /// The list ends inside an entry.
    #[error("extended attribute at offset {offset} needs {needed} bytes, {left} are left")]
    Truncated {
        /// Bytes from the start of the list to the entry.
        offset: usize,
        /// Bytes the entry takes.
        needed: usize,
        /// Bytes from the entry to the end of the list.
        left: usize,
    },
    /// The distance to the next entry is not a multiple of 4, lies inside the entry, or leads out of the list.
    #[error(
        "extended attribute at offset {offset} says the next one follows after {next} bytes, expected a multiple of 4 from {entry_len} to less than {left}"
    )]
    BadNextOffset {
        /// Bytes from the start of the list to the entry.
        offset: usize,
        /// The distance found.
        next: usize,
        /// Bytes the entry takes.
        entry_len: usize,
        /// Bytes from the entry to the end of the list.
        left: usize,
    },
    /// The byte after a name is not NUL.
    #[error("name of the extended attribute at offset {offset} does not end with a NUL")]
    MissingNul {
        /// Bytes from the start of the list to the entry.
        offset: usize,
    },
    /// Bytes other than zero follow the last entry.
    #[error("data follows the last extended attribute, which ends at offset {offset}")]
    TrailingData {
        /// Bytes from the start of the list to the end of the last entry.
        offset: usize,
    },
    /// A name is empty, longer than 255 bytes, or contains NUL.
    #[error("extended attribute name \"{}\" is not 1 to 255 bytes without NUL", show(.name))]
    BadName {
        /// The name found.
        name: Vec<u8>,
    },
    /// Two names are equal without regard to ASCII case.
    #[error("extended attribute \"{}\" is given twice", show(.name))]
    Duplicate {
        /// The name found twice.
        name: Vec<u8>,
    },
    /// A value is longer than 65535 bytes.
    #[error("value of extended attribute \"{}\" takes {len} bytes, at most 65535 are possible", show(.name))]
    ValueTooLong {
        /// The name of the attribute.
        name: Vec<u8>,
        /// Bytes of the value.
        len: usize,
    },
    /// The encoded list is longer than NTFS can store.
    #[error("extended attributes take {len} bytes together, at most 65535 are possible")]
    ListTooLong {
        /// Bytes of the encoded list.
        len: usize,
    },
}

fn show(name: &[u8]) -> String {
    crate::text::excerpt(&String::from_utf8_lossy(name))
}

impl ExtendedAttributes {
    /// Reads a `FILE_FULL_EA_INFORMATION` list. No bytes are an empty list; the last entry may lack its padding.
    ///
    /// # Errors
    /// An entry that does not fit, overlaps the next or is not aligned; and what [`from_list`](Self::from_list) refuses.
    pub fn parse(list: &[u8]) -> Result<Self, EaError> {
        let mut attributes = Vec::new();
        let mut offset = 0;
        let mut rest = list;
        while !rest.is_empty() {
            let (attribute, entry_len, next) = parse_entry(rest, offset)?;
            attributes.push(attribute);
            if next == 0 {
                if rest.iter().skip(entry_len).any(|byte| *byte != 0) {
                    return Err(EaError::TrailingData {
                        offset: offset + entry_len,
                    });
                }
                break;
            }
            let bad_next = EaError::BadNextOffset {
                offset,
                next,
                entry_len,
                left: rest.len(),
            };
            rest = match rest.get(next..) {
                Some(after) if next >= entry_len && next % 4 == 0 && !after.is_empty() => after,
                _ => return Err(bad_next),
            };
            offset += next;
        }
        Self::from_list(attributes)
    }

    /// Sorts and checks a list.
    ///
    /// # Errors
    /// Names that are empty, longer than 255 bytes, contain NUL or are equal without regard to ASCII case; values longer than
    /// 65535 bytes; a list that takes more than 65535 bytes encoded.
    pub fn from_list(mut list: Vec<ExtendedAttribute>) -> Result<Self, EaError> {
        for attribute in &list {
            let name = &attribute.name;
            if name.is_empty() || name.len() > usize::from(u8::MAX) || name.contains(&0) {
                return Err(EaError::BadName { name: name.clone() });
            }
            if attribute.value.len() > usize::from(u16::MAX) {
                return Err(EaError::ValueTooLong {
                    name: name.clone(),
                    len: attribute.value.len(),
                });
            }
        }
        let upper = |a: &ExtendedAttribute| a.name.to_ascii_uppercase();
        list.sort_by_cached_key(upper);
        if let Some([twice, _]) = list
            .array_windows()
            .find(|[a, b]| a.name.eq_ignore_ascii_case(&b.name))
        {
            return Err(EaError::Duplicate {
                name: twice.name.clone(),
            });
        }
        let attributes = Self(list);
        let len = attributes.encoded_len();
        if len > usize::from(u16::MAX) {
            return Err(EaError::ListTooLong { len });
        }
        Ok(attributes)
    }

    /// Whether there are none; an empty list has no `EA_DATA` record.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The attributes, sorted by name.
    pub fn iter(&self) -> std::slice::Iter<'_, ExtendedAttribute> {
        self.0.iter()
    }

    /// Bytes [`encode_into`](Self::encode_into) appends: at most 65535, a multiple of 4.
    pub fn encoded_len(&self) -> usize {
        self.0.iter().map(ExtendedAttribute::encoded_len).sum()
    }

    /// Appends the `FILE_FULL_EA_INFORMATION` list, every entry including the last padded with zeros to a multiple of 4.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        let mut entries = self.0.iter().peekable();
        while let Some(attribute) = entries.next() {
            let len = attribute.encoded_len();
            let next = if entries.peek().is_some() { len } else { 0 };
            // The casts cannot cut: `from_list` checked the sizes.
            let header = EntryHeader {
                next: U32::new(next as u32),
                flags: attribute.flags,
                name_len: attribute.name.len() as u8,
                value_len: U16::new(attribute.value.len() as u16),
            };
            let end = out.len() + len;
            out.extend_from_slice(header.as_bytes());
            out.extend_from_slice(&attribute.name);
            out.push(0);
            out.extend_from_slice(&attribute.value);
            out.resize(end, 0);
        }
    }
}

impl<'a> IntoIterator for &'a ExtendedAttributes {
    type Item = &'a ExtendedAttribute;
    type IntoIter = std::slice::Iter<'a, ExtendedAttribute>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The entry at the start of `bytes`, its length without padding, and the distance to the next.
fn parse_entry(bytes: &[u8], offset: usize) -> Result<(ExtendedAttribute, usize, usize), EaError> {
    let truncated = |needed| EaError::Truncated {
        offset,
        needed,
        left: bytes.len(),
    };
    let (header, body) = EntryHeader::ref_from_prefix(bytes).map_err(|_| truncated(OVERHEAD))?;
    let (name_len, value_len) = (
        usize::from(header.name_len),
        usize::from(header.value_len.get()),
    );
    let entry_len = OVERHEAD + name_len + value_len;
    let short = || truncated(entry_len);
    let (name, body) = body.split_at_checked(name_len).ok_or_else(short)?;
    let (nul, body) = body.split_first().ok_or_else(short)?;
    let value = body.get(..value_len).ok_or_else(short)?;
    if *nul != 0 {
        return Err(EaError::MissingNul { offset });
    }
    let attribute = ExtendedAttribute {
        flags: header.flags,
        name: name.to_vec(),
        value: value.to_vec(),
    };
    Ok((attribute, entry_len, header.next.get() as usize))
}

#[cfg(test)]
mod tests {
    use super::{EaError, ExtendedAttribute, ExtendedAttributes};
    use proptest::prelude::*;

    /// foo = bar, fizz = buzz: the vector of go-winio's ea_test.go.
    const FOO_FIZZ: [u8; 36] = [
        0x10, 0, 0, 0, 0, 3, 3, 0, b'f', b'o', b'o', 0, b'b', b'a', b'r', 0, //
        0, 0, 0, 0, 0, 4, 4, 0, b'f', b'i', b'z', b'z', 0, b'b', b'u', b'z', b'z', 0, 0, 0,
    ];

    fn ea(name: &str, value: &str) -> ExtendedAttribute {
        ExtendedAttribute {
            flags: 0,
            name: name.into(),
            value: value.into(),
        }
    }

    fn list(eas: &[ExtendedAttribute]) -> ExtendedAttributes {
        ExtendedAttributes::from_list(eas.to_vec()).unwrap()
    }

    fn encode(eas: &ExtendedAttributes) -> Vec<u8> {
        let mut out = Vec::new();
        eas.encode_into(&mut out);
        out
    }

    #[test]
    fn reads_the_go_winio_vector() {
        assert_eq!(
            ExtendedAttributes::parse(&FOO_FIZZ),
            Ok(list(&[ea("foo", "bar"), ea("fizz", "buzz")]))
        );
    }

    #[test]
    fn writes_the_go_winio_vector_in_sorted_order() {
        let mut expected = FOO_FIZZ[16..].to_vec();
        expected[0] = 20;
        expected.extend_from_slice(&FOO_FIZZ[..16]);
        expected[20] = 0;
        assert_eq!(
            encode(&list(&[ea("foo", "bar"), ea("fizz", "buzz")])),
            expected
        );
    }

    #[test]
    fn writes_the_second_entry_of_the_vector_alone() {
        assert_eq!(encode(&list(&[ea("fizz", "buzz")])), FOO_FIZZ[16..]);
    }

    #[test]
    fn accepts_a_missing_or_generous_tail() {
        let both = ExtendedAttributes::parse(&FOO_FIZZ).unwrap();
        assert_eq!(ExtendedAttributes::parse(&FOO_FIZZ[..33]), Ok(both.clone()));
        assert_eq!(
            ExtendedAttributes::parse(&[&FOO_FIZZ[..], &[0; 12]].concat()),
            Ok(both)
        );
        let dirty = [&FOO_FIZZ[..], &[1]].concat();
        assert_eq!(
            ExtendedAttributes::parse(&dirty),
            Err(EaError::TrailingData { offset: 33 })
        );
    }

    #[test]
    fn an_empty_list_is_no_bytes() {
        assert_eq!(
            ExtendedAttributes::parse(&[]),
            Ok(ExtendedAttributes::default())
        );
        assert!(encode(&ExtendedAttributes::default()).is_empty());
    }

    #[test]
    fn refuses_a_next_offset_that_overlaps_or_leaves_the_list() {
        for next in [1_u8, 4, 12, 14, 15, 17, 36, 40, 255] {
            let mut bytes = FOO_FIZZ;
            bytes[0] = next;
            let error = EaError::BadNextOffset {
                offset: 0,
                next: next.into(),
                entry_len: 15,
                left: 36,
            };
            assert_eq!(ExtendedAttributes::parse(&bytes), Err(error));
        }
        let mut bytes = FOO_FIZZ;
        bytes[..4].fill(0xff);
        assert!(matches!(
            ExtendedAttributes::parse(&bytes),
            Err(EaError::BadNextOffset { .. })
        ));
    }

    #[test]
    fn refuses_every_cut_but_the_padding_of_the_last_entry() {
        for len in 17..33 {
            let found = ExtendedAttributes::parse(&FOO_FIZZ[..len]);
            assert!(
                matches!(found, Err(EaError::Truncated { offset: 16, .. })),
                "{len}: {found:?}"
            );
        }
        for len in 1..15 {
            let found = ExtendedAttributes::parse(&FOO_FIZZ[..len]);
            assert!(
                matches!(found, Err(EaError::Truncated { offset: 0, .. })),
                "{len}: {found:?}"
            );
        }
    }

    #[test]
    fn refuses_a_name_without_its_nul() {
        let mut bytes = FOO_FIZZ;
        bytes[11] = b'!';
        assert_eq!(
            ExtendedAttributes::parse(&bytes),
            Err(EaError::MissingNul { offset: 0 })
        );
    }

    #[test]
    fn refuses_names_that_are_empty_long_or_hold_a_nul() {
        for name in [String::new(), "x".repeat(256), "a\0b".into()] {
            let found = ExtendedAttributes::from_list(vec![ea(&name, "")]);
            assert!(matches!(found, Err(EaError::BadName { .. })), "{name:?}");
        }
        assert!(ExtendedAttributes::from_list(vec![ea(&"x".repeat(255), "")]).is_ok());
    }

    #[test]
    fn refuses_names_equal_without_case() {
        let found =
            ExtendedAttributes::from_list(vec![ea("Foo", "1"), ea("x", ""), ea("fOO", "2")]);
        assert_eq!(
            found,
            Err(EaError::Duplicate {
                name: b"Foo".to_vec()
            })
        );
    }

    #[test]
    fn refuses_values_and_lists_beyond_64_kib() {
        let found = ExtendedAttributes::from_list(vec![ea("a", &"v".repeat(65_536))]);
        assert_eq!(
            found,
            Err(EaError::ValueTooLong {
                name: b"a".to_vec(),
                len: 65_536
            })
        );
        let found = ExtendedAttributes::from_list(vec![ea("a", &"v".repeat(65_535))]);
        assert_eq!(found, Err(EaError::ListTooLong { len: 65_548 }));
        let longest = list(&[ea("a", &"v".repeat(65_522))]);
        assert_eq!(longest.encoded_len(), 65_532);
    }

    #[test]
    fn messages_never_carry_control_characters() {
        let error = ExtendedAttributes::from_list(vec![ea("a\u{1b}[2J\0", "")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"extended attribute name "a\u{1b}[2J\0" is not 1 to 255 bytes without NUL"#
        );
    }

    fn any_list() -> impl Strategy<Value = Vec<ExtendedAttribute>> {
        let name = prop::collection::vec(1..=255_u8, 1..20);
        let one = (any::<u8>(), name, prop::collection::vec(any::<u8>(), 0..40));
        prop::collection::vec(
            one.prop_map(|(flags, name, value)| ExtendedAttribute { flags, name, value }),
            0..8,
        )
    }

    proptest! {
        #[test]
        fn round_trips(eas in any_list()) {
            if let Ok(eas) = ExtendedAttributes::from_list(eas) {
                let bytes = encode(&eas);
                prop_assert_eq!(bytes.len(), eas.encoded_len());
                prop_assert_eq!(ExtendedAttributes::parse(&bytes), Ok(eas));
            }
        }

        #[test]
        fn parsing_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ExtendedAttributes::parse(&bytes);
        }

        #[test]
        fn a_damaged_list_is_refused_or_read_consistently(eas in any_list(), at: prop::sample::Index, byte: u8) {
            if let Ok(eas) = ExtendedAttributes::from_list(eas) {
                let mut bytes = encode(&eas);
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                    if let Ok(read) = ExtendedAttributes::parse(&bytes) {
                        prop_assert_eq!(ExtendedAttributes::parse(&encode(&read)), Ok(read));
                    }
                }
            }
        }
    }
}
