//! What may be wrong with a file.

use std::fmt;

use crate::Guid;

/// A rule of the format that a file breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What breaks it.
    pub place: Place,
    /// Where that is, as an offset in the file.
    pub offset: u64,
    /// The rule.
    pub rule: Rule,
    /// What is there instead.
    pub found: String,
    /// Whether the disk can be read all the same.
    pub severity: Severity,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            offset,
            rule,
            found,
            ..
        } = self;
        write!(
            f,
            "{place} at file offset {offset:#x}: {rule} expected, found {found}"
        )
    }
}

/// What a finding means for readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The disk can be read: a copy is good, or what is wrong does not matter for it.
    Harmless,
    /// The disk cannot be opened.
    Fatal,
}

/// One of the two copies of headers and region tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableCopy {
    /// The one at the lower offset.
    First,
    /// The one at the higher offset.
    Second,
}

impl fmt::Display for TableCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::Second => "second",
        })
    }
}

/// A part of a VHDX file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Place {
    /// The file as a whole.
    #[error("the file")]
    File,
    /// The file type identifier.
    #[error("the file identifier")]
    Identifier,
    /// One header.
    #[error("the {0} header")]
    Header(TableCopy),
    /// The log.
    #[error("the log")]
    Log,
    /// One region table.
    #[error("the {0} region table")]
    RegionTable(TableCopy),
    /// A region, or its entry in the region table.
    #[error("region {0}")]
    Region(Guid),
    /// The metadata table.
    #[error("the metadata table")]
    MetadataTable,
    /// A metadata item, or its entry in the metadata table.
    #[error("metadata item {0}")]
    Item(Guid),
    /// The file parameters: block size and flags.
    #[error("the block size and flags")]
    FileParameters,
    /// The size of the virtual disk.
    #[error("the size of the disk")]
    DiskSize,
    /// The logical sector size.
    #[error("the logical sector size")]
    LogicalSector,
    /// The physical sector size.
    #[error("the physical sector size")]
    PhysicalSector,
    /// The parent locator.
    #[error("the parent locator")]
    ParentLocator,
    /// The block allocation table as a whole.
    #[error("the block allocation table")]
    Bat,
    /// The entry of a payload block.
    #[error("the entry of block {0}")]
    Block(u64),
    /// The entry of the sector bitmap block of a chunk.
    #[error("the entry of the sector bitmap of chunk {0}")]
    Bitmap(u64),
}

/// A rule of the format; its text says what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The structure's signature.
    #[error("its signature")]
    Signature,
    /// The structure's CRC-32C.
    #[error("a CRC-32C that matches")]
    Checksum,
    /// Two headers have different sequence numbers.
    #[error("a sequence number other than the other header's")]
    Sequence,
    /// The version is known.
    #[error("the version of VHDX 1.0")]
    Version,
    /// Reserved fields are zero.
    #[error("zero in reserved bits")]
    Reserved,
    /// Both copies are equal.
    #[error("a copy equal to the first")]
    EqualCopies,
    /// There is no log to be replayed.
    #[error("an empty log")]
    EmptyLog,
    /// Alignment to 1 MiB.
    #[error("a multiple of 1 MiB")]
    Aligned,
    /// Being behind the header section, respectively behind the metadata table.
    #[error("a place behind the headers")]
    BehindHeaders,
    /// Being inside of the file, respectively inside of the region.
    #[error("a place inside of what holds it")]
    Inside,
    /// No two objects share bytes.
    #[error("a place of its own")]
    Overlap,
    /// The number of entries is possible.
    #[error("a possible number of entries")]
    Count,
    /// An id occurs once.
    #[error("an id that occurs once")]
    Unique,
    /// Something that must be there.
    #[error("its presence")]
    Present,
    /// What is marked as required must be known.
    #[error("nothing unknown that is required")]
    Known,
    /// Flags as the item must have them.
    #[error("the flags the format gives it")]
    Flags,
    /// A length as the format has it.
    #[error("a length that fits")]
    Length,
    /// A value in its range.
    #[error("a value in range")]
    Value,
    /// A state that the kind of disk has.
    #[error("a state that this kind of disk has")]
    State,
    /// A partly present block needs a sector bitmap.
    #[error("a sector bitmap for its chunk")]
    NeedsBitmap,
    /// No bit of a bitmap is set for what is behind the end of the disk.
    #[error("nothing behind the end of the disk")]
    BehindEnd,
}

/// Most findings that are kept; a file of noise has millions.
const LIMIT: usize = 1000;

/// Findings as they are made.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn fatal(
        &mut self,
        place: Place,
        offset: u64,
        rule: Rule,
        found: impl Into<String>,
    ) {
        self.push(place, offset, rule, found.into(), Severity::Fatal);
    }

    pub(crate) fn harmless(
        &mut self,
        place: Place,
        offset: u64,
        rule: Rule,
        found: impl Into<String>,
    ) {
        self.push(place, offset, rule, found.into(), Severity::Harmless);
    }

    fn push(&mut self, place: Place, offset: u64, rule: Rule, found: String, severity: Severity) {
        // One that makes the disk unreadable must not be lost behind many that do not.
        if self.0.len() < LIMIT || (severity == Severity::Fatal && !self.has_fatal()) {
            self.0.push(Finding {
                place,
                offset,
                rule,
                found,
                severity,
            });
        }
    }

    pub(crate) fn has_fatal(&self) -> bool {
        self.first_fatal().is_some()
    }

    pub(crate) fn first_fatal(&self) -> Option<&Finding> {
        self.0
            .iter()
            .find(|finding| finding.severity == Severity::Fatal)
    }

    /// Whether a rule is broken anywhere.
    pub(crate) fn breaks(&self, rule: Rule) -> bool {
        self.0.iter().any(|finding| finding.rule == rule)
    }

    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}
