//! What ProcessBaseImage, ProcessUtilityImage, PrepareLayer and GetLayerMountPath demand.
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

use driver::*;

fn finish(driver: &Driver, name: &str, folder: &Path) -> u32 {
    let call: OnFolder = export(&driver.doubles, "vmcompute.dll", name);
    // SAFETY: the string lives across the call.
    unsafe { call(plain(folder).as_ptr()) }
}

#[test]
fn a_base_layer_needs_its_five_hives_closed_and_must_not_be_finished() {
    let driver = Driver::new();
    let base = driver.path("base");
    base_layer(&base);
    let process = || finish(&driver, "ProcessBaseImage", &base);
    for hive in ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"] {
        let hive = base.join(r"Files\Windows\System32\config").join(hive);
        fs::remove_file(&hive).unwrap();
        assert_eq!(process(), 0x8007_0002, "{}", hive.display());
        fs::write(&hive, b"no hive").unwrap();
        assert_eq!(process(), 0x8007_03F8, "{}", hive.display());
        let open = fs::File::create(&hive).unwrap();
        assert_eq!(process(), 0x8007_0020, "{}", hive.display());
        drop(open);
    }
    fs::write(base.join("Files.$wcidirs$"), framed(0x10, &[])).unwrap();
    assert_eq!(process(), 0x8007_0002, "the transport format");
    fs::remove_file(base.join("Files.$wcidirs$")).unwrap();
    fs::create_dir(base.join("Hives")).unwrap();
    assert_eq!(process(), 0x8007_00B7);
    fs::remove_dir(base.join("Hives")).unwrap();
    privileges(false);
    assert_eq!(process(), 0x8007_0522);
    privileges(true);
    assert_eq!(process(), 0, "empty hives are taken");
    assert_eq!(driver.doubles.calls_of("ProcessBaseImage").len(), 19);
}

#[test]
fn a_utility_vm_needs_a_boot_hive_of_its_own() {
    let driver = Driver::new();
    let base = driver.path("base");
    base_layer(&base);
    let vm = base.join("UtilityVM");
    let bcd = vm.join(r"Files\EFI\Microsoft\Boot\BCD");
    let process = |folder: &Path| finish(&driver, "ProcessUtilityImage", folder);
    assert_eq!(process(&base), 0x8007_0003);
    assert!(driver.doubles.violations()[0].contains("UtilityVM folder"));
    driver.doubles.clear();
    fs::write(&bcd, b"no hive").unwrap();
    assert_eq!(process(&vm), 0x8007_03F8);
    assert!(driver.only_violation().contains("not a hive"));
    fs::write(&bcd, b"regf").unwrap();
    fs::hard_link(&bcd, driver.path("the parent's BCD")).unwrap();
    assert_eq!(process(&vm), 0x8007_03F8);
    assert!(
        driver
            .only_violation()
            .contains("would change another layer")
    );
    fs::remove_file(driver.path("the parent's BCD")).unwrap();
    assert_eq!(process(&vm), 0, "{:#?}", driver.doubles.violations());
    assert!(vm.join("SystemTemplate.vhdx").exists());
    assert_eq!(process(&vm), 0x8007_00B7, "finished already");
}

#[test]
fn layers_are_prepared_one_at_a_time() {
    let driver = Driver::new();
    let base = driver.path("base");
    base_layer(&base);
    assert_eq!(finish(&driver, "ProcessBaseImage", &base), 0);
    let prepare: WithParents = export(&driver.doubles, "vmcompute.dll", "PrepareLayer");
    let prepare_one = |name: &str| {
        let arguments = Arguments::new(&[&base]);
        let (info, layer) = (arguments.info(), plain(&driver.path(name)));
        // SAFETY: structures and strings live across the call.
        unsafe {
            prepare(
                &raw const info,
                layer.as_ptr(),
                arguments.descriptors.as_ptr(),
                1,
            )
        }
    };
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let prepare_one = &prepare_one;
            scope.spawn(move || (0..20).map(|_| prepare_one(name)).max());
        }
    });
    assert!(
        driver
            .doubles
            .violations()
            .iter()
            .any(|text| text.contains("two calls at a time"))
    );
    driver.doubles.clear();
    assert_eq!(
        prepare_one("a"),
        0x8007_0015,
        "alone it is only not activated"
    );
}

#[test]
fn a_mount_path_is_asked_for_with_room_for_it() {
    let driver = Driver::new();
    let base = driver.path("base");
    base_layer(&base);
    let call: MountPath = export(&driver.doubles, "vmcompute.dll", "GetLayerMountPath");
    let arguments = Arguments::new(&[]);
    let (info, layer) = (arguments.info(), plain(&base));
    let mut buffer = [0_u16; 3];
    let mut length = 3;
    assert_eq!(
        // SAFETY: structures, strings and out arguments live across the call.
        unsafe {
            call(
                &raw const info,
                layer.as_ptr(),
                &raw mut length,
                buffer.as_mut_ptr(),
            )
        },
        0x8007_007A
    );
    assert_eq!(buffer, [0; 3]);
    assert!(
        driver
            .only_violation()
            .contains("the buffer has 3 characters")
    );
    assert_eq!(
        // SAFETY: as above.
        unsafe {
            call(
                &raw const info,
                layer.as_ptr(),
                &raw mut length,
                std::ptr::null_mut(),
            )
        },
        0
    );
    assert_eq!(length, layer.len(), "a read-only layer is its folder");
}
