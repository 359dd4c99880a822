//! Disks as files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{IntoRawHandle, RawHandle};
use std::path::{Path, PathBuf};

use winlayer_double_common::abi::StorageType;
use winlayer_double_common::call::Call;
use winlayer_double_common::codes::{FILE_NOT_FOUND, INVALID_ARGUMENT, POINTER};
use winlayer_double_common::guid::Guid;
use winlayer_double_common::{disk, sys};

/// A handle for the caller to close.
pub(crate) fn open(path: &Path) -> io::Result<RawHandle> {
    let file: File = OpenOptions::new()
        .read(true)
        .write(true)
        .share_mode(7)
        .open(path)?;
    Ok(file.into_raw_handle())
}

/// The disk of a handle.
///
/// # Safety
///
/// The handle is null or open.
pub(crate) unsafe fn path_of(call: &mut Call, handle: RawHandle) -> PathBuf {
    if handle.is_null() {
        call.violation(INVALID_ARGUMENT, "the handle is null");
        return PathBuf::new();
    }
    // SAFETY: the caller of the export keeps the handle open during the call.
    let path = sys::final_path(&*unsafe { sys::borrow(handle) });
    let path = path
        .map(|path| sys::verbatim(&path.to_string_lossy()))
        .unwrap_or_default();
    call.note("path", sys::plain(&path.to_string_lossy()));
    call.rule(
        disk::read(&path).is_object(),
        INVALID_ARGUMENT,
        "not the handle of a disk",
    );
    path
}

/// The rules for the storage type: VHDX or by extension, Microsoft or nobody.
///
/// # Safety
///
/// Null or readable.
pub(crate) unsafe fn check_type(call: &mut Call, storage: *const StorageType) {
    // SAFETY: the caller of the export passes null or a readable structure.
    let Some(storage) = (unsafe { storage.as_ref() }) else {
        return call.violation(POINTER, "the storage type is null");
    };
    call.rule(
        matches!(storage.device, 0 | 3),
        INVALID_ARGUMENT,
        format!("device {} is not VHDX", storage.device),
    );
    let microsoft = Guid::parse("ec984aec-a0f9-47e9-901f-71415a66345b").unwrap_or_default();
    let vendor = storage.vendor == Guid::default() || storage.vendor == microsoft;
    call.rule(
        vendor,
        INVALID_ARGUMENT,
        format!("vendor {}", storage.vendor),
    );
}

/// The rule that a disk is there.
pub(crate) fn check_exists(call: &mut Call, path: &Path) {
    call.rule(path.is_file(), FILE_NOT_FOUND, "there is no such file");
    call.rule(
        !path.is_file() || disk::read(path).is_object(),
        INVALID_ARGUMENT,
        "the file is not a disk",
    );
}
