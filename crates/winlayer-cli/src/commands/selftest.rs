//! `winlayer selftest`.

use crate::args::SelftestArgs;
use crate::commands::{demo::make_empty, doctor};
use crate::failure::Failure;
use crate::output::Output;
use crate::text::{self, count, escape};
use std::path::Path;
use std::{env, fs};
use winlayer::doctor::Severity;
use winlayer::{SelftestOptions, SelftestReport, SelftestStep, selftest};

/// Whether every step went well.
pub(crate) fn run(args: &SelftestArgs, output: &mut Output) -> Result<bool, Failure> {
    let Some(dir) = &args.dest else {
        let scratch = tempfile::Builder::new()
            .prefix("winlayer-selftest-")
            .tempdir()
            .map_err(|error| Failure::io("make a directory in", &env::temp_dir(), &error))?;
        let result = test(scratch.path(), args, output);
        let path = scratch.path().to_path_buf();
        if args.keep {
            let _ = scratch.keep();
            output.summary(&format!("kept in {}\n", path.display()))?;
        } else {
            scratch
                .close()
                .map_err(|error| Failure::io("remove", &path, &error))?;
        }
        return result;
    };
    make_empty(dir)?;
    let result = test(dir, args, output);
    if !args.keep {
        clear(dir)?;
    }
    result
}

fn test(dir: &Path, args: &SelftestArgs, output: &mut Output) -> Result<bool, Failure> {
    let image = match &args.image {
        Some(reference) => Some(args.source.resolve(reference)?),
        None => None,
    };
    let shows = !output.is_json() && !output.is_quiet();
    let mut failed = None;
    let mut told = |step: &SelftestStep| {
        if shows {
            let shown = output.data(&describe(step)).and_then(|()| output.flush());
            failed = failed.take().or(shown.err());
        }
    };
    let options = SelftestOptions {
        image: image.as_ref(),
        limits: args.limits.limits(),
        keep: args.keep,
    };
    let report = selftest(dir, &options, &mut told)?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    write_report(&report, &args.report)?;
    if output.is_json() {
        output.document(&report)?;
    } else {
        output.summary(&sum_up(&report, &args.report))?;
    }
    Ok(report.is_good())
}

fn write_report(report: &SelftestReport, path: &Path) -> Result<(), Failure> {
    let mut json = serde_json::to_vec_pretty(report).map_err(std::io::Error::from)?;
    json.push(b'\n');
    fs::write(path, json).map_err(|error| Failure::io("write", path, &error))
}

/// Only what this run made is there.
fn clear(dir: &Path) -> Result<(), Failure> {
    for name in ["sample-image", "sample", "image"] {
        let path = dir.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(|error| Failure::io("remove", &path, &error))?;
        }
    }
    Ok(())
}

/// `ok      sample: verify the tree: 541 objects (0.05 s)`, or what failed below.
fn describe(step: &SelftestStep) -> String {
    let word = if step.ok { "ok    " } else { "FAILED" };
    let seconds = text::duration(step.seconds);
    let title = format!("{word}  {}: {}", escape(&step.image), escape(&step.name));
    match step.details.as_slice() {
        [counted] if step.ok => format!("{title}: {} ({seconds})\n", escape(counted)),
        details => {
            let lines = details
                .iter()
                .map(|line| format!("          {}\n", escape(line)));
            format!("{title} ({seconds})\n{}", lines.collect::<String>())
        }
    }
}

fn sum_up(report: &SelftestReport, file: &Path) -> String {
    let failed = report.steps.iter().filter(|step| !step.ok).count();
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let steps = count(number(report.steps.len()), "step", "steps");
    let verdict = match failed {
        0 => "all went well".to_owned(),
        failed => format!("{} failed", number(failed)),
    };
    let seconds = text::duration(report.seconds);
    let mut text = format!("\n{steps}, {verdict}, in {seconds}\n");
    for what in &report.left_out {
        text.push_str(&format!("left out: {what}\n"));
    }
    let mut findings = report.findings.clone();
    findings.retain(|finding| finding.severity >= Severity::Warning);
    if !findings.is_empty() {
        text.push_str("found on this machine:\n");
        text.push_str(&doctor::describe(&findings));
    }
    text.push_str(&format!("report: {}\n", file.display()));
    text
}
