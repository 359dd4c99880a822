//! [`HostCompute`]: the layer calls of the container platform.

use std::path::Path;

use crate::{LayerGuid, ParentLayer, PlatformError};

type Result<T> = std::result::Result<T, PlatformError>;

/// Which of the two sets of layer calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// vmcompute.dll, since Windows 10 1607 and Server 2016. What container engines use.
    #[default]
    VmCompute,
    /// computestorage.dll, since build 17763, for the calls it has; vmcompute.dll for the others.
    ComputeStorage,
}

/// The layer calls. Paths may be relative (they are made absolute); lists of parents start with the
/// immediate parent.
///
/// The caller holds the privileges Backup, Restore and Security ([`Privileges`](crate::Privileges)).
/// May be shared between threads.
#[derive(Debug)]
pub struct HostCompute {
    family: Family,
}

impl HostCompute {
    /// Loads the libraries of `family` from System32.
    ///
    /// # Errors
    ///
    /// [`PlatformError::is_missing_function`] if this Windows lacks a library or a function every
    /// import needs; the remedy names the feature to install.
    pub fn load(family: Family) -> Result<Self> {
        todo!("{family:?}")
    }

    /// Which calls are used.
    pub fn family(&self) -> Family {
        self.family
    }

    /// `NameToGuid` of the last component of `folder`.
    pub fn layer_guid(&self, folder: &Path) -> Result<LayerGuid> {
        todo!("{folder:?}")
    }

    /// `folder` as a parent of another layer.
    pub fn parent(&self, folder: &Path) -> Result<ParentLayer> {
        todo!("{folder:?}")
    }

    /// Makes the layer folder `layer` from the transport folder `staging`. A path of `staging`
    /// longer than 247 characters is refused by the platform: keep it short.
    pub fn import_layer(
        &self,
        layer: &Path,
        staging: &Path,
        parents: &[ParentLayer],
    ) -> Result<()> {
        todo!("{layer:?} {staging:?} {parents:?}")
    }

    /// Writes the layer in transport format into `folder`, an empty or missing folder. A scratch
    /// must have been mounted and unmounted once.
    pub fn export_layer(&self, layer: &Path, folder: &Path, parents: &[ParentLayer]) -> Result<()> {
        todo!("{layer:?} {folder:?} {parents:?}")
    }

    /// Finishes a base layer: hives, layout file and the disks scratches are made from.
    pub fn process_base_image(&self, layer: &Path) -> Result<()> {
        todo!("{layer:?}")
    }

    /// Finishes a utility VM; `utility_vm` is the layer's folder `UtilityVM`.
    pub fn process_utility_image(&self, utility_vm: &Path) -> Result<()> {
        todo!("{utility_vm:?}")
    }

    /// Makes a scratch, a folder with `sandbox.vhdx`. The folder is created if missing.
    pub fn create_scratch(&self, folder: &Path, parents: &[ParentLayer]) -> Result<()> {
        todo!("{folder:?} {parents:?}")
    }

    /// Lets the scratch, not mounted, grow to `bytes`: its disk and the NTFS volume on it.
    pub fn expand_scratch(&self, folder: &Path, bytes: u64, parents: &[ParentLayer]) -> Result<()> {
        todo!("{folder:?} {bytes} {parents:?}")
    }

    /// Attaches the disk of a scratch; nothing happens to a read-only layer.
    pub fn activate(&self, folder: &Path) -> Result<()> {
        todo!("{folder:?}")
    }

    /// Puts the layer filter on an activated scratch, so that its volume shows the merged view.
    ///
    /// One call at a time in the process. When the disk's volume is late (Server 2019 under load),
    /// the layer is deactivated, and activated and prepared anew after 100 ms, at most five times.
    pub fn prepare(&self, folder: &Path, parents: &[ParentLayer]) -> Result<()> {
        todo!("{folder:?} {parents:?}")
    }

    /// Activates, prepares and returns [`Self::mount_path`]; on failure everything is undone.
    pub fn mount(&self, folder: &Path, parents: &[ParentLayer]) -> Result<String> {
        todo!("{folder:?} {parents:?}")
    }

    /// Where a mounted scratch is seen: `\\?\Volume{...}\`; for a read-only layer its folder.
    pub fn mount_path(&self, folder: &Path) -> Result<String> {
        todo!("{folder:?}")
    }

    /// Takes the layer filter away.
    pub fn unprepare(&self, folder: &Path) -> Result<()> {
        todo!("{folder:?}")
    }

    /// Detaches the disk.
    pub fn deactivate(&self, folder: &Path) -> Result<()> {
        todo!("{folder:?}")
    }

    /// Deletes the folder and all in it, whatever the objects are.
    pub fn destroy_layer(&self, folder: &Path) -> Result<()> {
        todo!("{folder:?}")
    }

    /// Whether the platform knows a layer there.
    pub fn layer_exists(&self, folder: &Path) -> Result<bool> {
        todo!("{folder:?}")
    }

    /// Lets the virtual machine `vm_id` (a GUID in text) open `file`.
    pub fn grant_vm_access(&self, vm_id: &str, file: &Path) -> Result<()> {
        todo!("{vm_id} {file:?}")
    }
}
