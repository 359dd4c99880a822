//! A stand-in for BackupRead and BackupWrite of kernel32.dll, which Wine does not have.
#![cfg(windows)]

use std::ffi::c_void;
use std::os::windows::io::RawHandle;

/// Takes the next bytes of a backup stream.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn BackupWrite(
    _handle: RawHandle,
    _buffer: *const u8,
    length: u32,
    written: *mut u32,
    abort: i32,
    _security: i32,
    context: *mut *mut c_void,
) -> i32 {
    if written.is_null() || context.is_null() {
        return 0;
    }
    // SAFETY: not null, and the caller's to write.
    unsafe { written.write(length) };
    // SAFETY: not null, and the caller's to write.
    unsafe {
        context.write(std::ptr::without_provenance_mut(
            usize::from(abort == 0) * 16,
        ))
    };
    1
}

/// Gives the next bytes of a backup stream.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn BackupRead(
    _handle: RawHandle,
    _buffer: *mut u8,
    _length: u32,
    read: *mut u32,
    abort: i32,
    _security: i32,
    context: *mut *mut c_void,
) -> i32 {
    if read.is_null() || context.is_null() {
        return 0;
    }
    // SAFETY: not null, and the caller's to write.
    unsafe { read.write(0) };
    // SAFETY: not null, and the caller's to write.
    unsafe {
        context.write(std::ptr::without_provenance_mut(
            usize::from(abort == 0) * 16,
        ))
    };
    1
}
