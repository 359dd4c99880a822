//! Safe faces of the few Windows calls the doubles need.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::{ManuallyDrop, size_of, zeroed};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, RawHandle};
use std::path::{Path, PathBuf};
use std::ptr;

use windows_sys::Wdk::Foundation::{NtQueryObject, ObjectBasicInformation};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, LUID, SetLastError};
use windows_sys::Win32::Security::{
    GetTokenInformation, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, SE_PRIVILEGE_ENABLED,
    TOKEN_QUERY, TokenPrivileges,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, GetFileInformationByHandle,
    GetFinalPathNameByHandleW, SetFileAttributesW,
};
use windows_sys::Win32::System::Com::CoTaskMemAlloc;
use windows_sys::Win32::System::Memory::LocalAlloc;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Which file a handle is open on; the same for all its hard links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// Serial number of the volume.
    pub volume: u32,
    /// Index of the file there.
    pub index: u64,
    /// Its attributes.
    pub attributes: u32,
    /// How many names it has.
    pub links: u32,
}

/// Identity and attributes of the open `file`.
///
/// # Errors
///
/// The handle is not one of a file.
pub fn id_of(file: &File) -> io::Result<FileId> {
    // SAFETY: an all-zero BY_HANDLE_FILE_INFORMATION is valid.
    let mut info: BY_HANDLE_FILE_INFORMATION = unsafe { zeroed() };
    // SAFETY: the handle is open for as long as `file` is borrowed, and `info` is writable.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut info) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(FileId {
        volume: info.dwVolumeSerialNumber,
        index: u64::from(info.nFileIndexHigh) << 32 | u64::from(info.nFileIndexLow),
        attributes: info.dwFileAttributes,
        links: info.nNumberOfLinks,
    })
}

/// A file made of the caller's handle, which stays the caller's.
///
/// # Safety
///
/// The handle must be open for as long as the result is used.
#[must_use]
pub unsafe fn borrow(handle: RawHandle) -> ManuallyDrop<File> {
    // SAFETY: the caller promises an open handle; ManuallyDrop leaves closing to the caller.
    ManuallyDrop::new(unsafe { File::from_raw_handle(handle) })
}

/// Access rights the handle of `file` was opened with.
///
/// # Errors
///
/// The system does not say.
pub fn granted_access(file: &File) -> io::Result<u32> {
    #[repr(C)]
    #[derive(Default)]
    struct BasicInformation {
        attributes: u32,
        granted_access: u32,
        rest: [u32; 12],
    }
    let mut information = BasicInformation::default();
    // SAFETY: `information` is as large as we say (56 bytes, the size the call demands).
    let status = unsafe {
        NtQueryObject(
            file.as_raw_handle(),
            ObjectBasicInformation,
            (&raw mut information).cast(),
            size_of::<BasicInformation>() as u32,
            ptr::null_mut(),
        )
    };
    if status < 0 {
        return Err(io::Error::other(format!("NtQueryObject: {status:#x}")));
    }
    Ok(information.granted_access)
}

/// Where the open `file` lies, without `\\?\`.
///
/// # Errors
///
/// The system does not say.
pub fn final_path(file: &File) -> io::Result<PathBuf> {
    let mut buffer = vec![0_u16; 32768];
    // SAFETY: the buffer is as long as we say.
    let length = unsafe {
        GetFinalPathNameByHandleW(
            file.as_raw_handle(),
            buffer.as_mut_ptr(),
            buffer.len() as u32,
            0,
        )
    };
    match buffer.get(..length as usize) {
        Some(text) if length > 0 => Ok(PathBuf::from(plain(&String::from_utf16_lossy(text)))),
        _ => object_path(file, io::Error::last_os_error()),
    }
}

/// The path that the object manager knows: Wine's GetFinalPathNameByHandleW gives no more than some
/// 300 characters.
fn object_path(file: &File, error: io::Error) -> io::Result<PathBuf> {
    const OBJECT_NAME_INFORMATION: i32 = 1;
    // A UNICODE_STRING, 16 bytes, and its text.
    let mut buffer = vec![0_u16; 32768];
    let mut used = 0;
    // SAFETY: the buffer is as long as we say.
    let status = unsafe {
        NtQueryObject(
            file.as_raw_handle(),
            OBJECT_NAME_INFORMATION,
            buffer.as_mut_ptr().cast(),
            (buffer.len() * size_of::<u16>()) as u32,
            &raw mut used,
        )
    };
    let bytes = usize::from(buffer.first().copied().unwrap_or_default());
    let text = buffer.get(8..8 + bytes / 2).unwrap_or_default();
    let text = String::from_utf16_lossy(text);
    match text.strip_prefix(r"\??\") {
        Some(path) if status >= 0 => Ok(PathBuf::from(path)),
        _ => Err(error),
    }
}

/// `path` without a leading `\\?\`.
#[must_use]
pub fn plain(path: &str) -> &str {
    path.strip_prefix(r"\\?\").unwrap_or(path)
}

/// `path` in the form that Windows takes as it stands, whatever its length and names.
#[must_use]
pub fn verbatim(path: &str) -> PathBuf {
    let path = plain(path);
    if path.starts_with(r"\\") {
        PathBuf::from(path)
    } else {
        PathBuf::from(format!(r"\\?\{path}"))
    }
}

/// UTF-16 with a closing NUL.
#[must_use]
pub fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Sets the attributes of `path` (0 and "normal" clear them).
///
/// # Errors
///
/// Of the system.
pub fn set_attributes(path: &Path, attributes: u32) -> io::Result<()> {
    let name = wide(&path.to_string_lossy());
    let attributes = if attributes & 0x7FFF == 0 {
        0x80
    } else {
        attributes
    };
    // SAFETY: the name ends with NUL.
    if unsafe { SetFileAttributesW(name.as_ptr(), attributes) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Opens a file or directory so that its identity and times can be asked and set.
///
/// # Errors
///
/// Of the system.
pub fn open_object(path: &Path, access: u32) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(access)
        .share_mode(7)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)
}

/// Opens `path` as nobody else may have it open at this moment.
///
/// # Errors
///
/// `ERROR_SHARING_VIOLATION` when somebody has.
pub fn open_exclusively(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).share_mode(0).open(path)
}

/// What GetLastError gives next.
pub fn set_last_error(code: u32) {
    // SAFETY: has no conditions.
    unsafe { SetLastError(code) }
}

/// Those of `names` that the process does not have enabled.
#[must_use]
pub fn missing_privileges<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let enabled = enabled_privileges().unwrap_or_default();
    names
        .iter()
        .copied()
        .filter(|name| !luid_of(name).is_some_and(|luid| enabled.contains(&luid)))
        .collect()
}

fn luid_of(name: &str) -> Option<(u32, i32)> {
    let name = wide(name);
    let mut luid = LUID {
        LowPart: 0,
        HighPart: 0,
    };
    // SAFETY: the name ends with NUL, `luid` is writable, a null system name is this system.
    let found = unsafe { LookupPrivilegeValueW(ptr::null(), name.as_ptr(), &raw mut luid) };
    (found != 0).then_some((luid.LowPart, luid.HighPart))
}

fn enabled_privileges() -> Option<Vec<(u32, i32)>> {
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: `token` is writable; the process handle is the constant of this process.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return None;
    }
    let mut buffer = vec![0_u64; 512];
    let mut length = 0_u32;
    // SAFETY: the buffer is as large as we say, and aligned for TOKEN_PRIVILEGES.
    let got = unsafe {
        GetTokenInformation(
            token,
            TokenPrivileges,
            buffer.as_mut_ptr().cast(),
            (buffer.len() * 8) as u32,
            &raw mut length,
        )
    };
    // SAFETY: we opened the token and nobody else has it.
    unsafe { CloseHandle(token) };
    if got == 0 {
        return None;
    }
    let start: *const u32 = buffer.as_ptr().cast();
    // SAFETY: TOKEN_PRIVILEGES begins with the count.
    let count = unsafe { *start } as usize;
    // SAFETY: the array follows the count, and the system wrote `count` elements of it.
    let privileges =
        unsafe { std::slice::from_raw_parts(start.add(1).cast::<LUID_AND_ATTRIBUTES>(), count) };
    let enabled = privileges
        .iter()
        .filter(|privilege| privilege.Attributes & SE_PRIVILEGE_ENABLED != 0);
    Some(
        enabled
            .map(|privilege| (privilege.Luid.LowPart, privilege.Luid.HighPart))
            .collect(),
    )
}

/// A string the caller frees with CoTaskMemFree.
#[must_use]
pub fn task_memory(text: &str) -> *mut u16 {
    let text = wide(text);
    // SAFETY: has no conditions.
    let memory: *mut u16 = unsafe { CoTaskMemAlloc(text.len() * 2) }.cast();
    copied(&text, memory)
}

/// A string the caller frees with LocalFree.
#[must_use]
pub fn local_memory(text: &str) -> *mut u16 {
    let text = wide(text);
    // SAFETY: has no conditions; 0 asks for fixed memory.
    let memory: *mut u16 = unsafe { LocalAlloc(0, text.len() * 2) }.cast();
    copied(&text, memory)
}

fn copied(text: &[u16], memory: *mut u16) -> *mut u16 {
    if !memory.is_null() {
        // SAFETY: the memory was asked for with exactly this length.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), memory, text.len()) };
    }
    memory
}
