//! The indexes of reparse points and object ids.

use std::{
    collections::BTreeMap,
    io::{Read, Seek},
};

use zerocopy::FromBytes;

use super::{Verifier, collate, finding::Sink, index::Kind, rule::Rule};
use crate::{FileReference, Place, Result, format::ReparseKey, read::records::FullRecord};

/// Keys and data of a view index.
pub(crate) type View = Vec<(Vec<u8>, Vec<u8>)>;

impl<D: Read + Seek> Verifier<'_, D> {
    /// Checks a view index and returns what is in it.
    pub(crate) fn check_view(
        &mut self,
        full: &FullRecord,
        kind: Kind,
        sizes: impl Fn(usize, usize) -> bool,
    ) -> Result<View> {
        let mut view = View::new();
        let place = Place::Attribute {
            record: full.number(),
            attribute: format!("$INDEX_ROOT:{}", kind.name),
        };
        self.check_index(full, kind, &mut |sink: &mut Sink<'_>, entry| {
            let (key, data) = (entry.key, entry.data);
            if !sizes(key.len(), data.len()) {
                let found = format!("a key of {} and data of {} bytes", key.len(), data.len());
                let expected = "a key and data of this index";
                sink.report(place.clone(), Rule::IndexEntry, expected, found);
                return;
            }
            view.push((key.to_vec(), data.to_vec()));
        })?;
        Ok(view)
    }

    /// Reads the indexes in `$Extend`, whose records have any number.
    pub(crate) fn check_extend(&mut self) -> Result<()> {
        if let Some(record) = self.extend_file("$ObjId")? {
            let kind = Kind {
                name: "$O",
                indexed: 0,
                collation: collate::ULONGS,
            };
            let view = self.check_view(&record, kind, |key, data| (key, data) == (16, 56))?;
            let ids = view.iter().filter_map(|(key, data)| {
                let file = u64::from_le_bytes(*data.first_chunk()?);
                Some((*key.first_chunk()?, FileReference::from_raw(file)))
            });
            self.object_ids = Some(ids.collect());
        }
        if let Some(record) = self.extend_file("$Reparse")? {
            let kind = Kind {
                name: "$R",
                indexed: 0,
                collation: collate::ULONGS,
            };
            let view = self.check_view(&record, kind, |key, data| (key, data) == (12, 0))?;
            let mut points = BTreeMap::new();
            for (key, _) in &view {
                let Ok(key) = ReparseKey::read_from_bytes(key) else {
                    continue;
                };
                let file = FileReference::from_raw(key.reference.get());
                if points.insert(file, key.tag.get()).is_some() {
                    self.lone_reparse_entry(file, key.tag.get());
                }
            }
            self.reparse_points = Some(points);
        }
        if let Some(record) = self.extend_file("$Quota")? {
            for (name, collation) in [("$O", collate::SID), ("$Q", collate::ULONG)] {
                let kind = Kind {
                    name,
                    indexed: 0,
                    collation,
                };
                self.check_view(&record, kind, |_, _| true)?;
            }
        }
        Ok(())
    }

    fn extend_file(&mut self, name: &str) -> Result<Option<FullRecord>> {
        let found = self.volume.lookup(&format!("$Extend/{name}"));
        let found = self.sink.check(Rule::SystemFile, found)?.flatten();
        let Some(found) = found else {
            let place = Place::Record(crate::format::system::EXTEND.into());
            self.sink
                .report(place, Rule::SystemFile, format!("$Extend/{name}"), "none");
            return Ok(None);
        };
        let record = self.volume.referenced(found);
        self.sink.check(Rule::SystemFile, record)
    }

    /// Reports entries of the two indexes that no file asked for.
    pub(crate) fn check_views_used(&mut self) {
        for (file, tag) in self.reparse_points.take().unwrap_or_default() {
            self.lone_reparse_entry(file, tag);
        }
        for (id, file) in self.object_ids.take().unwrap_or_default() {
            let place = Place::Record(file.record());
            let found = format!("an entry for {id:02x?} in $ObjId:$O");
            self.sink
                .report(place, Rule::ObjectIdIndex, "entries for object ids", found);
        }
    }

    fn lone_reparse_entry(&mut self, file: FileReference, tag: u32) {
        let place = Place::Record(file.record());
        let found = format!("one for {tag:#x}");
        let expected = "entries of $Reparse:$R for reparse points";
        self.sink.report(place, Rule::ReparseIndex, expected, found);
    }
}
