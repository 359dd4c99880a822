//! Building beside the destination and renaming when all is verified.
//!
//! A staging directory `.NAME.winlayer-ingest-PID-N` lies in the directory that will hold NAME. A
//! lock file inside, held while the process lives, tells what a killed process left: the next start
//! takes the lock and removes the directory.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process,
};

use winlayer_sys::Dir;

use crate::{Error, Result};

const LOCK: &str = "lock";

/// The directory in which a tree or a tar file is built.
#[derive(Debug)]
pub(crate) struct Staging {
    /// The directory that will hold the result.
    parent: Dir,
    parent_path: PathBuf,
    /// Name of the result.
    name: String,
    // Dropped in this order: Windows removes no directory while it or what it holds is open.
    dir: Dir,
    _lock: File,
    garbage: Garbage,
}

/// The staging directory, removed with all it still holds when this is dropped.
#[derive(Debug)]
struct Garbage {
    parent: Dir,
    name: String,
}

impl Staging {
    /// Prepares to make `destination`; removes what killed processes left beside it.
    pub(crate) fn beside(destination: &Path) -> Result<Self> {
        let name = destination
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| {
                let what = format!(
                    "\"{}\" is not the name of a file or directory",
                    destination.display()
                );
                Error::refused(
                    what,
                    "name a destination that ends in an ordinary name in UTF-8",
                )
            })?;
        let parent_path = match destination.parent() {
            Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
            Some(parent) => parent.to_owned(),
            None => PathBuf::from("."),
        };
        fs::create_dir_all(&parent_path).map_err(|source| {
            Error::io(
                format!("create the directory \"{}\"", parent_path.display()),
                source,
            )
        })?;
        let parent = Dir::open_ambient(&parent_path)?;
        let prefix = format!(".{name}.winlayer-ingest-");
        remove_garbage(&parent, &prefix)?;
        for attempt in 0..100 {
            let staging_name = format!("{prefix}{}-{attempt}", process::id());
            if let Some((dir, lock)) = claim(&parent, &staging_name)? {
                let garbage = Garbage {
                    parent: parent.open_dir("")?,
                    name: staging_name,
                };
                return Ok(Self {
                    parent,
                    parent_path,
                    name: name.to_owned(),
                    dir,
                    _lock: lock,
                    garbage,
                });
            }
        }
        let what = format!("cannot make a staging directory \"{prefix}…\"");
        Err(Error::refused(
            what,
            "remove directories of that name and try again",
        ))
    }

    /// Where to build.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The staging directory by its host path, for what only takes paths.
    pub(crate) fn path(&self) -> PathBuf {
        self.parent_path.join(&self.garbage.name)
    }

    /// Moves what was built as `built` to the destination, replacing a file or an empty directory.
    pub(crate) fn publish(&self, built: &str) -> Result<()> {
        self.dir.rename_replace(built, &self.parent, &self.name)?;
        Ok(())
    }
}

impl Drop for Garbage {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next start.
        let _ = self.parent.remove_all(&self.name);
    }
}

/// Makes a staging directory and takes its lock; none when another process interferes.
fn claim(parent: &Dir, name: &str) -> Result<Option<(Dir, File)>> {
    match parent.create_dir(name) {
        Ok(()) => {}
        Err(error) if error.io_kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let dir = parent.open_dir(name)?;
    let lock = match dir.create_file(LOCK) {
        Ok(lock) => lock,
        // Another start took the empty directory for garbage.
        Err(error) if error.io_kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if lock.try_lock().is_err() || dir.stat(LOCK)?.is_none() {
        return Ok(None);
    }
    Ok(Some((dir, lock)))
}

/// Removes staging directories whose process is gone.
fn remove_garbage(parent: &Dir, prefix: &str) -> Result<()> {
    for entry in parent.read_dir("")? {
        let Some(name) = entry.name.to_str().filter(|name| name.starts_with(prefix)) else {
            continue;
        };
        let Ok(dir) = parent.open_dir(name) else {
            continue;
        };
        let lock = dir.open_file(LOCK);
        // Windows removes no directory while it is open.
        drop(dir);
        match lock {
            Ok(lock) if lock.try_lock().is_ok() => {
                if cfg!(windows) {
                    drop(lock);
                }
                parent.remove_all(name)?;
            }
            Ok(_) => {}
            // Killed between making the directory and its lock, so there is nothing inside.
            Err(_) => drop(fs::remove_dir(parent.path().join(name))),
        }
    }
    Ok(())
}
