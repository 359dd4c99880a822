//! Everything this crate does, tried on this machine with an image, and compared with its layers.
//!
//! ```text
//! for the sample, and for the image given:
//!   everywhere   layer folders ─► verify
//!                tree ─► verify              merged tar
//!                  └──── compare by walking ────┘
//!                each layer as a tar ─► compare entry by entry with the image's own
//!   on Windows   finished layers ─► scratch ─► mount ─► compare by walking ─► unmount
//!                every layer exported ─► merged tar of those ─► compare
//! ```
//!
//! A step that fails is told and the rest goes on, as far as it does not need that step: the report
//! is for somebody who cannot sit at the machine.

mod inventory;
mod walk;
#[cfg(windows)]
mod windows;

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Instant,
};

use serde::Serialize;
use winlayer_image::{Image, PlatformChoice, Reference, SourceOptions};
use winlayer_tar::{LayerReader, LayerRole, Limits, ReadOptions};

use self::{inventory::Inventory, walk::Walked};
use crate::{
    Error, Result, SampleOptions, Target, UnpackOptions, UnpackedImage,
    doctor::{Finding, examine},
    target::folder::role_of,
    unpack_windows_image, verify_store, verify_tree, write_sample,
};

/// What a self-test found.
#[derive(Clone, Debug, Serialize)]
pub struct SelftestReport {
    /// The version of this crate.
    pub winlayer: &'static str,
    /// Such as `windows x86_64`.
    pub system: String,
    /// What [`doctor`](crate::doctor) found before.
    pub findings: Vec<Finding>,
    /// In the order they were done.
    pub steps: Vec<SelftestStep>,
    /// What could not be tried here, and why.
    pub left_out: Vec<String>,
    /// Wall time of everything.
    pub seconds: f64,
}

impl SelftestReport {
    /// Whether no step failed.
    pub fn is_good(&self) -> bool {
        self.steps.iter().all(|step| step.ok)
    }
}

/// One step of a self-test.
#[derive(Clone, Debug, Serialize)]
pub struct SelftestStep {
    /// `sample`, or the image as it was named.
    pub image: String,
    /// What was done.
    pub name: String,
    /// Whether it went well.
    pub ok: bool,
    /// What was counted; of a step that failed, the error with its causes, or the differences.
    pub details: Vec<String>,
    /// Wall time.
    pub seconds: f64,
}

/// How to test.
#[derive(Debug, Default)]
pub struct SelftestOptions<'a> {
    /// An image to try besides the sample.
    pub image: Option<&'a Image>,
    /// What its layers may cost at most.
    pub limits: Limits,
    /// Leaves finished layers where they are; else the last steps remove them, for only Windows itself
    /// can.
    pub keep: bool,
}

/// Runs every step that can be run here, in `dir`, which must be empty; `told` hears of each when it
/// is done.
///
/// # Errors
///
/// Only when the sample image cannot be written or read; everything else is in the report.
pub fn selftest(
    dir: &Path,
    options: &SelftestOptions<'_>,
    told: &mut dyn FnMut(&SelftestStep),
) -> Result<SelftestReport> {
    let begun = Instant::now();
    let mut report = SelftestReport {
        winlayer: env!("CARGO_PKG_VERSION"),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        findings: examine(dir, None),
        steps: Vec::new(),
        left_out: Vec::new(),
        seconds: 0.0,
    };
    let sample = make_sample(&dir.join("sample-image"))?;
    let given = options.image.map(|image| ("image", image));
    let subjects = std::iter::once(("sample", &sample)).chain(given);
    for (place, image) in subjects {
        let name = match place {
            "sample" => place.to_owned(),
            _ => image.reference().to_string(),
        };
        let mut subject = Subject {
            image,
            dir: dir.join(place),
            name,
            options,
            report: &mut report,
            told,
        };
        subject.run();
    }
    if !cfg!(windows) {
        let what = "finishing, importing, mounting and exporting layers: only Windows can";
        report.left_out.push(what.to_owned());
    }
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// Its base has files enough for the walk to be worth something.
fn make_sample(dir: &Path) -> Result<Image> {
    let options = SampleOptions {
        files: 60,
        bytes: 2 << 20,
        ..SampleOptions::default()
    };
    write_sample(dir, &options)?;
    layout_image(dir)
}

/// The one image of an OCI layout.
fn layout_image(dir: &Path) -> Result<Image> {
    let reference = Reference::OciLayout {
        dir: dir.to_owned(),
        tag: None,
    };
    let options = SourceOptions {
        platform: PlatformChoice::default(),
        ..SourceOptions::default()
    };
    Ok(Image::resolve(&reference, &options)?)
}

/// One image and where its steps work.
struct Subject<'a> {
    image: &'a Image,
    dir: PathBuf,
    name: String,
    options: &'a SelftestOptions<'a>,
    report: &'a mut SelftestReport,
    told: &'a mut dyn FnMut(&SelftestStep),
}

/// What a step counted, or how what it compared differs.
type Outcome = Result<std::result::Result<String, Vec<String>>>;

/// So many differences are told; the rest are counted.
const TOLD_DIFFERENCES: usize = 25;

impl Subject<'_> {
    fn run(&mut self) {
        let store = self.dir.join("folder");
        if self.unpack("unpack to layer folders", Target::Folder, &store) {
            self.step("verify the layer folders", |_| {
                counted(&verify_store(&store)?)
            });
        }
        self.layers_as_tars();
        let merged = self.merged_tar();
        self.tree(merged.as_ref());
        #[cfg(windows)]
        self.finished_layers(&store, merged.as_ref());
    }

    fn tree(&mut self, merged: Option<&Inventory>) {
        let (tree, metadata) = (self.dir.join("tree"), self.dir.join("tree.jsonl"));
        let target = Target::Tree {
            metadata: Some(metadata.clone()),
            utility_vm: false,
        };
        if !self.unpack("unpack to a tree", target, &tree) {
            return;
        }
        self.step("verify the tree", |_| {
            counted(&verify_tree(&tree, &metadata)?)
        });
        if let Some(merged) = merged {
            self.step("compare the tree with the merged tar", |_| {
                let found = Walked::below(&tree)?;
                Ok(compared(
                    found.len(),
                    walk::differences(merged, &found, false),
                ))
            });
        }
    }

    /// The merged image as one tar, and what is in it.
    fn merged_tar(&mut self) -> Option<Inventory> {
        let file = self.dir.join("merged.tar");
        if !self.unpack("write the merged tar", Target::Tar { layer: None }, &file) {
            return None;
        }
        let mut merged = None;
        self.step("read the merged tar", |subject| {
            let inventory = subject.inventory_of_tar(&file, LayerRole::Base)?;
            let found = format!("{} names", inventory.len());
            merged = Some(inventory);
            Ok(Ok(found))
        });
        merged
    }

    fn layers_as_tars(&mut self) {
        for layer in self.image.layers() {
            let number = layer.index.saturating_add(1);
            let name = format!("write layer {number} as a tar and compare");
            self.step(&name, |subject| {
                let expected = subject.inventory_of_layer(number)?;
                let file = subject.dir.join(format!("layer{number}.tar"));
                let target = Target::Tar {
                    layer: Some(number),
                };
                unpack_windows_image(subject.image, &file, &subject.unpack_options(target))?;
                let found = subject.inventory_of_tar(&file, role_of(layer))?;
                Ok(compared(found.len(), expected.differences(&found)))
            });
        }
    }

    fn unpack(&mut self, name: &str, target: Target, dest: &Path) -> bool {
        self.step(name, |subject| {
            let options = subject.unpack_options(target);
            let unpacked = unpack_windows_image(subject.image, dest, &options)?;
            Ok(Ok(describe(&unpacked)))
        })
    }

    fn unpack_options(&self, target: Target) -> UnpackOptions {
        let mut options = UnpackOptions::new(target);
        options.limits = self.options.limits.clone();
        options
    }

    fn inventory_of_layer(&self, number: usize) -> Result<Inventory> {
        let index = number.saturating_sub(1);
        let layer = self.image.layers().get(index);
        let layer = layer.ok_or_else(|| Error::not_found(format!("no layer {number}")))?;
        let blob = self.image.open_layer(layer, None)?;
        Inventory::read(LayerReader::open(blob, self.read_options(role_of(layer))))
    }

    fn inventory_of_tar(&self, file: &Path, role: LayerRole) -> Result<Inventory> {
        let tar = File::open(file)
            .map_err(|error| Error::io(format!("open {}", file.display()), error))?;
        Inventory::read(LayerReader::open(tar, self.read_options(role)))
    }

    fn read_options(&self, role: LayerRole) -> ReadOptions {
        ReadOptions {
            limits: self.options.limits.clone(),
            role: Some(role),
            progress: None,
        }
    }

    /// Does one step and tells how it went.
    fn step(&mut self, name: &str, work: impl FnOnce(&mut Self) -> Outcome) -> bool {
        let begun = Instant::now();
        let outcome = std::fs::create_dir_all(&self.dir)
            .map_err(|error| Error::io(format!("create {}", self.dir.display()), error))
            .and_then(|()| work(self));
        let (ok, details) = match outcome {
            Ok(Ok(counted)) => (true, vec![counted]),
            Ok(Err(differences)) => (false, differences),
            Err(error) => (false, causes(&error)),
        };
        let step = SelftestStep {
            image: self.name.clone(),
            name: name.to_owned(),
            ok,
            details,
            seconds: begun.elapsed().as_secs_f64(),
        };
        (self.told)(&step);
        self.report.steps.push(step);
        ok
    }
}

fn describe(unpacked: &UnpackedImage) -> String {
    let entries: u64 = unpacked.layers.iter().map(|layer| layer.entries).sum();
    let mut text = format!("{} layers, {entries} entries", unpacked.layers.len());
    if !unpacked.warnings.is_empty() {
        text.push_str("; warned: ");
        text.push_str(&unpacked.warnings.join("; "));
    }
    text
}

#[allow(clippy::unnecessary_wraps, reason = "as every step gives it")]
fn counted(verified: &crate::Verified) -> Outcome {
    Ok(Ok(format!(
        "{} objects, {} bytes",
        verified.entries, verified.bytes
    )))
}

fn compared(
    names: usize,
    mut differences: Vec<String>,
) -> std::result::Result<String, Vec<String>> {
    if differences.is_empty() {
        return Ok(format!("{names} names, no difference"));
    }
    let rest = differences.len().saturating_sub(TOLD_DIFFERENCES);
    if rest > 0 {
        differences.truncate(TOLD_DIFFERENCES);
        differences.push(format!("and {rest} more"));
    }
    Err(differences)
}

fn causes(error: &Error) -> Vec<String> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source())
        .map(ToString::to_string)
        .collect()
}

// On Windows the steps need the platform or its doubles.
#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;
    use crate::testing::{dir, file, image};

    #[test]
    fn every_step_with_the_sample_goes_well() {
        let folder = tempfile::tempdir().unwrap();
        let mut told = Vec::new();
        let report = selftest(folder.path(), &SelftestOptions::default(), &mut |step| {
            told.push(step.name.clone());
        })
        .unwrap();
        let failed: Vec<_> = report.steps.iter().filter(|step| !step.ok).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        assert!(report.is_good());
        assert_eq!(told.len(), report.steps.len());
        assert!(told.contains(&"compare the tree with the merged tar".to_owned()));
        assert_eq!(report.left_out.len(), 1);
    }

    #[test]
    fn a_step_that_fails_is_told_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let image = image(
            &folder.path().join("layout"),
            &[vec![dir("Files"), file("Files/a", "a")]],
        );
        let blobs = folder.path().join("layout/blobs/sha256");
        let digest = image.layers()[0].digest.unwrap();
        std::fs::write(blobs.join(digest.hex()), "rot").unwrap();
        let place = folder.path().join("place");
        std::fs::create_dir(&place).unwrap();
        let options = SelftestOptions {
            image: Some(&image),
            ..SelftestOptions::default()
        };
        let report = selftest(&place, &options, &mut |_| {}).unwrap();
        assert!(!report.is_good());
        let (sample, rotten): (Vec<_>, Vec<_>) =
            report.steps.iter().partition(|step| step.image == "sample");
        assert!(sample.iter().all(|step| step.ok), "{sample:#?}");
        assert!(rotten.iter().all(|step| !step.ok), "{rotten:#?}");
        assert!(rotten.len() >= 3, "{rotten:#?}");
    }
}
