//! `test`: everything that must hold before a change lands.

use std::time::Instant;

use anyhow::Result;

use crate::{
    run::{cargo, command, run, works},
    windows,
};

const CARGO_DENY: &str = "0.20.2";

/// Runs every check; stops at the first that fails.
pub fn test() -> Result<()> {
    let started = Instant::now();
    step("install what the tests need", setup)?;
    step("format", || run(&mut cargo(&["fmt", "--all", "--check"])))?;
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ];
    step("lints", || run(&mut cargo(&clippy)))?;
    step("tests", || run(&mut cargo(&["test", "--workspace"])))?;
    let docs = [
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ];
    step("documentation", || {
        run(cargo(&docs).env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    let deny = ["deny", "check", "licenses", "bans", "sources"];
    step("licences, bans, sources", || run(&mut cargo(&deny)))?;
    let untested = [
        step("NTFS in Linux's kernel", kernel)?,
        step("Windows", windows::test)?,
    ];
    println!(
        "\neverything passed in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    for untested in untested.into_iter().flatten() {
        println!("\nNOT TESTED: {untested}");
    }
    Ok(())
}

/// Installs the packages and tools that the tests use.
pub fn setup() -> Result<()> {
    run(&mut command("bash", &["scripts/install-test-tools.sh"]))?;
    if !works("cargo-deny", "--version") {
        // Unoptimised: it runs for a second and builds in half the time.
        let install = [
            "install",
            "--locked",
            "--debug",
            "--version",
            CARGO_DENY,
            "cargo-deny",
        ];
        run(&mut cargo(&install))?;
    }
    Ok(())
}

/// Reads our volumes by the kernel's own driver, in a virtual machine. Says when that could not be had.
fn kernel() -> Result<Option<String>> {
    if !cfg!(target_os = "linux") {
        let untested = "NTFS in Linux's kernel: the virtual machine is set up on Linux only";
        return Ok(Some(untested.to_owned()));
    }
    if let Err(error) = run(&mut command("sh", &["scripts/install-ntfs3-vm.sh"])) {
        let untested = format!("NTFS in Linux's kernel: no virtual machine: {error:#}");
        println!("{untested}");
        return Ok(Some(untested));
    }
    let arguments = [
        "test",
        "--package",
        "winlayer-cli",
        "--features",
        "ntfs3",
        "--test",
        "kernel",
    ];
    run(&mut cargo(&arguments))?;
    Ok(None)
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n── {name}");
    let started = Instant::now();
    let done = work()?;
    println!("── {name}: {:.0} s", started.elapsed().as_secs_f64());
    Ok(done)
}
