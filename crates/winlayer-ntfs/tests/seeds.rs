//! The fuzz targets' seeds, corpora when there are any, and random damage, as an ordinary test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

mod support;

use proptest::prelude::*;
use support::{oracle, seeds, village};

#[test]
fn seeds_and_corpora_hold_what_the_oracles_say() {
    for (name, oracle, seeds) in seeds::targets() {
        for seed in seeds {
            oracle(&seed);
        }
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
        let Ok(entries) = std::fs::read_dir(format!("{corpus}/{name}")) else {
            continue;
        };
        for entry in entries.take(2000) {
            oracle(&std::fs::read(entry.unwrap().path()).unwrap());
        }
    }
}

/// Bytes that are not zero are those that mean something.
fn meaningful() -> Vec<u32> {
    let image = village::build();
    let places = image
        .iter()
        .enumerate()
        .filter(|(_, byte)| !matches!(byte, 0 | 0xff));
    places.map(|(at, _)| at as u32).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_damage_makes_it_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), -8..8_i32, any::<u8>()), 1..60)) {
        thread_local!(static PLACES: Vec<u32> = meaningful());
        let bytes: Vec<u8> = PLACES.with(|places| {
            let one = |(index, near, byte): &(prop::sample::Index, i32, u8)| {
                let [a, b, c, d] = index.get(places).wrapping_add_signed(*near).to_le_bytes();
                [a, b, c, d, *byte]
            };
            damage.iter().flat_map(one).collect()
        });
        oracle::ntfs_damage(&bytes);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        oracle::ntfs_read(&bytes);
    }
}
