//! The most recently used parent directory, kept open.
//!
//! Remembering that a *name* was checked is how unpackers have been fooled: the name is made to mean
//! something else between check and use. What is remembered here is an open directory, reached
//! without following a link. Whatever a stranger renames or replaces later, the handle goes on
//! meaning that same directory, exactly as it would between the two system calls of an uncached
//! open. What the handle cannot know is that this very process removed or renamed the directory and
//! perhaps put another in its place: so every removal and rename by any [`Dir`](super::Dir) makes
//! all remembered handles of the process stale.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::path::strip_ancestor;

/// Counts the removals and renames of this process. A handle remembered under an older count is
/// stale.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Makes every remembered handle stale, of all [`Dir`](super::Dir)s. To be called *after* the change.
pub(super) fn invalidate_all() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// The current count.
pub(super) fn generation() -> u64 {
    GENERATION.load(Ordering::Acquire)
}

#[derive(Debug, Default)]
pub(super) struct RecentParent(Mutex<Option<Recent>>);

#[derive(Debug)]
struct Recent {
    path: String,
    handle: Arc<OwnedFd>,
    generation: u64,
}

impl RecentParent {
    /// The remembered handle and the rest of `directory` below it, if it is that directory or an
    /// ancestor of it.
    pub(super) fn nearest<'a>(&self, directory: &'a str) -> Option<(Arc<OwnedFd>, &'a str)> {
        let recent = self.lock();
        let recent = recent.as_ref()?;
        if recent.generation != generation() {
            return None;
        }
        let rest = strip_ancestor(directory, &recent.path)?;
        Some((Arc::clone(&recent.handle), rest))
    }

    /// `generation` is what [`generation`] said before the handle was opened.
    pub(super) fn remember(&self, directory: &str, handle: Arc<OwnedFd>, generation: u64) {
        let mut recent = self.lock();
        let mut path = recent.take().map(|old| old.path).unwrap_or_default();
        path.clear();
        path.push_str(directory);
        *recent = Some(Recent {
            path,
            handle,
            generation,
        });
    }

    /// Forgets a directory at or below `path`: one has just been created there, so another process
    /// must have removed the remembered one.
    pub(super) fn forget_below(&self, path: &str) {
        let mut recent = self.lock();
        if recent
            .as_ref()
            .is_some_and(|recent| strip_ancestor(&recent.path, path).is_some())
        {
            *recent = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Recent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
