//! File records: taken, named, and written.

use std::io::{Read, Seek, Write};

use zerocopy::{FromBytes, IntoBytes, little_endian::U64};

use super::{
    FileId, VolumeWriter,
    body::{allocated_bytes, pad_cluster},
    lost,
    names::{Name, NameId, Node, State},
    output::Order,
    pack::{Room, pack},
    refused,
};
use crate::{
    FileReference, Namespace, RecordFlags, Result,
    attribute::{Attribute, AttributeType, Content},
    format::{CLUSTER, FileNameHeader},
    record::Record,
    runs::Run,
};

impl<D: Read + Write + Seek> VolumeWriter<D> {
    pub(super) fn standard_information(&self, file: u32) -> Result<Attribute> {
        let value = self.node(file)?.standard_information();
        let value = value.as_bytes().to_vec();
        Ok(Attribute::resident(
            AttributeType::STANDARD_INFORMATION,
            value,
        ))
    }

    pub(super) fn file_name_attribute(&self, name: &Name) -> Result<Attribute> {
        let mut value = Vec::new();
        let (parent, node) = (self.reference(name.parent)?, self.node(name.file)?);
        self.names.push_file_name(name, parent, node, &mut value);
        Ok(Attribute::resident(AttributeType::FILE_NAME, value))
    }

    /// Writes the record `number`, and those it takes more.
    pub(super) fn put_record(
        &mut self,
        number: u32,
        attributes: Vec<Attribute>,
        order: Order,
    ) -> Result<()> {
        let node = self.node(number)?;
        let mut record = Record::new(number.into(), node.sequence, node.flags);
        record.link_count = node.names;
        attributes
            .into_iter()
            .for_each(|attribute| record.push(attribute));
        let mut extensions = pack(&mut record, self)?;
        self.tell_allocated(number, &mut record, &mut extensions)?;
        self.put_packed(&record, order)?;
        for extension in &extensions {
            self.put_packed(extension, Order::Any)?;
        }
        Ok(())
    }

    /// Content that had to leave the record takes more room than the names of its file have said.
    fn tell_allocated(
        &mut self,
        number: u32,
        base: &mut Record,
        extensions: &mut [Record],
    ) -> Result<()> {
        let records = || std::iter::once(&*base).chain(&*extensions);
        let mut attributes = records().flat_map(|record| &record.attributes);
        let content = attributes
            .find(|attribute| attribute.kind == AttributeType::DATA && attribute.has_name(""));
        let Some(allocated) = content.map(allocated_bytes) else {
            return Ok(());
        };
        let node = self.nodes.get_mut(number as usize).ok_or_else(lost)?;
        if std::mem::replace(&mut node.allocated, allocated) == allocated {
            return Ok(());
        }
        let records = std::iter::once(base).chain(extensions);
        for attribute in records.flat_map(|record| &mut record.attributes) {
            if let (AttributeType::FILE_NAME, Content::Resident { value, .. }) =
                (attribute.kind, &mut attribute.content)
                && let Ok((header, _)) = FileNameHeader::mut_from_prefix(value)
            {
                header.allocated = U64::new(allocated);
                let parent = FileReference::from_raw(header.parent.get()).record();
                self.set_changed(parent as u32);
            }
        }
        Ok(())
    }

    pub(super) fn put_packed(&mut self, record: &Record, order: Order) -> Result<()> {
        record.encode(&mut self.record_bytes)?;
        let number = u32::try_from(record.number).map_err(|_| lost())?;
        let place = self.mft.place(number).ok_or_else(lost)?;
        if self.was_before(number) {
            return self.out.change(place.offset, &self.record_bytes);
        }
        self.out.record(place, &self.record_bytes, order)
    }

    /// Takes the next file record for `node`.
    pub(super) fn add_node(&mut self, node: Node) -> Result<u32> {
        let number = u32::try_from(self.nodes.len()).ok();
        let number = number.filter(|&number| number < u32::MAX / 2);
        let number = number.ok_or_else(|| refused("the volume", "it has too many files"))?;
        self.mft.make_room(number, &mut self.space)?;
        self.nodes.push(Node {
            sequence: node.sequence.max(1),
            flags: node.flags | RecordFlags::IN_USE,
            state: match node.state {
                State::Free => State::New,
                other => other,
            },
            ..node
        });
        Ok(number)
    }

    pub(super) fn add_name(
        &mut self,
        parent: u32,
        file: u32,
        units: &[u16],
        namespace: Namespace,
    ) -> Result<NameId> {
        let name = self.names.push(parent, file, units, namespace)?;
        if let Some(node) = self.nodes.get_mut(file as usize) {
            node.names += 1;
            node.last_name = name;
        }
        self.set_changed(parent);
        Ok(name)
    }

    pub(super) fn node(&self, number: u32) -> Result<&Node> {
        self.nodes.get(number as usize).ok_or_else(lost)
    }

    pub(super) fn reference(&self, number: u32) -> Result<FileReference> {
        let sequence = self.node(number)?.sequence;
        Ok(FileReference::new(number.into(), sequence))
    }

    pub(super) fn check_directory(&self, directory: FileId, wanted_by: &str) -> Result<()> {
        let node = self.node(directory.0)?;
        if node.is_directory() && !node.is_reparse_point() && node.is_in_use() {
            return Ok(());
        }
        Err(refused(wanted_by, "what it is put into is no directory"))
    }

    /// Writes `value` to clusters of its own.
    pub(super) fn store_value(&mut self, value: &[u8]) -> Result<Vec<Run>> {
        let runs = self.space.allocate_bytes(value.len() as u64)?;
        if let Some(Run { lcn: Some(lcn), .. }) = runs.first() {
            let offset = lcn * CLUSTER;
            self.out.content(offset, value)?;
            pad_cluster(&mut self.out, offset + value.len() as u64)?;
        }
        Ok(runs)
    }
}

impl<D: Read + Write + Seek> Room for VolumeWriter<D> {
    fn store(&mut self, value: &[u8]) -> Result<Vec<Run>> {
        self.store_value(value)
    }

    fn extension(&mut self) -> Result<FileReference> {
        let number = self.add_node(Node {
            state: State::Extension,
            ..Node::default()
        })?;
        self.reference(number)
    }
}
