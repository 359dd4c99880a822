//! The end of a volume: further names, directories, and then all that describes the volume.

use std::{
    collections::BTreeSet,
    io::{Read, Seek, Write},
};

use super::{
    RECORD, State, VolumeSummary, VolumeWriter, lost,
    names::{Name, is_same},
    output::Order,
    resume::free,
};
use crate::{
    NtfsError, Result,
    attribute::{Attribute, AttributeType, Content},
    format::{CLUSTER, system},
    index::{Collation, Entries, Index, build},
    read::attribute_list::decode_list,
    record::Record,
    runs::Run,
};

/// Name of the attributes of a directory's index.
const DIRECTORY_INDEX: &str = "$I30";

impl<D: Read + Write + Seek> VolumeWriter<D> {
    /// Writes what is missing; the volume is complete and the device is given back, flushed.
    ///
    /// # Errors
    ///
    /// The last object is not complete, two names of a directory differ only in case, the volume is full, or the device fails.
    pub fn finish(mut self) -> Result<(D, VolumeSummary)> {
        self.end_object()?;
        self.free_nameless()?;
        self.finish_files()?;
        let summary = self.finish_directories()?;
        Ok((self.out.into_device()?, summary))
    }

    /// Writes the records of files again that got names after them.
    fn finish_files(&mut self) -> Result<()> {
        let names = self.names.by_file();
        for names in names.chunk_by(|a, b| a.file == b.file) {
            let Some(file) = names.first().map(|name| name.file) else {
                continue;
            };
            let node = self.node(file)?;
            if node.state != State::Changed || node.is_directory() {
                continue;
            }
            let mut attributes = self.load_attributes(file)?;
            attributes.retain(|attribute| attribute.kind != AttributeType::FILE_NAME);
            for name in names {
                attributes.push(self.file_name_attribute(name)?);
            }
            self.put_record(file, attributes, Order::Any)?;
            self.set_written(file);
        }
        Ok(())
    }

    /// The attributes of a record on the volume, to be put there again; what it takes beside its base record is given back.
    pub(super) fn load_attributes(&mut self, number: u32) -> Result<Vec<Attribute>> {
        if self.was_before(number) {
            return self.take_attributes(number);
        }
        let mut attributes = self.read_record(number)?.attributes;
        let is_list = |attribute: &Attribute| attribute.kind == AttributeType::ATTRIBUTE_LIST;
        if let Some(at) = attributes.iter().position(is_list) {
            let list = attributes.remove(at);
            attributes.extend(self.take_extensions(number, &list)?);
        }
        Ok(attributes)
    }

    fn read_record(&mut self, number: u32) -> Result<Record> {
        let offset = self.mft.offset(number).ok_or_else(lost)?;
        let mut bytes = vec![0; RECORD];
        self.out.read(offset, &mut bytes)?;
        Record::decode(&mut bytes, number.into())
    }

    /// The attributes that the list says are in other records; these and the list's clusters are given back.
    fn take_extensions(&mut self, base: u32, list: &Attribute) -> Result<Vec<Attribute>> {
        let list = match &list.content {
            Content::Resident { value, .. } => value.clone(),
            Content::NonResident(value) => {
                let mut bytes = vec![0; value.size as usize];
                if let Some(Run { lcn: Some(lcn), .. }) = value.runs.first() {
                    self.out.read(lcn * CLUSTER, &mut bytes)?;
                }
                self.release_attribute(list);
                bytes
            }
        };
        let entries = decode_list(&list, base.into())?;
        let others: BTreeSet<u32> = entries
            .iter()
            .map(|entry| entry.reference.record() as u32)
            .filter(|&number| number != base)
            .collect();
        let mut attributes = Vec::new();
        for number in others {
            attributes.extend(self.read_record(number)?.attributes);
            self.nodes.get_mut(number as usize).map(free);
        }
        Ok(attributes)
    }

    pub(super) fn set_written(&mut self, number: u32) {
        if let Some(node) = self.nodes.get_mut(number as usize) {
            node.state = State::Written;
        }
    }

    /// Writes the directories, the root after all that is named in it.
    fn finish_directories(&mut self) -> Result<VolumeSummary> {
        let names = self.names.by_directory();
        let own_names = self.names.by_file();
        let mut entries = Entries::default();
        let first_user = system::FIRST_USER;
        for number in first_user..self.nodes.len() as u32 {
            let node = self.node(number)?;
            let is_due = matches!(node.state, State::New | State::Changed);
            if is_due && node.is_directory() {
                self.put_directory(number, &names, &own_names, &mut entries)?;
            }
        }
        match self.before {
            Some(_) => self.update_system(&names, &own_names),
            None => self.finish_system(&names, &own_names),
        }
    }

    /// Writes a directory's record and index.
    pub(super) fn put_directory(
        &mut self,
        number: u32,
        names: &[Name],
        own_names: &[Name],
        entries: &mut Entries,
    ) -> Result<()> {
        let mut old = match self.node(number)?.state {
            State::New => Vec::new(),
            _ => self.load_attributes(number)?,
        };
        let mut attributes = self.own_attributes(number, &mut old);
        attributes.push(self.standard_information(number)?);
        for name in slice_of(own_names, number, |name| name.file) {
            attributes.push(self.file_name_attribute(name)?);
        }
        let children = slice_of(names, number, |name| name.parent);
        self.check_names(children)?;
        entries.clear();
        for name in children {
            let (parent, file) = (self.reference(name.parent)?, self.reference(name.file)?);
            let (names, node) = (&self.names, self.node(name.file)?);
            entries.push_file(file, |out| names.push_file_name(name, parent, node, out));
        }
        let used = (attributes.iter()).fold(Record::EMPTY, |sum, attribute| {
            sum + attribute.encoded_len()
        });
        let head = 24 + (DIRECTORY_INDEX.len() * 2).next_multiple_of(8);
        let room = RECORD.saturating_sub(used + head);
        let indexed = AttributeType::FILE_NAME.0;
        let index = build(indexed, Collation::FILE_NAME, entries, room);
        attributes.extend(self.index_attributes(DIRECTORY_INDEX, index, &mut old)?);
        self.put_record(number, attributes, Order::Any)?;
        self.set_written(number);
        Ok(())
    }

    /// What a directory has beside times, names and index; taken out of what its record had.
    fn own_attributes(&mut self, number: u32, old: &mut Vec<Attribute>) -> Vec<Attribute> {
        let is_own = |attribute: &mut Attribute| {
            !matches!(
                attribute.kind,
                AttributeType::STANDARD_INFORMATION
                    | AttributeType::FILE_NAME
                    | AttributeType::INDEX_ROOT
                    | AttributeType::INDEX_ALLOCATION
                    | AttributeType::BITMAP
            )
        };
        let kept: Vec<Attribute> = old.extract_if(.., is_own).collect();
        match self.directories.remove(&number) {
            Some(replaced) => {
                kept.iter().for_each(|old| self.release_attribute(old));
                replaced
            }
            None => kept,
        }
    }

    /// The attributes of an index, its blocks stored where the older ones are among `old`.
    pub(super) fn index_attributes(
        &mut self,
        name: &str,
        index: Index,
        old: &mut Vec<Attribute>,
    ) -> Result<Vec<Attribute>> {
        let is_blocks = |attribute: &mut Attribute| {
            attribute.kind == AttributeType::INDEX_ALLOCATION && attribute.has_name(name)
        };
        let old = old.extract_if(.., is_blocks).next();
        let bitmap = index.bitmap();
        let root = Attribute::resident(AttributeType::INDEX_ROOT, index.root).named(name);
        let mut attributes = vec![root];
        if index.blocks.is_empty() {
            old.iter().for_each(|old| self.release_attribute(old));
        } else {
            let value = self.store_over(old, &index.blocks)?;
            let blocks = Attribute::non_resident(AttributeType::INDEX_ALLOCATION, value);
            attributes.push(blocks.named(name));
            attributes.push(Attribute::resident(AttributeType::BITMAP, bitmap).named(name));
        }
        Ok(attributes)
    }

    fn check_names(&self, children: &[Name]) -> Result<()> {
        let pairs = children.array_windows::<2>();
        for [a, b] in pairs {
            if is_same(self.names.units(a), self.names.units(b)) {
                return Err(NtfsError::Collision {
                    first: self.names.text(a),
                    second: self.names.text(b),
                });
            }
        }
        Ok(())
    }
}

/// The names with this key, of names sorted by it.
fn slice_of(names: &[Name], key: u32, key_of: impl Fn(&Name) -> u32) -> &[Name] {
    let start = names.partition_point(|name| key_of(name) < key);
    let end = names.partition_point(|name| key_of(name) <= key);
    names.get(start..end).unwrap_or_default()
}
