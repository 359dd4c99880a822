//! Virtual disks (VHDX files), by virtdisk.dll.

use std::{
    ffi::c_void,
    mem::{offset_of, size_of},
    os::windows::io::{
        AsHandle, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle,
    },
    path::{Path, PathBuf},
    ptr,
    sync::OnceLock,
};

use windows_sys::{
    Win32::Foundation::HANDLE,
    core::{GUID, PCWSTR, PWSTR},
};

use super::{
    library::{check_win32, functions_of},
    text::{from_wide, plain_if_short, wide},
};
use crate::PlatformError;

type Result<T> = std::result::Result<T, PlatformError>;

/// Blocks of 1 MiB: the smallest a VHDX has, for small scratches.
const BLOCK_BYTES: u32 = 1 << 20;
/// With structures of version 2, the access mask must be none.
const ACCESS_NONE: u32 = 0;
/// `OPEN_VIRTUAL_DISK_FLAG_CACHED_IO`.
const OPEN_CACHED_IO: u32 = 0x8;
const ATTACH_READ_ONLY: u32 = 0x1;
const ATTACH_NO_DRIVE_LETTER: u32 = 0x2;
const ATTACH_PERMANENT_LIFETIME: u32 = 0x4;
/// Else a policy that demands BitLocker refuses the disk.
const ATTACH_BYPASS_DEFAULT_ENCRYPTION_POLICY: u32 = 0x20;

/// `VIRTUAL_STORAGE_TYPE`; all zero lets the file name's extension decide.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct StorageType {
    device: u32,  // @0
    vendor: GUID, // @4
}

/// `CREATE_VIRTUAL_DISK_PARAMETERS`, version 2.
#[repr(C)]
pub(super) struct CreateParameters {
    version: u32,              // @0: 2
    _align: u32,               // @4: the union that follows is aligned to 8
    unique_id: GUID,           // @8
    maximum_size: u64,         // @24
    block_size: u32,           // @32
    sector_size: u32,          // @36
    physical_sector_size: u32, // @40
    parent: PCWSTR,            // @48
    source: PCWSTR,            // @56
    open_flags: u32,           // @64
    parent_type: StorageType,  // @68
    source_type: StorageType,  // @88
    resiliency: GUID,          // @108
}

/// `OPEN_VIRTUAL_DISK_PARAMETERS`, version 2.
#[repr(C)]
pub(super) struct OpenParameters {
    version: u32,       // @0: 2
    get_info_only: i32, // @4
    read_only: i32,     // @8
    resiliency: GUID,   // @12
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<StorageType>() == 20);
    assert!(offset_of!(StorageType, vendor) == 4);
    assert!(size_of::<CreateParameters>() == 128);
    assert!(offset_of!(CreateParameters, unique_id) == 8);
    assert!(offset_of!(CreateParameters, maximum_size) == 24);
    assert!(offset_of!(CreateParameters, block_size) == 32);
    assert!(offset_of!(CreateParameters, sector_size) == 36);
    assert!(offset_of!(CreateParameters, physical_sector_size) == 40);
    assert!(offset_of!(CreateParameters, parent) == 48);
    assert!(offset_of!(CreateParameters, source) == 56);
    assert!(offset_of!(CreateParameters, open_flags) == 64);
    assert!(offset_of!(CreateParameters, parent_type) == 68);
    assert!(offset_of!(CreateParameters, source_type) == 88);
    assert!(offset_of!(CreateParameters, resiliency) == 108);
    assert!(size_of::<OpenParameters>() == 28);
    assert!(offset_of!(OpenParameters, get_info_only) == 4);
    assert!(offset_of!(OpenParameters, read_only) == 8);
    assert!(offset_of!(OpenParameters, resiliency) == 12);
};

functions_of! {
    /// virtdisk.dll. Its functions answer with Win32 codes; `GetLastError` means nothing after them.
    VirtDisk = "virtdisk.dll";
    fn CreateVirtualDisk(
        kind: *const StorageType, path: PCWSTR, access: u32, security: *const c_void, flags: u32,
        provider_flags: u32, parameters: *const CreateParameters, overlapped: *const c_void,
        handle: *mut HANDLE,
    ) -> u32;
    fn OpenVirtualDisk(
        kind: *const StorageType, path: PCWSTR, access: u32, flags: u32,
        parameters: *const OpenParameters, handle: *mut HANDLE,
    ) -> u32;
    fn AttachVirtualDisk(
        disk: HANDLE, security: *const c_void, flags: u32, provider_flags: u32,
        parameters: *const c_void, overlapped: *const c_void,
    ) -> u32;
    fn DetachVirtualDisk(disk: HANDLE, flags: u32, provider_flags: u32) -> u32;
    fn GetVirtualDiskPhysicalPath(disk: HANDLE, bytes: *mut u32, path: PWSTR) -> u32;
}

const NULL_GUID: GUID = GUID::from_u128(0);
const BY_EXTENSION: StorageType = StorageType {
    device: 0,
    vendor: NULL_GUID,
};

fn library() -> Result<VirtDisk> {
    static LOADED: OnceLock<VirtDisk> = OnceLock::new();
    match LOADED.get() {
        Some(library) => Ok(*library),
        None => Ok(*LOADED.get_or_init({
            let library = VirtDisk::load()?;
            move || library
        })),
    }
}

/// An open virtual disk. Closing it detaches it, unless it was attached permanently.
#[derive(Debug)]
pub struct VirtualDisk {
    handle: OwnedHandle,
    path: PathBuf,
}

/// How a disk is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// No writes.
    pub read_only: bool,
    /// The volume gets no drive letter.
    pub no_drive_letter: bool,
    /// The disk stays when the handle is closed.
    pub permanent: bool,
}

impl VirtualDisk {
    /// Creates a dynamically growing disk of `bytes` with blocks of 1 MiB. The file must not exist.
    pub fn create(path: &Path, bytes: u64) -> Result<Self> {
        Self::create_with(path, bytes, None)
    }

    /// Creates a disk that keeps its differences to `parent`. The file must not exist, and the
    /// parent must not be moved from then on: the disk remembers its path.
    pub fn create_differencing(path: &Path, parent: &Path) -> Result<Self> {
        Self::create_with(path, 0, Some(parent))
    }

    fn create_with(path: &Path, bytes: u64, parent: Option<&Path>) -> Result<Self> {
        const CALL: &str = "CreateVirtualDisk";
        let path = plain_if_short(path)?;
        let parent = parent.map(plain_if_short).transpose()?.map(wide);
        let parameters = CreateParameters {
            version: 2,
            _align: 0,
            unique_id: NULL_GUID,
            maximum_size: bytes,
            block_size: BLOCK_BYTES,
            sector_size: 0,
            physical_sector_size: 0,
            parent: parent.as_ref().map_or(ptr::null(), |path| path.as_ptr()),
            source: ptr::null(),
            open_flags: if parent.is_some() { OPEN_CACHED_IO } else { 0 },
            parent_type: BY_EXTENSION,
            source_type: BY_EXTENSION,
            resiliency: NULL_GUID,
        };
        let create = library()?.CreateVirtualDisk()?;
        let wide_path = wide(&path);
        let mut handle = ptr::null_mut();
        // SAFETY: the strings end with a NUL and, like the structures, outlive the call; it is not
        // asynchronous (no OVERLAPPED).
        let code = unsafe {
            create(
                &BY_EXTENSION,
                wide_path.as_ptr(),
                ACCESS_NONE,
                ptr::null(),
                0,
                0,
                &parameters,
                ptr::null(),
                &mut handle,
            )
        };
        check_win32(CALL, &path, code)?;
        // SAFETY: the call succeeded, so the handle is open and nobody else's.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        Ok(Self { handle, path })
    }

    /// Opens a disk.
    pub fn open(path: &Path) -> Result<Self> {
        let path = plain_if_short(path)?;
        let parameters = OpenParameters {
            version: 2,
            get_info_only: 0,
            read_only: 0,
            resiliency: NULL_GUID,
        };
        let open = library()?.OpenVirtualDisk()?;
        let wide_path = wide(&path);
        let mut handle = ptr::null_mut();
        // SAFETY: the string ends with a NUL and, like the structures, outlives the call.
        let code = unsafe {
            open(
                &BY_EXTENSION,
                wide_path.as_ptr(),
                ACCESS_NONE,
                0,
                &parameters,
                &mut handle,
            )
        };
        check_win32("OpenVirtualDisk", &path, code)?;
        // SAFETY: the call succeeded, so the handle is open and nobody else's.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        Ok(Self { handle, path })
    }

    /// Attaches the disk: its volumes arrive soon after.
    pub fn attach(&self, options: AttachOptions) -> Result<()> {
        let AttachOptions {
            read_only,
            no_drive_letter,
            permanent,
        } = options;
        let mut flags = ATTACH_BYPASS_DEFAULT_ENCRYPTION_POLICY;
        for (wanted, flag) in [
            (read_only, ATTACH_READ_ONLY),
            (no_drive_letter, ATTACH_NO_DRIVE_LETTER),
            (permanent, ATTACH_PERMANENT_LIFETIME),
        ] {
            flags |= if wanted { flag } else { 0 };
        }
        let attach = library()?.AttachVirtualDisk()?;
        // SAFETY: the handle is open. No parameters: Server 2019 knows only version 1, whose content
        // is the default.
        let code = unsafe { attach(self.raw(), ptr::null(), flags, 0, ptr::null(), ptr::null()) };
        check_win32("AttachVirtualDisk", &self.path, code)
    }

    /// Detaches the disk.
    pub fn detach(&self) -> Result<()> {
        let detach = library()?.DetachVirtualDisk()?;
        // SAFETY: the handle is open.
        let code = unsafe { detach(self.raw(), 0, 0) };
        check_win32("DetachVirtualDisk", &self.path, code)
    }

    /// The device of an attached disk, such as `\\.\PhysicalDrive3`.
    pub fn physical_path(&self) -> Result<PathBuf> {
        let get = library()?.GetVirtualDiskPhysicalPath()?;
        let mut units = [0u16; 260];
        let mut bytes = size_of_val(&units) as u32;
        // SAFETY: the handle is open, and the buffer has as many bytes as said.
        let code = unsafe { get(self.raw(), &mut bytes, units.as_mut_ptr()) };
        check_win32("GetVirtualDiskPhysicalPath", &self.path, code)?;
        Ok(from_wide(&units).into())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn raw(&self) -> HANDLE {
        self.handle.as_raw_handle()
    }
}

impl AsHandle for VirtualDisk {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no.vhdx");
        let error = VirtualDisk::open(&missing).unwrap_err();
        assert_eq!(error.call(), "OpenVirtualDisk");
        assert!(error.path().ends_with("no.vhdx"));
        if crate::facts::wine_version().is_some() {
            // Which knows only version 1 of the parameters.
            assert!(matches!(error.win32(), Some(2 | 87)), "{error}");
        } else {
            assert_eq!(error.win32(), Some(2), "{error}");
        }
    }
}
