//! The system calls below [`Dir`](super::Dir): opens relative to a handle, and what is done with the
//! handle then.
//!
//! Win32 knows no open relative to a handle, so these are the NT calls. They take names as they are:
//! no `..`, no trailing dots cut off, no device names, and no limit of 260 characters.

use std::{
    io,
    mem::{offset_of, size_of},
    os::windows::io::{AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle},
    ptr,
};

use windows_sys::{
    Wdk::{
        Foundation::OBJECT_ATTRIBUTES,
        Storage::FileSystem::{
            FILE_LINK_INFORMATION, FILE_OPEN_FOR_BACKUP_INTENT, FILE_RENAME_INFORMATION,
            FILE_SYNCHRONOUS_IO_NONALERT, FileDispositionInformation, FileDispositionInformationEx,
            FileFsFullSizeInformation, FileLinkInformation, FileRenameInformation,
            FileRenameInformationEx, NtCreateFile, NtQueryVolumeInformationFile,
            NtSetInformationFile,
        },
    },
    Win32::{
        Foundation::{
            HANDLE, NTSTATUS, OBJ_CASE_INSENSITIVE, OBJ_DONT_REPARSE, RtlNtStatusToDosError,
            STATUS_CANNOT_DELETE, STATUS_DELETE_PENDING, STATUS_FILE_IS_A_DIRECTORY,
            STATUS_INVALID_INFO_CLASS, STATUS_INVALID_PARAMETER, STATUS_NOT_IMPLEMENTED,
            STATUS_NOT_SUPPORTED, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_NOT_FOUND,
            STATUS_REPARSE_POINT_ENCOUNTERED, UNICODE_STRING,
        },
        Storage::FileSystem::{FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, SYNCHRONIZE},
        System::IO::IO_STATUS_BLOCK,
    },
};

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<OBJECT_ATTRIBUTES>() == 48);
    assert!(offset_of!(OBJECT_ATTRIBUTES, RootDirectory) == 8);
    assert!(offset_of!(OBJECT_ATTRIBUTES, ObjectName) == 16);
    assert!(offset_of!(OBJECT_ATTRIBUTES, Attributes) == 24);
    assert!(offset_of!(UNICODE_STRING, Buffer) == 8);
    assert!(size_of::<IO_STATUS_BLOCK>() == 16);
    assert!(offset_of!(FILE_LINK_INFORMATION, RootDirectory) == 8);
    assert!(offset_of!(FILE_LINK_INFORMATION, FileNameLength) == 16);
    assert!(offset_of!(FILE_LINK_INFORMATION, FileName) == 20);
    assert!(offset_of!(FILE_RENAME_INFORMATION, RootDirectory) == 8);
    assert!(offset_of!(FILE_RENAME_INFORMATION, FileNameLength) == 16);
    assert!(offset_of!(FILE_RENAME_INFORMATION, FileName) == 20);
};
const _: () = assert!(OBJ_DONT_REPARSE == 0x1000);

/// Everybody may read, write and remove meanwhile.
pub(super) const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// What a call said: an NTSTATUS that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) NTSTATUS);

pub(super) type Result<T> = std::result::Result<T, Status>;

impl Status {
    /// There is nothing of that name.
    pub(super) const NOT_FOUND: Self = Self(STATUS_OBJECT_NAME_NOT_FOUND);

    /// A link stands where none may.
    pub(super) fn is_link_in_the_way(self) -> bool {
        self.0 == STATUS_REPARSE_POINT_ENCOUNTERED
    }

    pub(super) fn is_not_found(self) -> bool {
        matches!(
            self.0,
            STATUS_OBJECT_NAME_NOT_FOUND | STATUS_OBJECT_PATH_NOT_FOUND
        )
    }

    /// Removed, but somebody still has it open.
    pub(super) fn is_delete_pending(self) -> bool {
        self.0 == STATUS_DELETE_PENDING
    }

    /// The file system, or a Windows older than the call, does not know what was asked for.
    fn is_unknown_call(self) -> bool {
        matches!(
            self.0,
            STATUS_INVALID_PARAMETER
                | STATUS_INVALID_INFO_CLASS
                | STATUS_NOT_IMPLEMENTED
                | STATUS_NOT_SUPPORTED
        )
    }
}

impl From<Status> for io::Error {
    fn from(status: Status) -> Self {
        // Win32 makes "access denied" of these two.
        match status.0 {
            STATUS_FILE_IS_A_DIRECTORY => return io::ErrorKind::IsADirectory.into(),
            STATUS_DELETE_PENDING => {
                return Self::new(
                    io::ErrorKind::ResourceBusy,
                    "it was removed but another process still has it open",
                );
            }
            _ => {}
        }
        // SAFETY: takes and returns a number.
        let code = unsafe { RtlNtStatusToDosError(status.0) };
        Self::from_raw_os_error(code.cast_signed())
    }
}

fn check(status: NTSTATUS) -> Result<()> {
    match status {
        0.. => Ok(()),
        _ => Err(Status(status)),
    }
}

/// A path as the object manager takes it: UTF-16, components separated by `\`.
pub(super) fn native_name(path: &str) -> Vec<u16> {
    path.encode_utf16()
        .map(|unit| {
            if unit == u16::from(b'/') {
                u16::from(b'\\')
            } else {
                unit
            }
        })
        .collect()
}

/// How to open something below a handle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    /// SYNCHRONIZE is added.
    pub(super) access: u32,
    /// Who else may have it open.
    pub(super) share: u32,
    /// FILE_OPEN or FILE_CREATE.
    pub(super) disposition: u32,
    /// FILE_DIRECTORY_FILE and the like; backup intent and synchronous calls are added.
    pub(super) options: u32,
}

impl Open {
    /// Opens `name` relative to `root`, never through a link: OBJ_DONT_REPARSE fails the open when
    /// any component is a reparse point, save the last with FILE_OPEN_REPARSE_POINT.
    pub(super) fn at(self, root: BorrowedHandle<'_>, name: &[u16]) -> Result<OwnedHandle> {
        const FILE_ATTRIBUTE_NORMAL: u32 = 0x80;
        let bytes = u16::try_from(size_of_val(name)).map_err(|_| Status(NAME_TOO_LONG))?;
        let object_name = UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: name.as_ptr().cast_mut(),
        };
        let attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            RootDirectory: root.as_raw_handle(),
            ObjectName: &raw const object_name,
            Attributes: OBJ_DONT_REPARSE | OBJ_CASE_INSENSITIVE,
            SecurityDescriptor: ptr::null(),
            SecurityQualityOfService: ptr::null(),
        };
        let mut handle: HANDLE = ptr::null_mut();
        let mut io_status = IO_STATUS_BLOCK::default();
        // SAFETY: all pointers are to values that outlive the call, which only reads the name; the
        // allocation size and the extended attributes are optional.
        check(unsafe {
            NtCreateFile(
                &raw mut handle,
                self.access | SYNCHRONIZE,
                &raw const attributes,
                &raw mut io_status,
                ptr::null(),
                FILE_ATTRIBUTE_NORMAL,
                self.share,
                self.disposition,
                self.options | FILE_OPEN_FOR_BACKUP_INTENT | FILE_SYNCHRONOUS_IO_NONALERT,
                ptr::null(),
                0,
            )
        })?;
        // SAFETY: the call succeeded, so the handle is open and ours alone.
        Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
    }
}

/// STATUS_NAME_TOO_LONG.
const NAME_TOO_LONG: NTSTATUS = 0xC000_0106_u32.cast_signed();

/// `buffer` must be what the class takes.
fn set_information(
    handle: BorrowedHandle<'_>,
    class: i32,
    buffer: &[u64],
    len: usize,
) -> Result<()> {
    debug_assert!(len <= size_of_val(buffer));
    let mut io_status = IO_STATUS_BLOCK::default();
    let len = u32::try_from(len).map_err(|_| Status(NAME_TOO_LONG))?;
    // SAFETY: the buffer holds at least `len` bytes and is aligned for every class; it is only read.
    check(unsafe {
        NtSetInformationFile(
            handle.as_raw_handle(),
            &raw mut io_status,
            buffer.as_ptr().cast(),
            len,
            class,
        )
    })
}

/// FILE_LINK_INFORMATION and FILE_RENAME_INFORMATION, which look the same: flags, directory, name.
/// Built in whole words, so that every byte of it is set.
fn name_information(flags: u32, directory: BorrowedHandle<'_>, name: &[u16]) -> (Vec<u64>, usize) {
    const ROOT: usize = offset_of!(FILE_LINK_INFORMATION, RootDirectory);
    const LENGTH: usize = offset_of!(FILE_LINK_INFORMATION, FileNameLength);
    const NAME: usize = offset_of!(FILE_LINK_INFORMATION, FileName);
    const _: () = {
        assert!(offset_of!(FILE_RENAME_INFORMATION, RootDirectory) == ROOT);
        assert!(offset_of!(FILE_RENAME_INFORMATION, FileNameLength) == LENGTH);
        assert!(offset_of!(FILE_RENAME_INFORMATION, FileName) == NAME);
    };
    let mut bytes = Vec::with_capacity(NAME + size_of_val(name) + 8);
    bytes.extend(flags.to_le_bytes());
    bytes.resize(ROOT, 0);
    bytes.extend((directory.as_raw_handle() as usize).to_le_bytes());
    bytes.resize(LENGTH, 0);
    bytes.extend((size_of_val(name) as u32).to_le_bytes());
    bytes.resize(NAME, 0);
    bytes.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
    let len = bytes.len();
    // The system wants at least the whole structure.
    let len = len.max(size_of::<FILE_LINK_INFORMATION>());
    bytes.resize(len.next_multiple_of(8), 0);
    let words = bytes
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word));
    (words.collect(), len)
}

/// Gives an open file a second name, one component, in `directory`. Nothing may have that name.
pub(super) fn link(
    file: BorrowedHandle<'_>,
    directory: BorrowedHandle<'_>,
    name: &[u16],
) -> Result<()> {
    let (buffer, len) = name_information(0, directory, name);
    set_information(file, FileLinkInformation, &buffer, len)
}

/// Renames an open object to `name`, one component, in `directory`.
pub(super) fn rename(
    object: BorrowedHandle<'_>,
    directory: BorrowedHandle<'_>,
    name: &[u16],
    replace: bool,
) -> Result<()> {
    const REPLACE_IF_EXISTS: u32 = 1;
    // A file that is replaced loses its name at once, whoever has it open.
    const POSIX_SEMANTICS: u32 = 2;
    const IGNORE_READONLY_ATTRIBUTE: u32 = 0x40;
    let flags = match replace {
        true => REPLACE_IF_EXISTS | POSIX_SEMANTICS | IGNORE_READONLY_ATTRIBUTE,
        false => POSIX_SEMANTICS,
    };
    let (buffer, len) = name_information(flags, directory, name);
    match set_information(object, FileRenameInformationEx, &buffer, len) {
        Err(status) if status.is_unknown_call() => {}
        renamed => return renamed,
    }
    let (buffer, len) = name_information(u32::from(replace), directory, name);
    set_information(object, FileRenameInformation, &buffer, len)
}

/// What came of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    /// It goes with this handle, or with the last one.
    Yes,
    /// READONLY must be taken off first: this system cannot ignore it.
    ReadOnly,
    /// This system can only remove objects when their last handle is closed.
    NotAtOnce,
}

/// Removes an open object: its name is free when *this* handle is closed, even if others have it
/// open (NTFS since Windows 10 1709).
pub(super) fn remove_at_once(object: BorrowedHandle<'_>) -> Result<Removed> {
    const DELETE: u64 = 1;
    const POSIX_SEMANTICS: u64 = 2;
    const IGNORE_READONLY_ATTRIBUTE: u64 = 0x10;
    // Windows 10 before 1809 knows no IGNORE_READONLY_ATTRIBUTE.
    for flags in [
        DELETE | POSIX_SEMANTICS | IGNORE_READONLY_ATTRIBUTE,
        DELETE | POSIX_SEMANTICS,
    ] {
        match set_information(object, FileDispositionInformationEx, &[flags], 4) {
            Ok(()) => return Ok(Removed::Yes),
            Err(Status(STATUS_CANNOT_DELETE)) => return Ok(Removed::ReadOnly),
            Err(status) if status.is_unknown_call() => {}
            Err(status) => return Err(status),
        }
    }
    Ok(Removed::NotAtOnce)
}

/// Removes an open object when its last handle is closed.
pub(super) fn remove_on_close(object: BorrowedHandle<'_>) -> Result<Removed> {
    match set_information(object, FileDispositionInformation, &[1], 1) {
        Ok(()) => Ok(Removed::Yes),
        Err(Status(STATUS_CANNOT_DELETE)) => Ok(Removed::ReadOnly),
        Err(status) => Err(status),
    }
}

/// Removes an open object as soon as this system can.
pub(super) fn remove(object: BorrowedHandle<'_>) -> Result<Removed> {
    match remove_at_once(object)? {
        Removed::NotAtOnce => remove_on_close(object),
        removed => Ok(removed),
    }
}

/// FILE_FS_FULL_SIZE_INFORMATION (MS-FSCC 2.5.4).
#[repr(C)]
#[derive(Default)]
struct FullSize {
    total_units: i64,
    caller_available_units: i64,
    actual_available_units: i64,
    sectors_per_unit: u32,
    bytes_per_sector: u32,
}
const _: () = assert!(size_of::<FullSize>() == 32);

/// How many bytes the caller may still write to the volume of an open object.
pub(super) fn available_bytes(object: BorrowedHandle<'_>) -> Result<u64> {
    let mut io_status = IO_STATUS_BLOCK::default();
    let mut size = FullSize::default();
    // SAFETY: `size` is exactly what the class writes, and both outlive the call.
    check(unsafe {
        NtQueryVolumeInformationFile(
            object.as_raw_handle(),
            &raw mut io_status,
            (&raw mut size).cast(),
            size_of::<FullSize>() as u32,
            FileFsFullSizeInformation,
        )
    })?;
    let unit = u64::from(size.sectors_per_unit).saturating_mul(size.bytes_per_sector.into());
    let units = u64::try_from(size.caller_available_units).unwrap_or(0);
    Ok(units.saturating_mul(unit))
}
