//! [`Limits`], [`ReadOptions`] and [`Progress`]: what a caller may set and watch.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::path::PATH_UNITS;

/// Bounds on what a layer may ask of its reader. Crossing one is
/// [`TarErrorKind::Limit`](crate::TarErrorKind::Limit).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one extension header (pax, pax global, GNU long name). Stops a header that is
    /// really a memory bomb. Default 1 MiB, the limit of Go's `archive/tar`, which wrote nearly every
    /// layer there is.
    pub pax_bytes: u64,
    /// UTF-16 units of a path. Default 32,767, what Windows can open.
    pub path_units: usize,
    /// Entries of one layer. Stops millions of empty files in a small blob. Default 4,000,000; the
    /// largest base images have some 300,000.
    pub entries: u64,
    /// Bytes of one uncompressed layer, headers included. Stops decompression bombs. Default 128 GiB:
    /// no layer is larger than the scratch disk it was committed from, which is 20 GB unless
    /// enlarged and 127 GB on current Docker.
    pub unpacked_bytes: u64,
    /// Largest zstd window as a power of two; memory a frame may demand. Default 27 (128 MiB), what
    /// `zstd` itself accepts without `--long`; containerd's writer needs 23.
    pub zstd_window_log: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pax_bytes: 1 << 20,
            path_units: PATH_UNITS,
            entries: 4_000_000,
            unpacked_bytes: 128 << 30,
            zstd_window_log: 27,
        }
    }
}

/// Where a layer stands in its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerRole {
    /// The lowest layer: no whiteouts, no `Hives`.
    Base,
    /// Any other.
    Diff,
}

/// Counters another thread may read while a layer is read.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the blob read so far.
    pub compressed_bytes: AtomicU64,
    /// Bytes of the tar produced so far.
    pub uncompressed_bytes: AtomicU64,
    /// Entries seen so far.
    pub entries: AtomicU64,
}

/// How to read a layer.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Bounds.
    pub limits: Limits,
    /// Rules of a base or diff layer; `None` when the place of the layer is not known.
    pub role: Option<LayerRole>,
    /// Counters to keep up to date.
    pub progress: Option<Arc<Progress>>,
}
