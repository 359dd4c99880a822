//! Import, export and removal of layers, as hcsshim and Microsoft's pages describe their outcome.
//!
//! After an import, every directory the layer touches lists what the layers below have there too, as
//! placeholders: empty files and directories, known as such to the doubles only.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::call::{Call, Failure};
use crate::codes::{
    ALREADY_EXISTS, FILE_NOT_FOUND, INVALID_ARGUMENT, INVALID_DATA, INVALID_STATE, PATH_NOT_FOUND,
    SHARING_VIOLATION,
};
use crate::merged::{children, listing};
use crate::transport::{self, SIDECAR, is_sidecar, sidecar};
use crate::{grammar, objects, scratch, sys};

pub use crate::export::{check_export, export};

/// The rules of an import: the source is in the transport format and whole, nobody has a file of it
/// open, the destination is another folder and empty of files.
pub fn check_import(call: &mut Call, layer: &Path, source: &Path) {
    call.rule(source.is_dir(), PATH_NOT_FOUND, "the source is not there");
    let inside = layer.starts_with(source) || source.starts_with(layer);
    call.rule(
        !inside,
        INVALID_ARGUMENT,
        "source and destination are not two folders",
    );
    call.rule(
        !layer.join("Files").exists(),
        ALREADY_EXISTS,
        "the layer has Files already",
    );
    let link = objects::is_link(layer);
    call.rule(!link, INVALID_ARGUMENT, "the layer's folder is a link");
    for (name, path) in listing(source) {
        let known = matches!(
            &*name,
            "files" | "files.$wcidirs$" | "hives" | "hives.$wcidirs$"
        );
        let text = if name == "tombstones.txt" {
            "what it lists would be deleted"
        } else {
            "not part of the format"
        };
        call.rule(
            known,
            INVALID_DATA,
            format!("{} is staged: {text}", path.display()),
        );
    }
    call.rule(
        source.join("Files").is_dir(),
        FILE_NOT_FOUND,
        "Files is not staged",
    );
    for top in ["Files", "Hives"] {
        if source.join(top).is_dir() {
            check_sidecar(call, &source.join(top));
        }
    }
    check_directory(call, &source.join("Files"));
    for hive in listing(&source.join("Hives")).into_values() {
        call.rule(
            hive.is_file(),
            INVALID_DATA,
            format!("{} is not a file", hive.display()),
        );
        check_closed(call, &hive);
    }
}

fn check_directory(call: &mut Call, directory: &Path) {
    let entries = listing(directory);
    for (name, path) in &entries {
        if path.is_dir() {
            if check_sidecar(call, path) {
                let empty = listing(path).is_empty();
                call.rule(
                    empty,
                    INVALID_DATA,
                    format!("{} is a link, and something is in it", path.display()),
                );
            } else {
                check_directory(call, path);
            }
        } else if is_sidecar(path) {
            let directory = name.get(..name.len() - SIDECAR.len()).unwrap_or_default();
            let there = entries.get(directory).is_some_and(|path| path.is_dir());
            call.rule(
                there,
                FILE_NOT_FOUND,
                format!("{} has no directory", path.display()),
            );
        } else {
            check_closed(call, path);
            check_staged(call, path, false);
        }
    }
}

/// Checks the sidecar of `directory`, and whether it describes a link.
fn check_sidecar(call: &mut Call, directory: &Path) -> bool {
    let sidecar = sidecar(directory);
    if !sidecar.is_file() {
        call.violation(
            FILE_NOT_FOUND,
            format!("{} has no {SIDECAR}", directory.display()),
        );
        return false;
    }
    check_closed(call, &sidecar);
    check_staged(call, &sidecar, true);
    transport::is_link(&sidecar)
}

fn check_closed(call: &mut Call, path: &Path) {
    if let Err(error) = sys::open_exclusively(path) {
        call.violation(
            SHARING_VIOLATION,
            format!("{} is still open: {error}", path.display()),
        );
    }
}

fn check_staged(call: &mut Call, path: &Path, directory: bool) {
    match transport::inspect(path) {
        Err(error) => call.violation(INVALID_DATA, format!("{}: {error}", path.display())),
        Ok((attributes, records)) => {
            for text in grammar::transport_violations(&records, directory) {
                call.violation(INVALID_DATA, format!("{}: {text}", path.display()));
            }
            let agrees = (attributes & 0x10 != 0) == directory
                || records.iter().any(|record| record.id == 8);
            call.rule(
                agrees,
                INVALID_DATA,
                format!("{}: attributes {attributes:#x}", path.display()),
            );
        }
    }
}

/// Makes the layer from what is staged and what the layers below hold.
///
/// # Errors
///
/// Of the file system.
pub fn import(layer: &Path, source: &Path, parents: &[PathBuf]) -> Result<(), Failure> {
    fs::create_dir_all(layer)?;
    let (staged, files) = (source.join("Files"), layer.join("Files"));
    fs::create_dir(&files)?;
    transport::unstage(&sidecar(&staged), &files)?;
    import_directory(&staged, &files, Path::new(""), parents)?;
    transport::restore_times(&sidecar(&staged), &files)?;
    import_hives(layer, &source.join("Hives"), parents)
}

fn import_directory(
    staged: &Path,
    to: &Path,
    relative: &Path,
    parents: &[PathBuf],
) -> Result<(), Failure> {
    let own = listing(staged);
    for path in own.values().filter(|path| !is_sidecar(path)) {
        let name = path.file_name().unwrap_or_default();
        let (to, relative) = (to.join(name), relative.join(name));
        if path.is_dir() {
            fs::create_dir(&to)?;
            transport::unstage(&sidecar(path), &to)?;
            if !transport::is_link(&sidecar(path)) {
                import_directory(path, &to, &relative, parents)?;
            }
            transport::restore_times(&sidecar(path), &to)?;
        } else {
            transport::unstage(path, &to)?;
        }
    }
    for (name, below) in children(parents, relative) {
        if !own.contains_key(&name) {
            placeholder(&below, &to.join(below.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

fn placeholder(below: &Path, path: &Path) -> Result<(), Failure> {
    if below.is_dir() {
        fs::create_dir(path)?;
    } else {
        File::create_new(path)?;
    }
    Ok(objects::keep_placeholder(path)?)
}

/// The deltas stay; the base hives are those of the layer below (merging them is Windows' affair).
fn import_hives(layer: &Path, staged: &Path, parents: &[PathBuf]) -> Result<(), Failure> {
    let hives = layer.join("Hives");
    fs::create_dir(&hives)?;
    for delta in listing(staged).into_values() {
        fs::copy(&delta, hives.join(delta.file_name().unwrap_or_default()))?;
    }
    let below = parents
        .first()
        .map(|parent| listing(&parent.join("Hives")))
        .unwrap_or_default();
    for (_, base) in below
        .into_iter()
        .filter(|(name, _)| name.ends_with("_base"))
    {
        fs::copy(&base, hives.join(base.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// The rules of removing a layer: it is not mounted, and a link is not followed.
pub fn check_destroy(call: &mut Call, layer: &Path) {
    call.rule(
        !scratch::in_use(layer),
        INVALID_STATE,
        "the layer is mounted",
    );
    let drive = layer
        .parent()
        .is_none_or(|parent| parent.parent().is_none());
    call.rule(
        !drive,
        INVALID_ARGUMENT,
        "this would delete a drive's folder",
    );
}

/// Removes a layer, whatever is in it.
///
/// # Errors
///
/// Of the file system.
pub fn destroy(layer: &Path) -> Result<(), Failure> {
    scratch::forget(layer)?;
    if !layer.exists() {
        return Ok(());
    }
    remove_tree(layer)
}

fn remove_tree(directory: &Path) -> Result<(), Failure> {
    for path in listing(directory).into_values() {
        if path.is_dir() {
            remove_tree(&path)?;
        } else {
            let metadata = fs::metadata(&path)?;
            if metadata.permissions().readonly() {
                sys::set_attributes(&path, 0x80)?;
            }
            if let Ok(file) = sys::open_object(&path, 0x0010_0080)
                && sys::id_of(&file).is_ok_and(|id| id.links == 1)
            {
                objects::forget(&file);
            }
            fs::remove_file(&path)?;
        }
    }
    if let Ok(own) = sys::open_object(directory, 0x0010_0080) {
        objects::forget(&own);
    }
    sys::set_attributes(directory, 0x80)?;
    Ok(fs::remove_dir(directory)?)
}
