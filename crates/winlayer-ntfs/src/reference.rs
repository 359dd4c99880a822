//! References to file records.

use std::fmt;

/// Which use of which file record: 48 bits of number, 16 bits of sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileReference(u64);

impl FileReference {
    /// A reference from its parts; `record` has 48 bits.
    pub const fn new(record: u64, sequence: u16) -> Self {
        Self((record & 0xffff_ffff_ffff) | ((sequence as u64) << 48))
    }

    /// From the form on disk.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The form on disk.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The number of the file record.
    pub const fn record(self) -> u64 {
        self.0 & 0xffff_ffff_ffff
    }

    /// How often the record had been used; a reference with another number is stale.
    pub const fn sequence(self) -> u16 {
        (self.0 >> 48) as u16
    }
}

impl fmt::Display for FileReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.record(), self.sequence())
    }
}
