//! What a tar entry has to say before its body, from a backup stream that may say it after.

use std::{
    io::{self, Cursor, Read, Write},
    sync::Arc,
};

use winlayer_metadata::{
    ExtendedAttributes, ReparsePoint, SecurityDescriptor,
    backup_stream::{BackupStreamReader, SparseReader, StreamHeader, StreamId},
};

use crate::Result;

/// Streams up to this length are read once and kept.
const KEPT: u64 = 1 << 20;

/// The longest descriptor, list of extended attributes or reparse buffer taken.
const LONGEST: u64 = 1 << 20;

/// A backup stream that can be read from its beginning any number of times.
pub(super) struct Stream<F> {
    open: F,
    kept: Option<Vec<u8>>,
}

impl<'a, F: Fn() -> Result<Box<dyn Read + 'a>>> Stream<F> {
    pub(super) fn open(open: F) -> Result<Self> {
        let mut kept = Vec::new();
        let whole = open()?.take(KEPT + 1).read_to_end(&mut kept);
        let whole = whole.map_err(|error| crate::Error::io("read a backup stream", error))?;
        let kept = (whole as u64 <= KEPT).then_some(kept);
        Ok(Self { open, kept })
    }

    pub(super) fn read<'s>(&'s self) -> Result<Box<dyn Read + 's>>
    where
        'a: 's,
    {
        match &self.kept {
            Some(bytes) => Ok(Box::new(Cursor::new(bytes))),
            None => (self.open)(),
        }
    }
}

/// All of a stream but the content.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) security: Option<Arc<SecurityDescriptor>>,
    pub(super) extended_attributes: ExtendedAttributes,
    pub(super) reparse: Option<ReparsePoint>,
    /// Length of the content, holes included.
    pub(super) size: u64,
    /// Names and lengths of the other streams, in their order.
    pub(super) streams: Vec<(String, u64)>,
}

impl Facts {
    pub(super) fn scan(stream: impl Read) -> io::Result<Self> {
        let mut facts = Self::default();
        let mut records = BackupStreamReader::new(stream);
        while let Some(header) = records.next_record()? {
            match header.id {
                StreamId::SecurityData => {
                    let parsed = SecurityDescriptor::parse(&payload(&mut records)?);
                    facts.security = Some(Arc::new(parsed.map_err(io::Error::other)?));
                }
                StreamId::EaData => {
                    let parsed = ExtendedAttributes::parse(&payload(&mut records)?);
                    facts.extended_attributes = parsed.map_err(io::Error::other)?;
                }
                StreamId::ReparseData => {
                    let parsed = ReparsePoint::parse(&payload(&mut records)?);
                    facts.reparse = Some(parsed.map_err(io::Error::other)?);
                }
                StreamId::Data => facts.size = length(&mut records, &header)?,
                StreamId::AlternateData => {
                    let name = header.stream_name().unwrap_or_default().to_owned();
                    let size = length(&mut records, &header)?;
                    facts.streams.push((name, size));
                }
                _ => {}
            }
        }
        Ok(facts)
    }
}

fn payload(records: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut payload = Vec::new();
    records.take(LONGEST).read_to_end(&mut payload)?;
    Ok(payload)
}

fn length<R: Read>(records: &mut BackupStreamReader<R>, header: &StreamHeader) -> io::Result<u64> {
    if header.size > 0 {
        return Ok(header.size);
    }
    io::copy(&mut SparseReader::new(records, header), &mut io::sink())
}

/// Copies the content of the object.
pub(super) fn copy_data(stream: impl Read, out: &mut impl Write) -> io::Result<()> {
    copy(stream, StreamId::Data, 0, out)
}

/// Copies the content of one of its other streams.
pub(super) fn copy_stream(
    stream: impl Read,
    number: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    copy(stream, StreamId::AlternateData, number, out)
}

fn copy(stream: impl Read, id: StreamId, number: usize, out: &mut impl Write) -> io::Result<()> {
    let mut records = BackupStreamReader::new(stream);
    let mut before = number;
    while let Some(header) = records.next_record()? {
        if header.id != id {
            continue;
        }
        if before == 0 {
            io::copy(&mut SparseReader::new(&mut records, &header), out)?;
            return Ok(());
        }
        before -= 1;
    }
    // A file that never had content may have no record of it.
    Ok(())
}
