//! What is missing or in the way for unpacking on this machine, and what helps.
//!
//! ```text
//! gather      asks the system, a file or two in the destination included   ─►  Facts: plain data
//! judge       Facts ─► Findings; no system call, so every rule is tested everywhere
//! explain     the findings that a failed unpack has to do with
//! ```

mod explain;
mod facts;
mod gather;
mod judge;
mod needs;

use std::path::Path;

use serde::Serialize;

pub use explain::explain;
pub use needs::Needs;

/// How much a [`Finding`] matters, from what is well to what stops an unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Works, but somebody may want to know; or could not be found out.
    Note,
    /// May fail, or be slow, for some images.
    Warning,
    /// Unpacking will fail.
    Problem,
}

impl Severity {
    /// The word for it, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Which check this is, for programs; does not change between versions, such as `free-space`.
    pub check: &'static str,
    /// What was looked at, such as a path or the name of a driver.
    pub looked_at: String,
    /// What was found, as one lower-case fragment.
    pub found: String,
    /// What to do about it, when there is something to do.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(
        severity: Severity,
        check: &'static str,
        looked_at: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            check,
            looked_at: looked_at.into(),
            found: found.into(),
            remedy: None,
        }
    }

    fn ok(check: &'static str, looked_at: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Severity::Ok, check, looked_at, found)
    }

    fn note(check: &'static str, looked_at: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Severity::Note, check, looked_at, found)
    }

    fn warning(
        check: &'static str,
        looked_at: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warning, check, looked_at, found)
    }

    fn problem(
        check: &'static str,
        looked_at: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Problem, check, looked_at, found)
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// Looks at this machine and at `dest`, where something is to be unpacked; with `needs`, at what an
/// image asks of it.
///
/// Writes a few small files into `dest`, or where `dest` would be made, and removes them again:
/// whether a file system takes a name is known only when it was asked to.
pub fn examine(dest: &Path, needs: Option<Needs>) -> Vec<Finding> {
    judge::judge(&gather::gather(dest, needs))
}
