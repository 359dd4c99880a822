//! Volumes that `winlayer unpack` makes, read by the Linux kernel's own NTFS driver in a virtual machine.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::Place;
use common::oracles::KERNEL;
use winlayer_testkit::memory_dir;

#[test]
fn the_kernel_finds_what_the_tars_say() {
    let place = Place::below(&memory_dir());
    place.winlayer(["sample", "oci:image"]).succeeds();
    let tars = place.dump_of_tars(&[]);
    for kind in ["ntfs", "vhdx"] {
        let arguments = ["unpack", "-q", "oci:image", kind, "--to", kind];
        place.winlayer(arguments).succeeds();
        place.holds_what_the_tars_say(kind, &tars, &[KERNEL]);
    }
}
