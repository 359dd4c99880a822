//! What the verifier says.

use std::fmt;

use super::rule::{Rule, Severity};
use crate::{NtfsError, Place, Result};

/// A rule that is broken somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// Which rule.
    pub rule: Rule,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            rule,
            expected,
            found,
        } = self;
        write!(f, "{place}: {rule}: expected {expected}, found {found}")
    }
}

/// Hands findings on and counts them.
pub(crate) struct Sink<'a> {
    out: &'a mut dyn FnMut(Finding),
    pub errors: u64,
    pub notes: u64,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(out: &'a mut dyn FnMut(Finding)) -> Self {
        let (errors, notes) = (0, 0);
        Self { out, errors, notes }
    }

    pub(crate) fn report(
        &mut self,
        place: Place,
        rule: Rule,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        match rule.severity() {
            Severity::Error => self.errors += 1,
            Severity::Note => self.notes += 1,
        }
        (self.out)(Finding {
            place,
            rule,
            expected: expected.into(),
            found: found.into(),
        });
    }

    /// Reports a value that is not what it should be.
    pub(crate) fn expect<T: PartialEq + fmt::Display>(
        &mut self,
        place: impl FnOnce() -> Place,
        rule: Rule,
        what: &str,
        expected: T,
        found: T,
    ) {
        if expected != found {
            self.report(
                place(),
                rule,
                format!("{what} {expected}"),
                found.to_string(),
            );
        }
    }

    /// Makes a finding of what could not be read. Only a device that fails ends the verification.
    pub(crate) fn check<T>(&mut self, rule: Rule, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ NtfsError::Io { .. }) => Err(error),
            Err(error) => {
                self.failed(rule, error);
                Ok(None)
            }
        }
    }

    fn failed(&mut self, rule: Rule, error: NtfsError) {
        let mut rule = rule;
        let (place, expected, found) = match error {
            NtfsError::Damaged {
                place,
                expected,
                found,
            } => (place, expected, found),
            NtfsError::NotNtfs { expected, found } => {
                rule = Rule::BootSector;
                (Place::BootSector, expected.to_owned(), found)
            }
            NtfsError::Unsupported { place, what } => {
                (place, "something readable".to_owned(), what)
            }
            other => (Place::BootSector, "a volume".to_owned(), other.to_string()),
        };
        self.report(place, rule, expected, found);
    }
}
