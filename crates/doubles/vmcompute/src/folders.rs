//! Exports that make, read and remove layer folders.

use std::path::Path;

use winlayer_double_common::abi::{DriverInfo, LayerDescriptor};
use winlayer_double_common::arguments::{self, Form};
use winlayer_double_common::call::Call;
use winlayer_double_common::codes::{INVALID_ARGUMENT, NOT_SUPPORTED, POINTER};
use winlayer_double_common::guid::{Guid, name_to_guid};
use winlayer_double_common::{layers, sys};

use crate::{begin, paths, some_parents};

/// Reads the transport format into a layer folder.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ImportLayer(
    info: *const DriverInfo,
    id: *const u16,
    source: *const u16,
    descriptors: *const LayerDescriptor,
    count: u32,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("ImportLayer", info, id, Form::Verbatim) };
    // SAFETY: passed on.
    let source = unsafe { arguments::path(&mut call, "source", source, Form::Plain) };
    // SAFETY: passed on.
    let parents = unsafe { some_parents(&mut call, descriptors, count) };
    call.needs_backup_and_restore();
    call.rule(
        layer.is_dir(),
        winlayer_double_common::codes::PATH_NOT_FOUND,
        "the layer's folder must exist",
    );
    layers::check_import(&mut call, &layer, &source);
    call.answer(|_| layers::import(&layer, &source, &paths(&parents)))
}

/// Writes the transport format of a layer.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExportLayer(
    info: *const DriverInfo,
    id: *const u16,
    folder: *const u16,
    descriptors: *const LayerDescriptor,
    count: u32,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("ExportLayer", info, id, Form::Any) };
    // SAFETY: passed on.
    let folder = unsafe { arguments::path(&mut call, "folder", folder, Form::Any) };
    // SAFETY: passed on.
    let parents = unsafe { some_parents(&mut call, descriptors, count) };
    call.needs_backup_and_restore();
    layers::check_export(&mut call, &layer, &folder);
    call.answer(|_| layers::export(&layer, &folder, &paths(&parents)))
}

/// An empty read-only layer.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn CreateLayer(
    info: *const DriverInfo,
    id: *const u16,
    parent: *const u16,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("CreateLayer", info, id, Form::Any) };
    // SAFETY: passed on.
    call.note("parent", unsafe { arguments::text(parent) });
    call.answer(|_| Ok(std::fs::create_dir_all(&layer)?))
}

/// Not used by anybody.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn CopyLayer(
    info: *const DriverInfo,
    id: *const u16,
    _destination: *const u16,
    _descriptors: *const LayerDescriptor,
    _count: u32,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, _) = unsafe { begin("CopyLayer", info, id, Form::Any) };
    call.violation(NOT_SUPPORTED, "nobody should call this");
    call.answer(|_| Ok(()))
}

/// Deletes a layer's folder.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DestroyLayer(info: *const DriverInfo, id: *const u16) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("DestroyLayer", info, id, Form::Any) };
    call.needs_backup_and_restore();
    layers::check_destroy(&mut call, &layer);
    call.answer(|_| layers::destroy(&layer))
}

/// Whether a layer's folder is there.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn LayerExists(
    info: *const DriverInfo,
    id: *const u16,
    exists: *mut u32,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("LayerExists", info, id, Form::Any) };
    call.rule(!exists.is_null(), POINTER, "nowhere to put the answer");
    call.answer(|call| {
        let found = layer.is_dir();
        call.note("exists", found);
        // SAFETY: not null (a broken rule otherwise), and the caller's to write.
        unsafe { exists.write(u32::from(found)) };
        Ok(())
    })
}

/// The id of a name.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NameToGuid(name: *const u16, out: *mut Guid) -> u32 {
    let mut call = Call::new("vmcompute", "NameToGuid");
    // SAFETY: passed on.
    let name = unsafe { arguments::text(name) };
    call.note("name", name.clone());
    call.rule(
        !out.is_null() && name.is_some(),
        POINTER,
        "no name or nowhere to put its id",
    );
    let name = name.unwrap_or_default();
    call.rule(
        !name.is_empty(),
        INVALID_ARGUMENT,
        "the name is empty (a path that ended with a separator?)",
    );
    call.rule(
        !name.contains(['\\', '/']),
        INVALID_ARGUMENT,
        "the name is a path, not its last component",
    );
    call.answer(|call| {
        let guid = name_to_guid(&name);
        call.note("id", guid.to_string());
        // SAFETY: not null, and the caller's to write.
        unsafe { out.write(guid) };
        Ok(())
    })
}

/// Lets a virtual machine open a file.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn GrantVmAccess(vm: *const u16, file: *const u16) -> u32 {
    let mut call = Call::new("vmcompute", "GrantVmAccess");
    // SAFETY: passed on.
    let vm = unsafe { arguments::text(vm) };
    call.note("vm", vm.clone());
    call.rule(
        vm.is_some_and(|vm| !vm.is_empty()),
        POINTER,
        "no virtual machine is named",
    );
    // SAFETY: passed on.
    let file = unsafe { arguments::path(&mut call, "file", file, Form::Any) };
    call.rule(
        file.exists(),
        winlayer_double_common::codes::FILE_NOT_FOUND,
        "the file is not there",
    );
    call.answer(|_| Ok(()))
}

/// The base images installed: none.
///
/// # Safety
///
/// The argument is null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn GetBaseImages(out: *mut *mut u16) -> u32 {
    let mut call = Call::new("vmcompute", "GetBaseImages");
    call.rule(!out.is_null(), POINTER, "nowhere to put the answer");
    call.answer(|_| {
        let text = sys::task_memory(r#"{"Images":[]}"#);
        // SAFETY: not null, and the caller's to write.
        unsafe { out.write(text) };
        Ok(())
    })
}

/// Whether `path` ends with `name`, as Windows compares.
pub(crate) fn ends_with(path: &Path, name: &str) -> bool {
    arguments::last_component(path).eq_ignore_ascii_case(name)
}
