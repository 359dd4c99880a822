//! Exports that make and mount scratch layers.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use winlayer_double_common::abi::{DriverInfo, LayerDescriptor};
use winlayer_double_common::arguments::Form;
use winlayer_double_common::codes::{INVALID_ARGUMENT, POINTER};
use winlayer_double_common::{scratch, sys};

use crate::{begin, paths, some_parents};

/// Makes `sandbox.vhdx`.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn CreateSandboxLayer(
    info: *const DriverInfo,
    id: *const u16,
    parent: usize,
    descriptors: *const LayerDescriptor,
    count: u32,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("CreateSandboxLayer", info, id, Form::Any) };
    call.rule(
        parent == 0,
        INVALID_ARGUMENT,
        "the unused parent argument is not 0",
    );
    // SAFETY: passed on.
    let parents = paths(&unsafe { some_parents(&mut call, descriptors, count) });
    scratch::check_create(&mut call, &layer, &parents);
    call.answer(|_| scratch::create(&layer, &parents))
}

/// Grows `sandbox.vhdx`, but not the volume in it.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExpandSandboxSize(
    info: *const DriverInfo,
    id: *const u16,
    bytes: u64,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("ExpandSandboxSize", info, id, Form::Any) };
    call.note("bytes", bytes);
    scratch::check_expand(&mut call, &layer, bytes);
    call.answer(|_| scratch::expand(&layer, bytes))
}

/// Mounts the disk of a scratch.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ActivateLayer(info: *const DriverInfo, id: *const u16) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("ActivateLayer", info, id, Form::Any) };
    scratch::check_activate(&mut call, &layer);
    call.answer(|_| scratch::set(&layer, "activated", true))
}

/// Undoes [`ActivateLayer`].
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DeactivateLayer(info: *const DriverInfo, id: *const u16) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("DeactivateLayer", info, id, Form::Any) };
    scratch::check_deactivate(&mut call, &layer);
    call.answer(|_| scratch::set(&layer, "activated", false))
}

/// Lets the merged view appear in the mounted volume.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PrepareLayer(
    info: *const DriverInfo,
    id: *const u16,
    descriptors: *const LayerDescriptor,
    count: u32,
) -> u32 {
    static RUNNING: AtomicU32 = AtomicU32::new(0);
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("PrepareLayer", info, id, Form::Any) };
    // SAFETY: passed on.
    let parents = paths(&unsafe { some_parents(&mut call, descriptors, count) });
    let others = RUNNING.fetch_add(1, Ordering::SeqCst);
    // Long enough for a second caller to be noticed.
    std::thread::sleep(std::time::Duration::from_millis(5));
    call.rule(
        others == 0,
        0x8007_05B4,
        "two calls at a time, which time out on the first builds of Windows 10 1809",
    );
    scratch::check_prepare(&mut call, &layer, &parents);
    let answer = call.answer(|_| scratch::prepare(&layer, &parents));
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    answer
}

/// Undoes [`PrepareLayer`].
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn UnprepareLayer(info: *const DriverInfo, id: *const u16) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("UnprepareLayer", info, id, Form::Any) };
    scratch::check_unprepare(&mut call, &layer);
    call.answer(|_| scratch::set(&layer, "prepared", false))
}

/// Where a layer is mounted: first the length is asked for, then the path.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn GetLayerMountPath(
    info: *const DriverInfo,
    id: *const u16,
    length: *mut usize,
    buffer: *mut u16,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("GetLayerMountPath", info, id, Form::Any) };
    call.rule(!length.is_null(), POINTER, "nowhere to put the length");
    call.note("asks_length", buffer.is_null());
    scratch::check_mounted(&mut call, &layer);
    let path = scratch::mount_path(&layer);
    let path = sys::wide(&path.map(|path| as_text(&path)).unwrap_or_default());
    if !buffer.is_null() && !length.is_null() {
        // SAFETY: not null, and the caller's to read.
        let given = unsafe { length.read() };
        let needed = path.len();
        call.rule(
            given >= needed,
            0x8007_007A,
            format!("the buffer has {given} characters, the path needs {needed}"),
        );
    }
    call.answer(|_| {
        // An empty path is told as no characters at all.
        let needed = if path.len() == 1 { 0 } else { path.len() };
        if !buffer.is_null() {
            // SAFETY: the buffer has room for the path and its NUL (a broken rule otherwise).
            unsafe { std::ptr::copy_nonoverlapping(path.as_ptr(), buffer, path.len()) };
        }
        // SAFETY: not null (a broken rule otherwise), and the caller's to write.
        unsafe { length.write(needed) };
        Ok(())
    })
}

fn as_text(path: &Path) -> String {
    sys::plain(&path.to_string_lossy()).to_owned()
}
