//! The Windows half.
// Every call below needs it; each block says why it is sound.
#![allow(unsafe_code)]

mod backup;
pub mod facts;
mod host_compute;
mod privileges;
pub mod virtdisk;

use std::{os::windows::io::OwnedHandle, path::PathBuf};

pub use backup::{BackupReader, BackupWriter};
pub use host_compute::{Family, HostCompute};
pub use privileges::{Privilege, PrivilegeGuard, Privileges};

/// An open file or directory.
#[derive(Debug)]
pub struct Object {
    pub(crate) handle: OwnedHandle,
    pub(crate) path: PathBuf,
}

/// As `RtlNtStatusToDosError` maps it; `None` for a status without equivalent.
pub(crate) fn win32_of_status(status: u32) -> Option<u32> {
    // SAFETY: takes and returns a number.
    let code =
        unsafe { windows_sys::Win32::Foundation::RtlNtStatusToDosError(status.cast_signed()) };
    // ERROR_MR_MID_NOT_FOUND
    (code != 317).then_some(code)
}
