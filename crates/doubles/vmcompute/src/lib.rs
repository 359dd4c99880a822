//! A stand-in for vmcompute.dll: hcsshim's layer calls, checked, logged and imitated.
#![cfg(windows)]

pub mod folders;
pub mod images;
pub mod mounts;

use std::path::PathBuf;

use winlayer_double_common::abi::{DriverInfo, LayerDescriptor};
use winlayer_double_common::arguments::{self, Form, Parent};
use winlayer_double_common::call::Call;

/// A call with driver info and layer path.
///
/// # Safety
///
/// The arguments are as the export's caller gave them: null or valid.
unsafe fn begin(
    name: &'static str,
    info: *const DriverInfo,
    id: *const u16,
    form: Form,
) -> (Call, PathBuf) {
    let mut call = Call::new("vmcompute", name);
    // SAFETY: passed on from the export's caller.
    unsafe { arguments::driver(&mut call, info) };
    // SAFETY: passed on from the export's caller.
    let layer = unsafe { arguments::path(&mut call, "layer", id, form) };
    (call, layer)
}

/// Descriptors, of which there must be at least one.
///
/// # Safety
///
/// As [`begin`].
unsafe fn some_parents(call: &mut Call, first: *const LayerDescriptor, count: u32) -> Vec<Parent> {
    // SAFETY: passed on from the export's caller.
    let parents = unsafe { arguments::parents(call, first, count) };
    call.rule(
        count > 0,
        winlayer_double_common::codes::INVALID_ARGUMENT,
        "a call about a layer with parents names none",
    );
    parents
}

/// The folders of parents.
fn paths(parents: &[Parent]) -> Vec<PathBuf> {
    parents.iter().map(|parent| parent.path.clone()).collect()
}
