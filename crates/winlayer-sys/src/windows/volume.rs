//! Volumes of scratches, and who may open their disks.

use std::{
    ffi::c_void,
    fs::{File, OpenOptions},
    os::windows::{fs::OpenOptionsExt as _, io::AsRawHandle as _},
    path::Path,
    ptr,
};

use windows_sys::Win32::{
    Foundation::{GENERIC_READ, HANDLE, LocalFree},
    Security::{
        ACL,
        Authorization::{
            EXPLICIT_ACCESS_W, GRANT_ACCESS, GetSecurityInfo, NO_MULTIPLE_TRUSTEE, SE_FILE_OBJECT,
            SetEntriesInAclW, SetSecurityInfo, TRUSTEE_IS_SID, TRUSTEE_IS_WELL_KNOWN_GROUP,
            TRUSTEE_W,
        },
        DACL_SECURITY_INFORMATION, NO_INHERITANCE, PSECURITY_DESCRIPTOR, PSID,
    },
    Storage::FileSystem::{FILE_FLAG_BACKUP_SEMANTICS, READ_CONTROL, WRITE_DAC},
    System::Ioctl::{FSCTL_EXTEND_VOLUME, IOCTL_DISK_GET_LENGTH_INFO},
};
use windows_sys::core::PCWSTR;

use super::{
    computestorage::io_error,
    library::{check_win32, functions_of, last_error},
    text::{verbatim, wide},
};
use crate::PlatformError;

type Result<T> = std::result::Result<T, PlatformError>;

const _: () = {
    assert!(FSCTL_EXTEND_VOLUME == 0x0009_00f0);
    assert!(IOCTL_DISK_GET_LENGTH_INFO == 0x0007_405c);
};

functions_of! {
    /// What is asked of volumes: kernel32.dll, or its stand-in in tests.
    Volumes = "kernel32.dll";
    fn DeviceIoControl(
        device: HANDLE, code: u32, input: *const c_void, input_bytes: u32, output: *mut c_void,
        output_bytes: u32, returned: *mut u32, overlapped: *const c_void,
    ) -> i32;
    fn GetDiskFreeSpaceW(
        root: PCWSTR, sectors: *mut u32, bytes: *mut u32, free: *mut u32, clusters: *mut u32,
    ) -> i32;
    fn GetDiskFreeSpaceExW(
        directory: PCWSTR, available: *mut u64, total: *mut u64, free: *mut u64,
    ) -> i32;
}

/// For the volumes of scratches, which are folders in tests.
fn of_scratches() -> Result<Volumes> {
    #[cfg(feature = "doubles")]
    if std::env::var_os("WINLAYER_DOUBLES").is_some() {
        return super::library::Library::load("winlayer_backup.dll").map(Volumes);
    }
    Volumes::load()
}

/// Lets the NTFS volume fill its partition. `volume` is `\\?\Volume{...}\`. Nothing happens when it
/// does already: the call would be refused then (hcsshim `wclayer/expandscratchsize.go`).
pub(super) fn grow(volume: &str) -> Result<()> {
    let name = volume.trim_end_matches('\\');
    let path = Path::new(name);
    // A device has no trailing separator, its root directory has one.
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if cfg!(feature = "doubles") {
        // A folder, in tests.
        options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    }
    let device = options.open(path);
    let device = device.map_err(|source| io_error("CreateFileW", path, &source))?;

    let volumes = of_scratches()?;
    let mut partition = 0i64;
    let (no_input, bytes) = (ptr::null(), size_of::<i64>());
    control(
        "IOCTL_DISK_GET_LENGTH_INFO",
        IOCTL_DISK_GET_LENGTH_INFO,
        (&volumes, &device, path),
        (no_input, 0),
        ((&raw mut partition).cast(), bytes),
    )?;
    let partition = partition.cast_unsigned();

    let root = format!(r"{name}\");
    let units = Units::of(&volumes, &root)?;
    let held = space_by(&volumes, &root)?.1 / units.cluster();
    let wanted = partition / units.cluster();
    // NTFS keeps one cluster for itself.
    if held.saturating_add(1) >= wanted {
        return Ok(());
    }
    let sectors = wanted.saturating_mul(units.sectors_per_cluster.into());
    control(
        "FSCTL_EXTEND_VOLUME",
        FSCTL_EXTEND_VOLUME,
        (&volumes, &device, path),
        ((&raw const sectors).cast(), size_of::<u64>()),
        (ptr::null_mut(), 0),
    )
}

fn control(
    call: &'static str,
    code: u32,
    (volumes, device, path): (&Volumes, &File, &Path),
    (input, input_bytes): (*const c_void, usize),
    (output, output_bytes): (*mut c_void, usize),
) -> Result<()> {
    let device_io_control = volumes.DeviceIoControl()?;
    let mut returned = 0;
    // SAFETY: the handle is open; the buffers are as long as said, or null with length 0; the call is
    // not asynchronous.
    let done = unsafe {
        device_io_control(
            device.as_raw_handle(),
            code,
            input,
            input_bytes as u32,
            output,
            output_bytes as u32,
            &mut returned,
            ptr::null(),
        )
    };
    if done == 0 {
        return Err(last_error(call, path));
    }
    Ok(())
}

/// What a volume counts in: 512 and 8 on the disks the platform makes.
struct Units {
    bytes_per_sector: u32,
    sectors_per_cluster: u32,
}

impl Units {
    fn of(volumes: &Volumes, root: &str) -> Result<Self> {
        let get = volumes.GetDiskFreeSpaceW()?;
        let wide_root = wide(root);
        let (mut sectors, mut bytes, mut free, mut all) = (0, 0, 0, 0);
        // SAFETY: the string ends with a NUL and outlives the call; the numbers are ours to write.
        let done = unsafe {
            get(
                wide_root.as_ptr(),
                &mut sectors,
                &mut bytes,
                &mut free,
                &mut all,
            )
        };
        if done == 0 {
            return Err(last_error("GetDiskFreeSpaceW", Path::new(root)));
        }
        Ok(Self {
            bytes_per_sector: bytes,
            sectors_per_cluster: sectors,
        })
    }

    /// Bytes of a cluster, not 0.
    fn cluster(&self) -> u64 {
        let cluster = u64::from(self.bytes_per_sector) * u64::from(self.sectors_per_cluster);
        cluster.max(1)
    }
}

/// Bytes the user may still write on the volume of a directory, and in all.
pub(super) fn space(directory: &str) -> Result<(u64, u64)> {
    space_by(&Volumes::load()?, directory)
}

fn space_by(volumes: &Volumes, directory: &str) -> Result<(u64, u64)> {
    let get = volumes.GetDiskFreeSpaceExW()?;
    let wide_path = wide(directory);
    let (mut available, mut total) = (0, 0);
    // SAFETY: the string ends with a NUL and outlives the call; the numbers are ours to write.
    let done = unsafe {
        get(
            wide_path.as_ptr(),
            &mut available,
            &mut total,
            ptr::null_mut(),
        )
    };
    if done == 0 {
        return Err(last_error("GetDiskFreeSpaceExW", Path::new(directory)));
    }
    Ok((available, total))
}

/// `SID` with two subauthorities (MS-DTYP 2.4.2.2).
#[repr(C)]
struct Sid {
    revision: u8,       // @0: 1
    count: u8,          // @1
    authority: [u8; 6], // @2: big-endian
    parts: [u32; 2],    // @8
}

const _: () = assert!(size_of::<Sid>() == 16);

/// `NT VIRTUAL MACHINE\Virtual Machines`, S-1-5-83-0.
static VIRTUAL_MACHINES: Sid = Sid {
    revision: 1,
    count: 2,
    authority: [0, 0, 0, 0, 0, 5],
    parts: [83, 0],
};

/// Frees what the system allocated with `LocalAlloc`.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: null, or memory of LocalAlloc that is ours and not used after.
        unsafe { LocalFree(self.0) };
    }
}

/// Lets every virtual machine read `file` (go-winio `pkg/security` `GrantVmGroupAccess`).
pub(super) fn grant_vm_group_access(file: &Path) -> Result<()> {
    let path = verbatim(file)?;
    let opened = OpenOptions::new()
        .access_mode(READ_CONTROL | WRITE_DAC)
        .open(&path);
    let opened = opened.map_err(|source| io_error("CreateFileW", &path, &source))?;

    let mut old: *mut ACL = ptr::null_mut();
    let mut descriptor: PSECURITY_DESCRIPTOR = ptr::null_mut();
    // SAFETY: the handle is open, and the pointers are ours to write.
    let code = unsafe {
        GetSecurityInfo(
            opened.as_raw_handle(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            ptr::null_mut(),
            ptr::null_mut(),
            &mut old,
            ptr::null_mut(),
            &mut descriptor,
        )
    };
    check_win32("GetSecurityInfo", &path, code)?;
    // `old` points into it.
    let _descriptor = Local(descriptor);

    let sid: PSID = (&raw const VIRTUAL_MACHINES).cast_mut().cast();
    let entry = EXPLICIT_ACCESS_W {
        grfAccessPermissions: GENERIC_READ,
        grfAccessMode: GRANT_ACCESS,
        grfInheritance: NO_INHERITANCE,
        Trustee: TRUSTEE_W {
            pMultipleTrustee: ptr::null_mut(),
            MultipleTrusteeOperation: NO_MULTIPLE_TRUSTEE,
            TrusteeForm: TRUSTEE_IS_SID,
            TrusteeType: TRUSTEE_IS_WELL_KNOWN_GROUP,
            ptstrName: sid.cast(),
        },
    };
    let mut new: *mut ACL = ptr::null_mut();
    // SAFETY: one entry, whose SID is a constant; the old list lives as long as its descriptor.
    let code = unsafe { SetEntriesInAclW(1, &entry, old, &mut new) };
    check_win32("SetEntriesInAclW", &path, code)?;
    let new = Local(new.cast());

    // SAFETY: the handle is open and the list is the one just made.
    let code = unsafe {
        SetSecurityInfo(
            opened.as_raw_handle(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            ptr::null_mut(),
            ptr::null_mut(),
            new.0.cast(),
            ptr::null(),
        )
    };
    check_win32("SetSecurityInfo", &path, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stays_readable_when_virtual_machines_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("blank.vhdx");
        std::fs::write(&file, b"disk").unwrap();
        grant_vm_group_access(&file).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"disk");
        let missing = grant_vm_group_access(&folder.path().join("no")).unwrap_err();
        assert_eq!(missing.win32(), Some(2));
    }

    #[test]
    fn a_volume_that_is_not_there_is_named() {
        let name = r"\\?\Volume{00000000-0000-0000-0000-000000000000}\";
        let error = grow(name).unwrap_err();
        assert_eq!(error.path(), Path::new(name.trim_end_matches('\\')));
    }

    #[test]
    fn units_of_a_volume_are_not_zero() {
        let units = Units::of(&Volumes::load().unwrap(), r"C:\").unwrap();
        assert!(units.cluster() >= 512);
        let (available, total) = space(r"C:\").unwrap();
        assert!(available <= total && total > 0);
    }
}
