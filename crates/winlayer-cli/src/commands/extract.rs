//! `winlayer extract`.

use crate::args::ExtractArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Reporter;
use crate::text::{self, count, escape};
use winlayer::{ExtractOptions, ExtractedDisk, extract_disk};

pub(crate) fn run(args: &ExtractArgs, output: &mut Output) -> Result<(), Failure> {
    let disk = args.file()?;
    let mut options = ExtractOptions::new(args.target()?);
    options.limits = args.limits.limits();
    let reporter = Reporter::start(&[], output);
    options.observer = Some(reporter.observer());
    let extracted = extract_disk(&disk, &args.dest, &options);
    reporter.finish();
    let extracted = extracted.map_err(|error| Failure::explained(error, &args.dest))?;
    if output.is_json() {
        return output.document(&extracted);
    }
    output.summary(&describe(&extracted))
}

fn describe(extracted: &ExtractedDisk) -> String {
    format!(
        "extracted {} to {}: {}, {} in {}\n",
        escape(&extracted.disk.to_string_lossy()),
        escape(&extracted.root.to_string_lossy()),
        count(extracted.entries, "entry", "entries"),
        text::size(extracted.bytes),
        text::duration(extracted.seconds),
    )
}
