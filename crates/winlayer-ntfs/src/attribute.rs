//! Attributes in memory, and their bytes in a record.

mod decode;
mod kind;

use winlayer_metadata::Upcase;
use zerocopy::{
    IntoBytes,
    little_endian::{U16, U32, U64},
};

pub(crate) use decode::decode_attributes;
pub use kind::AttributeType;

use crate::{
    format::{AttributeHeader, NonResidentHeader, ResidentHeader},
    runs::{self, Run},
};

/// Flags of an attribute.
pub(crate) mod attribute_flags {
    pub(crate) const COMPRESSED: u16 = 0x00ff;
    pub(crate) const ENCRYPTED: u16 = 0x4000;
    pub(crate) const SPARSE: u16 = 0x8000;
}

/// One attribute of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub kind: AttributeType,
    /// UTF-16 units; empty for most.
    pub name: Vec<u16>,
    /// [`attribute_flags`].
    pub flags: u16,
    /// Unique in its record.
    pub id: u16,
    pub content: Content,
}

/// Where an attribute's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Resident { value: Vec<u8>, indexed: bool },
    NonResident(NonResident),
}

/// A value in clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NonResident {
    pub lowest_vcn: u64,
    pub runs: Vec<Run>,
    /// log2 of clusters that are compressed or left out together.
    pub compression_unit: u16,
    pub allocated: u64,
    pub size: u64,
    pub initialized: u64,
    /// Bytes of clusters that are there; only for sparse and compressed values.
    pub in_use: Option<u64>,
}

impl Attribute {
    pub(crate) fn resident(kind: AttributeType, value: Vec<u8>) -> Self {
        Self {
            kind,
            name: Vec::new(),
            flags: 0,
            id: 0,
            content: Content::Resident {
                value,
                indexed: kind == AttributeType::FILE_NAME,
            },
        }
    }

    pub(crate) fn non_resident(kind: AttributeType, value: NonResident) -> Self {
        Self {
            kind,
            name: Vec::new(),
            flags: 0,
            id: 0,
            content: Content::NonResident(value),
        }
    }

    pub(crate) fn named(self, name: &str) -> Self {
        let name = name.encode_utf16().collect();
        Self { name, ..self }
    }

    /// As messages say it: `$DATA`, `$INDEX_ROOT:$I30`.
    pub(crate) fn title(&self) -> String {
        match self.name.is_empty() {
            true => self.kind.to_string(),
            false => format!("{}:{}", self.kind, String::from_utf16_lossy(&self.name)),
        }
    }

    /// Where messages say it is.
    pub(crate) fn place(&self, record: u64) -> crate::Place {
        let attribute = self.title();
        crate::Place::Attribute { record, attribute }
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        name.encode_utf16().eq(self.name.iter().copied())
    }

    /// First cluster of the value that this attribute holds; 0 unless a value is spread over records.
    pub(crate) fn lowest_vcn(&self) -> u64 {
        match &self.content {
            Content::Resident { .. } => 0,
            Content::NonResident(value) => value.lowest_vcn,
        }
    }

    /// The value, when it is in the record.
    pub(crate) fn value(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Resident { value, .. } => Some(value),
            Content::NonResident(_) => None,
        }
    }

    /// Bytes of the value.
    pub(crate) fn size(&self) -> u64 {
        match &self.content {
            Content::Resident { value, .. } => value.len() as u64,
            Content::NonResident(value) => value.size,
        }
    }

    /// The order of attributes in a record.
    pub(crate) fn cmp_place(&self, other: &Self) -> std::cmp::Ordering {
        let upper = |name: &[u16]| {
            name.iter()
                .map(|&unit| Upcase::unit(unit))
                .collect::<Vec<_>>()
        };
        self.kind
            .cmp(&other.kind)
            .then_with(|| upper(&self.name).cmp(&upper(&other.name)))
            .then_with(|| self.name.cmp(&other.name))
            .then_with(|| self.lowest_vcn().cmp(&other.lowest_vcn()))
    }

    /// Bytes it takes in a record.
    pub(crate) fn encoded_len(&self) -> usize {
        let mut bytes = Vec::new();
        self.encode_into(&mut bytes);
        bytes.len()
    }

    /// Appends its bytes, padded to a multiple of 8. `out` must be aligned so already.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let heads = size_of::<AttributeHeader>()
            + match &self.content {
                Content::Resident { .. } => size_of::<ResidentHeader>(),
                Content::NonResident(value) => {
                    size_of::<NonResidentHeader>() + value.in_use.map_or(0, |_| size_of::<u64>())
                }
            };
        out.resize(start + heads, 0);
        out.extend(self.name.iter().flat_map(|unit| unit.to_le_bytes()));
        pad(out);
        let body_offset = U16::new((out.len() - start) as u16);
        match &self.content {
            Content::Resident { value, .. } => out.extend(value),
            Content::NonResident(value) => runs::encode(&value.runs, out),
        }
        pad(out);

        let header = AttributeHeader {
            kind: U32::new(self.kind.0),
            length: U32::new((out.len() - start) as u32),
            non_resident: u8::from(matches!(self.content, Content::NonResident(_))),
            name_length: self.name.len() as u8,
            // Windows gives the place of the name even when there is none.
            name_offset: U16::new(heads as u16),
            flags: U16::new(self.flags),
            id: U16::new(self.id),
        };
        let mut head = header.as_bytes().to_vec();
        match &self.content {
            Content::Resident { value, indexed } => {
                let header = ResidentHeader {
                    value_length: U32::new(value.len() as u32),
                    value_offset: body_offset,
                    indexed: u8::from(*indexed),
                    unused: 0,
                };
                head.extend(header.as_bytes());
            }
            Content::NonResident(value) => {
                head.extend(value.header(body_offset).as_bytes());
                head.extend(value.in_use.iter().flat_map(|bytes| bytes.to_le_bytes()));
            }
        }
        if let Some(place) = out.get_mut(start..start + heads) {
            place.copy_from_slice(&head);
        }
    }
}

impl NonResident {
    /// The cluster of the value behind those these runs hold.
    pub(crate) fn next_vcn(&self) -> u64 {
        self.lowest_vcn
            .saturating_add(runs::clusters_of(&self.runs))
    }

    fn header(&self, runs_offset: U16) -> NonResidentHeader {
        NonResidentHeader {
            lowest_vcn: U64::new(self.lowest_vcn),
            highest_vcn: U64::new(self.next_vcn().wrapping_sub(1)),
            runs_offset,
            compression_unit: U16::new(self.compression_unit),
            unused: U32::new(0),
            allocated: U64::new(self.allocated),
            size: U64::new(self.size),
            initialized: U64::new(self.initialized),
        }
    }
}

pub(crate) fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// Name spaces a `$FILE_NAME` can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace(pub u8);

impl Namespace {
    /// Any name, with no short one beside it.
    pub const POSIX: Self = Self(0);
    /// A long name that has a short one beside it.
    pub const WIN32: Self = Self(1);
    /// The short name of a long one.
    pub const DOS: Self = Self(2);
    /// A name that is long and short at once.
    pub const WIN32_AND_DOS: Self = Self(3);
}
