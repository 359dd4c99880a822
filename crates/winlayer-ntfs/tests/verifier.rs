//! Volumes of other writers are sound.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

mod ntfs3g;

use std::{fs, process::Command};

use ntfs3g::{
    driver::{Image, run},
    town::{self, Scale},
};
use winlayer_ntfs::{Finding, Rule, VerifiedVolume, verify};

/// What the ntfs-3g driver and library do to a volume that Windows does not, and Windows accepts.
const OF_NTFS_3G: &[Rule] = &[Rule::NameFacts, Rule::EntryEaSize, Rule::SystemSecurity];

/// Verifies a volume on which nothing but `allowed` may be found.
fn assert_sound(image: &Image, allowed: &[Rule]) -> VerifiedVolume {
    let mut findings: Vec<Finding> = Vec::new();
    let verified = verify(image.open(), &mut |finding| {
        if !allowed.contains(&finding.rule) {
            findings.push(finding);
        }
    });
    let shown: Vec<_> = findings.iter().take(40).map(ToString::to_string).collect();
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        shown.join("\n")
    );
    verified.unwrap()
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
        let verified = assert_sound(&image, &[]);
        assert!(verified.complete);
        assert_eq!(
            (verified.files, verified.directories),
            (19, 2),
            "{arguments:?}"
        );
    }
}

#[test]
fn volumes_of_the_driver_and_of_wimlib_are_sound() {
    let (image, _) = town::build(Scale::TOWN);
    let driver = assert_sound(&image, OF_NTFS_3G);
    assert!(driver.files > Scale::TOWN.names as u64);
    assert_eq!(driver.directories, 8);

    // Without the file that would take minutes to write.
    let folder = tempfile::tempdir().unwrap();
    let (config, wim) = (folder.path().join("config"), folder.path().join("all.wim"));
    fs::write(&config, "[ExclusionList]\n\\hole\n").unwrap();
    run(Command::new("wimcapture")
        .arg(image.path())
        .arg(&wim)
        .arg("--config")
        .arg(&config));
    let applied = Image::formatted(Scale::TOWN.volume, &[]);
    run(Command::new("wimapply").arg(&wim).arg(applied.path()));
    let applied = assert_sound(&applied, OF_NTFS_3G);
    assert_eq!(applied.files, driver.files - 1);
    assert_eq!(applied.directories, driver.directories);
}
