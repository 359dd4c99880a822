//! Libraries looked up at run time: most systems lack those of the container platform, and a program
//! that imports one it lacks does not start.

use std::{ffi::c_void, path::Path, ptr::NonNull};

use windows_sys::Win32::{
    Foundation::{GetLastError, HMODULE},
    System::LibraryLoader::{GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW},
};

use super::text::wide;
use crate::{PlatformCode, PlatformError};

/// A loaded library. It stays loaded until the process ends: those of the platform have threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Library {
    name: &'static str,
    module: HMODULE,
}

// SAFETY: a module handle is a number that names the same library on every thread.
unsafe impl Send for Library {}
// SAFETY: as above; looking functions up takes the loader's own lock.
unsafe impl Sync for Library {}

impl Library {
    /// From System32 and nowhere else.
    pub(super) fn load(name: &'static str) -> Result<Self, PlatformError> {
        #[cfg(feature = "doubles")]
        if let Some(folder) = std::env::var_os("WINLAYER_DOUBLES").filter(|_| is_doubled(name)) {
            use windows_sys::Win32::System::LibraryLoader::LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR;
            let path = Path::new(&folder).join(name);
            let flags = LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32;
            return Self::load_by(name, &path, flags);
        }
        Self::load_by(name, Path::new(name), LOAD_LIBRARY_SEARCH_SYSTEM32)
    }

    fn load_by(name: &'static str, path: &Path, flags: u32) -> Result<Self, PlatformError> {
        let wide_path = wide(path);
        // SAFETY: the string ends with a NUL and outlives the call. What the library does when it is
        // loaded is Windows' own (or, with the feature for tests, the tests').
        let module = unsafe { LoadLibraryExW(wide_path.as_ptr(), std::ptr::null_mut(), flags) };
        if module.is_null() {
            return Err(last_error("LoadLibraryExW", Path::new(name)));
        }
        Ok(Self { name, module })
    }

    /// The address of a function; `name` ends with a NUL.
    pub(super) fn function(&self, name: &'static str) -> Result<NonNull<c_void>, PlatformError> {
        debug_assert!(name.ends_with('\0'));
        // SAFETY: the module stays loaded, and the name ends with a NUL.
        let address = unsafe { GetProcAddress(self.module, name.as_ptr()) };
        let address = address.and_then(|function| NonNull::new(function as *mut c_void));
        address.ok_or_else(|| {
            let name = format!("{}!{}", self.name, name.trim_end_matches('\0'));
            last_error("GetProcAddress", Path::new(&name))
        })
    }
}

#[cfg(feature = "doubles")]
fn is_doubled(name: &str) -> bool {
    let doubled = [
        "vmcompute.dll",
        "computestorage.dll",
        "virtdisk.dll",
        "winlayer_backup.dll",
    ];
    doubled.contains(&name)
}

/// What `GetLastError` says now; to be called right after the call that failed.
pub(super) fn last_error(call: &'static str, path: &Path) -> PlatformError {
    // SAFETY: reads a number of the thread.
    let code = unsafe { GetLastError() };
    PlatformError::new(call, path, PlatformCode::Win32(code))
}

/// The result of a function that answers with a Win32 code.
pub(super) fn check_win32(call: &'static str, path: &Path, code: u32) -> Result<(), PlatformError> {
    match code {
        0 => Ok(()),
        _ => Err(PlatformError::new(call, path, PlatformCode::Win32(code))),
    }
}

/// The result of a function that answers with an `HRESULT`.
pub(super) fn check_hresult(
    call: &'static str,
    path: &Path,
    code: i32,
) -> Result<(), PlatformError> {
    match code {
        0.. => Ok(()),
        _ => {
            let code = PlatformCode::HResult(code.cast_unsigned());
            Err(PlatformError::new(call, path, code))
        }
    }
}

/// Declares a library and its functions, each once, with the types of its arguments. A function is
/// looked up when it is called: `library.ImportLayer()?` is a pointer to it, or the error that says
/// what this Windows lacks.
macro_rules! functions_of {
    (
        $(#[$meta:meta])*
        $library:ident = $file:literal;
        $( fn $function:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty; )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub(super) struct $library($crate::windows::library::Library);

        #[allow(non_snake_case, dead_code, reason = "the functions' own names; the declaration is complete")]
        impl $library {
            /// The file's name.
            pub(super) const FILE: &'static str = $file;
            /// The names of the functions.
            pub(super) const EXPORTS: &'static [&'static str] =
                &[$(concat!(stringify!($function), "\0")),*];

            pub(super) fn load() -> std::result::Result<Self, $crate::PlatformError> {
                $crate::windows::library::Library::load($file).map(Self)
            }

            pub(super) fn library(&self) -> &$crate::windows::library::Library {
                &self.0
            }

            $(
                pub(super) fn $function(&self) -> std::result::Result<
                    unsafe extern "system" fn($($argument: $type),*) -> $result,
                    $crate::PlatformError,
                > {
                    let address = self.0.function(concat!(stringify!($function), "\0"))?;
                    // SAFETY: the address of the function of that name, whose type is declared here
                    // from Microsoft's reference and hcsshim.
                    Ok(unsafe {
                        std::mem::transmute::<
                            std::ptr::NonNull<std::ffi::c_void>,
                            unsafe extern "system" fn($($argument: $type),*) -> $result,
                        >(address)
                    })
                }
            )*
        }
    };
}
pub(super) use functions_of;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_a_clean_error() {
        let error = Library::load("winlayer-no-such.dll").unwrap_err();
        assert_eq!(error.call(), "LoadLibraryExW");
        assert_eq!(error.win32(), Some(126));
        assert!(error.is_missing_function());
    }

    #[test]
    fn a_missing_function_is_a_clean_error() {
        let kernel = Library::load("kernel32.dll").unwrap();
        assert!(kernel.function("GetTickCount\0").is_ok());
        let error = kernel.function("NoSuchFunction\0").unwrap_err();
        assert_eq!(error.win32(), Some(127));
        assert_eq!(error.path(), Path::new("kernel32.dll!NoSuchFunction"));
    }
}
