//! The doubles of computestorage.dll and virtdisk.dll: documents, disks and their handles.
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
use std::os::windows::io::RawHandle;
use std::path::Path;
use std::ptr;

use driver::*;
use windows_sys::Win32::Foundation::{CloseHandle, LocalFree};
use winlayer_double_common::abi::{AttachParameters, CreateParameters, StorageType};
use winlayer_double_common::guid::{Guid, name_to_guid};

type Import = unsafe extern "system" fn(*const u16, *const u16, *const u16) -> u32;
type Setup = unsafe extern "system" fn(*const u16, RawHandle, *const u16) -> u32;
type OnHandle = unsafe extern "system" fn(RawHandle) -> u32;
type MountPathOf = unsafe extern "system" fn(RawHandle, *mut *mut u16) -> u32;
type OnVolume = unsafe extern "system" fn(*const u16, *const u16) -> u32;
type Create = unsafe extern "system" fn(
    *const StorageType,
    *const u16,
    u32,
    *const u8,
    u32,
    u32,
    *const CreateParameters,
    *const u8,
    *mut RawHandle,
) -> u32;
type Attach = unsafe extern "system" fn(
    RawHandle,
    *const u8,
    u32,
    u32,
    *const AttachParameters,
    *const u8,
) -> u32;

fn layer_data(parents: &[&Path]) -> String {
    let layer = |path: &&Path| {
        let id = name_to_guid(&path.file_name().unwrap().to_string_lossy());
        format!(
            r#"{{"Id":"{id}","Path":"{}"}}"#,
            path.display().to_string().replace('\\', r"\\")
        )
    };
    let layers: Vec<String> = parents.iter().map(layer).collect();
    format!(
        r#"{{"SchemaVersion":{{"Major":2,"Minor":1}},"Layers":[{}]}}"#,
        layers.join(",")
    )
}

fn parameters(parent: *const u16, bytes: u64) -> CreateParameters {
    CreateParameters {
        version: 2,
        pad: 0,
        unique_id: Guid::default(),
        maximum_size: bytes,
        block_size: 1 << 20,
        sector_size: 0,
        physical_sector_size: 0,
        parent,
        source: ptr::null(),
        open_flags: if parent.is_null() { 0 } else { 8 },
        parent_type: StorageType::default(),
        source_type: StorageType::default(),
        resiliency: Guid::default(),
    }
}

fn create(driver: &Driver, path: &Path, parameters: &CreateParameters) -> Result<RawHandle, u32> {
    let call: Create = export(&driver.doubles, "virtdisk.dll", "CreateVirtualDisk");
    let kind = StorageType {
        device: 3,
        vendor: Guid::default(),
    };
    let mut handle = ptr::null_mut();
    let path = plain(path);
    // SAFETY: structures, strings and out arguments live across the call.
    let code = unsafe {
        call(
            &raw const kind,
            path.as_ptr(),
            0,
            ptr::null(),
            0,
            0,
            parameters,
            ptr::null(),
            &raw mut handle,
        )
    };
    if code == 0 { Ok(handle) } else { Err(code) }
}

fn close(handle: RawHandle) {
    // SAFETY: a handle of ours, closed once.
    unsafe { CloseHandle(handle) };
}

#[test]
fn layer_data_is_read_strictly() {
    let driver = Driver::new();
    let (base, layer, staged) = (
        driver.path("base"),
        driver.path("layer"),
        driver.path("staged"),
    );
    base_layer(&base);
    staging(&staged);
    let import: Import = export(&driver.doubles, "computestorage.dll", "HcsImportLayer");
    // SAFETY: the strings live across the call.
    let with = |data: &str| unsafe {
        import(
            plain(&layer).as_ptr(),
            plain(&staged).as_ptr(),
            wide(data).as_ptr(),
        )
    };
    let right = layer_data(&[&base]);
    for (found, replaced, text) in [
        ("SchemaVersion", "Schema", "unknown field"),
        ("\"Minor\":1", "\"Minor\":9", "schema version"),
        ("\"Major\":2,", "", "missing field"),
        ("\"Path\"", "\"path\"", "unknown field"),
        ("]}", "],\"FilterType\":\"UnionFS\"}", "WCIFS"),
        ("\"Id\":\"", "\"Id\":\"{", "the id of layer 0"),
    ] {
        let data = right.replacen(found, replaced, 1);
        assert_ne!(data, right);
        assert_eq!(with(&data), 0x8037_010D, "{data}");
        let violations = driver.doubles.violations();
        assert!(
            violations.iter().any(|violation| violation.contains(text)),
            "{text}: {violations:#?}"
        );
        driver.doubles.clear();
    }
    assert_eq!(with(&layer_data(&[])), 0x8037_010D);
    let other = right.replace(
        &name_to_guid("base").to_string(),
        &name_to_guid("other").to_string(),
    );
    assert_eq!(with(&other), 0x8007_0003);
    driver.doubles.clear();
    assert_eq!(with(&right), 0, "{:#?}", driver.doubles.violations());
    assert!(layer.join(r"Files\Windows\new.txt").exists());
    driver.doubles.assert_clean();
}

#[test]
fn a_base_layer_is_set_up_with_disks_of_the_callers_making() {
    let driver = Driver::new();
    let base = driver.path("base");
    base_layer(&base);
    let blank = base.join("blank-base.vhdx");
    let handle = create(&driver, &blank, &parameters(ptr::null(), 20 << 30)).unwrap();
    let setup: Setup = export(&driver.doubles, "computestorage.dll", "HcsSetupBaseOSLayer");
    let (layer, options) = (plain(&base), wide(r#"{"Type":"Container"}"#));
    // SAFETY: the strings live across the calls.
    let set_up = || unsafe { setup(layer.as_ptr(), ptr::null_mut(), options.as_ptr()) };
    assert_eq!(set_up(), 0x8007_0015, "not formatted");
    let format: OnHandle = export(
        &driver.doubles,
        "computestorage.dll",
        "HcsFormatWritableLayerVhd",
    );
    // SAFETY: the handle is open.
    unsafe {
        assert_eq!(format(handle), 0);
        assert_eq!(format(handle), 0x8007_0057, "formatted already");
    }
    driver.doubles.clear();
    assert_eq!(set_up(), 0x8007_0020);
    assert!(driver.only_violation().contains("still open"));
    close(handle);
    assert_eq!(set_up(), 0, "{:#?}", driver.doubles.violations());
    let below = plain(&blank);
    close(
        create(
            &driver,
            &base.join("blank.vhdx"),
            &parameters(below.as_ptr(), 0),
        )
        .unwrap(),
    );
    driver.doubles.assert_clean();
    assert_eq!(set_up(), 0x8007_00B7, "Hives and layout exist");
    driver.doubles.clear();

    let vm = base.join("UtilityVM");
    let handle = create(
        &driver,
        &vm.join("SystemTemplateBase.vhdx"),
        &parameters(ptr::null(), 20 << 30),
    )
    .unwrap();
    let (folder, options) = (plain(&vm), wide(r#"{"Type":"Vm"}"#));
    // SAFETY: the strings live across the calls, the handle is open.
    let set_up = || unsafe { setup(folder.as_ptr(), handle, options.as_ptr()) };
    assert_eq!(set_up(), 0x8007_0057);
    assert!(driver.only_violation().contains("attached disk"));
    let attach: Attach = export(&driver.doubles, "virtdisk.dll", "AttachVirtualDisk");
    // SAFETY: the handle is open, null parameters are allowed.
    let attached = || unsafe { attach(handle, ptr::null(), 0, 0, ptr::null(), ptr::null()) };
    assert_eq!(attached(), 0);
    assert_eq!(attached(), 0x20, "attached already");
    driver.doubles.clear();
    assert_eq!(set_up(), 0, "{:#?}", driver.doubles.violations());
    close(handle);
    driver.doubles.assert_clean();
}

#[test]
fn a_scratch_disk_is_mounted_while_its_handle_is_open() {
    let driver = Driver::new();
    let (base, scratch) = (driver.path("base"), driver.path("scratch"));
    base_layer(&base);
    let finish: OnFolder = export(&driver.doubles, "vmcompute.dll", "ProcessBaseImage");
    // SAFETY: the string lives across the call.
    assert_eq!(unsafe { finish(plain(&base).as_ptr()) }, 0);
    fs::create_dir(&scratch).unwrap();
    let below = plain(&base.join("blank-base.vhdx"));
    let handle = create(
        &driver,
        &scratch.join("sandbox.vhdx"),
        &parameters(below.as_ptr(), 0),
    )
    .unwrap();
    let path_of: MountPathOf = export(
        &driver.doubles,
        "computestorage.dll",
        "HcsGetLayerVhdMountPath",
    );
    let mut volume = ptr::null_mut();
    assert_eq!(
        // SAFETY: the handle is open, the out argument lives across the call.
        unsafe { path_of(handle, &raw mut volume) },
        0x8007_0015,
        "not attached"
    );
    let attach: Attach = export(&driver.doubles, "virtdisk.dll", "AttachVirtualDisk");
    assert_eq!(
        // SAFETY: the handle is open.
        unsafe { attach(handle, ptr::null(), 0x22, 0, ptr::null(), ptr::null()) },
        0
    );
    driver.doubles.clear();
    // SAFETY: as above.
    assert_eq!(unsafe { path_of(handle, &raw mut volume) }, 0);
    // SAFETY: the double gave a string, which we free as Microsoft's page says.
    let mounted = unsafe { winlayer_double_common::arguments::text(volume) }.unwrap();
    // SAFETY: as above.
    unsafe { LocalFree(volume.cast()) };
    assert!(mounted.ends_with('\\'), "{mounted}");
    let filter: OnVolume = export(
        &driver.doubles,
        "computestorage.dll",
        "HcsAttachLayerStorageFilter",
    );
    let (path, data) = (wide(&mounted), wide(&layer_data(&[&base])));
    // SAFETY: the strings live across the calls.
    unsafe {
        assert_eq!(
            filter(path.as_ptr(), data.as_ptr()),
            0,
            "{:#?}",
            driver.doubles.violations()
        );
        assert_eq!(filter(path.as_ptr(), data.as_ptr()), 0x8037_0105, "twice");
    }
    assert_eq!(
        fs::read(Path::new(&mounted).join(r"Windows\below.txt")).unwrap(),
        b"from the base"
    );
    close(handle);
    driver.doubles.clear();
    let activate: OnLayer = export(&driver.doubles, "vmcompute.dll", "ActivateLayer");
    let arguments = Arguments::new(&[]);
    let info = arguments.info();
    assert_eq!(
        // SAFETY: structures and strings live across the call.
        unsafe { activate(&raw const info, plain(&scratch).as_ptr()) },
        0,
        "closing has detached it"
    );
    driver.doubles.assert_clean();
}

#[test]
fn a_disk_is_made_only_with_sensible_parameters() {
    let driver = Driver::new();
    let path = driver.path("disk.vhdx");
    let wrong = |spoil: fn(&mut CreateParameters)| {
        let mut parameters = parameters(ptr::null(), 1 << 30);
        spoil(&mut parameters);
        create(&driver, &path, &parameters).unwrap_err()
    };
    assert_eq!(wrong(|given| given.version = 1), 87);
    assert_eq!(wrong(|given| given.maximum_size = 0), 87);
    assert_eq!(wrong(|given| given.maximum_size += 1), 87);
    assert_eq!(wrong(|given| given.block_size = 2 << 20), 87);
    assert_eq!(wrong(|given| given.resiliency.data1 = 1), 87);
    let missing = plain(&driver.path("none.vhdx"));
    assert_eq!(
        create(&driver, &path, &parameters(missing.as_ptr(), 0)),
        Err(2)
    );
    driver.fail("CreateVirtualDisk=0x80070070");
    assert_eq!(
        create(&driver, &path, &parameters(ptr::null(), 1 << 30)),
        Err(0x70)
    );
}
