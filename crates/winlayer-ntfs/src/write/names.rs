//! The names of all objects, and the facts that directories repeat of them. The only thing that grows with a volume.

use std::cmp::Ordering;

use winlayer_metadata::{FileAttributes, FileTimes, Upcase};
use zerocopy::{
    IntoBytes,
    little_endian::{I64, U32, U64},
};

use crate::{
    FileReference, Namespace, NtfsError, RecordFlags, Result,
    format::{FileNameHeader, MAX_NAME, StandardInformation, system},
};

/// What the volume keeps of one file record.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub times: FileTimes,
    /// Bytes of the unnamed stream, and of its clusters.
    pub size: u64,
    pub allocated: u64,
    /// As on disk, without [`FileNameHeader::DIRECTORY`].
    pub attributes: u32,
    pub tag_or_ea_size: u32,
    pub security_id: u32,
    pub sequence: u16,
    /// How many, and the one that came last.
    pub names: u16,
    pub last_name: NameId,
    pub flags: RecordFlags,
    pub state: State,
}

/// How far a file record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Not in use.
    #[default]
    Free,
    /// Continues another record.
    Extension,
    /// Its record has yet to be written for the first time.
    New,
    /// Its record is on the volume and right.
    Written,
    /// Its record is on the volume and out of date.
    Changed,
    /// No longer in use; its record is on the volume and out of date.
    Freed,
}

impl Node {
    pub(super) fn is_directory(&self) -> bool {
        self.flags.contains(RecordFlags::DIRECTORY)
    }

    pub(super) fn is_reparse_point(&self) -> bool {
        self.attributes & FileAttributes::REPARSE_POINT.bits() != 0
    }

    pub(super) fn is_in_use(&self) -> bool {
        !matches!(self.state, State::Free | State::Freed)
    }

    /// The attribute word as `$FILE_NAME` has it.
    pub(super) fn name_attributes(&self) -> u32 {
        let directory = match self.is_directory() {
            true => FileNameHeader::DIRECTORY,
            false => 0,
        };
        let view = match self.flags.contains(RecordFlags::VIEW_INDEX) {
            true => FileNameHeader::VIEW,
            false => 0,
        };
        self.attributes | directory | view
    }

    /// Value of `$STANDARD_INFORMATION`.
    pub(super) fn standard_information(&self) -> StandardInformation {
        StandardInformation {
            created: I64::new(self.times.created.ticks()),
            written: I64::new(self.times.written.ticks()),
            changed: I64::new(self.times.changed.ticks()),
            accessed: I64::new(self.times.accessed.ticks()),
            attributes: U32::new(self.attributes),
            security_id: U32::new(self.security_id),
            ..StandardInformation::default()
        }
    }
}

/// A name of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub parent: u32,
    pub file: u32,
    start: u32,
    length: u8,
    pub namespace: Namespace,
    pub is_removed: bool,
}

/// Identifies a name for as long as its volume is being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NameId(pub(super) u32);

/// All names.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<Name>,
    units: Vec<u16>,
}

impl Names {
    /// Keeps a name that has been checked.
    pub(super) fn push(
        &mut self,
        parent: u32,
        file: u32,
        units: &[u16],
        namespace: Namespace,
    ) -> Result<NameId> {
        let too_many = || NtfsError::Refused {
            what: "the volume".to_owned(),
            rule: "its names take more memory than 32 bits count".to_owned(),
        };
        let id = u32::try_from(self.names.len()).map_err(|_| too_many())?;
        let start = u32::try_from(self.units.len()).map_err(|_| too_many())?;
        self.units.extend(units);
        self.names.push(Name {
            parent,
            file,
            start,
            length: units.len() as u8,
            namespace,
            is_removed: false,
        });
        Ok(NameId(id))
    }

    pub(super) fn get(&self, id: NameId) -> Option<Name> {
        self.names.get(id.0 as usize).copied()
    }

    pub(super) fn get_mut(&mut self, id: NameId) -> Option<&mut Name> {
        self.names.get_mut(id.0 as usize)
    }

    /// All names, also those taken away.
    pub(super) fn all(&self) -> impl Iterator<Item = (NameId, Name)> + '_ {
        (0..).map(NameId).zip(self.names.iter().copied())
    }

    pub(super) fn units(&self, name: &Name) -> &[u16] {
        let start = name.start as usize;
        let end = start + usize::from(name.length);
        self.units.get(start..end).unwrap_or_default()
    }

    pub(super) fn text(&self, name: &Name) -> String {
        String::from_utf16_lossy(self.units(name))
    }

    /// Names that are there, in the order of directories and of the entries in each.
    pub(super) fn by_directory(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.there().collect();
        names.sort_unstable_by(|a, b| {
            (a.parent.cmp(&b.parent)).then_with(|| collate(self.units(a), self.units(b)))
        });
        names
    }

    /// Names that are there, file by file, in the order they came.
    pub(super) fn by_file(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.there().collect();
        names.sort_by_key(|name| name.file);
        names
    }

    /// Names of one of the volume's own files, which come first.
    pub(super) fn of_system(&self, file: u32) -> impl Iterator<Item = Name> + '_ {
        let first = self.names.iter().take(system::FIRST_USER as usize);
        first.filter(move |name| name.file == file).copied()
    }

    /// Bytes that the entries of a directory take at the most.
    pub(super) fn entry_bytes(&self, directory: u32) -> u64 {
        let names = self.there().filter(|name| name.parent == directory);
        names.map(|name| 96 + u64::from(name.length) * 2).sum()
    }

    /// Names that have not been taken away.
    pub(super) fn there(&self) -> impl Iterator<Item = Name> + '_ {
        self.names.iter().copied().filter(|name| !name.is_removed)
    }

    /// Appends the `$FILE_NAME` of `name`, which `node` is known by.
    pub(super) fn push_file_name(
        &self,
        name: &Name,
        parent: FileReference,
        node: &Node,
        out: &mut Vec<u8>,
    ) {
        let header = FileNameHeader {
            parent: U64::new(parent.raw()),
            created: I64::new(node.times.created.ticks()),
            written: I64::new(node.times.written.ticks()),
            changed: I64::new(node.times.changed.ticks()),
            accessed: I64::new(node.times.accessed.ticks()),
            allocated: U64::new(node.allocated),
            size: U64::new(node.size),
            attributes: U32::new(node.name_attributes()),
            tag_or_ea_size: U32::new(node.tag_or_ea_size),
            name_length: name.length,
            namespace: name.namespace.0,
        };
        out.extend(header.as_bytes());
        out.extend(self.units(name).iter().flat_map(|unit| unit.to_le_bytes()));
    }
}

/// The order of names in a directory.
fn collate(a: &[u16], b: &[u16]) -> Ordering {
    let upper = |unit: &u16| Upcase::unit(*unit);
    (a.iter().map(upper).cmp(b.iter().map(upper))).then_with(|| a.cmp(b))
}

/// Whether Windows cannot tell two names apart.
pub(super) fn is_same(a: &[u16], b: &[u16]) -> bool {
    let upper = |unit: &u16| Upcase::unit(*unit);
    a.len() == b.len() && a.iter().map(upper).eq(b.iter().map(upper))
}

/// The UTF-16 units of a file's name, when Windows can have it.
pub(super) fn file_name(name: &str) -> Result<Vec<u16>> {
    const FORBIDDEN: &[char] = &['"', '*', '/', ':', '<', '>', '?', '\\', '|'];
    let refuse = |rule| {
        let name = name.escape_debug().to_string();
        Err(NtfsError::Name { name, rule })
    };
    if matches!(name, "" | "." | "..") {
        return refuse("it names no object");
    }
    if name.contains(|letter| letter < ' ' || FORBIDDEN.contains(&letter)) {
        return refuse("Windows allows no control characters and none of \" * / : < > ? \\ |");
    }
    let units: Vec<u16> = name.encode_utf16().collect();
    if units.len() > MAX_NAME {
        return refuse("it is longer than 255 UTF-16 units");
    }
    Ok(units)
}
