//! Exports for layers and their filter.

use std::path::PathBuf;

use winlayer_double_common::arguments::{self, Form, Parent};
use winlayer_double_common::call::Call;
use winlayer_double_common::codes::{INVALID_ARGUMENT, INVALID_STATE, NOT_SUPPORTED};
use winlayer_double_common::{layers, scratch, state};

use crate::documents::{export_options, layer_data};

/// A call about the layer at `path`.
///
/// # Safety
///
/// `path` is null or a string.
pub(crate) unsafe fn begin(name: &'static str, path: *const u16) -> (Call, PathBuf) {
    let mut call = Call::new("computestorage", name);
    // SAFETY: passed on from the export's caller.
    let layer = unsafe { arguments::path(&mut call, "layer", path, Form::Any) };
    (call, layer)
}

/// A call about a mounted volume, whose path may end with a separator.
///
/// # Safety
///
/// `path` is null or a string.
unsafe fn begin_volume(name: &'static str, path: *const u16) -> (Call, PathBuf) {
    let mut call = Call::new("computestorage", name);
    // SAFETY: passed on from the export's caller.
    let given = unsafe { arguments::text(path) }.unwrap_or_default();
    call.note("volume", given.as_str());
    let volume = given.strip_suffix('\\').unwrap_or(&given);
    arguments::check_path(&mut call, "volume", volume, Form::Any);
    (call, winlayer_double_common::sys::verbatim(volume))
}

fn paths(parents: &[Parent]) -> Vec<PathBuf> {
    parents.iter().map(|parent| parent.path.clone()).collect()
}

/// Reads the transport format into a layer folder, which it creates when there is none.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcsImportLayer(
    path: *const u16,
    source: *const u16,
    data: *const u16,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("HcsImportLayer", path) };
    // SAFETY: passed on.
    let source = unsafe { arguments::path(&mut call, "source", source, Form::Any) };
    // SAFETY: passed on.
    let parents = unsafe { layer_data(&mut call, data, true) };
    call.needs_backup_and_restore();
    layers::check_import(&mut call, &layer, &source);
    call.answer(|_| layers::import(&layer, &source, &paths(&parents)))
}

/// Writes the transport format of a layer.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcsExportLayer(
    path: *const u16,
    folder: *const u16,
    data: *const u16,
    options: *const u16,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("HcsExportLayer", path) };
    // SAFETY: passed on.
    let folder = unsafe { arguments::path(&mut call, "folder", folder, Form::Any) };
    // SAFETY: passed on.
    let parents = unsafe { layer_data(&mut call, data, true) };
    // SAFETY: passed on.
    let is_writable = unsafe { export_options(&mut call, options) };
    let is_scratch = scratch::sandbox(&layer).exists() || scratch::is_volume(&layer);
    call.rule(
        is_writable == is_scratch,
        INVALID_ARGUMENT,
        "IsWritableLayer does not agree with the layer",
    );
    call.needs_backup_and_restore();
    layers::check_export(&mut call, &layer, &folder);
    call.answer(|_| layers::export(&layer, &folder, &paths(&parents)))
}

/// Deletes a layer's folder.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcsDestroyLayer(path: *const u16) -> u32 {
    // SAFETY: passed on.
    let (mut call, layer) = unsafe { begin("HcsDestroyLayer", path) };
    call.needs_backup_and_restore();
    layers::check_destroy(&mut call, &layer);
    call.answer(|_| layers::destroy(&layer))
}

/// Prepares the volume of a scratch.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcsInitializeWritableLayer(
    path: *const u16,
    data: *const u16,
    options: *const u16,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, volume) = unsafe { begin_volume("HcsInitializeWritableLayer", path) };
    // SAFETY: passed on.
    unsafe { layer_data(&mut call, data, true) };
    // SAFETY: passed on.
    let options = unsafe { arguments::text(options) };
    call.rule(
        options.is_some_and(|text| text.is_empty()),
        INVALID_ARGUMENT,
        "the options must be an empty string",
    );
    let known = scratch::is_volume(&volume);
    call.rule(
        known,
        INVALID_ARGUMENT,
        "not the path of an attached disk's volume",
    );
    call.answer(|_| {
        Ok(state::save(
            &state::file_for("initialised", &volume),
            &true.into(),
        )?)
    })
}

/// Lets the merged view appear in a volume.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcsAttachLayerStorageFilter(
    path: *const u16,
    data: *const u16,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, volume) = unsafe { begin_volume("HcsAttachLayerStorageFilter", path) };
    // SAFETY: passed on.
    let parents = paths(&unsafe { layer_data(&mut call, data, true) });
    scratch::check_attach_filter(&mut call, &volume, &parents);
    call.answer(|_| scratch::attach_filter(&volume, &parents))
}

/// Undoes [`HcsAttachLayerStorageFilter`].
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcsDetachLayerStorageFilter(path: *const u16) -> u32 {
    // SAFETY: passed on.
    let (mut call, volume) = unsafe { begin_volume("HcsDetachLayerStorageFilter", path) };
    call.rule(
        scratch::is_filtered(&volume),
        INVALID_STATE,
        "no filter is attached: calls are not paired",
    );
    call.answer(|_| scratch::detach_filter(&volume))
}

/// Not used by anybody.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcsInitializeLegacyWritableLayer(
    path: *const u16,
    _folder: *const u16,
    _data: *const u16,
    _options: *const u16,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, _) = unsafe { begin("HcsInitializeLegacyWritableLayer", path) };
    call.violation(NOT_SUPPORTED, "nobody should call this");
    call.answer(|_| Ok(()))
}

/// Not used by anybody.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn HcsExportLegacyWritableLayer(
    path: *const u16,
    _folder: *const u16,
    _export: *const u16,
    _data: *const u16,
) -> u32 {
    // SAFETY: passed on.
    let (mut call, _) = unsafe { begin("HcsExportLegacyWritableLayer", path) };
    call.violation(NOT_SUPPORTED, "nobody should call this");
    call.answer(|_| Ok(()))
}
