//! Going on with a volume: what a writer knows of one that was completed before.

use std::{
    collections::BTreeSet,
    io::{Read, Seek, Write},
};

use super::{
    FileId, NameId, VolumeWriter,
    names::{Node, State, file_name},
    object::stored,
    refused,
};
use crate::{
    NtfsError, Place, Result, Volume,
    attribute::{Attribute, Content, NonResident},
    format::{CLUSTER, system},
    read::device::Device,
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
            return Err(refused(
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
            return Err(refused(name, "what is to be renamed is not there"));
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
        let nodes = (0..).zip(&self.nodes);
        let is_nameless = |node: &Node| node.names == 0 && node.state == State::Changed;
        let nameless: BTreeSet<u32> = nodes
            .skip(system::FIRST_USER as usize)
            .filter_map(|(number, node)| is_nameless(node).then_some(number))
            .collect();
        if let Some(left) = self
            .names
            .there()
            .find(|name| nameless.contains(&name.parent))
        {
            let rule = "the name of its directory was taken away, and it was not";
            return Err(refused(self.names.text(&left), rule));
        }
        self.reparse_points
            .retain(|(_, file)| !nameless.contains(file));
        for number in nameless {
            for attribute in self.load_attributes(number)? {
                self.release_attribute(&attribute);
            }
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
        Ok(stored(runs, value.len() as u64))
    }
}

/// The record may be used for another file.
pub(super) fn free(node: &mut Node) {
    *node = Node {
        sequence: node.sequence.checked_add(1).unwrap_or(1),
        state: State::Freed,
        ..Node::default()
    };
}
