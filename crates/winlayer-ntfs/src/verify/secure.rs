//! `$Secure`: the stream of descriptors and its two indexes.

use std::{
    collections::{BTreeMap, HashSet},
    io::{Read, Seek},
};

use winlayer_metadata::SecurityDescriptor;
use zerocopy::{FromBytes, IntoBytes};

use super::{Verifier, collate, index::Kind, rule::Rule};
use crate::{
    Place, Result,
    attribute::{AttributeType, Content},
    format::{SecurityHeader, system},
    read::{extents::Extents, records::FullRecord},
};

const HEAD: usize = size_of::<SecurityHeader>();
/// What follows the data of an entry of `$SDH`.
const HASH_ENTRY_END: [u8; 4] = *b"I\0I\0";

impl<D: Read + Seek> Verifier<'_, D> {
    pub(crate) fn check_secure(&mut self) -> Result<()> {
        let number = u64::from(system::SECURE);
        let record = self.volume.load(number);
        let Some(Some(record)) = self.sink.check(Rule::SystemFile, record)? else {
            return Ok(());
        };
        let by_id = self.check_by_id(&record)?;
        self.check_by_hash(&record, &by_id)?;
        self.check_stream(&record, &by_id)?;
        self.security_ids = Some(by_id.keys().copied().collect());
        Ok(())
    }

    /// `$SII`: what it says of each id.
    fn check_by_id(&mut self, record: &FullRecord) -> Result<BTreeMap<u32, SecurityHeader>> {
        let kind = Kind {
            name: "$SII",
            indexed: 0,
            collation: collate::ULONG,
        };
        let view = self.check_view(record, kind, |key, data| (key, data) == (4, HEAD))?;
        let mut by_id = BTreeMap::new();
        for (key, data) in &view {
            let id = key.first_chunk().map(|id| u32::from_le_bytes(*id));
            if let (Some(id), Ok(header)) = (id, SecurityHeader::read_from_bytes(data)) {
                if header.id.get() != id || id < SecurityHeader::FIRST_ID {
                    let found = format!("id {} for key {id}", header.id);
                    let expected = "the id of the key, from 256 on";
                    self.sink.report(
                        place("$INDEX_ROOT:$SII"),
                        Rule::SecurityIndex,
                        expected,
                        found,
                    );
                }
                by_id.insert(id, header);
            }
        }
        Ok(by_id)
    }

    /// `$SDH` has the same entries, by hash.
    fn check_by_hash(
        &mut self,
        record: &FullRecord,
        by_id: &BTreeMap<u32, SecurityHeader>,
    ) -> Result<()> {
        let kind = Kind {
            name: "$SDH",
            indexed: 0,
            collation: collate::SECURITY_HASH,
        };
        let sizes = |key, data| key == 8 && (data == HEAD || data == HEAD + HASH_ENTRY_END.len());
        let view = self.check_view(record, kind, sizes)?;
        let mut ids = HashSet::new();
        for (key, data) in &view {
            let Ok((header, _)) = SecurityHeader::read_from_prefix(data) else {
                continue;
            };
            let id = header.id.get();
            let key_agrees = key.get(..8) == header.as_bytes().get(..8);
            if !key_agrees || by_id.get(&id) != Some(&header) || !ids.insert(id) {
                let found = format!("{header:?} for key {key:02x?}");
                let expected = format!("{:?}", by_id.get(&id));
                self.sink.report(
                    place("$INDEX_ROOT:$SDH"),
                    Rule::SecurityIndex,
                    expected,
                    found,
                );
            }
        }
        for id in by_id.keys().filter(|id| !ids.contains(id)) {
            let expected = format!("id {id} of $SII");
            self.sink.report(
                place("$INDEX_ROOT:$SDH"),
                Rule::SecurityIndex,
                expected,
                "none",
            );
        }
        Ok(())
    }

    fn check_stream(
        &mut self,
        record: &FullRecord,
        by_id: &BTreeMap<u32, SecurityHeader>,
    ) -> Result<()> {
        let number = record.number();
        let attribute = record.need(AttributeType::DATA, "$SDS");
        let Some(attribute) = self.sink.check(Rule::SystemFile, attribute)? else {
            return Ok(());
        };
        let Content::NonResident(value) = &attribute.content else {
            let (expected, found) = ("it in clusters", "it in the record");
            self.sink.report(
                place("$DATA:$SDS"),
                Rule::AttributeResidence,
                expected,
                found,
            );
            return Ok(());
        };
        let extents = Extents::of(&self.volume.geometry, attribute, value, number);
        let extents = extents.and_then(Extents::whole);
        let Some(extents) = self.sink.check(Rule::Runs, extents)? else {
            return Ok(());
        };
        let mut ids = HashSet::new();
        let mut start = 0;
        while start < extents.size {
            let end = extents.size.min(start + 2 * SecurityHeader::BLOCK);
            let mut both = vec![0; (end - start) as usize];
            let read = extents.read(&mut self.volume.device, start, &mut both);
            if self.sink.check(Rule::Runs, read)?.is_none() {
                return Ok(());
            }
            let block = SecurityHeader::BLOCK as usize;
            let (first, copy) = both.split_at_checked(block).unwrap_or((&both, &[]));
            self.check_block_of_descriptors(first, copy, start, by_id, &mut ids);
            start += 2 * SecurityHeader::BLOCK;
        }
        for id in by_id.keys().filter(|id| !ids.contains(id)) {
            let expected = format!("id {id} of $SII");
            self.sink
                .report(place("$DATA:$SDS"), Rule::SecurityIndex, expected, "none");
        }
        Ok(())
    }

    fn check_block_of_descriptors(
        &mut self,
        block: &[u8],
        copy: &[u8],
        start: u64,
        by_id: &BTreeMap<u32, SecurityHeader>,
        ids: &mut HashSet<u32>,
    ) {
        let mut at = 0_usize;
        let mut end = 0;
        while let Some(rest) = block.get(at..) {
            let offset = start + at as u64;
            let Ok((header, _)) = SecurityHeader::read_from_prefix(rest) else {
                break;
            };
            let length = header.length.get() as usize;
            if length == 0 && header.hash.get() == 0 && header.id.get() == 0 {
                break;
            }
            let Some(entry) = rest.get(..length).filter(|_| length >= HEAD) else {
                let found = format!("one of {length} bytes at {offset}");
                let expected = "entries that end in their block";
                self.sink
                    .report(place("$DATA:$SDS"), Rule::SecurityPlace, expected, found);
                break;
            };
            self.check_descriptor(&header, entry.get(HEAD..).unwrap_or_default(), offset);
            let id = header.id.get();
            if by_id.get(&id) != Some(&header) || !ids.insert(id) {
                let found = format!("{header:?} at {offset}");
                let expected = format!("{:?}", by_id.get(&id));
                self.sink
                    .report(place("$DATA:$SDS"), Rule::SecurityIndex, expected, found);
            }
            end = at + length;
            at = end.next_multiple_of(SecurityHeader::ALIGNMENT as usize);
        }
        if block.get(..end) != copy.get(..end) {
            let same = block.iter().zip(copy).take_while(|(a, b)| a == b).count();
            let expected = format!("a copy of the {end} bytes from {start} on");
            let found = format!("one that is equal for {same}");
            self.sink
                .report(place("$DATA:$SDS"), Rule::SecurityCopy, expected, found);
        }
    }

    fn check_descriptor(&mut self, header: &SecurityHeader, descriptor: &[u8], offset: u64) {
        let sink = &mut self.sink;
        let place = || place("$DATA:$SDS");
        let id = header.id.get();
        sink.expect(
            place,
            Rule::SecurityPlace,
            "offset",
            offset,
            header.offset.get(),
        );
        let hash = hash(descriptor);
        if hash != header.hash.get() {
            let found = format!("{:#010x}", header.hash);
            sink.report(
                place(),
                Rule::SecurityHash,
                format!("{hash:#010x} for id {id}"),
                found,
            );
        }
        if let Err(error) = SecurityDescriptor::parse(descriptor) {
            let expected = format!("a descriptor of id {id}");
            sink.report(
                place(),
                Rule::SecurityDescriptor,
                expected,
                error.to_string(),
            );
        }
    }
}

fn place(attribute: &str) -> Place {
    Place::Attribute {
        record: system::SECURE.into(),
        attribute: attribute.to_owned(),
    }
}

/// Of a descriptor; bytes after its last whole word do not count.
fn hash(descriptor: &[u8]) -> u32 {
    let words = descriptor.as_chunks::<4>().0.iter();
    words.fold(0_u32, |hash, word| {
        u32::from_le_bytes(*word).wrapping_add(hash.rotate_left(3))
    })
}
