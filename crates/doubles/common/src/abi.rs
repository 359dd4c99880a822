//! The structures of vmcompute.dll and virtdisk.dll, as hcsshim's `wclayer.go` and go-winio's `vhd.go` pass them.

use std::mem::{offset_of, size_of};

use crate::guid::Guid;

/// `WC_DRIVER_INFO`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DriverInfo {
    /// 1: the filter driver.
    pub kind: u32,
    /// 0.
    pub pad: u32,
    /// Points to an empty string, never null.
    pub home: *const u16,
}

/// `WC_LAYER_DESCRIPTOR`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LayerDescriptor {
    /// NameToGuid of the last component of `path`.
    pub id: Guid,
    /// 0.
    pub flags: u32,
    /// 0.
    pub pad: u32,
    /// The layer's folder.
    pub path: *const u16,
}

/// `VIRTUAL_STORAGE_TYPE`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageType {
    /// 0: by the file's extension; 3: VHDX.
    pub device: u32,
    /// Zero, or Microsoft's.
    pub vendor: Guid,
}

/// `CREATE_VIRTUAL_DISK_PARAMETERS`, version 2.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CreateParameters {
    /// 2.
    pub version: u32,
    /// The rest is a union aligned to 8.
    pub pad: u32,
    /// Zero: chosen by Windows.
    pub unique_id: Guid,
    /// Bytes; 0 for a differencing disk.
    pub maximum_size: u64,
    /// Bytes.
    pub block_size: u32,
    /// 0: the default.
    pub sector_size: u32,
    /// 0: the default.
    pub physical_sector_size: u32,
    /// The disk this one differs from, or null.
    pub parent: *const u16,
    /// Null.
    pub source: *const u16,
    /// Flags for opening the parent.
    pub open_flags: u32,
    /// Of the parent.
    pub parent_type: StorageType,
    /// Of the source.
    pub source_type: StorageType,
    /// Zero.
    pub resiliency: Guid,
}

/// `OPEN_VIRTUAL_DISK_PARAMETERS`, version 2.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OpenParameters {
    /// 2.
    pub version: u32,
    /// `BOOL`.
    pub get_info_only: u32,
    /// `BOOL`.
    pub read_only: u32,
    /// Zero.
    pub resiliency: Guid,
}

/// `ATTACH_VIRTUAL_DISK_PARAMETERS`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AttachParameters {
    /// 1, or 2 where the build has it.
    pub version: u32,
    /// 0.
    pub restricted_offset: u64,
    /// 0.
    pub restricted_length: u64,
}

const _: () = {
    assert!(size_of::<Guid>() == 16);
    assert!(size_of::<DriverInfo>() == 16 && offset_of!(DriverInfo, home) == 8);
    assert!(size_of::<LayerDescriptor>() == 32);
    assert!(offset_of!(LayerDescriptor, flags) == 16 && offset_of!(LayerDescriptor, path) == 24);
    assert!(size_of::<StorageType>() == 20);
    assert!(size_of::<CreateParameters>() == 128);
    assert!(offset_of!(CreateParameters, unique_id) == 8);
    assert!(offset_of!(CreateParameters, maximum_size) == 24);
    assert!(
        offset_of!(CreateParameters, parent) == 48 && offset_of!(CreateParameters, source) == 56
    );
    assert!(offset_of!(CreateParameters, parent_type) == 68);
    assert!(offset_of!(CreateParameters, resiliency) == 108);
    assert!(size_of::<OpenParameters>() == 28);
    assert!(offset_of!(AttachParameters, restricted_length) == 16);
};
