//! A second, independent reader of Win32 backup streams (MS-BKUP 2.2, go-winio `backup.go`).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::grammar;

/// `BACKUP_DATA`.
pub const DATA: u32 = 1;
/// `BACKUP_EA_DATA`.
pub const EA: u32 = 2;
/// `BACKUP_SECURITY_DATA`.
pub const SECURITY: u32 = 3;
/// `BACKUP_ALTERNATE_DATA`.
pub const ALTERNATE: u32 = 4;
/// `BACKUP_REPARSE_DATA`.
pub const REPARSE: u32 = 8;
/// `BACKUP_SPARSE_BLOCK`.
pub const SPARSE: u32 = 9;

/// Bytes of a record's header before its name.
pub const HEADER: usize = 20;

/// One record of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Which kind.
    pub id: u32,
    /// Stream attributes.
    pub attributes: u32,
    /// Bytes of the payload.
    pub size: u64,
    /// Of a named stream, `:name:$DATA`.
    pub name: String,
    /// Where its header begins in the stream.
    pub at: u64,
    /// Header and name, in bytes.
    pub head: u64,
    /// The payload, unless it is file content.
    pub payload: Vec<u8>,
}

impl Record {
    /// The kind in words.
    #[must_use]
    pub fn kind(&self) -> String {
        let kind = match self.id {
            DATA => "DATA",
            EA => "EA_DATA",
            SECURITY => "SECURITY_DATA",
            ALTERNATE => "ALTERNATE_DATA",
            REPARSE => "REPARSE_DATA",
            SPARSE => "SPARSE_BLOCK",
            other => return format!("id {other}"),
        };
        format!("{kind}{} {}", self.name, self.size)
    }

    fn holds_content(&self) -> bool {
        matches!(self.id, DATA | ALTERNATE | SPARSE)
    }
}

/// Where the main content goes.
pub trait Sink {
    /// `bytes` lie at `offset`.
    ///
    /// # Errors
    ///
    /// Of the file.
    fn content(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// The content is `length` bytes long.
    ///
    /// # Errors
    ///
    /// Of the file.
    fn length(&mut self, length: u64) -> io::Result<()>;
}

/// Throws the content away.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

impl Sink for Nowhere {
    fn content(&mut self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn length(&mut self, _length: u64) -> io::Result<()> {
        Ok(())
    }
}

/// Takes a stream in pieces of any size.
#[derive(Debug, Default)]
pub struct Parser {
    /// Header, name or sparse offset not yet complete.
    pending: Vec<u8>,
    /// Payload bytes of the last record still to come.
    left: u64,
    position: u64,
    /// Where the next content byte belongs; none until a sparse block's offset is known.
    offset: Option<u64>,
    /// The records so far.
    pub records: Vec<Record>,
}

impl Parser {
    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// `InvalidData` with what is wrong in the stream, or those of the sink.
    pub fn feed(&mut self, mut bytes: &[u8], sink: &mut impl Sink) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = if self.left == 0 {
                self.header(bytes, sink)?
            } else {
                self.payload(bytes, sink)?
            };
            self.position += taken as u64;
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Whether the stream may end here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.left == 0 && self.pending.is_empty()
    }

    fn header(&mut self, bytes: &[u8], sink: &mut impl Sink) -> io::Result<usize> {
        let name = self
            .pending
            .get(16..HEADER)
            .map_or(0, |size| number(size) as usize);
        if name > 65536 {
            return Err(invalid(format!("a name of {name} bytes")));
        }
        let taken = bytes.len().min(HEADER + name - self.pending.len());
        self.pending.extend(bytes.iter().take(taken));
        let complete = self
            .pending
            .get(16..HEADER)
            .is_some_and(|size| self.pending.len() == HEADER + number(size) as usize);
        if complete {
            let head = std::mem::take(&mut self.pending);
            self.begin(&head, taken, sink)?;
        }
        Ok(taken)
    }

    fn begin(&mut self, head: &[u8], taken: usize, sink: &mut impl Sink) -> io::Result<()> {
        let field = |from: usize, to: usize| number(head.get(from..to).unwrap_or_default());
        let name = head.get(HEADER..).unwrap_or_default();
        let units: Vec<u16> = name.chunks(2).map(|unit| number(unit) as u16).collect();
        let record = Record {
            id: field(0, 4) as u32,
            attributes: field(4, 8) as u32,
            size: field(8, 16),
            name: String::from_utf16(&units).map_err(|_| invalid("a name that is not UTF-16"))?,
            at: self.position + taken as u64 - head.len() as u64,
            head: head.len() as u64,
            payload: Vec::new(),
        };
        grammar::check_header(&record, name.len()).map_err(invalid)?;
        self.left = record.size;
        self.offset = (record.id != SPARSE).then_some(0);
        if record.id == DATA {
            sink.length(record.size)?;
        }
        self.records.push(record);
        if self.left == 0 {
            self.end()?;
        }
        Ok(())
    }

    fn payload(&mut self, bytes: &[u8], sink: &mut impl Sink) -> io::Result<usize> {
        let Some(record) = self.records.last_mut() else {
            return Err(invalid("no record"));
        };
        let limit = if self.offset.is_none() {
            8 - self.pending.len() as u64
        } else {
            self.left
        };
        let taken = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let part = bytes.get(..taken).unwrap_or_default();
        self.left -= taken as u64;
        if let Some(offset) = self.offset.as_mut() {
            if record.holds_content() {
                if record.id != ALTERNATE {
                    sink.content(*offset, part)?;
                }
                *offset += taken as u64;
            } else {
                record.payload.extend(part);
            }
        } else {
            self.pending.extend(part);
            if self.pending.len() == 8 {
                let offset = number(&std::mem::take(&mut self.pending));
                // An empty block at the end says how long the file is.
                if self.left == 0 {
                    sink.length(offset)?;
                }
                self.offset = Some(offset);
            }
        }
        if self.left == 0 {
            self.end()?;
        }
        Ok(taken)
    }

    fn end(&self) -> io::Result<()> {
        self.records.last().map_or(Ok(()), |record| {
            grammar::check_payload(record).map_err(invalid)
        })
    }
}

/// A little-endian number of at most 8 bytes.
#[must_use]
pub fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

/// Reads a whole stream.
///
/// # Errors
///
/// `InvalidData` with what is wrong in the stream, or those of the file.
pub fn read(mut from: impl Read, sink: &mut impl Sink) -> io::Result<Vec<Record>> {
    let mut parser = Parser::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let got = from.read(&mut buffer)?;
        if got == 0 {
            break;
        }
        parser.feed(buffer.get(..got).unwrap_or_default(), sink)?;
    }
    if !parser.is_complete() {
        return Err(invalid("the stream ends inside a record"));
    }
    Ok(parser.records)
}

/// The records of the stream in the file at `path`.
///
/// # Errors
///
/// As [`read`].
pub fn records_of(path: &Path) -> io::Result<Vec<Record>> {
    read(File::open(path)?, &mut Nowhere)
}

/// A record with its payload, as bytes.
#[must_use]
pub fn record(id: u32, attributes: u32, payload: &[u8]) -> Vec<u8> {
    [head(id, attributes, payload.len() as u64), payload.to_vec()].concat()
}

/// The header of a record without a name.
#[must_use]
pub fn head(id: u32, attributes: u32, size: u64) -> Vec<u8> {
    [
        &id.to_le_bytes()[..],
        &attributes.to_le_bytes(),
        &size.to_le_bytes(),
        &[0; 4],
    ]
    .concat()
}
