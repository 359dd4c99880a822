//! Developer commands: `cargo xtask <command>`.

mod bench;
mod dist;
mod fuzz;
mod run;
mod test;
mod windows;
mod zip;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Developer commands of winlayer

Usage: cargo xtask <COMMAND>

Commands:
  test                 everything CI checks: installs what it needs, then format, lints, tests, docs, licences
  setup                only installs what the tests need (Debian packages, peers, cargo-deny)
  bench [NAME...]      measures winlayer beside its peers and writes docs/benchmarks.md
                       names: verify, tree, folder, reuse, disk, hive (default: all); see also --help
  dist [--linux]       builds the program for Windows and packs it; with --linux the one for Linux too
  fuzz TARGET [SECS]   runs a fuzz target (needs cargo-fuzz and a nightly toolchain)
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["test"] => test::test(),
        ["setup"] => test::setup(),
        ["bench", rest @ ..] => bench::bench(rest),
        // The benchmark of disks starts this as its peer.
        ["set-metadata", metadata, root] => bench::metadata::set(metadata.as_ref(), root.as_ref()),
        ["dist"] => dist::dist(false),
        ["dist", "--linux"] => dist::dist(true),
        ["fuzz", target] => fuzz::fuzz(target, "60"),
        ["fuzz", target, seconds] => fuzz::fuzz(target, seconds),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("unknown command {other:?}\n\n{HELP}"),
    }
}
