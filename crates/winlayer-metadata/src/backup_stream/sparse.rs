//! The plain content of a stream, sparse or not.

#[cfg(test)]
mod tests;

use std::io::{self, Read};

use super::error::BackupStreamError;
use super::format::{StreamHeader, StreamId};
use super::reader::BackupStreamReader;

/// Reads the content of a `DATA` or `ALTERNATE_DATA` stream, holes filled with zeros.
///
/// Windows releases differ in how they record sparse files (go-winio backuptar describes four shapes); all of them read alike:
///
/// | record | blocks after it | content |
/// | --- | --- | --- |
/// | size above 0, sparse or not | none allowed | the payload |
/// | size 0, not sparse | none allowed | nothing |
/// | size 0, sparse | none | nothing |
/// | size 0, sparse | blocks in order, then an empty one | the blocks, zeros between them and up to the offset of the empty one |
///
/// After the last byte the backup stream stands before the next record that is not a sparse block. Holes cost nothing in the
/// source, so a small stream can give an endless one: callers limit what they take.
///
/// ```
/// use std::io::{Read, Write};
/// use winlayer_metadata::backup_stream::{BackupStreamReader, BackupStreamWriter, SparseReader};
///
/// let mut writer = BackupStreamWriter::new(Vec::new());
/// writer.sparse_data()?;
/// writer.begin_sparse_block(2, 1)?;
/// writer.write_all(b"x")?;
/// writer.begin_sparse_block(5, 0)?;
/// let bytes = writer.finish()?;
///
/// let mut reader = BackupStreamReader::new(&bytes[..]);
/// let data = reader.next_record()?.expect("a record was written");
/// let mut content = Vec::new();
/// SparseReader::new(&mut reader, &data).read_to_end(&mut content)?;
/// assert_eq!(content, b"\0\0x\0\0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SparseReader<'a, R> {
    records: &'a mut BackupStreamReader<R>,
    /// Bytes given so far.
    reached: u64,
    /// Zeros to give before anything else.
    hole: u64,
    state: State,
}

/// What comes after the hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The payload of the record itself; then no block may follow.
    Plain,
    /// A record marked as sparse without payload: the next record decides.
    Undecided,
    /// The payload of a block, then the next block.
    Block,
    /// Nothing but the hole.
    Ending,
    /// Nothing.
    Done,
}

impl<'a, R: Read> SparseReader<'a, R> {
    /// Reads the stream whose header `records` has just returned.
    pub fn new(records: &'a mut BackupStreamReader<R>, header: &StreamHeader) -> Self {
        let state = if header.size == 0 && header.is_sparse() {
            State::Undecided
        } else {
            State::Plain
        };
        Self {
            records,
            reached: 0,
            hole: 0,
            state,
        }
    }

    /// Bytes given so far; after the end, the size of the file.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// Takes the next sparse block; any other record is left for the caller.
    fn next_block(&mut self) -> Result<Option<StreamHeader>, BackupStreamError> {
        match self.records.next_record()? {
            Some(block) if block.id == StreamId::SparseBlock => Ok(Some(block)),
            Some(other) => {
                self.records.unread(other);
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Goes on when hole and payload are used up.
    fn advance(&mut self) -> Result<(), BackupStreamError> {
        let block = self.next_block()?;
        self.state = match (self.state, block) {
            (State::Plain | State::Ending | State::Done, Some(block)) => {
                return Err(BackupStreamError::StraySparseBlock {
                    offset: block.sparse_offset,
                });
            }
            (State::Plain | State::Undecided | State::Ending | State::Done, None) => State::Done,
            (State::Block, None) => {
                return Err(BackupStreamError::SparseTerminator {
                    reached: self.reached,
                });
            }
            (State::Undecided | State::Block, Some(block)) => {
                let (offset, reached) = (block.sparse_offset, self.reached);
                self.hole = offset
                    .checked_sub(reached)
                    .ok_or(BackupStreamError::SparseBackwards { offset, reached })?;
                if block.size == 0 {
                    State::Ending
                } else {
                    State::Block
                }
            }
        };
        Ok(())
    }
}

impl<R: Read> Read for SparseReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            if self.hole > 0 {
                let count = usize::try_from(self.hole)
                    .unwrap_or(usize::MAX)
                    .min(buf.len());
                buf.iter_mut().take(count).for_each(|byte| *byte = 0);
                self.hole -= count as u64;
                self.reached += count as u64;
                return Ok(count);
            }
            if self.state == State::Done {
                return Ok(0);
            }
            if matches!(self.state, State::Plain | State::Block) && self.records.remaining() > 0 {
                let count = self.records.read(buf)?;
                self.reached += count as u64;
                return Ok(count);
            }
            self.advance()?;
        }
    }
}
