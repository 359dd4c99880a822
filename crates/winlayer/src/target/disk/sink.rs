//! [`VolumeSink`]: the merged view onto a volume.

use std::io::{BufRead, Read, Seek, Write};

use winlayer_ntfs::{FileId, VolumeSummary, VolumeWriter};
use winlayer_tar::{AlternateStream, Body, Object, ObjectKind};

use super::objects::{begin, describe, plain};
use crate::{
    Error, Result,
    error::escape,
    merge::{Kind, Merge, Sink, copy_body},
    names::NodeId,
};

/// Puts what it gets onto a volume.
pub(super) struct VolumeSink<D> {
    volume: VolumeWriter<D>,
    /// Path of the directory that becomes the root.
    root_path: &'static str,
    root: Option<NodeId>,
    /// Files and directories that have been made, by node.
    files: Vec<Option<FileId>>,
}

impl<D: Read + Write + Seek> VolumeSink<D> {
    pub(super) fn new(volume: VolumeWriter<D>, root_path: &'static str) -> Self {
        Self {
            volume,
            root_path,
            root: None,
            files: Vec::new(),
        }
    }

    /// Adds the directories that nobody described and nothing lies in, and completes the volume.
    pub(super) fn finish(mut self, view: &Merge) -> Result<(D, VolumeSummary)> {
        let root = self.root(view).filter(|&root| view.state(root).wanted);
        let Some(root) = root else {
            let what = format!(
                "no layer of the image has the directory \"{}\"",
                self.root_path
            );
            return Err(Error::not_found(what));
        };
        for node in view.sorted_from(root) {
            if view.state(node).kind == Kind::Implicit {
                self.directory_at(view, node)?;
            }
        }
        Ok(self.volume.finish()?)
    }

    fn root(&mut self, view: &Merge) -> Option<NodeId> {
        if self.root.is_none() {
            self.root = view.names().find(self.root_path);
        }
        self.root
    }

    fn file(&self, node: NodeId) -> Option<FileId> {
        self.files.get(node.index()).copied().flatten()
    }

    fn remember(&mut self, node: NodeId, file: FileId) {
        let index = node.index();
        if self.files.len() <= index {
            self.files.resize(index + 1, None);
        }
        if let Some(slot) = self.files.get_mut(index) {
            *slot = Some(file);
        }
    }

    /// The directory at `node`, made with its parents when missing.
    fn directory_at(&mut self, view: &Merge, node: NodeId) -> Result<FileId> {
        let mut missing = Vec::new();
        let mut at = node;
        let mut above = loop {
            if let Some(file) = self.file(at) {
                break file;
            }
            if Some(at) == self.root(view) {
                self.remember(at, FileId::ROOT);
                break FileId::ROOT;
            }
            missing.push(at);
            let parent = view.names().parent(at);
            at = parent.ok_or_else(|| outside(view, node, self.root_path))?;
        };
        for node in missing.into_iter().rev() {
            let name = view.names().name(node);
            let made = self.volume.add_directory(above, name);
            above = made.map_err(|error| self.in_entry(view, node, error))?;
            self.volume.begin_directory(above, &plain()?)?;
            self.remember(node, above);
        }
        Ok(above)
    }

    fn parent_of(&mut self, view: &Merge, node: NodeId) -> Result<FileId> {
        let parent = view.names().parent(node);
        let parent = parent.ok_or_else(|| outside(view, node, self.root_path))?;
        self.directory_at(view, parent)
    }

    /// Names the entry that could not be written.
    fn in_entry(&self, view: &Merge, node: NodeId, error: winlayer_ntfs::NtfsError) -> Error {
        Error::in_entry(&view.names().path(node), error)
    }
}

/// A wanted name is below the root by the merge's own rules.
fn outside(view: &Merge, node: NodeId, root: &str) -> Error {
    let rule = format!("lies outside of {root}");
    Error::refused_entry(&view.names().path(node), rule)
}

impl<D: Read + Write + Seek> Sink for VolumeSink<D> {
    fn directory(&mut self, view: &Merge, node: NodeId, object: &Object) -> Result<()> {
        let file = self.directory_at(view, node)?;
        let metadata = describe(&object.metadata, None)?;
        let begun = self.volume.begin_directory(file, &metadata);
        begun.map_err(|error| self.in_entry(view, node, error))
    }

    fn object(
        &mut self,
        view: &Merge,
        at: NodeId,
        object: &Object,
        body: &mut dyn BufRead,
    ) -> Result<()> {
        let parent = self.parent_of(view, at)?;
        let name = view.names().name(at);
        if object.kind == ObjectKind::Directory {
            return self.directory(view, at, object);
        }
        let begun = begin(&mut self.volume, parent, name, object)?;
        let file = begun.map_err(|error| self.in_entry(view, at, error))?;
        self.remember(at, file);
        copy_body(body, &mut self.volume, || escape(object.path.as_str()))?;
        Ok(())
    }

    fn links(&mut self, view: &Merge, to: NodeId, names: &[NodeId]) -> Result<()> {
        let Some(file) = self.file(to) else {
            let rule = "is linked to before it is there";
            return Err(Error::refused_entry(&view.names().path(to), rule));
        };
        for &node in names {
            let parent = self.parent_of(view, node)?;
            let name = view.names().name(node);
            let linked = self.volume.link(file, parent, name);
            linked.map_err(|error| self.in_entry(view, node, error))?;
        }
        Ok(())
    }

    fn stream(
        &mut self,
        _view: &Merge,
        stream: &AlternateStream,
        body: &mut Body<'_>,
    ) -> Result<()> {
        let begun = self.volume.begin_stream(&stream.name, stream.size);
        begun.map_err(|error| Error::in_entry(&stream.name, error))?;
        copy_body(body, &mut self.volume, || escape(&stream.name))?;
        Ok(())
    }
}
