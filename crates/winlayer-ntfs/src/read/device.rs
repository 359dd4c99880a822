//! The bytes below a volume.

use std::io::{Read, Seek, SeekFrom};

use crate::{NtfsError, Place, Result};

/// A device that is read at offsets.
#[derive(Debug)]
pub(crate) struct Device<D> {
    inner: D,
    /// Where the next read would go on, when that is known.
    position: Option<u64>,
    /// Bytes.
    pub length: u64,
}

impl<D: Read + Seek> Device<D> {
    pub(crate) fn new(mut inner: D) -> Result<Self> {
        let length = inner.seek(SeekFrom::End(0)).map_err(NtfsError::read)?;
        Ok(Self {
            inner,
            position: None,
            length,
        })
    }

    /// Fills `out` with the bytes at `offset`.
    pub(crate) fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            let found = format!("a device of {}", self.length);
            let expected = format!("{} bytes there", out.len());
            return Err(NtfsError::damaged(Place::Offset(offset), expected, found));
        }
        if self.position.take() != Some(offset) {
            self.inner
                .seek(SeekFrom::Start(offset))
                .map_err(NtfsError::read)?;
        }
        self.inner.read_exact(out).map_err(NtfsError::read)?;
        self.position = end;
        Ok(())
    }

    pub(crate) fn into_inner(self) -> D {
        self.inner
    }
}
