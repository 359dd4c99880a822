//! What the codes mean. Sources: Microsoft's `HCSHResult.md` (Virtualization-Documentation), MS-ERREF,
//! and what hcsshim, containerd and moby do when they meet them.

/// A code, whichever convention it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Win32(u32),
    /// The low half of an `HCS_E_` code.
    HostCompute(u32),
}

/// What `key` means when one of `calls` returns it; an empty list is any call.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) calls: &'static [&'static str],
    pub(super) meaning: &'static str,
    pub(super) remedy: Option<&'static str>,
}

pub(super) fn find(call: &str, key: Key) -> Option<&'static Row> {
    let mut rows = ROWS.iter().filter(|row| row.key == key);
    rows.find(|row| row.calls.is_empty() || row.calls.contains(&call))
}

/// What brings the DLL of `name` (`dll` or `dll!export`) to a Windows without it.
pub(super) fn remedy_without(name: &str) -> Option<&'static str> {
    let (dll, export) = match name.split_once('!') {
        Some((dll, export)) => (dll, Some(export)),
        None => (name, None),
    };
    let row = MISSING
        .iter()
        .find(|row| row.dll.eq_ignore_ascii_case(dll))?;
    Some(match export {
        None => row.without_dll,
        Some(_) => row.without_export,
    })
}

struct Missing {
    dll: &'static str,
    without_dll: &'static str,
    without_export: &'static str,
}

const MISSING: &[Missing] = &[
    Missing {
        dll: "vmcompute.dll",
        without_dll: "install the Windows feature Containers (Server: `Install-WindowsFeature Containers`; \
                      Windows 10 and 11: `Enable-WindowsOptionalFeature -Online -FeatureName Containers`) or Hyper-V, \
                      and restart; Windows 10 1607 or Server 2016 and later have it, Home editions do not",
        without_export: "this Windows is older than Windows 10 1607 or Server 2016: update it",
    },
    Missing {
        dll: "computestorage.dll",
        without_dll: "install the Windows feature Containers or Hyper-V; this library comes with Windows 10 1809 and Server 2019: \
                      on older systems use the vmcompute family",
        without_export: "this function comes with a later Windows: update it, or use the vmcompute family",
    },
    Missing {
        dll: "virtdisk.dll",
        without_dll: "virtual disks are not supported on this edition of Windows (Nano Server without the Storage package)",
        without_export: "this Windows is older than Windows 8 or Server 2012: update it",
    },
    Missing {
        dll: "fltlib.dll",
        without_dll: "the filter manager is missing on this edition of Windows",
        without_export: "the filter manager of this Windows is too old",
    },
    Missing {
        dll: "winlayer_backup.dll",
        without_dll: "this program was built for its tests: set WINLAYER_DOUBLES to the folder of the test libraries",
        without_export: "the test library does not fit this program: build both from the same sources",
    },
];

const PROCESS: &[&str] = &[
    "ProcessBaseImage",
    "ProcessUtilityImage",
    "HcsSetupBaseOSLayer",
    "HcsSetupBaseOSVolume",
];
const IMPORT: &[&str] = &["ImportLayer", "HcsImportLayer"];
const WITH_PARENTS: &[&str] = &[
    "ImportLayer",
    "HcsImportLayer",
    "ExportLayer",
    "HcsExportLayer",
    "CreateSandboxLayer",
    "HcsInitializeWritableLayer",
    "PrepareLayer",
    "HcsAttachLayerStorageFilter",
];
const MOUNT: &[&str] = &[
    "ActivateLayer",
    "PrepareLayer",
    "HcsAttachLayerStorageFilter",
];
const PRIVILEGES: &[&str] = &["AdjustTokenPrivileges", "LookupPrivilegeValueW"];

macro_rules! rows {
    ($( $kind:ident $code:literal $calls:expr => $meaning:literal $(, $remedy:literal)? ; )*) => {
        &[$( Row {
            key: Key::$kind($code),
            calls: $calls,
            meaning: $meaning,
            remedy: rows!(@ $($remedy)?),
        } ),*]
    };
    (@ $remedy:literal) => { Some($remedy) };
    (@) => { None };
}

/// The first row that fits counts: rows for certain calls stand before those for any.
const ROWS: &[Row] = rows! {
    Win32 1 MOUNT => "a file-system filter driver that container layers do not work with is in the way (ERROR_INVALID_FUNCTION)",
        "uninstall or stop cloud drives and virtual drives built on CBFS (`fltmc filters` lists the drivers), then try again";
    Win32 1 &[] => "the device or file system does not know this function (ERROR_INVALID_FUNCTION)";
    Win32 2 IMPORT => "the layer lacks a directory entry or its description (ERROR_FILE_NOT_FOUND)",
        "the layer's tar leaves out a directory it uses: unpack it again from the image, or report the image";
    Win32 2 PROCESS => "a file every base layer must have is missing (ERROR_FILE_NOT_FOUND)",
        "Files\\Windows\\System32\\config must hold DEFAULT, SAM, SECURITY, SOFTWARE and SYSTEM, \
         and a utility VM Files\\EFI\\Microsoft\\Boot\\BCD: check that the image is complete";
    Win32 2 &[] => "the file does not exist (ERROR_FILE_NOT_FOUND)";
    Win32 3 PROCESS => "a folder every base layer must have is missing, or the Containers feature is (ERROR_PATH_NOT_FOUND)",
        "install the Windows feature Containers, check that the image holds Files\\Windows\\System32\\config, \
         and that no antivirus removed files";
    Win32 3 WITH_PARENTS => "a parent layer is not where it was finished, or the path is too long (ERROR_PATH_NOT_FOUND)",
        "do not move or rename layer folders; use a short store folder; unpack the image again if a parent is gone";
    Win32 3 &[] => "the folder does not exist (ERROR_PATH_NOT_FOUND)";
    Win32 5 PROCESS => "access denied: the process lacks the backup, restore or security privilege (ERROR_ACCESS_DENIED)",
        "run as administrator";
    Win32 5 MOUNT => "access denied (ERROR_ACCESS_DENIED)",
        "run as administrator; if the layer was in use, unmount it first";
    Win32 5 &["GrantVmAccess"] => "access denied: the file's permissions may not be changed (ERROR_ACCESS_DENIED)",
        "run as administrator and check who owns the file";
    Win32 5 &[] => "access denied (ERROR_ACCESS_DENIED)",
        "run as administrator; a running virtual machine needs access to the file of its own (`GrantVmAccess`)";
    Win32 13 &["BackupWrite"] => "the backup stream is malformed (ERROR_INVALID_DATA)",
        "the layer's metadata is damaged: fetch the layer again";
    Win32 13 &[] => "the data is malformed (ERROR_INVALID_DATA)";
    Win32 19 &[] => "the volume is write-protected (ERROR_WRITE_PROTECT)", "choose a folder on a volume that may be written to";
    Win32 21 &[] => "the volume of the scratch is not ready (ERROR_NOT_READY)",
        "it did not arrive in time: try again when the machine is less busy";
    Win32 32 &["AttachVirtualDisk", "OpenVirtualDisk", "DetachVirtualDisk"] =>
        "the virtual disk is still mounted or in use by a virtual machine (ERROR_SHARING_VIOLATION)",
        "unmount the scratch (`winlayer layer unmount`) or stop what uses it";
    Win32 32 &[] => "another process has the file open (ERROR_SHARING_VIOLATION)",
        "close what uses it; antivirus exclusions for the store help";
    Win32 39 &[] => "the volume is full (ERROR_HANDLE_DISK_FULL)", "free some space on that volume and run again";
    Win32 50 &["BackupRead", "BackupWrite"] => "the file system does not keep backup streams (ERROR_NOT_SUPPORTED)",
        "choose a folder on an NTFS volume";
    Win32 50 &[] => "not supported on this build of Windows or on this file system (ERROR_NOT_SUPPORTED)",
        "choose a folder on an NTFS volume; `winlayer doctor` tells what this Windows lacks";
    Win32 87 &["HcsFormatWritableLayerVhd"] => "the disk is formatted already, or the handle is not of the kind this build wants (ERROR_INVALID_PARAMETER)",
        "delete the disk and make it anew";
    Win32 87 &["FSCTL_EXTEND_VOLUME"] => "the volume cannot grow (ERROR_INVALID_PARAMETER)",
        "the disk has no space left behind the volume: it was expanded already";
    Win32 87 &["AttachVirtualDisk", "DetachVirtualDisk"] => "this build does not know an option of the call (ERROR_INVALID_PARAMETER)",
        "Windows Server 2019 has this defect: deactivate the layer and try again";
    Win32 87 &[] => "an argument was refused (ERROR_INVALID_PARAMETER)";
    Win32 111 &[] => "the path is too long (ERROR_BUFFER_OVERFLOW)", "use a shorter store folder";
    Win32 112 &[] => "the volume is full (ERROR_DISK_FULL)", "free some space on that volume and run again";
    Win32 120 &[] => "this system has the function in name only (ERROR_CALL_NOT_IMPLEMENTED)",
        "run on Windows itself, not on a stand-in for it";
    Win32 123 &[] => "the name is not valid (ERROR_INVALID_NAME)", "use ordinary characters in the path";
    Win32 126 &[] => "the library is not on this system (ERROR_MOD_NOT_FOUND)";
    Win32 127 &[] => "the library of this system lacks the function (ERROR_PROC_NOT_FOUND)";
    Win32 145 &[] => "the folder is not empty (ERROR_DIR_NOT_EMPTY)";
    Win32 183 &[] => "it exists already (ERROR_ALREADY_EXISTS)", "use a fresh folder, or delete what is there";
    Win32 80 &[] => "the file exists already (ERROR_FILE_EXISTS)", "use a fresh folder, or delete what is there";
    Win32 193 &[] => "the library is made for another processor (ERROR_BAD_EXE_FORMAT)",
        "use the build of this program for this machine's processor";
    Win32 1006 &[] => "the volume was removed while the file was open (ERROR_FILE_INVALID)", "attach the disk again and run again";
    Win32 1155 &[] => "no program of this system handles the file (ERROR_NO_ASSOCIATION)";
    Win32 1167 &[] => "the disk of the scratch was not connected in time (ERROR_DEVICE_NOT_CONNECTED)",
        "it did not arrive in time: try again when the machine is less busy";
    Win32 1168 &["GetLayerMountPath", "HcsGetLayerVhdMountPath"] => "the layer is not mounted (ERROR_NOT_FOUND)",
        "mount it first (`winlayer layer mount`)";
    Win32 1168 &[] => "not found (ERROR_NOT_FOUND)";
    Win32 1300 PRIVILEGES => "the account does not hold the privilege (ERROR_NOT_ALL_ASSIGNED)",
        "run as administrator (an elevated prompt)";
    Win32 1300 &[] => "the account does not hold every privilege asked for (ERROR_NOT_ALL_ASSIGNED)",
        "run as administrator (an elevated prompt)";
    Win32 1313 &[] => "this system does not know the privilege (ERROR_NO_SUCH_PRIVILEGE)";
    Win32 1314 &[] => "the account lacks a privilege the call needs (ERROR_PRIVILEGE_NOT_HELD)",
        "run as administrator (an elevated prompt)";
    Win32 1392 &[] => "the file system is damaged there (ERROR_FILE_CORRUPT)", "run `chkdsk` on the volume";
    Win32 4390 &[] => "not a link (ERROR_NOT_A_REPARSE_POINT)";
    Win32 4395 &[] => "a link or junction stands in the way (ERROR_REPARSE_POINT_ENCOUNTERED)",
        "a link must not stand there; nothing was followed";
    HostCompute 0x100 &[] => "it ended while it was being started (HCS_E_TERMINATED_DURING_START)";
    HostCompute 0x101 &[] => "the image was made for another build of Windows than this host (HCS_E_IMAGE_MISMATCH)",
        "use an image of the host's build, or Hyper-V isolation";
    HostCompute 0x102 &[] => "Hyper-V is not installed (HCS_E_HYPERV_NOT_INSTALLED)",
        "install the Windows feature Hyper-V, and switch on virtualisation in the firmware";
    HostCompute 0x105 &[] => "not possible in the state it is in (HCS_E_INVALID_STATE)";
    HostCompute 0x106 &[] => "it ended unexpectedly (HCS_E_UNEXPECTED_EXIT)", "the event log of Hyper-V-Compute tells why";
    HostCompute 0x107 &[] => "it was terminated (HCS_E_TERMINATED)";
    HostCompute 0x108 &[] => "the guest could not be reached (HCS_E_CONNECT_FAILED)";
    HostCompute 0x109 &[] => "the guest did not answer in time (HCS_E_CONNECTION_TIMEOUT)";
    HostCompute 0x10a &[] => "the guest closed the connection (HCS_E_CONNECTION_CLOSED)";
    HostCompute 0x10b &[] => "the guest does not know the message (HCS_E_UNKNOWN_MESSAGE)";
    HostCompute 0x10c &[] => "the guest speaks another version of the protocol (HCS_E_UNSUPPORTED_PROTOCOL_VERSION)",
        "use an image that is not newer than the host";
    HostCompute 0x10d &[] => "the JSON document was refused, its schema may be too new for this build (HCS_E_INVALID_JSON)",
        "update Windows";
    HostCompute 0x10e &[] => "there is no such container or virtual machine (HCS_E_SYSTEM_NOT_FOUND)";
    HostCompute 0x10f &[] => "it exists already (HCS_E_SYSTEM_ALREADY_EXISTS)";
    HostCompute 0x110 &[] => "it has stopped already (HCS_E_SYSTEM_ALREADY_STOPPED)";
    HostCompute 0x111 &[] => "the guest broke the protocol (HCS_E_PROTOCOL_ERROR)";
    HostCompute 0x112 &[] => "the layer's format is not recognised (HCS_E_INVALID_LAYER)",
        "the layer is unfinished or damaged: delete it and unpack it again";
    HostCompute 0x113 &[] => "this needs a Windows of the Insider programme (HCS_E_WINDOWS_INSIDER_REQUIRED)";
    HostCompute 0x114 &[] => "the Host Compute Service is not available (HCS_E_SERVICE_NOT_AVAILABLE)",
        "install the Windows feature Containers or Hyper-V and see that the service vmcompute runs";
    HostCompute 0x115 &[] => "the operation was not started (HCS_E_OPERATION_NOT_STARTED)";
    HostCompute 0x116 &[] => "the operation was started already (HCS_E_OPERATION_ALREADY_STARTED)";
    HostCompute 0x103 &[] => "the operation goes on in the background (HCS_E_OPERATION_PENDING)";
    HostCompute 0x117 &[] => "the operation goes on in the background (HCS_E_OPERATION_PENDING)";
    HostCompute 0x118 &[] => "the operation took too long (HCS_E_OPERATION_TIMEOUT)", "try again when the machine is less busy";
    HostCompute 0x119 &[] => "a callback is set already (HCS_E_OPERATION_SYSTEM_CALLBACK_ALREADY_SET)";
    HostCompute 0x11a &[] => "no memory for the result (HCS_E_OPERATION_RESULT_ALLOCATION_FAILED)";
    HostCompute 0x11b &[] => "access denied by the Host Compute Service (HCS_E_ACCESS_DENIED)",
        "run as administrator, or join the group Hyper-V Administrators";
    HostCompute 0x11c &[] => "the guest failed (HCS_E_GUEST_CRITICAL_ERROR)";
    HostCompute 0x11d &[] => "nothing is known of the process (HCS_E_PROCESS_INFO_NOT_AVAILABLE)";
    HostCompute 0x11e &[] => "the Host Compute Service went away (HCS_E_SERVICE_DISCONNECT)", "restart the service vmcompute";
    HostCompute 0x11f &[] => "the process has stopped already (HCS_E_PROCESS_ALREADY_STOPPED)";
};

/// The Win32 equivalent of the statuses file calls return (as `RtlNtStatusToDosError` maps them).
pub(super) fn win32_of_status(status: u32) -> Option<u32> {
    let known = STATUSES.iter().find(|(nt, _)| *nt == status);
    known.map(|(_, win32)| *win32).or_else(|| of_system(status))
}

#[cfg(windows)]
fn of_system(status: u32) -> Option<u32> {
    crate::windows::win32_of_status(status)
}

#[cfg(not(windows))]
fn of_system(_status: u32) -> Option<u32> {
    None
}

/// MS-ERREF 2.3 and 2.2.
const STATUSES: &[(u32, u32)] = &[
    (0xc000_0002, 1),    // NOT_IMPLEMENTED
    (0xc000_0008, 6),    // INVALID_HANDLE
    (0xc000_000d, 87),   // INVALID_PARAMETER
    (0xc000_000f, 2),    // NO_SUCH_FILE
    (0xc000_0010, 1),    // INVALID_DEVICE_REQUEST
    (0xc000_0022, 5),    // ACCESS_DENIED
    (0xc000_0033, 123),  // OBJECT_NAME_INVALID
    (0xc000_0034, 2),    // OBJECT_NAME_NOT_FOUND
    (0xc000_0035, 183),  // OBJECT_NAME_COLLISION
    (0xc000_003a, 3),    // OBJECT_PATH_NOT_FOUND
    (0xc000_0043, 32),   // SHARING_VIOLATION
    (0xc000_0061, 1314), // PRIVILEGE_NOT_HELD
    (0xc000_007f, 112),  // DISK_FULL
    (0xc000_00a2, 19),   // MEDIA_WRITE_PROTECTED
    (0xc000_00ba, 5),    // FILE_IS_A_DIRECTORY
    (0xc000_00bb, 50),   // NOT_SUPPORTED
    (0xc000_0101, 145),  // DIRECTORY_NOT_EMPTY
    (0xc000_0102, 1392), // FILE_CORRUPT_ERROR
    (0xc000_0103, 267),  // NOT_A_DIRECTORY
    (0xc000_0121, 5),    // CANNOT_DELETE
    (0xc000_0275, 4390), // NOT_A_REPARSE_POINT
    (0xc000_050b, 4395), // REPARSE_POINT_ENCOUNTERED
];

/// Every row, for the tests.
#[cfg(test)]
pub(super) fn rows() -> &'static [Row] {
    ROWS
}
