//! Volumes of any size, full ones too.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod plan;

use plan::{Object, Plan, checks};
use winlayer_ntfs::{NtfsError, VolumeSize};

#[test]
fn volumes_of_odd_and_tiny_sizes() {
    let mut plan = Plan::new();
    plan.add(Object::file(0, "a file", 1));
    plan.assert_sound(VolumeSize::Fit { free: 0 });
    plan.assert_sound(VolumeSize::Exact(4 << 20));
    let folder = plan.add(Object::directory(0, "folder"));
    for n in 0..100 {
        plan.add(Object::file(folder, format!("{n}"), n * 50));
    }
    for size in [
        5 << 20,
        (5 << 20) + 512,
        (6 << 20) - 512,
        7_340_032 + 4096 * 3 + 1024,
        64 << 20,
        (300 << 20) + 3584,
    ] {
        let summary = plan.assert_sound(VolumeSize::Exact(size));
        assert_eq!(summary.size, size);
    }
    for free in [0, 1, 4096, (1 << 20) - 1, 100 << 20] {
        let summary = plan.assert_sound(VolumeSize::Fit { free });
        assert!(
            summary.size - summary.used >= free && summary.size.is_multiple_of(1 << 20),
            "{summary:?}"
        );
        assert!(
            summary.size - summary.used < free + (4 << 20),
            "{summary:?}"
        );
    }
    for size in [
        0,
        512,
        4096,
        (4 << 20) - 512,
        (5 << 20) + 1,
        (5 << 20) + 256,
    ] {
        let refused = plan.write(VolumeSize::Exact(size));
        assert!(matches!(refused, Err(NtfsError::Size { .. })), "{size}");
    }
}

#[test]
fn a_volume_can_be_all_but_full() {
    let mut plan = Plan::new();
    plan.add(Object::file(0, "large", 3 << 20));
    let (_, summary) = plan.write(VolumeSize::Exact(16 << 20)).unwrap();
    let left = summary.size / 4096 * 4096 - 4096 - summary.used;
    // What is left goes to one more file, whose record is in a cluster that is there.
    let mut full = None;
    for spare in 0..64 {
        let mut more = plan.clone();
        more.add(Object::file(0, "the rest", left + 4096 - spare * 4096));
        match more.write(VolumeSize::Exact(16 << 20)) {
            Ok((image, summary)) => {
                full = Some((more, image, summary));
                break;
            }
            Err(NtfsError::Full { size, needed }) => {
                assert!(
                    size <= 16 << 20 && needed > 0 && needed % 4096 == 0,
                    "{needed}"
                );
            }
            Err(error) => panic!("{error}"),
        }
    }
    let (more, image, summary) = full.unwrap();
    // File records are taken many at once, and what is too much of them given back.
    assert!(summary.size - summary.used <= 64 * 4096, "{summary:?}");
    more.assert_is(&image);
    checks::all(&image);

    let mut plan = Plan::new();
    for n in 0..30_000 {
        plan.add(Object::file(0, format!("{n}"), 0));
    }
    let full = plan.write(VolumeSize::Exact(16 << 20)).unwrap_err();
    assert!(full.to_string().contains("make it larger"), "{full}");
}
