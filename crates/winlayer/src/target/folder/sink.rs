//! [`ObjectSink`]: where the objects of a layer go, and in which form.

use std::{fmt, io};

use winlayer_sys::Dir;
use winlayer_tar::{Metadata, ObjectKind, Tree};

use super::framing::{Framed, FramedFile, PlainFile, Written, sidecar, write_failed};
use crate::Result;

/// An object to be written.
#[derive(Debug)]
pub(crate) struct NewObject<'a> {
    /// Below the layer's root, as spelled by its first use.
    pub(crate) path: &'a str,
    pub(crate) tree: Tree,
    pub(crate) kind: &'a ObjectKind,
    pub(crate) metadata: &'a Metadata,
    /// A directory that was made because other entries needed it.
    pub(crate) exists: bool,
}

/// Takes objects one after the other, parents before children.
///
/// Whatever the form, what [`close`](Self::close) tells is about the object as attribute word and
/// backup stream (or about the plain bytes of a hive), so the index of a layer is the same everywhere.
pub(crate) trait ObjectSink: fmt::Debug {
    /// Makes a directory that other entries need; its own entry may follow.
    fn directory(&mut self, path: &str) -> Result<()>;

    /// Begins an object; for a file, its content must follow.
    fn begin(&mut self, object: &NewObject<'_>) -> Result<()>;

    /// Begins a stream of the object; false when this form cannot keep it.
    fn alternate(&mut self, name: &str, size: u64) -> Result<bool>;

    /// Takes the content of the object or its stream.
    fn content(&mut self) -> &mut dyn io::Write;

    /// Ends the object.
    fn close(&mut self) -> Result<Written>;
}

/// Files as ImportLayer reads them: framed, with sidecars for directories, hives plain.
#[derive(Debug)]
pub(crate) struct TransportSink<'a> {
    dir: &'a Dir,
    open: Option<Open>,
    /// Recycled from file to file.
    buffer: Vec<u8>,
    nowhere: io::Sink,
}

#[derive(Debug)]
struct Open {
    path: String,
    times: winlayer_metadata::FileTimes,
    file: OpenFile,
}

#[derive(Debug)]
enum OpenFile {
    Framed(FramedFile),
    /// Hives, which the platform wants without a frame.
    Plain(PlainFile),
}

impl<'a> TransportSink<'a> {
    pub(crate) fn new(dir: &'a Dir) -> Self {
        Self {
            dir,
            open: None,
            buffer: Vec::new(),
            nowhere: io::sink(),
        }
    }
}

impl ObjectSink for TransportSink<'_> {
    fn directory(&mut self, path: &str) -> Result<()> {
        Ok(self.dir.create_dir(path)?)
    }

    fn begin(&mut self, object: &NewObject<'_>) -> Result<()> {
        let (directory, reparse) = match object.kind {
            ObjectKind::Directory => (true, None),
            ObjectKind::Link { reparse, directory } => (*directory, Some(reparse)),
            ObjectKind::File { .. } => (false, None),
        };
        if directory && !object.exists {
            self.dir.create_dir(object.path)?;
        }
        let path = match directory {
            true => sidecar(object.path),
            false => object.path.to_owned(),
        };
        let plain = PlainFile::create(self.dir, &path, std::mem::take(&mut self.buffer))?;
        let failed = |error| write_failed(&path, error);
        let file = match (object.tree, object.kind) {
            (Tree::Hives, ObjectKind::File { .. }) => OpenFile::Plain(plain),
            (_, ObjectKind::File { size }) => {
                let mut framed = Framed::begin(plain, object.metadata, reparse).map_err(failed)?;
                framed.begin_data(*size).map_err(failed)?;
                OpenFile::Framed(framed)
            }
            _ => OpenFile::Framed(Framed::begin(plain, object.metadata, reparse).map_err(failed)?),
        };
        let times = object.metadata.times;
        self.open = Some(Open { path, times, file });
        Ok(())
    }

    fn alternate(&mut self, name: &str, size: u64) -> Result<bool> {
        match &mut self.open {
            Some(Open {
                path,
                file: OpenFile::Framed(file),
                ..
            }) => {
                let begun = file.begin_alternate(name, size);
                begun.map_err(|error| write_failed(path, error))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn content(&mut self) -> &mut dyn io::Write {
        match &mut self.open {
            Some(open) => match &mut open.file {
                OpenFile::Framed(file) => file,
                OpenFile::Plain(file) => file,
            },
            None => &mut self.nowhere,
        }
    }

    fn close(&mut self) -> Result<Written> {
        let Some(Open { path, times, file }) = self.open.take() else {
            return Ok(Written::default());
        };
        let finished = match file {
            OpenFile::Framed(file) => file.finish(&times),
            OpenFile::Plain(file) => file.finish(&times),
        };
        let (written, buffer) = finished.map_err(|error| write_failed(&path, error))?;
        self.buffer = buffer;
        Ok(written)
    }
}
