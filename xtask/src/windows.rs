//! The part of `test` that builds for Windows and runs that in Wine.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::run::{cargo, command, run, works};

const TARGET: &str = "x86_64-pc-windows-gnu";
/// Test libraries in place of the platform's, which Wine lacks.
const DOUBLES: &str = "winlayer-cli/doubles";
const RUNNER: &str = "winlayer-wine";

/// What runs in Wine: all but what starts Debian's tools, listed in docs/windows.md.
const PACKAGES: &[&str] = &[
    "winlayer-digest",
    "winlayer-metadata",
    "winlayer-hive",
    "winlayer-sys",
    "winlayer-tar",
    "winlayer-image",
    "winlayer",
    "winlayer-cli",
    "winlayer-double-common",
];

/// The one test among them that starts Python.
const NOT_IN_WINE: &str = "python_agrees_on_what_is_accepted";

/// Twice what the tests take on two slow cores; one that hangs in Wine must not hold up everything.
const MOST_SECONDS: &str = "2400";

/// Lints and tests for Windows. Says what could not be tested because this machine cannot be set up.
pub fn test() -> Result<Option<String>> {
    if !cfg!(target_os = "linux") {
        return Ok(Some(
            "Windows: the tests that run winlayer.exe in Wine need Linux".to_owned(),
        ));
    }
    if let Err(error) = set_up() {
        let untested = format!(
            "Windows: neither lints nor tests for {TARGET}, and nothing was run in Wine: {error:#}"
        );
        println!("{untested}");
        return Ok(Some(untested));
    }
    // With the doubles the program is as ever until WINLAYER_DOUBLES names their folder.
    let for_windows = |verb: &str| {
        let mut cargo = cargo(&[verb, "--target", TARGET, "--features", DOUBLES]);
        // Half the time to link, and what a backtrace needs.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        cargo
    };
    let everything = ["--workspace", "--all-targets", "--", "--deny", "warnings"];
    run(for_windows("clippy").args(everything))?;
    // The tests load the libraries that this builds and start the program.
    run(for_windows("build").arg("--workspace"))?;
    let mut tests = for_windows("test");
    for package in PACKAGES {
        tests.args(["--package", package]);
    }
    // Examples in the documentation are compiled and run on the host.
    tests.args(["--tests", "--", "--skip", NOT_IN_WINE]);
    run(&mut in_time(&mut tests))?;

    let arguments = [
        "test",
        "--package",
        "winlayer-cli",
        "--features",
        "wine",
        "--test",
        "wine",
    ];
    let exe = target_dir()?.join(TARGET).join("debug/winlayer.exe");
    run(in_time(&mut cargo(&arguments)).env("WINLAYER_EXE", exe))?;
    Ok(None)
}

/// Makes the target and the runner available.
fn set_up() -> Result<()> {
    if let Some(script) = set_up_script() {
        return run(&mut command("bash", &[&script.to_string_lossy()]));
    }
    println!("no setup-windows-target found, trying rustup and the system's packages");
    run(&mut command("rustup", &["target", "add", TARGET]))?;
    run(&mut command("bash", &["scripts/install-windows-tools.sh"]))?;
    anyhow::ensure!(
        works(RUNNER, "--version"),
        "{RUNNER} does not run although it was installed"
    );
    Ok(())
}

/// `shared/tools/setup-windows-target` beside the repository or above it.
fn set_up_script() -> Option<PathBuf> {
    if let Some(given) = env::var_os("WINLAYER_SETUP_WINDOWS_TARGET") {
        return Some(given.into());
    }
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/tools/setup-windows-target"))
        .find(|script| script.is_file())
}

/// `command` under coreutils' timeout, with its environment.
fn in_time(inner: &mut Command) -> Command {
    let mut outer = command("timeout", &["--kill-after=10", MOST_SECONDS]);
    outer.arg(inner.get_program()).args(inner.get_args());
    outer.envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    outer
}

fn target_dir() -> Result<PathBuf> {
    let mut metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let output = metadata.output().context("run cargo metadata")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("read what cargo metadata says")?;
    let folder = metadata["target_directory"].as_str();
    Ok(folder
        .context("no target_directory in cargo metadata")?
        .into())
}
