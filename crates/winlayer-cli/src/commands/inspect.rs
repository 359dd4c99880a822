//! `winlayer inspect`.

use super::unpack::platform;
use crate::args::InspectArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Reporter;
use crate::text::{self, Facts, count};
use winlayer::{ImageFacts, LayerContents, LayerFacts, inspect};

pub(crate) fn run(args: &InspectArgs, output: &mut Output) -> Result<(), Failure> {
    let image = args.source.resolve(&args.image)?;
    let limits = args.limits.limits();
    let facts = if args.contents {
        let reporter = Reporter::start(image.layers(), output);
        let facts = inspect(&image, true, &limits, Some(reporter.observer().as_ref()));
        reporter.finish();
        facts?
    } else {
        inspect(&image, false, &limits, None)?
    };
    if output.is_json() {
        return output.document(&facts);
    }
    output.data(&describe(&facts))
}

fn describe(image: &ImageFacts) -> String {
    let mut facts = Facts::default();
    facts.add("image", &image.image);
    facts.add("manifest", &image.manifest_digest);
    facts.add("platform", platform(&image.platform));
    if !image.platform.os_features.is_empty() {
        facts.add("features", image.platform.os_features.join(", "));
    }
    for layer in &image.layers {
        describe_layer(layer, &mut facts);
    }
    let total: u64 = image
        .layers
        .iter()
        .map(|layer| layer.compressed_bytes)
        .sum();
    let number = u64::try_from(image.layers.len()).unwrap_or(u64::MAX);
    facts.add(
        "total",
        format!(
            "{}, {}",
            count(number, "layer", "layers"),
            text::size(total)
        ),
    );
    facts.render()
}

fn describe_layer(layer: &LayerFacts, facts: &mut Facts) {
    let digest = layer.digest.as_deref().unwrap_or(&layer.diff_id);
    let size = text::size(layer.compressed_bytes);
    facts.add(
        format!("layer {}", layer.number),
        format!("{digest}  {size}"),
    );
    facts.add("", &layer.media_type);
    facts.add("", format!("chain {}", layer.chain_id));
    if let Some(command) = &layer.created_by {
        facts.add("", format!("by {command}"));
    }
    for url in &layer.urls {
        facts.add("", format!("from {url}"));
    }
    if let Some(contents) = &layer.contents {
        facts.add("", describe_contents(contents));
        if !contents.hives.is_empty() {
            facts.add("", format!("hives: {}", contents.hives.join(", ")));
        }
    }
}

/// What is there; kinds that do not occur are not mentioned.
fn describe_contents(contents: &LayerContents) -> String {
    let mut said = vec![text::size(contents.uncompressed_bytes)];
    let mut say = |number, one, many| {
        if number > 0 {
            said.push(count(number, one, many));
        }
    };
    say(contents.files, "file", "files");
    say(contents.directories, "directory", "directories");
    say(contents.links, "link", "links");
    say(contents.hard_links, "hard link", "hard links");
    say(contents.streams, "alternate stream", "alternate streams");
    say(contents.whiteouts, "whiteout", "whiteouts");
    say(
        contents.opaque_whiteouts,
        "opaque directory",
        "opaque directories",
    );
    if contents.utility_vm {
        said.push("a utility VM".to_owned());
    }
    said.join(", ")
}
