//! The order of an export: depth first, names sorted, a directory before what is in it.

use winlayer_sys::{DirEntry, FileKind};

use super::sources::ObjectSource;
use crate::{Error, Result};

/// A walk in progress. Not recursive: a path may be thousands of names deep.
pub(super) struct Walk<'a> {
    source: &'a dyn ObjectSource,
    /// The object given last, if it is a directory to go on in.
    entered: Option<String>,
    first: Option<(String, FileKind)>,
    open: Vec<(String, std::vec::IntoIter<DirEntry>)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a dyn ObjectSource, root: &str) -> Result<Self> {
        let found = source.dir().stat(root)?;
        let found = found.ok_or_else(|| Error::not_found(format!("{root} does not exist")))?;
        Ok(Self {
            source,
            entered: None,
            first: Some((root.to_owned(), found.kind)),
            open: Vec::new(),
        })
    }

    /// The next object; those for which `skip` says so are left out with all below them.
    pub(super) fn next(
        &mut self,
        skip: &dyn Fn(&str) -> bool,
    ) -> Result<Option<(String, FileKind)>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(self.give(first)));
        }
        if let Some(directory) = self.entered.take() {
            let entries = self.source.dir().read_dir(&directory)?;
            self.open.push((directory, entries.into_iter()));
        }
        while let Some((directory, entries)) = self.open.last_mut() {
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            let name = entry.name.to_str().ok_or_else(|| {
                let path = format!("{directory}/{}", entry.name.to_string_lossy());
                Error::malformed_entry(&path, "is no valid Unicode, which a layer tar needs")
            })?;
            let path = format!("{directory}/{name}");
            if skip(&path) || self.source.leaves_out(&path) {
                continue;
            }
            return Ok(Some(self.give((path, entry.kind))));
        }
        Ok(None)
    }

    fn give(&mut self, object: (String, FileKind)) -> (String, FileKind) {
        if object.1 == FileKind::Directory {
            self.entered = Some(object.0.clone());
        }
        object
    }
}
