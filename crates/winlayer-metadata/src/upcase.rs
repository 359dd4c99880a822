//! How NTFS compares names.

mod table;

use std::cmp::Ordering;
use std::hash::Hasher;

use table::RUNS;

/// NTFS upper-casing of UTF-16 units: the `$UpCase` table of a volume, one unit to one unit, never Unicode folding.
///
/// Two names are the same to NTFS when their up-cased units are equal. `ß` and `ſ`, the dotless `ı`, the Kelvin sign and the
/// Greek final sigma stay what they are; letters outside the basic plane have no case.
///
/// ```
/// use winlayer_metadata::Upcase;
/// assert!(Upcase::eq("Système", "SYSTÈME"));
/// assert!(!Upcase::eq("straße", "STRASSE"));
/// assert!(Upcase::cmp("a", "B").is_lt());
/// ```
#[derive(Debug)]
pub struct Upcase;

static TABLE: [u16; 0x1_0000] = expand();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler: a bad index does not build"
)]
const fn expand() -> [u16; 0x1_0000] {
    let mut table = [0; 0x1_0000];
    let mut unit = 0;
    while unit < 0x1_0000 {
        table[unit] = unit as u16;
        unit += 1;
    }
    let mut index = 0;
    while index < RUNS.len() {
        let run = &RUNS[index];
        let mut unit = run.first as usize;
        while unit <= run.last as usize {
            table[unit] = (unit as i32 + run.delta) as u16;
            unit += run.step as usize;
        }
        index += 1;
    }
    table
}

impl Upcase {
    /// The whole table, as a volume stores it (there as 131072 little-endian bytes): index by unit, find its upper case.
    pub fn table() -> &'static [u16; 0x1_0000] {
        &TABLE
    }

    /// The upper case of one UTF-16 unit.
    #[inline]
    pub fn unit(unit: u16) -> u16 {
        TABLE.get(usize::from(unit)).copied().unwrap_or(unit)
    }

    /// Whether NTFS takes two names for the same.
    pub fn eq(a: &str, b: &str) -> bool {
        if a.is_ascii() && b.is_ascii() {
            a.eq_ignore_ascii_case(b)
        } else {
            units(a).eq(units(b))
        }
    }

    /// The order of names in an NTFS directory: by up-cased units, a name before its extensions.
    pub fn cmp(a: &str, b: &str) -> Ordering {
        for (at, (x, y)) in a.bytes().zip(b.bytes()).enumerate() {
            if !x.is_ascii() || !y.is_ascii() {
                // All before `at` was ASCII, so `at` is a boundary in both.
                return units(a.get(at..).unwrap_or(a)).cmp(units(b.get(at..).unwrap_or(b)));
            }
            match x.to_ascii_uppercase().cmp(&y.to_ascii_uppercase()) {
                Ordering::Equal => {}
                order => return order,
            }
        }
        a.len().cmp(&b.len())
    }

    /// Feeds a name to a hasher so that names equal under [`eq`](Self::eq) hash alike. Does not allocate.
    pub fn hash<H: Hasher>(name: &str, state: &mut H) {
        // No unit crosses between ASCII and the rest, so equal names take the same way, put a byte for an ASCII unit and two
        // for any other, and cut their chunks at the same places.
        let mut chunk = [0_u8; 64];
        if name.is_ascii() {
            for part in name.as_bytes().chunks(chunk.len()) {
                let upper = chunk.get_mut(..part.len()).unwrap_or_default();
                upper.copy_from_slice(part);
                upper.make_ascii_uppercase();
                state.write(upper);
            }
            state.write_u8(0xff);
            return;
        }
        let mut used = 0;
        for unit in units(name) {
            let [low, high] = unit.to_le_bytes();
            if let Some(slot) = chunk.get_mut(used) {
                *slot = low;
                used += 1;
            }
            if unit >= 0x80
                && let Some(slot) = chunk.get_mut(used)
            {
                *slot = high;
                used += 1;
            }
            if used >= chunk.len() - 1 {
                state.write(chunk.get(..used).unwrap_or_default());
                used = 0;
            }
        }
        state.write(chunk.get(..used).unwrap_or_default());
        state.write_u8(0xff);
    }
}

/// The up-cased UTF-16 units of a name.
fn units(name: &str) -> impl Iterator<Item = u16> {
    name.encode_utf16().map(|unit| match u8::try_from(unit) {
        Ok(ascii) if ascii.is_ascii() => u16::from(ascii.to_ascii_uppercase()),
        _ => Upcase::unit(unit),
    })
}

#[cfg(test)]
mod tests {
    use super::{Upcase, units};
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};
    use std::cmp::Ordering;
    use std::hash::{DefaultHasher, Hasher};

    /// SHA-256 of the 131072 bytes `ntfscat -f IMAGE '$UpCase'` prints for a volume of mkntfs 2022.10.3.
    const MKNTFS_TABLE: &str = "41c26bc7a12bdaeb26025c93118697c7e3ef81ee048b00fe5cce2a472e0e0742";

    fn hash(name: &str) -> u64 {
        let mut state = DefaultHasher::new();
        Upcase::hash(name, &mut state);
        state.finish()
    }

    #[test]
    fn is_the_table_mkntfs_writes() {
        let bytes: Vec<u8> = Upcase::table()
            .iter()
            .flat_map(|unit| unit.to_le_bytes())
            .collect();
        let digest: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(digest, MKNTFS_TABLE);
    }

    #[test]
    fn maps_single_letters() {
        for (lower, upper) in [
            ('a', 'A'),
            ('z', 'Z'),
            ('é', 'É'),
            ('ÿ', 'Ÿ'),
            ('œ', 'Œ'),
            ('ѐ', 'Ѐ'),
            ('я', 'Я'),
            ('σ', 'Σ'),
            ('ά', 'Ά'),
            ('ա', 'Ա'),
            ('ａ', 'Ａ'),
            ('ｚ', 'Ｚ'),
            ('ⅷ', 'Ⅷ'),
            ('ⓐ', 'Ⓐ'),
            ('ⴀ', 'Ⴀ'), // Georgian Nuskhuri to Asomtavruli
            ('ǆ', 'Ǆ'),
        ] {
            assert_eq!(Upcase::unit(lower as u16), upper as u16, "{lower}");
            assert_eq!(Upcase::unit(upper as u16), upper as u16, "{upper}");
        }
    }

    #[test]
    fn leaves_alone_what_unicode_would_fold() {
        for letter in [
            'ß', 'ẞ', 'ı', 'İ', '\u{212A}', '\u{2126}', 'ς', 'ſ', 'µ', 'ŉ', 'ǰ', 'ა', 'Ა', 'ﬁ', 'ǅ',
        ] {
            assert_eq!(Upcase::unit(letter as u16), letter as u16, "{letter}");
        }
        assert!(!Upcase::eq("\u{212A}", "k"));
        assert!(!Upcase::eq("ı", "I"));
        assert!(!Upcase::eq("ς", "σ"));
        assert!(!Upcase::eq("𐐨", "𐐀"));
    }

    #[test]
    fn never_crosses_between_ascii_and_the_rest() {
        for unit in 0..=u16::MAX {
            assert_eq!(unit < 0x80, Upcase::unit(unit) < 0x80, "{unit:#x}");
            assert_eq!(
                Upcase::unit(Upcase::unit(unit)),
                Upcase::unit(unit),
                "{unit:#x}"
            );
        }
    }

    #[test]
    fn orders_as_an_ntfs_directory() {
        let mut names = [
            "b",
            "A",
            "a1",
            "é",
            "_",
            "É1",
            "Z",
            "~",
            "\u{10000}",
            "\u{e000}",
            "ab",
            "[",
            "",
        ];
        names.sort_by(|a, b| Upcase::cmp(a, b));
        // A surrogate pair sorts before U+E000: units, not code points. `_` and `[` follow the upper-case letters.
        assert_eq!(
            names,
            [
                "",
                "A",
                "a1",
                "ab",
                "b",
                "Z",
                "[",
                "_",
                "~",
                "é",
                "É1",
                "\u{10000}",
                "\u{e000}"
            ]
        );
    }

    #[test]
    fn hashes_long_names_alike() {
        for tail in 0..130 {
            let lower = format!("{}é{}", "x".repeat(tail), "y".repeat(130 - tail));
            let upper = format!("{}É{}", "X".repeat(tail), "Y".repeat(130 - tail));
            assert_eq!(hash(&lower), hash(&upper));
            assert_eq!(
                hash(&lower.replace('é', "e")),
                hash(&upper.replace('É', "e"))
            );
            assert_ne!(hash(&lower), hash(&upper.replace('É', "È")));
        }
    }

    fn name() -> impl Strategy<Value = String> {
        "[a-cA-CéÉßſıIkK\u{212A}ς𐐨𐐀ａＡ]{0,6}|\\PC{0,80}"
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_definition(a in name(), b in name()) {
            let plain = a.encode_utf16().map(Upcase::unit).cmp(b.encode_utf16().map(Upcase::unit));
            prop_assert_eq!(Upcase::cmp(&a, &b), plain);
            prop_assert_eq!(Upcase::eq(&a, &b), plain == Ordering::Equal);
            if plain == Ordering::Equal {
                prop_assert_eq!(hash(&a), hash(&b));
            }
        }

        #[test]
        fn a_name_equals_its_own_upper_case(a in name()) {
            let upper = String::from_utf16(&units(&a).collect::<Vec<_>>()).unwrap();
            prop_assert!(Upcase::eq(&a, &upper));
            prop_assert_eq!(hash(&a), hash(&upper));
        }
    }
}
