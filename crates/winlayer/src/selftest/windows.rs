//! The steps that only Windows can do.

use std::{
    io::BufWriter,
    path::{Path, PathBuf},
};

use winlayer_image::OciLayoutWriter;
use winlayer_tar::LayerRole;

use super::{Inventory, Subject, Walked, compared, layout_image, walk};
use crate::{
    Error, HcsFamily, LayerStore, Result, Target,
    hcs::{
        LayerOptions, ScratchOptions, create_scratch, destroy, export_layer, import_folder, mount,
        unmount,
    },
    sample::blob::{BlobWriter, Packing},
    unpack_windows_image, verify_store,
};

const FAMILY: HcsFamily = HcsFamily::VmCompute;

impl Subject<'_> {
    /// Finished layers in both ways, and what Windows shows of them.
    pub(super) fn finished_layers(&mut self, store: &Path, merged: Option<&Inventory>) {
        let what = "comparing times, attributes and links of finished layers: Wine keeps none";
        if !is_native() && !self.report.left_out.iter().any(|said| said == what) {
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
        self.exports(&finished, merged);
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

    fn top_of(&self, store: &Path) -> Result<PathBuf> {
        let missing = || Error::not_found("the image has no layers");
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
                self.step("compare the volume with the merged tar", |subject| {
                    let found = Walked::below(Path::new(&volume))?;
                    let expected = subject.with_hives_of_layers(merged)?;
                    let differences = walk::differences(&expected, &found, is_native());
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

    /// A volume shows each hive of the registry as the topmost layer with that file has it: deltas
    /// stay apart until a container starts. In a merged tar they are merged.
    fn with_hives_of_layers(&self, merged: &Inventory) -> Result<Inventory> {
        let mut volume = merged.clone();
        for number in 1..=self.image.layers().len() {
            volume.take_hives_of(self.inventory_of_layer(number)?);
        }
        Ok(volume)
    }

    /// What goes out again makes the image that came in. Single entries may differ: the platform
    /// spells deletions its own way, and exports whole files where a layer had links to those below.
    fn exports(&mut self, finished: &Path, merged: Option<&Inventory>) {
        let exported = self.dir.join("exported");
        let written = self.step("export every layer", |subject| {
            let layers = subject.export_to(finished, &exported)?;
            Ok(Ok(format!("{layers} layers")))
        });
        let Some(merged) = merged.filter(|_| written) else {
            return;
        };
        self.step("compare what the exported layers make", |subject| {
            let image = layout_image(&exported)?;
            let file = subject.dir.join("exported.tar");
            let options = subject.unpack_options(Target::Tar { layer: None });
            unpack_windows_image(&image, &file, &options)?;
            let found = subject.inventory_of_tar(&file, LayerRole::Base)?;
            let mut differences = merged.differences_in_content(&found, is_native());
            differences.retain(|difference| !is_of_the_platform(difference));
            Ok(compared(found.len(), differences))
        });
    }

    /// Makes an image of the layers' exports in the OCI layout `dest`.
    fn export_to(&self, finished: &Path, dest: &Path) -> Result<usize> {
        let store = LayerStore::open(finished)?;
        let mut layout = OciLayoutWriter::create(dest)?;
        let file = dest.join("layer.partial");
        let failed = |error| Error::io(format!("write {}", file.display()), error);
        let mut rows = Vec::new();
        for layer in self.image.layers() {
            let missing = || Error::not_found(format!("layer {} was not made", layer.chain_id));
            let folder = store.layer_folder(layer.chain_id)?.ok_or_else(missing)?;
            let packing = Packing::Zstd;
            let blob = BlobWriter::create(&file, packing).map_err(failed)?;
            let options = LayerOptions {
                parents: None,
                family: FAMILY,
            };
            let out = BufWriter::with_capacity(1 << 20, blob);
            let out = export_layer(&folder, &options, out)?.into_inner();
            let blob = out.map_err(|error| failed(error.into_error()))?;
            let blob = blob.finish().map_err(failed)?;
            layout.add_blob_file(&file, blob.digest)?;
            let media_type = packing.media_type().to_owned();
            rows.push((media_type, blob.digest, blob.bytes, blob.diff_id));
        }
        layout.finish(&rows, self.image.platform(), "latest")?;
        Ok(rows.len())
    }
}

/// What an export cannot give back: the descriptor of `Files` itself (hcsshim `legacy.go` reads that
/// of the folder the export made), and under Wine that of a file the platform's stand-in has edited.
fn is_of_the_platform(difference: &str) -> bool {
    let is =
        |path: &str| difference.strip_prefix(path) == Some(": the security descriptor differs");
    is("Files") || (!is_native() && is("UtilityVM/Files/EFI/Microsoft/Boot/BCD"))
}

/// Wine keeps no creation times, most attributes and no links.
fn is_native() -> bool {
    winlayer_sys::facts::wine_version().is_none()
}
