//! `winlayer inspect`.

use super::unpack::platform;
use super::{looking_into, reg_diff};
use crate::args::InspectArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Reporter;
use crate::text::{self, Facts, count, escape};
use std::fmt::Write;
use winlayer::{
    ImageFacts, InspectOptions, LayerChanges, LayerContents, LayerFacts, Update, WindowsFacts,
    inspect,
};

pub(crate) fn run(args: &InspectArgs, output: &mut Output) -> Result<(), Failure> {
    let image = args.source.resolve(&args.image)?;
    let options = InspectOptions {
        contents: args.contents,
        registry: !args.no_registry,
        changes_of: args.layer,
        jobs: args.jobs.jobs(),
        limits: args.limits.limits(),
    };
    let facts = if options.contents {
        let reporter = Reporter::start(image.layers(), output);
        let facts = inspect(&image, &options, Some(reporter.observer().as_ref()));
        reporter.finish();
        facts?
    } else {
        looking_into(&image, output, |observer| {
            // Without the registry nothing is read.
            inspect(&image, &options, observer.filter(|_| options.registry))
        })?
    };
    if output.is_json() {
        return output.document(&facts);
    }
    output.data(&describe(&facts))?;
    if let Some(changes) = &facts.changes {
        output.data(&describe_changes(changes))?;
    }
    Ok(())
}

fn describe(image: &ImageFacts) -> String {
    let mut facts = Facts::default();
    facts.add("image", &image.image);
    facts.add("manifest", &image.manifest_digest);
    facts.add("platform", platform(&image.platform));
    if !image.platform.os_features.is_empty() {
        facts.add("features", image.platform.os_features.join(", "));
    }
    if let Some(windows) = &image.windows {
        describe_windows(windows, &mut facts);
    }
    for finding in &image.findings {
        facts.add("problem", finding.to_string());
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

fn describe_windows(windows: &WindowsFacts, facts: &mut Facts) {
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.add(name, value);
        }
    };
    let product = [&windows.product, &windows.display_version];
    let product: Vec<&str> = product.into_iter().flatten().map(String::as_str).collect();
    say(
        "product",
        Some(product.join(" ")).filter(|text| !text.is_empty()),
    );
    let edition = [&windows.edition, &windows.installation_type];
    let edition: Vec<&str> = edition.into_iter().flatten().map(String::as_str).collect();
    say(
        "edition",
        Some(edition.join(", ")).filter(|text| !text.is_empty()),
    );
    let said = windows.config_version.as_deref().unwrap_or_default();
    say(
        "installed",
        windows
            .version
            .as_ref()
            .map(|version| match windows.version_matches {
                Some(false) => format!("{version}, but the config says {said}"),
                _ => version.clone(),
            }),
    );
    say("cumulative", windows.cumulative_level.clone());
    say(
        ".NET",
        windows.dotnet.as_ref().map(|dotnet| match dotnet.version {
            Some(version) => format!("Framework {version} (release {})", dotnet.release),
            None => format!("Framework, release {}", dotnet.release),
        }),
    );
    let mut list = |name: &str, lines: Vec<String>| {
        let names = std::iter::once(name).chain(std::iter::repeat(""));
        for (name, line) in names.zip(lines) {
            facts.add(name, line);
        }
    };
    list(
        "updates",
        windows.updates.iter().map(describe_update).collect(),
    );
    let programs = windows.programs.iter().map(|program| {
        let of = |text: &Option<String>, before| {
            let text = text.as_ref().map(|text| format!("{before}{text}"));
            text.unwrap_or_default()
        };
        let (version, publisher) = (of(&program.version, " "), of(&program.publisher, ", "));
        format!("{}{version}{publisher}", program.name)
    });
    list("programs", programs.collect());
    let automatic = |service: &&winlayer::Service| {
        !service.driver && service.start.as_deref() == Some("automatic")
    };
    let services = windows.services.iter().filter(|service| !service.driver);
    let number = u64::try_from(services.count()).unwrap_or(u64::MAX);
    let automatic = windows.services.iter().filter(automatic);
    let names: Vec<&str> = automatic.map(|service| service.name.as_str()).collect();
    if number > 0 {
        let started = match names.is_empty() {
            true => "none started automatically".to_owned(),
            false => format!("started automatically: {}", names.join(", ")),
        };
        let all = count(number, "service", "services");
        list("services", vec![format!("{all}, {started}")]);
    }
    let variables = windows.environment.iter();
    let variables = variables.map(|variable| format!("{}={}", variable.name, variable.value));
    list("environment", variables.collect());
}

/// `KB5032198 20348.2113.1.0 installed 2023-11-14`.
fn describe_update(update: &Update) -> String {
    let name = match &update.kb {
        Some(kb) => kb,
        None if update.cumulative => "cumulative update",
        None => update.package.as_str(),
    };
    let mut line = name.to_owned();
    for more in [update.version.as_deref(), Some(update.state.as_str())] {
        line.extend(more.map(|more| format!(" {more}")));
    }
    if let Some(day) = update.installed.as_deref().and_then(|time| time.get(..10)) {
        line.push(' ');
        line.push_str(day);
    }
    line
}

/// What a layer changed, hive by hive: a line with the numbers, then the keys.
fn describe_changes(changes: &LayerChanges) -> String {
    let mut text = String::new();
    for hive in &changes.hives {
        let what = match hive.whole {
            true => "a whole hive".to_owned(),
            false => format!(
                "{} added, {} removed, {} set, {} removed",
                count(hive.keys_added, "key", "keys"),
                text::thousands(hive.keys_removed),
                count(hive.values_set, "value", "values"),
                text::thousands(hive.values_removed),
            ),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\n{} in layer {} ({}): {what}",
            hive.hive,
            changes.layer,
            escape(&hive.entry)
        );
        for key in &hive.keys {
            text.push_str(&reg_diff::describe(key));
        }
    }
    text
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
