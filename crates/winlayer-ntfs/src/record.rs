//! File records in memory, and their bytes.

use zerocopy::{
    FromBytes, IntoBytes,
    little_endian::{U16, U32, U64},
};

use crate::{
    FileReference, NtfsError, Place, Result,
    attribute::{Attribute, AttributeType, decode_attributes, pad},
    format::{END_OF_ATTRIBUTES, RECORD, RecordHeader, SECTOR},
    protect::{protect, unprotect},
};

bitflags::bitflags! {
    /// What a file record is.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RecordFlags: u16 {
        /// In use.
        const IN_USE = 1;
        /// Has a directory index.
        const DIRECTORY = 2;
        /// A file of `$Extend`.
        const EXTEND = 4;
        /// Has an index that is not a directory's.
        const VIEW_INDEX = 8;
        const _ = !0;
    }
}

/// A file record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub number: u64,
    pub sequence: u16,
    pub flags: RecordFlags,
    pub link_count: u16,
    /// The record this one continues.
    pub base: Option<FileReference>,
    pub next_attribute_id: u16,
    /// In the order of the record.
    pub attributes: Vec<Attribute>,
}

impl Record {
    /// Bytes a record takes without any attribute.
    pub(crate) const EMPTY: usize = RecordHeader::ATTRIBUTES + 8;

    pub(crate) fn new(number: u64, sequence: u16, flags: RecordFlags) -> Self {
        Self {
            number,
            sequence,
            flags: flags | RecordFlags::IN_USE,
            link_count: 0,
            base: None,
            next_attribute_id: 0,
            attributes: Vec::new(),
        }
    }

    pub(crate) fn reference(&self) -> FileReference {
        FileReference::new(self.number, self.sequence)
    }

    /// Gives the attribute its id and puts it in its place.
    pub(crate) fn push(&mut self, mut attribute: Attribute) {
        attribute.id = self.next_attribute_id;
        self.next_attribute_id = self.next_attribute_id.wrapping_add(1);
        let before = |other: &Attribute| other.cmp_place(&attribute).is_le();
        let at = self.attributes.partition_point(before);
        self.attributes.insert(at, attribute);
    }

    pub(crate) fn find(&self, kind: AttributeType, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.kind == kind && attribute.has_name(name))
    }

    /// Bytes the record takes, end marker included.
    pub(crate) fn used(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(Attribute::encoded_len).sum();
        Self::EMPTY + attributes
    }

    /// Writes the record to `out`, which becomes `RECORD` bytes long, protected by its update sequence.
    ///
    /// # Errors
    ///
    /// The attributes do not fit.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        out.resize(RecordHeader::ATTRIBUTES, 0);
        for attribute in &self.attributes {
            attribute.encode_into(out);
        }
        out.extend(END_OF_ATTRIBUTES.to_le_bytes());
        pad(out);
        let used = out.len();
        if used > RECORD {
            return Err(NtfsError::Refused {
                what: format!("file record {}", self.number),
                rule: format!("its attributes take {used} bytes, {RECORD} at most fit"),
            });
        }
        out.resize(RECORD, 0);
        let header = RecordHeader {
            signature: RecordHeader::SIGNATURE,
            update_offset: U16::new(RecordHeader::UPDATE_SEQUENCE as u16),
            update_count: U16::new((RECORD / SECTOR + 1) as u16),
            log_sequence: U64::new(0),
            sequence: U16::new(self.sequence),
            link_count: U16::new(self.link_count),
            first_attribute: U16::new(RecordHeader::ATTRIBUTES as u16),
            flags: U16::new(self.flags.bits()),
            used: U32::new(used as u32),
            allocated: U32::new(RECORD as u32),
            base: U64::new(self.base.map_or(0, FileReference::raw)),
            next_attribute_id: U16::new(self.next_attribute_id),
            unused: U16::new(0),
            number: U32::new(self.number as u32),
        };
        if let Some(place) = out.get_mut(..size_of::<RecordHeader>()) {
            place.copy_from_slice(header.as_bytes());
        }
        protect(out, RecordHeader::UPDATE_SEQUENCE);
        Ok(())
    }

    /// Reads the record `number` from bytes whose update sequence is still in place.
    ///
    /// # Errors
    ///
    /// No record, or one that breaks a rule of the format.
    pub(crate) fn decode(bytes: &mut [u8], number: u64) -> Result<Self> {
        let place = Place::Record(number);
        let damaged = |expected: &str, found: String| {
            NtfsError::damaged(place.clone(), expected.to_owned(), found)
        };
        let Ok((header, _)) = RecordHeader::read_from_prefix(bytes) else {
            return Err(damaged("a record", format!("{} bytes", bytes.len())));
        };
        if header.signature != RecordHeader::SIGNATURE {
            let found = header.signature.escape_ascii().to_string();
            return Err(damaged("the signature FILE", format!("\"{found}\"")));
        }
        unprotect(bytes, header.update_offset.get(), header.update_count.get())
            .map_err(|found| damaged("an update sequence that all sectors end with", found))?;
        let (used, allocated) = (header.used.get() as usize, header.allocated.get() as usize);
        if allocated != bytes.len() || used > allocated || used < size_of::<RecordHeader>() {
            let found = format!("{used} of {allocated} used, in {} bytes", bytes.len());
            return Err(damaged("sizes that fit the record", found));
        }
        let first = usize::from(header.first_attribute.get());
        let Some(rest) = bytes.get(first..used).filter(|_| first.is_multiple_of(8)) else {
            return Err(damaged(
                "attributes inside the record",
                format!("them at {first}"),
            ));
        };
        Ok(Self {
            number,
            sequence: header.sequence.get(),
            flags: RecordFlags::from_bits_retain(header.flags.get()),
            link_count: header.link_count.get(),
            base: Some(FileReference::from_raw(header.base.get())).filter(|base| base.raw() != 0),
            next_attribute_id: header.next_attribute_id.get(),
            attributes: decode_attributes(rest, number)?,
        })
    }
}
