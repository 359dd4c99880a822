//! The exports.

use std::ffi::c_void;
use std::os::windows::io::RawHandle;

use serde_json::Value;

use winlayer_double_common::abi::{
    AttachParameters, CreateParameters, OpenParameters, StorageType,
};
use winlayer_double_common::arguments::{self, Form};
use winlayer_double_common::call::Call;
use winlayer_double_common::codes::{
    ALREADY_EXISTS, INVALID_ARGUMENT, NOT_READY, NOT_SUPPORTED, POINTER, SHARING_VIOLATION, win32,
};
use winlayer_double_common::guid::Guid;
use winlayer_double_common::{disk, sys};

use crate::open_disks::{check_exists, check_type, open, path_of};

const MIB: u64 = 1 << 20;

/// Makes a disk.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn CreateVirtualDisk(
    storage: *const StorageType,
    path: *const u16,
    access: u32,
    _security: *const c_void,
    flags: u32,
    provider_flags: u32,
    parameters: *const CreateParameters,
    overlapped: *const c_void,
    out: *mut RawHandle,
) -> u32 {
    let mut call = Call::new("virtdisk", "CreateVirtualDisk");
    // SAFETY: passed on.
    unsafe { check_type(&mut call, storage) };
    // SAFETY: passed on.
    let path = unsafe { arguments::path(&mut call, "path", path, Form::Any) };
    call.rule(
        access == 0,
        INVALID_ARGUMENT,
        format!("access {access:#x} with version 2"),
    );
    call.rule(
        flags == 0 && provider_flags == 0,
        INVALID_ARGUMENT,
        format!("flags {flags:#x}, {provider_flags:#x}"),
    );
    call.rule(overlapped.is_null(), INVALID_ARGUMENT, "not synchronous");
    call.rule(!out.is_null(), POINTER, "nowhere to put the handle");
    call.rule(!path.exists(), ALREADY_EXISTS, "the disk exists");
    // SAFETY: null or readable.
    let made = unsafe { parameters.as_ref() }.map(|parameters| {
        // SAFETY: passed on.
        unsafe { new_disk(&mut call, parameters) }
    });
    call.rule(made.is_some(), POINTER, "the parameters are null");
    win32(call.answer(|_| {
        disk::write(&path, &made.unwrap_or_default())?;
        disk::forget_ended(&path)?;
        // SAFETY: not null (a broken rule otherwise), and the caller's to write.
        unsafe { out.write(open(&path)?) };
        Ok(())
    }))
}

/// # Safety
///
/// The strings of the parameters are null or valid.
unsafe fn new_disk(call: &mut Call, given: &CreateParameters) -> Value {
    call.rule(
        given.version == 2,
        INVALID_ARGUMENT,
        format!("version {}", given.version),
    );
    call.rule(
        given.source.is_null(),
        INVALID_ARGUMENT,
        "a source is not used here",
    );
    call.rule(
        given.resiliency == Guid::default(),
        INVALID_ARGUMENT,
        "a resiliency id",
    );
    let sectors = (given.sector_size, given.physical_sector_size);
    call.rule(
        matches!(sectors, (0 | 512, 0 | 512 | 4096)),
        INVALID_ARGUMENT,
        format!("sectors of {sectors:?}"),
    );
    call.rule(
        matches!(u64::from(given.block_size), 0 | MIB),
        INVALID_ARGUMENT,
        "blocks are not of 1 MiB",
    );
    call.note("bytes", given.maximum_size);
    call.note("open_flags", given.open_flags);
    if given.parent.is_null() {
        let bytes = given.maximum_size;
        let right = bytes >= 3 * MIB && bytes.is_multiple_of(512);
        call.rule(right, INVALID_ARGUMENT, format!("a size of {bytes} bytes"));
        return disk::dynamic(bytes, false);
    }
    // SAFETY: passed on.
    let parent = unsafe { arguments::path(call, "parent", given.parent, Form::Any) };
    call.rule(
        given.maximum_size == 0,
        INVALID_ARGUMENT,
        "a differencing disk has its parent's size",
    );
    call.rule(
        given.open_flags == 8,
        INVALID_ARGUMENT,
        format!("open flags {:#x}, not CACHED_IO", given.open_flags),
    );
    check_exists(call, &parent);
    disk::differencing(&parent)
}

/// Opens a disk.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn OpenVirtualDisk(
    storage: *const StorageType,
    path: *const u16,
    access: u32,
    flags: u32,
    parameters: *const OpenParameters,
    out: *mut RawHandle,
) -> u32 {
    let mut call = Call::new("virtdisk", "OpenVirtualDisk");
    // SAFETY: passed on.
    unsafe { check_type(&mut call, storage) };
    // SAFETY: passed on.
    let path = unsafe { arguments::path(&mut call, "path", path, Form::Any) };
    call.note("flags", flags);
    call.rule(
        flags & !0xA8 == 0,
        INVALID_ARGUMENT,
        format!("flags {flags:#x}"),
    );
    call.rule(!out.is_null(), POINTER, "nowhere to put the handle");
    // SAFETY: null or readable.
    match unsafe { parameters.as_ref() } {
        None => call.violation(POINTER, "the parameters are null"),
        Some(given) => {
            call.rule(
                given.version == 2,
                INVALID_ARGUMENT,
                format!("version {}", given.version),
            );
            call.rule(
                given.get_info_only <= 1 && given.read_only <= 1,
                INVALID_ARGUMENT,
                "a BOOL is neither 0 nor 1",
            );
            call.rule(
                given.resiliency == Guid::default(),
                INVALID_ARGUMENT,
                "a resiliency id",
            );
        }
    }
    call.rule(
        access == 0,
        INVALID_ARGUMENT,
        format!("access {access:#x} with version 2"),
    );
    check_exists(&mut call, &path);
    win32(call.answer(|_| {
        disk::forget_ended(&path)?;
        // SAFETY: not null (a broken rule otherwise), and the caller's to write.
        unsafe { out.write(open(&path)?) };
        Ok(())
    }))
}

/// Attaches an open disk.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn AttachVirtualDisk(
    handle: RawHandle,
    _security: *const c_void,
    flags: u32,
    provider_flags: u32,
    parameters: *const AttachParameters,
    overlapped: *const c_void,
) -> u32 {
    let mut call = Call::new("virtdisk", "AttachVirtualDisk");
    // SAFETY: passed on.
    let path = unsafe { path_of(&mut call, handle) };
    call.note("flags", flags);
    call.rule(
        flags & !0x27 == 0 && provider_flags == 0,
        INVALID_ARGUMENT,
        format!("flags {flags:#x}, {provider_flags:#x}"),
    );
    call.rule(overlapped.is_null(), INVALID_ARGUMENT, "not synchronous");
    // SAFETY: null or readable.
    if let Some(given) = unsafe { parameters.as_ref() } {
        call.note("version", given.version);
        call.rule(
            matches!(given.version, 1 | 2),
            INVALID_ARGUMENT,
            format!("version {}", given.version),
        );
        let whole =
            given.version == 1 || (given.restricted_offset, given.restricted_length) == (0, 0);
        call.rule(whole, INVALID_ARGUMENT, "a restricted range");
    }
    let lifetime = if flags & 4 == 0 {
        disk::Lifetime::Handle
    } else {
        disk::Lifetime::Permanent
    };
    call.rule(
        !disk::is_attached(&path),
        SHARING_VIOLATION,
        "the disk is attached already",
    );
    win32(call.answer(|_| Ok(disk::set_attached(&path, Some(lifetime))?)))
}

/// Detaches an attached disk.
///
/// # Safety
///
/// The handle is null or open.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DetachVirtualDisk(
    handle: RawHandle,
    flags: u32,
    provider_flags: u32,
) -> u32 {
    let mut call = Call::new("virtdisk", "DetachVirtualDisk");
    // SAFETY: passed on.
    let path = unsafe { path_of(&mut call, handle) };
    call.rule(
        flags == 0 && provider_flags == 0,
        INVALID_ARGUMENT,
        "there are no flags",
    );
    call.rule(
        disk::is_attached(&path),
        NOT_READY,
        "the disk is not attached: calls are not paired",
    );
    win32(call.answer(|_| Ok(disk::set_attached(&path, None)?)))
}

/// The device of an attached disk.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn GetVirtualDiskPhysicalPath(
    handle: RawHandle,
    bytes: *mut u32,
    path: *mut u16,
) -> u32 {
    let mut call = Call::new("virtdisk", "GetVirtualDiskPhysicalPath");
    // SAFETY: passed on.
    let disk = unsafe { path_of(&mut call, handle) };
    call.rule(
        disk::is_attached(&disk),
        NOT_READY,
        "the disk is not attached",
    );
    call.rule(!bytes.is_null(), POINTER, "nowhere to put the length");
    let device = sys::wide(r"\\.\PhysicalDrive9");
    let needed = (device.len() * 2) as u32;
    // SAFETY: null or the caller's to read.
    let given = unsafe { bytes.as_ref() }.copied().unwrap_or_default();
    if call.is_clean() && (path.is_null() || given < needed) {
        // SAFETY: not null (a broken rule otherwise).
        unsafe { bytes.write(needed) };
        call.answer(|_| Ok(()));
        return 122;
    }
    win32(call.answer(|_| {
        // SAFETY: the caller says that the buffer has room.
        unsafe { std::ptr::copy_nonoverlapping(device.as_ptr(), path, device.len()) };
        Ok(())
    }))
}

/// Facts about a disk: only its size (version 1).
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn GetVirtualDiskInformation(
    handle: RawHandle,
    size: *mut u32,
    info: *mut u64,
    used: *mut u32,
) -> u32 {
    let mut call = Call::new("virtdisk", "GetVirtualDiskInformation");
    // SAFETY: passed on.
    let path = unsafe { path_of(&mut call, handle) };
    call.rule(!size.is_null() && !info.is_null(), POINTER, "no structure");
    if !call.is_clean() {
        return win32(call.answer(|_| Ok(())));
    }
    // SAFETY: not null, and the caller's to read.
    let (given, version) = unsafe { (size.read(), info.cast::<u32>().read()) };
    call.note("version", version);
    call.rule(
        given >= 32,
        INVALID_ARGUMENT,
        format!("a structure of {given} bytes"),
    );
    call.rule(version == 1, NOT_SUPPORTED, "only the size is known");
    let bytes = disk::read(&path)
        .get("bytes")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    win32(call.answer(|_| {
        for (at, value) in [bytes, 4 * MIB, MIB | 512 << 32].into_iter().enumerate() {
            // SAFETY: the structure has the version and three words of 8 bytes.
            unsafe { info.add(1 + at).write(value) };
        }
        if !used.is_null() {
            // SAFETY: not null, and the caller's to write.
            unsafe { used.write(32) };
        }
        Ok(())
    }))
}

/// Changes a disk: only its unique id (version 2).
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SetVirtualDiskInformation(
    handle: RawHandle,
    info: *const u64,
) -> u32 {
    let mut call = Call::new("virtdisk", "SetVirtualDiskInformation");
    // SAFETY: passed on.
    let path = unsafe { path_of(&mut call, handle) };
    call.rule(!info.is_null(), POINTER, "no structure");
    if !call.is_clean() {
        return win32(call.answer(|_| Ok(())));
    }
    // SAFETY: not null, and the caller's to read.
    let (version, id) = unsafe { (info.cast::<u32>().read(), info.add(1).cast::<Guid>().read()) };
    call.rule(version == 2, NOT_SUPPORTED, format!("version {version}"));
    call.note("id", id.to_string());
    win32(call.answer(|_| Ok(disk::set(&path, "id", id.to_string().into())?)))
}
