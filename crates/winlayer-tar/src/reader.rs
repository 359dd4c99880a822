//! [`LayerReader`] and [`ItemReader`]: from bytes to the items of a layer.

use std::fmt;
use std::io::{BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use winlayer_digest::DiffId;

use crate::archive::{ArchiveReader, EndOfArchive};
use crate::body::Body;
use crate::decode::Compression;
use crate::error::{Fault, TarError};
use crate::item::LayerItem;
use crate::limits::{Progress, ReadOptions};
use crate::path::LayerPath;
use crate::pipeline::Pipeline;
use crate::rules::LayerRules;

/// One step of a layer, borrowed from the reader.
#[derive(Debug)]
pub struct Entry<'a> {
    /// What it is.
    pub item: &'a LayerItem,
    /// Its body, empty for items without one. What is not read is skipped.
    pub body: Body<'a>,
}

/// Reads the items of an uncompressed layer tar on the calling thread.
///
/// For blobs, with decompression and DiffID, see [`LayerReader`].
#[derive(Debug)]
pub struct ItemReader<R> {
    archive: ArchiveReader<R>,
    rules: LayerRules,
    item: LayerItem,
    progress: Option<Arc<Progress>>,
}

impl<R: BufRead> ItemReader<R> {
    /// Reads from `source`, whose buffer should be large.
    pub fn new(source: R, options: ReadOptions) -> Self {
        let ReadOptions {
            limits,
            role,
            progress,
        } = options;
        let rules = LayerRules::new(role, limits.path_units);
        let item = LayerItem::Whiteout(LayerPath::placeholder());
        Self {
            archive: ArchiveReader::new(source, limits),
            rules,
            item,
            progress,
        }
    }

    /// The next item, `None` at the end of the archive.
    ///
    /// # Errors
    /// When the layer breaks a rule or a limit, or the source fails; after that, always an error of
    /// the same kind.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, TarError> {
        loop {
            if !self.archive.advance()? {
                return Ok(None);
            }
            if let Some(progress) = &self.progress {
                progress.entries.fetch_add(1, Ordering::Relaxed);
            }
            let previous = std::mem::replace(
                &mut self.item,
                LayerItem::Whiteout(LayerPath::placeholder()),
            );
            match self.rules.interpret(self.archive.entry(), previous) {
                Ok(None) => {}
                Ok(Some(item)) => {
                    self.item = item;
                    break;
                }
                Err(fault) => return Err(self.archive.fail(fault)),
            }
        }
        Ok(Some(Entry {
            item: &self.item,
            body: self.archive.body(),
        }))
    }

    /// Reads and checks what is left, to the end of the source, where only zeros may follow the
    /// archive. Returns what is odd about the layer.
    ///
    /// # Errors
    /// As [`next_entry`](Self::next_entry).
    pub fn finish(mut self) -> Result<Vec<String>, TarError> {
        self.drain()?;
        Ok(self.warnings())
    }

    fn drain(&mut self) -> Result<(), TarError> {
        while self.next_entry()?.is_some() {}
        self.archive.drain()?;
        let checked = self.rules.check_end();
        checked.map_err(|fault| TarError::new(0, &[], fault))
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.rules.warnings();
        match self.archive.end() {
            EndOfArchive::Marked => {}
            EndOfArchive::OneZeroBlock => warnings
                .push("the end marker of the archive is one zero block, expected two".to_owned()),
            EndOfArchive::Missing => warnings.push("the archive has no end marker".to_owned()),
        }
        warnings
    }
}

/// What a layer turned out to be, once all of it has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSummary {
    /// SHA-256 of the uncompressed tar, trailing bytes included. The caller compares it.
    pub diff_id: DiffId,
    /// Length of the blob in bytes.
    pub compressed_bytes: u64,
    /// Length of the tar in bytes.
    pub uncompressed_bytes: u64,
    /// Entries of the tar, skipped ones included.
    pub entries: u64,
    /// How the blob was compressed.
    pub compression: Compression,
    /// What is odd but was accepted, one line each, no more than a handful.
    pub warnings: Vec<String>,
}

/// Reads a layer blob: its compression is told by its first bytes, and reading, inflating and hashing
/// run on threads of their own behind bounded channels of recycled buffers (some 8 MiB in all).
///
/// Dropping the reader early stops and joins the threads; that waits for a `read` of the blob that
/// is under way.
///
/// ```
/// use std::io::Read;
/// use winlayer_tar::{LayerItem, LayerReader, LayerTarWriter, ReadOptions};
///
/// let blob = LayerTarWriter::new(Vec::new()).finish()?;
/// let mut reader = LayerReader::open(std::io::Cursor::new(blob), ReadOptions::default());
/// while let Some(mut entry) = reader.next_entry()? {
///     if let LayerItem::Object(object) = entry.item {
///         println!("{}", object.path);
///     }
///     std::io::copy(&mut entry.body, &mut std::io::sink())?;
/// }
/// let summary = reader.finish()?;
/// assert_eq!(summary.uncompressed_bytes, 1024);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LayerReader {
    items: ItemReader<Pipeline>,
}

impl fmt::Debug for LayerReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerReader")
            .field("item", &self.items.item)
            .finish_non_exhaustive()
    }
}

impl LayerReader {
    /// Starts reading `blob`.
    pub fn open(blob: impl Read + Send + 'static, options: ReadOptions) -> Self {
        let pipeline = Pipeline::start(blob, &options);
        Self {
            items: ItemReader::new(pipeline, options),
        }
    }

    /// The next item, `None` at the end of the archive.
    ///
    /// # Errors
    /// As [`ItemReader::next_entry`]. An error of the blob's reader is the error's source.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, TarError> {
        self.items.next_entry()
    }

    /// Reads and checks what is left of the layer and of the blob and joins the threads.
    ///
    /// # Errors
    /// As [`next_entry`](Self::next_entry), and when anything but zeros follows the archive.
    pub fn finish(mut self) -> Result<LayerSummary, TarError> {
        self.items.drain()?;
        let stream = self.items.archive.source_mut().summary().cloned();
        let Some(stream) = stream else {
            let error = std::io::Error::other("a reading thread stopped unexpectedly");
            return Err(TarError::new(0, &[], Fault::Io(error)));
        };
        Ok(LayerSummary {
            diff_id: stream.diff_id,
            compressed_bytes: stream.compressed_bytes,
            uncompressed_bytes: stream.uncompressed_bytes,
            entries: self.items.archive.number(),
            compression: stream.compression,
            warnings: self.items.warnings(),
        })
    }
}
