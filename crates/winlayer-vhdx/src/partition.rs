//! A part of a device as a device.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::device::{Device, Position};

/// A window of a device: reads end at its end, writes past its end fail and write nothing.
///
/// ```
/// use std::io::{Cursor, Read, Write};
/// use winlayer_vhdx::Partition;
///
/// let mut disk = Partition::new(Cursor::new(vec![0; 4096]), 1024, 512)?;
/// disk.write_all(b"first")?;
/// assert!(disk.write_all(&[0; 508]).is_err());
/// assert_eq!(&disk.into_inner().into_inner()[1024..1030], b"first\0");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Partition<D> {
    device: Device<D>,
    offset: u64,
    position: Position,
}

impl<D: Seek> Partition<D> {
    /// The bytes of a device from `offset` on; the position is at their start.
    ///
    /// # Errors
    /// When the device ends before the window, or cannot tell where it ends.
    pub fn new(device: D, offset: u64, length: u64) -> io::Result<Self> {
        let device = Device::new(device)?;
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > device.length()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "a partition of {length} bytes at {offset:#x} does not fit into {} bytes",
                    device.length()
                ),
            ));
        }
        Ok(Self {
            device,
            offset,
            position: Position::new(length),
        })
    }

    /// Where it begins on the device, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its size in bytes.
    pub fn length(&self) -> u64 {
        self.position.size()
    }

    /// The device itself.
    pub fn into_inner(self) -> D {
        self.device.into_inner()
    }
}

impl<D: Read + Seek> Read for Partition<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let buffer = self.position.readable(buffer);
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self
            .device
            .read_at(self.offset + self.position.now(), buffer)?;
        self.position.advance(count);
        Ok(count)
    }
}

impl<D: Write + Seek> Write for Partition<D> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.position.check_write(data)?;
        if data.is_empty() {
            return Ok(0);
        }
        let count = self
            .device
            .write_at(self.offset + self.position.now(), data)?;
        self.position.advance(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }
}

impl<D: Seek> Seek for Partition<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position.seek(to)
    }
}
