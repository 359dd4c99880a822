//! The object that is being written: its attributes, and the stream that its next bytes belong to.

use std::io;

use winlayer_metadata::{ExtendedAttributes, ReparsePoint};
use zerocopy::{
    IntoBytes,
    little_endian::{U16, U32},
};

use crate::{
    attribute::{Attribute, AttributeType, NonResident, attribute_flags},
    format::{CLUSTER, EaInformation, RECORD, RecordHeader},
    runs::{Run, clusters_in_use, clusters_of},
};

/// An object between its beginning and its end.
#[derive(Debug)]
pub(super) struct OpenObject {
    pub file: u32,
    /// What its record gets beside `$STANDARD_INFORMATION`, names and indexes.
    pub attributes: Vec<Attribute>,
    /// Bytes of its record that are taken so far.
    pub used: usize,
    pub body: Option<Body>,
}

impl OpenObject {
    pub(super) fn new(file: u32, attributes: Vec<Attribute>, others: usize) -> Self {
        let own: usize = attributes.iter().map(Attribute::encoded_len).sum();
        let used = RecordHeader::ATTRIBUTES + own + others + 8;
        Self {
            file,
            attributes,
            used,
            body: None,
        }
    }

    /// Whether a resident stream of `size` bytes fits beside what is there.
    pub(super) fn has_room(&self, name: &[u16], size: u64) -> bool {
        let head = 24 + (name.len() * 2).next_multiple_of(8);
        let room = RECORD.saturating_sub(self.used + head);
        size <= room as u64 / 8 * 8
    }

    pub(super) fn push(&mut self, attribute: Attribute) {
        self.used += attribute.encoded_len();
        self.attributes.push(attribute);
    }
}

/// A stream of which `written` bytes have come.
#[derive(Debug)]
pub(super) struct Body {
    pub name: Vec<u16>,
    pub size: u64,
    pub written: u64,
    pub place: BodyPlace,
}

/// Where a stream goes.
#[derive(Debug)]
pub(super) enum BodyPlace {
    Resident(Vec<u8>),
    /// To clusters that lie together.
    Clusters(u64),
    /// To clusters but for ranges of zeros, which are left out.
    Sparse(SparseBody),
}

impl Body {
    pub(super) fn left(&self) -> u64 {
        self.size - self.written
    }

    /// Fewer bytes came than were announced, when so.
    pub(super) fn check_end(&self) -> io::Result<()> {
        match self.left() {
            0 => Ok(()),
            left => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{left} bytes of {} of a stream are missing", self.size),
            )),
        }
    }

    pub(super) fn into_attribute(self) -> Attribute {
        let mut attribute = match self.place {
            BodyPlace::Resident(value) => Attribute::resident(AttributeType::DATA, value),
            BodyPlace::Clusters(lcn) => {
                let clusters = self.size.div_ceil(CLUSTER);
                let lcn = Some(lcn);
                Attribute::non_resident(
                    AttributeType::DATA,
                    stored(vec![Run { lcn, clusters }], self.size),
                )
            }
            BodyPlace::Sparse(sparse) => sparse.into_attribute(self.size),
        };
        attribute.name = self.name;
        attribute
    }
}

/// A value of `size` bytes, all of it in `runs`.
pub(super) fn stored(runs: Vec<Run>, size: u64) -> NonResident {
    NonResident {
        lowest_vcn: 0,
        allocated: clusters_of(&runs) * CLUSTER,
        runs,
        compression_unit: 0,
        size,
        initialized: size,
        in_use: None,
    }
}

/// Collects a sparse stream unit by unit.
#[derive(Debug, Default)]
pub(super) struct SparseBody {
    pub runs: Vec<Run>,
    pub unit: Vec<u8>,
}

impl SparseBody {
    /// log2 of the clusters that Windows leaves out together.
    const UNIT_SHIFT: u16 = 4;
    pub(super) const UNIT: usize = (CLUSTER as usize) << Self::UNIT_SHIFT;
    /// More are not made, so that the runs fit a record.
    const MOST_RUNS: usize = 64;

    /// Whether the unit is to be left out.
    pub(super) fn unit_is_hole(&self) -> bool {
        self.runs.len() < Self::MOST_RUNS && self.unit.iter().all(|&byte| byte == 0)
    }

    /// Notes where the next clusters are.
    pub(super) fn add(&mut self, lcn: Option<u64>, clusters: u64) {
        match self.runs.last_mut() {
            Some(run) if run.lcn.map(|first| first + run.clusters) == lcn => {
                run.clusters += clusters;
            }
            _ => self.runs.push(Run { lcn, clusters }),
        }
    }

    fn into_attribute(self, size: u64) -> Attribute {
        let in_use = clusters_in_use(&self.runs) * CLUSTER;
        let value = NonResident {
            compression_unit: Self::UNIT_SHIFT,
            in_use: Some(in_use),
            ..stored(self.runs, size)
        };
        let attribute = Attribute::non_resident(AttributeType::DATA, value);
        Attribute {
            flags: attribute_flags::SPARSE,
            ..attribute
        }
    }
}

/// `$EA_INFORMATION` and `$EA`.
pub(super) fn ea_attributes(eas: &ExtendedAttributes) -> (EaInformation, [Attribute; 2]) {
    let mut value = Vec::with_capacity(eas.encoded_len());
    let (mut packed, mut needed) = (0_u16, 0_u16);
    for ea in eas.iter() {
        let name_and_value = ea.name.len() + ea.value.len();
        let length = (9 + name_and_value).next_multiple_of(4);
        packed = packed.wrapping_add(5 + name_and_value as u16);
        needed += u16::from(ea.flags & 0x80 != 0);
        let start = value.len();
        // Unlike in a backup stream, the last entry says its length too.
        value.extend((length as u32).to_le_bytes());
        value.extend([ea.flags, ea.name.len() as u8]);
        value.extend((ea.value.len() as u16).to_le_bytes());
        value.extend(&ea.name);
        value.push(0);
        value.extend(&ea.value);
        value.resize(start + length, 0);
    }
    let information = EaInformation {
        packed_length: U16::new(packed),
        need_ea_count: U16::new(needed),
        length: U32::new(value.len() as u32),
    };
    let lengths = information.as_bytes().to_vec();
    let attributes = [
        Attribute::resident(AttributeType::EA_INFORMATION, lengths),
        Attribute::resident(AttributeType::EA, value),
    ];
    (information, attributes)
}

/// `$REPARSE_POINT`.
pub(super) fn reparse_attribute(reparse: &ReparsePoint) -> Attribute {
    Attribute::resident(AttributeType::REPARSE_POINT, reparse.as_bytes().to_vec())
}
