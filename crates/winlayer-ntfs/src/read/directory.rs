//! Directories: names to files.

use std::{
    cmp::Ordering,
    io::{Read, Seek},
    sync::Arc,
};

use winlayer_metadata::{FileAttributes, FileTimes};

use super::{
    Volume,
    index::Entry,
    name::{FileName, cmp_folded, text, units},
    records::FullRecord,
};
use crate::{FileReference, Namespace, NtfsError, Place, RecordFlags, Result, format::system};

/// The index of names.
pub(crate) const I30: &str = "$I30";

/// A name in a directory, with the facts about its file that Windows keeps beside it for fast listings. Those of a file with
/// several names may be stale; [`Volume::object`] has the true ones.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DirectoryEntry {
    /// The name. A unit that is half a surrogate pair is shown as NUL and four hexadecimal digits (`"\0D800"`), which no name
    /// can have of itself, and [`Volume::lookup`] understands. Names may hold anything but NUL and `/`, `..` and `\` included:
    /// check them before they become paths elsewhere.
    pub name: String,
    /// The file.
    pub reference: FileReference,
    /// Which kind of name this is.
    pub namespace: Namespace,
    /// The attribute word.
    pub attributes: FileAttributes,
    /// The four times.
    pub times: FileTimes,
    /// Bytes of the unnamed stream.
    pub size: u64,
    /// Bytes of its clusters.
    pub allocated: u64,
    /// The reparse tag, when the attribute word says that there is one; else the packed length of the extended attributes.
    pub tag_or_ea_size: u32,
}

impl<D: Read + Seek> Volume<D> {
    /// The root directory.
    pub fn root(&self) -> FileReference {
        FileReference::new(system::ROOT.into(), system::ROOT as u16)
    }

    /// Finds a file by its path from the root. `/` and `\` separate names; empty ones are left out. Case does not matter, but
    /// an exact match is preferred where names differ only in case.
    ///
    /// # Errors
    ///
    /// Damaged directories on the way; names on the way that are no directories are none.
    pub fn lookup(&mut self, path: &str) -> Result<Option<FileReference>> {
        let mut at = self.root();
        for name in path.split(['/', '\\']).filter(|name| !name.is_empty()) {
            let record = self.referenced(at)?;
            if !record.base.flags.contains(RecordFlags::DIRECTORY) {
                return Ok(None);
            }
            match self.lookup_in(&record, &units(name))? {
                Some(found) => at = found,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    fn lookup_in(&mut self, directory: &FullRecord, name: &[u16]) -> Result<Option<FileReference>> {
        let index = self.index(directory, I30)?;
        let upcase = Arc::clone(&self.upcase);
        let order = |key: &[u8], ties: bool| match FileName::parse(key) {
            Some(key) => cmp_folded(&upcase, name, &key.units).then_with(|| match ties {
                true => name.cmp(&key.units),
                false => Ordering::Equal,
            }),
            None => Ordering::Greater,
        };
        let exact = self.find(&index, |key| order(key, true))?;
        let found = match exact {
            None => self.find(&index, |key| order(key, false))?,
            exact => exact,
        };
        Ok(found.map(|found| found.reference))
    }

    /// The names in a directory, in the order of its index. Short names that stand beside long ones are left out, and so is
    /// the root's name for itself; [`read_dir_with_short_names`](Self::read_dir_with_short_names) has them.
    ///
    /// # Errors
    ///
    /// A reference that is stale or not to a directory; a damaged index, and names that are none (empty, with NUL or `/`).
    pub fn read_dir(&mut self, directory: FileReference) -> Result<Vec<DirectoryEntry>> {
        let mut entries = self.read_dir_with_short_names(directory)?;
        entries.retain(|entry| {
            entry.namespace != Namespace::DOS
                && !(entry.reference == directory && entry.name == ".")
        });
        Ok(entries)
    }

    /// All entries of a directory.
    ///
    /// # Errors
    ///
    /// As for [`read_dir`](Self::read_dir).
    pub fn read_dir_with_short_names(
        &mut self,
        directory: FileReference,
    ) -> Result<Vec<DirectoryEntry>> {
        let record = self.referenced(directory)?;
        if !record.base.flags.contains(RecordFlags::DIRECTORY) {
            let place = Place::Record(directory.record());
            return Err(NtfsError::damaged(place, "a directory", "something else"));
        }
        let index = self.index(&record, I30)?;
        let mut entries = Vec::new();
        self.walk(&index, &mut |entry| {
            let listed = listed(entry).ok_or_else(|| {
                let found = format!("{:02x?}", entry.key);
                NtfsError::damaged(index.place.clone(), "a name", found)
            })?;
            entries.push(listed);
            Ok(())
        })?;
        Ok(entries)
    }

    /// The record a reference is to.
    pub(crate) fn referenced(&mut self, reference: FileReference) -> Result<FullRecord> {
        let found = match self.load(reference.record())? {
            Some(record) if record.base.reference() == reference => return Ok(record),
            Some(record) => format!("{}", record.base.reference()),
            None => "none in use".to_owned(),
        };
        let place = Place::Record(reference.record());
        Err(NtfsError::damaged(
            place,
            format!("file {reference}"),
            found,
        ))
    }
}

fn listed(entry: &Entry<'_>) -> Option<DirectoryEntry> {
    let name = FileName::parse(entry.key)?;
    if name.units.is_empty() || name.units.contains(&0) || name.units.contains(&u16::from(b'/')) {
        return None;
    }
    Some(DirectoryEntry {
        name: text(&name.units),
        reference: FileReference::from_raw(entry.reference),
        namespace: name.namespace(),
        attributes: name.attributes(),
        times: name.times(),
        size: name.header.size.get(),
        allocated: name.header.allocated.get(),
        tag_or_ea_size: name.header.tag_or_ea_size.get(),
    })
}
