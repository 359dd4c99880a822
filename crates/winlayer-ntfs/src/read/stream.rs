//! The bytes of a stream.

use std::io::{self, Read, Seek, SeekFrom};

use super::{Volume, device::Device, extents::Extents, name::units, object::NtfsObject};
use crate::{
    NtfsError, Place, Result,
    attribute::{AttributeType, Content},
};

/// Reads one stream. Holes, and what has never been written, are zeros; a read goes straight to the caller's buffer, so small
/// ones are better made through a `BufReader`.
#[derive(Debug)]
pub struct StreamReader<'a, D> {
    device: &'a mut Device<D>,
    source: Source,
    position: u64,
}

#[derive(Debug)]
enum Source {
    Resident(Vec<u8>),
    Clusters(Extents),
}

impl<D: Read + Seek> Volume<D> {
    /// Opens a stream of an object; the empty name is its content.
    ///
    /// # Errors
    ///
    /// No such stream ([`NtfsError::Refused`]), a compressed or encrypted one ([`NtfsError::Unsupported`]), or damaged runs.
    pub fn stream(&mut self, object: &NtfsObject, name: &str) -> Result<StreamReader<'_, D>> {
        let number = object.reference.record();
        let units = units(name);
        let mut streams = object.record.all(AttributeType::DATA);
        let attribute = streams.find(|stream| stream.name == units);
        let attribute = attribute.ok_or_else(|| NtfsError::Refused {
            what: Place::Record(number).to_string(),
            rule: match name {
                "" => "it has no content".to_owned(),
                name => format!("it has no stream \"{}\"", name.escape_debug()),
            },
        })?;
        let source = match &attribute.content {
            Content::Resident { value, .. } => Source::Resident(value.clone()),
            Content::NonResident(value) => {
                Source::Clusters(Extents::of(&self.geometry, attribute, value, number)?)
            }
        };
        Ok(StreamReader {
            device: &mut self.device,
            source,
            position: 0,
        })
    }
}

impl<D> StreamReader<'_, D> {
    /// Bytes of the stream.
    pub fn size(&self) -> u64 {
        match &self.source {
            Source::Resident(value) => value.len() as u64,
            Source::Clusters(extents) => extents.size,
        }
    }
}

impl<D: Read + Seek> Read for StreamReader<'_, D> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.size().saturating_sub(self.position);
        let length = (out.len() as u64).min(left) as usize;
        let Some(out) = out.get_mut(..length) else {
            return Ok(0);
        };
        match &self.source {
            Source::Resident(value) => {
                let start = (self.position as usize).min(value.len());
                if let Some(bytes) = value.get(start..start + length) {
                    out.copy_from_slice(bytes);
                }
            }
            Source::Clusters(extents) => extents
                .read(self.device, self.position, out)
                .map_err(io::Error::other)?,
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl<D> Seek for StreamReader<'_, D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
