//! [`HcsSink`]: the objects of a layer, each in the form the platform wants it in.

use std::io;

use winlayer_metadata::{FileAttributes, FileTimes};
use winlayer_sys::Dir;
use winlayer_tar::ObjectKind;

use super::{
    live::{LiveStream, Making, basic_info},
    workers::Workers,
};
use crate::{
    Result,
    target::folder::{Framed, NewObject, ObjectSink, TransportSink, Written, write_failed},
};

/// Writes real objects into the layer's folder, except what the platform imports.
#[derive(Debug)]
pub(super) struct HcsSink<'a> {
    dir: &'a Dir,
    workers: Workers,
    /// `None` for a base, which is all real objects.
    transport: Option<TransportSink<'a>>,
    live: Option<(String, Framed<LiveStream<'a>>)>,
    nowhere: io::Sink,
}

/// Whether an object is part of the utility VM, which the platform does not import.
pub(super) fn in_utility_vm(path: &str) -> bool {
    path == "UtilityVM" || path.starts_with("UtilityVM/")
}

impl<'a> HcsSink<'a> {
    pub(super) fn new(dir: &'a Dir, transport: Option<&'a Dir>) -> Result<Self> {
        Ok(Self {
            dir,
            workers: Workers::new(dir)?,
            transport: transport.map(TransportSink::new),
            live: None,
            nowhere: io::sink(),
        })
    }

    /// Waits until all files are closed; the first error of those.
    pub(super) fn finish(mut self) -> Result<()> {
        self.workers.finish()
    }

    /// The sink of the transport folder, if the object belongs there.
    fn transport(&mut self, path: &str) -> Option<&mut TransportSink<'a>> {
        self.transport.as_mut().filter(|_| !in_utility_vm(path))
    }

    /// A real object that takes its attribute word and stream as they are.
    pub(super) fn raw(
        &self,
        path: &str,
        making: Making,
        attributes: FileAttributes,
        times: &FileTimes,
    ) -> LiveStream<'a> {
        let info = basic_info(attributes, times);
        LiveStream::new(self.dir, path, making, info, self.workers.buffer())
    }

    pub(super) fn close_raw(&mut self, stream: LiveStream<'a>) -> Result<Written> {
        stream.finish(&mut self.workers)
    }
}

impl ObjectSink for HcsSink<'_> {
    fn directory(&mut self, path: &str) -> Result<()> {
        match self.transport(path) {
            Some(transport) => transport.directory(path),
            None => Ok(self.dir.create_dir(path)?),
        }
    }

    fn begin(&mut self, object: &NewObject<'_>) -> Result<()> {
        self.live = None;
        if let Some(transport) = self.transport(object.path) {
            return transport.begin(object);
        }
        let (making, reparse) = match object.kind {
            ObjectKind::Directory if object.exists => (Making::ExistingDirectory, None),
            ObjectKind::Directory => (Making::Directory, None),
            ObjectKind::Link {
                reparse,
                directory: true,
            } => (Making::Directory, Some(reparse)),
            ObjectKind::Link { reparse, .. } => (Making::File, Some(reparse)),
            ObjectKind::File { .. } => (Making::File, None),
        };
        let metadata = object.metadata;
        let stream = self.raw(object.path, making, metadata.attributes, &metadata.times);
        let failed = |error| write_failed(object.path, error);
        let mut framed = Framed::begin(stream, metadata, reparse).map_err(failed)?;
        if let ObjectKind::File { size } = object.kind {
            framed.begin_data(*size).map_err(failed)?;
        }
        self.live = Some((object.path.to_owned(), framed));
        Ok(())
    }

    fn alternate(&mut self, name: &str, size: u64) -> Result<bool> {
        match (&mut self.live, &mut self.transport) {
            (Some((path, framed)), _) => {
                let begun = framed.begin_alternate(name, size);
                begun.map_err(|error| write_failed(path, error))?;
                Ok(true)
            }
            (None, Some(transport)) => transport.alternate(name, size),
            (None, None) => Ok(false),
        }
    }

    fn content(&mut self) -> &mut dyn io::Write {
        match (&mut self.live, &mut self.transport) {
            (Some((_, framed)), _) => framed,
            (None, Some(transport)) => transport.content(),
            (None, None) => &mut self.nowhere,
        }
    }

    fn close(&mut self) -> Result<Written> {
        match (self.live.take(), &mut self.transport) {
            (Some((path, framed)), _) => {
                let stream = framed.end().map_err(|error| write_failed(&path, error))?;
                stream.finish(&mut self.workers)
            }
            (None, Some(transport)) => transport.close(),
            (None, None) => Ok(Written::default()),
        }
    }
}
