//! The place itself: can files be made there, and which names does its file system take.

use std::path::Path;

use crate::doctor::{
    Finding,
    facts::{Destination, Probe, System, Volume},
};

pub(super) fn judge(place: &Destination, system: &System, findings: &mut Vec<Finding>) {
    let shown = place.path.display().to_string();
    match &place.probe {
        Ok(probe) => {
            findings.push(Finding::ok("destination", &shown, written(place)));
            names(probe, &place.volume, &shown, system, findings);
        }
        Err(error) => findings.push(not_writable(place, error, system)),
    }
    if let System::Unix(_) = system {
        file_system(&place.volume, &place.existing, findings);
    }
}

fn written(place: &Destination) -> String {
    if place.existing == place.path {
        "files can be made there".to_owned()
    } else {
        format!(
            "does not exist yet; files can be made in {}",
            place.existing.display()
        )
    }
}

fn not_writable(place: &Destination, error: &str, system: &System) -> Finding {
    let remedy = match system {
        System::Unix(unix) => {
            let (user, group) = unix.user.unwrap_or_default();
            format!(
                "choose a folder that user {user} (group {group}) may write to, or change the \
                 owner of {}",
                place.existing.display()
            )
        }
        System::Windows(_) => "choose a folder that this user may write to, or start again from a \
                               console opened with \"Run as administrator\""
            .to_owned(),
    };
    Finding::problem(
        "destination",
        place.path.display().to_string(),
        error.to_owned(),
    )
    .remedy(remedy)
}

fn names(
    probe: &Probe,
    volume: &Volume,
    shown: &str,
    system: &System,
    findings: &mut Vec<Finding>,
) {
    let windows = matches!(system, System::Windows(_));
    let case = match (probe.case_sensitive, windows) {
        (true, true) => Finding::warning(
            "case",
            shown,
            "this folder tells upper from lower case, which the container platform does not expect",
        )
        .remedy("fsutil file setCaseSensitiveInfo DEST disable"),
        (true, false) => Finding::ok(
            "case",
            shown,
            "tells upper from lower case; winlayer compares names as NTFS does all the same",
        ),
        (false, _) => Finding::ok("case", shown, "upper and lower case mean the same file"),
    };
    findings.push(case);
    if !probe.long_names {
        findings.push(long_names(volume, shown, windows));
    }
    if !probe.hard_links {
        findings.push(
            Finding::problem("hard-links", shown, "a file cannot have a second name here").remedy(
                "choose a destination on a file system with hard links; FAT and exFAT have none",
            ),
        );
    }
    if !probe.symbolic_links {
        let remedy = if windows {
            "turn on Developer Mode in the settings, or start as administrator"
        } else {
            "choose a destination on a file system with symbolic links"
        };
        let found = "symbolic links cannot be made here; --to tree makes those of an image";
        findings.push(Finding::warning("symbolic-links", shown, found).remedy(remedy));
    }
}

fn long_names(volume: &Volume, shown: &str, windows: bool) -> Finding {
    let found = if windows {
        "a name of 255 characters that are not ASCII is not kept, as NTFS would".to_owned()
    } else {
        let longest = volume.longest_name.unwrap_or(255);
        format!("names stop at {longest} bytes; Windows allows 255 characters, up to 765 bytes")
    };
    Finding::note("long-names", shown, found)
        .remedy("only an image with very long names that are not ASCII is refused here")
}

/// Which kind it is, where that matters; Windows has rules of its own.
fn file_system(volume: &Volume, existing: &Path, findings: &mut Vec<Finding>) {
    let shown = existing.display().to_string();
    let Some(name) = &volume.file_system else {
        return findings.push(Finding::note(
            "file-system",
            shown,
            "its kind could not be found out",
        ));
    };
    findings.push(match name.as_str() {
        "vfat" | "exfat" | "msdos" => Finding::problem(
            "file-system",
            shown,
            format!("{name} has no hard links, coarse times, and files of 4 GiB at most on FAT"),
        )
        .remedy("choose a destination on another file system"),
        "iso9660" | "squashfs" => {
            Finding::problem("file-system", shown, format!("{name} cannot be written to"))
                .remedy("choose a destination on another file system")
        }
        "hfs" | "hfsplus" => Finding::warning(
            "file-system",
            shown,
            format!("{name} keeps times of whole seconds and changes the form of accented letters"),
        )
        .remedy("choose a destination on APFS"),
        _ if volume.remote == Some(true) => Finding::warning(
            "file-system",
            shown,
            format!("{name} is on another machine: slow, and file locks may not hold"),
        )
        .remedy("unpack to a local disk; if it must be here, only from one machine at a time"),
        "fuse" => Finding::note(
            "file-system",
            shown,
            "a file system in user space (FUSE): works if it has hard links and times, slowly",
        ),
        "tmpfs" => Finding::note("file-system", shown, "tmpfs: what is unpacked takes memory"),
        _ => Finding::ok("file-system", shown, name.clone()),
    });
}
