//! Runs the real binary in a directory of its own.
#![allow(dead_code, reason = "every test binary uses its own part")]

#[cfg(unix)]
pub(crate) mod mount;
#[cfg(target_os = "linux")]
pub(crate) mod oracles;
pub(crate) mod snapshot;

use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;
use winlayer_testkit::tools;

/// The keys of an object, in the order they were written.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

/// A scratch directory and the commands run in it.
pub(crate) struct Place {
    dir: TempDir,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) command: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// In a scratch directory below `parent`.
    pub(crate) fn below(parent: &Path) -> Self {
        Self {
            dir: tempfile::Builder::new()
                .prefix("winlayer-test-")
                .tempdir_in(parent)
                .unwrap(),
        }
    }

    /// With the sample image as `oci:image:latest`.
    pub(crate) fn with_sample() -> Self {
        let place = Self::new();
        place.winlayer(["sample", "oci:image"]).succeeds();
        place
    }

    /// With a sample image big enough to be interrupted.
    pub(crate) fn with_big_sample() -> Self {
        let place = Self::new();
        place
            .winlayer(["sample", "oci:image", "--files", "400", "--bytes", "10MiB"])
            .succeeds();
        place
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    pub(crate) fn command<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let arguments: Vec<_> = arguments
            .into_iter()
            .map(|argument| argument.as_ref().to_owned())
            .collect();
        let is = |word: &str| arguments.iter().any(|argument| argument == word);
        let mut command = Command::new(env!("CARGO_BIN_EXE_winlayer"));
        command.args(&arguments);
        // The default of Windows needs a platform that the tests of folders do without.
        if cfg!(windows) && is("unpack") && !is("--to") {
            command.args(["--to", "folder"]);
        }
        command.current_dir(self.root()).stdin(Stdio::null());
        // Whoever runs the tests may be logged in somewhere.
        command
            .env("HOME", self.root())
            .env("DOCKER_CONFIG", self.path("no-docker-config"));
        for variable in ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "SOURCE_DATE_EPOCH"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs `winlayer` here and waits for it.
    pub(crate) fn winlayer<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Answer {
        answer(&mut self.command(arguments))
    }

    /// What `winlayer unpack --json oci:image` with `more` arguments says.
    #[track_caller]
    pub(crate) fn unpack_json(&self, more: &[&str]) -> Value {
        let arguments = [&["unpack", "--json", "oci:image"], more].concat();
        self.winlayer(arguments).succeeds().json()
    }

    /// Starts `winlayer` here with its output piped.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        tools::start(|| command.spawn()).unwrap()
    }
}

/// Runs any command to its end.
pub(crate) fn answer(command: &mut Command) -> Answer {
    let shown = format!("{command:?}");
    let output = tools::start(|| command.output());
    let output = output.unwrap_or_else(|error| panic!("{shown}: {error}"));
    Answer::new(shown, output)
}

impl Answer {
    pub(crate) fn new(command: String, output: Output) -> Self {
        Self {
            command,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// Exits with `code` and says so in one `error:` line, without a Rust panic or a full stop.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let errors: Vec<_> = self
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(errors.len(), 1, "one error: {self:#?}");
        assert!(!errors[0].ends_with('.'), "no full stop: {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// Every one of `parts` is in what stderr says.
    #[track_caller]
    pub(crate) fn saying(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is missing: {self:#?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}
