//! Update sequences: whether all sectors of a record or an index block were written together.
//!
//! The last two bytes of each sector are replaced by a number, and kept beside it in the head.

use crate::format::SECTOR;

/// The number every sector ends with in what is written.
const UPDATE_NUMBER: [u8; 2] = 1_u16.to_le_bytes();

/// Puts an update sequence at `offset` and its number at the end of each sector.
pub(crate) fn protect(bytes: &mut [u8], offset: usize) {
    let mut saved = UPDATE_NUMBER.to_vec();
    for sector in bytes.chunks_exact_mut(SECTOR) {
        if let Some(end) = sector.last_chunk_mut::<2>() {
            saved.extend(*end);
            *end = UPDATE_NUMBER;
        }
    }
    if let Some(place) = bytes.get_mut(offset..offset + saved.len()) {
        place.copy_from_slice(&saved);
    }
}

/// Checks the update sequence and puts back the bytes it replaced; the error is what was found.
pub(crate) fn unprotect(bytes: &mut [u8], offset: u16, count: u16) -> Result<(), String> {
    let sectors = bytes.len() / SECTOR;
    let (offset, count) = (usize::from(offset), usize::from(count));
    if count != sectors + 1 {
        return Err(format!("{count} words for {sectors} sectors"));
    }
    let sequence = bytes.get(offset..offset + count * 2);
    // The sequence must not lie where a sector ends, or restoring would change it.
    let Some(sequence) = sequence.filter(|_| offset + count * 2 <= SECTOR - 2) else {
        return Err(format!("it at {offset}"));
    };
    let sequence = sequence.to_vec();
    let mut words = sequence.as_chunks::<2>().0.iter();
    let number = words.next().copied().unwrap_or_default();
    for (index, (sector, word)) in bytes.chunks_exact_mut(SECTOR).zip(words).enumerate() {
        let Some(end) = sector.last_chunk_mut::<2>() else {
            continue;
        };
        if *end != number {
            let (end, number) = (u16::from_le_bytes(*end), u16::from_le_bytes(number));
            return Err(format!(
                "{end:#06x} instead of {number:#06x} in sector {index}"
            ));
        }
        *end = *word;
    }
    Ok(())
}
