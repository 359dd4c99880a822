//! Names: in records and in directories.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    io::{Read, Seek},
};

use super::{Verifier, collate, facts::Facts, finding::Sink, index::Kind, rule::Rule};
use crate::{
    FileReference, Namespace, Place, RecordFlags, Result,
    attribute::AttributeType,
    format::system,
    read::{
        index::Entry,
        name::{FileName, text},
        records::FullRecord,
    },
};

/// Most hard links Windows makes.
const MAX_LINKS: u16 = 1024;

/// A name, from a file's record or from a directory, in few bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Over directory, file, name and namespace.
    key: u64,
    /// Over the four times.
    times: u32,
    /// Over sizes and attribute word.
    facts: u32,
    tag_or_ea_size: u32,
    directory: u64,
    file: FileReference,
}

impl Known {
    fn new(
        state: &impl BuildHasher,
        directory: FileReference,
        file: FileReference,
        name: &FileName,
        facts: &Facts,
    ) -> Self {
        Self {
            key: state.hash_one((directory, file, name.namespace().0, &name.units)),
            times: state.hash_one(facts.times) as u32,
            facts: state.hash_one(Facts {
                times: [0; 4],
                tag_or_ea_size: 0,
                ..*facts
            }) as u32,
            tag_or_ea_size: facts.tag_or_ea_size,
            directory: directory.record(),
            file,
        }
    }
}

impl<D: Read + Seek> Verifier<'_, D> {
    /// Checks the names of a file, and remembers them.
    pub(crate) fn check_names(&mut self, full: &FullRecord, facts: &Facts) {
        let number = full.number();
        let place = || Place::Record(number);
        let directory = full.base.flags.contains(RecordFlags::DIRECTORY);
        let mut names = Vec::new();
        for attribute in full.all(AttributeType::FILE_NAME) {
            let place = attribute.place(number);
            let value = attribute.value().unwrap_or_default();
            let Some(name) = FileName::parse(value) else {
                self.sink
                    .report(place, Rule::Name, "a name", format!("{value:02x?}"));
                continue;
            };
            check_name(&mut self.sink, &place, &name, value.len());
            let own = Facts::of_name(&name);
            if (own.attributes & Facts::DIRECTORY != 0) != directory {
                let found = format!("{:#010x}", own.attributes);
                let expected = format!("the bit of a directory: {directory}");
                self.sink
                    .report(place, Rule::DirectoryAttribute, expected, found);
            } else if own != *facts && number >= system::FIRST_UNUSED.into() {
                self.sink.report(
                    place,
                    Rule::NameFacts,
                    format!("{facts:x?}"),
                    format!("{own:x?}"),
                );
            }
            let file = full.base.reference();
            let known = Known::new(&self.state, name.parent(), file, &name, facts);
            self.names.push(known);
            names.push(name);
        }
        let count = names.len();
        if usize::from(full.base.link_count) != count {
            let found = full.base.link_count.to_string();
            self.sink
                .report(place(), Rule::LinkCount, format!("{count} names"), found);
        }
        let long = names
            .iter()
            .filter(|name| name.namespace() != Namespace::DOS);
        let long: Vec<_> = long.collect();
        if long.len() > usize::from(MAX_LINKS) {
            let found = long.len().to_string();
            self.sink.report(
                place(),
                Rule::LinkLimit,
                format!("{MAX_LINKS} at most"),
                found,
            );
        }
        let reserved = u64::from(system::FIRST_RESERVED)..u64::from(system::FIRST_UNUSED);
        if count == 0 && !reserved.contains(&number) {
            self.sink.report(place(), Rule::Nameless, "a name", "none");
        }
        if directory {
            self.directories.insert(
                number,
                long.first().map_or(number, |name| name.parent().record()),
            );
            if long.len() > 1 {
                let found = format!("{} names", long.len());
                self.sink
                    .report(place(), Rule::Unreachable, "one name of a directory", found);
            }
        }
        self.check_short_names(number, &names);
    }

    fn check_short_names(&mut self, number: u64, names: &[FileName]) {
        let count = |parent: FileReference, namespace| {
            let these = names
                .iter()
                .filter(|name| name.parent() == parent && name.namespace() == namespace);
            these.count()
        };
        for name in names {
            let other = match name.namespace() {
                Namespace::DOS => Namespace::WIN32,
                Namespace::WIN32 => Namespace::DOS,
                _ => continue,
            };
            let others = count(name.parent(), other);
            if others != count(name.parent(), name.namespace()) {
                let what = if other == Namespace::DOS {
                    "short"
                } else {
                    "long"
                };
                let expected = format!("one {what} name beside \"{}\"", text(&name.units));
                let place = Place::Record(number);
                self.sink
                    .report(place, Rule::ShortName, expected, others.to_string());
            }
        }
    }

    /// Checks the index of a directory, and remembers its entries.
    pub(crate) fn check_directory(&mut self, full: &FullRecord) -> Result<()> {
        let kind = Kind {
            name: "$I30",
            indexed: AttributeType::FILE_NAME.0,
            collation: collate::FILE_NAME,
        };
        let directory = full.base.reference();
        let place = Place::Attribute {
            record: full.number(),
            attribute: "$INDEX_ROOT:$I30".to_owned(),
        };
        let state = self.state.clone();
        let upcase = std::sync::Arc::clone(&self.volume.upcase);
        let mut found: Vec<Known> = Vec::new();
        let mut previous: Option<FileName> = None;
        self.check_index(full, kind, &mut |sink, entry| {
            let Some(name) = listed_name(sink, &place, entry) else {
                return;
            };
            if name.parent() != directory {
                let expected = format!(
                    "directory {directory} in the entry of \"{}\"",
                    text(&name.units)
                );
                sink.report(
                    place.clone(),
                    Rule::EntryParent,
                    expected,
                    name.parent().to_string(),
                );
            }
            if let Some(previous) = &previous
                && crate::read::name::cmp_folded(&upcase, &previous.units, &name.units).is_eq()
            {
                let found = format!(
                    "\"{}\" and \"{}\"",
                    text(&previous.units),
                    text(&name.units)
                );
                sink.report(
                    place.clone(),
                    Rule::CaseCollision,
                    "names that differ",
                    found,
                );
            }
            let file = FileReference::from_raw(entry.reference);
            found.push(Known::new(
                &state,
                directory,
                file,
                &name,
                &Facts::of_name(&name),
            ));
            previous = Some(name);
        })?;
        self.entries.append(&mut found);
        Ok(())
    }

    /// Brings names and entries together.
    pub(crate) fn match_names(&mut self) {
        let mut names = std::mem::take(&mut self.names);
        let mut entries = std::mem::take(&mut self.entries);
        names.sort_unstable_by_key(|known| known.key);
        entries.sort_unstable_by_key(|known| known.key);
        let mut entries = entries.into_iter().peekable();
        for name in names {
            while let Some(entry) = entries.next_if(|entry| entry.key < name.key) {
                self.lone_entry(entry);
            }
            match entries.next_if(|entry| entry.key == name.key) {
                Some(entry) => self.compare(name, entry),
                None => {
                    let directory = self.table.describe(name.directory);
                    let expected = format!("an entry in {directory} for each name");
                    let place = Place::Record(name.file.record());
                    self.sink.report(place, Rule::NameEntry, expected, "none");
                }
            }
        }
        for entry in entries {
            self.lone_entry(entry);
        }
    }

    fn compare(&mut self, name: Known, entry: Known) {
        // Windows keeps no fresh facts about system files in the root.
        if name.file.record() < system::FIRST_UNUSED.into() {
            return;
        }
        // Tags have more than 16 bits, packed lengths have not.
        let tag = match name.tag_or_ea_size.max(entry.tag_or_ea_size) >> 16 {
            0 => (Rule::EntryEaSize, "length of extended attributes"),
            _ => (Rule::EntryFacts, "reparse tag"),
        };
        for ((rule, what), expected, found) in [
            (
                (Rule::EntryFacts, "sizes and attribute word"),
                name.facts,
                entry.facts,
            ),
            ((Rule::EntryTimes, "times"), name.times, entry.times),
            (tag, name.tag_or_ea_size, entry.tag_or_ea_size),
        ] {
            if expected != found {
                let place = Place::Record(name.file.record());
                let expected = format!("its {what} in the entry of directory {}", entry.directory);
                self.sink.report(place, rule, expected, "others");
            }
        }
    }

    /// An entry that is no name of the file it leads to.
    fn lone_entry(&mut self, entry: Known) {
        let place = Place::Record(entry.directory);
        let file = entry.file;
        let (rule, expected) = match self.table.reference(file.record()) {
            None => (
                Rule::EntryDangling,
                format!("file {file}, to which an entry leads"),
            ),
            Some(there) if there != file => (
                Rule::EntryStale,
                format!("file {file}, to which an entry leads"),
            ),
            Some(_) => (
                Rule::EntryName,
                format!("one entry for each name of file {file} here"),
            ),
        };
        let found = match rule {
            Rule::EntryName => "one that is none of its names, or a second".to_owned(),
            _ => self.table.describe(file.record()),
        };
        self.sink.report(place, rule, expected, found);
    }

    /// Reports directories from which no way leads up to the root.
    pub(crate) fn check_reachable(&mut self) {
        let root = u64::from(system::ROOT);
        let mut known: HashMap<u64, bool> = HashMap::from([(root, true)]);
        for &start in self.directories.keys() {
            let mut way = Vec::new();
            let mut at = start;
            let reached = loop {
                if let Some(&reached) = known.get(&at) {
                    break reached;
                }
                known.insert(at, false);
                way.push(at);
                match self.directories.get(&at) {
                    Some(&parent) => at = parent,
                    None => {
                        way.pop();
                        break false;
                    }
                }
            };
            for number in way {
                known.insert(number, reached);
                if !reached {
                    let place = Place::Record(number);
                    let found = "a loop, or something else than a directory, above it";
                    self.sink
                        .report(place, Rule::Unreachable, "a way from the root", found);
                }
            }
        }
    }
}

fn listed_name(sink: &mut Sink<'_>, place: &Place, entry: &Entry<'_>) -> Option<FileName> {
    let Some(name) = FileName::parse(entry.key) else {
        let found = format!("{:02x?}", entry.key);
        sink.report(place.clone(), Rule::IndexEntry, "a name", found);
        return None;
    };
    check_name(sink, place, &name, entry.key.len());
    Some(name)
}

fn check_name(sink: &mut Sink<'_>, place: &Place, name: &FileName, length: usize) {
    let shown = || format!("\"{}\"", text(&name.units).escape_debug());
    let illegal = |unit: &u16| matches!(*unit, 0 | 0x2f);
    if name.units.is_empty() || name.units.iter().any(illegal) {
        sink.report(
            place.clone(),
            Rule::Name,
            "1 to 255 units without NUL and /",
            shown(),
        );
    }
    if length != 66 + 2 * name.units.len() {
        let expected = format!("{} bytes for {}", 66 + 2 * name.units.len(), shown());
        sink.report(place.clone(), Rule::Name, expected, length.to_string());
    }
    let namespace = name.namespace();
    if namespace > Namespace::WIN32_AND_DOS {
        let expected = format!("a namespace from 0 to 3 for {}", shown());
        sink.report(place.clone(), Rule::Name, expected, namespace.0.to_string());
    }
    let root = name.units == [u16::from(b'.')] && name.parent().record() == u64::from(system::ROOT);
    if namespace != Namespace::POSIX && !root && !is_win32(&name.units) {
        let expected = "no \" * : < > ? \\ |, control characters, or dot or blank at the end";
        sink.report(place.clone(), Rule::Win32Name, expected, shown());
    }
}

/// Whether Windows can open a file of this name.
fn is_win32(units: &[u16]) -> bool {
    let forbidden =
        |unit: &u16| *unit < 32 || b"\"*:<>?\\|".iter().any(|&byte| *unit == u16::from(byte));
    let end = units
        .last()
        .is_some_and(|&unit| matches!(unit, 0x20 | 0x2e));
    !units.iter().any(forbidden) && !end
}
