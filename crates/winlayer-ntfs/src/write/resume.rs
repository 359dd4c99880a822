//! Going on with a volume: what a writer knows of one that was completed before.

use std::{
    io::{Read, Seek, Write},
    sync::Arc,
};

use winlayer_metadata::{FileTime, FileTimes, SecurityDescriptor};
use zerocopy::FromBytes;

use super::{
    FileId, NameId, VolumeOptions, VolumeSize, VolumeWriter,
    mft::MftRuns,
    names::{Names, Node, State, file_name},
    output::Output,
    security::Descriptors,
    space::Space,
};
use crate::{
    FileReference, Namespace, NtfsError, Place, Result, Volume,
    attribute::{Attribute, AttributeType, Content, NonResident},
    format::{
        CLUSTER, EaInformation, FileNameHeader, INDEX_BLOCK, RECORD, SECTOR, SecurityHeader,
        StandardInformation, system,
    },
    read::{device::Device, records::FullRecord},
    runs::Run,
};

/// A volume as it was before the writer went on with it.
#[derive(Debug)]
pub(super) struct Before {
    /// Records there were.
    pub records: u32,
}

/// A name on a volume that is gone on with.
#[derive(Clone, Debug)]
pub struct ExistingName {
    /// Of this name.
    pub id: NameId,
    /// The directory it is in.
    pub parent: FileId,
    /// What it names.
    pub file: FileId,
    /// The name; only names that are Unicode can be on a volume that is gone on with.
    pub name: String,
    /// Whether other names are below it.
    pub is_directory: bool,
    /// Whether it is a reparse point.
    pub is_reparse_point: bool,
}

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

    /// The names that were on the volume when it was opened, those of its own files left out, in no order.
    pub fn existing_names(&self) -> impl Iterator<Item = ExistingName> + '_ {
        let names = self
            .names
            .all()
            .filter(|(_, name)| name.file >= system::FIRST_USER);
        names.filter_map(|(id, name)| {
            let node = self.nodes.get(name.file as usize)?;
            Some(ExistingName {
                id,
                parent: FileId(name.parent),
                file: FileId(name.file),
                name: self.names.text(&name),
                is_directory: node.is_directory(),
                is_reparse_point: node.is_reparse_point(),
            })
        })
    }

    /// Takes a name away. A file whose last name is taken away goes when the volume is completed, unless
    /// [`link`](Self::link) has named it again; of a directory the names in it must have been taken away.
    ///
    /// # Errors
    ///
    /// The name is of the volume's own files, or not there.
    pub fn remove_name(&mut self, id: NameId) -> Result<()> {
        let name = self.names.get_mut(id).filter(|name| !name.is_removed);
        let Some(name) = name.filter(|name| name.file >= system::FIRST_USER) else {
            return Err(super::refused(
                "a name",
                "it is not there, or of the volume itself",
            ));
        };
        name.is_removed = true;
        let (file, parent) = (name.file, name.parent);
        if let Some(node) = self.nodes.get_mut(file as usize) {
            node.names = node.names.saturating_sub(1);
        }
        self.set_changed(file);
        self.set_changed(parent);
        Ok(())
    }

    /// Spells a name in another way, in the same directory.
    ///
    /// # Errors
    ///
    /// The name is of the volume's own files, or not there; the new one cannot be.
    pub fn rename(&mut self, id: NameId, name: &str) -> Result<NameId> {
        let units = file_name(name)?;
        let old = self.names.get(id).filter(|name| !name.is_removed);
        let Some(old) = old.filter(|name| name.file >= system::FIRST_USER) else {
            return Err(super::refused(name, "what is to be renamed is not there"));
        };
        if self.names.units(&old) == units {
            return Ok(id);
        }
        self.remove_name(id)?;
        self.add_name(old.parent, old.file, &units, old.namespace)
    }

    /// The record on the volume is out of date.
    pub(super) fn set_changed(&mut self, number: u32) {
        if let Some(node) = self.nodes.get_mut(number as usize)
            && node.state == State::Written
        {
            node.state = State::Changed;
        }
    }

    /// The attributes of a record that was there before; what it has beside its base record is given back.
    pub(super) fn take_attributes(&mut self, number: u32) -> Result<Vec<Attribute>> {
        let mut volume = Volume::locate(Device::new(self.out.device_mut()?)?)?;
        let missing = || NtfsError::damaged(Place::Record(number.into()), "a file", "none");
        let record = volume.load(number.into())?.ok_or_else(missing)?;
        for run in record.list_runs {
            self.space.release(run);
        }
        for &extension in &record.extensions {
            if let Some(node) = self.nodes.get_mut(extension as usize) {
                free(node);
            }
        }
        Ok(record.attributes)
    }

    /// Gives back the clusters and the records of files without a name.
    pub(super) fn free_nameless(&mut self) -> Result<()> {
        for number in system::FIRST_USER..self.nodes.len() as u32 {
            let node = self.node(number)?;
            if node.names > 0 || node.state != State::Changed {
                continue;
            }
            if self.names.has_names_in(number) {
                let what = format!("file record {number}");
                return Err(super::refused(
                    what,
                    "its name was taken away, but not the names in it",
                ));
            }
            for attribute in self.load_attributes(number)? {
                self.release_attribute(&attribute);
            }
            self.reparse_points.retain(|&(_, file)| file != number);
            if let Some(node) = self.nodes.get_mut(number as usize) {
                free(node);
            }
        }
        Ok(())
    }

    pub(super) fn release_attribute(&mut self, attribute: &Attribute) {
        if let Content::NonResident(value) = &attribute.content {
            value.runs.iter().for_each(|&run| self.space.release(run));
        }
    }

    /// Whether the record was on the volume when it was opened.
    pub(super) fn was_before(&self, number: u32) -> bool {
        let before = self.before.as_ref();
        before.is_some_and(|before| number < before.records)
    }

    /// Puts `value` where the old one is, as far as that has room; only sectors that differ are written.
    pub(super) fn store_over(
        &mut self,
        old: Option<Attribute>,
        value: &[u8],
    ) -> Result<NonResident> {
        let mut rest = value;
        let mut runs = Vec::new();
        let old = match old.map(|old| old.content) {
            Some(Content::NonResident(old)) => old.runs,
            _ => Vec::new(),
        };
        for run in old {
            let Some(lcn) = run.lcn.filter(|_| !rest.is_empty()) else {
                self.space.release(run);
                continue;
            };
            let taken = (rest.len() as u64).min(run.clusters * CLUSTER);
            let (now, later) = rest.split_at(taken as usize);
            self.put_bytes(lcn * CLUSTER, now)?;
            let clusters = taken.div_ceil(CLUSTER);
            runs.push(Run { clusters, ..run });
            if clusters < run.clusters {
                self.space.release(Run {
                    lcn: Some(lcn + clusters),
                    clusters: run.clusters - clusters,
                });
            }
            rest = later;
        }
        runs.extend(self.store_value(rest)?);
        Ok(super::object::stored(runs, value.len() as u64))
    }
}

fn free(node: &mut Node) {
    *node = Node {
        sequence: node.sequence.checked_add(1).unwrap_or(1),
        state: State::Freed,
        ..Node::default()
    };
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
            (node.size, node.allocated) = (data.size(), super::allocated_bytes(data));
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
