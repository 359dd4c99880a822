//! Win32 backup streams: the records `BackupRead` gives and `BackupWrite` takes (MS-BKUP 2.2, `WIN32_STREAM_ID`).
//!
//! A stream is a row of records without padding: a 20-byte header, for named streams a name, then the payload.
//! [`BackupStreamReader`] walks them, [`BackupStreamWriter`] makes them, and [`SparseReader`] turns the several shapes a sparse
//! file can take into its plain content.
//!
//! ```
//! use std::io::{Read, Write};
//! use winlayer_metadata::backup_stream::{BackupStreamReader, BackupStreamWriter, StreamId};
//!
//! let mut writer = BackupStreamWriter::new(Vec::new());
//! writer.begin_data(2)?;
//! writer.write_all(b"hi")?;
//! writer.begin_alternate("s", 3)?;
//! writer.write_all(b"abc")?;
//! let bytes = writer.finish()?;
//!
//! let mut reader = BackupStreamReader::new(&bytes[..]);
//! assert_eq!(reader.next_record()?.map(|header| header.id), Some(StreamId::Data));
//! let stream = reader.next_record()?.expect("two records were written");
//! assert_eq!((stream.id, stream.stream_name()), (StreamId::AlternateData, Some("s")));
//! let mut body = String::new();
//! reader.read_to_string(&mut body)?;
//! assert_eq!(body, "abc");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod format;
mod reader;
mod sparse;
#[cfg(test)]
mod tests;
mod writer;

pub use error::{BackupStreamError, BackupWriteError};
pub use format::{StreamHeader, StreamId};
pub use reader::BackupStreamReader;
pub use sparse::SparseReader;
pub use writer::BackupStreamWriter;
