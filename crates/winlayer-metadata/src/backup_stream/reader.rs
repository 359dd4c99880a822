//! Walking the records of a stream.

use std::io::{self, Read};

use zerocopy::{FromZeros, IntoBytes};

use super::error::BackupStreamError;
use super::format::{MAX_SIZE, RecordHeader, SPARSE_OFFSET_LEN, StreamHeader, StreamId};
use crate::text::decode_utf16le;

const MAX_NAME_SIZE: u32 = 65_536;

/// Reads records one after the other; the payload of the current one comes from its [`Read`] implementation.
///
/// Source reads are small around headers: give it a buffered source.
#[derive(Debug)]
pub struct BackupStreamReader<R> {
    inner: R,
    /// Bytes taken from `inner`.
    position: u64,
    /// Bytes of the current payload still to come.
    remaining: u64,
    /// A header given back by [`unread`](Self::unread).
    pending: Option<StreamHeader>,
}

impl<R: Read> BackupStreamReader<R> {
    /// A reader at the start of a stream.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            position: 0,
            remaining: 0,
            pending: None,
        }
    }

    /// Skips what is left of the current record and reads the header of the next; `None` at the end of the stream.
    ///
    /// # Errors
    /// A stream that ends inside a record, names that are odd-sized, longer than 64 KiB or not text, negative sizes, sparse
    /// blocks without room for their offset. Unknown stream ids are no error.
    pub fn next_record(&mut self) -> Result<Option<StreamHeader>, BackupStreamError> {
        if let Some(header) = self.pending.take() {
            self.remaining = header.size;
            return Ok(Some(header));
        }
        self.skip()?;
        let start = self.position;
        let Some(raw) = self.read_header()? else {
            return Ok(None);
        };
        let (id, mut size) = (StreamId::from_raw(raw.id.get()), raw.size.get());
        if size > MAX_SIZE {
            return Err(BackupStreamError::NegativeSize {
                position: start,
                size,
            });
        }
        let name = self.read_name(start, raw.name_size.get())?;
        let mut sparse_offset = 0;
        if id == StreamId::SparseBlock {
            size = size
                .checked_sub(SPARSE_OFFSET_LEN)
                .ok_or(BackupStreamError::SparseSize {
                    position: start,
                    size,
                })?;
            let mut offset = [0; SPARSE_OFFSET_LEN as usize];
            self.fill(&mut offset, "a sparse block offset")?;
            sparse_offset = u64::from_le_bytes(offset);
            if sparse_offset > MAX_SIZE - size.min(MAX_SIZE) {
                return Err(BackupStreamError::SparseRange {
                    position: start,
                    offset: sparse_offset,
                    size,
                });
            }
        }
        self.remaining = size;
        Ok(Some(StreamHeader {
            id,
            attributes: raw.attributes.get(),
            size,
            name,
            sparse_offset,
        }))
    }

    /// Bytes of the current payload not read yet.
    pub fn remaining(&self) -> u64 {
        if self.pending.is_some() {
            0
        } else {
            self.remaining
        }
    }

    /// Bytes taken from the source so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The source, at [`position`](Self::position).
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Gives back the header `next_record` has just returned, so that it returns it again.
    pub(super) fn unread(&mut self, header: StreamHeader) {
        self.pending = Some(header);
    }

    fn skip(&mut self) -> Result<(), BackupStreamError> {
        let skipped = io::copy(&mut (&mut self.inner).take(self.remaining), &mut io::sink())
            .map_err(|source| BackupStreamError::Io {
                position: self.position,
                source,
            })?;
        self.position += skipped;
        self.remaining -= skipped;
        match self.remaining {
            0 => Ok(()),
            missing => Err(self.truncated(missing, "a record payload")),
        }
    }

    /// The next header, or `None` at a clean end.
    fn read_header(&mut self) -> Result<Option<RecordHeader>, BackupStreamError> {
        let mut header = RecordHeader::new_zeroed();
        let found = self.read_up_to(header.as_mut_bytes())?;
        match size_of::<RecordHeader>() - found {
            0 => Ok(Some(header)),
            _ if found == 0 => Ok(None),
            missing => Err(self.truncated(missing as u64, "a record header")),
        }
    }

    fn read_name(&mut self, start: u64, size: u32) -> Result<String, BackupStreamError> {
        if size == 0 {
            return Ok(String::new());
        }
        if !size.is_multiple_of(2) {
            return Err(BackupStreamError::OddNameSize {
                position: start,
                size,
            });
        }
        if size > MAX_NAME_SIZE {
            return Err(BackupStreamError::NameTooLong {
                position: start,
                size,
            });
        }
        let mut bytes = vec![0; size as usize];
        self.fill(&mut bytes, "a record name")?;
        // Some writers count a terminating NUL; a NUL before other characters would be read differently by different readers.
        let mut name =
            decode_utf16le(&bytes).ok_or(BackupStreamError::BadName { position: start })?;
        name.truncate(name.trim_end_matches('\0').len());
        if name.contains('\0') {
            return Err(BackupStreamError::BadName { position: start });
        }
        Ok(name)
    }

    fn fill(&mut self, buffer: &mut [u8], part: &'static str) -> Result<(), BackupStreamError> {
        let found = self.read_up_to(buffer)?;
        match buffer.len() - found {
            0 => Ok(()),
            missing => Err(self.truncated(missing as u64, part)),
        }
    }

    /// Fills `buffer` as far as the source goes.
    fn read_up_to(&mut self, buffer: &mut [u8]) -> Result<usize, BackupStreamError> {
        let mut found = 0;
        while let Some(rest) = buffer.get_mut(found..).filter(|rest| !rest.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) => break,
                Ok(count) => found += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(BackupStreamError::Io {
                        position: self.position,
                        source,
                    });
                }
            }
        }
        self.position += found as u64;
        Ok(found)
    }

    fn truncated(&self, missing: u64, part: &'static str) -> BackupStreamError {
        BackupStreamError::Truncated {
            position: self.position,
            missing,
            part,
        }
    }
}

/// The payload of the current record; a stream that ends before it is an error, not an end.
impl<R: Read> Read for BackupStreamReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let remaining = self.remaining();
        let want = usize::try_from(remaining)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        let Some(buf) = buf.get_mut(..want).filter(|buf| !buf.is_empty()) else {
            return Ok(0);
        };
        let count = self.inner.read(buf)?;
        if count == 0 {
            return Err(self.truncated(remaining, "a record payload").into());
        }
        self.position += count as u64;
        self.remaining -= count as u64;
        Ok(count)
    }
}
