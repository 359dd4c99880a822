//! All names of a volume: parents first, siblings in byte order of their names, as for images.

use std::{
    collections::HashSet,
    io::{Read, Seek},
};

use winlayer_metadata::Upcase;
use winlayer_ntfs::{DirectoryEntry, FileReference, Volume};

use crate::{Error, Result, error::escape};

/// File records below this number are the volume's own (`$MFT`, `$Extend` and so on).
const OWN_RECORDS: u64 = 24;
/// Longest path that is followed, in bytes: Windows opens none over 32,767 UTF-16 units.
const LONGEST_PATH: usize = 3 * 32_767;

/// A name on the volume.
#[derive(Clone, Debug)]
pub(super) struct Name {
    /// From the root of the volume, `/` between names.
    pub(super) path: String,
    /// The directory it is in.
    pub(super) directory: FileReference,
    pub(super) entry: DirectoryEntry,
    /// A sibling before it differs only in case.
    pub(super) is_twin: bool,
}

/// A walk over a volume; who walks says which directories are entered.
#[derive(Debug, Default)]
pub(super) struct Walk {
    stack: Vec<Name>,
    /// Directories that were entered, by record.
    entered: HashSet<u64>,
}

impl Walk {
    /// The next name.
    pub(super) fn next(&mut self) -> Option<Name> {
        self.stack.pop()
    }

    /// Puts the names of a directory next; the volume's own files are left out.
    ///
    /// # Errors
    ///
    /// A damaged directory, one that was entered before (directories have one name), and one too deep for Windows.
    pub(super) fn enter<D: Read + Seek>(
        &mut self,
        volume: &mut Volume<D>,
        directory: FileReference,
        path: &str,
    ) -> Result<()> {
        if !self.entered.insert(directory.record()) {
            let what = format!("directory \"{}\" has two names", escape(path));
            return Err(Error::damaged_disk(what));
        }
        if path.len() > LONGEST_PATH {
            let what = format!("the path \"{}\" is too long for Windows", escape(path));
            return Err(Error::damaged_disk(what));
        }
        let mut entries = volume.read_dir(directory)?;
        if directory == volume.root() {
            entries.retain(|entry| entry.reference.record() >= OWN_RECORDS);
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let mut folded = HashSet::with_capacity(entries.len());
        let mut names: Vec<Name> = Vec::with_capacity(entries.len());
        for entry in entries {
            let key: Vec<u16> = entry.name.encode_utf16().map(Upcase::unit).collect();
            names.push(Name {
                path: join(path, &entry.name),
                directory,
                is_twin: !folded.insert(key),
                entry,
            });
        }
        self.stack.extend(names.into_iter().rev());
        Ok(())
    }
}

/// The path of `name` in a directory.
pub(super) fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        directory => format!("{directory}/{name}"),
    }
}
