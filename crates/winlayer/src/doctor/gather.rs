//! Asking the system. What it does not answer stays unknown; nothing here fails.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{
    fs,
    path::{Path, PathBuf},
};

use winlayer_sys::{Dir, SysError};

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

use super::{
    Needs,
    facts::{Destination, Facts, Probe},
};

pub(super) fn gather(dest: &Path, needs: Option<Needs>) -> Facts {
    Facts {
        destination: destination(dest),
        system: system::facts(),
        needs,
    }
}

fn destination(dest: &Path) -> Destination {
    let path = std::path::absolute(dest).unwrap_or_else(|_| dest.to_owned());
    let existing = nearest_existing(&path);
    Destination {
        resolved: fs::canonicalize(&existing).ok(),
        volume: system::volume(&existing),
        probe: probe(&existing).map_err(|error| error.to_string()),
        existing,
        path,
    }
}

/// `path`, or the first of its parents that is there. A broken link is there: it is in the way.
fn nearest_existing(path: &Path) -> PathBuf {
    path.ancestors()
        .find(|place| place.symlink_metadata().is_ok())
        .unwrap_or(path)
        .to_owned()
}

/// Makes a few small files in a directory of their own, and removes them.
fn probe(folder: &Path) -> Result<Probe, SysError> {
    let dir = Dir::open_ambient(folder)?;
    let name = format!(".winlayer-doctor-{}", std::process::id());
    dir.create_dir(&name)?;
    let answers = dir.open_dir(&name).and_then(|dir| ask(&dir));
    // What cannot be removed is an empty folder with a name that says whose it is.
    let _ = dir.remove_all(&name);
    answers
}

fn ask(dir: &Dir) -> Result<Probe, SysError> {
    // Three bytes each in UTF-8, one UTF-16 unit each: the longest name Windows allows.
    let long_name = "\u{754c}".repeat(255);
    drop(dir.create_file("a")?);
    // Some systems shorten a name and call that success.
    let stored = |name: &str| {
        let names = dir.read_dir("").unwrap_or_default();
        names.iter().any(|entry| entry.name == name)
    };
    Ok(Probe {
        case_sensitive: dir.stat("A")?.is_none(),
        hard_links: dir.hard_link("a", dir, "link").is_ok(),
        symbolic_links: dir.symlink("a", "symbolic").is_ok(),
        long_names: dir.create_file(&long_name).is_ok() && stored(&long_name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_that_is_not_there_is_judged_by_its_nearest_parent() {
        let folder = tempfile::tempdir().unwrap();
        let found = destination(&folder.path().join("a/b"));
        assert_eq!(found.existing, folder.path());
        assert!(found.path.ends_with("a/b"));
        assert!(found.probe.is_ok());
        assert!(found.volume.free_bytes.is_some());
    }

    #[test]
    fn asking_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        probe(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(destination(&file).probe.is_err());
        assert_eq!(destination(&file.join("below")).existing, file);
    }
}
