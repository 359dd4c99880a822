//! The fuzz targets' oracles on their seeds, whole and damaged, as an ordinary test.
#![cfg(test)] // helpers of tests are test code to clippy too

mod support;

use support::seeds::targets;
use winlayer_metadata::{ExtendedAttributes, ReparsePoint, SecurityDescriptor};

#[test]
fn the_seeds_whole_cut_and_damaged_pass_their_oracles() {
    for (_, check, seeds) in targets() {
        for seed in seeds {
            check(&seed);
            for at in 0..seed.len() {
                check(&seed[..at]);
                for change in [1, 2, 0x80, 0xff] {
                    let mut damaged = seed.clone();
                    damaged[at] ^= change;
                    check(&damaged);
                }
            }
        }
    }
}

#[test]
fn the_seeds_themselves_are_accepted() {
    for (name, _, seeds) in targets() {
        for seed in seeds {
            let accepted = match name {
                "security_descriptor" => SecurityDescriptor::parse(&seed).is_ok(),
                "sddl" => {
                    SecurityDescriptor::from_sddl(std::str::from_utf8(&seed).unwrap()).is_ok()
                }
                "reparse_point" => ReparsePoint::parse(&seed).is_ok(),
                "extended_attributes" => ExtendedAttributes::parse(&seed).is_ok(),
                _ => !seed.is_empty(),
            };
            assert!(accepted, "{name}");
        }
    }
}
