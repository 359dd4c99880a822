//! A layer blob being written: DiffID before the compressor, digest and size after it.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use flate2::{GzBuilder, write::GzEncoder};
use winlayer_digest::{DiffId, Digest, Hasher};

/// How a layer is compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    /// Media type of a layer packed so (OCI image-spec, layer.md).
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// What a finished blob is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
    pub(crate) diff_id: DiffId,
}

/// Counts and hashes what passes.
struct Summing<W> {
    inner: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

type Output = Summing<BufWriter<File>>;

enum Compressor {
    Gzip(GzEncoder<Output>),
    Zstd(zstd::Encoder<'static, Output>),
}

/// Takes the tar, writes the blob.
pub(crate) struct BlobWriter {
    compressor: Compressor,
    tar: Hasher,
}

impl BlobWriter {
    pub(crate) fn create(path: &Path, packing: Packing) -> io::Result<Self> {
        let inner = BufWriter::with_capacity(1 << 18, File::create_new(path)?);
        let output = Summing {
            inner,
            hasher: Hasher::new(),
            bytes: 0,
        };
        let compressor = match packing {
            // No name and no time in the header, so that equal tars give equal blobs.
            Packing::Gzip => Compressor::Gzip(
                GzBuilder::new()
                    .mtime(0)
                    .write(output, flate2::Compression::new(6)),
            ),
            Packing::Zstd => Compressor::Zstd(zstd::Encoder::new(output, 3)?),
        };
        Ok(Self {
            compressor,
            tar: Hasher::new(),
        })
    }

    pub(crate) fn finish(self) -> io::Result<Finished> {
        let mut output = match self.compressor {
            Compressor::Gzip(encoder) => encoder.finish()?,
            Compressor::Zstd(encoder) => encoder.finish()?,
        };
        output.flush()?;
        Ok(Finished {
            digest: output.hasher.finish(),
            bytes: output.bytes,
            diff_id: DiffId::new(self.tar.finish()),
        })
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.compressor {
            Compressor::Gzip(encoder) => encoder.write(bytes)?,
            Compressor::Zstd(encoder) => encoder.write(bytes)?,
        };
        self.tar.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
