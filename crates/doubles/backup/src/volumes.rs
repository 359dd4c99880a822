//! What is asked of a scratch's mounted volume: its size, and to grow into its partition.
//!
//! Under Wine the volume is a folder, so the program has to open it with FILE_FLAG_BACKUP_SEMANTICS.

use std::ffi::c_void;
use std::os::windows::io::RawHandle;
use std::path::{Path, PathBuf};

use serde_json::Value;

use winlayer_double_common::arguments;
use winlayer_double_common::call::Call;
use winlayer_double_common::codes::{INVALID_ARGUMENT, INVALID_FUNCTION, POINTER};
use winlayer_double_common::{disk, scratch, sys};

use crate::contexts::answer;

const IOCTL_DISK_GET_LENGTH_INFO: u32 = 0x0007_405C;
const FSCTL_EXTEND_VOLUME: u32 = 0x0009_00F0;
const SECTOR: u64 = 512;
const CLUSTER: u64 = 4096;

/// A number that the disk of `volume` keeps.
fn number(disk: &Path, key: &str) -> u64 {
    disk::read(disk)
        .get(key)
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

/// The disk of a mounted volume.
fn disk_of(call: &mut Call, volume: &Path) -> PathBuf {
    call.note("volume", sys::plain(&volume.to_string_lossy()));
    let disk = scratch::disk_of_volume(volume);
    call.rule(
        disk.is_some(),
        INVALID_FUNCTION,
        "not the volume of a scratch",
    );
    disk.unwrap_or_default()
}

/// Asks or grows a volume: IOCTL_DISK_GET_LENGTH_INFO and FSCTL_EXTEND_VOLUME only.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DeviceIoControl(
    handle: RawHandle,
    code: u32,
    input: *const c_void,
    input_bytes: u32,
    output: *mut c_void,
    output_bytes: u32,
    returned: *mut u32,
    overlapped: *const c_void,
) -> i32 {
    let mut call = Call::new("winlayer_backup", "DeviceIoControl");
    call.note("code", code);
    call.rule(
        overlapped.is_null() && !returned.is_null(),
        POINTER,
        "neither a count nor asynchronous",
    );
    // SAFETY: the caller keeps its handle open during the call.
    let volume = unsafe { sys::borrow(handle) };
    let volume = sys::final_path(&volume).unwrap_or_default();
    let disk = disk_of(&mut call, &sys::verbatim(&volume.to_string_lossy()));
    let (partition, volume) = (number(&disk, "bytes"), number(&disk, "volume"));
    match code {
        IOCTL_DISK_GET_LENGTH_INFO => {
            call.rule(
                !output.is_null() && output_bytes >= 8,
                0x8007_007A,
                "no room for the length",
            );
            answer(call.answer(|_| {
                // SAFETY: room for 8 bytes (a broken rule otherwise), the caller's to write.
                unsafe { output.cast::<u64>().write_unaligned(partition) };
                // SAFETY: not null (a broken rule otherwise).
                unsafe { returned.write(8) };
                Ok(())
            }))
        }
        FSCTL_EXTEND_VOLUME => {
            call.rule(
                !input.is_null() && input_bytes == 8,
                INVALID_ARGUMENT,
                "not a number of sectors",
            );
            let sectors = if input_bytes == 8 && !input.is_null() {
                // SAFETY: null, or 8 bytes of the caller.
                unsafe { input.cast::<u64>().read_unaligned() }
            } else {
                0
            };
            let wanted = sectors.saturating_mul(SECTOR);
            call.note("bytes", wanted);
            let grows = wanted > volume + CLUSTER && wanted <= partition;
            call.rule(
                grows,
                INVALID_ARGUMENT,
                format!("{wanted} bytes; the volume has {volume} of {partition}"),
            );
            answer(call.answer(|_| Ok(disk::set(&disk, "volume", (wanted - CLUSTER).into())?)))
        }
        other => {
            call.violation(INVALID_FUNCTION, format!("control code {other:#x}"));
            answer(call.answer(|_| Ok(())))
        }
    }
}

/// A call about the root directory of a volume; its size.
///
/// # Safety
///
/// Null or a string.
unsafe fn root(name: &'static str, path: *const u16) -> (Call, u64) {
    let mut call = Call::new("winlayer_backup", name);
    // SAFETY: passed on from the export's caller.
    let given = unsafe { arguments::text(path) }.unwrap_or_default();
    call.rule(
        given.ends_with('\\'),
        INVALID_ARGUMENT,
        "the root of a volume ends with a separator",
    );
    let disk = disk_of(&mut call, &sys::verbatim(given.trim_end_matches('\\')));
    let bytes = number(&disk, "volume");
    (call, bytes)
}

/// Bytes of a volume, half of them free.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn GetDiskFreeSpaceExW(
    path: *const u16,
    available: *mut u64,
    total: *mut u64,
    free: *mut u64,
) -> i32 {
    // SAFETY: passed on.
    let (call, bytes) = unsafe { root("GetDiskFreeSpaceExW", path) };
    answer(call.answer(|_| {
        for (out, value) in [(available, bytes / 2), (total, bytes), (free, bytes / 2)] {
            if !out.is_null() {
                // SAFETY: not null, and the caller's to write.
                unsafe { out.write(value) };
            }
        }
        Ok(())
    }))
}

/// Sectors of 512 bytes in clusters of 4096.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn GetDiskFreeSpaceW(
    path: *const u16,
    sectors: *mut u32,
    bytes: *mut u32,
    free: *mut u32,
    total: *mut u32,
) -> i32 {
    // SAFETY: passed on.
    let (call, size) = unsafe { root("GetDiskFreeSpaceW", path) };
    let clusters = u32::try_from(size / CLUSTER).unwrap_or(u32::MAX);
    answer(call.answer(|_| {
        for (out, value) in [
            (sectors, 8),
            (bytes, 512),
            (free, clusters / 2),
            (total, clusters),
        ] {
            if !out.is_null() {
                // SAFETY: not null, and the caller's to write.
                unsafe { out.write(value) };
            }
        }
        Ok(())
    }))
}
