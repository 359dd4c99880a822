//! Locks between processes (and threads): one file per layer, locked while the layer is built.
//!
//! Who holds the lock of a layer waits only for layers below it, so waiting always goes towards the
//! base and never in a circle.

use std::{
    fs::{File, TryLockError},
    io, thread,
    time::Duration,
};

use winlayer_digest::ChainId;
use winlayer_sys::Dir;

use super::{INGEST, LAYERS, LOCKS, LayerStore, layer_path};
use crate::{Error, Result};

/// How often a waiting thread looks again; the system's own waiting could not be interrupted.
const POLL: Duration = Duration::from_millis(25);

/// Held while it lives.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing the file releases the lock")] File);

impl LayerStore {
    /// The lock of a layer, or nothing when somebody else published the layer first.
    ///
    /// `waiting` is called once when the lock is taken, then `stop` again and again until it is
    /// free; the error of `stop` ends the waiting.
    pub(super) fn lock_layer(
        &self,
        id: ChainId,
        waiting: impl FnOnce(),
        stop: impl Fn() -> Result<()>,
    ) -> Result<Option<Lock>> {
        let name = format!("{}.lock", id.hex());
        let mut waiting = Some(waiting);
        loop {
            let lock = self.try_lock(&name)?;
            // Looked at after the lock: the one who held it may just have published the layer.
            if self.dir.stat(&layer_path(id))?.is_some() {
                return Ok(None);
            }
            if lock.is_some() {
                return Ok(lock);
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            stop()?;
            thread::sleep(POLL);
        }
    }

    /// The lock under which `<blob>.partial` may be used.
    pub(super) fn try_lock_partial(&self, blob_hex: &str) -> Result<Option<Lock>> {
        self.try_lock(&format!("{blob_hex}.partial.lock"))
    }

    /// The lock of all `*.tmp` files, held for moments only.
    pub(super) fn lock_temporary_files(&self) -> Result<Lock> {
        let file = open_or_create(&self.dir, &format!("{LOCKS}/temporary.lock"))?;
        file.lock().map_err(|error| self.lock_failed(error))?;
        Ok(Lock(file))
    }

    pub(super) fn try_lock_temporary_files(&self) -> Result<Option<Lock>> {
        self.try_lock("temporary.lock")
    }

    pub(super) fn try_lock(&self, name: &str) -> Result<Option<Lock>> {
        let file = open_or_create(&self.dir, &format!("{LOCKS}/{name}"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(self.lock_failed(error)),
        }
    }

    fn lock_failed(&self, error: io::Error) -> Error {
        Error::io(
            format!("lock a file in {}", self.root.join(LOCKS).display()),
            error,
        )
    }

    /// Moves a finished layer into place for good.
    pub(super) fn publish_layer(&self, id: ChainId) -> Result<()> {
        self.dir
            .rename(&super::ingest_path(id), &self.dir, &layer_path(id))?;
        self.dir.sync_dir(LAYERS)?;
        Ok(self.dir.sync_dir(INGEST)?)
    }
}

fn open_or_create(dir: &Dir, path: &str) -> Result<File> {
    loop {
        match dir.open_file(path) {
            Err(error) if error.io_kind() == io::ErrorKind::NotFound => {}
            opened => return Ok(opened?),
        }
        match dir.create_file(path) {
            Err(error) if super::already_exists(&error) => {}
            created => return Ok(created?),
        }
    }
}
