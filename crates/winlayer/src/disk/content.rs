//! The bytes of streams.

use std::io::{self, Read, Seek, Write};

use winlayer_ntfs::{NtfsObject, Volume};

use super::container::read_failed;
use crate::{Error, Result};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// Copies a stream to its end.
pub(super) fn copy_stream<D: Read + Seek>(
    volume: &mut Volume<D>,
    object: &NtfsObject,
    name: &str,
    out: &mut (impl Write + ?Sized),
) -> Result<()> {
    let written = |error| Error::io("write the content", error);
    each_piece(volume, object, name, &mut |piece| {
        out.write_all(piece).map_err(written)
    })
}

/// Hands the bytes of a stream to `each`, piece by piece.
pub(super) fn each_piece<D: Read + Seek>(
    volume: &mut Volume<D>,
    object: &NtfsObject,
    name: &str,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut stream = volume.stream(object, name)?;
    let mut piece = vec![0; PIECE.min(usize::try_from(stream.size()).unwrap_or(PIECE))];
    loop {
        let count = match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(read_error(error)),
        };
        each(piece.get(..count).unwrap_or_default())?;
    }
}

/// The volume's own error, when a reader had to wrap it.
fn read_error(error: io::Error) -> Error {
    match error.downcast::<winlayer_ntfs::NtfsError>() {
        Ok(error) => error.into(),
        Err(error) => read_failed(error),
    }
}
