//! [`HcsAssembly`]: taking things over from finished layers, which are real objects.

use winlayer_sys::Dir;
use winlayer_tar::Metadata;

use super::{
    live::{copy_object, describe_directory, read_directory},
    sink::in_utility_vm,
};
use crate::{
    Result,
    layer_names::NameKind,
    target::folder::{
        Assembly, DELETIONS_FILE, PublishedLayer, Written, is_edited, plain_directory,
        write_sidecar,
    },
};

/// A layer that the platform will finish.
#[derive(Debug)]
pub(super) struct HcsAssembly<'a> {
    pub(super) dir: &'a Dir,
    /// What the platform imports; none for a base.
    pub(super) transport: Option<&'a Dir>,
}

impl HcsAssembly<'_> {
    fn transport(&self, path: &str) -> Option<&Dir> {
        self.transport.filter(|_| !in_utility_vm(path))
    }
}

/// Clones an object of the utility VM: files are shared, the rest, and what the platform edits, is
/// copied.
pub(super) fn clone(
    from: &PublishedLayer,
    theirs: &str,
    to: &Dir,
    ours: &str,
    kind: NameKind,
) -> Result<()> {
    let shared = matches!(kind, NameKind::File | NameKind::HardLink) && !is_edited(ours);
    if shared {
        use std::io::ErrorKind::{CrossesDevices, TooManyLinks};
        match from.dir().hard_link(theirs, to, ours) {
            Err(error) if matches!(error.io_kind(), CrossesDevices | TooManyLinks) => {}
            linked => return Ok(linked?),
        }
    }
    copy_object(from.dir(), theirs, to, ours, kind)
}

impl Assembly for HcsAssembly<'_> {
    fn clone_object(
        &self,
        from: &PublishedLayer,
        theirs: &str,
        ours: &str,
        kind: NameKind,
    ) -> Result<()> {
        clone(from, theirs, self.dir, ours, kind)
    }

    fn adopt_directory(&self, from: &PublishedLayer, theirs: &str, ours: &str) -> Result<()> {
        let metadata = read_directory(from.dir(), theirs)?;
        match self.transport(ours) {
            Some(transport) => write_sidecar(transport, ours, &metadata).map(drop),
            None => describe_directory(self.dir, ours, &metadata),
        }
    }

    fn plain_directory(&self, ours: &str) -> Result<(Metadata, Written)> {
        let metadata = plain_directory();
        if let Some(transport) = self.transport(ours) {
            let written = write_sidecar(transport, ours, &metadata)?;
            return Ok((metadata, written));
        }
        // Its times are set with those of all directories.
        let word = metadata.attributes.bits().to_le_bytes();
        let written = Written {
            size: word.len() as u64,
            crc32: crc32fast::hash(&word),
        };
        Ok((metadata, written))
    }

    /// In a layer the platform imports, links wait until it has done so: they may replace what it
    /// puts there, and lead into layers below.
    fn link(&self, from: &Dir, target: &str, ours: &str) -> Result<()> {
        match self.transport {
            Some(_) => Ok(()),
            None => Ok(from.hard_link(target, self.dir, ours)?),
        }
    }

    fn tombstones_file(&self) -> &'static str {
        DELETIONS_FILE
    }

    /// The platform shows in a directory what the layers below have only if the layer has that
    /// directory; elsewhere there would be nothing to delete.
    fn directory_of_deletion(&self, ours: &str) -> Result<bool> {
        let Some(transport) = self.transport(ours) else {
            return Ok(false);
        };
        transport.create_dir(ours)?;
        Ok(true)
    }
}
