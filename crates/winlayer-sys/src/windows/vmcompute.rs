//! vmcompute.dll: the layer calls of container engines.

use std::{ffi::c_void, mem::offset_of, path::Path, ptr};

use windows_sys::core::{GUID, HRESULT, PCWSTR, PWSTR};

use super::{
    library::{check_hresult, functions_of},
    text::{plain_if_short, wide},
};
use crate::{LayerGuid, ParentLayer, PlatformError};

type Result<T> = std::result::Result<T, PlatformError>;

/// `WC_DRIVER_INFO` (hcsshim `layerutils.go` `driverInfo`).
#[repr(C)]
pub(super) struct DriverInfo {
    kind: u32,    // @0: 1, the filter driver
    padding: u32, // @4: 0, for some callers' `kind` has 8 bytes
    home: PCWSTR, // @8: an empty string, never NULL; layers are named by their whole path then
}

/// `WC_LAYER_DESCRIPTOR` (hcsshim `layerutils.go` `WC_LAYER_DESCRIPTOR`).
#[repr(C)]
pub(super) struct LayerDescriptor {
    id: GUID,     // @0
    flags: u32,   // @16: 0
    padding: u32, // @20
    path: PCWSTR, // @24
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<DriverInfo>() == 16);
    assert!(offset_of!(DriverInfo, kind) == 0);
    assert!(offset_of!(DriverInfo, padding) == 4);
    assert!(offset_of!(DriverInfo, home) == 8);
    assert!(size_of::<LayerDescriptor>() == 32);
    assert!(offset_of!(LayerDescriptor, id) == 0);
    assert!(offset_of!(LayerDescriptor, flags) == 16);
    assert!(offset_of!(LayerDescriptor, path) == 24);
    assert!(size_of::<GUID>() == 16);
};

type Info = *const DriverInfo;
type Descriptors = *const LayerDescriptor;

functions_of! {
    /// vmcompute.dll. `id` is the path of a layer's folder; lists of descriptors are NULL when empty.
    VmCompute = "vmcompute.dll";
    fn ActivateLayer(info: Info, id: PCWSTR) -> HRESULT;
    fn DeactivateLayer(info: Info, id: PCWSTR) -> HRESULT;
    fn PrepareLayer(info: Info, id: PCWSTR, parents: Descriptors, count: u32) -> HRESULT;
    fn UnprepareLayer(info: Info, id: PCWSTR) -> HRESULT;
    fn GetLayerMountPath(info: Info, id: PCWSTR, length: *mut usize, path: PWSTR) -> HRESULT;
    fn CreateSandboxLayer(
        info: Info, id: PCWSTR, parent: usize, parents: Descriptors, count: u32,
    ) -> HRESULT;
    fn ExpandSandboxSize(info: Info, id: PCWSTR, bytes: u64) -> HRESULT;
    fn DestroyLayer(info: Info, id: PCWSTR) -> HRESULT;
    fn ExportLayer(
        info: Info, id: PCWSTR, folder: PCWSTR, parents: Descriptors, count: u32,
    ) -> HRESULT;
    fn ImportLayer(
        info: Info, id: PCWSTR, folder: PCWSTR, parents: Descriptors, count: u32,
    ) -> HRESULT;
    fn LayerExists(info: Info, id: PCWSTR, exists: *mut u32) -> HRESULT;
    fn NameToGuid(name: PCWSTR, guid: *mut GUID) -> HRESULT;
    fn ProcessBaseImage(folder: PCWSTR) -> HRESULT;
    fn ProcessUtilityImage(folder: PCWSTR) -> HRESULT;
    fn GrantVmAccess(vm: PCWSTR, file: PCWSTR) -> HRESULT;
}

static EMPTY: [u16; 1] = [0];

pub(super) fn driver_info() -> DriverInfo {
    DriverInfo {
        kind: 1,
        padding: 0,
        home: EMPTY.as_ptr(),
    }
}

/// Descriptors, and the strings they point to.
pub(super) struct ParentList {
    // The descriptors point into the buffers of these.
    _paths: Vec<Vec<u16>>,
    descriptors: Vec<LayerDescriptor>,
}

impl ParentList {
    /// In the order given: immediate parent first.
    pub(super) fn new(parents: &[ParentLayer]) -> Result<Self> {
        let path = |parent: &ParentLayer| plain_if_short(&parent.path).map(wide);
        let paths = parents.iter().map(path).collect::<Result<Vec<_>>>()?;
        let descriptor = |(parent, path): (&ParentLayer, &Vec<u16>)| LayerDescriptor {
            id: guid_of(parent.id),
            flags: 0,
            padding: 0,
            path: path.as_ptr(),
        };
        let descriptors = parents.iter().zip(&paths).map(descriptor).collect();
        Ok(Self {
            _paths: paths,
            descriptors,
        })
    }

    pub(super) fn pointer(&self) -> *const LayerDescriptor {
        match self.descriptors.as_slice() {
            [] => ptr::null(),
            list => list.as_ptr(),
        }
    }

    pub(super) fn count(&self) -> u32 {
        // A chain has at most some hundred layers.
        u32::try_from(self.descriptors.len()).unwrap_or(u32::MAX)
    }
}

fn guid_of(id: LayerGuid) -> GUID {
    // The first three fields are numbers, which the text shows highest digit first.
    GUID::from_u128(u128::from_be_bytes(id.bytes()))
}

impl VmCompute {
    /// `NameToGuid` of the last component of `folder`.
    pub(super) fn layer_guid(&self, folder: &Path) -> Result<LayerGuid> {
        const CALL: &str = "NameToGuid";
        let name = folder.file_name();
        let invalid = || PlatformError::new(CALL, folder, crate::PlatformCode::Win32(123));
        let name = wide(name.ok_or_else(invalid)?);
        let mut guid = GUID::from_u128(0);
        let name_to_guid = self.NameToGuid()?;
        // SAFETY: the string ends with a NUL and outlives the call; the GUID is ours to write.
        let code = unsafe { name_to_guid(name.as_ptr(), &mut guid) };
        check_hresult(CALL, folder, code)?;
        let GUID {
            data1,
            data2,
            data3,
            data4,
        } = guid;
        let number = u128::from(data1) << 96
            | u128::from(data2) << 80
            | u128::from(data3) << 64
            | u128::from(u64::from_be_bytes(data4));
        Ok(LayerGuid::from_bytes(number.to_be_bytes()))
    }

    /// `GrantVmAccess`.
    pub(super) fn grant_vm_access(&self, vm: &str, file: &Path) -> Result<()> {
        let file = plain_if_short(file)?;
        let (wide_vm, wide_file) = (wide(vm), wide(&file));
        let grant = self.GrantVmAccess()?;
        // SAFETY: the strings end with a NUL and outlive the call.
        let code = unsafe { grant(wide_vm.as_ptr(), wide_file.as_ptr()) };
        check_hresult("GrantVmAccess", &file, code)
    }

    /// A function that takes the driver's description and a layer.
    pub(super) fn on_layer(
        &self,
        call: &'static str,
        function: unsafe extern "system" fn(Info, PCWSTR) -> HRESULT,
        layer: &Path,
    ) -> Result<()> {
        let layer = plain_if_short(layer)?;
        let id = wide(&layer);
        // SAFETY: the description and the string, which ends with a NUL, outlive the call.
        let code = unsafe { function(&driver_info(), id.as_ptr()) };
        check_hresult(call, &layer, code)
    }

    /// Whether every function an import needs is there.
    pub(super) fn check_exports(&self) -> Result<()> {
        for export in Self::EXPORTS {
            let _: ptr::NonNull<c_void> = self.library().function(export)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_null() {
        let list = ParentList::new(&[]).unwrap();
        assert!(list.pointer().is_null());
        assert_eq!(list.count(), 0);
    }

    #[test]
    fn descriptors_keep_the_order_and_the_identifiers() {
        let id: LayerGuid = "1532b584-8431-5b5a-8735-5e1b4fe9c2a9".parse().unwrap();
        let parent = |path: &str| ParentLayer {
            path: path.into(),
            id,
        };
        let list = ParentList::new(&[parent(r"C:\near"), parent(r"\\?\C:\base")]).unwrap();
        assert_eq!(list.count(), 2);
        let guid = &list.descriptors[0].id;
        assert_eq!(
            (guid.data1, guid.data2, guid.data3),
            (0x1532_b584, 0x8431, 0x5b5a)
        );
        assert_eq!(guid.data4, [0x87, 0x35, 0x5e, 0x1b, 0x4f, 0xe9, 0xc2, 0xa9]);
        assert_eq!(list._paths, [wide(r"C:\near"), wide(r"C:\base")]);
        for (descriptor, path) in list.descriptors.iter().zip(&list._paths) {
            assert_eq!(descriptor.path, path.as_ptr());
        }
    }
}
