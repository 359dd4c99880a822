//! [`ArchiveReader`]: a tar stream to raw entries.
//!
//! Follows Go's `archive/tar`, which the tools that make and unpack Windows layers are built on, and
//! refuses what it and other readers would understand differently. Differences from Go:
//!
//! * Refused although Go reads it: V7 and star headers, signed checksums, sparse entries, devices
//!   and other special types, sizes on entries without data, pax and GNU extension headers for one
//!   entry, repeated or dangling extension headers, repeated or empty pax records of consequence,
//!   GNU long names not ended by one NUL, non-zero bytes after the end marker, a last body without its
//!   padding.
//! * Skipped although Go hands it out: global extended headers.

use std::io::{self, BufRead, Read};

use zerocopy::{FromBytes, IntoBytes};

use crate::body::Body;
use crate::error::{Fault, TarError, TarErrorKind};
use crate::header::{BLOCK, Header, Numbers, text};
use crate::limits::Limits;
use crate::pax::{Key, PaxRecords};
use crate::time::decimal;

/// What kind of entry a tar header describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryType {
    /// Type flag `0`, or the NUL of old writers.
    File,
    /// Type flag `1`.
    HardLink,
    /// Type flag `2`.
    SymbolicLink,
    /// Type flag `5`.
    Directory,
}

impl EntryType {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::HardLink => "hard link",
            Self::SymbolicLink => "link",
            Self::Directory => "directory",
        }
    }
}

/// An entry of the tar before any meaning is given to it, extension headers applied.
#[derive(Debug)]
pub struct RawEntry {
    kind: EntryType,
    name: Vec<u8>,
    link_name: Vec<u8>,
    size: u64,
    pub(crate) mtime: i64,
    pub(crate) pax: PaxRecords,
}

impl RawEntry {
    /// What it is.
    pub fn entry_type(&self) -> EntryType {
        self.kind
    }

    /// The name as written, from the pax or GNU record if there is one.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The link target as written; empty when there is none.
    pub fn link_name(&self) -> &[u8] {
        &self.link_name
    }

    /// Length of the body in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Reads the raw entries of an uncompressed tar on the calling thread.
#[derive(Debug)]
pub struct ArchiveReader<R> {
    source: R,
    limits: Limits,
    header: [u8; BLOCK],
    entry: RawEntry,
    /// Bytes of the current body, and of the padding after it, still in the source.
    body: BodyState,
    number: u64,
    ended: bool,
    failed: Option<TarErrorKind>,
    end: EndOfArchive,
}

#[derive(Debug, Default)]
struct BodyState {
    remaining: u64,
    padding: u64,
}

/// How the archive was closed. Go accepts all three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EndOfArchive {
    #[default]
    Marked,
    OneZeroBlock,
    Missing,
}

/// The extension headers met before an entry.
#[derive(Default)]
struct Pending {
    pax: bool,
    name: bool,
    link: bool,
    global: bool,
}

impl Pending {
    /// What must be followed by the entry it describes.
    fn what(&self) -> Option<&'static str> {
        match self {
            Self { pax: true, .. } => Some("an extended header"),
            Self { name: true, .. } => Some("a long name"),
            Self { link: true, .. } => Some("a long link name"),
            _ => None,
        }
    }
}

impl<R: BufRead> ArchiveReader<R> {
    /// Reads from `source`, whose buffer should hold many blocks.
    pub fn new(source: R, limits: Limits) -> Self {
        let entry = RawEntry {
            kind: EntryType::File,
            name: Vec::new(),
            link_name: Vec::new(),
            size: 0,
            mtime: 0,
            pax: PaxRecords::default(),
        };
        Self {
            source,
            limits,
            header: [0; BLOCK],
            entry,
            body: BodyState::default(),
            number: 0,
            ended: false,
            failed: None,
            end: EndOfArchive::Marked,
        }
    }

    /// Goes to the next entry, skipping what is left of the last one's body. `false` at the end.
    ///
    /// # Errors
    /// When the archive is malformed, truncated or over a limit, or the source fails; after that,
    /// always with the same kind.
    pub fn advance(&mut self) -> Result<bool, TarError> {
        if let Some(kind) = self.failed {
            return Err(TarError::new(self.number, &[], Fault::Stopped(kind)));
        }
        if self.ended {
            return Ok(false);
        }
        self.try_advance().map_err(|fault| {
            let error = TarError::new(self.number, &self.entry.name, fault);
            self.failed = Some(error.kind());
            error
        })
    }

    /// The current entry, once [`advance`](Self::advance) has returned `true`.
    pub fn entry(&self) -> &RawEntry {
        &self.entry
    }

    /// What is left of the current entry's body.
    pub fn body(&mut self) -> Body<'_> {
        Body {
            source: &mut self.source,
            remaining: &mut self.body.remaining,
        }
    }

    /// Reads the source to its end; after the end marker there may be nothing but zeros.
    ///
    /// # Errors
    /// As [`advance`](Self::advance), which this calls until the end of the archive.
    pub fn drain(&mut self) -> Result<(), TarError> {
        while self.advance()? {}
        self.drain_zeros().map_err(|fault| {
            let error = TarError::new(0, &[], fault);
            self.failed = Some(error.kind());
            error
        })
    }

    pub(crate) fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn end(&self) -> EndOfArchive {
        self.end
    }

    /// Makes an error of the current entry, which stops the reader.
    pub(crate) fn fail(&mut self, fault: Fault) -> TarError {
        let error = TarError::new(self.number, &self.entry.name, fault);
        self.failed = Some(error.kind());
        error
    }

    fn try_advance(&mut self) -> Result<bool, Fault> {
        self.skip_body()?;
        self.entry.name.clear();
        self.entry.link_name.clear();
        self.entry.pax.clear();
        let mut pending = Pending::default();
        loop {
            let Some((typeflag, numbers)) = self.next_header(&pending)? else {
                self.ended = true;
                return Ok(false);
            };
            let other_extension = match typeflag {
                b'x' => pending.name || pending.link,
                b'L' | b'K' => pending.pax,
                _ => false,
            };
            if other_extension {
                return Err(Fault::Mixed);
            }
            match typeflag {
                b'x' => self.extended_header(numbers.size, &mut pending)?,
                b'g' => self.global_header(numbers.size, &mut pending)?,
                b'L' => self.long_name(numbers.size, &mut pending.name)?,
                b'K' => self.long_link(numbers.size, &mut pending.link)?,
                _ => {
                    self.finish_entry(typeflag, numbers, &pending)?;
                    return Ok(true);
                }
            }
        }
    }

    /// The next header that is not the end marker, checked.
    fn next_header(&mut self, pending: &Pending) -> Result<Option<(u8, Numbers)>, Fault> {
        if !self.read_block()? {
            return self.end_archive(EndOfArchive::Missing, pending);
        }
        if self.header == [0; BLOCK] {
            if !self.read_block()? {
                return self.end_archive(EndOfArchive::OneZeroBlock, pending);
            }
            if self.header != [0; BLOCK] {
                return Err(Fault::ZeroBlock);
            }
            return self.end_archive(EndOfArchive::Marked, pending);
        }
        if pending.what().is_none() {
            self.number = self.number.saturating_add(1);
            if self.number > self.limits.entries {
                return Err(Fault::TooMany {
                    what: "entries",
                    limit: self.limits.entries,
                });
            }
        }
        let header = header(&self.header)?;
        Ok(Some((header.typeflag, header.check()?)))
    }

    fn end_archive<T>(&mut self, end: EndOfArchive, pending: &Pending) -> Result<Option<T>, Fault> {
        if let Some(what) = pending
            .what()
            .or(pending.global.then_some("a global extended header"))
        {
            return Err(Fault::Dangling(what));
        }
        self.end = end;
        Ok(None)
    }

    fn extended_header(&mut self, size: u64, pending: &mut Pending) -> Result<(), Fault> {
        if std::mem::replace(&mut pending.pax, true) {
            return Err(Fault::Repeated("an extended header"));
        }
        self.check_extension("extended header", size)?;
        read_extension(&mut self.source, size, self.entry.pax.buffer())?;
        self.entry.pax.parse()
    }

    fn global_header(&mut self, size: u64, pending: &mut Pending) -> Result<(), Fault> {
        if let Some(what) = pending.what() {
            return Err(Fault::Dangling(what));
        }
        self.check_extension("global extended header", size)?;
        read_extension(&mut self.source, size, self.entry.pax.buffer())?;
        self.entry.pax.parse()?;
        if let Some(key) = self.entry.pax.binding_key() {
            return Err(Fault::GlobalKey(key));
        }
        self.entry.pax.clear();
        pending.global = true;
        Ok(())
    }

    fn long_name(&mut self, size: u64, seen: &mut bool) -> Result<(), Fault> {
        if std::mem::replace(seen, true) {
            return Err(Fault::Repeated("a long name"));
        }
        self.check_extension("long name", size)?;
        read_extension(&mut self.source, size, &mut self.entry.name)?;
        trim_long_name(&mut self.entry.name)
    }

    fn long_link(&mut self, size: u64, seen: &mut bool) -> Result<(), Fault> {
        if std::mem::replace(seen, true) {
            return Err(Fault::Repeated("a long link name"));
        }
        self.check_extension("long link name", size)?;
        read_extension(&mut self.source, size, &mut self.entry.link_name)?;
        trim_long_name(&mut self.entry.link_name)
    }

    fn check_extension(&self, what: &'static str, size: u64) -> Result<(), Fault> {
        let limit = self.limits.pax_bytes;
        if size > limit {
            Err(Fault::ExtensionSize { what, size, limit })
        } else {
            Ok(())
        }
    }

    fn finish_entry(
        &mut self,
        typeflag: u8,
        numbers: Numbers,
        pending: &Pending,
    ) -> Result<(), Fault> {
        let header = header(&self.header)?;
        let entry = &mut self.entry;
        replace(
            &mut entry.name,
            entry.pax.get(Key::Path),
            pending.name,
            |name| header.copy_name(name),
        );
        replace(
            &mut entry.link_name,
            entry.pax.get(Key::LinkPath),
            pending.link,
            |name| {
                name.extend_from_slice(text(&header.link_name));
            },
        );
        let old_file = typeflag == 0;
        entry.kind = match typeflag {
            b'0' | 0 => EntryType::File,
            b'1' => EntryType::HardLink,
            b'2' => EntryType::SymbolicLink,
            b'5' => EntryType::Directory,
            b'S' => return Err(Fault::Sparse("type flag S".to_owned())),
            other => return Err(Fault::TypeFlag(other)),
        };
        // Some readers look at the short name, some at the long one, to find old directories.
        if old_file && (entry.name.ends_with(b"/") || text(&header.name).ends_with(b"/")) {
            return Err(Fault::TrailingSlash("file of an old writer"));
        }
        entry.size = match entry.pax.get(Key::Size) {
            Some(value) => decimal(value)
                .filter(|&size| i64::try_from(size).is_ok())
                .ok_or_else(|| Fault::PaxValue {
                    key: "size",
                    found: crate::error::printable(value),
                    expected: "a decimal number",
                })?,
            None => numbers.size,
        };
        // The header's own size counts too: a reader without pax support would see it.
        let announced = entry.size.max(numbers.size);
        if entry.kind != EntryType::File && announced != 0 {
            return Err(Fault::UnexpectedData {
                kind: entry.kind.describe(),
                size: announced,
            });
        }
        entry.mtime = numbers.mtime;
        self.body = BodyState {
            remaining: entry.size,
            padding: padding(entry.size),
        };
        Ok(())
    }

    fn skip_body(&mut self) -> Result<(), Fault> {
        let BodyState { remaining, padding } = std::mem::take(&mut self.body);
        skip(&mut self.source, remaining, "a body")?;
        skip(&mut self.source, padding, "the padding of a body")
    }

    /// Reads one block; `false` when the source ends before it.
    fn read_block(&mut self) -> Result<bool, Fault> {
        let mut filled = 0;
        while let Some(rest) = self
            .header
            .get_mut(filled..)
            .filter(|rest| !rest.is_empty())
        {
            match self.source.read(rest) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(Fault::Truncated("a header")),
                Ok(count) => filled = filled.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn drain_zeros(&mut self) -> Result<(), Fault> {
        loop {
            let buffer = fill(&mut self.source)?;
            if buffer.iter().fold(0, |all, byte| all | byte) != 0 {
                return Err(Fault::Trailing);
            }
            let count = buffer.len();
            if count == 0 {
                return Ok(());
            }
            self.source.consume(count);
        }
    }
}

fn header(block: &[u8; BLOCK]) -> Result<&Header, Fault> {
    Header::ref_from_bytes(block.as_bytes()).map_err(|_| Fault::Truncated("a header"))
}

/// Chooses where a name comes from: pax record, GNU long name (already in `target`), header.
fn replace(target: &mut Vec<u8>, pax: Option<&[u8]>, gnu: bool, own: impl FnOnce(&mut Vec<u8>)) {
    match pax {
        Some(value) => target.extend_from_slice(value),
        None if gnu => {}
        None => own(target),
    }
}

/// Reads the body of an extension header, whose size has been checked, and skips its padding.
fn read_extension(source: &mut impl BufRead, size: u64, out: &mut Vec<u8>) -> Result<(), Fault> {
    out.clear();
    source.take(size).read_to_end(out)?;
    if u64::try_from(out.len()).ok() != Some(size) {
        return Err(Fault::Truncated("an extension header"));
    }
    skip(source, padding(size), "the padding of an extension header")
}

/// One name and the NUL after it. Without the NUL, some readers go on into the padding.
fn trim_long_name(name: &mut Vec<u8>) -> Result<(), Fault> {
    let ended = name.pop() == Some(0);
    if !ended || name.is_empty() || name.contains(&0) {
        Err(Fault::LongName)
    } else {
        Ok(())
    }
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % (BLOCK as u64)
}

fn fill(source: &mut impl BufRead) -> Result<&[u8], Fault> {
    loop {
        match source.fill_buf() {
            // The borrow of a returned buffer cannot end before the loop does; ask again.
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(source.fill_buf()?)
}

fn skip(source: &mut impl BufRead, mut count: u64, what: &'static str) -> Result<(), Fault> {
    while count > 0 {
        let available = fill(source)?.len();
        if available == 0 {
            return Err(Fault::Truncated(what));
        }
        let step = available.min(usize::try_from(count).unwrap_or(usize::MAX));
        source.consume(step);
        count = count.saturating_sub(step as u64);
    }
    Ok(())
}
