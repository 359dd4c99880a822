//! Every rule, on machines that only exist here.

use std::path::PathBuf;

use super::*;
use crate::doctor::{
    Needs, Severity,
    facts::{Destination, Driver, Library, Probe, UnixFacts, Volume, WindowsFacts},
};

/// A Windows machine on which all is well.
fn windows() -> Facts {
    let library = |name| Library {
        name,
        present: true,
        missing: Vec::new(),
    };
    Facts {
        destination: Destination {
            path: PathBuf::from(r"C:\layers"),
            existing: PathBuf::from(r"C:\"),
            resolved: Some(PathBuf::from(r"\\?\C:\")),
            volume: Volume {
                file_system: Some("NTFS".to_owned()),
                remote: Some(false),
                free_bytes: Some(100 << 30),
                free_inodes: None,
                longest_name: Some(255),
                lacks: Vec::new(),
                root: Some(PathBuf::from(r"C:\")),
                links: Vec::new(),
            },
            probe: Ok(Probe {
                case_sensitive: false,
                hard_links: true,
                symbolic_links: true,
                long_names: true,
            }),
        },
        system: System::Windows(WindowsFacts {
            wine: None,
            build: Some((20348, Some(2113))),
            libraries: ["vmcompute.dll", "computestorage.dll", "virtdisk.dll"]
                .map(library)
                .into(),
            elevated: Some(true),
            privileges: vec![("SeBackupPrivilege", true), ("SeRestorePrivilege", true)],
            long_paths: Some(true),
            drivers: Some(vec![driver("Ntfs", "Boot File System")]),
            defender_exclusions: Some(Vec::new()),
        }),
        needs: None,
    }
}

fn driver(name: &str, group: &str) -> Driver {
    Driver {
        name: name.to_owned(),
        group: Some(group.to_owned()),
        altitude: None,
    }
}

/// A Linux machine on which all is well.
fn linux() -> Facts {
    let mut facts = windows();
    facts.destination.path = PathBuf::from("/srv/layers");
    facts.destination.existing = PathBuf::from("/srv");
    facts.destination.volume = Volume {
        file_system: Some("ext4".to_owned()),
        remote: Some(false),
        free_bytes: Some(100 << 30),
        free_inodes: Some(1_000_000),
        longest_name: Some(255),
        ..Volume::default()
    };
    facts.destination.probe = Ok(Probe {
        case_sensitive: true,
        hard_links: true,
        symbolic_links: true,
        long_names: true,
    });
    facts.system = System::Unix(UnixFacts {
        kernel: Some("Linux 6.1.0".to_owned()),
        openat2: Some(true),
        open_files: Some(1024),
        user: Some((1000, 1000)),
        fuse: true,
        tools: vec![("qemu-img", Some(PathBuf::from("/usr/bin/qemu-img")))],
    });
    facts
}

fn on_windows(change: impl FnOnce(&mut WindowsFacts, &mut Destination)) -> Vec<Finding> {
    let mut facts = windows();
    let System::Windows(system) = &mut facts.system else {
        unreachable!()
    };
    change(system, &mut facts.destination);
    judge(&facts)
}

fn on_linux(change: impl FnOnce(&mut UnixFacts, &mut Destination)) -> Vec<Finding> {
    let mut facts = linux();
    let System::Unix(system) = &mut facts.system else {
        unreachable!()
    };
    change(system, &mut facts.destination);
    judge(&facts)
}

/// The findings that are not well, as `severity check`.
fn bad(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .filter(|finding| finding.severity != Severity::Ok)
        .map(|finding| format!("{} {}", finding.severity.name(), finding.check))
        .collect()
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn finds_nothing_on_machines_that_are_well() {
    assert_eq!(bad(&judge(&windows())), none());
    assert_eq!(bad(&judge(&linux())), none());
}

#[test]
fn every_problem_and_every_warning_comes_with_a_remedy() {
    let all = [
        on_windows(|system, place| {
            *system = WindowsFacts {
                build: Some((10240, None)),
                elevated: Some(false),
                drivers: Some(vec![driver("cbfs6", "Network")]),
                ..WindowsFacts::default()
            };
            place.volume.file_system = Some("ReFS".to_owned());
            place.probe = Err("denied".to_owned());
            place.volume.free_bytes = Some(1);
        }),
        on_linux(|system, place| {
            system.open_files = Some(20);
            place.volume.file_system = Some("vfat".to_owned());
            place.volume.free_inodes = Some(3);
        }),
    ];
    for finding in all.iter().flatten() {
        let needs_remedy = finding.severity >= Severity::Warning;
        assert!(!needs_remedy || finding.remedy.is_some(), "{finding:?}");
    }
}

// ── Windows ──

#[test]
fn a_windows_without_the_containers_feature_is_told_how_to_get_it() {
    let findings = on_windows(|system, _| {
        system.libraries[0].present = false;
        system.libraries[1].present = false;
    });
    assert_eq!(
        bad(&findings),
        ["problem container-platform", "note platform-libraries"]
    );
    let remedy = findings[1].remedy.as_deref().unwrap();
    assert!(remedy.contains("-FeatureName Containers"), "{remedy}");
    assert!(remedy.contains("--to folder"), "{remedy}");
}

#[test]
fn a_missing_function_is_named() {
    let findings =
        on_windows(|system, _| system.libraries[0].missing = vec!["ImportLayer".to_owned()]);
    assert_eq!(bad(&findings), ["problem container-platform"]);
    assert!(findings[1].found.contains("ImportLayer"));
}

#[test]
fn old_builds_cannot_finish_layers_and_2016_only_in_one_way() {
    assert_eq!(
        bad(&on_windows(|system, _| system.build = Some((10586, None)))),
        ["problem windows-version"]
    );
    assert_eq!(
        bad(&on_windows(
            |system, _| system.build = Some((14393, Some(1)))
        )),
        ["note windows-version"]
    );
}

#[test]
fn without_elevation_the_privileges_are_not_told_too() {
    let findings = on_windows(|system, _| {
        system.elevated = Some(false);
        system.privileges = vec![("SeBackupPrivilege", false)];
    });
    assert_eq!(bad(&findings), ["problem administrator"]);
    let findings = on_windows(|system, _| {
        system.privileges = vec![("SeBackupPrivilege", true), ("SeRestorePrivilege", false)];
    });
    assert_eq!(bad(&findings), ["problem privileges"]);
}

#[test]
fn only_a_local_ntfs_volume_holds_layers() {
    for name in ["ReFS", "FAT32", "exFAT"] {
        let findings = on_windows(|_, place| place.volume.file_system = Some(name.to_owned()));
        assert_eq!(bad(&findings), ["problem file-system"], "{name}");
    }
    let mapped = on_windows(|_, place| place.volume.remote = Some(true));
    assert_eq!(bad(&mapped), ["problem file-system"]);
    for share in [r"\\server\share\x", r"\\?\UNC\server\share\x"] {
        let findings = on_windows(|_, place| place.path = PathBuf::from(share));
        assert_eq!(bad(&findings), ["problem file-system"], "{share}");
    }
    let verbatim = on_windows(|_, place| place.path = PathBuf::from(r"\\?\C:\layers"));
    assert_eq!(bad(&verbatim), none());
}

#[test]
fn a_link_to_another_volume_is_a_problem_and_one_on_the_same_a_warning() {
    let behind = |root: &str, real: &str| {
        on_windows(|_, place| {
            place.existing = PathBuf::from(r"C:\data\layers");
            place.resolved = Some(PathBuf::from(real));
            place.volume.root = Some(PathBuf::from(root));
            place.volume.links = vec![PathBuf::from(r"C:\data")];
        })
    };
    let other = behind(r"D:\", r"\\?\D:\layers");
    assert_eq!(bad(&other), ["problem link"]);
    let link = other.iter().find(|finding| finding.check == "link");
    let remedy = link.unwrap().remedy.as_deref();
    assert_eq!(remedy, Some(r"name the real place: D:\layers"));
    assert_eq!(bad(&behind(r"C:\", r"\\?\C:\x\layers")), ["warning link"]);
    // A volume that is mounted in a folder.
    assert_eq!(
        bad(&behind(r"C:\mount\", r"\\?\C:\mount\layers")),
        ["problem link"]
    );
}

#[test]
fn an_ntfs_that_lacks_abilities_is_a_problem_that_names_them() {
    let findings = on_windows(|_, place| place.volume.lacks = vec!["FILE_NAMED_STREAMS"]);
    assert_eq!(bad(&findings), ["problem file-system"]);
}

#[test]
fn wine_is_told_apart_from_windows() {
    let findings = on_windows(|system, _| system.wine = Some("8.0".to_owned()));
    assert_eq!(bad(&findings), ["note windows-version"]);
}

#[test]
fn a_destination_whose_layers_would_be_too_deep_is_a_problem() {
    let with_units = |units: usize| {
        let path = format!(r"C:\{}", "x".repeat(units - 3));
        bad(&on_windows(|_, place| place.path = PathBuf::from(path)))
    };
    assert_eq!(with_units(176), none());
    assert_eq!(with_units(177), ["problem path-length"]);
}

#[test]
fn the_driver_of_cbfs_cloud_drives_is_named() {
    let findings = on_windows(|system, _| {
        system.drivers = Some(vec![
            driver("CBFSConnect2017", "NetworkProvider"),
            driver("Ntfs", "Boot File System"),
        ]);
    });
    assert_eq!(bad(&findings), ["problem drivers"]);
    let found = &findings.iter().find(|finding| finding.check == "drivers");
    assert!(found.unwrap().found.contains("CBFSConnect2017"));
}

#[test]
fn an_antivirus_program_is_a_note_unless_it_leaves_the_destination_alone() {
    let defender = || Some(vec![driver("WdFilter", "FSFilter Anti-Virus")]);
    let findings = on_windows(|system, _| system.drivers = defender());
    assert_eq!(bad(&findings), ["note antivirus"]);
    let findings = on_windows(|system, _| {
        system.drivers = defender();
        system.defender_exclusions = Some(vec![r"c:\LAYERS\".to_owned()]);
    });
    assert_eq!(bad(&findings), none());
    let findings = on_windows(|system, _| {
        system.drivers = defender();
        system.defender_exclusions = Some(vec![r"C:\lay".to_owned()]);
    });
    assert_eq!(bad(&findings), ["note antivirus"]);
    let findings = on_windows(|system, _| {
        system.drivers = Some(vec![Driver {
            name: "other".to_owned(),
            group: None,
            altitude: Some("328010.5".to_owned()),
        }]);
        system.defender_exclusions = Some(vec![r"C:\layers".to_owned()]);
    });
    assert_eq!(
        bad(&findings),
        ["note antivirus"],
        "no exclusion of Defender's"
    );
}

#[test]
fn what_could_not_be_found_out_is_said_and_stops_nobody() {
    let findings = on_windows(|system, place| {
        *system = WindowsFacts::default();
        place.volume = Volume::default();
        place.resolved = None;
    });
    let worst = findings.iter().map(|finding| finding.severity).max();
    assert_eq!(worst, Some(Severity::Note), "{findings:#?}");
}

// ── Linux and macOS ──

#[test]
fn an_old_kernel_is_a_note() {
    let findings = on_linux(|system, _| system.openat2 = Some(false));
    assert_eq!(bad(&findings), ["note kernel"]);
}

#[test]
fn few_open_files_are_a_warning_and_very_few_a_problem() {
    let limited = |limit| bad(&on_linux(|system, _| system.open_files = Some(limit)));
    assert_eq!(limited(63), ["problem open-files"]);
    assert_eq!(limited(64), ["warning open-files"]);
    assert_eq!(limited(256), none());
}

#[test]
fn missing_tools_are_a_note() {
    let findings = on_linux(|system, _| {
        system.fuse = false;
        system.tools = vec![("ntfs-3g", None), ("qemu-img", None)];
    });
    assert_eq!(bad(&findings), ["note tools"]);
    let tools = findings.iter().find(|finding| finding.check == "tools");
    assert_eq!(tools.unwrap().found, "without FUSE, ntfs-3g and qemu-img");
}

#[test]
fn what_a_file_system_cannot_do_matters_as_much_as_images_need_it() {
    let findings = on_linux(|_, place| {
        place.probe = Ok(Probe {
            case_sensitive: true,
            hard_links: false,
            symbolic_links: false,
            long_names: false,
        });
    });
    assert_eq!(
        bad(&findings),
        [
            "note long-names",
            "problem hard-links",
            "warning symbolic-links"
        ]
    );
}

#[test]
fn a_network_file_system_is_a_warning() {
    let findings = on_linux(|_, place| {
        place.volume.file_system = Some("nfs".to_owned());
        place.volume.remote = Some(true);
    });
    assert_eq!(bad(&findings), ["warning file-system"]);
}

#[test]
fn a_folder_nobody_may_write_to_is_a_problem_that_names_the_user() {
    let findings = on_linux(|_, place| place.probe = Err("permission denied".to_owned()));
    assert_eq!(bad(&findings), ["problem destination"]);
    let destination = findings
        .iter()
        .find(|finding| finding.check == "destination");
    let remedy = destination.unwrap().remedy.as_deref().unwrap();
    assert!(remedy.contains("user 1000"), "{remedy}");
}

// ── room ──

fn with_needs(free: u64, needs: Needs) -> Vec<String> {
    let mut facts = linux();
    facts.destination.volume.free_bytes = Some(free);
    facts.needs = Some(needs);
    bad(&judge(&facts))
}

#[test]
fn room_is_compared_with_what_the_image_takes() {
    let estimate = || Needs {
        image: "i".to_owned(),
        least_bytes: 2 << 30,
        most_bytes: 3 << 30,
        ..Needs::default()
    };
    assert_eq!(with_needs(2 << 30, estimate()), ["problem free-space"]);
    assert_eq!(with_needs(3 << 30, estimate()), ["warning free-space"]);
    assert_eq!(with_needs(4 << 30, estimate()), none());
}

#[test]
fn inodes_are_compared_with_the_image_s_entries() {
    let needs = |entries| Needs {
        entries,
        ..Needs::default()
    };
    assert_eq!(with_needs(1 << 40, needs(400_000)), none());
    assert_eq!(with_needs(1 << 40, needs(600_000)), ["warning free-inodes"]);
    assert_eq!(
        with_needs(1 << 40, needs(2_000_000)),
        ["problem free-inodes"]
    );
}
