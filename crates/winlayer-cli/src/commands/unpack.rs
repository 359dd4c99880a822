//! `winlayer unpack`.

use crate::args::UnpackArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Reporter;
use crate::text::{self, Facts};
use winlayer::{Platform, UnpackOptions, UnpackedImage, UnpackedLayer, unpack_windows_image};

pub(crate) fn run(args: &UnpackArgs, output: &mut Output) -> Result<(), Failure> {
    let target = args.target()?;
    let image = args.source.resolve(&args.image)?;
    let reporter = Reporter::start(image.layers(), output);
    let mut options = UnpackOptions::new(target);
    options.limits = args.limits.limits();
    options.jobs = args.jobs.jobs();
    options.observer = Some(reporter.observer());
    let unpacked = unpack_windows_image(&image, &args.dest, &options);
    reporter.finish();
    let unpacked = unpacked.map_err(|error| Failure::explained(error, &args.dest))?;
    if output.is_json() {
        return output.document(&unpacked);
    }
    output.summary(&describe(&unpacked, args.first_layer()))
}

/// `first` is the number of the first of its layers.
fn describe(unpacked: &UnpackedImage, first: usize) -> String {
    let mut facts = Facts::default();
    facts.add("image", &unpacked.image);
    facts.add("manifest", &unpacked.manifest_digest);
    facts.add("platform", platform(&unpacked.platform));
    for (number, layer) in (first..).zip(&unpacked.layers) {
        facts.add(format!("layer {number}"), describe_layer(layer));
    }
    facts.add(unpacked.target, unpacked.root.display().to_string());
    if let Some(top) = unpacked.chain.first() {
        facts.add("top layer", top.path.display().to_string());
    }
    if let Some(uvm) = &unpacked.uvm {
        facts.add("utility VM", uvm.os_files_dir.display().to_string());
    }
    let mut text = facts.render();
    text.push_str(&total(unpacked));
    text
}

fn describe_layer(layer: &UnpackedLayer) -> String {
    let digest = layer.digest.as_deref().unwrap_or(&layer.diff_id);
    let size = text::size(layer.compressed_bytes);
    let what = if layer.reused {
        "already there".to_owned()
    } else {
        let entries = text::count(layer.entries, "entry", "entries");
        format!("{entries}, {}", text::duration(layer.seconds))
    };
    format!("{}  {size:>10}  {what}", text::short_digest(digest))
}

fn total(unpacked: &UnpackedImage) -> String {
    let fresh = || unpacked.layers.iter().filter(|layer| !layer.reused);
    let entries: u64 = fresh().map(|layer| layer.entries).sum();
    let bytes: u64 = fresh().map(|layer| layer.uncompressed_bytes).sum();
    let number = u64::try_from(fresh().count()).unwrap_or(u64::MAX);
    let seconds = text::duration(unpacked.seconds);
    if number == 0 {
        return format!("everything was there already, checked in {seconds}\n");
    }
    format!(
        "unpacked {}, {}, {} in {seconds}\n",
        text::count(number, "layer", "layers"),
        text::count(entries, "entry", "entries"),
        text::size(bytes),
    )
}

/// `windows/amd64 10.0.20348.2461`.
pub(super) fn platform(platform: &Platform) -> String {
    let Platform {
        os,
        architecture,
        os_version,
        ..
    } = platform;
    match os_version {
        Some(version) => format!("{os}/{architecture} {version}"),
        None => format!("{os}/{architecture}"),
    }
}
