//! Linux and macOS: what `winlayer-sys` asks of the kernel, and what may help beside it.

use super::list;
use crate::doctor::{Finding, facts::UnixFacts};

/// Below this not even one layer with its network connection is sure to fit.
const FEWEST_FILES: u64 = 64;
/// Enough for as many layers at a time as are ever read.
const ENOUGH_FILES: u64 = 256;

pub(super) fn judge(unix: &UnixFacts, findings: &mut Vec<Finding>) {
    findings.push(kernel(unix));
    if let Some(limit) = unix.open_files {
        findings.push(open_files(limit));
    }
    findings.push(inspection(unix));
}

fn kernel(unix: &UnixFacts) -> Finding {
    let system = unix.kernel.as_deref().unwrap_or("this system");
    match unix.openat2 {
        Some(true) => Finding::ok("kernel", system, "openat2 keeps every path below its root"),
        Some(false) => Finding::note(
            "kernel",
            system,
            "no openat2: each part of a path is opened by itself, just as safe but slower",
        )
        .remedy("Linux 5.6 or newer has it; in a container its system-call filter may hide it"),
        None => Finding::ok("kernel", system, "each part of a path is opened by itself"),
    }
}

fn open_files(limit: u64) -> Finding {
    let found = format!("{limit} files may be open at a time");
    let what = "limit of open files";
    if limit < FEWEST_FILES {
        Finding::problem("open-files", what, found).remedy("raise it: ulimit -n 1024")
    } else if limit < ENOUGH_FILES {
        Finding::warning("open-files", what, found)
            .remedy("raise it with ulimit -n 1024, or unpack with --jobs 1")
    } else {
        Finding::ok("open-files", what, found)
    }
}

/// Windows keeps a scratch in a VHDX with NTFS in it; with these one can look inside.
fn inspection(unix: &UnixFacts) -> Finding {
    let found = |(name, path): &(&'static str, Option<_>)| path.is_some().then_some(*name);
    let mut there: Vec<&str> = unix.tools.iter().filter_map(found).collect();
    if unix.fuse {
        there.insert(0, "FUSE");
    }
    let mut missing: Vec<&str> = unix
        .tools
        .iter()
        .filter(|(_, path)| path.is_none())
        .map(|(name, _)| *name)
        .collect();
    if !unix.fuse {
        missing.insert(0, "FUSE");
    }
    let what = "optional tools";
    if missing.is_empty() {
        return Finding::ok("tools", what, format!("{} are there", list(&there)));
    }
    let found = format!("without {}", list(&missing));
    Finding::note("tools", what, found).remedy(
        "only needed to look into VHDX files that Windows made; unpacking uses none of them",
    )
}
