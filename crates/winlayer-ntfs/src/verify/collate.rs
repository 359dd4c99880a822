//! The orders of indexes.

use std::cmp::Ordering;

use winlayer_metadata::Upcase;

use crate::read::name::{FileName, cmp_folded};

pub(crate) const FILE_NAME: u32 = 1;
pub(crate) const ULONG: u32 = 0x10;
pub(crate) const SID: u32 = 0x11;
pub(crate) const SECURITY_HASH: u32 = 0x12;
pub(crate) const ULONGS: u32 = 0x13;

/// Compares two keys; none when one is no key of this kind.
pub(crate) fn keys(rule: u32, upcase: &[u16], a: &[u8], b: &[u8]) -> Option<Ordering> {
    match rule {
        FILE_NAME => {
            let (a, b) = (FileName::parse(a)?, FileName::parse(b)?);
            let order = cmp_folded(upcase, &a.units, &b.units);
            Some(order.then_with(|| a.units.cmp(&b.units)))
        }
        ULONG | SECURITY_HASH | ULONGS => {
            let words = |key: &[u8]| -> Vec<u32> {
                let words = key.as_chunks::<4>().0.iter();
                words.map(|&word| u32::from_le_bytes(word)).collect()
            };
            Some(words(a).cmp(&words(b)))
        }
        SID => Some(a.cmp(b)),
        _ => None,
    }
}

/// The order of attribute names.
pub(crate) fn names(a: &[u16], b: &[u16]) -> Ordering {
    cmp_folded(Upcase::table().as_slice(), a, b).then_with(|| a.cmp(b))
}
