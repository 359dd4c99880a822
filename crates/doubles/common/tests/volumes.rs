//! The volume of a scratch is asked for its size and grown.
#![cfg(windows)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, which end the test"
)]

mod driver;

use std::fs;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, RawHandle};
use std::ptr;

use driver::*;

#[test]
fn a_volume_grows_into_the_disk_that_was_grown() {
    type Expand = unsafe extern "system" fn(
        *const winlayer_double_common::abi::DriverInfo,
        *const u16,
        u64,
    ) -> u32;
    type Control = unsafe extern "system" fn(
        RawHandle,
        u32,
        *const u64,
        u32,
        *mut u64,
        u32,
        *mut u32,
        *const u8,
    ) -> i32;
    let driver = Driver::new();
    let (base, scratch) = (driver.path("base"), driver.path("scratch"));
    base_layer(&base);
    let finish: OnFolder = export(&driver.doubles, "vmcompute.dll", "ProcessBaseImage");
    // SAFETY: the string lives across the call.
    assert_eq!(unsafe { finish(plain(&base).as_ptr()) }, 0);
    fs::create_dir(&scratch).unwrap();
    fs::copy(base.join("blank.vhdx"), scratch.join("sandbox.vhdx")).unwrap();
    let arguments = Arguments::new(&[]);
    let (info, layer) = (arguments.info(), plain(&scratch));
    let expand: Expand = export(&driver.doubles, "vmcompute.dll", "ExpandSandboxSize");
    let activate: OnLayer = export(&driver.doubles, "vmcompute.dll", "ActivateLayer");
    let path_of: MountPath = export(&driver.doubles, "vmcompute.dll", "GetLayerMountPath");
    let mut path = vec![0; 1000];
    let mut length = path.len();
    // SAFETY: structures, strings and out arguments live across the calls.
    unsafe {
        assert_eq!(expand(&raw const info, layer.as_ptr(), 40 << 30), 0);
        assert_eq!(
            path_of(
                &raw const info,
                layer.as_ptr(),
                &raw mut length,
                ptr::null_mut()
            ),
            0x8007_0015
        );
        driver.doubles.clear();
        assert_eq!(activate(&raw const info, layer.as_ptr()), 0);
        length = path.len();
        assert_eq!(
            path_of(
                &raw const info,
                layer.as_ptr(),
                &raw mut length,
                path.as_mut_ptr()
            ),
            0
        );
    }
    let volume = String::from_utf16(&path[..length - 1]).unwrap();
    let volume = fs::OpenOptions::new()
        .read(true)
        .custom_flags(0x0200_0000)
        .open(volume)
        .unwrap();
    let control: Control = export(&driver.doubles, "winlayer_backup.dll", "DeviceIoControl");
    let (mut bytes, mut returned) = (0_u64, 0);
    let handle = volume.as_raw_handle();
    // SAFETY: buffers and handle live across the calls.
    let mut extend = |sectors: u64| unsafe {
        control(
            handle,
            0x0009_00F0,
            &raw const sectors,
            8,
            ptr::null_mut(),
            0,
            &raw mut returned,
            ptr::null(),
        )
    };
    assert_eq!(
        extend((40 << 30) / 512),
        1,
        "{:#?}",
        driver.doubles.violations()
    );
    driver.doubles.assert_clean();
    assert_eq!(extend((40 << 30) / 512), 0, "nothing left to grow");
    // SAFETY: as above.
    let asked = unsafe {
        control(
            handle,
            0x0007_405C,
            ptr::null(),
            0,
            &raw mut bytes,
            8,
            &raw mut returned,
            ptr::null(),
        )
    };
    assert_eq!((asked, bytes, returned), (1, 40 << 30, 8));
}
