//! Windows.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use winlayer_sys::{
    Privilege,
    facts::{self, PrivilegeState},
};

use crate::doctor::facts::{Driver, Library, System, Volume, WindowsFacts};

/// What the platform's functions ask of their caller.
const NEEDED: [Privilege; 3] = [Privilege::Backup, Privilege::Restore, Privilege::Security];

pub(super) fn facts() -> System {
    let version = facts::windows_version();
    let exclusions = facts::defender_exclusions().ok();
    System::Windows(WindowsFacts {
        wine: facts::wine_version(),
        build: version.map(|version| (version.build, version.revision)),
        libraries: facts::libraries().into_iter().map(library).collect(),
        elevated: facts::is_elevated().ok(),
        privileges: privileges(),
        long_paths: facts::long_paths_enabled().ok(),
        drivers: drivers(),
        defender_exclusions: exclusions.map(|folders| {
            let shown = |folder: PathBuf| folder.to_string_lossy().into_owned();
            folders.into_iter().map(shown).collect()
        }),
    })
}

fn library(library: facts::Library) -> Library {
    Library {
        name: library.name,
        present: library.error.is_none(),
        missing: library.missing.into_iter().map(str::to_owned).collect(),
    }
}

fn privileges() -> Vec<(&'static str, bool)> {
    let states = facts::privileges().unwrap_or_default();
    states
        .into_iter()
        .filter(|(privilege, _)| NEEDED.contains(privilege))
        .map(|(privilege, state)| (privilege.name(), state != PrivilegeState::Missing))
        .collect()
}

/// The filters that the system tells of, and the CBFS drivers that are installed: those are no
/// filters of the Filter Manager, so only their files show them.
fn drivers() -> Option<Vec<Driver>> {
    let filters = facts::filter_drivers().ok()?.into_iter();
    let mut drivers: Vec<Driver> = filters
        .map(|filter| Driver {
            name: filter.name,
            group: filter.group,
            altitude: filter.altitude,
        })
        .collect();
    drivers.extend(cbfs_files().map(|name| Driver {
        name,
        group: None,
        altitude: None,
    }));
    Some(drivers)
}

fn cbfs_files() -> impl Iterator<Item = String> {
    let root = env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
    let folder = PathBuf::from(root).join(r"System32\drivers");
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .filter(|name| name.to_ascii_lowercase().starts_with("cbfs"))
}

pub(super) fn volume(path: &Path) -> Volume {
    let system = facts::file_system_of(path).ok();
    Volume {
        remote: system.as_ref().map(|system| system.remote),
        lacks: system
            .as_ref()
            .map(|system| system.lacks())
            .unwrap_or_default(),
        longest_name: system.as_ref().map(|system| u64::from(system.longest_name)),
        root: system.as_ref().map(|system| system.root.clone()),
        file_system: system.map(|system| system.name),
        free_bytes: facts::space_of(path).ok().map(|space| space.available),
        free_inodes: None,
        links: facts::reparse_points_on(path).unwrap_or_default(),
    }
}
