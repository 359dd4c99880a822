//! Times of files.

use std::{
    fs::File,
    io,
    os::windows::io::{AsHandle as _, BorrowedHandle},
};

use winlayer_metadata::{FileAttributes, FileTime};

use super::info::{BasicInfo, set_basic_info};
use crate::UnixTime;

/// Sets last access and last change of the content of an open file, clamped to what NTFS holds.
///
/// # Errors
///
/// The system's, for example when the handle may not write attributes.
pub fn set_file_times(file: &File, accessed: UnixTime, modified: UnixTime) -> io::Result<()> {
    set_times(file.as_handle(), accessed, modified)
}

/// Sets the four times and the attributes of an open file in one call; what is 0 stays as it is.
///
/// # Errors
///
/// The system's.
pub fn set_file_basic_info(file: &File, info: &BasicInfo) -> io::Result<()> {
    set_basic_info(file.as_handle(), info)
}

pub(super) fn set_times(
    object: BorrowedHandle<'_>,
    accessed: UnixTime,
    modified: UnixTime,
) -> io::Result<()> {
    const UNCHANGED: FileTime = FileTime::from_ticks(0);
    let info = BasicInfo {
        created: UNCHANGED,
        accessed: file_time(accessed),
        written: file_time(modified),
        changed: UNCHANGED,
        attributes: FileAttributes::empty(),
    };
    set_basic_info(object, &info)
}

/// Values below 1 have meanings of their own ("leave it", "stop keeping it").
fn file_time(time: UnixTime) -> FileTime {
    let first = FileTime::from_ticks(1);
    let beyond = match time.seconds {
        0.. => FileTime::from_ticks(i64::MAX),
        _ => first,
    };
    FileTime::from_unix(time.seconds, time.nanos.min(999_999_999))
        .unwrap_or(beyond)
        .max(first)
}
