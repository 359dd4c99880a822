//! The steps that only Windows can do.

use std::path::{Path, PathBuf};

use super::{Inventory, Subject, Walked, compared, role_of, walk};
use crate::{
    HcsFamily, LayerStore, Target,
    hcs::{
        LayerOptions, ScratchOptions, create_scratch, destroy, export_layer, import_folder, mount,
        unmount,
    },
    verify_store,
};

const FAMILY: HcsFamily = HcsFamily::VmCompute;

impl Subject<'_> {
    /// Finished layers in both ways, and what Windows shows of them.
    pub(super) fn finished_layers(&mut self, store: &Path, merged: Option<&Inventory>) {
        if !is_native() {
            let what = "comparing times, attributes and links of finished layers: Wine keeps none";
            self.report.left_out.push(what.to_owned());
        }
        let finished = self.dir.join("hcs");
        if !self.unpack(
            "unpack to finished layers",
            Target::Hcs { family: FAMILY },
            &finished,
        ) {
            return;
        }
        self.step("verify the finished layers", |_| {
            super::counted(&verify_store(&finished)?)
        });
        let imported = self.dir.join("import");
        self.step("import the layer folders", |subject| {
            let top = subject.top_of(store)?;
            let imported = import_folder(&top, &imported, FAMILY)?;
            Ok(Ok(format!("{} layers", imported.imported)))
        });
        self.scratch(&finished, merged);
        self.exports(&finished);
        if !self.options.keep {
            self.remove_layers(&[finished, imported]);
        }
    }

    /// Topmost first, as layers lie on each other.
    fn remove_layers(&mut self, stores: &[PathBuf]) {
        self.step("destroy the finished layers", |subject| {
            let mut removed = 0_usize;
            for root in stores {
                let Ok(store) = LayerStore::open(root) else {
                    continue;
                };
                for layer in subject.image.layers().iter().rev() {
                    if let Some(folder) = store.layer_folder(layer.chain_id)? {
                        destroy(&folder, FAMILY)?;
                        removed += 1;
                    }
                }
            }
            Ok(Ok(format!("{removed} layers")))
        });
    }

    fn top_of(&self, store: &Path) -> crate::Result<PathBuf> {
        let missing = || crate::Error::not_found("the image has no layers");
        let top = self.image.layers().last().ok_or_else(missing)?;
        let chain = LayerStore::open(store)?.chain(top.chain_id)?;
        Ok(chain.top().ok_or_else(missing)?.to_owned())
    }

    /// An empty scratch shows what its layers hold.
    fn scratch(&mut self, finished: &Path, merged: Option<&Inventory>) {
        let scratch = self.dir.join("scratch");
        let made = self.step("create a scratch", |subject| {
            let top = subject.top_of(finished)?;
            let chain = crate::LayerChain::from_layer_folder(&top)?;
            let parents = chain.layers.into_iter().map(|link| link.path).collect();
            let options = ScratchOptions {
                parents,
                family: FAMILY,
                ..ScratchOptions::default()
            };
            create_scratch(&scratch, &options)?;
            Ok(Ok("empty".to_owned()))
        });
        if !made {
            return;
        }
        let mut volume = None;
        self.step("mount the scratch", |_| {
            let options = LayerOptions {
                parents: None,
                family: FAMILY,
            };
            let path = mount(&scratch, &options)?;
            volume = Some(path.clone());
            Ok(Ok(path))
        });
        if let Some(volume) = volume {
            if let Some(merged) = merged {
                self.step("compare the volume with the merged tar", |_| {
                    let found = Walked::below(Path::new(&volume))?;
                    let differences = walk::differences(merged, &found, is_native());
                    Ok(compared(found.len(), differences))
                });
            }
            self.step("unmount the scratch", |_| {
                unmount(&scratch, FAMILY)?;
                Ok(Ok("done".to_owned()))
            });
        }
        self.step("destroy the scratch", |_| {
            destroy(&scratch, FAMILY)?;
            Ok(match scratch.exists() {
                true => Err(vec!["it is still there".to_owned()]),
                false => Ok("gone".to_owned()),
            })
        });
    }

    /// What goes out again is what came in.
    fn exports(&mut self, finished: &Path) {
        for layer in self.image.layers() {
            let number = layer.index.saturating_add(1);
            let name = format!("export layer {number} and compare");
            self.step(&name, |subject| {
                let store = LayerStore::open(finished)?;
                let missing = || crate::Error::not_found(format!("layer {number} was not made"));
                let folder = store.layer_folder(layer.chain_id)?.ok_or_else(missing)?;
                let file = subject.dir.join(format!("export{number}.tar"));
                let failed = |error| crate::Error::io(format!("write {}", file.display()), error);
                let out = std::fs::File::create(&file).map_err(failed)?;
                let out = std::io::BufWriter::with_capacity(1 << 20, out);
                let options = LayerOptions {
                    parents: None,
                    family: FAMILY,
                };
                let out = export_layer(&folder, &options, out)?;
                out.into_inner()
                    .map_err(|error| failed(error.into_error()))?;
                let expected = subject.inventory_of_layer(number)?;
                let found = subject.inventory_of_tar(&file, role_of(layer))?;
                Ok(compared(
                    found.len(),
                    expected.differences(&found, is_native()),
                ))
            });
        }
    }
}

/// Wine keeps no creation times, most attributes and no links.
fn is_native() -> bool {
    winlayer_sys::facts::wine_version().is_none()
}
