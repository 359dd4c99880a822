//! Writes the merged view as plain files.

use std::{collections::BTreeMap, io};

use winlayer_metadata::{FileAttributes, FileTime, FileTimes};
use winlayer_sys::{Dir, UnixTime, set_file_times};
use winlayer_tar::{AlternateStream, Body, Object, ObjectKind};

use super::{
    handles::{Handles, write_failed},
    record::{Record, StandsAs, Stream},
    spool::Spool,
    symlink::{self, Outside},
};
use crate::{
    Result,
    error::escape,
    merge::{Kind, Merge, Sink, copy_body},
    names::NodeId,
};

/// The sink of `--to tree`.
pub(super) struct TreeWriter {
    pub(super) handles: Handles,
    /// Symbolic links and junctions; made last, so nothing can be written through one.
    links: BTreeMap<NodeId, PendingLink>,
    directories: Vec<(NodeId, FileTimes)>,
    pub(super) spool: Option<Spool>,
    /// The line of the last object, still waiting for its streams.
    pending: Option<(NodeId, Record)>,
    /// Objects with something a plain tree cannot hold.
    pub(super) objects_with_losses: u64,
    last_has_losses: bool,
    links_outside: u64,
    first_link_outside: Option<String>,
    /// Links the file system, or Windows for want of a privilege, would not make.
    links_refused: u64,
    first_link_refused: Option<String>,
    buffer: Vec<u8>,
}

/// A link that is made when all files exist.
#[derive(Clone, Debug)]
struct PendingLink {
    target: Option<String>,
    directory: bool,
    times: FileTimes,
    record: Option<Record>,
}

impl TreeWriter {
    pub(super) fn new(handles: Handles, spool: Option<Spool>) -> Self {
        Self {
            handles,
            links: BTreeMap::new(),
            directories: Vec::new(),
            spool,
            pending: None,
            objects_with_losses: 0,
            last_has_losses: false,
            links_outside: 0,
            first_link_outside: None,
            links_refused: 0,
            first_link_refused: None,
            buffer: Vec::new(),
        }
    }

    /// The path a record gives an object.
    pub(super) fn record_path(&mut self, view: &Merge, node: NodeId) -> String {
        match self.handles.path(view, node) {
            "" => ".".to_owned(),
            path => path.to_owned(),
        }
    }

    /// Begins the line of an object; its streams are still to come.
    fn begin_record(&mut self, view: &Merge, node: NodeId, object: &Object) -> Result<()> {
        self.end_record()?;
        self.last_has_losses = has_losses(object);
        self.objects_with_losses += u64::from(self.last_has_losses);
        if self.spool.is_some() {
            let path = self.record_path(view, node);
            let record = Record::of(path, view.state(node).defined_in, object);
            self.pending = Some((node, record));
        }
        Ok(())
    }

    /// Ends the line of the last object.
    pub(super) fn end_record(&mut self) -> Result<()> {
        let Some((node, record)) = self.pending.take() else {
            return Ok(());
        };
        match self.links.get_mut(&node) {
            // What a link stands as is known only when all names are.
            Some(link) => link.record = Some(record),
            None => self.put(node, &record)?,
        }
        Ok(())
    }

    fn put(&mut self, node: NodeId, record: &Record) -> Result<()> {
        match &mut self.spool {
            Some(spool) => spool.put(node, record).map_err(spool_failed),
            None => Ok(()),
        }
    }

    fn write_file(
        &mut self,
        view: &Merge,
        at: NodeId,
        times: &FileTimes,
        body: &mut dyn io::BufRead,
    ) -> Result<()> {
        let name = view.names().name(at);
        let mut file = self.handles.parent_of(view, at)?.create_file(name)?;
        let describe = || format!("\"{}\"", escape(name));
        let (size, crc32) = match self.pending.is_some() {
            true => {
                let mut out = Summing {
                    inner: &mut file,
                    crc32: crc32fast::Hasher::new(),
                };
                let size = copy_body(body, &mut out, describe)?;
                (size, Some(out.crc32.finalize()))
            }
            false => (copy_body(body, &mut file, describe)?, None),
        };
        let (accessed, written) = (unix_time(times.accessed), unix_time(times.written));
        set_file_times(&file, accessed, written).map_err(|error| write_failed(name, error))?;
        if let Some((_, record)) = &mut self.pending {
            (record.size, record.crc32) = (Some(size), crc32);
        }
        Ok(())
    }

    fn hard_link(&mut self, view: &Merge, to: NodeId, name: NodeId) -> Result<()> {
        let from = self.handles.path(view, to).to_owned();
        let (root, parent) = self.handles.root_and_parent(view, name)?;
        let linked = root.hard_link(&from, parent, view.names().name(name));
        match linked {
            Err(error) if error.io_kind() == io::ErrorKind::TooManyLinks => {
                self.copy_file(view, &from, name)
            }
            linked => Ok(linked?),
        }
    }

    /// The file system allows no further name for the file, so it gets a copy.
    fn copy_file(&mut self, view: &Merge, from: &str, name: NodeId) -> Result<()> {
        let (root, parent) = self.handles.root_and_parent(view, name)?;
        let name = view.names().name(name);
        let failed = |error| write_failed(name, error);
        let mut source = root.open_file(from)?;
        let mut copy = parent.create_file(name)?;
        io::copy(&mut source, &mut copy).map_err(failed)?;
        let times = source.metadata().map_err(failed)?;
        let times = std::fs::FileTimes::new()
            .set_accessed(times.accessed().map_err(failed)?)
            .set_modified(times.modified().map_err(failed)?);
        copy.set_times(times).map_err(failed)
    }

    /// Makes what had to wait until all files were there: links, then times of directories.
    pub(super) fn finish(&mut self, view: &Merge, root: NodeId, sorted: &[NodeId]) -> Result<()> {
        self.end_record()?;
        for &node in sorted {
            if view.state(node).kind.is_directory() {
                self.handles.make(view, node)?;
            }
        }
        for (node, link) in std::mem::take(&mut self.links) {
            self.make_link(view, root, node, link)?;
        }
        let mut times = std::mem::take(&mut self.directories);
        let implicit = |&&node: &&NodeId| view.state(node).kind == Kind::Implicit;
        let implicit = sorted.iter().filter(implicit);
        times.extend(implicit.map(|&node| (node, PLAIN_TIMES)));
        for (node, times) in times.iter().rev() {
            if *node != root {
                self.set_times(view, *node, times)?;
            }
        }
        self.directories = times;
        Ok(())
    }

    /// The times of the tree's root, when a layer describes it.
    pub(super) fn root_times(&self, root: NodeId) -> FileTimes {
        let found = self.directories.iter().find(|(node, _)| *node == root);
        found.map_or(PLAIN_TIMES, |(_, times)| *times)
    }

    fn set_times(&mut self, view: &Merge, node: NodeId, times: &FileTimes) -> Result<()> {
        let (accessed, written) = (unix_time(times.accessed), unix_time(times.written));
        let name = view.names().name(node);
        self.handles
            .parent_of(view, node)?
            .set_times(name, accessed, written)?;
        Ok(())
    }

    fn make_link(
        &mut self,
        view: &Merge,
        root: NodeId,
        node: NodeId,
        mut link: PendingLink,
    ) -> Result<()> {
        let path = self.handles.path(view, node).to_owned();
        let parent: Vec<&str> = match path.rsplit_once('/') {
            Some((parent, _)) => parent.split('/').collect(),
            None => Vec::new(),
        };
        let target = link.target.as_deref().unwrap_or_default();
        let name = view.names().name(node);
        let stands_as = match symlink::translate(view, root, &parent, target) {
            Ok(text) => {
                let parent = self.handles.parent_of(view, node)?;
                let made = match link.directory {
                    true => parent.symlink_to_directory(&text, name),
                    false => parent.symlink(&text, name),
                };
                match made {
                    Ok(()) => StandsAs::Symlink(text),
                    Err(error) if error.is_unsupported() => {
                        self.links_refused += 1;
                        self.first_link_refused.get_or_insert_with(|| {
                            let cause = std::error::Error::source(&error);
                            let cause = cause.map(ToString::to_string).unwrap_or_default();
                            format!("\"{}\" ({cause})", escape(&path))
                        });
                        make_placeholder(parent, name, link.directory)?
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Err(why) => {
                self.note_outside(&path, target, why);
                let parent = self.handles.parent_of(view, node)?;
                make_placeholder(parent, name, link.directory)?
            }
        };
        self.set_times(view, node, &link.times)?;
        if let Some(record) = &mut link.record {
            if let Some(reparse) = &mut record.reparse {
                reparse.stands_as = stands_as;
            }
            self.put(node, record)?;
        }
        Ok(())
    }

    fn note_outside(&mut self, path: &str, target: &str, why: Outside) {
        self.links_outside = self.links_outside.saturating_add(1);
        self.first_link_outside.get_or_insert_with(|| {
            format!("\"{}\" to \"{}\": {why}", escape(path), escape(target))
        });
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(first) = &self.first_link_outside {
            warnings.push(format!(
                "{} links lead out of the tree and became empty files or directories; the first is {first}",
                self.links_outside
            ));
        }
        if let Some(first) = &self.first_link_refused {
            warnings.push(format!(
                "{} links could not be made here and became empty files or directories; the first is {first}",
                self.links_refused
            ));
        }
        if self.spool.is_none() && self.objects_with_losses > 0 {
            warnings.push(format!(
                "{} objects carry Windows metadata that plain files cannot hold; --metadata FILE keeps it",
                self.objects_with_losses
            ));
        }
        warnings
    }
}

impl Sink for TreeWriter {
    fn directory(&mut self, view: &Merge, node: NodeId, object: &Object) -> Result<()> {
        self.begin_record(view, node, object)?;
        self.handles.make(view, node)?;
        self.directories.push((node, object.metadata.times));
        Ok(())
    }

    fn object(
        &mut self,
        view: &Merge,
        at: NodeId,
        object: &Object,
        body: &mut dyn io::BufRead,
    ) -> Result<()> {
        self.begin_record(view, at, object)?;
        match &object.kind {
            ObjectKind::Link { reparse, directory } => {
                let link = PendingLink {
                    target: reparse.target().map(str::to_owned),
                    directory: *directory,
                    times: object.metadata.times,
                    record: None,
                };
                self.links.insert(at, link);
                Ok(())
            }
            _ => self.write_file(view, at, &object.metadata.times, body),
        }
    }

    fn links(&mut self, view: &Merge, to: NodeId, names: &[NodeId]) -> Result<()> {
        for &name in names {
            match self.links.get(&to) {
                // Windows reads a relative target from the name that is used, so each has its own.
                Some(link) => {
                    let link = PendingLink {
                        record: None,
                        ..link.clone()
                    };
                    self.links.insert(name, link);
                }
                None => self.hard_link(view, to, name)?,
            }
        }
        Ok(())
    }

    fn stream(
        &mut self,
        _view: &Merge,
        stream: &AlternateStream,
        body: &mut Body<'_>,
    ) -> Result<()> {
        if !std::mem::replace(&mut self.last_has_losses, true) {
            self.objects_with_losses += 1;
        }
        let Some((_, record)) = &mut self.pending else {
            return Ok(());
        };
        let keep = stream.size <= Stream::LARGEST_KEPT;
        self.buffer.clear();
        let sink: &mut dyn io::Write = match keep {
            true => &mut self.buffer,
            false => &mut io::sink(),
        };
        let mut out = Summing {
            inner: sink,
            crc32: crc32fast::Hasher::new(),
        };
        let size = copy_body(body, &mut out, || "an alternate stream".to_owned())?;
        let crc32 = out.crc32.finalize();
        let content = keep.then_some(self.buffer.as_slice());
        record
            .streams
            .push(Stream::new(&stream.name, size, crc32, content));
        Ok(())
    }
}

/// What stands where no link can.
fn make_placeholder(parent: &Dir, name: &str, directory: bool) -> Result<StandsAs> {
    Ok(match directory {
        true => parent.create_dir(name).map(|()| StandsAs::EmptyDirectory)?,
        false => parent.create_file(name).map(|_| StandsAs::EmptyFile)?,
    })
}

/// Writes through and keeps the CRC-32.
struct Summing<W> {
    inner: W,
    crc32: crc32fast::Hasher,
}

impl<W: io::Write> io::Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.crc32.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The times of directories no layer describes: the same in every run.
const PLAIN_TIMES: FileTimes = FileTimes {
    created: FileTime::UNIX_EPOCH,
    accessed: FileTime::UNIX_EPOCH,
    written: FileTime::UNIX_EPOCH,
    changed: FileTime::UNIX_EPOCH,
};

pub(super) fn unix_time(time: FileTime) -> UnixTime {
    let (seconds, nanos) = time.to_unix();
    UnixTime { seconds, nanos }
}

/// Whether a plain file cannot hold all of an object, times aside.
fn has_losses(object: &Object) -> bool {
    let plain = FileAttributes::DIRECTORY | FileAttributes::ARCHIVE | FileAttributes::NORMAL;
    let metadata = &object.metadata;
    metadata.security.is_some()
        || !metadata.extended_attributes.is_empty()
        || !plain.contains(metadata.attributes)
        || matches!(object.kind, ObjectKind::Link { .. })
}

pub(super) fn spool_failed(source: io::Error) -> crate::Error {
    crate::Error::io("write the metadata file", source)
}
