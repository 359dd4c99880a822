//! What a writer has to know of a volume that it goes on with.

use std::{
    io::{Read, Seek, Write},
    sync::Arc,
};

use winlayer_metadata::{FileTime, FileTimes, SecurityDescriptor};
use zerocopy::FromBytes;

use super::{
    VolumeOptions, VolumeSize, VolumeWriter,
    body::allocated_bytes,
    mft::MftRuns,
    names::{Names, Node, State},
    output::Output,
    resume::Before,
    security::Descriptors,
    space::Space,
};
use crate::{
    FileReference, Namespace, NtfsError, Place, Result, Volume,
    attribute::{AttributeType, Content},
    format::{
        CLUSTER, EaInformation, FileNameHeader, INDEX_BLOCK, RECORD, SECTOR, SecurityHeader,
        StandardInformation, system,
    },
    read::records::FullRecord,
    runs::Run,
};

impl<D: Read + Write + Seek> VolumeWriter<D> {
    /// Goes on with a complete volume that this writer made: names can be removed and added, and what was not touched stays
    /// where it is. With a differencing disk as the device that disk gets what changes, and nothing else.
    ///
    /// # Errors
    ///
    /// The volume is damaged, or another system has written to it.
    pub fn open(device: D) -> Result<Self> {
        let mut volume = Volume::open(device)?;
        check_maker(&volume)?;
        let mut writer = Loaded::default();
        for number in 0..volume.records() {
            writer.add_record(&mut volume, number)?;
        }
        let descriptors = load_descriptors(&mut volume)?;
        let (space, mft) = load_space(&mut volume)?;
        let facts = volume.facts();
        let root_times = writer
            .nodes
            .get(system::MFT as usize)
            .map(|node| node.times);
        let options = VolumeOptions {
            size: VolumeSize::Exact(facts.total + SECTOR as u64),
            label: facts.label.clone(),
            serial: facts.serial,
            created: root_times.map_or(FileTime::UNIX_EPOCH, |times| times.created),
            hidden_sectors: volume.hidden_sectors(),
        };
        let records = writer.nodes.len() as u32;
        Ok(Self {
            out: Output::new(volume.into_inner()),
            options,
            space,
            mft: MftRuns::new(mft),
            nodes: writer.nodes,
            names: writer.names,
            descriptors,
            directories: Default::default(),
            reparse_points: writer.reparse_points,
            object: None,
            record_bytes: Vec::new(),
            before: Some(Before { records }),
        })
    }
}

/// Only volumes of this writer are gone on with: of others it does not know all rules.
fn check_maker<D: Read + Seek>(volume: &Volume<D>) -> Result<()> {
    let facts = volume.facts();
    let sizes = (facts.cluster, facts.record, facts.index_block);
    let is_ours = sizes == (CLUSTER, RECORD as u64, INDEX_BLOCK as u64)
        && facts.version == (3, 1)
        && !facts.dirty
        && facts.records >= system::FIRST_USER.into();
    match is_ours {
        true => Ok(()),
        false => Err(foreign(
            "going on with a volume that another system made or left dirty",
        )),
    }
}

fn foreign(what: &str) -> NtfsError {
    NtfsError::Unsupported {
        place: Place::Record(system::VOLUME.into()),
        what: what.to_owned(),
    }
}

/// What is known of the records read so far.
#[derive(Default)]
struct Loaded {
    nodes: Vec<Node>,
    names: Names,
    reparse_points: Vec<(u32, u32)>,
}

impl Loaded {
    fn add_record<D: Read + Seek>(&mut self, volume: &mut Volume<D>, number: u64) -> Result<()> {
        let Some(record) = volume.record(number)? else {
            let sequence = volume.unused_sequence(number)?;
            self.nodes.push(Node {
                sequence,
                ..Node::default()
            });
            return Ok(());
        };
        let node = Node {
            sequence: record.sequence,
            flags: record.flags,
            state: State::Written,
            ..Node::default()
        };
        if record.base.is_some() {
            self.nodes.push(Node {
                state: State::Extension,
                ..node
            });
            return Ok(());
        }
        // Windows uses these as soon as it mounts a volume for writing.
        let is_spare = u64::from(system::REPARSE) < number && number < system::FIRST_USER.into();
        if is_spare {
            return Err(foreign(
                "going on with a volume that Windows has written to",
            ));
        }
        let full = volume.complete(record)?;
        let node = self.describe(volume, &full, node)?;
        self.nodes.push(node);
        Ok(())
    }

    fn describe<D: Read + Seek>(
        &mut self,
        volume: &mut Volume<D>,
        record: &FullRecord,
        mut node: Node,
    ) -> Result<Node> {
        let number = record.number() as u32;
        let information = record.need(AttributeType::STANDARD_INFORMATION, "")?;
        let value = volume.value(information, number.into())?;
        let damaged =
            |what: &str| NtfsError::damaged(Place::Record(number.into()), what, "another");
        let information = StandardInformation::read_from_bytes(&value)
            .map_err(|_| damaged("$STANDARD_INFORMATION of 72 bytes"))?;
        node.times = FileTimes {
            created: FileTime::from_ticks(information.created.get()),
            accessed: FileTime::from_ticks(information.accessed.get()),
            written: FileTime::from_ticks(information.written.get()),
            changed: FileTime::from_ticks(information.changed.get()),
        };
        node.attributes = information.attributes.get();
        node.security_id = information.security_id.get();
        if let Some(data) = record.find(AttributeType::DATA, "") {
            (node.size, node.allocated) = (data.size(), allocated_bytes(data));
        }
        if let Some(information) = record.find(AttributeType::EA_INFORMATION, "") {
            let value = volume.value(information, number.into())?;
            let information = EaInformation::read_from_bytes(&value)
                .map_err(|_| damaged("$EA_INFORMATION of 8 bytes"))?;
            node.tag_or_ea_size = information.packed_length.get().into();
        }
        if let Some(reparse) = record.find(AttributeType::REPARSE_POINT, "") {
            let value = volume.value(reparse, number.into())?;
            let tag = value
                .first_chunk()
                .ok_or_else(|| damaged("a reparse tag"))?;
            node.tag_or_ea_size = u32::from_le_bytes(*tag);
            self.reparse_points.push((node.tag_or_ea_size, number));
        }
        for name in record.all(AttributeType::FILE_NAME) {
            let value = name.value().unwrap_or_default();
            let (header, units) = FileNameHeader::read_from_prefix(value)
                .map_err(|_| damaged("$FILE_NAME of 66 bytes or more"))?;
            let units: Vec<u16> = units
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&unit| u16::from_le_bytes(unit))
                .collect();
            let parent = FileReference::from_raw(header.parent.get()).record();
            let parent =
                u32::try_from(parent).map_err(|_| damaged("a directory of this volume"))?;
            node.last_name =
                self.names
                    .push(parent, number, &units, Namespace(header.namespace))?;
            node.names += 1;
        }
        Ok(node)
    }
}

/// All descriptors, in the order of their stream.
fn load_descriptors<D: Read + Seek>(volume: &mut Volume<D>) -> Result<Descriptors> {
    let number = u64::from(system::SECURE);
    let missing = || NtfsError::damaged(Place::Record(number), "$Secure", "no file");
    let record = volume.load(number)?.ok_or_else(missing)?;
    let index = volume.index(&record, "$SII")?;
    let mut headers = Vec::new();
    volume.walk(&index, &mut |entry| {
        headers.extend(SecurityHeader::read_from_bytes(entry.data));
        Ok(())
    })?;
    headers.sort_by_key(|header| header.offset.get());
    let stream = volume.value(record.need(AttributeType::DATA, "$SDS")?, number)?;
    let mut descriptors = Descriptors::default();
    for header in headers {
        let start = header.offset.get() as usize;
        let end = start.saturating_add(header.length.get() as usize);
        let bytes = stream.get(start.saturating_add(size_of::<SecurityHeader>())..end);
        let descriptor =
            SecurityDescriptor::parse(bytes.ok_or_else(missing)?).map_err(|error| {
                NtfsError::damaged(Place::Record(number), "a descriptor", error.to_string())
            })?;
        descriptors.restore(header, Arc::new(descriptor));
    }
    Ok(descriptors)
}

/// Clusters in use, and where the file records are.
fn load_space<D: Read + Seek>(volume: &mut Volume<D>) -> Result<(Space, Vec<Run>)> {
    let missing = |number: u32| NtfsError::damaged(Place::Record(number.into()), "a file", "none");
    let number = system::BITMAP;
    let bitmap = volume.load(number.into())?.ok_or_else(|| missing(number))?;
    let bits = volume.value(bitmap.need(AttributeType::DATA, "")?, number.into())?;
    let mft = volume.load(system::MFT.into())?;
    let mft = mft.ok_or_else(|| missing(system::MFT))?;
    let runs = match &mft.need(AttributeType::DATA, "")?.content {
        Content::NonResident(value) => value.runs.clone(),
        Content::Resident { .. } => return Err(missing(system::MFT)),
    };
    let total = volume.facts().total / CLUSTER;
    Ok((Space::from_bitmap(&bits, total), runs))
}
