//! Times of files.

use std::{fs::File, io};

use rustix::fs::{Timespec, Timestamps};

use crate::UnixTime;

/// Sets last access and last change of the content of an open file, clamped to what the file system
/// holds.
///
/// # Errors
///
/// The system's, for example when the file belongs to someone else.
pub fn set_file_times(file: &File, accessed: UnixTime, modified: UnixTime) -> io::Result<()> {
    rustix::fs::futimens(file, &timestamps(accessed, modified)).map_err(io::Error::from)
}

pub(super) fn timestamps(accessed: UnixTime, modified: UnixTime) -> Timestamps {
    Timestamps {
        last_access: timespec(accessed),
        last_modification: timespec(modified),
    }
}

fn timespec(time: UnixTime) -> Timespec {
    // Linux clamps by itself. APFS counts nanoseconds in 64 bits and would wrap around.
    #[cfg(target_vendor = "apple")]
    let seconds = time
        .seconds
        .clamp(i64::MIN / 1_000_000_000 + 1, i64::MAX / 1_000_000_000 - 1);
    #[cfg(not(target_vendor = "apple"))]
    let seconds = time.seconds;
    // Above lie the special values for "now" and "leave it".
    Timespec {
        tv_sec: seconds,
        tv_nsec: time.nanos.min(999_999_999).into(),
    }
}
