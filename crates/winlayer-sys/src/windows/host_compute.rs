//! [`HostCompute`]: the layer calls of the container platform.

use std::{
    fs,
    path::Path,
    ptr,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::{
    computestorage::{ComputeStorage, io_error},
    library::check_hresult,
    text::{from_wide, plain_if_short, plain_only, verbatim, wide},
    virtdisk::{AttachOptions, VirtualDisk},
    vmcompute::{ParentList, VmCompute, driver_info},
    volume,
};
use crate::{LayerGuid, ParentLayer, PlatformCode, PlatformError};

type Result<T> = std::result::Result<T, PlatformError>;

/// How often, and after what pause, a mount is tried again whose disk came late.
const RETRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Two calls at a time run into a timeout on Windows 10 1809 and Server 2019 (hcsshim
/// `wclayer/preparelayer.go`).
static PREPARING: Mutex<()> = Mutex::new(());

/// Which of the two sets of layer calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// vmcompute.dll, since Windows 10 1607 and Server 2016. What container engines use.
    #[default]
    VmCompute,
    /// computestorage.dll, since build 17763, for the calls it has; vmcompute.dll for the others
    /// (`NameToGuid`, `GrantVmAccess`, `ExpandSandboxSize`, `LayerExists`).
    ComputeStorage,
}

/// The layer calls. Paths may be relative (they are made absolute); lists of parents start with the
/// immediate parent.
///
/// `ImportLayer`, `ProcessBaseImage` and `ProcessUtilityImage` get the layer's path with `\\?\`, the
/// other calls without as long as it has at most 247 units, as container engines do.
///
/// The caller holds the privileges Backup, Restore and Security ([`Privileges`](crate::Privileges)).
/// May be shared between threads.
///
/// # Errors
///
/// Every method fails with a [`PlatformError`] that names the call of Windows and the folder.
#[derive(Debug)]
pub struct HostCompute {
    vmcompute: VmCompute,
    /// `Some` for the family of that name.
    storage: Option<ComputeStorage>,
}

impl HostCompute {
    /// Loads the libraries of `family` from System32.
    ///
    /// # Errors
    ///
    /// [`PlatformError::is_missing_function`] if this Windows lacks a library or a function of it
    /// that is used; the remedy names the feature to install.
    pub fn load(family: Family) -> Result<Self> {
        let vmcompute = VmCompute::load()?;
        vmcompute.check_exports()?;
        let storage = match family {
            Family::VmCompute => None,
            Family::ComputeStorage => {
                let storage = ComputeStorage::load()?;
                storage.check_exports()?;
                Some(storage)
            }
        };
        Ok(Self { vmcompute, storage })
    }

    /// Which calls are used.
    pub fn family(&self) -> Family {
        match self.storage {
            None => Family::VmCompute,
            Some(_) => Family::ComputeStorage,
        }
    }

    /// `NameToGuid` of the last component of `folder`.
    pub fn layer_guid(&self, folder: &Path) -> Result<LayerGuid> {
        self.vmcompute.layer_guid(folder)
    }

    /// `folder` as a parent of another layer.
    pub fn parent(&self, folder: &Path) -> Result<ParentLayer> {
        let path = plain_if_short(folder)?;
        let id = self.layer_guid(&path)?;
        Ok(ParentLayer { path, id })
    }

    /// Makes the layer folder `layer` from the transport folder `staging`.
    ///
    /// # Errors
    ///
    /// ERROR_BUFFER_OVERFLOW when the path of `staging` is longer than 247 units: the platform takes
    /// no `\\?\` there.
    pub fn import_layer(
        &self,
        layer: &Path,
        staging: &Path,
        parents: &[ParentLayer],
    ) -> Result<()> {
        const CALL: &str = "ImportLayer";
        if let Some(storage) = &self.storage {
            return storage.import(layer, staging, parents);
        }
        let (layer, staging) = (verbatim(layer)?, plain_only(CALL, staging)?);
        let (id, source) = (wide(&layer), wide(&staging));
        let list = ParentList::new(parents)?;
        let import = self.vmcompute.ImportLayer()?;
        // SAFETY: the description, the strings, which end with a NUL, and the list outlive the call.
        let code = unsafe {
            import(
                &driver_info(),
                id.as_ptr(),
                source.as_ptr(),
                list.pointer(),
                list.count(),
            )
        };
        check_hresult(CALL, &layer, code)
    }

    /// Writes the layer in transport format into `folder`, which is empty or missing. A scratch must
    /// have been mounted and unmounted once.
    pub fn export_layer(&self, layer: &Path, folder: &Path, parents: &[ParentLayer]) -> Result<()> {
        if let Some(storage) = &self.storage {
            return storage.export(layer, folder, parents);
        }
        let (layer, folder) = (plain_if_short(layer)?, plain_if_short(folder)?);
        let (id, target) = (wide(&layer), wide(&folder));
        let list = ParentList::new(parents)?;
        let export = self.vmcompute.ExportLayer()?;
        // SAFETY: the description, the strings, which end with a NUL, and the list outlive the call.
        let code = unsafe {
            export(
                &driver_info(),
                id.as_ptr(),
                target.as_ptr(),
                list.pointer(),
                list.count(),
            )
        };
        check_hresult("ExportLayer", &layer, code)
    }

    /// Finishes a base layer: hives, layout file and the disks scratches are made from.
    pub fn process_base_image(&self, layer: &Path) -> Result<()> {
        if let Some(storage) = &self.storage {
            return storage.process_base_image(layer);
        }
        let layer = verbatim(layer)?;
        let folder = wide(&layer);
        let process = self.vmcompute.ProcessBaseImage()?;
        // SAFETY: the string ends with a NUL and outlives the call.
        let code = unsafe { process(folder.as_ptr()) };
        check_hresult("ProcessBaseImage", &layer, code)
    }

    /// Finishes a utility VM; `utility_vm` is the layer's folder `UtilityVM`.
    pub fn process_utility_image(&self, utility_vm: &Path) -> Result<()> {
        if let Some(storage) = &self.storage {
            return storage.process_utility_image(utility_vm);
        }
        let layer = verbatim(utility_vm)?;
        let folder = wide(&layer);
        let process = self.vmcompute.ProcessUtilityImage()?;
        // SAFETY: the string ends with a NUL and outlives the call.
        let code = unsafe { process(folder.as_ptr()) };
        check_hresult("ProcessUtilityImage", &layer, code)
    }

    /// Makes a scratch, a folder with `sandbox.vhdx`. The folder is created if missing.
    ///
    /// # Errors
    ///
    /// Beside those of the call: ERROR_INVALID_PARAMETER without parents.
    pub fn create_scratch(&self, folder: &Path, parents: &[ParentLayer]) -> Result<()> {
        const CALL: &str = "CreateSandboxLayer";
        let folder = plain_if_short(folder)?;
        let Some(base) = parents.last() else {
            return Err(PlatformError::new(CALL, folder, PlatformCode::Win32(87)));
        };
        fs::create_dir_all(&folder)
            .map_err(|source| io_error("CreateDirectoryW", &folder, &source))?;
        if let Some(storage) = &self.storage {
            return storage.create_scratch(&folder, base);
        }
        let id = wide(&folder);
        let list = ParentList::new(parents)?;
        let create = self.vmcompute.CreateSandboxLayer()?;
        // SAFETY: the description, the string, which ends with a NUL, and the list outlive the call.
        let code = unsafe { create(&driver_info(), id.as_ptr(), 0, list.pointer(), list.count()) };
        check_hresult(CALL, &folder, code)
    }

    /// Lets the scratch, not mounted, grow to `bytes`: its disk and the NTFS volume on it.
    ///
    /// Some builds grow the volume themselves when the layer is prepared and some do not; it is done
    /// here on all of them. `parents` are not needed for that by any call known today.
    pub fn expand_scratch(&self, folder: &Path, bytes: u64, parents: &[ParentLayer]) -> Result<()> {
        let _ = parents;
        let folder = plain_if_short(folder)?;
        let id = wide(&folder);
        let expand = self.vmcompute.ExpandSandboxSize()?;
        // SAFETY: the description and the string, which ends with a NUL, outlive the call.
        let code = unsafe { expand(&driver_info(), id.as_ptr(), bytes) };
        check_hresult("ExpandSandboxSize", &folder, code)?;

        let disk = VirtualDisk::open(&folder.join("sandbox.vhdx"))?;
        disk.attach(AttachOptions::default())?;
        let grown = self.grow_volume(&folder, &disk);
        // Closing the handle detaches too, should this fail.
        let _ = disk.detach();
        grown
    }

    fn grow_volume(&self, folder: &Path, disk: &VirtualDisk) -> Result<()> {
        let volume = again_while_late(|| match &self.storage {
            Some(storage) => storage.mount_path(disk),
            None => self.legacy_mount_path(folder),
        })?;
        again_while_late(|| volume::grow(&volume))
    }

    /// Attaches the disk of a scratch; nothing happens to a read-only layer.
    pub fn activate(&self, folder: &Path) -> Result<()> {
        if self.storage.is_none() {
            let activate = self.vmcompute.ActivateLayer()?;
            return self.vmcompute.on_layer("ActivateLayer", activate, folder);
        }
        let disk = folder.join("sandbox.vhdx");
        if !disk.exists() {
            return Ok(());
        }
        VirtualDisk::open(&disk)?.attach(AttachOptions {
            no_drive_letter: true,
            // The handle is closed, and another process may unmount.
            permanent: true,
            ..AttachOptions::default()
        })
    }

    /// Puts the layer filter on an activated scratch, so that its volume shows the merged view.
    ///
    /// One call at a time in the process. When the disk's volume is late (Server 2019 under load),
    /// the layer is deactivated, and activated and prepared anew after 100 ms, at most five times.
    /// When this fails, the layer is left as the last call left it: deactivate it.
    pub fn prepare(&self, folder: &Path, parents: &[ParentLayer]) -> Result<()> {
        let _one_at_a_time = PREPARING.lock().unwrap_or_else(PoisonError::into_inner);
        let first = self.prepare_once(folder, parents);
        self.again_while_late(folder, parents, first)
    }

    /// `first` is the outcome of the first try.
    fn again_while_late(
        &self,
        folder: &Path,
        parents: &[ParentLayer],
        first: Result<()>,
    ) -> Result<()> {
        let mut result = first;
        for _ in 0..RETRIES {
            match &result {
                Err(error) if error.is_device_race() => {}
                _ => break,
            }
            // What it says does not matter: the disk may not have come at all.
            let _ = self.deactivate(folder);
            thread::sleep(PAUSE);
            result = self.activate_and_prepare(folder, parents);
        }
        result
    }

    fn activate_and_prepare(&self, folder: &Path, parents: &[ParentLayer]) -> Result<()> {
        self.activate(folder)?;
        self.prepare_once(folder, parents)
    }

    fn prepare_once(&self, folder: &Path, parents: &[ParentLayer]) -> Result<()> {
        if let Some(storage) = &self.storage {
            let volume = self.mount_path(folder)?;
            return storage.attach_filter(folder, &volume, parents);
        }
        let folder = plain_if_short(folder)?;
        let id = wide(&folder);
        let list = ParentList::new(parents)?;
        let prepare = self.vmcompute.PrepareLayer()?;
        // SAFETY: the description, the string, which ends with a NUL, and the list outlive the call.
        let code = unsafe { prepare(&driver_info(), id.as_ptr(), list.pointer(), list.count()) };
        check_hresult("PrepareLayer", &folder, code)
    }

    /// Activates, prepares and returns [`Self::mount_path`]; on failure everything is undone.
    pub fn mount(&self, folder: &Path, parents: &[ParentLayer]) -> Result<String> {
        let mounted = {
            let _one_at_a_time = PREPARING.lock().unwrap_or_else(PoisonError::into_inner);
            let first = self.activate_and_prepare(folder, parents);
            self.again_while_late(folder, parents, first)
        };
        if let Err(error) = mounted {
            // What it says does not matter: the first error does.
            let _ = self.deactivate(folder);
            return Err(error);
        }
        self.mount_path(folder).inspect_err(|_| {
            let _ = self.unprepare(folder);
            let _ = self.deactivate(folder);
        })
    }

    /// Where a mounted scratch is seen: `\\?\Volume{...}\`; for a read-only layer its folder.
    ///
    /// # Errors
    ///
    /// ERROR_NOT_FOUND when the platform names no path: the layer is not mounted.
    pub fn mount_path(&self, folder: &Path) -> Result<String> {
        let disk = folder.join("sandbox.vhdx");
        match &self.storage {
            Some(storage) if disk.exists() => storage.mount_path(&VirtualDisk::open(&disk)?),
            _ => self.legacy_mount_path(folder),
        }
    }

    fn legacy_mount_path(&self, folder: &Path) -> Result<String> {
        const CALL: &str = "GetLayerMountPath";
        let folder = plain_if_short(folder)?;
        let id = wide(&folder);
        let get = self.vmcompute.GetLayerMountPath()?;
        // In units, the NUL included.
        let mut length = 0usize;
        // SAFETY: the description and the string, which ends with a NUL, outlive the call; without a
        // buffer only the length is told.
        let code = unsafe { get(&driver_info(), id.as_ptr(), &mut length, ptr::null_mut()) };
        check_hresult(CALL, &folder, code)?;
        if length == 0 {
            return Err(PlatformError::new(CALL, folder, PlatformCode::Win32(1168)));
        }
        // The longest path has 32,767 units; more is no length.
        let mut path = vec![0u16; length.min(1 << 16)];
        let mut length = path.len();
        // SAFETY: as above; the buffer has as many units as said.
        let code = unsafe { get(&driver_info(), id.as_ptr(), &mut length, path.as_mut_ptr()) };
        check_hresult(CALL, &folder, code)?;
        Ok(from_wide(&path).to_string_lossy().into_owned())
    }

    /// Takes the layer filter away.
    pub fn unprepare(&self, folder: &Path) -> Result<()> {
        if let Some(storage) = &self.storage {
            let volume = self.mount_path(folder)?;
            return storage.detach_filter(folder, &volume);
        }
        let unprepare = self.vmcompute.UnprepareLayer()?;
        self.vmcompute.on_layer("UnprepareLayer", unprepare, folder)
    }

    /// Detaches the disk.
    pub fn deactivate(&self, folder: &Path) -> Result<()> {
        let disk = folder.join("sandbox.vhdx");
        if self.storage.is_some() && disk.exists() {
            match VirtualDisk::open(&disk)?.detach() {
                // Server 2019 cannot detach what another handle attached; the older call can.
                Err(error) if error.win32() == Some(87) => {}
                result => return result,
            }
        }
        let deactivate = self.vmcompute.DeactivateLayer()?;
        let call = "DeactivateLayer";
        self.vmcompute.on_layer(call, deactivate, folder)
    }

    /// Deletes the folder and all in it, whatever the objects are.
    pub fn destroy_layer(&self, folder: &Path) -> Result<()> {
        if let Some(storage) = &self.storage {
            return storage.destroy(folder);
        }
        let destroy = self.vmcompute.DestroyLayer()?;
        self.vmcompute.on_layer("DestroyLayer", destroy, folder)
    }

    /// Whether the platform knows a layer there.
    pub fn layer_exists(&self, folder: &Path) -> Result<bool> {
        let folder = plain_if_short(folder)?;
        let id = wide(&folder);
        let exists = self.vmcompute.LayerExists()?;
        let mut answer = 0u32;
        // SAFETY: the description and the string, which ends with a NUL, outlive the call; the
        // number is ours to write.
        let code = unsafe { exists(&driver_info(), id.as_ptr(), &mut answer) };
        check_hresult("LayerExists", &folder, code)?;
        Ok(answer != 0)
    }

    /// Lets the virtual machine `vm_id` (a GUID in text) open `file`.
    pub fn grant_vm_access(&self, vm_id: &str, file: &Path) -> Result<()> {
        self.vmcompute.grant_vm_access(vm_id, file)
    }
}

/// Tries again, after a pause, while the volume of a disk just attached has not come.
fn again_while_late<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    let mut result = call();
    for _ in 0..RETRIES {
        match &result {
            Err(error) if error.is_device_race() => thread::sleep(PAUSE),
            _ => break,
        }
        result = call();
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_the_error_names_it() {
        if std::env::var_os("WINLAYER_DOUBLES").is_some() || crate::facts::wine_version().is_none()
        {
            return;
        }
        for family in [Family::VmCompute, Family::ComputeStorage] {
            let error = HostCompute::load(family).unwrap_err();
            assert!(error.is_missing_function());
            assert_eq!(error.win32(), Some(126));
            let text = error.to_string();
            assert!(
                text.starts_with("LoadLibraryExW vmcompute.dll failed"),
                "{text}"
            );
            let remedy = error.remedy().unwrap();
            assert!(remedy.contains("FeatureName Containers"), "{remedy}");
        }
    }

    #[test]
    fn only_a_late_disk_is_waited_for() {
        let late = || PlatformError::new("x", "y", PlatformCode::HResult(0x8007_0015));
        let mut calls = 0;
        let result = again_while_late(|| {
            calls += 1;
            if calls < 3 { Err(late()) } else { Ok(calls) }
        });
        assert_eq!(result.unwrap(), 3);

        let mut calls = 0;
        let error = again_while_late(|| -> Result<()> {
            calls += 1;
            Err(late())
        });
        assert_eq!((calls, error.unwrap_err()), (6, late()));

        let mut calls = 0;
        let error = again_while_late(|| -> Result<()> {
            calls += 1;
            Err(PlatformError::new(
                "x",
                "y",
                PlatformCode::HResult(0x8007_0005),
            ))
        });
        assert!(error.is_err() && calls == 1);
    }
}
