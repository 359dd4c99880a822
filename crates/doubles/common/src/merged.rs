//! The merged view of imported layers, as far as their listings tell.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::call::Failure;
use crate::objects;

/// The object that `relative` means in the layers `parents`, immediate first.
///
/// A directory that a layer touches lists everything that is visible in it, so a name missing there
/// is missing for good. A placeholder sends us on to the layer below.
#[must_use]
pub fn resolve(parents: &[PathBuf], relative: &Path) -> Option<PathBuf> {
    'layers: for parent in parents {
        let mut path = parent.join("Files");
        for component in relative.components() {
            path.push(component);
            if !path.exists()
                || (path != parent.join("Files").join(relative) && objects::is_link(&path))
            {
                return None;
            }
            if objects::is_placeholder(&path) {
                continue 'layers;
            }
        }
        return Some(path);
    }
    None
}

/// The names visible in directory `relative` of the layers `parents`, in lower case, and as written.
/// Empty when it is not a directory there.
#[must_use]
pub fn children(parents: &[PathBuf], relative: &Path) -> BTreeMap<String, PathBuf> {
    let directory =
        resolve(parents, relative).filter(|path| path.is_dir() && !objects::is_link(path));
    directory
        .map(|directory| listing(&directory))
        .unwrap_or_default()
}

/// What is in `directory`, by names in lower case.
#[must_use]
pub fn listing(directory: &Path) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().to_lowercase(),
                entry.path(),
            )
        })
        .collect()
}

/// Copies the merged view into the new folder `to`.
///
/// # Errors
///
/// Of the file system.
pub fn materialise(parents: &[PathBuf], to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to)?;
    copy_directory(parents, Path::new(""), to)
}

fn copy_directory(parents: &[PathBuf], relative: &Path, to: &Path) -> Result<(), Failure> {
    for entry in children(parents, relative).into_values() {
        let name = entry.file_name().unwrap_or_default();
        let (relative, to) = (relative.join(name), to.join(name));
        // Only a placeholder leads elsewhere.
        let from = match objects::is_placeholder(&entry) {
            true => resolve(parents, &relative),
            false => Some(entry),
        };
        let Some(from) = from else {
            continue;
        };
        if from.is_dir() {
            fs::create_dir(&to)?;
            objects::copy(&from, &to)?;
            if !objects::is_link(&from) {
                copy_directory(parents, &relative, &to)?;
            }
        } else {
            fs::copy(&from, &to)?;
            objects::copy(&from, &to)?;
        }
    }
    Ok(())
}
