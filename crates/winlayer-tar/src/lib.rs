//! The tar stream of a Windows container layer: [`LayerReader`] and [`LayerTarWriter`].
//!
//! ```text
//! blob ─► decode ─► archive ─► rules + windows ─► LayerItem
//!         gzip,     headers,   places, order,     objects, streams,
//!         zstd,     pax, GNU   whiteouts; times,  hard links,
//!         DiffID    names      security, links    whiteouts
//! ```
//!
//! * [`LayerReader`] reads a compressed blob on threads and computes its DiffID. [`ItemReader`] does the
//!   same to an uncompressed stream on the calling thread, and [`ArchiveReader`] gives the raw
//!   entries before they are given a meaning.
//! * [`LayerPath`] is the only spelling of a name that leaves this crate.
//! * [`LayerTarWriter`] writes the bytes go-winio and hcsshim would.
//!
//! The format is that of go-winio's `backuptar` package, of hcsshim's `ociwclayer`, and of the OCI
//! image specification, `layer.md`. The reader is strict: what two programs could read differently is
//! refused with [`TarErrorKind::Malformed`], what would be dangerous to apply with
//! [`TarErrorKind::Unsafe`]. What needs an index of the layer's names is left to the caller: names that
//! come twice, missing parent directories, and where hard links lead.

mod archive;
mod body;
mod decode;
mod error;
mod header;
mod item;
mod limits;
mod path;
mod pax;
mod pipeline;
mod reader;
mod rules;
mod time;
mod windows;
mod writer;

pub use archive::{ArchiveReader, EntryType, RawEntry};
pub use body::Body;
pub use decode::Compression;
pub use error::{TarError, TarErrorKind};
pub use item::{AlternateStream, HardLink, LayerItem, Metadata, Object, ObjectKind};
pub use limits::{LayerRole, Limits, Progress, ReadOptions};
pub use path::{LayerPath, PathError, Tree};
pub use reader::{Entry, ItemReader, LayerReader, LayerSummary};
pub use writer::LayerTarWriter;
