//! [`Assembly`]: how a layer takes things over from the layers below.

use std::fmt;

use winlayer_sys::Dir;
use winlayer_tar::Metadata;

use super::{
    base_hives,
    below::PublishedLayer,
    framing::{Written, copy_file, plain_directory, share_file, sidecar, write_sidecar},
    index::IndexWriter,
    tombstones::TOMBSTONES_FILE,
    utility_vm::is_edited,
};
use crate::{
    Result,
    layer_names::{LayerNames, NameKind},
};

/// What completing a layer does to the disk. Paths are below the layer's root: `theirs` in the layer
/// an object comes from, `ours` in the layer being built.
pub(crate) trait Assembly: fmt::Debug {
    /// Takes over an object of the utility VM; `ours` does not exist, its directory does.
    fn clone_object(
        &self,
        from: &PublishedLayer,
        theirs: &str,
        ours: &str,
        kind: NameKind,
    ) -> Result<()>;

    /// Gives a directory without an entry the metadata of the one below.
    fn adopt_directory(&self, from: &PublishedLayer, theirs: &str, ours: &str) -> Result<()>;

    /// Gives a directory without an entry plain metadata.
    fn plain_directory(&self, ours: &str) -> Result<(Metadata, Written)>;

    /// Makes a hard link to a file of the layer being built or of one below.
    fn link(&self, from: &Dir, target: &str, ours: &str) -> Result<()>;

    /// The name of the file that lists the layer's deletions.
    fn tombstones_file(&self) -> &'static str {
        TOMBSTONES_FILE
    }

    /// Makes the registry as the layer leaves it, where nobody else will; gives warnings.
    fn base_hives(
        &self,
        names: &LayerNames,
        parent: Option<&PublishedLayer>,
        index: &mut IndexWriter,
    ) -> Result<Vec<String>> {
        let _ = (names, parent, index);
        Ok(Vec::new())
    }

    /// Makes a directory that only deletions need, where those are applied to real directories.
    /// False when nobody needs it.
    fn directory_of_deletion(&self, ours: &str) -> Result<bool> {
        let _ = ours;
        Ok(false)
    }
}

/// A layer folder in the transport format, complete in itself: what it has in common with others is
/// hard-linked.
#[derive(Debug)]
pub(crate) struct TransportFolder<'a> {
    pub(crate) dir: &'a Dir,
}

impl Assembly for TransportFolder<'_> {
    fn clone_object(
        &self,
        from: &PublishedLayer,
        theirs: &str,
        ours: &str,
        kind: NameKind,
    ) -> Result<()> {
        if kind.is_directory() || kind == NameKind::DirectoryLink {
            self.dir.create_dir(ours)?;
            return self.adopt_directory(from, theirs, ours);
        }
        if is_edited(ours) {
            return copy_file(from.dir(), theirs, self.dir, ours);
        }
        share_file(from.dir(), theirs, self.dir, ours)
    }

    fn adopt_directory(&self, from: &PublishedLayer, theirs: &str, ours: &str) -> Result<()> {
        share_file(from.dir(), &sidecar(theirs), self.dir, &sidecar(ours))
    }

    fn plain_directory(&self, ours: &str) -> Result<(Metadata, Written)> {
        let metadata = plain_directory();
        let written = write_sidecar(self.dir, ours, &metadata)?;
        Ok((metadata, written))
    }

    fn link(&self, from: &Dir, target: &str, ours: &str) -> Result<()> {
        share_file(from, target, self.dir, ours)
    }

    fn base_hives(
        &self,
        names: &LayerNames,
        parent: Option<&PublishedLayer>,
        index: &mut IndexWriter,
    ) -> Result<Vec<String>> {
        base_hives::complete(self.dir, names, parent, index)
    }
}
