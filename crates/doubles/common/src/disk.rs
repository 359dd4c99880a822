//! Stand-ins for VHDX files: the signature and a line of JSON that says what the disk is.
//!
//! They are ordinary small files, so they can be copied, as blank.vhdx is to sandbox.vhdx.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::{state, sys};

const SIGNATURE: &[u8] = b"vhdxfile";

/// Where one says that a disk is attached.
const ATTACHED: &str = "attached";

/// What the disk at `path` is; null when there is none, or it is not one of ours.
#[must_use]
pub fn read(path: &Path) -> Value {
    let content = fs::read(path).unwrap_or_default();
    content
        .strip_prefix(SIGNATURE)
        .and_then(|text| serde_json::from_slice(text).ok())
        .unwrap_or_default()
}

/// Replaces what the disk at `path` is.
///
/// # Errors
///
/// Of the file system.
pub fn write(path: &Path, disk: &Value) -> io::Result<()> {
    fs::write(path, [SIGNATURE, disk.to_string().as_bytes()].concat())
}

/// Changes one thing about the disk at `path`.
///
/// # Errors
///
/// Of the file system.
pub fn set(path: &Path, key: &str, value: Value) -> io::Result<()> {
    let mut disk = read(path);
    if let Some(disk) = disk.as_object_mut() {
        disk.insert(key.to_owned(), value);
    }
    write(path, &disk)
}

/// A dynamic disk of `bytes`.
#[must_use]
pub fn dynamic(bytes: u64, formatted: bool) -> Value {
    // NTFS keeps one cluster for itself.
    let volume = bytes.saturating_sub(4096);
    json!({"kind": "dynamic", "bytes": bytes, "volume": volume, "formatted": formatted})
}

/// A disk that differs from `parent`, which it names by its path.
#[must_use]
pub fn differencing(parent: &Path) -> Value {
    let mut disk = read(parent);
    if let Some(disk) = disk.as_object_mut() {
        disk.insert("kind".to_owned(), "differencing".into());
        disk.insert("parent".to_owned(), parent.to_string_lossy().into());
    }
    disk
}

/// How long an attachment lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until the handle is closed.
    Handle,
    /// Until it is detached.
    Permanent,
}

/// Whether the disk at `path` is attached. An attachment that ends with its handle is over as soon
/// as nobody has the file open.
#[must_use]
pub fn is_attached(path: &Path) -> bool {
    match state::load(&state::file_for(ATTACHED, path)).as_str() {
        Some("permanent") => true,
        Some(_) => sys::open_exclusively(path).is_err(),
        None => false,
    }
}

/// Records whether the disk at `path` is attached.
///
/// # Errors
///
/// Of the file system.
pub fn set_attached(path: &Path, lifetime: Option<Lifetime>) -> io::Result<()> {
    let value = match lifetime {
        Some(Lifetime::Permanent) => "permanent".into(),
        Some(Lifetime::Handle) => "handle".into(),
        None => Value::Null,
    };
    state::save(&state::file_for(ATTACHED, path), &value)
}

/// Forgets an attachment that ended with its handle, before another handle makes it look alive.
///
/// # Errors
///
/// Of the file system.
pub fn forget_ended(path: &Path) -> io::Result<()> {
    if is_attached(path) {
        return Ok(());
    }
    set_attached(path, None)
}
