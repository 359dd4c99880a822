//! What is remembered of every record.

use crate::{FileReference, record::Record};

/// One small state a record.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<State>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unused,
    Damaged,
    File {
        sequence: u16,
    },
    Extension,
}

impl Table {
    pub(crate) fn push(&mut self, record: Option<&Record>, in_use: bool) {
        self.0.push(match record {
            Some(record) if record.base.is_some() => State::Extension,
            Some(record) => State::File {
                sequence: record.sequence,
            },
            None if in_use => State::Damaged,
            None => State::Unused,
        });
    }

    fn state(&self, number: u64) -> Option<State> {
        self.0.get(usize::try_from(number).ok()?).copied()
    }

    /// The reference of a file; none when the record is no base record in use.
    pub(crate) fn reference(&self, number: u64) -> Option<FileReference> {
        match self.state(number)? {
            State::File { sequence } => Some(FileReference::new(number, sequence)),
            _ => None,
        }
    }

    pub(crate) fn is_in_use(&self, number: u64) -> bool {
        self.state(number)
            .is_some_and(|state| state != State::Unused)
    }

    pub(crate) fn files(&self) -> u64 {
        let files = self
            .0
            .iter()
            .filter(|state| matches!(state, State::File { .. }));
        files.count() as u64
    }

    pub(crate) fn in_use(&self) -> u64 {
        self.0
            .iter()
            .filter(|state| **state != State::Unused)
            .count() as u64
    }

    /// As messages say it.
    pub(crate) fn describe(&self, number: u64) -> String {
        match self.state(number) {
            None => format!("no record {number}"),
            Some(State::Unused) => format!("unused record {number}"),
            Some(State::Damaged) => format!("damaged record {number}"),
            Some(State::Extension) => format!("record {number}, which continues another"),
            Some(State::File { sequence }) => {
                format!("file {}", FileReference::new(number, sequence))
            }
        }
    }
}
