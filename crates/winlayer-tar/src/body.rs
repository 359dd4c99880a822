//! [`Body`]: the bytes of one entry.

use std::io::{self, BufRead, Read};

use crate::error::StreamFault;

/// The body of an entry. Reads straight from the reader's buffer; what is not read is skipped later.
///
/// A source that ends early is an error of kind [`io::ErrorKind::UnexpectedEof`], never a short
/// body.
pub struct Body<'a> {
    pub(crate) source: &'a mut dyn BufRead,
    pub(crate) remaining: &'a mut u64,
}

impl std::fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

impl Body<'_> {
    /// Bytes not yet read.
    pub fn remaining(&self) -> u64 {
        *self.remaining
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let count = available.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Body<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if *self.remaining == 0 {
            return Ok(&[]);
        }
        let buffer = self.source.fill_buf()?;
        if buffer.is_empty() {
            return Err(StreamFault::Body.into());
        }
        let count = buffer
            .len()
            .min(usize::try_from(*self.remaining).unwrap_or(usize::MAX));
        Ok(buffer.get(..count).unwrap_or(buffer))
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(usize::try_from(*self.remaining).unwrap_or(usize::MAX));
        self.source.consume(count);
        *self.remaining = self.remaining.saturating_sub(count as u64);
    }
}
