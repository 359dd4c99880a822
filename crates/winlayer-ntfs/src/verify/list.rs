//! Attribute lists, and the records they lead to.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io::{Read, Seek},
};

use zerocopy::FromBytes;

use super::{Verifier, rule::Rule};
use crate::{
    Place, Result,
    attribute::{Attribute, AttributeType},
    format::ListEntryHeader,
    read::attribute_list::{ListEntry, decode_list},
    record::Record,
};

impl<D: Read + Seek> Verifier<'_, D> {
    /// Checks the list of a base record, if it has one, against the attributes there are.
    pub(crate) fn check_list(&mut self, record: &Record) -> Result<()> {
        let number = record.number;
        let list = record.find(AttributeType::ATTRIBUTE_LIST, "");
        let Some(list) = list.filter(|list| list.size() <= ListEntry::MAX_LIST) else {
            return Ok(());
        };
        let place = || list.place(number);
        self.claim_attribute(list, number);
        self.check_list_attribute(list, number);
        let value = self.value(list, number);
        let Some(bytes) = self.sink.check(Rule::ListEntry, value)? else {
            return Ok(());
        };
        let entries = decode_list(&bytes, number);
        let Some(entries) = self.sink.check(Rule::ListOrder, entries)? else {
            return Ok(());
        };
        self.check_entries(&bytes, &entries, number);

        let mut others: BTreeMap<u64, Vec<Attribute>> = BTreeMap::new();
        let own = record.attributes.iter();
        let own = own.filter(|own| own.kind != AttributeType::ATTRIBUTE_LIST);
        others.insert(number, own.cloned().collect());
        for entry in &entries {
            let other = entry.reference.record();
            if entry.reference.record() == number {
                let sequence = record.sequence;
                let found = entry.reference.sequence();
                self.sink
                    .expect(place, Rule::ListEntry, "sequence", sequence, found);
            }
            let attributes = match others.entry(other) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.listed_record(entry, number)?),
            };
            match attributes
                .iter()
                .position(|attribute| entry.is_for(attribute))
            {
                Some(index) => drop(attributes.remove(index)),
                None => {
                    let expected = format!("{entry} in record {other}");
                    self.sink
                        .report(place(), Rule::ListEntry, expected, "nothing like it");
                }
            }
        }
        for (other, attributes) in &others {
            for attribute in attributes {
                let expected = format!("an entry for {} of record {other}", attribute.title());
                self.sink.report(place(), Rule::ListEntry, expected, "none");
            }
        }
        Ok(())
    }

    fn check_list_attribute(&mut self, list: &Attribute, number: u64) {
        if list.flags != 0 {
            let found = format!("{:#06x}", list.flags);
            self.sink
                .report(list.place(number), Rule::AttributeFlags, "none", found);
        }
    }

    fn check_entries(&mut self, bytes: &[u8], entries: &[ListEntry], number: u64) {
        let place = || Place::Attribute {
            record: number,
            attribute: AttributeType::ATTRIBUTE_LIST.to_string(),
        };
        for [before, after] in entries.array_windows() {
            let order = before
                .kind
                .cmp(&after.kind)
                .then_with(|| super::collate::names(&before.name, &after.name))
                .then_with(|| before.lowest_vcn.cmp(&after.lowest_vcn));
            if order.is_gt() {
                let found = format!("{before} before {after}");
                self.sink
                    .report(place(), Rule::ListOrder, "entries in order", found);
            }
        }
        let mut rest = bytes;
        while let Ok((header, _)) = ListEntryHeader::read_from_prefix(rest) {
            let head = size_of::<ListEntryHeader>();
            let least = (head + usize::from(header.name_length) * 2).next_multiple_of(8);
            let (length, name) = (usize::from(header.length.get()), header.name_offset);
            if length != least || (header.name_length != 0 && usize::from(name) != head) {
                let found = format!("one of {length} with its name at {name}");
                let expected = format!("an entry of {least} bytes with its name at {head}");
                self.sink.report(place(), Rule::ListOrder, expected, found);
            }
            let Some(after) = rest.get(length.max(head)..) else {
                return;
            };
            rest = after;
        }
    }

    /// The attributes of a record a list leads to; none with a finding.
    fn listed_record(&mut self, entry: &ListEntry, number: u64) -> Result<Vec<Attribute>> {
        let place = Place::Record(entry.reference.record());
        let record = self.volume.record(entry.reference.record());
        let Some(record) = self.sink.check(Rule::Extension, record)? else {
            return Ok(Vec::new());
        };
        let found = match record {
            Some(record) if record.reference() != entry.reference => record.reference().to_string(),
            Some(record) if record.base.is_some_and(|base| base.record() == number) => {
                self.listed.insert(record.number);
                return Ok(record.attributes);
            }
            Some(record) => match record.base {
                Some(base) => format!("one of record {base}"),
                None => "a file".to_owned(),
            },
            None => "an unused record".to_owned(),
        };
        let expected = format!("{} with more of record {number}", entry.reference);
        self.sink.report(place, Rule::Extension, expected, found);
        Ok(Vec::new())
    }

    /// Reports records that continue others which do not know of them.
    pub(crate) fn check_extensions(&mut self) {
        for (&number, &base) in &self.extensions {
            if !self.listed.contains(&number) {
                let place = Place::Record(number);
                let expected = format!("an entry in the attribute list of record {base}");
                self.sink.report(place, Rule::Extension, expected, "none");
            } else if self.table.reference(base.record()) != Some(base) {
                let place = Place::Record(number);
                let expected = format!("file {base} in use");
                let found = self.table.describe(base.record());
                self.sink.report(place, Rule::Extension, expected, found);
            }
        }
    }
}
