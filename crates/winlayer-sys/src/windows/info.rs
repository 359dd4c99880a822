//! What an open handle knows: kind, size, times, names, the directory's list, the link's buffer.

use std::{
    io,
    mem::{offset_of, size_of},
    os::windows::{
        ffi::OsStringExt as _,
        io::{AsRawHandle as _, BorrowedHandle},
    },
    ptr,
    time::{Duration, SystemTime},
};

use windows_sys::Win32::{
    Foundation::{ERROR_FILE_NOT_FOUND, ERROR_NO_MORE_FILES},
    Storage::FileSystem::{
        BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_TAG_INFO, FILE_BASIC_INFO, FILE_FULL_DIR_INFO,
        FileAttributeTagInfo, FileBasicInfo, FileFullDirectoryInfo, FileFullDirectoryRestartInfo,
        GetFileInformationByHandle, GetFileInformationByHandleEx, SetFileInformationByHandle,
    },
    System::{
        IO::DeviceIoControl,
        Ioctl::{FSCTL_GET_REPARSE_POINT, FSCTL_SET_REPARSE_POINT},
    },
};
use winlayer_metadata::{FileAttributes, FileTime, ReparsePoint, ReparseTag};

use crate::{DirEntry, FileKind, Stat};

const _: () = {
    assert!(size_of::<FILE_BASIC_INFO>() == 40);
    assert!(offset_of!(FILE_BASIC_INFO, FileAttributes) == 32);
    assert!(size_of::<FILE_ATTRIBUTE_TAG_INFO>() == 8);
    assert!(size_of::<BY_HANDLE_FILE_INFORMATION>() == 52);
    assert!(offset_of!(FILE_FULL_DIR_INFO, FileAttributes) == 56);
    assert!(offset_of!(FILE_FULL_DIR_INFO, FileNameLength) == 60);
    assert!(offset_of!(FILE_FULL_DIR_INFO, EaSize) == 64);
    assert!(offset_of!(FILE_FULL_DIR_INFO, FileName) == 68);
};

/// The four times and the attributes of an object: FILE_BASIC_INFO.
///
/// In [`Object::set_basic_info`](super::Object::set_basic_info) a time of 0 leaves that time as it
/// is, and so do empty attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct BasicInfo {
    /// Creation.
    pub created: FileTime,
    /// Last access.
    pub accessed: FileTime,
    /// Last change of the content.
    pub written: FileTime,
    /// Last change of the content or of the metadata.
    pub changed: FileTime,
    /// The attribute word.
    pub attributes: FileAttributes,
}

fn check(succeeded: i32) -> io::Result<()> {
    match succeeded {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

pub(super) fn basic_info(object: BorrowedHandle<'_>) -> io::Result<BasicInfo> {
    let mut raw = FILE_BASIC_INFO::default();
    // SAFETY: the structure is the one of the class and outlives the call.
    check(unsafe {
        GetFileInformationByHandleEx(
            object.as_raw_handle(),
            FileBasicInfo,
            (&raw mut raw).cast(),
            size_of::<FILE_BASIC_INFO>() as u32,
        )
    })?;
    Ok(BasicInfo {
        created: FileTime::from_ticks(raw.CreationTime),
        accessed: FileTime::from_ticks(raw.LastAccessTime),
        written: FileTime::from_ticks(raw.LastWriteTime),
        changed: FileTime::from_ticks(raw.ChangeTime),
        attributes: FileAttributes::from_bits_retain(raw.FileAttributes),
    })
}

pub(super) fn set_basic_info(object: BorrowedHandle<'_>, info: &BasicInfo) -> io::Result<()> {
    let raw = FILE_BASIC_INFO {
        CreationTime: info.created.ticks(),
        LastAccessTime: info.accessed.ticks(),
        LastWriteTime: info.written.ticks(),
        ChangeTime: info.changed.ticks(),
        FileAttributes: info.attributes.bits(),
    };
    // SAFETY: the structure is the one of the class; it is only read.
    check(unsafe {
        SetFileInformationByHandle(
            object.as_raw_handle(),
            FileBasicInfo,
            (&raw const raw).cast(),
            size_of::<FILE_BASIC_INFO>() as u32,
        )
    })
}

/// The attributes and the reparse tag, 0 for none.
fn attributes_and_tag(object: BorrowedHandle<'_>) -> io::Result<(FileAttributes, u32)> {
    let mut raw = FILE_ATTRIBUTE_TAG_INFO::default();
    // SAFETY: the structure is the one of the class and outlives the call.
    check(unsafe {
        GetFileInformationByHandleEx(
            object.as_raw_handle(),
            FileAttributeTagInfo,
            (&raw mut raw).cast(),
            size_of::<FILE_ATTRIBUTE_TAG_INFO>() as u32,
        )
    })?;
    let attributes = FileAttributes::from_bits_retain(raw.FileAttributes);
    let tag = match attributes.contains(FileAttributes::REPARSE_POINT) {
        true => raw.ReparseTag,
        false => 0,
    };
    Ok((attributes, tag))
}

pub(super) fn kind(object: BorrowedHandle<'_>) -> io::Result<FileKind> {
    attributes_and_tag(object).map(|(attributes, tag)| kind_from(attributes, tag))
}

/// A junction leads elsewhere just as a symbolic link does. Other reparse points are files that
/// some filter completes: nothing to look into.
fn kind_from(attributes: FileAttributes, tag: u32) -> FileKind {
    let link = [ReparseTag::SYMLINK, ReparseTag::MOUNT_POINT].contains(&ReparseTag(tag));
    if !attributes.contains(FileAttributes::REPARSE_POINT) {
        match attributes.contains(FileAttributes::DIRECTORY) {
            true => FileKind::Directory,
            false => FileKind::File,
        }
    } else if link {
        FileKind::Symlink
    } else {
        FileKind::Other
    }
}

pub(super) fn stat(object: BorrowedHandle<'_>) -> io::Result<Stat> {
    let mut raw = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the structure outlives the call.
    check(unsafe { GetFileInformationByHandle(object.as_raw_handle(), &raw mut raw) })?;
    let attributes = FileAttributes::from_bits_retain(raw.dwFileAttributes);
    let kind = match attributes.contains(FileAttributes::REPARSE_POINT) {
        true => kind(object)?,
        false => kind_from(attributes, 0),
    };
    let join = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    let written = raw.ftLastWriteTime;
    let ticks = join(written.dwHighDateTime, written.dwLowDateTime).cast_signed();
    Ok(Stat {
        kind,
        size: match kind {
            FileKind::File => join(raw.nFileSizeHigh, raw.nFileSizeLow),
            _ => 0,
        },
        links: raw.nNumberOfLinks.into(),
        inode: (
            raw.dwVolumeSerialNumber.into(),
            join(raw.nFileIndexHigh, raw.nFileIndexLow),
        ),
        modified: system_time(FileTime::from_ticks(ticks)),
    })
}

fn system_time(time: FileTime) -> SystemTime {
    let (seconds, nanos) = time.to_unix();
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
        _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
    };
    second
        .and_then(|second| second.checked_add(Duration::from_nanos(nanos.into())))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Room for some hundred names, aligned for FILE_FULL_DIR_INFO.
#[repr(C, align(8))]
struct ListBuffer([u8; 1 << 16]);

/// The names in an open directory, unsorted, without `.` and `..`.
pub(super) fn list(directory: BorrowedHandle<'_>) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    let mut buffer = Box::new(ListBuffer([0; 1 << 16]));
    let mut class = FileFullDirectoryRestartInfo;
    loop {
        // SAFETY: the buffer is aligned, outlives the call and is as long as said.
        let listed = check(unsafe {
            GetFileInformationByHandleEx(
                directory.as_raw_handle(),
                class,
                (&raw mut buffer.0).cast(),
                size_of::<ListBuffer>() as u32,
            )
        });
        match listed {
            Ok(()) => {}
            Err(error) if is(&error, ERROR_NO_MORE_FILES) => return Ok(entries),
            // The root of an empty volume has not even `.`.
            Err(error)
                if class == FileFullDirectoryRestartInfo && is(&error, ERROR_FILE_NOT_FOUND) =>
            {
                return Ok(entries);
            }
            Err(error) => return Err(error),
        }
        class = FileFullDirectoryInfo;
        parse_names(&buffer.0, &mut entries).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "a malformed list of names")
        })?;
    }
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}

/// Reads one buffer of FILE_FULL_DIR_INFO; `None` if it is not well formed.
fn parse_names(buffer: &[u8], entries: &mut Vec<DirEntry>) -> Option<()> {
    const NAME: usize = offset_of!(FILE_FULL_DIR_INFO, FileName);
    let mut rest = buffer;
    loop {
        let number = |at: usize| {
            let bytes = rest.get(at..)?.first_chunk()?;
            Some(u32::from_le_bytes(*bytes))
        };
        let next = number(offset_of!(FILE_FULL_DIR_INFO, NextEntryOffset))? as usize;
        let attributes = number(offset_of!(FILE_FULL_DIR_INFO, FileAttributes))?;
        let length = number(offset_of!(FILE_FULL_DIR_INFO, FileNameLength))? as usize;
        // Of a reparse point this field holds the tag (MS-FSCC 2.4.14).
        let tag = number(offset_of!(FILE_FULL_DIR_INFO, EaSize))?;
        let name = rest.get(NAME..)?.get(..length)?;
        let name: Vec<u16> = name
            .as_chunks()
            .0
            .iter()
            .map(|unit| u16::from_le_bytes(*unit))
            .collect();
        let name = std::ffi::OsString::from_wide(&name);
        if name != "." && name != ".." {
            let kind = kind_from(FileAttributes::from_bits_retain(attributes), tag);
            entries.push(DirEntry { name, kind });
        }
        if next == 0 {
            return Some(());
        }
        rest = rest.get(next..)?;
    }
}

/// The largest REPARSE_DATA_BUFFER (MS-FSCC 2.1.2.2).
const LARGEST_REPARSE_BUFFER: usize = 16 * 1024;

/// What kind of link an open object is, and where it leads.
pub(super) fn reparse_point(object: BorrowedHandle<'_>) -> io::Result<ReparsePoint> {
    let mut buffer = vec![0_u8; LARGEST_REPARSE_BUFFER];
    let mut written = 0;
    // SAFETY: the buffer outlives the call and is as long as said; a synchronous handle needs no
    // OVERLAPPED.
    check(unsafe {
        DeviceIoControl(
            object.as_raw_handle(),
            FSCTL_GET_REPARSE_POINT,
            ptr::null(),
            0,
            buffer.as_mut_ptr().cast(),
            buffer.len() as u32,
            &raw mut written,
            ptr::null_mut(),
        )
    })?;
    let content = buffer.get(..written as usize).unwrap_or_default();
    ReparsePoint::parse(content).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Makes an open file or empty directory a reparse point.
pub(super) fn set_reparse_point(
    object: BorrowedHandle<'_>,
    point: &ReparsePoint,
) -> io::Result<()> {
    let buffer = point.as_bytes();
    let length = u32::try_from(buffer.len()).map_err(io::Error::other)?;
    let mut written = 0;
    // SAFETY: the buffer outlives the call and is only read; a synchronous handle needs no OVERLAPPED.
    check(unsafe {
        DeviceIoControl(
            object.as_raw_handle(),
            FSCTL_SET_REPARSE_POINT,
            buffer.as_ptr().cast(),
            length,
            ptr::null_mut(),
            0,
            &raw mut written,
            ptr::null_mut(),
        )
    })
}
