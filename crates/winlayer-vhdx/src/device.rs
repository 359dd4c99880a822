//! Positions: of the file below, and of the virtual disk above.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// A file that is read and written at offsets, seeking only when it has to.
#[derive(Debug)]
pub(crate) struct Device<F> {
    inner: F,
    /// Where `inner` is; unknown after an error.
    position: Option<u64>,
    length: u64,
}

impl<F: Seek> Device<F> {
    pub(crate) fn new(mut inner: F) -> io::Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        Ok(Self {
            inner,
            position: Some(length),
            length,
        })
    }

    /// Length of the file in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn into_inner(self) -> F {
        self.inner
    }

    fn go_to(&mut self, offset: u64) -> io::Result<()> {
        if self.position.take() != Some(offset) {
            self.inner.seek(SeekFrom::Start(offset))?;
        }
        Ok(())
    }
}

impl<F: Read + Seek> Device<F> {
    /// One read; zeros from the end of the file on.
    pub(crate) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.length.saturating_sub(offset);
        if there == 0 {
            buffer.fill(0);
            return Ok(buffer.len());
        }
        let (buffer, _) = buffer.split_at_mut(clamp(there, buffer.len()));
        self.go_to(offset)?;
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the file became shorter than {offset} bytes while it was read"),
            ));
        }
        self.position = Some(offset + count as u64);
        Ok(count)
    }

    /// Fills the buffer; zeros from the end of the file on.
    pub(crate) fn read_all_at(&mut self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(offset, buffer) {
                Ok(count) => {
                    offset += count as u64;
                    buffer = buffer.split_at_mut(count).1;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<F: Write + Seek> Device<F> {
    /// One write.
    pub(crate) fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<usize> {
        self.go_to(offset)?;
        let count = self.inner.write(data)?;
        let end = offset + count as u64;
        self.position = Some(end);
        self.length = self.length.max(end);
        Ok(count)
    }

    /// Writes all of the data.
    pub(crate) fn write_all_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.go_to(offset)?;
        self.inner.write_all(data)?;
        let end = offset + data.len() as u64;
        self.position = Some(end);
        self.length = self.length.max(end);
        Ok(())
    }

    /// Makes the file at least this long; what is new is zero.
    pub(crate) fn extend_to(&mut self, length: u64) -> io::Result<()> {
        if self.length < length {
            self.write_all_at(length - 1, &[0])?;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A position on something of a fixed size, with the rules of [`Read`], [`Write`] and [`Seek`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    now: u64,
    size: u64,
}

impl Position {
    pub(crate) fn new(size: u64) -> Self {
        Self { now: 0, size }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn advance(&mut self, count: usize) {
        self.now = self.now.saturating_add(count as u64);
    }

    pub(crate) fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.now.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.now = position.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "seek to before the start, or too far ({to:?} from {})",
                    self.now
                ),
            )
        })?;
        Ok(self.now)
    }

    /// The part of a read buffer that can be filled; empty at the end.
    pub(crate) fn readable<'b>(&self, buffer: &'b mut [u8]) -> &'b mut [u8] {
        let there = clamp(self.size.saturating_sub(self.now), buffer.len());
        buffer.split_at_mut(there).0
    }

    /// Refuses data that would reach past the end.
    pub(crate) fn check_write(&self, data: &[u8]) -> io::Result<()> {
        let there = self.size.saturating_sub(self.now);
        if data.len() as u64 <= there {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{} bytes at offset {} do not fit into {} bytes; nothing was written",
                data.len(),
                self.now,
                self.size
            ),
        ))
    }
}

/// The lesser of a file's length and a buffer's.
pub(crate) fn clamp(length: u64, most: usize) -> usize {
    usize::try_from(length).map_or(most, |length| length.min(most))
}
