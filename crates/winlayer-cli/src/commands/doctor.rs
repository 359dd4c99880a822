//! `winlayer doctor`.

use crate::args::DoctorArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Reporter;
use crate::text::{count, escape};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use winlayer::Image;
use winlayer::doctor::{Finding, Needs, Severity, examine};

#[derive(Serialize)]
struct Document<'a> {
    dest: PathBuf,
    image: Option<String>,
    worst: Severity,
    findings: &'a [Finding],
}

/// Whether there was no problem.
pub(crate) fn run(args: &DoctorArgs, output: &mut Output) -> Result<bool, Failure> {
    let needs = match &args.image {
        Some(reference) => Some(needs(&args.source.resolve(reference)?, args, output)?),
        None => None,
    };
    let findings = examine(&args.dest, needs);
    let worst = findings.iter().map(|finding| finding.severity).max();
    let worst = worst.unwrap_or(Severity::Ok);
    if output.is_json() {
        let dest = std::path::absolute(&args.dest);
        output.document(&Document {
            dest: dest.unwrap_or_else(|_| args.dest.clone()),
            image: args.image.as_ref().map(ToString::to_string),
            worst,
            findings: &findings,
        })?;
    } else {
        output.data(&describe(&findings))?;
        output.summary(&sum_up(&findings))?;
    }
    Ok(worst < Severity::Problem)
}

fn needs(image: &Image, args: &DoctorArgs, output: &Output) -> Result<Needs, Failure> {
    let reporter = Reporter::start(image.layers(), output);
    let observer = reporter.observer();
    let limits = args.limits.limits();
    let needs = Needs::of(image, &args.dest, &limits, Some(observer.as_ref()));
    reporter.finish();
    Ok(needs?)
}

/// `problem  administrator: this process is not elevated`, and the remedy below.
pub(crate) fn describe(findings: &[Finding]) -> String {
    let width = Severity::Problem.name().len();
    let mut text = String::new();
    for finding in findings {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:width$}  {}: {}: {}",
            finding.severity.name(),
            finding.check,
            escape(&finding.looked_at),
            escape(&finding.found),
        );
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{:width$}  -> {}", "", escape(remedy));
        }
    }
    text
}

fn sum_up(findings: &[Finding]) -> String {
    let of = |severity| {
        let number = findings.iter().filter(|found| found.severity == severity);
        u64::try_from(number.count()).unwrap_or(u64::MAX)
    };
    let (problems, warnings) = (of(Severity::Problem), of(Severity::Warning));
    match (problems, warnings) {
        (0, 0) => "nothing is in the way\n".to_owned(),
        (0, warnings) => format!("{}, no problem\n", count(warnings, "warning", "warnings")),
        (problems, 0) => format!("{}\n", count(problems, "problem", "problems")),
        (problems, warnings) => format!(
            "{} and {}\n",
            count(problems, "problem", "problems"),
            count(warnings, "warning", "warnings")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity, remedy: Option<&str>) -> Finding {
        Finding {
            severity,
            check: "case",
            looked_at: "C:\\x\u{1b}".to_owned(),
            found: "is odd".to_owned(),
            remedy: remedy.map(str::to_owned),
        }
    }

    #[test]
    fn findings_line_up_with_their_remedies_below() {
        let findings = [
            finding(Severity::Ok, None),
            finding(Severity::Problem, Some("mend it")),
        ];
        assert_eq!(
            describe(&findings),
            "ok       case: C:\\x\\u{1b}: is odd\n\
             problem  case: C:\\x\\u{1b}: is odd\n         -> mend it\n"
        );
        assert_eq!(sum_up(&findings), "1 problem\n");
        assert_eq!(sum_up(&findings[..1]), "nothing is in the way\n");
    }
}
