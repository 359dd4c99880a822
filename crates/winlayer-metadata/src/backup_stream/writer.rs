//! Making a stream.

use std::io::{self, Write};

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U32, U64};

use super::error::BackupWriteError;
use super::format::{MAX_SIZE, RecordHeader, SPARSE_OFFSET_LEN, StreamHeader, StreamId};
use crate::text::{excerpt, push_utf16le};
use crate::{ExtendedAttributes, ReparsePoint, SecurityDescriptor};

/// Writes records with attributes 0, as go-winio does from a tar.
///
/// A payload is written through [`Write`] after its record was begun, and must have exactly the announced size. The order
/// Windows layers use is security, extended attributes, reparse data, data, alternate streams. Headers are written with one
/// call each: give it a buffered sink.
#[derive(Debug)]
pub struct BackupStreamWriter<W> {
    inner: W,
    /// Bytes of the current payload still to come.
    remaining: u64,
    /// Header, name and small payloads, put together before they are written.
    scratch: Vec<u8>,
}

impl<W: Write> BackupStreamWriter<W> {
    /// A writer at the start of a stream.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            remaining: 0,
            scratch: Vec::new(),
        }
    }

    /// A `SECURITY_DATA` record.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn security(&mut self, sd: &SecurityDescriptor) -> io::Result<()> {
        self.whole(StreamId::SecurityData, sd.as_bytes().len(), |out| {
            out.extend_from_slice(sd.as_bytes())
        })
    }

    /// An `EA_DATA` record; nothing when there are no extended attributes.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn extended_attributes(&mut self, eas: &ExtendedAttributes) -> io::Result<()> {
        if eas.is_empty() {
            return Ok(());
        }
        self.whole(StreamId::EaData, eas.encoded_len(), |out| {
            eas.encode_into(out)
        })
    }

    /// A `REPARSE_DATA` record.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn reparse(&mut self, reparse: &ReparsePoint) -> io::Result<()> {
        self.whole(StreamId::ReparseData, reparse.as_bytes().len(), |out| {
            out.extend_from_slice(reparse.as_bytes())
        })
    }

    /// Begins a `DATA` record of exactly `size` bytes. Files have one even when they are empty; directories and links do not.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn begin_data(&mut self, size: u64) -> io::Result<()> {
        self.begin(&StreamHeader::new(StreamId::Data, size))
    }

    /// The empty `DATA` record, marked as sparse, that sparse blocks follow.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn sparse_data(&mut self) -> io::Result<()> {
        self.begin(&StreamHeader {
            attributes: StreamHeader::SPARSE,
            ..StreamHeader::new(StreamId::Data, 0)
        })
    }

    /// Begins an `ALTERNATE_DATA` record named `:<stream>:$DATA`, of exactly `size` bytes.
    ///
    /// # Errors
    /// A name that is not 1 to 255 UTF-16 units without `\`, `/`, `:` and NUL; and as for [`begin`](Self::begin).
    pub fn begin_alternate(&mut self, stream: &str, size: u64) -> io::Result<()> {
        let units = stream.encode_utf16().count();
        if !(1..=255).contains(&units) || stream.contains(['\\', '/', ':', '\0']) {
            return Err(BackupWriteError::BadStreamName {
                name: excerpt(stream),
            }
            .into());
        }
        let name = format!(":{stream}:$DATA");
        self.begin(&StreamHeader {
            name,
            ..StreamHeader::new(StreamId::AlternateData, size)
        })
    }

    /// Begins a `SPARSE_BLOCK` record of `size` bytes that belong at `offset` of the file. The last block of a file is empty
    /// and its offset is the size of the file.
    ///
    /// # Errors
    /// A range beyond the signed 64-bit range; and as for [`begin`](Self::begin).
    pub fn begin_sparse_block(&mut self, offset: u64, size: u64) -> io::Result<()> {
        self.begin(&StreamHeader {
            attributes: StreamHeader::SPARSE,
            sparse_offset: offset,
            ..StreamHeader::new(StreamId::SparseBlock, size)
        })
    }

    /// Begins any record.
    ///
    /// # Errors
    /// The previous record is short, a size does not fit, the name cannot be stored (all [`BackupWriteError`] with kind
    /// `InvalidInput`), or the sink fails.
    pub fn begin(&mut self, header: &StreamHeader) -> io::Result<()> {
        self.push_header(header)?;
        self.inner.write_all(&self.scratch)?;
        self.remaining = header.size;
        Ok(())
    }

    /// A record whose payload is at hand, in one write.
    fn whole(
        &mut self,
        id: StreamId,
        size: usize,
        push: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<()> {
        self.push_header(&StreamHeader::new(id, size as u64))?;
        push(&mut self.scratch);
        self.inner.write_all(&self.scratch)
    }

    /// Puts the head of a record into the scratch buffer.
    fn push_header(&mut self, header: &StreamHeader) -> io::Result<()> {
        self.require_complete()?;
        let sparse = header.id == StreamId::SparseBlock;
        let (size, offset) = (header.size, header.sparse_offset);
        if offset != 0 && !sparse {
            return Err(BackupWriteError::SparseOffset {
                header: header.clone(),
            }
            .into());
        }
        let prefix = if sparse { SPARSE_OFFSET_LEN } else { 0 };
        let end = size
            .checked_add(prefix.max(offset))
            .filter(|end| *end <= MAX_SIZE);
        if end.is_none() {
            return Err(BackupWriteError::TooLarge { size, offset }.into());
        }
        let name_size = 2 * header.name.encode_utf16().count();
        if name_size > 65_536 || header.name.contains('\0') {
            return Err(BackupWriteError::BadRecordName {
                name: excerpt(&header.name),
            }
            .into());
        }
        let raw = RecordHeader {
            id: U32::new(header.id.raw()),
            attributes: U32::new(header.attributes),
            size: U64::new(size + prefix),
            name_size: U32::new(name_size as u32),
        };
        self.scratch.clear();
        self.scratch.extend_from_slice(raw.as_bytes());
        push_utf16le(&header.name, &mut self.scratch);
        if sparse {
            self.scratch.extend_from_slice(&offset.to_le_bytes());
        }
        Ok(())
    }

    fn require_complete(&self) -> io::Result<()> {
        match self.remaining {
            0 => Ok(()),
            missing => Err(BackupWriteError::Short { missing }.into()),
        }
    }

    /// Bytes of the current payload still to be written.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The sink. Bytes written to it directly end up between those of the stream.
    pub fn inner_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// Ends the stream and gives the sink back, not flushed.
    ///
    /// # Errors
    /// The last record is short.
    pub fn finish(self) -> io::Result<W> {
        self.require_complete()?;
        Ok(self.inner)
    }
}

/// The payload of the current record; more bytes than it has left are refused before any is written.
impl<W: Write> Write for BackupStreamWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.len() as u64 > self.remaining {
            return Err(BackupWriteError::Long {
                given: buf.len(),
                room: self.remaining,
            }
            .into());
        }
        let count = self.inner.write(buf)?;
        self.remaining -= count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
