//! [`Pipeline`]: the threads between a blob and the tar reader.
//!
//! ```text
//! blob ─► [read] ─► [inflate] ─► [DiffID] ─► tar reader
//!            ▲ 256 KiB │  ▲        1 MiB        │
//!            └─────────┘  └─────────────────────┘     buffers go round, at most 4 and 6 of them
//! ```
//!
//! The hash has a thread of its own: without SHA instructions it is slower than gzip. Whoever stops
//! drops its channel ends, which stops the neighbours; a stage that ends without saying so (a
//! panic in the blob's reader) is an error, never an end of file.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use winlayer_digest::{DiffId, Hasher};

use crate::decode::{Compression, Decoder, SourceError};
use crate::error::{StreamError, StreamFault};
use crate::limits::{Limits, Progress, ReadOptions};

const BLOB_CHUNK: usize = 256 << 10;
const BLOB_CHUNKS: usize = 4;
const TAR_CHUNK: usize = 1 << 20;
const TAR_CHUNKS: usize = 6;

enum Message<T> {
    Chunk(Vec<u8>),
    End(T),
    Failed(io::Error),
}

/// What is known once every byte has passed.
#[derive(Clone, Debug)]
pub(crate) struct StreamSummary {
    pub(crate) compressed_bytes: u64,
    pub(crate) uncompressed_bytes: u64,
    pub(crate) compression: Compression,
    pub(crate) diff_id: DiffId,
}

/// The uncompressed bytes of a blob.
pub(crate) struct Pipeline {
    input: Option<ChannelReader<StreamSummary>>,
    threads: Vec<JoinHandle<()>>,
    /// Set when the threads could not be started.
    unstarted: Option<io::Error>,
}

impl Pipeline {
    pub(crate) fn start(blob: impl Read + Send + 'static, options: &ReadOptions) -> Self {
        let mut pipeline = Self {
            input: None,
            threads: Vec::new(),
            unstarted: None,
        };
        if let Err(error) = pipeline.spawn(blob, options) {
            pipeline.stop();
            pipeline.unstarted = Some(error);
        }
        pipeline
    }

    fn spawn(&mut self, blob: impl Read + Send + 'static, options: &ReadOptions) -> io::Result<()> {
        let progress = options.progress.clone().unwrap_or_default();
        let (blob_out, blob_in) = connect(BLOB_CHUNK, BLOB_CHUNKS);
        let (tar_out, hash_in) = connect(TAR_CHUNK, TAR_CHUNKS);
        let (hash_out, reader_in) = bounded(TAR_CHUNKS);
        // The hash stage only passes buffers on; they return from the reader.
        let ChannelReader {
            chunks: hash_in,
            recycle,
            ..
        } = hash_in;
        self.input = Some(ChannelReader::new(reader_in, recycle));

        let total = Arc::new(AtomicU64::new(0));
        let (counters, read_total) = (Arc::clone(&progress), Arc::clone(&total));
        self.thread("winlayer-read", move || {
            read_blob(blob, &blob_out, &read_total, &counters)
        })?;
        let limits = options.limits.clone();
        self.thread("winlayer-inflate", move || {
            inflate(blob_in, &tar_out, &total, &limits)
        })?;
        self.thread("winlayer-diffid", move || {
            hash(&hash_in, &hash_out, &progress)
        })
    }

    fn thread(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = Builder::new().name(name.to_owned()).spawn(body)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Stops and joins the threads. Waits for a blob reader that blocks.
    fn stop(&mut self) {
        self.input = None;
        for thread in self.threads.drain(..) {
            // A panic has already shown as a stream that stopped without an end.
            let _ = thread.join();
        }
    }

    /// The summary, once the stream has been read to its end.
    pub(crate) fn summary(&self) -> Option<&StreamSummary> {
        self.input.as_ref()?.ended.as_ref()
    }

    fn input(&mut self) -> io::Result<&mut ChannelReader<StreamSummary>> {
        if let Some(error) = self.unstarted.take() {
            return Err(error);
        }
        self.input
            .as_mut()
            .ok_or_else(|| io::Error::other("the reader's threads are not running"))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Read for Pipeline {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let count = available.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Pipeline {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input()?.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if let Some(input) = &mut self.input {
            input.consume(count);
        }
    }
}

/// The sending side of a stage, with the buffers that come back to it.
struct ChannelWriter<T> {
    chunks: Sender<Message<T>>,
    pool: Receiver<Vec<u8>>,
    chunk_size: usize,
}

impl<T> ChannelWriter<T> {
    /// Sends everything `source` has, then what `end` says. Returns early when the receiver has gone.
    fn send_all(
        &self,
        mut source: impl Read,
        mut check: impl FnMut(usize) -> io::Result<()>,
        end: impl FnOnce() -> T,
    ) {
        while let Ok(mut buffer) = self.pool.recv() {
            buffer.resize(self.chunk_size, 0);
            let (count, result) = fill(&mut source, &mut buffer);
            buffer.truncate(count);
            if let Err(error) = check(count) {
                return self.send(Message::Failed(error));
            }
            let last = count < self.chunk_size;
            if count > 0 && self.chunks.send(Message::Chunk(buffer)).is_err() {
                return;
            }
            match result {
                Err(error) => return self.send(Message::Failed(error)),
                Ok(()) if last => return self.send(Message::End(end())),
                Ok(()) => {}
            }
        }
    }

    fn send(&self, message: Message<T>) {
        // A receiver that has gone does not want to know.
        let _ = self.chunks.send(message);
    }
}

/// The receiving side of a stage: gives buffers back when it has read them.
struct ChannelReader<T> {
    chunks: Receiver<Message<T>>,
    recycle: Sender<Vec<u8>>,
    current: Vec<u8>,
    position: usize,
    ended: Option<T>,
    failed: Option<Arc<io::Error>>,
}

fn connect<T>(chunk_size: usize, count: usize) -> (ChannelWriter<T>, ChannelReader<T>) {
    let (sender, receiver) = bounded(count);
    let (recycle, pool) = bounded(count);
    for _ in 0..count {
        // Room for all of them was made above.
        let _ = recycle.send(Vec::new());
    }
    (
        ChannelWriter {
            chunks: sender,
            pool,
            chunk_size,
        },
        ChannelReader::new(receiver, recycle),
    )
}

impl<T> ChannelReader<T> {
    fn new(chunks: Receiver<Message<T>>, recycle: Sender<Vec<u8>>) -> Self {
        Self {
            chunks,
            recycle,
            current: Vec::new(),
            position: 0,
            ended: None,
            failed: None,
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        if let Some(error) = &self.failed {
            return Err(again(error));
        }
        let spent = std::mem::take(&mut self.current);
        self.position = 0;
        if spent.capacity() > 0 {
            // Fails only when the other side has stopped.
            let _ = self.recycle.try_send(spent);
        }
        match self.chunks.recv() {
            Ok(Message::Chunk(chunk)) => self.current = chunk,
            Ok(Message::End(end)) => self.ended = Some(end),
            Ok(Message::Failed(error)) => return Err(self.fail(error)),
            Err(_) => {
                return Err(self.fail(io::Error::other("a reading thread stopped unexpectedly")));
            }
        }
        Ok(())
    }
}

impl<T> ChannelReader<T> {
    /// Keeps the error for every later read: who asks again must be told the true reason.
    fn fail(&mut self, error: io::Error) -> io::Error {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            // The first report keeps its cause; the fault alone says enough to later ones.
            Some(StreamError { fault, .. }) => {
                self.failed = Some(Arc::new(fault.clone().into()));
                error
            }
            None => again(self.failed.insert(Arc::new(error))),
        }
    }
}

/// An error told once more.
fn again(error: &Arc<io::Error>) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(StreamError { fault, .. }) => fault.clone().into(),
        None => io::Error::new(error.kind(), Shared(Arc::clone(error))),
    }
}

/// An I/O error with several owners; it says what the error says.
#[derive(Debug)]
struct Shared(Arc<io::Error>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The error itself: an `Arc` of it would hide what it wraps from a downcast.
        Some(&*self.0)
    }
}

impl<T> Read for ChannelReader<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let count = available.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<T> BufRead for ChannelReader<T> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.position >= self.current.len() && self.ended.is_none() {
            self.receive()?;
        }
        Ok(self.current.get(self.position..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.position = self.position.saturating_add(count).min(self.current.len());
    }
}

/// Reads until the buffer is full or the source ends. What was read before an error counts.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> (usize, io::Result<()>) {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(step) => count = count.saturating_add(step).min(buffer.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (count, Err(error)),
        }
    }
    (count, Ok(()))
}

fn read_blob(blob: impl Read, out: &ChannelWriter<()>, total: &AtomicU64, progress: &Progress) {
    let count = |bytes: usize| {
        total.fetch_add(bytes as u64, Ordering::Relaxed);
        progress
            .compressed_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(())
    };
    out.send_all(blob, count, || ());
}

/// Marks the errors that come from before the decoder.
struct MarkErrors<R>(R);

fn mark(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Interrupted => error,
        kind => io::Error::new(kind, SourceError(error)),
    }
}

impl<R: Read> Read for MarkErrors<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(mark)
    }
}

impl<R: BufRead> BufRead for MarkErrors<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf().map_err(mark)
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

/// What the inflate stage knows at its end.
struct Inflated {
    compressed_bytes: u64,
    compression: Compression,
}

fn inflate(
    input: ChannelReader<()>,
    out: &ChannelWriter<Inflated>,
    compressed: &AtomicU64,
    limits: &Limits,
) {
    let mut decoder = match Decoder::new(MarkErrors(input), limits) {
        Ok(decoder) => decoder,
        Err(error) => return out.send(Message::Failed(error)),
    };
    let compression = decoder.compression();
    let mut left = limits.unpacked_bytes;
    let check = |bytes: usize| match left.checked_sub(bytes as u64) {
        Some(rest) => {
            left = rest;
            Ok(())
        }
        None => Err(StreamFault::TooLarge {
            limit: limits.unpacked_bytes,
        }
        .into()),
    };
    let end = || Inflated {
        compressed_bytes: compressed.load(Ordering::Relaxed),
        compression,
    };
    out.send_all(&mut decoder, check, end);
}

fn hash(
    input: &Receiver<Message<Inflated>>,
    out: &Sender<Message<StreamSummary>>,
    progress: &Progress,
) {
    let mut hasher = Hasher::new();
    let mut total = 0_u64;
    for message in input {
        let message = match message {
            Message::Chunk(chunk) => {
                hasher.update(&chunk);
                total = total.saturating_add(chunk.len() as u64);
                progress
                    .uncompressed_bytes
                    .fetch_add(chunk.len() as u64, Ordering::Relaxed);
                Message::Chunk(chunk)
            }
            Message::Failed(error) => Message::Failed(error),
            Message::End(end) => {
                let diff_id = DiffId::new(hasher.finish());
                let _ = out.send(Message::End(StreamSummary {
                    compressed_bytes: end.compressed_bytes,
                    uncompressed_bytes: total,
                    compression: end.compression,
                    diff_id,
                }));
                return;
            }
        };
        if out.send(message).is_err() {
            return;
        }
    }
}
