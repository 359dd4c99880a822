//! A whole life of layers with vmcompute's double: base, diff, scratch, export.
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
use std::path::Path;
use std::ptr;

use driver::*;

fn on_layer(driver: &Driver, name: &str, layer: &Path) -> u32 {
    let arguments = Arguments::new(&[]);
    let call: OnLayer = export(&driver.doubles, "vmcompute.dll", name);
    let info = arguments.info();
    // SAFETY: structures and strings live across the call.
    unsafe { call(&raw const info, plain(layer).as_ptr()) }
}

fn on_folder(driver: &Driver, name: &str, folder: &Path) -> u32 {
    let call: OnFolder = export(&driver.doubles, "vmcompute.dll", name);
    // SAFETY: the string lives across the call.
    unsafe { call(plain(folder).as_ptr()) }
}

fn with_folder(driver: &Driver, name: &str, layer: &Path, folder: &Path, parents: &[&Path]) -> u32 {
    let arguments = Arguments::new(parents);
    let call: WithFolder = export(&driver.doubles, "vmcompute.dll", name);
    let (info, descriptors) = (arguments.info(), &arguments.descriptors);
    let (layer, folder) = (verbatim(layer), plain(folder));
    // SAFETY: structures and strings live across the call.
    unsafe {
        call(
            &raw const info,
            layer.as_ptr(),
            folder.as_ptr(),
            descriptors.as_ptr(),
            descriptors.len() as u32,
        )
    }
}

fn mount_path(driver: &Driver, layer: &Path) -> String {
    let arguments = Arguments::new(&[]);
    let call: MountPath = export(&driver.doubles, "vmcompute.dll", "GetLayerMountPath");
    let (info, layer) = (arguments.info(), plain(layer));
    let mut length = 0;
    assert_eq!(
        // SAFETY: structures, strings and out arguments live across the call.
        unsafe {
            call(
                &raw const info,
                layer.as_ptr(),
                &raw mut length,
                ptr::null_mut(),
            )
        },
        0
    );
    let mut buffer = vec![0_u16; length];
    assert_eq!(
        // SAFETY: as above; the buffer is as long as we say.
        unsafe {
            call(
                &raw const info,
                layer.as_ptr(),
                &raw mut length,
                buffer.as_mut_ptr(),
            )
        },
        0
    );
    assert_eq!(buffer.pop(), Some(0));
    String::from_utf16(&buffer).unwrap()
}

#[test]
fn layers_are_finished_imported_mounted_exported_and_destroyed() {
    let driver = Driver::new();
    let (base, diff, scratch) = (
        driver.path("base"),
        driver.path("diff"),
        driver.path("scratch"),
    );
    base_layer(&base);
    assert_eq!(
        on_folder(&driver, "ProcessBaseImage", &base),
        0,
        "{:#?}",
        driver.doubles.violations()
    );
    assert_eq!(
        fs::read(base.join(r"Hives\Sam_Base")).unwrap(),
        b"regf and more"
    );
    assert!(base.join("blank.vhdx").exists() && base.join("layout").exists());
    assert_eq!(
        on_folder(&driver, "ProcessUtilityImage", &base.join("UtilityVM")),
        0
    );
    assert_ne!(
        fs::read(base.join(r"UtilityVM\Files\EFI\Microsoft\Boot\BCD")).unwrap(),
        b"regf boot"
    );

    let staged = driver.path("staged");
    staging(&staged);
    fs::create_dir(&diff).unwrap();
    assert_eq!(
        with_folder(&driver, "ImportLayer", &diff, &staged, &[&base]),
        0,
        "{:#?}",
        driver.doubles.violations()
    );
    assert_eq!(
        fs::read(diff.join(r"Files\Windows\new.txt")).unwrap(),
        b"new"
    );
    assert_eq!(
        fs::read(diff.join(r"Files\Windows\below.txt")).unwrap(),
        b"",
        "a placeholder"
    );
    assert!(diff.join(r"Files\Users").is_dir() && diff.join(r"Hives\System_Delta").exists());
    fs::remove_file(diff.join(r"Files\Windows\below.txt")).unwrap();

    let exported = driver.path("exported");
    fs::create_dir(&exported).unwrap();
    assert_eq!(
        with_folder(&driver, "ExportLayer", &diff, &exported, &[&base]),
        0
    );
    let tombstones = fs::read_to_string(exported.join("tombstones.txt")).unwrap();
    assert_eq!(tombstones, "\u{feff}Version 1.0\n\\Windows\\below.txt\n");
    let again = fs::read(exported.join(r"Files\Windows\new.txt")).unwrap();
    let mut expected = file(b"new");
    expected[8] = 2; // STREAM_CONTAINS_SECURITY
    assert_eq!(again, expected);
    assert!(
        exported.join(r"Files\link.$wcidirs$").exists() && !exported.join(r"Files\Users").exists()
    );

    let arguments = Arguments::new(&[&diff, &base]);
    let (info, descriptors) = (arguments.info(), arguments.descriptors.as_ptr());
    let create: CreateSandbox = export(&driver.doubles, "vmcompute.dll", "CreateSandboxLayer");
    assert_eq!(
        // SAFETY: structures and strings live across the call.
        unsafe { create(&raw const info, plain(&scratch).as_ptr(), 0, descriptors, 2) },
        0
    );
    assert_eq!(on_layer(&driver, "ActivateLayer", &scratch), 0);
    let prepare: WithParents = export(&driver.doubles, "vmcompute.dll", "PrepareLayer");
    assert_eq!(
        // SAFETY: as above.
        unsafe { prepare(&raw const info, plain(&scratch).as_ptr(), descriptors, 2) },
        0
    );
    let volume = mount_path(&driver, &scratch);
    assert!(volume.ends_with('\\'));
    let volume = Path::new(&volume);
    assert_eq!(fs::read(volume.join(r"Windows\new.txt")).unwrap(), b"new");
    assert!(!volume.join(r"Windows\below.txt").exists());
    fs::write(volume.join("written.txt"), b"in the scratch").unwrap();
    fs::remove_file(volume.join(r"Windows\new.txt")).unwrap();
    assert_eq!(on_layer(&driver, "UnprepareLayer", &scratch), 0);

    let written = driver.path("written");
    fs::create_dir(&written).unwrap();
    assert_eq!(
        with_folder(&driver, "ExportLayer", &scratch, &written, &[&diff, &base]),
        0
    );
    let tombstones = fs::read_to_string(written.join("tombstones.txt")).unwrap();
    assert!(
        tombstones.ends_with("\n\\Windows\\new.txt\n"),
        "{tombstones}"
    );
    assert!(
        written.join(r"Files\written.txt").exists()
            && written.join(r"Files\Windows.$wcidirs$").exists()
    );
    assert!(!written.join(r"Files\Users").exists(), "unchanged");
    assert_eq!(on_layer(&driver, "DeactivateLayer", &scratch), 0);
    for layer in [&scratch, &diff, &base] {
        assert_eq!(on_layer(&driver, "DestroyLayer", layer), 0);
        assert!(!layer.exists());
    }
    driver.doubles.assert_clean();
}

#[test]
fn calls_out_of_order_are_refused() {
    let driver = Driver::new();
    let (base, scratch) = (driver.path("base"), driver.path("scratch"));
    base_layer(&base);
    let arguments = Arguments::new(&[&base]);
    let (info, descriptors) = (arguments.info(), arguments.descriptors.as_ptr());
    let create: CreateSandbox = export(&driver.doubles, "vmcompute.dll", "CreateSandboxLayer");
    // SAFETY: structures and strings live across the calls.
    let make = |parent| unsafe {
        create(
            &raw const info,
            plain(&scratch).as_ptr(),
            parent,
            descriptors,
            1,
        )
    };
    assert_eq!(make(0), 0x8007_0003, "the base is not finished");
    assert_eq!(on_folder(&driver, "ProcessBaseImage", &base), 0);
    driver.doubles.clear();
    assert_eq!(make(1), 0x8007_0057);
    assert!(driver.only_violation().contains("parent argument"));
    assert_eq!(make(0), 0);
    assert_eq!(on_layer(&driver, "UnprepareLayer", &scratch), 0x8037_0105);
    assert!(driver.only_violation().contains("paired"));
    let prepare: WithParents = export(&driver.doubles, "vmcompute.dll", "PrepareLayer");
    // SAFETY: as above.
    let prepared = || unsafe { prepare(&raw const info, plain(&scratch).as_ptr(), descriptors, 1) };
    assert_eq!(prepared(), 0x8007_0015);
    assert!(
        driver
            .only_violation()
            .contains("ActivateLayer comes first")
    );
    assert_eq!(on_layer(&driver, "ActivateLayer", &scratch), 0);
    assert_eq!(on_layer(&driver, "ActivateLayer", &scratch), 0x8037_0105);
    assert!(driver.only_violation().contains("paired"));
    assert_eq!(prepared(), 0);
    assert_eq!(on_layer(&driver, "DeactivateLayer", &scratch), 0x8037_0105);
    assert!(
        driver
            .only_violation()
            .contains("UnprepareLayer comes first")
    );
    assert_eq!(on_layer(&driver, "DestroyLayer", &scratch), 0x8037_0105);
    assert!(driver.only_violation().contains("mounted"));
    assert_eq!(on_folder(&driver, "ProcessBaseImage", &base), 0x8007_00B7);
}
