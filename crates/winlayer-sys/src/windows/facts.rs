//! Facts of Windows, see [`crate::facts`].

mod drivers;
mod registry;
mod volumes;

use std::{ffi::CStr, os::windows::io::AsRawHandle as _, path::Path, path::PathBuf};

use windows_sys::{
    Wdk::System::SystemServices::RtlGetVersion,
    Win32::{
        Security::{GetTokenInformation, TOKEN_QUERY, TokenElevation, TokenPrivileges},
        System::SystemInformation::OSVERSIONINFOW,
    },
};

use super::{
    computestorage::ComputeStorage,
    library::{Library as Loaded, last_error},
    privileges::process_token,
    virtdisk::VirtDisk,
    vmcompute::VmCompute,
};
use crate::{PlatformError, Privilege};

pub use drivers::{FilterDriver, filter_drivers};
pub use volumes::{FileSystem, Space, file_system_of, reparse_points_on, space_of};

type Result<T> = std::result::Result<T, PlatformError>;

/// The version of Windows, whatever the program's manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowsVersion {
    /// 10 for Windows 10, 11 and every Server since 2016.
    pub major: u32,
    /// 0 since Windows 10.
    pub minor: u32,
    /// Such as 17763 or 20348.
    pub build: u32,
    /// The number of the update (`UBR` of the registry), such as 2031.
    pub revision: Option<u32>,
}

/// The version of Windows, by `RtlGetVersion`.
pub fn windows_version() -> Option<WindowsVersion> {
    let mut info = OSVERSIONINFOW {
        dwOSVersionInfoSize: size_of::<OSVERSIONINFOW>() as u32,
        dwMajorVersion: 0,
        dwMinorVersion: 0,
        dwBuildNumber: 0,
        dwPlatformId: 0,
        szCSDVersion: [0; 128],
    };
    // SAFETY: the structure has the size it says.
    let status = unsafe { RtlGetVersion(&mut info) };
    (status >= 0).then(|| WindowsVersion {
        major: info.dwMajorVersion,
        minor: info.dwMinorVersion,
        build: info.dwBuildNumber,
        revision: registry::number(r"SOFTWARE\Microsoft\Windows NT\CurrentVersion", "UBR")
            .ok()
            .flatten(),
    })
}

/// The version of Wine, when this is not Windows.
pub fn wine_version() -> Option<String> {
    let ntdll = Loaded::load("ntdll.dll").ok()?;
    let address = ntdll.function("wine_get_version\0").ok()?;
    // SAFETY: only Wine has a function of that name, declared `const char *(void)`, cdecl.
    let version = unsafe {
        std::mem::transmute::<
            std::ptr::NonNull<std::ffi::c_void>,
            unsafe extern "C" fn() -> *const std::ffi::c_char,
        >(address)
    };
    // SAFETY: no arguments.
    let text = unsafe { version() };
    if text.is_null() {
        return Some(String::new());
    }
    // SAFETY: not null, and a constant string of Wine's.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

/// A library of the container platform.
#[derive(Clone, Debug)]
pub struct Library {
    /// The file's name.
    pub name: &'static str,
    /// Why it cannot be loaded, with the feature to install as its remedy.
    pub error: Option<PlatformError>,
    /// The functions winlayer may call that it does not have.
    pub missing: Vec<&'static str>,
}

/// vmcompute.dll, computestorage.dll and virtdisk.dll, and the functions winlayer may call in them.
pub fn libraries() -> Vec<Library> {
    vec![
        library(VmCompute::FILE, VmCompute::EXPORTS),
        library(ComputeStorage::FILE, ComputeStorage::EXPORTS),
        library(VirtDisk::FILE, VirtDisk::EXPORTS),
    ]
}

fn library(name: &'static str, exports: &[&'static str]) -> Library {
    match Loaded::load(name) {
        Err(error) => Library {
            name,
            error: Some(error),
            missing: Vec::new(),
        },
        Ok(library) => {
            let absent = exports
                .iter()
                .filter(|name| library.function(name).is_err());
            Library {
                name,
                error: None,
                missing: absent.map(|name| name.trim_end_matches('\0')).collect(),
            }
        }
    }
}

/// Whether the process has the full token of an administrator.
pub fn is_elevated() -> Result<bool> {
    let token = process_token(TOKEN_QUERY)?;
    let mut elevated = 0u32;
    let mut length = 0;
    // SAFETY: the handle is open, and TOKEN_ELEVATION is one number, ours to write.
    let done = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenElevation,
            (&raw mut elevated).cast(),
            size_of::<u32>() as u32,
            &mut length,
        )
    };
    if done == 0 {
        return Err(last_error("GetTokenInformation", Path::new("elevation")));
    }
    Ok(elevated != 0)
}

/// What the process's token says of a privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrivilegeState {
    /// The account does not hold it.
    Missing,
    /// Held and switched off.
    Disabled,
    /// Held and switched on.
    Enabled,
}

/// What the process's token says of every privilege winlayer uses.
pub fn privileges() -> Result<Vec<(Privilege, PrivilegeState)>> {
    const ENABLED: u32 = 2;
    let held = token_privileges()?;
    let state = |privilege: Privilege| {
        // A name the system does not know cannot be held.
        let luid = privilege.luid().ok();
        let found = luid.and_then(|luid| {
            let luid = [luid.LowPart, luid.HighPart.cast_unsigned()];
            held.iter().find(|[low, high, _]| [*low, *high] == luid)
        });
        match found {
            None => PrivilegeState::Missing,
            Some([_, _, attributes]) if attributes & ENABLED != 0 => PrivilegeState::Enabled,
            Some(_) => PrivilegeState::Disabled,
        }
    };
    Ok(Privilege::ALL.map(|it| (it, state(it))).into())
}

/// `LUID_AND_ATTRIBUTES` of every privilege of the process: low half, high half, attributes.
fn token_privileges() -> Result<Vec<[u32; 3]>> {
    let token = process_token(TOKEN_QUERY)?;
    // Room for 340 privileges; Windows has less than 40.
    let mut words = [0u32; 1 + 3 * 340];
    let mut length = 0;
    // SAFETY: the handle is open, and the buffer has as many bytes as said.
    let done = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenPrivileges,
            words.as_mut_ptr().cast(),
            size_of_val(&words) as u32,
            &mut length,
        )
    };
    if done == 0 {
        return Err(last_error("GetTokenInformation", Path::new("privileges")));
    }
    let [count, entries @ ..] = &words;
    let (entries, _) = entries.as_chunks::<3>();
    Ok(entries.iter().take(*count as usize).copied().collect())
}

/// `LongPathsEnabled` of the registry: whether programs may use long paths without `\\?\`.
pub fn long_paths_enabled() -> Result<bool> {
    let key = r"SYSTEM\CurrentControlSet\Control\FileSystem";
    let value = registry::number(key, "LongPathsEnabled")?;
    Ok(value.is_some_and(|value| value != 0))
}

/// The folders Microsoft Defender leaves alone, by its settings and by policy, as far as the registry
/// lets the user read them; none without Defender.
///
/// # Errors
///
/// Access denied: by default only administrators may read them, and by policy not even they.
pub fn defender_exclusions() -> Result<Vec<PathBuf>> {
    const KEYS: [&str; 2] = [
        r"SOFTWARE\Microsoft\Windows Defender\Exclusions\Paths",
        r"SOFTWARE\Policies\Microsoft\Windows Defender\Exclusions\Paths",
    ];
    let mut folders = Vec::new();
    for key in KEYS {
        let names = registry::value_names(key)?;
        folders.extend(names.into_iter().map(PathBuf::from));
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_known() {
        let version = windows_version().unwrap();
        assert!(version.major >= 6 && version.build >= 7600, "{version:?}");
        if let Some(wine) = wine_version() {
            assert!(
                wine.starts_with(|first: char| first.is_ascii_digit()),
                "{wine}"
            );
        }
    }

    #[test]
    fn every_library_is_there_or_says_why_not() {
        let libraries = libraries();
        assert_eq!(libraries.len(), 3);
        for library in libraries {
            match &library.error {
                Some(error) => {
                    assert!(error.is_missing_function() && library.missing.is_empty());
                    assert!(error.remedy().is_some(), "{error}");
                }
                // Names without the NUL.
                None => assert!(library.missing.iter().all(|name| !name.contains('\0'))),
            }
        }
    }

    #[test]
    fn the_token_and_the_registry_answer() {
        is_elevated().unwrap();
        assert_eq!(privileges().unwrap().len(), Privilege::ALL.len());
        long_paths_enabled().unwrap();
        if wine_version().is_some() {
            assert!(defender_exclusions().unwrap().is_empty());
        }
    }
}
