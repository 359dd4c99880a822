//! `winlayer verify`.

mod disk;

use crate::args::VerifyArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Reporter;
use crate::source::Source;
use crate::text::{self, count, escape};
use std::path::Path;
use winlayer::{Reference, Verified, verify_image, verify_store, verify_tree};

pub(crate) fn run(args: &VerifyArgs, output: &mut Output) -> Result<(), Failure> {
    let is_directory = args.subject.is_dir();
    if !is_directory && let Ok(Source::Disk(path)) = Source::of(&args.subject) {
        return disk::run(&args.disk.file(&path), args, output);
    }
    args.disk.refuse_for_image()?;
    if args.files {
        return Err(Failure::usage("--files only goes with a disk"));
    }
    let verified = match is_directory {
        true => verify_directory(&args.subject, args.metadata.as_deref())?,
        false => verify_reference(args, output)?,
    };
    if output.is_json() {
        return output.document(&verified);
    }
    output.summary(&describe(&args.subject, &verified))
}

fn verify_directory(dir: &Path, metadata: Option<&Path>) -> Result<Verified, Failure> {
    if let Some(metadata) = metadata {
        return Ok(verify_tree(dir, metadata)?);
    }
    if dir.join("oci-layout").is_file() {
        let message = format!("{} is an OCI layout, not something unpacked", dir.display());
        return Err(Failure::usage(message).with_hint(format!("verify oci:{}", dir.display())));
    }
    Ok(verify_store(dir)?)
}

fn verify_reference(args: &VerifyArgs, output: &Output) -> Result<Verified, Failure> {
    let subject = args.subject.display();
    let reference: Reference = args.subject.to_string_lossy().parse().map_err(|error| {
        Failure::usage(format!(
            "{subject} is neither an existing directory or file nor an image: {error}"
        ))
    })?;
    if args.metadata.is_some() {
        return Err(Failure::usage(format!(
            "--metadata only goes with a tree; {subject} is an image"
        )));
    }
    let image = args.source.resolve(&reference).map_err(|failure| {
        // A mistyped directory reads like a short name on Docker Hub.
        match args.subject.to_string_lossy().contains([':', '@']) {
            true => failure,
            false => failure.with_hint(format!(
                "{subject} is no directory or file of this machine, so it was taken for the image {reference}"
            )),
        }
    })?;
    let reporter = Reporter::start(image.layers(), output);
    let observer = Some(reporter.observer());
    let verified = verify_image(&image, args.jobs.jobs(), &args.limits.limits(), observer);
    reporter.finish();
    Ok(verified?)
}

fn describe(subject: &Path, verified: &Verified) -> String {
    format!(
        "verified {}: {}, {}, {} in {}\n",
        escape(&subject.to_string_lossy()),
        count(verified.layers, "layer", "layers"),
        count(verified.entries, "entry", "entries"),
        text::size(verified.bytes),
        text::duration(verified.seconds),
    )
}
