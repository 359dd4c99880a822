//! Windows: what the container platform needs to finish layers.

use std::path::Path;

use super::list;
use crate::doctor::{
    Finding, Severity,
    facts::{Destination, Driver, Library, WindowsFacts},
};

/// Windows Server 2016 and Windows 10 1607: the first with this layer format (hcsshim `osversion`).
const FIRST_BUILD: u32 = 14393;
/// Windows Server 2019 and Windows 10 1809: the first with `computestorage.dll`.
const COMPUTE_STORAGE_BUILD: u32 = 17763;

/// A layer's files lie below `DEST\layers\<64 digits>`; the root of that must stay below the 248
/// units that a folder's plain path may have.
const LONGEST_DESTINATION: usize = 248 - r"\layers\".len() - 64;

const ELSEWHERE: &str =
    "or unpack with --to folder here and finish with `winlayer layer import` on another machine";

pub(super) fn judge(windows: &WindowsFacts, place: &Destination, findings: &mut Vec<Finding>) {
    findings.push(version(windows));
    libraries(&windows.libraries, findings);
    rights(windows, findings);
    findings.push(file_system(place));
    drive(place, findings);
    paths(windows.long_paths, place, findings);
    drivers(windows, place, findings);
}

fn version(windows: &WindowsFacts) -> Finding {
    const CHECK: &str = "windows-version";
    if let Some(wine) = &windows.wine {
        let found = format!("this is Wine {wine}: it has no container platform and keeps less");
        return Finding::note(CHECK, "Windows", found);
    }
    let Some((build, revision)) = windows.build else {
        return Finding::note(CHECK, "Windows", "its build could not be found out");
    };
    let found = match revision {
        Some(revision) => format!("build {build}.{revision}"),
        None => format!("build {build}"),
    };
    if build < FIRST_BUILD {
        return Finding::problem(
            CHECK,
            "Windows",
            format!("{found} has no container platform"),
        )
        .remedy(format!(
            "Windows Server 2016 or Windows 10 1607 (build {FIRST_BUILD}) is the oldest that \
                 can finish layers; {ELSEWHERE}"
        ));
    }
    if build < COMPUTE_STORAGE_BUILD {
        return Finding::note(
            CHECK,
            "Windows",
            format!("{found}: only the older layer functions, of vmcompute.dll"),
        );
    }
    Finding::ok(CHECK, "Windows", found)
}

fn libraries(libraries: &[Library], findings: &mut Vec<Finding>) {
    for library in libraries {
        findings.push(match library.name {
            "vmcompute.dll" => compute(library),
            "computestorage.dll" => optional(library, "--hcs-family computestorage"),
            _ => optional(library, "mounting and growing scratches"),
        });
    }
}

/// vmcompute.dll comes with the Containers or the Hyper-V feature.
fn compute(library: &Library) -> Finding {
    const CHECK: &str = "container-platform";
    if !library.present {
        return Finding::problem(CHECK, library.name, "is not installed").remedy(format!(
            "as administrator in PowerShell: Enable-WindowsOptionalFeature -Online -FeatureName \
             Containers -All (on a server: Install-WindowsFeature Containers), then restart; \
             {ELSEWHERE}"
        ));
    }
    if !library.missing.is_empty() {
        let found = format!("does not have {}", list(&library.missing));
        return Finding::problem(CHECK, library.name, found)
            .remedy("install the newest updates of this Windows");
    }
    Finding::ok(CHECK, library.name, "has every function that is called")
}

fn optional(library: &Library, needed_for: &str) -> Finding {
    const CHECK: &str = "platform-libraries";
    if !library.present {
        return Finding::note(
            CHECK,
            library.name,
            format!("is not there, only {needed_for} needs it"),
        );
    }
    if !library.missing.is_empty() {
        let missing = list(&library.missing);
        return Finding::note(
            CHECK,
            library.name,
            format!("does not have {missing}; {needed_for} may need it"),
        );
    }
    Finding::ok(CHECK, library.name, "has every function that is called")
}

fn rights(windows: &WindowsFacts, findings: &mut Vec<Finding>) {
    const CHECK: &str = "administrator";
    let needed_for =
        "finishing, importing and mounting layers; --to folder, tree and tar need none";
    match windows.elevated {
        Some(true) => findings.push(Finding::ok(CHECK, "this process", "is elevated")),
        Some(false) => findings.push(
            Finding::problem(
                CHECK,
                "this process",
                format!("is not elevated, as it must be for {needed_for}"),
            )
            .remedy("open a console with \"Run as administrator\" and start again there"),
        ),
        None => findings.push(Finding::note(
            CHECK,
            "this process",
            "whether it is elevated could not be found out",
        )),
    }
    let missing: Vec<&str> = windows
        .privileges
        .iter()
        .filter(|(_, held)| !held)
        .map(|(name, _)| *name)
        .collect();
    let what = "privileges of the user";
    if !missing.is_empty() && windows.elevated != Some(false) {
        findings.push(
            Finding::problem("privileges", what, format!("{} not held", list(&missing))).remedy(
                "an administrator has them unless a policy took them away: see Local Policies, \
                 User Rights Assignment (secpol.msc)",
            ),
        );
    } else if missing.is_empty() && !windows.privileges.is_empty() {
        let held: Vec<&str> = windows.privileges.iter().map(|(name, _)| *name).collect();
        findings.push(Finding::ok(
            "privileges",
            what,
            format!("{} held", list(&held)),
        ));
    }
}

/// Only NTFS keeps all a layer has; moby and containerd refuse the others too.
fn file_system(place: &Destination) -> Finding {
    const CHECK: &str = "file-system";
    let shown = place.existing.display().to_string();
    let remedy = "choose a destination on a local NTFS volume";
    if place.volume.remote == Some(true) || is_network_path(&place.path) {
        return Finding::problem(
            CHECK,
            shown,
            "is on another machine, where layers cannot be",
        )
        .remedy(remedy);
    }
    match place.volume.file_system.as_deref() {
        Some(name) if name.eq_ignore_ascii_case("ntfs") && !place.volume.lacks.is_empty() => {
            let found = format!("NTFS without {}", list(&place.volume.lacks));
            Finding::problem(CHECK, shown, found).remedy(remedy)
        }
        Some(name) if name.eq_ignore_ascii_case("ntfs") => Finding::ok(CHECK, shown, "NTFS"),
        Some(name) => Finding::problem(
            CHECK,
            shown,
            format!("{name}; the container platform only works on NTFS"),
        )
        .remedy(remedy),
        None => Finding::note(CHECK, shown, "its kind could not be found out"),
    }
}

fn is_network_path(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let verbatim = text.strip_prefix(r"\\?\").or(text.strip_prefix(r"\\.\"));
    match verbatim {
        Some(rest) => rest
            .get(..4)
            .is_some_and(|unc| unc.eq_ignore_ascii_case(r"UNC\")),
        None => text.starts_with(r"\\"),
    }
}

/// A junction or link on the way may lead to a volume of another kind, and the platform keeps the
/// path as it was given.
fn drive(place: &Destination, findings: &mut Vec<Finding>) {
    let Some(link) = place.volume.links.first() else {
        return;
    };
    let real = place.resolved.as_deref().unwrap_or(&place.existing);
    let real = plain(real);
    let shown = place.path.display().to_string();
    let found = format!("is behind the link {}", link.display());
    let named = plain(&place.existing);
    let elsewhere = match &place.volume.root {
        Some(root) => !is_below(&named, &plain(root)),
        None => false,
    };
    let (severity, found) = if elsewhere {
        (Severity::Problem, format!("{found}, on another volume"))
    } else {
        (Severity::Warning, found)
    };
    let finding = Finding::new(severity, "link", shown, found);
    findings.push(finding.remedy(format!("name the real place: {real}")));
}

/// Without the prefix of long paths.
fn plain(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.strip_prefix(r"\\?\").unwrap_or(&text).to_owned()
}

fn paths(long_paths: Option<bool>, place: &Destination, findings: &mut Vec<Finding>) {
    let units = place.path.to_string_lossy().encode_utf16().count();
    if units > LONGEST_DESTINATION {
        findings.push(
            Finding::problem(
                "path-length",
                place.path.display().to_string(),
                format!(
                    "has {units} characters; layers are kept below it, and the platform takes {} \
                     at most",
                    LONGEST_DESTINATION
                ),
            )
            .remedy(r"choose a shorter destination, such as C:\layers"),
        );
    }
    findings.push(match long_paths {
        Some(true) => Finding::ok("long-paths", "LongPathsEnabled", "is set"),
        Some(false) => Finding::note(
            "long-paths",
            "LongPathsEnabled",
            "is not set: winlayer does not need it, but other programs cannot open the deepest \
             files of an image",
        )
        .remedy(
            r"reg add HKLM\SYSTEM\CurrentControlSet\Control\FileSystem /v LongPathsEnabled /t REG_DWORD /d 1 /f",
        ),
        None => Finding::note("long-paths", "LongPathsEnabled", "could not be found out"),
    });
}

fn drivers(windows: &WindowsFacts, place: &Destination, findings: &mut Vec<Finding>) {
    let Some(drivers) = &windows.drivers else {
        findings.push(Finding::note(
            "drivers",
            "file system drivers",
            "could not be found out",
        ));
        return;
    };
    let breaking: Vec<&str> = drivers
        .iter()
        .filter(|driver| is_cbfs(driver))
        .map(|driver| driver.name.as_str())
        .collect();
    findings.push(if breaking.is_empty() {
        let found = match drivers.len() {
            0 => "none was found".to_owned(),
            number => format!("{number} filters, none known to break layers"),
        };
        Finding::ok("drivers", "file system drivers", found)
    } else {
        Finding::problem(
            "drivers",
            "file system drivers",
            format!(
                "{} (CBFS, of a cloud drive such as Box): with it mounting and importing fail with \
                 error 1, incorrect function",
                list(&breaking)
            ),
        )
        .remedy("uninstall the program it belongs to and restart; stopping it is not enough")
    });
    findings.extend(antivirus(windows, drivers, place));
}

/// CBFS Connect and its predecessors, whose services are named cbfs6, cbfsconnect2017, … The driver
/// is no minifilter, so the Filter Manager does not list it (moby/moby issue 42807).
fn is_cbfs(driver: &Driver) -> bool {
    let name = driver.name.to_ascii_lowercase();
    name.starts_with("cbfs") && !name.starts_with("cbfsfilter")
}

/// By its group, or its place among the filters: 320000 to 329999 is theirs (MS Learn, "Load order
/// groups and altitudes for minifilter drivers").
fn is_antivirus(driver: &Driver) -> bool {
    let group = driver.group.as_deref().unwrap_or_default();
    let altitude = driver.altitude.as_deref().unwrap_or_default();
    let whole = altitude.split('.').next().unwrap_or_default();
    group.eq_ignore_ascii_case("FSFilter Anti-Virus")
        || whole
            .parse()
            .is_ok_and(|altitude: u32| (320_000..330_000).contains(&altitude))
}

/// Every file is scanned when it is closed, which takes longer than writing it.
fn antivirus(windows: &WindowsFacts, drivers: &[Driver], place: &Destination) -> Option<Finding> {
    const CHECK: &str = "antivirus";
    let scans = |driver: &&Driver| is_antivirus(driver);
    let scanners: Vec<&str> = drivers
        .iter()
        .filter(scans)
        .map(|driver| driver.name.as_str())
        .collect();
    if scanners.is_empty() {
        return None;
    }
    let dest = place.path.display().to_string();
    let excluded = windows
        .defender_exclusions
        .iter()
        .flatten()
        .any(|folder| is_below(&dest, folder));
    let only_defender = scanners
        .iter()
        .all(|name| name.eq_ignore_ascii_case("WdFilter"));
    if excluded && only_defender {
        return Some(Finding::ok(CHECK, dest, "Defender leaves it alone"));
    }
    let found = format!("{} looks into every file that is written", list(&scanners));
    let remedy = if only_defender {
        format!("unpacking is faster with: Add-MpPreference -ExclusionPath '{dest}'")
    } else {
        format!("unpacking is faster when {dest} is excluded in the antivirus program's settings")
    };
    Some(Finding::note(CHECK, dest, found).remedy(remedy))
}

fn is_below(path: &str, folder: &str) -> bool {
    let (path, folder) = (path.to_lowercase(), folder.to_lowercase());
    let folder = folder.trim_end_matches('\\');
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('\\'))
}
