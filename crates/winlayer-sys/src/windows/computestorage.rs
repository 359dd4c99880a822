//! computestorage.dll: the layer calls of Windows 10 1809, Server 2019 and later, and what vmcompute.dll
//! does inside one call in the steps they want (hcsshim `computestorage/helpers.go`).

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::windows::io::AsRawHandle as _,
    path::{Path, PathBuf},
    ptr,
};

use windows_sys::{
    Win32::Foundation::{HANDLE, LocalFree},
    core::{HRESULT, PCWSTR, PWSTR},
};

use super::{
    facts::windows_version,
    library::{check_hresult, functions_of},
    text::{from_wide, plain_if_short, verbatim, wide},
    virtdisk::{AttachOptions, VirtualDisk},
    volume::grant_vm_group_access,
};
use crate::{ParentLayer, PlatformCode, PlatformError, SchemaVersion, layer_data_json};

type Result<T> = std::result::Result<T, PlatformError>;

/// As large as the disks vmcompute.dll makes.
const DISK_BYTES: u64 = 20 << 30;
/// Windows Server 2019.
const BUILD_2019: u32 = 17763;

functions_of! {
    /// computestorage.dll.
    ComputeStorage = "computestorage.dll";
    fn HcsImportLayer(layer: PCWSTR, source: PCWSTR, data: PCWSTR) -> HRESULT;
    fn HcsExportLayer(layer: PCWSTR, folder: PCWSTR, data: PCWSTR, options: PCWSTR) -> HRESULT;
    fn HcsDestroyLayer(layer: PCWSTR) -> HRESULT;
    fn HcsSetupBaseOSLayer(layer: PCWSTR, disk: HANDLE, options: PCWSTR) -> HRESULT;
    fn HcsAttachLayerStorageFilter(volume: PCWSTR, data: PCWSTR) -> HRESULT;
    fn HcsDetachLayerStorageFilter(volume: PCWSTR) -> HRESULT;
    fn HcsFormatWritableLayerVhd(disk: HANDLE) -> HRESULT;
    fn HcsGetLayerVhdMountPath(disk: HANDLE, path: *mut PWSTR) -> HRESULT;
}

/// Disks not to be left behind when a step fails.
struct NewDisks(Option<[PathBuf; 2]>);

impl NewDisks {
    /// Disks of an earlier try are removed.
    fn begin(base: PathBuf, scratch: PathBuf) -> Result<Self> {
        remove_file(&scratch)?;
        remove_file(&base)?;
        Ok(Self(Some([base, scratch])))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for NewDisks {
    fn drop(&mut self) {
        for path in self.0.iter().flatten() {
            let _ = fs::remove_file(path);
        }
    }
}

impl ComputeStorage {
    pub(super) fn check_exports(&self) -> Result<()> {
        for export in Self::EXPORTS {
            self.library().function(export)?;
        }
        Ok(())
    }

    pub(super) fn import(
        &self,
        layer: &Path,
        staging: &Path,
        parents: &[ParentLayer],
    ) -> Result<()> {
        let (layer, staging) = (verbatim(layer)?, plain_if_short(staging)?);
        let data = layer_data(parents)?;
        let (wide_layer, wide_staging) = (wide(&layer), wide(&staging));
        let import = self.HcsImportLayer()?;
        // SAFETY: the strings end with a NUL and outlive the call.
        let code = unsafe { import(wide_layer.as_ptr(), wide_staging.as_ptr(), data.as_ptr()) };
        check_hresult("HcsImportLayer", &layer, code)
    }

    pub(super) fn export(
        &self,
        layer: &Path,
        folder: &Path,
        parents: &[ParentLayer],
    ) -> Result<()> {
        let (layer, folder) = (plain_if_short(layer)?, plain_if_short(folder)?);
        let writable = layer.join("sandbox.vhdx").exists();
        let options = wide(if writable {
            r#"{"IsWritableLayer":true}"#
        } else {
            "{}"
        });
        let data = layer_data(parents)?;
        let (wide_layer, wide_folder) = (wide(&layer), wide(&folder));
        let export = self.HcsExportLayer()?;
        // SAFETY: the strings end with a NUL and outlive the call.
        let code = unsafe {
            export(
                wide_layer.as_ptr(),
                wide_folder.as_ptr(),
                data.as_ptr(),
                options.as_ptr(),
            )
        };
        check_hresult("HcsExportLayer", &layer, code)
    }

    pub(super) fn destroy(&self, layer: &Path) -> Result<()> {
        let layer = plain_if_short(layer)?;
        let wide_layer = wide(&layer);
        let destroy = self.HcsDestroyLayer()?;
        // SAFETY: the string ends with a NUL and outlives the call.
        let code = unsafe { destroy(wide_layer.as_ptr()) };
        check_hresult("HcsDestroyLayer", &layer, code)
    }

    /// Hives, layout file, `blank-base.vhdx` and `blank.vhdx`.
    pub(super) fn process_base_image(&self, layer: &Path) -> Result<()> {
        let layer = verbatim(layer)?;
        // The call fails when an earlier one's are there.
        remove_tree(&layer.join("Hives"))?;
        remove_file(&layer.join("Layout"))?;
        let base = layer.join("blank-base.vhdx");
        let scratch = layer.join("blank.vhdx");
        let disks = NewDisks::begin(base.clone(), scratch.clone())?;

        let disk = VirtualDisk::create(&base, DISK_BYTES)?;
        self.format(disk)?;
        // For a container no disk is given, and the formatted one must be closed.
        self.setup(&layer, ptr::null_mut(), r#"{"Type":"Container"}"#)?;
        self.finish_disks(&base, &scratch)?;
        disks.keep();
        Ok(())
    }

    /// `SystemTemplateBase.vhdx` and `SystemTemplate.vhdx`; the boot files are told of the disk.
    pub(super) fn process_utility_image(&self, folder: &Path) -> Result<()> {
        let folder = verbatim(folder)?;
        let base = folder.join("SystemTemplateBase.vhdx");
        let scratch = folder.join("SystemTemplate.vhdx");
        let disks = NewDisks::begin(base.clone(), scratch.clone())?;

        let disk = VirtualDisk::create(&base, DISK_BYTES)?;
        disk.attach(AttachOptions::default())?;
        self.setup(&folder, disk.raw(), r#"{"Type":"Vm"}"#)?;
        disk.detach()?;
        drop(disk);
        self.finish_disks(&base, &scratch)?;
        disks.keep();
        Ok(())
    }

    fn setup(&self, layer: &Path, disk: HANDLE, options: &str) -> Result<()> {
        let (wide_layer, options) = (wide(layer), wide(options));
        let setup = self.HcsSetupBaseOSLayer()?;
        // SAFETY: the strings end with a NUL and outlive the call; the handle is open or null.
        let code = unsafe { setup(wide_layer.as_ptr(), disk, options.as_ptr()) };
        check_hresult("HcsSetupBaseOSLayer", layer, code)
    }

    fn finish_disks(&self, base: &Path, scratch: &Path) -> Result<()> {
        drop(VirtualDisk::create_differencing(scratch, base)?);
        grant_vm_group_access(base)?;
        grant_vm_group_access(scratch)
    }

    /// NTFS on a new disk. Server 2019 wants the handle of the file, later builds the disk's.
    fn format(&self, disk: VirtualDisk) -> Result<()> {
        let path = disk.path().to_owned();
        let wants_file = windows_version().is_some_and(|windows| windows.build <= BUILD_2019);
        if wants_file {
            drop(disk);
            let file: io::Result<File> = OpenOptions::new().read(true).write(true).open(&path);
            let file = file.map_err(|source| io_error("CreateFileW", &path, &source))?;
            self.format_handle(file.as_raw_handle(), &path)
        } else {
            self.format_handle(disk.raw(), &path)
        }
    }

    fn format_handle(&self, handle: HANDLE, path: &Path) -> Result<()> {
        let format = self.HcsFormatWritableLayerVhd()?;
        // SAFETY: the handle is open.
        let code = unsafe { format(handle) };
        check_hresult("HcsFormatWritableLayerVhd", path, code)
    }

    /// The volume of an attached disk, `\\?\Volume{...}\`.
    pub(super) fn mount_path(&self, disk: &VirtualDisk) -> Result<String> {
        const CALL: &str = "HcsGetLayerVhdMountPath";
        let get = self.HcsGetLayerVhdMountPath()?;
        let mut text: PWSTR = ptr::null_mut();
        // SAFETY: the handle is open, and the pointer is ours to write.
        let code = unsafe { get(disk.raw(), &mut text) };
        check_hresult(CALL, disk.path(), code)?;
        if text.is_null() {
            return Err(PlatformError::new(
                CALL,
                disk.path(),
                PlatformCode::Win32(1168),
            ));
        }
        let mut length = 0usize;
        // SAFETY: the call succeeded, so the text ends with a NUL, which ends the loop.
        while unsafe { text.add(length).read() } != 0 {
            length += 1;
        }
        // SAFETY: as many units were just read.
        let units = unsafe { std::slice::from_raw_parts(text, length) };
        let path = from_wide(units).to_string_lossy().into_owned();
        // SAFETY: the call allocated it with LocalAlloc and gave it to us; it is not used again.
        unsafe { LocalFree(text.cast()) };
        Ok(path)
    }

    pub(super) fn attach_filter(
        &self,
        folder: &Path,
        volume: &str,
        parents: &[ParentLayer],
    ) -> Result<()> {
        let (wide_volume, data) = (wide(volume), layer_data(parents)?);
        let attach = self.HcsAttachLayerStorageFilter()?;
        // SAFETY: the strings end with a NUL and outlive the call.
        let code = unsafe { attach(wide_volume.as_ptr(), data.as_ptr()) };
        check_hresult("HcsAttachLayerStorageFilter", folder, code)
    }

    pub(super) fn detach_filter(&self, folder: &Path, volume: &str) -> Result<()> {
        let wide_volume = wide(volume);
        let detach = self.HcsDetachLayerStorageFilter()?;
        // SAFETY: the string ends with a NUL and outlives the call.
        let code = unsafe { detach(wide_volume.as_ptr()) };
        check_hresult("HcsDetachLayerStorageFilter", folder, code)
    }

    /// `sandbox.vhdx` as a copy of the base layer's `blank.vhdx`.
    pub(super) fn create_scratch(&self, folder: &Path, base: &ParentLayer) -> Result<()> {
        let (from, to) = (
            verbatim(&base.path)?.join("blank.vhdx"),
            verbatim(folder)?.join("sandbox.vhdx"),
        );
        if to.exists() {
            return Err(PlatformError::new("CopyFileW", to, PlatformCode::Win32(80)));
        }
        // CopyFileExW: the system copies, as container engines let it.
        let copied = fs::copy(&from, &to).map_err(|source| io_error("CopyFileW", &from, &source));
        if copied.is_err() {
            let _ = fs::remove_file(&to);
        }
        copied.map(drop)
    }
}

/// Schema 2.1 is known to every build that has the library.
fn layer_data(parents: &[ParentLayer]) -> Result<Vec<u16>> {
    let parent = |parent: &ParentLayer| {
        Ok(ParentLayer {
            path: plain_if_short(&parent.path)?,
            id: parent.id,
        })
    };
    let parents = parents.iter().map(parent).collect::<Result<Vec<_>>>()?;
    layer_data_json(&parents, SchemaVersion::V2_1).map(wide)
}

pub(super) fn io_error(call: &'static str, path: &Path, source: &io::Error) -> PlatformError {
    // ERROR_GEN_FAILURE for what is no error of the system.
    let code = source.raw_os_error().map_or(31, i32::cast_unsigned);
    PlatformError::new(call, path, PlatformCode::Win32(code))
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(io_error("DeleteFileW", path, &source))
        }
        _ => Ok(()),
    }
}

fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(io_error("RemoveDirectoryW", path, &source))
        }
        _ => Ok(()),
    }
}
