//! Layers that the Windows container platform can mount.
//!
//! A base layer is written as real NTFS objects, once: straight from the tar through backup streams.
//! Any other layer goes through the platform's own import: its `Files` and `Hives` are staged in the
//! transport format, its utility VM is written as real objects.
//!
//! ```text
//!          stage (this layer only)             finish (layers below are there)     in its place
//! base     Files, UtilityVM      ─► ingest     hard links, times                   ProcessBaseImage
//! diff     Files, Hives          ─► transport  clone the utility VM                ImportLayer, deletions,
//!          UtilityVM             ─► ingest                                         hard links, times
//! both                                                                             ProcessUtilityImage, layer.json
//! ```
//!
//! The index, the deletions and `layer.json` are those of a layer folder, so everything that is
//! decided about a layer (names, links, what is deleted, what is cloned) is decided in one place, and
//! a folder made elsewhere can be imported. Source of the steps: hcsshim `importlayer.go`,
//! `baselayerwriter.go`, `legacy.go`.

mod after_import;
mod assembly;
mod import;
mod live;
mod sink;
#[cfg(test)]
mod tests;
mod workers;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use winlayer_digest::ChainId;
use winlayer_image::Layer;
use winlayer_sys::{Dir, Family, HostCompute, ParentLayer, Privilege, PrivilegeGuard, Privileges};
use winlayer_tar::{LayerReader, LayerRole};

pub(crate) use import::{below, import_layer};

use super::folder::{self, FinishedLayer, PublishedLayer, StagedLayer};
use crate::{
    Error, HcsFamily, LayerStore, Result, StoreKind,
    store::{Ingest, LayerRecord, Role, Transport},
    unpack::LayerMaker,
};
use assembly::HcsAssembly;
use sink::HcsSink;

/// The platform, and the privileges its work needs.
#[derive(Debug)]
pub(crate) struct Hcs {
    calls: HostCompute,
    _privileges: PrivilegeGuard,
}

/// A layer staged for the platform.
#[derive(Debug)]
pub(crate) struct Staged<'a> {
    staged: StagedLayer,
    /// None for a base.
    transport: Option<Transport<'a>>,
}

impl Hcs {
    pub(crate) fn load(family: HcsFamily) -> Result<Self> {
        let calls = HostCompute::load(match family {
            HcsFamily::VmCompute => Family::VmCompute,
            HcsFamily::ComputeStorage => Family::ComputeStorage,
        })?;
        let wanted = [Privilege::Backup, Privilege::Restore, Privilege::Security];
        let guard = Privileges::acquire(&wanted)?;
        Ok(Self {
            calls,
            _privileges: guard,
        })
    }

    pub(crate) fn calls(&self) -> &HostCompute {
        &self.calls
    }

    /// The layers at these folders as parents, in the same order: immediate parent first.
    pub(crate) fn parents(&self, folders: &[PathBuf]) -> Result<Vec<ParentLayer>> {
        let parent = |folder: &PathBuf| self.calls.parent(folder);
        Ok(folders
            .iter()
            .map(parent)
            .collect::<std::result::Result<_, _>>()?)
    }

    /// Removes a layer folder by the platform's call; whatever it leaves, the caller removes.
    pub(crate) fn destroy(&self, folder: &Path) {
        let _ = self.calls.destroy_layer(folder);
    }

    /// From a complete ingest folder to a layer of the store. Whatever fails removes the layer.
    fn finish_in_place(
        &self,
        destroy: &(dyn Fn(&Path) + Sync),
        ingest: Ingest<'_>,
        transport: Option<Transport<'_>>,
        record: &LayerRecord,
        below: &[Arc<PublishedLayer>],
    ) -> Result<()> {
        if record.role == Role::Base {
            after_import::restore_directories(ingest.dir())?;
        }
        let layer = ingest.into_place(destroy)?;
        let path = layer.path();
        match transport {
            None => self.calls.process_base_image(&path)?,
            Some(transport) => {
                let folders: Vec<PathBuf> = below
                    .iter()
                    .rev()
                    .map(|layer| layer.dir().path().to_owned())
                    .collect();
                let parents = self.parents(&folders)?;
                self.calls
                    .import_layer(&path, &transport.path(), &parents)?;
                after_import::complete(&layer.open()?, record, below)?;
            }
        }
        self.utility_vm(&path, &layer.open()?)?;
        layer.finish(record)
    }

    /// Has the platform finish the utility VM, when there is one.
    pub(crate) fn utility_vm(&self, path: &Path, dir: &Dir) -> Result<()> {
        const UTILITY_VM: &str = "UtilityVM";
        if dir.stat(UTILITY_VM)?.is_none() {
            return Ok(());
        }
        // The platform would follow a link out of the layer.
        if dir.is_reparse_point(UTILITY_VM)? {
            return Err(Error::refused_entry(
                UTILITY_VM,
                "is a link, expected a directory",
            ));
        }
        if dir.stat("UtilityVM/Files")?.is_none() {
            return Ok(());
        }
        Ok(self.calls.process_utility_image(&path.join(UTILITY_VM))?)
    }
}

/// Works on the store of finished layers at `root`, which is made when missing and taken back when
/// nothing came of it.
pub(crate) fn in_store<T>(
    root: &Path,
    family: HcsFamily,
    work: impl FnOnce(&LayerStore, &HcsMaker<'_>) -> Result<T>,
) -> Result<T> {
    let hcs = Hcs::load(family)?;
    let destroy = |folder: &Path| hcs.destroy(folder);
    let store = LayerStore::open_or_create_kind(root, StoreKind::Hcs)?;
    store.remove_unfinished(&destroy)?;
    let maker = HcsMaker {
        hcs: &hcs,
        destroy: &destroy,
    };
    let done = work(&store, &maker);
    if done.is_err() {
        // The error of the work is the one to tell; an empty store that stays harms nobody.
        let _ = store.take_back();
    }
    done
}

/// Makes layers that the platform finishes.
pub(crate) struct HcsMaker<'h> {
    pub(crate) hcs: &'h Hcs,
    pub(crate) destroy: &'h (dyn Fn(&Path) + Sync),
}

impl LayerMaker for HcsMaker<'_> {
    type Staged<'a> = Staged<'a>;

    fn stage<'a>(
        &self,
        ingest: &Ingest<'a>,
        layer: &Layer,
        reader: LayerReader,
        most_names: u64,
        stop: &dyn Fn() -> Result<()>,
    ) -> Result<Staged<'a>> {
        let transport = match folder::role_of(layer) {
            LayerRole::Base => None,
            LayerRole::Diff => Some(ingest.transport(stop)?),
        };
        let mut sink = HcsSink::new(ingest.dir(), transport.as_ref().map(Transport::dir))?;
        let staged = folder::stage(ingest.dir(), &mut sink, layer, reader, most_names, stop)?;
        sink.finish()?;
        Ok(Staged { staged, transport })
    }

    fn finish(
        &self,
        store: &LayerStore,
        ingest: Ingest<'_>,
        layer: &Layer,
        staged: Staged<'_>,
        below: &[Arc<PublishedLayer>],
    ) -> Result<FinishedLayer> {
        let Staged { staged, transport } = staged;
        let dir = ingest.dir();
        let assembly = HcsAssembly {
            dir,
            transport: transport.as_ref().map(Transport::dir),
        };
        let layers = store.layers_path();
        let finished = folder::finish(dir, &assembly, layer, staged, below, &layers)?;
        self.hcs
            .finish_in_place(self.destroy, ingest, transport, &finished.record, below)?;
        Ok(finished)
    }
}

/// The ChainID a record names.
fn chain_id(text: &str, what: &str) -> Result<ChainId> {
    let damaged = |error| Error::damaged_by(what, "ChainID", error);
    text.parse().map_err(damaged)
}

/// The error for bytes that differ from what the index of their folder says.
fn differs(path: &str, what: impl Into<String>) -> Error {
    Error::damaged(crate::error::escape(path), what)
}
