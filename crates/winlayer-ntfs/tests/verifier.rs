//! Volumes of other writers are sound.
#![cfg(target_os = "linux")]

mod support;

use std::{collections::BTreeMap, fs, process::Command};

use support::{Image, run, town};
use winlayer_ntfs::{Finding, Rule, VerifiedVolume, verify};

fn findings(image: &Image) -> (VerifiedVolume, Vec<Finding>) {
    let mut findings = Vec::new();
    let verified = verify(image.open(), &mut |finding| findings.push(finding)).unwrap();
    (verified, findings)
}

fn assert_sound(image: &Image) -> VerifiedVolume {
    let (verified, findings) = findings(image);
    let shown: Vec<_> = findings.iter().take(40).map(ToString::to_string).collect();
    let mut counts = BTreeMap::new();
    for finding in &findings {
        *counts.entry(finding.rule).or_insert(0) += 1;
    }
    assert!(findings.is_empty(), "{counts:?}\n{}", shown.join("\n"));
    verified
}

#[test]
fn volumes_of_mkntfs_are_sound() {
    for arguments in [
        &[][..],
        &["-L", "Label"],
        &["-c", "512"],
        &["-c", "65536"],
        &["-c", "2097152"],
        &["-s", "4096", "-c", "4096"],
    ] {
        let image = Image::formatted(512 << 20, arguments);
        let verified = assert_sound(&image);
        assert_eq!(
            (verified.files, verified.directories),
            (19, 2),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_volume_of_the_driver_is_sound() {
    let (image, _) = town::build();
    let verified = assert_sound(&image);
    assert!(verified.files > town::NAMES as u64);
}
