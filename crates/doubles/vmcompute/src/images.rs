//! Exports that finish base layers and utility VMs. They take no driver info.

use winlayer_double_common::arguments::{self, Form};
use winlayer_double_common::base;
use winlayer_double_common::call::Call;
use winlayer_double_common::codes::PATH_NOT_FOUND;

use crate::folders::ends_with;

/// Makes the hives, the layout and the scratch template of a base layer.
///
/// # Safety
///
/// The argument is null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ProcessBaseImage(folder: *const u16) -> u32 {
    let mut call = Call::new("vmcompute", "ProcessBaseImage");
    // SAFETY: passed on.
    let layer = unsafe { arguments::path(&mut call, "layer", folder, Form::Any) };
    call.needs_backup_and_restore();
    base::check_base(&mut call, &layer);
    call.answer(|_| base::process_base(&layer, true))
}

/// Edits the boot configuration of a utility VM and makes its scratch template.
///
/// # Safety
///
/// The argument is null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ProcessUtilityImage(folder: *const u16) -> u32 {
    let mut call = Call::new("vmcompute", "ProcessUtilityImage");
    // SAFETY: passed on.
    let folder = unsafe { arguments::path(&mut call, "layer", folder, Form::Any) };
    call.needs_backup_and_restore();
    call.rule(
        ends_with(&folder, "UtilityVM"),
        PATH_NOT_FOUND,
        "the path must be the layer's UtilityVM folder",
    );
    base::check_utility_vm(&mut call, &folder);
    call.answer(|_| base::process_utility_vm(&folder, true))
}
