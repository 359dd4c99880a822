//! [`PlatformError`]: a call to Windows failed; which, on what, what that means and what helps.
//!
//! The type and its tables are the same on every system, so that they can be tested on every system.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

mod tables;

/// A result code of Windows in the convention of the function that returned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlatformCode {
    /// An `HRESULT`: vmcompute.dll, computestorage.dll, fltlib.dll.
    HResult(u32),
    /// A Win32 error code: `GetLastError`, virtdisk.dll, the registry.
    Win32(u32),
    /// An `NTSTATUS`: the `Nt` functions of ntdll.dll.
    NtStatus(u32),
}

impl PlatformCode {
    /// The Win32 code this one stands for: itself, the low half of an `HRESULT` of
    /// `FACILITY_WIN32` (`0x8007xxxx`), or the equivalent of an `NTSTATUS`.
    pub fn win32(self) -> Option<u32> {
        match self {
            Self::Win32(code) => Some(code),
            Self::HResult(code) => (code & 0x1fff_0000 == 0x0007_0000).then_some(code & 0xffff),
            Self::NtStatus(code) => tables::win32_of_status(code),
        }
    }

    /// The code of the Host Compute Service without its spelling: the documented `HRESULT`
    /// `0x8037xxxx` and the `0xC037xxxx` of events and guests mean the same.
    fn host_compute(self) -> Option<u32> {
        match self {
            Self::HResult(code) | Self::NtStatus(code) | Self::Win32(code) => {
                matches!(code >> 16, 0x8037 | 0xc037).then_some(code & 0xffff)
            }
        }
    }
}

impl fmt::Display for PlatformCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HResult(code) => write!(f, "0x{code:08X}"),
            Self::Win32(code) => write!(f, "Windows error {code}"),
            Self::NtStatus(code) => write!(f, "NTSTATUS 0x{code:08X}"),
        }
    }
}

/// A call to Windows failed.
///
/// The text names the call, the object it was for, what the code means for that call, and the code;
/// [`remedy`](Self::remedy) says what to do. Control characters of names are escaped.
///
/// ```
/// use winlayer_sys::{PlatformCode, PlatformError};
/// let error = PlatformError::new("PrepareLayer", r"C:\scratch", PlatformCode::HResult(0x8007_0001));
/// assert_eq!(error.win32(), Some(1));
/// assert!(error.to_string().starts_with(r"PrepareLayer C:\scratch failed: "));
/// assert!(error.remedy().unwrap().contains("cloud"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    call: &'static str,
    path: PathBuf,
    code: PlatformCode,
}

impl PlatformError {
    /// `call` is the function's name as Microsoft's reference spells it; `path` what it was asked
    /// about: a file, a folder, a privilege, or `dll!export` for a function that is not there.
    pub fn new(call: &'static str, path: impl Into<PathBuf>, code: PlatformCode) -> Self {
        let path = path.into();
        Self(Box::new(Inner { call, path, code }))
    }

    /// The function's name.
    pub fn call(&self) -> &'static str {
        self.0.call
    }

    /// What the call was for.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The code as the function returned it.
    pub fn code(&self) -> PlatformCode {
        self.0.code
    }

    /// The code as a Win32 error, if it stands for one.
    pub fn win32(&self) -> Option<u32> {
        self.0.code.win32()
    }

    /// What the code means for this call, if that is known.
    pub fn meaning(&self) -> Option<&'static str> {
        self.row().map(|row| row.meaning)
    }

    /// What the user can do about it, if that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        if self.is_missing_function() {
            let name = self.0.path.to_string_lossy();
            if let Some(remedy) = tables::remedy_without(&name) {
                return Some(remedy);
            }
        }
        self.row().and_then(|row| row.remedy)
    }

    /// Whether this Windows does not have the function at all: the feature that brings its DLL is
    /// not installed, or the system is too old.
    pub fn is_missing_function(&self) -> bool {
        matches!(self.call(), "LoadLibraryExW" | "GetProcAddress")
    }

    /// The nearest kind of the standard library.
    pub fn io_kind(&self) -> io::ErrorKind {
        use io::ErrorKind::*;
        if self.is_missing_function() {
            return Unsupported;
        }
        match self.win32() {
            Some(2 | 3 | 1168) => NotFound,
            Some(5 | 1300 | 1314) => PermissionDenied,
            Some(32 | 33) => ResourceBusy,
            Some(39 | 112) => StorageFull,
            Some(19) => ReadOnlyFilesystem,
            Some(50 | 120) => Unsupported,
            Some(80 | 183) => AlreadyExists,
            Some(87) => InvalidInput,
            Some(123) => InvalidFilename,
            Some(13) => InvalidData,
            _ => Other,
        }
    }

    /// The race of Windows Server 2019 between attaching a disk and its volume's arrival, which
    /// goes away when tried again (hcsshim `internal/layers/wcow_mount.go`).
    #[cfg_attr(not(windows), allow(dead_code))]
    pub(crate) fn is_device_race(&self) -> bool {
        matches!(self.win32(), Some(21 | 1167))
    }

    fn row(&self) -> Option<&'static tables::Row> {
        let key = match self.0.code.host_compute() {
            Some(low) => tables::Key::HostCompute(low),
            None => tables::Key::Win32(self.win32()?),
        };
        tables::find(self.0.call, key)
    }
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { call, path, code } = &*self.0;
        f.write_str(call)?;
        if !path.as_os_str().is_empty() {
            f.write_str(" ")?;
            write_escaped(f, &path.to_string_lossy())?;
        }
        f.write_str(" failed: ")?;
        match self.meaning() {
            Some(meaning) => f.write_str(meaning)?,
            None => write_system_text(f, self.win32())?,
        }
        write!(f, " ({code})")
    }
}

/// Windows' own words for a code there is no row for.
fn write_system_text(f: &mut fmt::Formatter<'_>, win32: Option<u32>) -> fmt::Result {
    #[cfg(windows)]
    if let Some(code) = win32 {
        let text = io::Error::from_raw_os_error(code.cast_signed()).to_string();
        // The text ends with the code, which is written by the caller.
        let text = text.split(" (os error").next().unwrap_or_default();
        return write_escaped(f, text.trim_end_matches('.'));
    }
    let _ = win32;
    f.write_str("an error without a description")
}

/// Debug formatting would double the backslashes of Windows paths.
fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    use fmt::Write;
    for char in text.chars() {
        if char.is_control() {
            write!(f, "{}", char.escape_default())?;
        } else {
            f.write_char(char)?;
        }
    }
    Ok(())
}

impl std::error::Error for PlatformError {}

impl From<PlatformError> for io::Error {
    /// Keeps the kind; the error itself is the inner error.
    fn from(error: PlatformError) -> Self {
        Self::new(error.io_kind(), error)
    }
}

#[cfg(test)]
mod tests;
