//! Files: everything a record says about one.

use std::io::{Read, Seek};

use winlayer_metadata::{ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint};
use zerocopy::FromBytes;

use super::{
    Volume,
    name::{FileName, shown_attributes, text},
    records::FullRecord,
};
use crate::{
    FileReference, Namespace, NtfsError, RecordFlags, Result,
    attribute::{Attribute, AttributeType, Content, attribute_flags},
    format::StandardInformation,
};

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// Has an unnamed stream.
    File,
    /// Has names of other files.
    Directory,
    /// Leads elsewhere: a symbolic link or a junction, by its reparse point. The attribute word tells whether to a directory.
    Link,
}

/// A name of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// The directory that has it.
    pub parent: FileReference,
    /// As in [`DirectoryEntry`](crate::DirectoryEntry).
    pub name: String,
    /// [`Namespace::DOS`] for the short name of another.
    pub namespace: Namespace,
}

/// A stream of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFacts {
    /// Empty for the content; half surrogate pairs are shown as in [`DirectoryEntry`](crate::DirectoryEntry).
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Bytes of its clusters, those of holes left out; 0 when it is in the record.
    pub allocated: u64,
}

/// A file, directory or link.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NtfsObject {
    /// Which one.
    pub reference: FileReference,
    /// What it is.
    pub kind: ObjectKind,
    /// The attribute word as Windows shows it.
    pub attributes: FileAttributes,
    /// The four times.
    pub times: FileTimes,
    /// Its descriptor, for [`Volume::descriptor`]; 0 for none.
    pub security_id: u32,
    /// Bytes of the unnamed stream; 0 for a directory.
    pub size: u64,
    /// All names, short ones included, in the order of the record.
    pub names: Vec<ObjectName>,
    /// All streams, in the order of the record.
    pub streams: Vec<StreamFacts>,
    /// The extended attributes, or why they cannot be read.
    pub extended_attributes: Result<ExtendedAttributes, String>,
    /// The reparse point, or why it cannot be read.
    pub reparse: Option<Result<ReparsePoint, String>>,
    /// The object id, as stored.
    pub object_id: Option<[u8; 16]>,
    pub(crate) record: FullRecord,
}

impl<D: Read + Seek> Volume<D> {
    /// Reads what the record of a file says.
    ///
    /// # Errors
    ///
    /// A stale reference (the sequence is checked), a damaged record, and one without `$STANDARD_INFORMATION`.
    pub fn object(&mut self, reference: FileReference) -> Result<NtfsObject> {
        let record = self.referenced(reference)?;
        let standard = standard_information(&record)?;
        let directory = record.base.flags.contains(RecordFlags::DIRECTORY);
        let reparse = record.find(AttributeType::REPARSE_POINT, "").cloned();
        let reparse = reparse.map(|attribute| self.reparse(&attribute, reference.record()));
        let reparse = reparse.transpose()?;
        let extended = record.find(AttributeType::EA, "").cloned();
        let extended = match extended {
            Some(attribute) => self.extended_attributes(&attribute, reference.record())?,
            None => Ok(ExtendedAttributes::default()),
        };

        let mut attributes = shown_attributes(standard.attributes.get(), directory);
        attributes.set(FileAttributes::REPARSE_POINT, reparse.is_some());
        let is_link = matches!(&reparse, Some(Ok(point)) if point.target().is_some());
        let streams: Vec<_> = record.all(AttributeType::DATA).map(stream_facts).collect();
        let content = streams.iter().find(|stream| stream.name.is_empty());
        let object_id = record.find(AttributeType::OBJECT_ID, "");
        Ok(NtfsObject {
            reference,
            kind: match directory {
                _ if is_link => ObjectKind::Link,
                true => ObjectKind::Directory,
                false => ObjectKind::File,
            },
            attributes,
            times: FileTimes {
                created: FileTime::from_ticks(standard.created.get()),
                accessed: FileTime::from_ticks(standard.accessed.get()),
                written: FileTime::from_ticks(standard.written.get()),
                changed: FileTime::from_ticks(standard.changed.get()),
            },
            security_id: standard.security_id.get(),
            size: content.map_or(0, |content| content.size),
            names: names(&record)?,
            extended_attributes: extended,
            reparse,
            object_id: object_id.and_then(|id| id.value()?.first_chunk().copied()),
            streams,
            record,
        })
    }

    fn reparse(
        &mut self,
        attribute: &Attribute,
        record: u64,
    ) -> Result<Result<ReparsePoint, String>> {
        if attribute.size() > ReparsePoint::MAX_LEN as u64 {
            return Ok(Err(format!("it takes {} bytes", attribute.size())));
        }
        let bytes = self.value(attribute, record)?;
        Ok(ReparsePoint::parse(&bytes).map_err(|error| error.to_string()))
    }

    fn extended_attributes(
        &mut self,
        attribute: &Attribute,
        record: u64,
    ) -> Result<Result<ExtendedAttributes, String>> {
        if attribute.size() > MAX_EA {
            return Ok(Err(format!("they take {} bytes", attribute.size())));
        }
        let mut bytes = self.value(attribute, record)?;
        end_chain(&mut bytes);
        Ok(ExtendedAttributes::parse(&bytes).map_err(|error| error.to_string()))
    }
}

/// Most bytes `$EA` can have.
pub(crate) const MAX_EA: u64 = 65_536;

/// On the volume the last entry gives its own length as the distance to the next; elsewhere a list ends with 0.
pub(crate) fn end_chain(list: &mut [u8]) {
    let mut at = 0_usize;
    while let Some(next) = list.get(at..).and_then(<[u8]>::first_chunk) {
        let next = u32::from_le_bytes(*next) as usize;
        let end = at.saturating_add(next);
        if end == list.len()
            && let Some(field) = list.get_mut(at..at + 4)
        {
            field.fill(0);
        }
        if next == 0 || end >= list.len() {
            return;
        }
        at = end;
    }
}

pub(crate) fn standard_information(record: &FullRecord) -> Result<StandardInformation> {
    let attribute = record.need(AttributeType::STANDARD_INFORMATION, "")?;
    let value = attribute.value().unwrap_or_default();
    parse_standard_information(value).ok_or_else(|| {
        let found = format!("{} bytes in it", value.len());
        NtfsError::damaged(attribute.place(record.number()), "48 or 72 bytes", found)
    })
}

/// NTFS before 3.0, and system files of mkntfs, end after 48 bytes; what is missing is zero.
pub(crate) fn parse_standard_information(value: &[u8]) -> Option<StandardInformation> {
    let mut bytes = [0; size_of::<StandardInformation>()];
    let there = value.get(..bytes.len()).or(value.get(..48))?;
    bytes.get_mut(..there.len())?.copy_from_slice(there);
    StandardInformation::read_from_bytes(&bytes).ok()
}

fn names(record: &FullRecord) -> Result<Vec<ObjectName>> {
    let name = |attribute: &Attribute| {
        let name = attribute.value().and_then(FileName::parse);
        let name = name.ok_or_else(|| {
            NtfsError::damaged(attribute.place(record.number()), "a name", "something else")
        })?;
        Ok(ObjectName {
            parent: name.parent(),
            name: text(&name.units),
            namespace: name.namespace(),
        })
    };
    record.all(AttributeType::FILE_NAME).map(name).collect()
}

fn stream_facts(attribute: &Attribute) -> StreamFacts {
    StreamFacts {
        name: text(&attribute.name),
        size: attribute.size(),
        allocated: match &attribute.content {
            Content::Resident { .. } => 0,
            Content::NonResident(value) => value.in_use.unwrap_or(value.allocated),
        },
    }
}

impl StreamFacts {
    /// Whether the name is that of the content.
    pub fn is_content(&self) -> bool {
        self.name.is_empty()
    }
}

impl NtfsObject {
    /// Whether a stream's clusters may have gaps.
    pub fn is_sparse(&self, stream: &str) -> bool {
        let data = self.record.find(AttributeType::DATA, stream);
        data.is_some_and(|data| data.flags & attribute_flags::SPARSE != 0)
    }
}
