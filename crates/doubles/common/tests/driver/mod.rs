//! Calls the doubles as a program would: loaded at run time, with structures made by hand.
#![allow(dead_code, reason = "each test file uses its part")]

use std::ffi::c_void;
use std::fs;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation::{CloseHandle, LUID};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, SE_PRIVILEGE_ENABLED,
    TOKEN_ADJUST_PRIVILEGES, TOKEN_PRIVILEGES,
};
use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryW};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
use winlayer_double_common::abi::{DriverInfo, LayerDescriptor};
use winlayer_double_common::guid::name_to_guid;
use winlayer_double_common::stream::record;
use winlayer_testkit::Doubles;

/// One test with the doubles: the environment belongs to the process, so they take turns.
pub(crate) struct Driver {
    pub(crate) doubles: Doubles,
    pub(crate) work: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Driver {
    pub(crate) fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let driver = Self {
            doubles: Doubles::new(),
            work: tempfile::tempdir().unwrap(),
            _turn: turn,
        };
        for (name, value) in driver.doubles.environment() {
            // SAFETY: the tests of a process take turns, and nothing else changes the environment.
            unsafe { std::env::set_var(name, value) };
        }
        driver.fail("");
        privileges(true);
        driver
    }

    pub(crate) fn fail(&self, rules: &str) {
        // SAFETY: as above.
        unsafe { std::env::set_var("WINLAYER_DOUBLES_FAIL", rules) };
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// The one violation since the last look.
    pub(crate) fn only_violation(&self) -> String {
        let mut violations = self.doubles.violations();
        self.doubles.clear();
        assert_eq!(violations.len(), 1, "{violations:#?}");
        violations.remove(0)
    }
}

/// An export, as the function pointer type `F`.
pub(crate) fn export<F: Copy>(doubles: &Doubles, dll: &str, name: &str) -> F {
    assert_eq!(size_of::<F>(), size_of::<usize>());
    let path = wide(&doubles.folder().join(dll).to_string_lossy());
    // SAFETY: the path ends with NUL; the libraries have no initialisers of their own.
    let library = unsafe { LoadLibraryW(path.as_ptr()) };
    assert!(!library.is_null(), "{dll} cannot be loaded");
    let symbol = format!("{name}\0");
    // SAFETY: the name ends with NUL, the library stays loaded.
    let address = unsafe { GetProcAddress(library, symbol.as_ptr()) }
        .unwrap_or_else(|| panic!("{dll} has no {name}"));
    // SAFETY: F is a pointer-sized function type the test chose for this export.
    unsafe { std::mem::transmute_copy(&address) }
}

pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Enables or disables what imports need.
pub(crate) fn privileges(enabled: bool) {
    for name in ["SeBackupPrivilege", "SeRestorePrivilege"] {
        let name = wide(name);
        let mut luid = LUID {
            LowPart: 0,
            HighPart: 0,
        };
        let mut token = ptr::null_mut();
        // SAFETY: names end with NUL, and every out argument is a local.
        unsafe {
            assert_ne!(
                LookupPrivilegeValueW(ptr::null(), name.as_ptr(), &raw mut luid),
                0
            );
            assert_ne!(
                OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES, &raw mut token),
                0
            );
        }
        let attributes = if enabled { SE_PRIVILEGE_ENABLED } else { 0 };
        let wanted = TOKEN_PRIVILEGES {
            PrivilegeCount: 1,
            Privileges: [LUID_AND_ATTRIBUTES {
                Luid: luid,
                Attributes: attributes,
            }],
        };
        // SAFETY: the token is open, the structure holds one privilege as it says.
        unsafe {
            AdjustTokenPrivileges(
                token,
                0,
                &raw const wanted,
                0,
                ptr::null_mut(),
                ptr::null_mut(),
            );
            CloseHandle(token);
        }
    }
}

/// Strings and structures that live as long as a call.
pub(crate) struct Arguments {
    home: Vec<u16>,
    paths: Vec<Vec<u16>>,
    pub(crate) descriptors: Vec<LayerDescriptor>,
}

impl Arguments {
    pub(crate) fn new(parents: &[&Path]) -> Self {
        let paths: Vec<Vec<u16>> = parents
            .iter()
            .map(|path| wide(&path.to_string_lossy()))
            .collect();
        let id = |path: &Path| name_to_guid(&path.file_name().unwrap().to_string_lossy());
        let described = parents.iter().zip(&paths);
        let descriptors = described
            .map(|(path, text)| LayerDescriptor {
                id: id(path),
                flags: 0,
                pad: 0,
                path: text.as_ptr(),
            })
            .collect();
        Self {
            home: wide(""),
            paths,
            descriptors,
        }
    }

    pub(crate) fn info(&self) -> DriverInfo {
        DriverInfo {
            kind: 1,
            pad: 0,
            home: self.home.as_ptr(),
        }
    }
}

pub(crate) fn verbatim(path: &Path) -> Vec<u16> {
    wide(&format!(r"\\?\{}", path.display()))
}

pub(crate) fn plain(path: &Path) -> Vec<u16> {
    wide(&path.to_string_lossy())
}

pub(crate) const DESCRIPTOR: [u8; 20] = [
    1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// A staged file: attributes and records.
pub(crate) fn framed(attributes: u32, records: &[Vec<u8>]) -> Vec<u8> {
    [attributes.to_le_bytes().to_vec(), records.concat()].concat()
}

pub(crate) fn file(content: &[u8]) -> Vec<u8> {
    framed(0x20, &[record(3, 0, &DESCRIPTOR), record(1, 0, content)])
}

/// Makes a staged directory and its sidecar.
pub(crate) fn directory(path: &Path, records: &[Vec<u8>]) {
    fs::create_dir_all(path).unwrap();
    fs::write(
        format!("{}.$wcidirs$", path.display()),
        framed(0x10, records),
    )
    .unwrap();
}

/// The link buffer of go-winio's test: a mount point to C:\a.
pub(crate) fn junction() -> Vec<u8> {
    let names: Vec<u8> = r"\??\C:\a"
        .encode_utf16()
        .chain([0])
        .chain(r"C:\a".encode_utf16())
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut buffer = vec![3, 0, 0, 0xA0, 36, 0, 0, 0, 0, 0, 16, 0, 18, 0, 8, 0];
    buffer.extend(names);
    buffer
}

/// A base layer as the base writer leaves it.
pub(crate) fn base_layer(layer: &Path) {
    let config = layer.join(r"Files\Windows\System32\config");
    fs::create_dir_all(&config).unwrap();
    for hive in ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"] {
        fs::write(config.join(hive), b"regf and more").unwrap();
    }
    fs::write(layer.join(r"Files\Windows\below.txt"), b"from the base").unwrap();
    fs::create_dir(layer.join(r"Files\Users")).unwrap();
    let boot = layer.join(r"UtilityVM\Files\EFI\Microsoft\Boot");
    fs::create_dir_all(&boot).unwrap();
    fs::write(boot.join("BCD"), b"regf boot").unwrap();
}

/// A staging folder as the diff writer leaves it.
pub(crate) fn staging(folder: &Path) {
    directory(&folder.join("Files"), &[record(3, 0, &DESCRIPTOR)]);
    directory(&folder.join("Hives"), &[]);
    directory(&folder.join(r"Files\Windows"), &[]);
    directory(&folder.join(r"Files\link"), &[record(8, 0, &junction())]);
    fs::write(folder.join(r"Files\Windows\new.txt"), file(b"new")).unwrap();
    fs::write(folder.join(r"Hives\System_Delta"), b"regf delta").unwrap();
}

pub(crate) type OnLayer = unsafe extern "system" fn(*const DriverInfo, *const u16) -> u32;
pub(crate) type OnFolder = unsafe extern "system" fn(*const u16) -> u32;
pub(crate) type WithFolder = unsafe extern "system" fn(
    *const DriverInfo,
    *const u16,
    *const u16,
    *const LayerDescriptor,
    u32,
) -> u32;
pub(crate) type WithParents =
    unsafe extern "system" fn(*const DriverInfo, *const u16, *const LayerDescriptor, u32) -> u32;
pub(crate) type CreateSandbox = unsafe extern "system" fn(
    *const DriverInfo,
    *const u16,
    usize,
    *const LayerDescriptor,
    u32,
) -> u32;
pub(crate) type MountPath =
    unsafe extern "system" fn(*const DriverInfo, *const u16, *mut usize, *mut u16) -> u32;
pub(crate) type Backup = unsafe extern "system" fn(
    *mut c_void,
    *mut u8,
    u32,
    *mut u32,
    i32,
    i32,
    *mut *mut c_void,
) -> i32;
