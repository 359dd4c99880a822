//! The hash of log entries.

/// Seed of all hives' logs.
const SEED: [u32; 2] = [0x884D_EF82, 0xC555_4E7A];

/// Marvin32 of `bytes`, whose length is a multiple of 4, as all of a log's are.
pub(super) fn marvin32(bytes: &[u8]) -> u64 {
    with_seed(SEED, bytes)
}

fn with_seed([mut low, mut high]: [u32; 2], bytes: &[u8]) -> u64 {
    let mut mix = |word: u32| {
        low = low.wrapping_add(word);
        high ^= low;
        low = low.rotate_left(20).wrapping_add(high);
        high = high.rotate_left(9) ^ low;
        low = low.rotate_left(27).wrapping_add(high);
        high = high.rotate_left(19);
    };
    let (words, _) = bytes.as_chunks::<4>();
    for word in words {
        mix(u32::from_le_bytes(*word));
    }
    // The end mark, alone in its word because no bytes are left over.
    mix(0x80);
    mix(0);
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Published vectors of the algorithm, with their seed.
    #[test]
    fn agrees_with_published_vectors() {
        let seed = [0x001B_DBCC, 0x004F_B61A];
        assert_eq!(with_seed(seed, &[]), 0x30ED_35C1_00CD_3C7D);
        assert_eq!(
            with_seed(seed, &[0x86, 0x42, 0xDC, 0x59]),
            0x7008_F2E8_7E9C_F556
        );
    }
}
