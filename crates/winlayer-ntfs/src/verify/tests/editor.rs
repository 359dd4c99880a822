//! Changes bytes of an image, and takes the changes back.

use std::io::Cursor;

use zerocopy::FromBytes;

use crate::{
    FileReference, Place, Volume,
    attribute::{AttributeType, Content},
    format::{AttributeHeader, IndexBlockHeader, RecordHeader},
    protect::{protect, unprotect},
    read::{extents::Extents, geometry::Geometry, index::entries},
};

pub(super) struct Editor {
    pub(super) image: Vec<u8>,
    changes: Vec<(usize, Vec<u8>)>,
    pub(super) geometry: Geometry,
}

impl Editor {
    pub(super) fn new(image: Vec<u8>) -> Self {
        Self {
            geometry: Geometry::parse(&image).unwrap(),
            image,
            changes: Vec::new(),
        }
    }

    pub(super) fn is_changed(&self) -> bool {
        let changed =
            |(at, before): &(usize, Vec<u8>)| self.image[*at..*at + before.len()] != before[..];
        self.changes.iter().any(changed)
    }

    pub(super) fn undo(&mut self) {
        for (at, before) in self.changes.drain(..).rev() {
            self.image[at..at + before.len()].copy_from_slice(&before);
        }
    }

    /// Changes bytes of the volume.
    pub(super) fn raw(&mut self, at: u64, length: usize, edit: impl FnOnce(&mut [u8])) {
        let at = at as usize;
        let bytes = &mut self.image[at..at + length];
        self.changes.push((at, bytes.to_vec()));
        edit(bytes);
    }

    pub(super) fn volume(&self) -> Volume<Cursor<&[u8]>> {
        Volume::open(Cursor::new(&self.image[..])).unwrap()
    }

    /// The record of a path; names are looked up in the volume as it was opened.
    pub(super) fn find(&self, path: &str) -> FileReference {
        self.volume()
            .lookup(path)
            .unwrap()
            .unwrap_or_else(|| panic!("{path}"))
    }

    fn record_place(&self, number: u64) -> u64 {
        let offset = number * self.geometry.record as u64;
        self.volume().mft.piece(offset, 1).unwrap().0.unwrap()
    }

    /// Changes a record as it lies on the volume, and the copy of those that have one.
    pub(super) fn raw_record(&mut self, number: u64, edit: impl Fn(&mut [u8])) {
        let place = self.record_place(number);
        let size = self.geometry.record;
        self.raw(place, size, &edit);
        if number < 4 {
            let mirror = self.geometry.mirror_cluster * self.geometry.cluster;
            self.raw(mirror + number * size as u64, size, &edit);
        }
    }

    /// Changes a record, its update sequence taken out and put back.
    pub(super) fn record(&mut self, number: u64, edit: impl Fn(&mut [u8])) {
        self.raw_record(number, |bytes| {
            unprotected(bytes, RecordHeader::UPDATE_SEQUENCE, &edit)
        });
    }

    /// Changes an attribute, its head included, in the base record.
    pub(super) fn attribute(
        &mut self,
        number: u64,
        kind: AttributeType,
        name: &str,
        edit: impl Fn(&mut [u8]),
    ) {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.record(number, |record| {
            let mut at = usize::from(u16::from_le_bytes([record[20], record[21]]));
            loop {
                let (header, _) = AttributeHeader::read_from_prefix(&record[at..]).unwrap();
                let length = header.length.get() as usize;
                assert!(header.kind.get() <= kind.0, "no {kind}");
                let start = at + usize::from(header.name_offset.get());
                let same = usize::from(header.name_length) * 2 == name.len()
                    && record[start..].starts_with(&name);
                if header.kind.get() == kind.0
                    && (name.is_empty() && header.name_length == 0 || !name.is_empty() && same)
                {
                    edit(&mut record[at..at + length]);
                    return;
                }
                at += length;
            }
        });
    }

    /// Changes a value that is in the base record.
    pub(super) fn resident(
        &mut self,
        number: u64,
        kind: AttributeType,
        name: &str,
        edit: impl Fn(&mut [u8]),
    ) {
        self.attribute(number, kind, name, |attribute| {
            assert_eq!(attribute[8], 0, "{kind} is in the record");
            let length = u32::from_le_bytes(*attribute[16..].first_chunk().unwrap()) as usize;
            let start = usize::from(u16::from_le_bytes([attribute[20], attribute[21]]));
            edit(&mut attribute[start..start + length]);
        });
    }

    /// Where a byte of a value in clusters is.
    fn clusters(&self, number: u64, kind: AttributeType, name: &str, offset: u64) -> u64 {
        let mut volume = self.volume();
        let full = volume.load(number).unwrap().unwrap();
        let attribute = full.find(kind, name).unwrap();
        let Content::NonResident(value) = &attribute.content else {
            panic!("{kind} is in clusters");
        };
        let place = Place::Record(number);
        let extents = Extents::partial(&self.geometry, place, value).unwrap();
        extents.piece(offset, 1).unwrap().0.unwrap()
    }

    /// Changes bytes of a value, wherever it is.
    pub(super) fn value(
        &mut self,
        number: u64,
        kind: AttributeType,
        name: &str,
        at: usize,
        edit: impl Fn(&mut [u8]),
    ) {
        let full = self.volume().load(number).unwrap().unwrap();
        match &full.find(kind, name).unwrap().content {
            Content::Resident { .. } => {
                self.resident(number, kind, name, |value| edit(&mut value[at..]))
            }
            Content::NonResident(value) => {
                let left = (value.size - at as u64).min(512 - at as u64 % 512) as usize;
                let place = self.clusters(number, kind, name, at as u64);
                self.raw(place, left, edit);
            }
        }
    }

    /// Changes the beginning of an attribute list, which [`Volume::load`] leaves out.
    pub(super) fn list(&mut self, number: u64, edit: impl Fn(&mut [u8])) {
        let record = self.volume().record(number).unwrap().unwrap();
        let kind = AttributeType::ATTRIBUTE_LIST;
        match &record.find(kind, "").unwrap().content {
            Content::Resident { .. } => self.resident(number, kind, "", edit),
            Content::NonResident(value) => {
                let cluster = value.runs[0].lcn.unwrap();
                self.raw(cluster * self.geometry.cluster, value.size as usize, edit);
            }
        }
    }

    /// Where the block with the lowest keys of an index is, and its size; none when the root has them.
    fn first_block(&self, number: u64, name: &str) -> Option<(u64, usize)> {
        let full = self.volume().load(number).unwrap().unwrap();
        let index = self.volume().index(&full, name).unwrap();
        let mut node = index.root.clone();
        let mut vcn = None;
        while let Some(child) = entries(&node).unwrap()[0].child {
            node = self.volume().index_block(&index, child).unwrap();
            vcn = Some(child);
        }
        let offset = vcn? * index.vcn_size;
        let place = self.clusters(number, AttributeType::INDEX_ALLOCATION, name, offset);
        Some((place, index.block))
    }

    /// Changes the first entry of an index.
    pub(super) fn first_entry(&mut self, number: u64, name: &str, edit: impl Fn(&mut [u8])) {
        match self.first_block(number, name) {
            Some((place, size)) => self.raw(place, size, |bytes| {
                unprotected(bytes, IndexBlockHeader::UPDATE_SEQUENCE, &|bytes| {
                    let head = size_of::<IndexBlockHeader>();
                    let first = head + usize::from(bytes[head]);
                    edit(&mut bytes[first..]);
                });
            }),
            None => self.resident(number, AttributeType::INDEX_ROOT, name, |root| {
                edit(&mut root[32..])
            }),
        }
    }

    /// Changes the first leaf block of a directory's index as it lies on the volume.
    pub(super) fn raw_block(&mut self, path: &str, edit: impl Fn(&mut [u8])) {
        let number = self.find(path).record();
        let (place, size) = self
            .first_block(number, "$I30")
            .expect("an index with blocks");
        self.raw(place, size, edit);
    }

    /// As [`raw_block`](Self::raw_block), the update sequence taken out and put back.
    pub(super) fn block(&mut self, path: &str, edit: impl Fn(&mut [u8])) {
        self.raw_block(path, |bytes| {
            unprotected(bytes, IndexBlockHeader::UPDATE_SEQUENCE, &edit)
        });
    }

    /// Changes the entry of a name in the index of a directory, wherever in the tree it is.
    pub(super) fn entry(&mut self, directory: &str, name: &str, edit: impl Fn(&mut [u8])) {
        let number = self.find(directory).record();
        let key: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let full = self.volume().load(number).unwrap().unwrap();
        let at = |bytes: &[u8]| {
            let place = (0..bytes.len()).step_by(8).find(|&at| {
                let units = bytes.get(at + 80).copied().unwrap_or_default();
                usize::from(units) * 2 == key.len() && bytes[at + 82..].starts_with(&key)
            })?;
            let length = usize::from(u16::from_le_bytes([bytes[place + 8], bytes[place + 9]]));
            Some(place..place + length)
        };
        let root = full
            .find(AttributeType::INDEX_ROOT, "$I30")
            .unwrap()
            .value()
            .unwrap();
        if at(root).is_some() {
            self.resident(number, AttributeType::INDEX_ROOT, "$I30", |root| {
                let range = at(root).unwrap();
                edit(&mut root[range]);
            });
            return;
        }
        let index = self.volume().index(&full, "$I30").unwrap();
        let count = index.blocks.as_ref().unwrap().size / index.block as u64;
        for block in 0..count {
            let offset = block * index.block as u64;
            let place = self.clusters(number, AttributeType::INDEX_ALLOCATION, "$I30", offset);
            let bytes = &self.image[place as usize..][..index.block];
            if bytes.starts_with(b"INDX") && at(bytes).is_some() {
                self.raw(place, index.block, |bytes| {
                    unprotected(bytes, IndexBlockHeader::UPDATE_SEQUENCE, &|bytes| {
                        let range = at(bytes).unwrap();
                        edit(&mut bytes[range]);
                    });
                });
                return;
            }
        }
        panic!("no {name} in {directory}");
    }
}

fn unprotected(bytes: &mut [u8], sequence: usize, edit: &impl Fn(&mut [u8])) {
    let count = u16::from_le_bytes([bytes[6], bytes[7]]);
    unprotect(bytes, sequence as u16, count).unwrap();
    edit(bytes);
    protect(bytes, sequence);
}

/// Writes a number at an offset.
pub(super) fn put<const N: usize>(bytes: &mut [u8], at: usize, number: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&number);
}

/// Adds to a byte at an offset.
pub(super) fn bump(bytes: &mut [u8], at: usize) {
    bytes[at] = bytes[at].wrapping_add(1);
}
