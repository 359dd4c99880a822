//! One call from outside: its arguments, the rules it broke, and its line in the log.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Mutex;

use serde_json::{Map, Value, json};

use crate::codes;
use crate::inject::{Injected, injected};
use crate::state::log_file;
use crate::sys::missing_privileges;

/// Why the effect of a call could not take place.
#[derive(Debug)]
pub struct Failure {
    /// The answer, an HRESULT.
    pub code: u32,
    /// What happened.
    pub text: String,
}

impl Failure {
    /// A failure with its code and what happened.
    #[must_use]
    pub fn new(code: u32, text: impl Display) -> Self {
        Self {
            code,
            text: text.to_string(),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self {
            code: codes::of(&error),
            text: error.to_string(),
        }
    }
}

/// A call being checked and answered.
#[derive(Debug)]
pub struct Call {
    dll: &'static str,
    name: &'static str,
    arguments: Map<String, Value>,
    violations: Vec<String>,
    answer: u32,
    injected: Option<Injected>,
}

impl Call {
    /// A call of `name` in `dll` has come in.
    #[must_use]
    pub fn new(dll: &'static str, name: &'static str) -> Self {
        let injected = injected(name);
        Self {
            dll,
            name,
            arguments: Map::new(),
            violations: Vec::new(),
            answer: codes::S_OK,
            injected,
        }
    }

    /// A call that is one of many about the same thing: failures are not injected here.
    #[must_use]
    pub fn uncounted(dll: &'static str, name: &'static str) -> Self {
        Self {
            dll,
            name,
            arguments: Map::new(),
            violations: Vec::new(),
            answer: codes::S_OK,
            injected: None,
        }
    }

    /// A text recorded before.
    #[must_use]
    pub fn noted(&self, key: &str) -> String {
        self.arguments
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    /// Records an argument, or something seen on the way.
    pub fn note(&mut self, key: &str, value: impl Into<Value>) {
        self.arguments.insert(key.to_owned(), value.into());
    }

    /// The call breaks a rule: `code` is what Windows answers. The first one counts.
    pub fn violation(&mut self, code: u32, text: impl Display) {
        if self.violations.is_empty() {
            self.answer = code;
        }
        self.violations.push(text.to_string());
    }

    /// A rule: broken unless `kept`.
    pub fn rule(&mut self, kept: bool, code: u32, text: impl Display) {
        if !kept {
            self.violation(code, text);
        }
    }

    /// Whether every rule was kept so far.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// The privileges a call of this kind needs, in the process and at this moment.
    pub fn needs_privileges(&mut self, names: &[&str]) {
        for name in missing_privileges(names) {
            self.violation(
                codes::PRIVILEGE_NOT_HELD,
                format!("{name} is not enabled in the process"),
            );
        }
    }

    /// Backup and restore.
    pub fn needs_backup_and_restore(&mut self) {
        self.needs_privileges(&["SeBackupPrivilege", "SeRestorePrivilege"]);
    }

    /// Answers: with the code of the first broken rule, the injected failure, or what `effect` says.
    pub fn answer(mut self, effect: impl FnOnce(&mut Self) -> Result<(), Failure>) -> u32 {
        if !self.violations.is_empty() {
            self.log();
            return self.answer;
        }
        let injected = self.injected;
        if let Some(Injected { code, .. }) = injected {
            self.note("injected", true);
            self.answer = code;
        }
        if injected.is_none_or(|injected| injected.after_effect)
            && let Err(failure) = effect(&mut self)
        {
            self.answer = failure.code;
            self.note("failure", failure.text);
        }
        self.log();
        self.answer
    }

    /// Appends the line to the log.
    fn log(&self) {
        static LOCK: Mutex<()> = Mutex::new(());
        let Some(file) = log_file() else { return };
        let line = json!({
            "dll": self.dll,
            "call": self.name,
            "args": self.arguments,
            "violations": self.violations,
            "result": self.answer,
            "process": std::process::id(),
        });
        let _lock = LOCK.lock();
        if let Ok(mut log) = OpenOptions::new().append(true).create(true).open(file) {
            // A log that cannot be written is noticed by whoever reads it back.
            let _ = log.write_all(format!("{line}\n").as_bytes());
        }
    }
}
