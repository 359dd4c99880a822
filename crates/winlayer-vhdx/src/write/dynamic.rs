//! A new dynamic disk.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::store::BlockStore;
use crate::{
    DiskOptions, VhdxError,
    device::{Position, clamp},
};

/// A dynamic VHDX file being made: the virtual disk, to read, write and seek in.
///
/// Blocks get their place in the file when they are first written to, in that order; what was never
/// written reads as zeros and, but for the rest of its block, takes no space. Large writes go straight
/// to the file.
///
/// The file is no VHDX file before [`finish`](Self::finish). When a write fails, what the disk has at
/// that place is unspecified.
///
/// ```
/// use std::io::{Cursor, Read, Seek, SeekFrom, Write};
/// use winlayer_vhdx::{Disk, DiskOptions, DynamicDisk, Guid};
///
/// let ids = [1, 2, 3].map(Guid::from_u128);
/// let options = DiskOptions::new(20 << 30, ids[0], ids[1], ids[2]);
/// let mut disk = DynamicDisk::create(Cursor::new(Vec::new()), &options)?;
/// disk.seek(SeekFrom::Start(10 << 30))?;
/// disk.write_all(b"in the middle")?;
/// let file = disk.finish()?;
/// assert_eq!(file.get_ref().len(), 5 << 20);
///
/// let mut disk = Disk::open(file)?;
/// disk.seek(SeekFrom::Start((10 << 30) + 7))?;
/// let mut text = [0; 6];
/// disk.read_exact(&mut text)?;
/// assert_eq!(&text, b"middle");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DynamicDisk<F> {
    store: BlockStore<F>,
    position: Position,
}

impl<F: Read + Write + Seek> DynamicDisk<F> {
    /// Makes an empty disk in an empty file.
    ///
    /// # Errors
    /// When the options are impossible, or the file is not empty or cannot tell its length.
    pub fn create(file: F, options: &DiskOptions) -> Result<Self, VhdxError> {
        Ok(Self {
            store: BlockStore::create(file, options, None)?,
            position: Position::new(options.size),
        })
    }

    /// Makes the file a VHDX file, flushes it and returns it. File identifier and headers are written
    /// last; who fears power cuts syncs the file afterwards.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self) -> Result<F, VhdxError> {
        self.store
            .finish()
            .map_err(VhdxError::io("write the structures of a VHDX file"))
    }
}

/// Fails, and writes nothing, when the data would reach past the end of the disk.
impl<F: Read + Write + Seek> Write for DynamicDisk<F> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.position.check_write(data)?;
        if data.is_empty() {
            return Ok(0);
        }
        let run = self.store.run_for_write(self.position.now(), data.len());
        let (data, _) = data.split_at(run.length);
        let written = self.store.write_at(run.offset, data);
        // After an error, some of it may have been written: its blocks must not be given to others.
        let taken = *written.as_ref().unwrap_or(&data.len());
        self.store.take(self.position.now(), taken);
        self.position.advance(written?);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.store.flush()
    }
}

impl<F: Read + Write + Seek> Read for DynamicDisk<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let buffer = self.position.readable(buffer);
        let block_size = self.store.geometry().block_size();
        let (block, inside) = (
            self.position.now() / block_size,
            self.position.now() % block_size,
        );
        let length = clamp(block_size - inside, buffer.len());
        let (buffer, _) = buffer.split_at_mut(length);
        let count = match self.store.block_offset(block) {
            Some(offset) => self.store.read_at(offset + inside, buffer)?,
            None => {
                buffer.fill(0);
                buffer.len()
            }
        };
        self.position.advance(count);
        Ok(count)
    }
}

impl<F: Read + Write + Seek> Seek for DynamicDisk<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position.seek(to)
    }
}
