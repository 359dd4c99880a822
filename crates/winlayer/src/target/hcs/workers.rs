//! Files in flight: threads that create, write and close, while the tar is read on.
//!
//! Closing a file is what virus scanners make slow. A small file comes here whole, in a recycled
//! buffer; of a large one only the end comes here.

use std::{
    io::Write as _,
    num::NonZero,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use winlayer_sys::{BackupWriter, BasicInfo, Dir};

use super::live;
use crate::{Error, Result, error::Problem, target::folder::write_failed};

/// Files waiting for a thread.
const WAITING: usize = 16;

/// What a thread does.
#[derive(Debug)]
pub(super) enum Job {
    /// Makes a small file.
    File {
        path: String,
        info: BasicInfo,
        stream: Vec<u8>,
    },
    /// Ends a file whose stream is written.
    End { path: String, writer: BackupWriter },
}

#[derive(Debug)]
struct Shared {
    dir: Dir,
    failed: AtomicBool,
    failure: Mutex<Option<Error>>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// The threads of one layer. Dropping waits for them, so that nothing stays open.
#[derive(Debug)]
pub(super) struct Workers {
    shared: Arc<Shared>,
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    pub(super) fn new(dir: &Dir) -> Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared {
                dir: dir.open_dir("")?,
                failed: AtomicBool::new(false),
                failure: Mutex::new(None),
                buffers: Mutex::new(Vec::new()),
            }),
            jobs: None,
            threads: Vec::new(),
        })
    }

    /// An empty buffer, used before if possible.
    pub(super) fn buffer(&self) -> Vec<u8> {
        lock(&self.shared.buffers).pop().unwrap_or_default()
    }

    /// Hands a job over, waiting while all threads are busy; the error of an earlier job if one failed.
    pub(super) fn take(&mut self, job: Job) -> Result<()> {
        if self.shared.failed.load(Ordering::Relaxed) {
            return self.finish();
        }
        if self.jobs.is_none() {
            self.start()?;
        }
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(job));
        match sent {
            Some(Ok(())) => Ok(()),
            // All threads are gone: one failed.
            _ => self.finish(),
        }
    }

    fn start(&mut self) -> Result<()> {
        let (jobs, queue) = sync_channel(WAITING);
        let queue = Arc::new(Mutex::new(queue));
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..processors.clamp(2, 4) {
            let (shared, queue) = (Arc::clone(&self.shared), Arc::clone(&queue));
            let thread = thread::Builder::new()
                .name("layer-files".to_owned())
                .spawn(move || work(&shared, &queue))
                .map_err(|error| Error::io("start a thread", error))?;
            self.threads.push(thread);
        }
        self.jobs = Some(jobs);
        Ok(())
    }

    /// Waits until everything is done; the first error.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.jobs = None;
        let mut panicked = false;
        for thread in self.threads.drain(..) {
            panicked |= thread.join().is_err();
        }
        if let Some(error) = lock(&self.shared.failure).take() {
            return Err(error);
        }
        if panicked || self.shared.failed.load(Ordering::Relaxed) {
            return Err(Problem::Cancelled.into());
        }
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Who did not ask has an error of its own.
        let _ = self.finish();
    }
}

fn work(shared: &Shared, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = lock(queue).recv();
        let Ok(job) = job else { return };
        if shared.failed.load(Ordering::Relaxed) {
            continue;
        }
        if let Err(error) = shared.carry_out(job) {
            shared.failed.store(true, Ordering::Relaxed);
            lock(&shared.failure).get_or_insert(error);
        }
    }
}

impl Shared {
    fn carry_out(&self, job: Job) -> Result<()> {
        let (path, writer) = match job {
            Job::End { path, writer } => (path, writer),
            Job::File { path, info, stream } => {
                let mut writer = live::create_file(&self.dir, &path, &info)?;
                let written = writer.write_all(&stream);
                self.recycle(stream);
                written.map_err(|error| write_failed(&path, error))?;
                (path, writer)
            }
        };
        let ended = writer.finish().map(drop);
        ended.map_err(|error| write_failed(&path, error))
    }

    fn recycle(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        lock(&self.buffers).push(buffer);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
