//! The fuzz target's oracle on its seeds, and on what was found by fuzzing, as an ordinary test.
#![cfg(test)] // helpers of tests are test code to clippy too

mod support;

use support::oracle::{check, ours};
use support::seeds::seeds;
use support::{Blocks, seal};

#[test]
fn every_seed_is_accepted_and_passes_the_oracle() {
    for (name, seed) in seeds() {
        assert!(ours(&seed).is_ok(), "{name}: {:?}", ours(&seed));
        check(&seed);
    }
}

#[test]
fn damaged_seeds_pass_the_oracle() {
    for (_, seed) in seeds() {
        for at in (0..seed.len()).step_by(13) {
            let mut damaged = seed.clone();
            damaged[at] ^= 1 << (at % 8);
            check(&damaged);
            let block = at / 512 * 512;
            let sealed = seal(damaged[block..block + 512].try_into().unwrap());
            damaged[block..block + 512].copy_from_slice(&sealed);
            check(&damaged);
        }
    }
}

#[test]
fn what_fuzzing_found_stays_fixed() {
    // A long name without its NUL: Python reads on into the padding.
    let mut unended = Blocks::default()
        .long(b'L', b"Files/a")
        .file("x", b"")
        .end();
    unended[512 + 7] = b'5';
    assert!(ours(&unended).is_err());
    // A global header that nothing follows: an empty archive to Go, an error to Python.
    assert!(ours(&Blocks::default().raw_pax(b'g', b"13 comment=a\n").end()).is_err());
    // An old file whose short name ends in '/': a directory to Python, whatever the long name says.
    let old = Blocks::default()
        .long(b'L', b"Files/a\0")
        .entry("Files/", 0, b"x")
        .end();
    assert!(ours(&old).is_err());
}
