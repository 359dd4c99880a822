//! Exports that finish base layers and their disks.

use std::os::windows::io::RawHandle;
use std::path::PathBuf;

use serde_json::Value;

use winlayer_double_common::call::Call;
use winlayer_double_common::codes::{INVALID_ARGUMENT, NOT_READY, POINTER, SHARING_VIOLATION};
use winlayer_double_common::{base, disk, scratch, sys};

use crate::documents::{OsLayerType, os_layer_options};
use crate::exports::begin;

/// The disk a handle is open on.
///
/// # Safety
///
/// The handle is null or open.
unsafe fn disk_of(call: &mut Call, handle: RawHandle) -> Option<PathBuf> {
    if handle.is_null() {
        call.note("disk", Value::Null);
        return None;
    }
    // SAFETY: the caller of the export keeps the handle open during the call.
    let path = sys::final_path(&*unsafe { sys::borrow(handle) }).ok();
    call.note(
        "disk",
        path.as_ref()
            .map(|path| path.to_string_lossy().into_owned()),
    );
    let path = path.map(|path| sys::verbatim(&path.to_string_lossy()));
    call.rule(
        path.as_ref()
            .is_some_and(|path| disk::read(path).is_object()),
        INVALID_ARGUMENT,
        "not the handle of a disk",
    );
    path
}

/// Finishes a base layer or a utility VM, whose disks are the caller's work.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcsSetupBaseOSLayer(
    path: *const u16,
    handle: RawHandle,
    options: *const u16,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("HcsSetupBaseOSLayer", path) };
    // SAFETY: passed on.
    let options = unsafe { os_layer_options(&mut call, options) };
    // SAFETY: passed on.
    let vhd = unsafe { disk_of(&mut call, handle) };
    call.needs_backup_and_restore();
    let kind = options.as_ref().map(|options| options.kind);
    match kind {
        Some(OsLayerType::Container) => {
            call.rule(
                vhd.is_none(),
                INVALID_ARGUMENT,
                "a container's layer is set up without a handle",
            );
            base::check_base(&mut call, &layer);
            let blank = layer.join("blank-base.vhdx");
            let formatted = disk::read(&blank).get("formatted").and_then(Value::as_bool);
            call.rule(
                formatted == Some(true),
                NOT_READY,
                "blank-base.vhdx is not there or not formatted",
            );
            call.rule(
                sys::open_exclusively(&blank).is_ok(),
                SHARING_VIOLATION,
                "blank-base.vhdx is still open",
            );
        }
        Some(OsLayerType::Vm) => {
            let attached = vhd.as_ref().is_some_and(|vhd| disk::is_attached(vhd));
            call.rule(
                attached,
                INVALID_ARGUMENT,
                "a utility VM is set up with the handle of an attached disk",
            );
            let template = vhd.as_ref().and_then(|vhd| vhd.file_name());
            let right =
                template.is_some_and(|name| name.eq_ignore_ascii_case("SystemTemplateBase.vhdx"));
            call.rule(
                right,
                INVALID_ARGUMENT,
                "the disk is not SystemTemplateBase.vhdx",
            );
            base::check_boot_files(&mut call, &layer);
        }
        None => {}
    }
    call.answer(|_| match kind {
        Some(OsLayerType::Vm) => base::process_utility_vm(&layer, false),
        _ => base::process_base(&layer, false),
    })
}

/// Formats a disk for scratches.
///
/// # Safety
///
/// The handle is null or open.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcsFormatWritableLayerVhd(handle: RawHandle) -> u32 {
    let mut call = Call::new("computestorage", "HcsFormatWritableLayerVhd");
    // SAFETY: passed on.
    let vhd = unsafe { disk_of(&mut call, handle) };
    call.rule(vhd.is_some(), INVALID_ARGUMENT, "no handle");
    let vhd = vhd.unwrap_or_default();
    let formatted = disk::read(&vhd).get("formatted").and_then(Value::as_bool);
    call.rule(
        formatted != Some(true),
        INVALID_ARGUMENT,
        "the disk is formatted already",
    );
    call.answer(|_| Ok(disk::set(&vhd, "formatted", true.into())?))
}

/// Where an attached disk is mounted.
///
/// # Safety
///
/// The handle is null or open, `out` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcsGetLayerVhdMountPath(
    handle: RawHandle,
    out: *mut *mut u16,
) -> u32 {
    let mut call = Call::new("computestorage", "HcsGetLayerVhdMountPath");
    // SAFETY: passed on.
    let vhd = unsafe { disk_of(&mut call, handle) };
    call.rule(!out.is_null(), POINTER, "nowhere to put the path");
    let vhd = vhd.unwrap_or_default();
    call.rule(
        disk::is_attached(&vhd),
        NOT_READY,
        "the disk is not attached",
    );
    call.answer(|call| {
        let path = scratch::volume_of_disk(&vhd)?;
        call.note("volume", path.as_str());
        // SAFETY: not null (a broken rule otherwise), and the caller's to write.
        unsafe { out.write(sys::local_memory(&path)) };
        Ok(())
    })
}
