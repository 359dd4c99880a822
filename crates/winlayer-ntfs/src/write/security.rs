//! `$Secure`: each descriptor once, found by its id and by its hash.

use std::{collections::HashMap, sync::Arc};

use winlayer_metadata::SecurityDescriptor;
use zerocopy::{
    IntoBytes,
    little_endian::{U32, U64},
};

use crate::{
    NtfsError, Result,
    format::{CLUSTER, SecurityHashKey, SecurityHeader},
    index::Entries,
};

/// The descriptors of a volume.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    ids: HashMap<Arc<SecurityDescriptor>, u32>,
    headers: Vec<SecurityHeader>,
    /// `$SDS` so far, without the copy of the last block.
    stream: Vec<u8>,
    pub(super) is_changed: bool,
}

impl Descriptors {
    /// Takes a descriptor that a volume has, with its header; in the order of the stream.
    pub(super) fn restore(&mut self, header: SecurityHeader, descriptor: Arc<SecurityDescriptor>) {
        self.place(header.offset.get(), &header, descriptor.as_bytes());
        self.ids.entry(descriptor).or_insert(header.id.get());
        self.headers.push(header);
    }

    /// The id of `descriptor`.
    ///
    /// # Errors
    ///
    /// It is longer than a block of `$SDS`, or there are more than 32 bits count.
    pub(super) fn id(&mut self, descriptor: &Arc<SecurityDescriptor>) -> Result<u32> {
        if let Some(&id) = self.ids.get(descriptor) {
            return Ok(id);
        }
        let bytes = descriptor.as_bytes();
        let refuse = |rule: &str| NtfsError::Refused {
            what: format!("a security descriptor of {} bytes", bytes.len()),
            rule: rule.to_owned(),
        };
        let length = size_of::<SecurityHeader>() + bytes.len();
        if length as u64 > SecurityHeader::BLOCK {
            return Err(refuse("no more than 256 KiB can be kept"));
        }
        let last = self.headers.iter().map(|header| header.id.get()).max();
        let id = last.map_or(Some(SecurityHeader::FIRST_ID), |id| id.checked_add(1));
        let id = id.ok_or_else(|| refuse("there are too many others"))?;
        let header = SecurityHeader {
            hash: U32::new(hash(bytes)),
            id: U32::new(id),
            offset: U64::new(next_offset(self.stream.len() as u64, length as u64)),
            length: U32::new(length as u32),
        };
        self.place(header.offset.get(), &header, bytes);
        self.ids.insert(Arc::clone(descriptor), id);
        self.headers.push(header);
        self.is_changed = true;
        Ok(id)
    }

    fn place(&mut self, offset: u64, header: &SecurityHeader, descriptor: &[u8]) {
        let last = last_block(&self.stream);
        if offset >= last + 2 * SecurityHeader::BLOCK {
            mirror(&mut self.stream, last, SecurityHeader::BLOCK);
        }
        self.stream.resize(offset as usize, 0);
        self.stream.extend(header.as_bytes());
        self.stream.extend(descriptor);
    }

    /// `$SDS`, whole.
    pub(super) fn stream(&self) -> Vec<u8> {
        let mut whole = self.stream.clone();
        let last = last_block(&whole);
        let length = whole.len() as u64 - last;
        mirror(&mut whole, last, length);
        whole
    }

    /// Bytes that the stream and the indexes take at the most.
    pub(super) fn most_bytes(&self) -> u64 {
        /// Of both indexes, their blocks half empty.
        const ENTRIES: u64 = 2 * (40 + 48);
        let stream = self.stream.len() as u64 + 2 * SecurityHeader::BLOCK;
        stream + self.headers.len() as u64 * ENTRIES + 8 * CLUSTER
    }

    /// Entries of `$SII`.
    pub(super) fn by_id(&self) -> Entries {
        let mut headers = self.headers.clone();
        headers.sort_by_key(|header| header.id.get());
        let mut entries = Entries::default();
        for header in &headers {
            entries.push_view(&header.id.get().to_le_bytes(), header.as_bytes(), &[]);
        }
        entries
    }

    /// Entries of `$SDH`.
    pub(super) fn by_hash(&self) -> Entries {
        let mut headers = self.headers.clone();
        headers.sort_by_key(|header| (header.hash.get(), header.id.get()));
        let mut entries = Entries::default();
        for header in &headers {
            let key = SecurityHashKey {
                hash: header.hash,
                id: header.id,
            };
            // Windows ends each entry with these letters.
            entries.push_view(key.as_bytes(), header.as_bytes(), b"I\0I\0");
        }
        entries
    }
}

/// Where the last block begins that is no copy.
fn last_block(stream: &[u8]) -> u64 {
    let pair = 2 * SecurityHeader::BLOCK;
    stream.len() as u64 / pair * pair
}

/// Puts the copy of the `length` bytes of the block at `start` behind that block.
fn mirror(stream: &mut Vec<u8>, start: u64, length: u64) {
    let (start, length) = (start as usize, length as usize);
    stream.resize(stream.len().max(start + length), 0);
    let copy = stream.get(start..start + length).map(<[u8]>::to_vec);
    stream.resize(start + SecurityHeader::BLOCK as usize, 0);
    stream.extend(copy.unwrap_or_default());
}

/// Where an entry of `length` bytes goes when `end` bytes are used: aligned, whole in one block, and in no copy.
fn next_offset(end: u64, length: u64) -> u64 {
    let block = SecurityHeader::BLOCK;
    let offset = end.next_multiple_of(SecurityHeader::ALIGNMENT);
    let left = block - offset % block;
    let is_copy = (offset / block) % 2 == 1;
    match is_copy || left < length {
        true => offset / (2 * block) * (2 * block) + 2 * block,
        false => offset,
    }
}

/// The hash that `$SDH` sorts by.
pub(crate) fn hash(descriptor: &[u8]) -> u32 {
    let words = descriptor.as_chunks::<4>().0.iter();
    words.fold(0_u32, |hash, &word| {
        u32::from_le_bytes(word).wrapping_add(hash.rotate_left(3))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(n: u32) -> Arc<SecurityDescriptor> {
        let sddl = format!("O:BAG:SYD:(A;;FA;;;S-1-5-21-1-2-3-{n})(A;;FA;;;BA)");
        Arc::new(SecurityDescriptor::from_sddl(&sddl).unwrap())
    }

    #[test]
    fn equal_descriptors_share_an_id() {
        let mut descriptors = Descriptors::default();
        assert_eq!(descriptors.id(&descriptor(1)).unwrap(), 0x100);
        assert_eq!(descriptors.id(&descriptor(2)).unwrap(), 0x101);
        assert_eq!(descriptors.id(&descriptor(1)).unwrap(), 0x100);
    }

    #[test]
    fn no_descriptor_crosses_a_block_and_each_block_has_its_copy() {
        let mut descriptors = Descriptors::default();
        for n in 0..6000 {
            descriptors.id(&descriptor(n)).unwrap();
        }
        let (stream, block) = (descriptors.stream(), SecurityHeader::BLOCK as usize);
        assert!(stream.len() > 2 * block);
        for pair in stream.chunks(2 * block) {
            let (first, copy) = pair.split_at(block);
            assert!(first.starts_with(copy) || first == copy);
        }
        for header in &descriptors.headers {
            let (start, length) = (header.offset.get() as usize, header.length.get() as usize);
            assert_eq!((start / block) % 2, 0);
            assert_eq!(start / block, (start + length - 1) / block);
            assert_eq!(stream[start..start + 20], *header.as_bytes());
        }
    }

    #[test]
    fn a_stream_that_is_restored_is_the_same() {
        let mut descriptors = Descriptors::default();
        let all: Vec<_> = (0..5000).map(descriptor).collect();
        for descriptor in &all {
            descriptors.id(descriptor).unwrap();
        }
        let mut again = Descriptors::default();
        for (header, descriptor) in descriptors.headers.iter().zip(&all) {
            again.restore(*header, Arc::clone(descriptor));
        }
        assert_eq!(again.stream(), descriptors.stream());
        assert_eq!(again.id(&descriptor(5001)).unwrap(), 0x100 + 5000);
    }
}
