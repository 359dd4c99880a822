//! `winlayer verify DISK`.

use crate::args::VerifyArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Reporter;
use crate::text::{self, count, escape};
use std::fmt::Write;
use winlayer::{DiskFile, VerifiedDisk, verify_disk};

pub(super) fn run(disk: &DiskFile, args: &VerifyArgs, output: &mut Output) -> Result<(), Failure> {
    if args.metadata.is_some() {
        let path = disk.path.display();
        let message = format!("--metadata only goes with a tree; {path} is a disk");
        return Err(Failure::usage(message));
    }
    let reporter = Reporter::start(&[], output);
    let observer = reporter.observer();
    let verified = verify_disk(disk, args.files, Some(observer.as_ref()));
    reporter.finish();
    let verified = verified?;
    if output.is_json() {
        output.document(&verified)?;
    } else {
        print(&verified, output)?;
    }
    if verified.errors == 0 {
        return Ok(());
    }
    output.flush()?;
    let errors = count(verified.errors, "error", "errors");
    let path = disk.path.display();
    Err(Failure::unsound(format!("{path} is damaged: {errors}")))
}

fn print(verified: &VerifiedDisk, output: &mut Output) -> Result<(), Failure> {
    for finding in &verified.findings {
        output.data(&format!("{finding}\n"))?;
    }
    for file in verified.files.iter().flatten() {
        output.data(&format!("{}  {}\n", file.sha256, escape(&file.path)))?;
    }
    output.summary(&describe(verified))
}

fn describe(verified: &VerifiedDisk) -> String {
    let mut text = format!("verified {}", escape(&verified.disk.to_string_lossy()));
    if let Some(volume) = &verified.volume {
        let (label, size) = (escape(&volume.label), text::size(volume.size));
        // Writing to a String cannot fail.
        let _ = match label.is_empty() {
            true => write!(text, ": a volume of {size}"),
            false => write!(text, ": volume \"{label}\" of {size}"),
        };
    }
    let _ = writeln!(
        text,
        ", {}, {} in {}: {}, {}",
        count(verified.objects, "object", "objects"),
        text::size(verified.bytes),
        text::duration(verified.seconds),
        count(verified.errors, "error", "errors"),
        count(verified.notes, "note", "notes"),
    );
    text
}
