//! Errors as people, scripts and exit codes see them.

use crate::commands::doctor;
use crate::text::escape;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::error::Error as StdError;
use std::{fmt, io, path::Path};
use winlayer::doctor::{Finding, explain};
use winlayer::{ErrorKind, ImageError};

/// Why a command failed, one value for each thing a script may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Failed,
    Usage,
    NotFound,
    Verification,
    Unsafe,
    Limit,
}

impl Kind {
    /// The word in the JSON document.
    fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::Verification => "verification",
            Self::Unsafe => "unsafe",
            Self::Limit => "limit",
        }
    }

    fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Verification => 4,
            Self::Unsafe | Self::Limit => 5,
        }
    }
}

impl From<ErrorKind> for Kind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Verification => Self::Verification,
            ErrorKind::Unsafe => Self::Unsafe,
            ErrorKind::Limit => Self::Limit,
            _ => Self::Failed,
        }
    }
}

/// A failed command: what happened, why, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    /// From the nearest cause to the deepest.
    causes: Vec<String>,
    hint: Option<String>,
    /// What on this machine may have caused it.
    findings: Vec<Finding>,
    /// Stdout has a document that says it.
    told: bool,
}

impl Failure {
    /// The command cannot be obeyed as it was typed.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Usage,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            findings: Vec::new(),
            told: false,
        }
    }

    /// The command was right and could not be obeyed all the same.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Failed,
            ..Self::usage(message)
        }
    }

    /// As the conversion, with what on this machine may have caused it: `dest` is where the work
    /// was done.
    pub(crate) fn explained(error: winlayer::Error, dest: &Path) -> Self {
        let findings = explain(&error, dest);
        Self {
            findings,
            ..error.into()
        }
    }

    /// What was named is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::NotFound,
            ..Self::usage(message)
        }
    }

    /// Something is not as it must be, and what was printed says so.
    pub(crate) fn unsound(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Verification,
            told: true,
            ..Self::usage(message)
        }
    }

    /// `what` ("write the man pages to") failed on `path`.
    pub(crate) fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        Self {
            causes: chain(Some(error)),
            ..Self::failed(format!("cannot {what} {}", path.display()))
        }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Whether stdout needs no further document.
    pub(crate) fn is_told(&self) -> bool {
        self.told
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }
}

impl From<winlayer::Error> for Failure {
    fn from(error: winlayer::Error) -> Self {
        Self {
            kind: error.kind().into(),
            message: error.to_string(),
            causes: chain(error.source()),
            hint: error.hint().map(str::to_owned),
            findings: Vec::new(),
            told: false,
        }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        winlayer::Error::from(error).into()
    }
}

/// Stdout could not be written.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self {
            causes: chain(Some(&error)),
            ..Self::failed("cannot write to standard output")
        }
    }
}

/// The messages from `error` downwards; one that only repeats its parent is left out.
fn chain(error: Option<&(dyn StdError + 'static)>) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    for cause in std::iter::successors(error, |&cause| cause.source()) {
        let text = cause.to_string();
        if causes.last() != Some(&text) {
            causes.push(text);
        }
    }
    causes
}

/// `error: …`, a line for each cause, the hint, and the doctor's findings, fit for a terminal.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", escape(&self.message))?;
        for cause in &self.causes {
            write!(f, "\n  caused by: {}", escape(cause))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {}", escape(hint))?;
        }
        if !self.findings.is_empty() {
            let findings = doctor::describe(&self.findings);
            write!(f, "\nfound on this machine:\n{}", findings.trim_end())?;
        }
        Ok(())
    }
}

/// `{"error":{"kind","message","causes","hint"}}`, with `"findings"` when the doctor has any.
impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            kind: &'a str,
            message: &'a str,
            causes: &'a [String],
            hint: Option<&'a str>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            findings: &'a [Finding],
        }
        let mut document = serializer.serialize_map(Some(1))?;
        document.serialize_entry(
            "error",
            &Fields {
                kind: self.kind.name(),
                message: &self.message,
                causes: &self.causes,
                hint: self.hint.as_deref(),
                findings: &self.findings,
            },
        )?;
        document.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_causes_and_the_hint_below_the_message() {
        let denied = io::Error::new(io::ErrorKind::PermissionDenied, "permission denied");
        let failure = Failure::io("create", Path::new("a/b"), &denied).with_hint("use another");
        assert_eq!(
            failure.to_string(),
            "error: cannot create a/b\n  caused by: permission denied\nhint: use another"
        );
        assert_eq!(failure.exit_code(), 1);
    }

    #[test]
    fn keeps_control_characters_of_messages_from_the_terminal() {
        let failure = Failure::not_found("no \u{1b}[31mfile\u{202e}");
        assert_eq!(failure.to_string(), "error: no \\u{1b}[31mfile\\u{202e}");
        assert_eq!(failure.exit_code(), 3);
    }

    #[test]
    fn is_one_object_with_four_keys_in_json() {
        let json = serde_json::to_string(&Failure::usage("no")).unwrap();
        assert_eq!(
            json,
            r#"{"error":{"kind":"usage","message":"no","causes":[],"hint":null}}"#
        );
    }
}
