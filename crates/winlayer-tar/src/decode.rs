//! [`Decoder`]: tells the compression of a blob by its first bytes and undoes it.
//!
//! Names and media types lie: Docker published compressed layers under the plain type.

use std::io::{self, BufRead, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::error::{StreamError, StreamFault};
use crate::limits::Limits;

/// How a blob was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952), one or more members.
    Gzip,
    /// zstd (RFC 8878), one or more frames.
    Zstd,
}

impl Compression {
    /// Tells by the first four bytes of a blob (fewer if it is shorter).
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            // A frame, or a skippable frame as parallel compressors put first.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Self::Zstd,
            _ => Self::None,
        }
    }
}

type Input<R> = Chain<Cursor<Vec<u8>>, R>;

enum Kind<R: BufRead> {
    Plain(Input<R>),
    Gzip(Box<MultiGzDecoder<Input<R>>>),
    Zstd(zstd::stream::read::Decoder<'static, Input<R>>),
}

/// Reads the uncompressed bytes of a blob to its very end; anything after the last gzip member or zstd
/// frame is an error.
pub(crate) struct Decoder<R: BufRead> {
    kind: Kind<R>,
}

impl<R: BufRead> Decoder<R> {
    pub(crate) fn new(mut input: R, limits: &Limits) -> io::Result<Self> {
        let mut start = Vec::with_capacity(4);
        input
            .by_ref()
            .take(4)
            .read_to_end(&mut start)
            .map_err(|error| classify("tar", error))?;
        let compression = Compression::detect(&start);
        let input = Cursor::new(start).chain(input);
        let kind = match compression {
            Compression::None => Kind::Plain(input),
            Compression::Gzip => Kind::Gzip(Box::new(MultiGzDecoder::new(input))),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(limits.zstd_window_log)?;
                Kind::Zstd(decoder)
            }
        };
        Ok(Self { kind })
    }

    pub(crate) fn compression(&self) -> Compression {
        match self.kind {
            Kind::Plain(_) => Compression::None,
            Kind::Gzip(_) => Compression::Gzip,
            Kind::Zstd(_) => Compression::Zstd,
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Plain(input) => input.read(buffer).map_err(|error| classify("tar", error)),
            Kind::Gzip(input) => input.read(buffer).map_err(|error| classify("gzip", error)),
            Kind::Zstd(input) => input.read(buffer).map_err(|error| classify("zstd", error)),
        }
    }
}

/// An error of the blob's own reader, marked so that it is not taken for one of the decompressor.
#[derive(Debug, thiserror::Error)]
#[error("reading the blob failed")]
pub(crate) struct SourceError(#[source] pub(crate) io::Error);

/// Tells a corrupt stream from a source that failed.
fn classify(format: &'static str, error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::Interrupted {
        return error;
    }
    match error.downcast::<SourceError>() {
        Ok(SourceError(error)) => error,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => StreamError {
            fault: StreamFault::Truncated(format),
            cause: Some(error),
        }
        .into_io(),
        // libzstd has a code for this, its Rust binding only the text.
        Err(error) if error.to_string().contains("too much memory") => StreamFault::Window.into(),
        Err(error) => StreamError {
            fault: StreamFault::Corrupt(format),
            cause: Some(error),
        }
        .into_io(),
    }
}
