//! [`Spool`]: a file of the store for bytes that come only once and are needed twice.

use std::{
    fs::File,
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    INGEST, LayerStore,
    ingest::{SPOOL, lock_of_spool},
    lock::Lock,
};
use crate::Result;

/// `ingest/<process>-<number>.spool`, for its owner alone; dropping it removes the file, which must be
/// closed by then.
///
/// It lies in the store because there must be room for the layer anyway, unlike in the system's folder
/// for temporary files.
#[derive(Debug)]
pub(crate) struct Spool<'a> {
    store: &'a LayerStore,
    path: String,
    _lock: Lock,
}

impl LayerStore {
    /// A new spool, without its file.
    pub(crate) fn spool(&self) -> Result<Spool<'_>> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number}{SPOOL}", process::id());
            let Some(lock) = self.try_lock(&lock_of_spool(&name))? else {
                continue;
            };
            let path = format!("{INGEST}/{name}");
            self.dir.remove_all(&path)?;
            return Ok(Spool {
                store: self,
                path,
                _lock: lock,
            });
        }
    }
}

impl Spool<'_> {
    /// Makes the file, to be written.
    pub(crate) fn create(&self) -> Result<File> {
        Ok(self.store.dir.create_file(&self.path)?)
    }

    /// Opens the file, to be read.
    pub(crate) fn open(&self) -> Result<File> {
        Ok(self.store.dir.open_file(&self.path)?)
    }
}

impl Drop for Spool<'_> {
    fn drop(&mut self) {
        // The next run removes what cannot be removed now.
        let _ = self.store.dir.remove_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read as _, Write as _},
    };

    use super::*;

    #[test]
    fn a_spool_goes_away_with_its_owner_or_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let open = || LayerStore::open_or_create(folder.path()).unwrap();
        let left = || fs::read_dir(folder.path().join(INGEST)).unwrap().count();
        let store = open();
        let (first, second) = (store.spool().unwrap(), store.spool().unwrap());
        first.create().unwrap().write_all(b"once").unwrap();
        second.create().unwrap();
        open();
        assert_eq!(left(), 2, "in use");
        let mut text = String::new();
        first.open().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "once");
        drop((first, second));
        assert_eq!(left(), 0);
        // A killed run's.
        fs::write(folder.path().join(INGEST).join("1-0.spool"), "").unwrap();
        open();
        assert_eq!(left(), 0);
        assert!(store.dir.read_dir("locks").unwrap().is_empty());
    }
}
