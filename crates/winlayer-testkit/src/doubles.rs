//! The stand-ins for Windows' layer DLLs: where they are, how a program is made to use them, and
//! what they saw.
//!
//! They are built beforehand (`cargo xtask test` does it):
//!
//! ```text
//! cargo build --target x86_64-pc-windows-gnu -p winlayer-double-vmcompute \
//!     -p winlayer-double-computestorage -p winlayer-double-virtdisk -p winlayer-double-backup
//! ```
//!
//! and found in `WINLAYER_DOUBLES`, or in the build folder of the running test.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The libraries, by their file names.
pub const LIBRARIES: [&str; 4] = [
    "vmcompute.dll",
    "computestorage.dll",
    "virtdisk.dll",
    "winlayer_backup.dll",
];

/// The doubles with a log of their own.
#[derive(Debug)]
pub struct Doubles {
    folder: PathBuf,
    work: tempfile::TempDir,
    failures: Option<String>,
}

/// One call a double answered.
#[derive(Clone, Debug, PartialEq)]
pub struct DoubleCall {
    /// The library without its ending: `vmcompute`, `computestorage`, `virtdisk` or `winlayer_backup`.
    pub dll: String,
    /// The function. `BackupWrite` and `BackupRead` are logged once a stream, when it is released;
    /// `BackupWrite begin` and `BackupRead begin` when it is begun.
    pub name: String,
    /// What it was given, and what was seen on the way.
    pub arguments: Value,
    /// The rules it broke, in words.
    pub violations: Vec<String>,
    /// The answer: an HRESULT, or a Win32 code for virtdisk and the backup functions.
    pub result: u32,
    /// The process that called.
    pub process: u32,
}

impl Doubles {
    /// Finds the libraries and begins an empty log.
    ///
    /// # Panics
    ///
    /// When they are not built.
    #[must_use]
    pub fn new() -> Self {
        let folder = std::env::var_os("WINLAYER_DOUBLES").map_or_else(build_folder, PathBuf::from);
        for library in LIBRARIES {
            assert!(
                folder.join(library).is_file(),
                "{library} is not in {}: build it with `cargo build --target x86_64-pc-windows-gnu -p \
                 winlayer-double-vmcompute -p winlayer-double-computestorage -p winlayer-double-virtdisk \
                 -p winlayer-double-backup`, or set WINLAYER_DOUBLES",
                folder.display(),
            );
        }
        let work = tempfile::tempdir().expect("a folder for the log of the doubles");
        Self {
            folder,
            work,
            failures: None,
        }
    }

    /// The folder of the libraries.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Injects failures: `Name=0xHRESULT[@n][!]`, several with `;`. `@n` fails the n-th call only,
    /// `!` fails after the effect took place.
    #[must_use]
    pub fn failing(mut self, rules: &str) -> Self {
        self.fail(rules);
        self
    }

    /// The same from now on.
    pub fn fail(&mut self, rules: &str) {
        self.failures = Some(rules.to_owned());
    }

    /// What the doubles read from the environment.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().expect("a UTF-8 path").to_owned();
        let mut variables = vec![
            ("WINLAYER_DOUBLES", text(&self.folder)),
            ("WINLAYER_DOUBLES_LOG", text(&self.log_file())),
            ("WINLAYER_DOUBLES_STATE", text(&self.state_folder())),
        ];
        variables.extend(
            self.failures
                .clone()
                .map(|rules| ("WINLAYER_DOUBLES_FAIL", rules)),
        );
        variables
    }

    /// Makes `command` use the doubles.
    pub fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env_remove("WINLAYER_DOUBLES_FAIL")
            .envs(self.environment())
    }

    fn log_file(&self) -> PathBuf {
        self.work.path().join("calls.jsonl")
    }

    /// Where the doubles keep streams and mounted volumes.
    #[must_use]
    pub fn state_folder(&self) -> PathBuf {
        self.work.path().join("state")
    }

    /// Every call so far, in the order of their answers.
    ///
    /// # Panics
    ///
    /// When the log cannot be understood.
    #[must_use]
    pub fn calls(&self) -> Vec<DoubleCall> {
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        log.lines()
            .map(|line| DoubleCall::read(line).unwrap_or_else(|| panic!("not a call: {line}")))
            .collect()
    }

    /// Forgets the calls so far.
    pub fn clear(&self) {
        let _ = std::fs::remove_file(self.log_file());
    }

    /// The calls of one function.
    #[must_use]
    pub fn calls_of(&self, name: &str) -> Vec<DoubleCall> {
        self.calls()
            .into_iter()
            .filter(|call| call.name == name)
            .collect()
    }

    /// The names of the calls that change something on disk or mount it, in order: without
    /// NameToGuid, LayerExists and the backup functions.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        let quiet = |call: &DoubleCall| {
            call.dll == "winlayer_backup" || matches!(&*call.name, "NameToGuid" | "LayerExists")
        };
        self.calls()
            .into_iter()
            .filter(|call| !quiet(call))
            .map(|call| call.name)
            .collect()
    }

    /// The rules broken so far, and the backup contexts nobody released.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut open: HashMap<(u32, String), String> = HashMap::new();
        let mut found = Vec::new();
        for call in self.calls() {
            let context = call.argument("context").to_owned();
            let path = call.argument("path").to_owned();
            match &*call.name {
                "BackupWrite begin" | "BackupRead begin" => {
                    drop(open.insert((call.process, context), path))
                }
                "BackupWrite" | "BackupRead" => drop(open.remove(&(call.process, context))),
                _ => {}
            }
            found.extend(
                call.violations
                    .iter()
                    .map(|text| format!("{}: {text}", call.name)),
            );
        }
        found.extend(
            open.into_values()
                .map(|path| format!("the backup context of {path} was never released")),
        );
        found
    }

    /// Fails the test when a rule was broken.
    ///
    /// # Panics
    ///
    /// Then, with the rules.
    pub fn assert_clean(&self) {
        let violations = self.violations();
        assert!(
            violations.is_empty(),
            "rules broken:\n{}",
            violations.join("\n")
        );
    }

    /// The bytes of a stream that `BackupWrite` took, exactly as they came.
    ///
    /// # Panics
    ///
    /// When `call` is not the end of such a stream.
    #[must_use]
    pub fn stream(&self, call: &DoubleCall) -> Vec<u8> {
        let file = call.argument("copy");
        std::fs::read(file)
            .unwrap_or_else(|error| panic!("{}: the stream {file:?}: {error}", call.name))
    }
}

impl Default for Doubles {
    fn default() -> Self {
        Self::new()
    }
}

impl DoubleCall {
    fn read(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
        let number = |key: &str| u32::try_from(value.get(key)?.as_u64()?).ok();
        let violations = value.get("violations")?.as_array()?;
        Some(Self {
            dll: text("dll")?,
            name: text("call")?,
            arguments: value.get("args")?.clone(),
            violations: violations
                .iter()
                .filter_map(|text| Some(text.as_str()?.to_owned()))
                .collect(),
            result: number("result")?,
            process: number("process")?,
        })
    }

    /// A text argument; empty when there is none.
    #[must_use]
    pub fn argument(&self, key: &str) -> &str {
        self.arguments
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A number among the arguments.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        self.arguments.get(key)?.as_u64()
    }

    /// A yes or no among the arguments; no when it is not there.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.arguments
            .get(key)
            .and_then(Value::as_bool)
            .unwrap_or_default()
    }

    /// The folders of the parents, in the order given.
    #[must_use]
    pub fn parents(&self) -> Vec<PathBuf> {
        let parents = self.arguments.get("parents").and_then(Value::as_array);
        let paths = parents
            .into_iter()
            .flatten()
            .filter_map(|parent| parent.get("path")?.as_str());
        paths.map(PathBuf::from).collect()
    }
}

/// `…/debug` of `…/debug/deps/test.exe`.
fn build_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the running test");
    test.parent()
        .and_then(Path::parent)
        .unwrap_or(&test)
        .to_owned()
}
