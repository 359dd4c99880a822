//! What is wrong with a disk: findings of container, partition table and volume in one form.

use std::{fmt, path::Path};

use serde::Serialize;
use winlayer_vhdx::VhdxError;

use crate::{Error, error::escape};

/// A rule that a disk breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskFinding {
    /// How much it weighs.
    pub severity: FindingSeverity,
    /// The file of the chain it is in, when that is not the disk file itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where.
    pub place: String,
    /// The file or directory on the volume that is affected, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The rule.
    pub rule: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingSeverity {
    /// Windows accepts it, or it could not be looked at.
    Note,
    /// The disk is damaged.
    Error,
}

impl fmt::Display for DiskFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.severity {
            FindingSeverity::Note => "note: ",
            FindingSeverity::Error => "error: ",
        })?;
        if let Some(file) = &self.file {
            write!(f, "{}: ", escape(file))?;
        }
        f.write_str(&escape(&self.place))?;
        if let Some(path) = &self.path {
            write!(f, " (\"{}\")", escape(path))?;
        }
        let (expected, found) = (escape(&self.expected), escape(&self.found));
        write!(f, ": {}: expected {expected}, found {found}", self.rule)
    }
}

impl DiskFinding {
    /// An error without a file or path.
    pub(super) fn error(
        place: impl fmt::Display,
        rule: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            severity: FindingSeverity::Error,
            file: None,
            place: place.to_string(),
            path: None,
            rule: rule.to_owned(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    pub(super) fn of_volume(finding: winlayer_ntfs::Finding) -> Self {
        let severity = match finding.rule.severity() {
            winlayer_ntfs::Severity::Note => FindingSeverity::Note,
            winlayer_ntfs::Severity::Error => FindingSeverity::Error,
        };
        let (expected, found) = (finding.expected, finding.found);
        Self {
            severity,
            ..Self::error(finding.place, &finding.rule.to_string(), expected, found)
        }
    }

    pub(super) fn of_vhdx(finding: &winlayer_vhdx::Finding, file: Option<&Path>) -> Self {
        let place = format!("{} at file offset {:#x}", finding.place, finding.offset);
        let severity = match finding.severity {
            winlayer_vhdx::Severity::Harmless => FindingSeverity::Note,
            winlayer_vhdx::Severity::Fatal => FindingSeverity::Error,
        };
        Self {
            severity,
            file: file.map(|file| file.display().to_string()),
            ..Self::error(place, "VHDX", finding.rule.to_string(), &finding.found)
        }
    }

    /// Damage that ended the reading of container or table.
    pub(super) fn of_error(error: &VhdxError) -> Option<Self> {
        Some(match error {
            VhdxError::Damaged(finding) => Self::of_vhdx(finding, None),
            VhdxError::InFile { path, source } => Self {
                file: Some(path.display().to_string()),
                ..Self::of_error(source)?
            },
            VhdxError::Gpt { expected, found } => {
                Self::error("the partition table", "GPT", *expected, found)
            }
            VhdxError::Vhd { expected, found } => {
                Self::error("the footer", "VHD", *expected, found)
            }
            VhdxError::WrongParent { expected, found } => Self::error(
                "the parent",
                "data-write id of the parent",
                expected.to_string(),
                found.to_string(),
            ),
            VhdxError::Io { .. } | VhdxError::OpenFile { .. } => return None,
            other => Self::error(
                "the file",
                "VHDX",
                "a disk that can be opened",
                other.to_string(),
            ),
        })
    }

    /// What went wrong with one object of the volume.
    pub(super) fn of_object(error: Error, path: &str) -> Result<Self, Error> {
        let finding = match error.ntfs() {
            Some(winlayer_ntfs::NtfsError::Damaged {
                place,
                expected,
                found,
            }) => Self::error(place, "reading", expected, found),
            Some(winlayer_ntfs::NtfsError::Unsupported { place, what }) => Self {
                severity: FindingSeverity::Note,
                ..Self::error(place, "reading", "content that can be read", what)
            },
            _ if error.kind() == crate::ErrorKind::Verification => {
                Self::error("the volume", "reading", "a sound volume", error.to_string())
            }
            _ => return Err(error),
        };
        Ok(Self {
            path: Some(path.to_owned()),
            ..finding
        })
    }
}

/// Most findings that are kept; noise has millions.
const MOST: usize = 10_000;

/// Findings as they are made.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) kept: Vec<DiskFinding>,
    pub(super) errors: u64,
    pub(super) notes: u64,
}

impl Findings {
    /// Gives its place among those kept.
    pub(super) fn add(&mut self, finding: DiskFinding) -> Option<usize> {
        let count = match finding.severity {
            FindingSeverity::Note => &mut self.notes,
            FindingSeverity::Error => &mut self.errors,
        };
        *count = count.saturating_add(1);
        // The first error must not be lost behind notes.
        let first = finding.severity == FindingSeverity::Error && self.errors == 1;
        (self.kept.len() < MOST || first).then(|| {
            self.kept.push(finding);
            self.kept.len().saturating_sub(1)
        })
    }
}
