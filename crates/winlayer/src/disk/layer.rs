//! A disk as the one layer of an image: its volume is read on a thread of its own, written as a layer tar, and read back by
//! the strict reader of layers.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use winlayer_tar::{LayerReader, LayerRole, LayerSummary, Limits, Progress, ReadOptions};

use super::{
    DiskFile,
    lost::Losses,
    pipe::{PipeWriter, pipe},
    present::present,
};
use crate::{
    Error, Result,
    merge::{LayerNumber, Layers},
};

/// The layer, which may be read several times.
pub(super) struct DiskLayer<'a> {
    disk: &'a DiskFile,
    limits: &'a Limits,
    /// Counts what is read.
    progress: Option<Arc<Progress>>,
    end: Arc<Mutex<End>>,
}

/// How the last reading ended.
#[derive(Debug, Default)]
struct End {
    lost: Losses,
    /// The reader of the tar only knows that the tar ends early.
    error: Option<Error>,
}

impl<'a> DiskLayer<'a> {
    pub(super) fn new(disk: &'a DiskFile, limits: &'a Limits) -> Self {
        Self {
            disk,
            limits,
            progress: None,
            end: Arc::default(),
        }
    }

    /// Counts in `progress` as well.
    pub(super) fn counting(mut self, progress: Arc<Progress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// What the layer does not have of the volume, once it has been read.
    pub(super) fn warnings(&self) -> Vec<String> {
        locked(&self.end).lost.warnings()
    }
}

fn locked(end: &Mutex<End>) -> MutexGuard<'_, End> {
    end.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the tar; the reader sees its end only when all of it was right.
fn write(disk: &DiskFile, mut out: PipeWriter, end: &Mutex<End>) {
    let written = disk
        .open()
        .and_then(|mut open| present(&mut open.volume, &mut out));
    match written {
        Ok(lost) => {
            locked(end).lost = lost;
            // A reader that is gone wants no end.
            let _ = out.end();
        }
        Err(error) => locked(end).error = Some(error),
    }
}

impl Layers for DiskLayer<'_> {
    fn numbers(&self) -> Result<Vec<LayerNumber>> {
        Ok(vec![LayerNumber::BASE])
    }

    fn are_complete(&self) -> bool {
        true
    }

    fn open(&self, _: LayerNumber, _: bool) -> Result<LayerReader> {
        let (writer, reader) = pipe();
        let (disk, end) = (self.disk.clone(), Arc::clone(&self.end));
        *locked(&end) = End::default();
        let spawned = thread::Builder::new()
            .name("disk".to_owned())
            .spawn(move || write(&disk, writer, &end));
        spawned.map_err(|error: io::Error| Error::io("start a thread", error))?;
        let options = ReadOptions {
            limits: self.limits.clone(),
            role: Some(LayerRole::Base),
            progress: self.progress.clone(),
        };
        Ok(LayerReader::open(reader, options))
    }

    fn close(&self, _: LayerNumber, reader: LayerReader, _: bool) -> Result<LayerSummary> {
        Ok(reader.finish()?)
    }

    fn blame(&self, _: LayerNumber, error: Error) -> Error {
        let cause = locked(&self.end).error.take();
        match cause {
            Some(cause) => cause.on_disk(&self.disk.path),
            None => error,
        }
    }
}
