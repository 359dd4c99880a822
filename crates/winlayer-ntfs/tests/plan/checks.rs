//! Checkers that we have no part in. `cargo xtask setup` installs them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A folder in memory, if there is such a place.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let parent = match memory.is_dir() {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    };
    tempfile::tempdir_in(parent).unwrap()
}

/// The bytes as a file.
pub fn stored(folder: &TempDir, image: &[u8]) -> PathBuf {
    let path = folder.path().join("volume.img");
    fs::write(&path, image).unwrap();
    path
}

/// Every checker there is is content, the mounted driver and a Python parser among them.
pub fn all(image: &[u8]) {
    let folder = folder();
    let path = stored(&folder, image);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let mut python = Command::new("sh");
    let python = run(python
        .arg(scripts.join("install-ntfs-peers.sh"))
        .arg("--python"));
    let checks = scripts.join("ntfs-oracles/checks.py");
    let mut command = Command::new(python.trim());
    command.arg(checks).arg(&path).arg("--exact-names");
    run(command.env("TMPDIR", folder.path()));
}

/// The two that find the most, in little time: every cluster is accounted for, and every stream can be read.
pub fn quick(image: &[u8]) {
    let folder = folder();
    let path = stored(&folder, image);
    let said = run(Command::new("ntfsresize").args(["-i", "-f"]).arg(&path));
    assert!(said.contains("Accounting clusters"), "{said}");
    let wim = folder.path().join("wim");
    let mut capture = Command::new("wimcapture");
    capture.arg("--compress=none").arg(&path).arg(wim);
    // It tells its progress in hundreds of lines.
    run(capture.stdout(Stdio::null()));
}

/// Standard output of a tool that must succeed.
pub fn run(command: &mut Command) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env("LC_ALL", "C.UTF-8");
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{command:?}: {error}; install the test tools with `cargo xtask setup`")
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{said}{errors}",
        output.status
    );
    said
}
