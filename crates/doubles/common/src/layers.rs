//! Import, export and removal of layers.

use std::fs;
use std::path::{Path, PathBuf};

use crate::call::{Call, Failure};
use crate::codes::SHARING_VIOLATION;
use crate::scratch;

/// The rules of an import.
pub fn check_import(_call: &mut Call, _layer: &Path, _source: &Path) {}

/// Imports.
///
/// # Errors
///
/// Of the file system.
pub fn import(layer: &Path, _source: &Path, _parents: &[PathBuf]) -> Result<(), Failure> {
    Ok(fs::create_dir_all(layer)?)
}

/// The rules of an export.
pub fn check_export(_call: &mut Call, _layer: &Path, _folder: &Path) {}

/// Exports.
///
/// # Errors
///
/// Of the file system.
pub fn export(_layer: &Path, _folder: &Path, _parents: &[PathBuf]) -> Result<(), Failure> {
    Ok(())
}

/// The rules of removing a layer.
pub fn check_destroy(call: &mut Call, layer: &Path) {
    call.rule(
        !scratch::in_use(layer),
        SHARING_VIOLATION,
        "the layer is mounted",
    );
}

/// Removes a layer, whatever is in it.
///
/// # Errors
///
/// Of the file system.
pub fn destroy(layer: &Path) -> Result<(), Failure> {
    scratch::forget(layer)?;
    if layer.exists() {
        fs::remove_dir_all(layer)?;
    }
    Ok(())
}
