//! What Windows does to finish a base layer and a utility VM.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::call::{Call, Failure};
use crate::codes::{ALREADY_EXISTS, FILE_NOT_FOUND, REGISTRY_IO, SHARING_VIOLATION};
use crate::{disk, objects, sys};

/// Config hive and what it is called in `Hives`.
const HIVES: [(&str, &str); 5] = [
    ("DEFAULT", "DefaultUser_Base"),
    ("SAM", "Sam_Base"),
    ("SECURITY", "Security_Base"),
    ("SOFTWARE", "Software_Base"),
    ("SYSTEM", "System_Base"),
];

/// The size a scratch has unless somebody grows it.
const SCRATCH_BYTES: u64 = 20 << 30;

/// The rules for a layer about to become a base layer: its five hives are there and closed, and it
/// is not one yet.
pub fn check_base(call: &mut Call, layer: &Path) {
    let config = layer.join(r"Files\Windows\System32\config");
    for (hive, _) in HIVES {
        let path = config.join(hive);
        match sys::open_exclusively(&path) {
            Err(error) if error.raw_os_error() == Some(32) => {
                call.violation(
                    SHARING_VIOLATION,
                    format!("{} is still open", path.display()),
                );
            }
            Err(error) => call.violation(FILE_NOT_FOUND, format!("{}: {error}", path.display())),
            // Windows takes an empty file for a hive without keys.
            Ok(file) => call.rule(
                is_hive(&file, true),
                REGISTRY_IO,
                format!("{} is not a hive", path.display()),
            ),
        }
    }
    for made in ["Hives", "layout"] {
        call.rule(
            !layer.join(made).exists(),
            ALREADY_EXISTS,
            format!("{made} is there already"),
        );
    }
    // A sidecar or a framed file would mean that the transport format was written here.
    let sidecar = layer.join("Files.$wcidirs$").exists();
    call.rule(
        !sidecar,
        FILE_NOT_FOUND,
        "the layer is in the transport format",
    );
}

fn is_hive(file: &File, may_be_empty: bool) -> bool {
    let mut start = Vec::new();
    match file.take(4).read_to_end(&mut start) {
        Ok(0) => may_be_empty,
        Ok(_) => start == b"regf",
        Err(_) => false,
    }
}

/// Makes `Hives`, `layout` and, `with_disks`, the two disks of a scratch.
///
/// # Errors
///
/// Of the file system.
pub fn process_base(layer: &Path, with_disks: bool) -> Result<(), Failure> {
    fs::create_dir(layer.join("Hives"))?;
    for (hive, name) in HIVES {
        fs::copy(
            layer.join(r"Files\Windows\System32\config").join(hive),
            layer.join("Hives").join(name),
        )?;
    }
    fs::write(layer.join("layout"), "vhd-with-hives\n")?;
    if with_disks {
        make_disks(
            &layer.join("blank-base.vhdx"),
            &layer.join("blank.vhdx"),
            true,
        )?;
    }
    Ok(())
}

fn make_disks(base: &Path, scratch: &Path, formatted: bool) -> Result<(), Failure> {
    disk::write(base, &disk::dynamic(SCRATCH_BYTES, formatted))?;
    Ok(disk::write(scratch, &disk::differencing(base))?)
}

/// Where the boot configuration of a utility VM is.
fn bcd(folder: &Path) -> PathBuf {
    folder.join(r"Files\EFI\Microsoft\Boot\BCD")
}

/// The rules for a utility VM: the boot configuration is a hive, closed, and no other layer's file.
pub fn check_utility_vm(call: &mut Call, folder: &Path) {
    check_boot_files(call, folder);
    for made in ["SystemTemplateBase.vhdx", "SystemTemplate.vhdx"] {
        call.rule(
            !folder.join(made).exists(),
            ALREADY_EXISTS,
            format!("{made} is there already"),
        );
    }
}

/// The part of [`check_utility_vm`] that does not depend on who makes the disks.
pub fn check_boot_files(call: &mut Call, folder: &Path) {
    let bcd = bcd(folder);
    match sys::open_exclusively(&bcd) {
        Err(error) if error.raw_os_error() == Some(32) => {
            call.violation(SHARING_VIOLATION, "BCD is still open")
        }
        Err(error) => call.violation(REGISTRY_IO, format!("{}: {error}", bcd.display())),
        Ok(file) => {
            call.rule(is_hive(&file, false), REGISTRY_IO, "BCD is not a hive");
            // The call edits it in place: a hard link would change the layer below.
            let links = sys::id_of(&file).map_or(1, |id| id.links);
            call.rule(
                links == 1,
                REGISTRY_IO,
                format!("BCD has {links} names; editing it would change another layer"),
            );
        }
    }
    call.rule(
        !objects::is_link(folder),
        REGISTRY_IO,
        "UtilityVM is a link",
    );
}

/// Edits the boot configuration and, `with_disks`, makes the disks of the VM's scratch.
///
/// # Errors
///
/// Of the file system.
pub fn process_utility_vm(folder: &Path, with_disks: bool) -> Result<(), Failure> {
    let mut hive = File::options().read(true).write(true).open(bcd(folder))?;
    hive.seek(SeekFrom::End(0))?;
    hive.write_all(b"edited by ProcessUtilityImage")?;
    if with_disks {
        make_disks(
            &folder.join("SystemTemplateBase.vhdx"),
            &folder.join("SystemTemplate.vhdx"),
            false,
        )?;
    }
    Ok(())
}
