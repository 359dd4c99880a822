//! The registry of an image: hives of its layers, and what they say together.
//!
//! The base layer has full hives in `Files/Windows/System32/config`, the layers above have deltas in
//! `Hives`. They are taken out of the layers as they are ([`read_registry`]) and laid over each other
//! when something is asked; nothing is merged to a file for a look-up.
//!
//! | file | idea |
//! | --- | --- |
//! | `collect.rs` | hives out of the layers, each streamed once and no further than needed |
//! | `facts.rs`, `facts/` | which Windows this is: version, updates, programs, services |
//! | `key.rs`, `data.rs`, `path.rs` | one key as people ask for it |
//! | `diff.rs`, `changes.rs` | what two registries differ in; what a layer changed |
//! | `merged.rs` | merged hives for merged outputs |

mod changes;
mod collect;
mod data;
mod diff;
mod facts;
mod key;
pub(crate) mod merged;
mod path;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, error::Error as _, fmt, fs::File, io, sync::Arc};

use serde::Serialize;
use winlayer_digest::DiffId;
use winlayer_hive::{Hive, HiveError, Overlay, PagedSource, Source};
use winlayer_metadata::Upcase;

#[cfg(any(windows, test))]
pub(crate) use self::collect::is_full_hive;
pub use self::{
    changes::{HiveChanges, LayerChanges},
    collect::{read_hive, read_registry},
    data::{RegistryData, RegistryValue},
    diff::{Change, KeyChange, ValueChange, registry_diff},
    facts::{DotNet, Program, Service, Update, Variable, WindowsFacts},
    key::RegistryKey,
    path::RegistryPath,
};
pub(crate) use self::{
    collect::{CONFIG, LOGS, MOST_LOG_BYTES, Wanted, collect, delta, spool},
    merged::merge_over,
};
use crate::Error;

/// One of the five hives a layer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RegistryHive {
    /// `HKLM\SYSTEM`
    System,
    /// `HKLM\SOFTWARE`
    Software,
    /// `HKLM\SAM`
    Sam,
    /// `HKLM\SECURITY`
    Security,
    /// `HKU\.DEFAULT`
    Default,
}

impl RegistryHive {
    /// All five.
    pub const ALL: [Self; 5] = [
        Self::System,
        Self::Software,
        Self::Sam,
        Self::Security,
        Self::Default,
    ];

    /// Where the registry shows it.
    pub const fn root(self) -> &'static str {
        match self {
            Self::System => r"HKLM\SYSTEM",
            Self::Software => r"HKLM\SOFTWARE",
            Self::Sam => r"HKLM\SAM",
            Self::Security => r"HKLM\SECURITY",
            Self::Default => r"HKU\.DEFAULT",
        }
    }

    /// Name of the full hive in `Files/Windows/System32/config`.
    pub(crate) const fn file_name(self) -> &'static str {
        match self {
            Self::System => "SYSTEM",
            Self::Software => "SOFTWARE",
            Self::Sam => "SAM",
            Self::Security => "SECURITY",
            Self::Default => "DEFAULT",
        }
    }

    /// Name of the delta in `Hives`.
    pub(crate) const fn delta_name(self) -> &'static str {
        match self {
            Self::System => "System_Delta",
            Self::Software => "Software_Delta",
            Self::Sam => "Sam_Delta",
            Self::Security => "Security_Delta",
            Self::Default => "DefaultUser_Delta",
        }
    }

    /// Name of the full hive in `Hives` of a layer that Windows has finished.
    pub(crate) const fn base_name(self) -> &'static str {
        match self {
            Self::System => "System_Base",
            Self::Software => "Software_Base",
            Self::Sam => "Sam_Base",
            Self::Security => "Security_Base",
            Self::Default => "DefaultUser_Base",
        }
    }

    pub(crate) fn of_file(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|hive| Upcase::eq(hive.file_name(), name))
    }

    pub(crate) fn of_delta(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|hive| Upcase::eq(hive.delta_name(), name))
    }
}

/// A hive that cannot be read, or a layer that could not be looked into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistryFinding {
    /// 1 for the base; none when it is not known which layer is to blame.
    pub layer: Option<usize>,
    /// How many layers the image has.
    pub layers: usize,
    /// The entry of the layer, such as `Hives/Software_Delta`; none for the layer as a whole.
    pub entry: Option<String>,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for RegistryFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(layer) = self.layer {
            write!(f, "layer {layer} of {}: ", self.layers)?;
        }
        if let Some(entry) = &self.entry {
            write!(f, "{entry}: ")?;
        }
        f.write_str(&self.problem)
    }
}

/// The hives of an image.
///
/// They lie in temporary files; of those only the pages that a look-up needs are read.
#[derive(Debug)]
pub struct ImageRegistry {
    /// By hive, then by layer.
    parts: Vec<Part>,
    diff_ids: Vec<DiffId>,
    findings: Vec<RegistryFinding>,
}

/// A hive of one layer.
#[derive(Clone, Debug)]
struct Part {
    hive: RegistryHive,
    /// 1 for the base.
    layer: usize,
    /// A full hive, which replaces what lies below; else a delta.
    is_whole: bool,
    entry: String,
    source: Arc<PagedSource<File>>,
    logs: Arc<[Vec<u8>]>,
}

/// One file, read by several hives.
#[derive(Debug)]
struct Shared(Arc<PagedSource<File>>);

impl Source for Shared {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        self.0.read(offset, length)
    }
}

impl Part {
    fn open(&self) -> Result<Hive<'static>, HiveError> {
        let logs: Vec<&[u8]> = self.logs.iter().map(Vec::as_slice).collect();
        Hive::from_source_with_logs(Shared(Arc::clone(&self.source)), &logs)
    }
}

/// Hives of one name over each other, and the layers they are from.
struct View {
    overlay: Overlay<'static>,
    /// By the number of the hive in the overlay.
    layers: Vec<usize>,
}

impl View {
    fn open(parts: &[&Part]) -> Result<Self, HiveError> {
        let hives = parts.iter().map(|part| part.open());
        Ok(Self {
            overlay: Overlay::new(hives.collect::<Result<Vec<_>, _>>()?)?,
            layers: parts.iter().map(|part| part.layer).collect(),
        })
    }

    /// The layer of hive `number`.
    fn layer(&self, number: usize) -> usize {
        self.layers.get(number).copied().unwrap_or_default()
    }
}

impl ImageRegistry {
    /// Hives that cannot be read; all else is there.
    pub fn findings(&self) -> &[RegistryFinding] {
        &self.findings
    }

    /// True when no hive was found.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many layers the image has.
    pub fn layers(&self) -> usize {
        self.diff_ids.len()
    }

    /// The hives that make up `hive` as seen from layer `top`: the topmost full one, and the deltas
    /// over it.
    fn parts(&self, hive: RegistryHive, top: usize) -> Vec<&Part> {
        let of_hive = |part: &&Part| part.hive == hive && part.layer <= top;
        let all: Vec<&Part> = self.parts.iter().filter(of_hive).collect();
        let whole = all.iter().rposition(|part| part.is_whole);
        all.into_iter().skip(whole.unwrap_or_default()).collect()
    }

    /// Asks `question` of hives over each other. One that cannot be read for it is left out and
    /// becomes a finding.
    fn ask<T>(
        &self,
        mut parts: Vec<&Part>,
        findings: &mut Vec<RegistryFinding>,
        question: &dyn Fn(&View) -> Result<T, HiveError>,
    ) -> Option<T> {
        while !parts.is_empty() {
            let error = match View::open(&parts).and_then(|view| question(&view)) {
                Ok(answer) => return Some(answer),
                Err(error) => error,
            };
            // The question is put to each alone, to find which one it is.
            let blame = |part: &&Part| {
                let alone = View::open(&[part]).and_then(|view| question(&view).map(drop));
                alone.err()
            };
            let before = parts.len();
            parts.retain(|part| match blame(part) {
                Some(error) => {
                    note(findings, self.finding(part, &error));
                    false
                }
                None => true,
            });
            if parts.len() == before {
                let what = parts.first().map(|part| part.hive.root());
                let problem = format!("{}: {}", what.unwrap_or_default(), describe(&error));
                let finding = RegistryFinding {
                    layer: None,
                    layers: self.layers(),
                    entry: None,
                    problem,
                };
                note(findings, finding);
                return None;
            }
        }
        None
    }

    /// As [`ask`](Self::ask), but a hive that cannot be read is an error.
    fn ask_strictly<T>(
        &self,
        parts: Vec<&Part>,
        question: &dyn Fn(&View) -> Result<T, HiveError>,
    ) -> crate::Result<Option<T>> {
        let mut findings = Vec::new();
        let answer = self.ask(parts, &mut findings, question);
        match findings.into_iter().next() {
            Some(finding) => Err(finding.into_error()),
            None => Ok(answer),
        }
    }

    /// The first finding as an error, for those who need everything.
    pub(crate) fn check(&self) -> crate::Result<()> {
        match self.findings.first() {
            Some(finding) => Err(finding.clone().into_error()),
            None => Ok(()),
        }
    }

    fn finding(&self, part: &Part, error: &HiveError) -> RegistryFinding {
        RegistryFinding {
            layer: Some(part.layer),
            layers: self.layers(),
            entry: Some(part.entry.clone()),
            problem: describe(error),
        }
    }
}

impl RegistryFinding {
    fn into_error(self) -> Error {
        Error::malformed(self.to_string())
    }
}

/// Adds a finding once.
fn note(findings: &mut Vec<RegistryFinding>, finding: RegistryFinding) {
    if !findings.contains(&finding) {
        findings.push(finding);
    }
}

/// An error with its causes in one line.
pub(crate) fn describe(error: &HiveError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
