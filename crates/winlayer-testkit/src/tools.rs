//! Running other people's tools, loudly.

use std::{ffi::OsStr, process::Command};

/// Runs a program to its end and returns its standard output.
///
/// # Panics
///
/// When the program is missing (the message says how to install it) or fails (with all it said).
pub fn run(program: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let mut command = Command::new(program);
    command.args(args);
    run_command(&mut command)
}

/// As [`run`], for a command with more to it.
pub fn run_command(command: &mut Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            panic!("{}", missing(&command.get_program().to_string_lossy()))
        }
        Err(error) => panic!("cannot run {command:?}: {error}"),
    };
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}\n{stderr}",
        output.status
    );
    stdout.into_owned()
}

/// Starts a process by `start`; once more when Wine fails to with "internal error", as it now and then
/// does on a busy machine.
///
/// # Errors
///
/// Of `start`.
pub fn start<T>(mut start: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    const INTERNAL_ERROR: i32 = 1359;
    for _ in 0..4 {
        match start() {
            Err(error) if cfg!(windows) && error.raw_os_error() == Some(INTERNAL_ERROR) => {}
            started => return started,
        }
    }
    start()
}

/// The text shown when `program` is not installed.
pub fn missing(program: &str) -> String {
    format!(
        "the test tool {program} is not installed: run `cargo xtask setup` \
         (or scripts/install-test-tools.sh), then the test again"
    )
}

/// skopeo, told that images are for Windows.
pub fn skopeo(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let mut command = Command::new("skopeo");
    command.args([
        "--insecure-policy",
        "--override-os",
        "windows",
        "--override-arch",
        "amd64",
    ]);
    run_command(command.args(args))
}

/// umoci.
pub fn umoci(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    run("umoci", args)
}

/// bsdtar (libarchive).
pub fn bsdtar(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    run("bsdtar", args)
}

/// openssl.
pub fn openssl(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    run("openssl", args)
}

#[cfg(test)]
mod tests {
    #[test]
    #[should_panic(expected = "cargo xtask setup")]
    fn a_missing_tool_is_named_with_the_remedy() {
        super::run("winlayer-no-such-tool", ["--version"]);
    }
}
