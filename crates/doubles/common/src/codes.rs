//! HRESULTs the doubles answer with, and what they stand for in practice.

/// Done.
pub const S_OK: u32 = 0;
/// `E_POINTER`; the real vmcompute.dll crashes where we answer this.
pub const POINTER: u32 = 0x8000_4003;
/// `ERROR_INVALID_FUNCTION`.
pub const INVALID_FUNCTION: u32 = 0x8007_0001;
/// A directory entry, sidecar or config file is missing.
pub const FILE_NOT_FOUND: u32 = 0x8007_0002;
/// An unknown parent, or a path in the wrong form.
pub const PATH_NOT_FOUND: u32 = 0x8007_0003;
/// A privilege is missing.
pub const ACCESS_DENIED: u32 = 0x8007_0005;
/// A backup stream is malformed.
pub const INVALID_DATA: u32 = 0x8007_000D;
/// Something is not mounted.
pub const NOT_READY: u32 = 0x8007_0015;
/// A file is still open.
pub const SHARING_VIOLATION: u32 = 0x8007_0020;
/// Not on this build.
pub const NOT_SUPPORTED: u32 = 0x8007_0032;
/// An argument is wrong, or a disk is formatted already.
pub const INVALID_ARGUMENT: u32 = 0x8007_0057;
/// What is to be made exists.
pub const ALREADY_EXISTS: u32 = 0x8007_00B7;
/// `ERROR_REGISTRY_IO_FAILED`: a hive is not one.
pub const REGISTRY_IO: u32 = 0x8007_03F8;
/// `ERROR_PRIVILEGE_NOT_HELD`.
pub const PRIVILEGE_NOT_HELD: u32 = 0x8007_0522;
/// `HCS_E_INVALID_STATE`.
pub const INVALID_STATE: u32 = 0x8037_0105;
/// `HCS_E_INVALID_JSON`.
pub const INVALID_JSON: u32 = 0x8037_010D;

/// The Win32 code in `hresult`, for functions that answer with one.
#[must_use]
pub fn win32(hresult: u32) -> u32 {
    if hresult & 0x1FFF_0000 == 0x0007_0000 {
        hresult & 0xFFFF
    } else {
        hresult
    }
}

/// The HRESULT of an operating system error.
#[must_use]
pub fn of(error: &std::io::Error) -> u32 {
    match error.raw_os_error() {
        Some(code) => 0x8007_0000 | code.unsigned_abs() & 0xFFFF,
        None => INVALID_DATA,
    }
}
