//! `winlayer reg-diff`.

use super::looking_into;
use super::reg::{data, name};
use crate::args::RegDiffArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::escape;
use serde::Serialize;
use std::fmt::Write;
use winlayer::{Change, Image, ImageRegistry, KeyChange, read_registry, registry_diff};

#[derive(Serialize)]
struct Difference {
    a: String,
    b: String,
    layer_a: Option<usize>,
    layer_b: Option<usize>,
    keys: Vec<KeyChange>,
}

pub(crate) fn run(args: &RegDiffArgs, output: &mut Output) -> Result<(), Failure> {
    let image_a = args.source.resolve(&args.a)?;
    let image_b = args.source.resolve(&args.b)?;
    let a = read(&image_a, args, output)?;
    // Two layers of one image are the usual question.
    let same = image_a.manifest_digest() == image_b.manifest_digest();
    let b = match same {
        true => None,
        false => Some(read(&image_b, args, output)?),
    };
    let b = b.as_ref().unwrap_or(&a);
    let mut keys = Vec::new();
    registry_diff((&a, args.layer_a), (b, args.layer_b), &mut |change| {
        keys.push(change);
    })?;
    if output.is_json() {
        return output.document(&Difference {
            a: args.a.to_string(),
            b: args.b.to_string(),
            layer_a: args.layer_a,
            layer_b: args.layer_b,
            keys,
        });
    }
    for change in &keys {
        output.data(&describe(change))?;
    }
    Ok(())
}

fn read(image: &Image, args: &RegDiffArgs, output: &Output) -> Result<ImageRegistry, Failure> {
    let (jobs, limits) = (args.jobs.jobs(), args.limits.limits());
    let read =
        |observer: Option<&dyn winlayer::Observer>| read_registry(image, jobs, &limits, observer);
    Ok(looking_into(image, output, read)?)
}

/// A line for the key, and one for each value.
pub(super) fn describe(change: &KeyChange) -> String {
    let mark = |change| match change {
        Change::Added => '+',
        Change::Removed => '-',
        Change::Changed => '~',
    };
    let mut text = format!("{} {}\n", mark(change.change), escape(&change.key));
    for value in &change.values {
        let Some(shown) = value.after.as_ref().or(value.before.as_ref()) else {
            continue;
        };
        let of = |side: &Option<_>| side.as_ref().map(|value| data(value, "; "));
        let content = match (of(&value.before), of(&value.after)) {
            (Some(before), Some(after)) => format!("{before} -> {after}"),
            (before, after) => after.or(before).unwrap_or_default(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "    {} {}  {}  {}",
            mark(value.change),
            name(shown),
            shown.kind,
            content
        );
    }
    text
}
