//! Scratch layers: `sandbox.vhdx`, and the order in which it is mounted and unmounted.
//!
//! The volume of a scratch is a folder among the state, which the first PrepareLayer fills with the
//! merged view of the layers below. What is written there is what ExportLayer finds.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::call::{Call, Failure};
use crate::codes::{
    ALREADY_EXISTS, FILE_NOT_FOUND, INVALID_ARGUMENT, INVALID_STATE, NOT_READY, PATH_NOT_FOUND,
    SHARING_VIOLATION,
};
use crate::guid::name_to_guid;
use crate::{disk, merged, state, sys};

/// `sandbox.vhdx` of a scratch.
#[must_use]
pub fn sandbox(layer: &Path) -> PathBuf {
    layer.join("sandbox.vhdx")
}

fn state_of(layer: &Path) -> Value {
    state::load(&state::file_for("scratch", layer))
}

fn is(layer: &Path, what: &str) -> bool {
    state_of(layer)
        .get(what)
        .and_then(Value::as_bool)
        .unwrap_or_default()
}

/// Whether the scratch is mounted in part or whole.
#[must_use]
pub fn in_use(layer: &Path) -> bool {
    is(layer, "activated") || is(layer, "prepared")
}

/// Whether the merged view is visible in the scratch.
#[must_use]
pub fn is_prepared(layer: &Path) -> bool {
    is(layer, "prepared")
}

/// Records one thing about the scratch.
///
/// # Errors
///
/// Of the file system.
pub fn set(layer: &Path, what: &str, value: impl Into<Value>) -> Result<(), Failure> {
    let mut document = state_of(layer);
    if !document.is_object() {
        document = json!({ "path": layer.to_string_lossy() });
    }
    if let Some(members) = document.as_object_mut() {
        members.insert(what.to_owned(), value.into());
    }
    Ok(state::save(&state::file_for("scratch", layer), &document)?)
}

/// Forgets the scratch and its volume.
///
/// # Errors
///
/// Of the file system.
pub fn forget(layer: &Path) -> Result<(), Failure> {
    let _ = fs::remove_dir_all(volume(layer));
    let _ = fs::remove_file(state::file_for("scratch", layer));
    Ok(())
}

/// The base layer is the last parent, and finished.
fn check_base_is_finished(call: &mut Call, parents: &[PathBuf]) {
    let Some(base) = parents.last() else { return };
    for made in ["layout", "blank-base.vhdx", "blank.vhdx"] {
        call.rule(
            base.join(made).is_file(),
            PATH_NOT_FOUND,
            format!("the last parent has no {made}: not a finished base layer"),
        );
    }
    for layer in parents.iter().rev().skip(1) {
        let is_base = layer.join("blank-base.vhdx").exists();
        call.rule(
            !is_base,
            PATH_NOT_FOUND,
            format!(
                "{} is a base layer but not the last parent",
                layer.display()
            ),
        );
        let has_files = layer.join("Files").is_dir();
        call.rule(
            has_files,
            PATH_NOT_FOUND,
            format!("{} has no Files: not an imported layer", layer.display()),
        );
    }
}

/// The rules of CreateSandboxLayer.
pub fn check_create(call: &mut Call, layer: &Path, parents: &[PathBuf]) {
    check_base_is_finished(call, parents);
    call.rule(
        !sandbox(layer).exists(),
        ALREADY_EXISTS,
        "sandbox.vhdx is there already",
    );
    call.rule(
        !layer.join("Files").exists(),
        ALREADY_EXISTS,
        "a scratch is not made in a layer with files",
    );
}

/// Makes the folder and its disk.
///
/// # Errors
///
/// Of the file system.
pub fn create(layer: &Path, parents: &[PathBuf]) -> Result<(), Failure> {
    forget(layer)?;
    fs::create_dir_all(layer)?;
    let base = parents
        .last()
        .ok_or_else(|| Failure::new(INVALID_ARGUMENT, "no parents"))?;
    Ok(disk::write(
        &sandbox(layer),
        &disk::differencing(&base.join("blank-base.vhdx")),
    )?)
}

/// The rules of ExpandSandboxSize.
pub fn check_expand(call: &mut Call, layer: &Path, bytes: u64) {
    let disk = disk::read(&sandbox(layer));
    call.rule(disk.is_object(), FILE_NOT_FOUND, "there is no sandbox.vhdx");
    let now = disk
        .get("bytes")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    call.rule(
        bytes >= now,
        INVALID_ARGUMENT,
        format!("{bytes} bytes is less than the {now} it has"),
    );
    call.rule(!in_use(layer), SHARING_VIOLATION, "the scratch is mounted");
}

/// Grows the disk.
///
/// # Errors
///
/// Of the file system.
pub fn expand(layer: &Path, bytes: u64) -> Result<(), Failure> {
    Ok(disk::set(&sandbox(layer), "bytes", bytes.into())?)
}

/// The rules of ActivateLayer.
pub fn check_activate(call: &mut Call, layer: &Path) {
    if !sandbox(layer).exists() {
        // No effect on a read-only layer, as long as it is one.
        let finished = layer.join("Files").is_dir();
        return call.rule(
            finished,
            FILE_NOT_FOUND,
            "neither a scratch nor a finished layer",
        );
    }
    let disk = disk::read(&sandbox(layer));
    call.rule(
        disk.is_object(),
        INVALID_ARGUMENT,
        "sandbox.vhdx is not a disk",
    );
    call.rule(
        disk.get("formatted").and_then(Value::as_bool) == Some(true),
        NOT_READY,
        "sandbox.vhdx is not formatted",
    );
    call.rule(
        !is(layer, "activated"),
        INVALID_STATE,
        "activated already: calls are not paired",
    );
    call.rule(
        !disk::is_attached(&sandbox(layer)),
        SHARING_VIOLATION,
        "sandbox.vhdx is attached elsewhere",
    );
}

/// The rules of DeactivateLayer.
pub fn check_deactivate(call: &mut Call, layer: &Path) {
    // Allowed on a scratch that is not activated: it is how a stuck one is got loose.
    call.rule(layer.is_dir(), PATH_NOT_FOUND, "there is no such layer");
    call.rule(
        !is(layer, "prepared"),
        INVALID_STATE,
        "still prepared: UnprepareLayer comes first",
    );
}

/// The rules of PrepareLayer.
pub fn check_prepare(call: &mut Call, layer: &Path, parents: &[PathBuf]) {
    check_base_is_finished(call, parents);
    call.rule(
        is(layer, "activated"),
        NOT_READY,
        "ActivateLayer comes first",
    );
    call.rule(
        !is(layer, "prepared"),
        INVALID_STATE,
        "prepared already: calls are not paired",
    );
    let base = disk::read(&sandbox(layer))
        .get("parent")
        .and_then(Value::as_str)
        .map(str::to_lowercase);
    let last = parents
        .last()
        .map(|base| sys::plain(&base.to_string_lossy()).to_lowercase());
    if let (Some(below), Some(last)) = (base, last) {
        call.rule(
            sys::plain(&below).starts_with(&last),
            PATH_NOT_FOUND,
            format!("sandbox.vhdx lies on {below}, not in the base layer {last}"),
        );
    }
}

/// Makes the merged view appear in the volume.
///
/// # Errors
///
/// Of the file system.
pub fn prepare(layer: &Path, parents: &[PathBuf]) -> Result<(), Failure> {
    initialise(&volume(layer), parents)?;
    set(layer, "prepared", true)
}

/// The rules of UnprepareLayer.
pub fn check_unprepare(call: &mut Call, layer: &Path) {
    call.rule(
        is(layer, "prepared"),
        INVALID_STATE,
        "not prepared: calls are not paired",
    );
}

/// The rules of GetLayerMountPath.
pub fn check_mounted(call: &mut Call, layer: &Path) {
    call.rule(layer.is_dir(), PATH_NOT_FOUND, "there is no such layer");
    let disk = sandbox(layer);
    let mounted = is(layer, "activated") || disk::is_attached(&disk);
    call.rule(
        !disk.exists() || mounted,
        NOT_READY,
        "a scratch has no path before ActivateLayer",
    );
}

/// The folder that stands for the volume of a scratch.
#[must_use]
pub fn volume(layer: &Path) -> PathBuf {
    let id = name_to_guid(&sys::plain(&layer.to_string_lossy()).to_lowercase());
    state::state_folder().join("volumes").join(id.to_string())
}

/// What GetLayerMountPath answers: the volume with a separator at its end, or a read-only layer's folder.
#[must_use]
pub fn mount_path(layer: &Path) -> Option<PathBuf> {
    if !sandbox(layer).exists() {
        return Some(layer.to_owned());
    }
    Some(PathBuf::from(volume_of_disk(&sandbox(layer)).ok()?))
}

/// Whether `path` is the volume of a scratch.
#[must_use]
pub fn is_volume(path: &Path) -> bool {
    path.starts_with(state::state_folder().join("volumes")) && path.is_dir()
}

/// The volume of the attached disk `sandbox.vhdx` or a copy of it, with a separator at its end.
///
/// # Errors
///
/// Of the file system.
pub fn volume_of_disk(disk: &Path) -> Result<String, Failure> {
    let volume = volume(disk.parent().unwrap_or(disk));
    fs::create_dir_all(&volume)?;
    let disk = sys::plain(&disk.to_string_lossy()).into();
    state::save(&state::file_for("volume-disk", &volume), &disk)?;
    Ok(format!(r"{}\", sys::plain(&volume.to_string_lossy())))
}

/// Whether a filter is attached to `volume`.
#[must_use]
pub fn is_filtered(volume: &Path) -> bool {
    state::load(&state::file_for("filter", volume))
        .as_bool()
        .unwrap_or_default()
}

/// The rules of HcsAttachLayerStorageFilter.
pub fn check_attach_filter(call: &mut Call, volume: &Path, parents: &[PathBuf]) {
    call.rule(
        is_volume(volume),
        INVALID_ARGUMENT,
        "not the path of an attached disk's volume",
    );
    call.rule(
        !is_filtered(volume),
        INVALID_STATE,
        "a filter is attached already: calls are not paired",
    );
    check_base_is_finished(call, parents);
}

/// Makes the merged view appear in `volume`.
///
/// # Errors
///
/// Of the file system.
pub fn attach_filter(volume: &Path, parents: &[PathBuf]) -> Result<(), Failure> {
    initialise(volume, parents)?;
    Ok(state::save(
        &state::file_for("filter", volume),
        &true.into(),
    )?)
}

/// Undoes [`attach_filter`].
///
/// # Errors
///
/// Of the file system.
pub fn detach_filter(volume: &Path) -> Result<(), Failure> {
    Ok(state::save(
        &state::file_for("filter", volume),
        &false.into(),
    )?)
}

/// Whether the merged view was ever visible in `volume`.
#[must_use]
pub fn is_initialised(volume: &Path) -> bool {
    fs::read_dir(volume).is_ok_and(|mut entries| entries.next().is_some())
}

fn initialise(volume: &Path, parents: &[PathBuf]) -> Result<(), Failure> {
    if is_initialised(volume) {
        Ok(())
    } else {
        merged::materialise(parents, volume)
    }
}

/// The disk of a volume, as long as one is known.
#[must_use]
pub fn disk_of_volume(volume: &Path) -> Option<PathBuf> {
    state::load(&state::file_for("volume-disk", volume))
        .as_str()
        .map(sys::verbatim)
}
