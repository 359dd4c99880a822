//! The attributes of a file, whatever records they are in.

use std::{
    collections::HashSet,
    io::{Read, Seek},
};

use super::{Verifier, rule::Rule};
use crate::{
    RecordFlags,
    attribute::{Attribute, AttributeType, Content, NonResident, attribute_flags},
    format::system,
    read::records::FullRecord,
    runs,
};

/// Where the value of a type may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Residence {
    Record,
    Clusters,
    Both,
}

/// What `$AttrDef` and Windows allow for a type.
struct Definition {
    kind: AttributeType,
    residence: Residence,
    named: bool,
    sizes: std::ops::RangeInclusive<u64>,
}

const fn define(
    kind: AttributeType,
    residence: Residence,
    named: bool,
    least: u64,
    most: u64,
) -> Definition {
    let sizes = least..=most;
    Definition {
        kind,
        residence,
        named,
        sizes,
    }
}

/// From `$AttrDef` of NTFS 3.1; an empty label is what mkntfs writes.
const DEFINITIONS: [Definition; 15] = {
    use AttributeType as T;
    use Residence::{Both, Clusters, Record};
    const ANY: u64 = u64::MAX;
    [
        define(T::STANDARD_INFORMATION, Record, false, 48, 72),
        define(T::ATTRIBUTE_LIST, Both, false, 32, 256 << 10),
        define(T::FILE_NAME, Record, false, 68, 578),
        define(T::OBJECT_ID, Record, false, 16, 256),
        define(T::SECURITY_DESCRIPTOR, Both, false, 20, ANY),
        define(T::VOLUME_NAME, Record, false, 0, 256),
        define(T::VOLUME_INFORMATION, Record, false, 12, 12),
        define(T::DATA, Both, true, 0, ANY),
        define(T::INDEX_ROOT, Record, true, 32, ANY),
        define(T::INDEX_ALLOCATION, Clusters, true, 0, ANY),
        define(T::BITMAP, Both, true, 8, ANY),
        define(T::REPARSE_POINT, Both, false, 8, 16_384),
        define(T::EA_INFORMATION, Record, false, 8, 8),
        define(T::EA, Both, false, 0, 65_536),
        define(T::LOGGED_UTILITY_STREAM, Both, true, 0, 65_536),
    ]
};

impl<D: Read + Seek> Verifier<'_, D> {
    pub(crate) fn check_attributes(&mut self, full: &FullRecord) {
        let number = full.number();
        let mut seen = HashSet::new();
        for attribute in &full.attributes {
            self.check_definition(attribute, number);
            if let Content::NonResident(value) = &attribute.content {
                self.check_value(attribute, value, number);
            }
            let is_name = attribute.kind == AttributeType::FILE_NAME;
            if !is_name && !seen.insert((attribute.kind, &attribute.name)) {
                let place = attribute.place(number);
                self.sink
                    .report(place, Rule::DuplicateAttribute, "it once", "it twice");
            }
        }
        self.check_presence(full);
    }

    fn check_definition(&mut self, attribute: &Attribute, number: u64) {
        let place = || attribute.place(number);
        let sink = &mut self.sink;
        let defined = DEFINITIONS
            .iter()
            .find(|definition| definition.kind == attribute.kind);
        let Some(definition) = defined else {
            sink.report(
                place(),
                Rule::AttributeType,
                "a type of NTFS 3.1",
                attribute.kind.to_string(),
            );
            return;
        };
        let resident = attribute.value().is_some();
        if definition.residence == Residence::Record && !resident {
            sink.report(
                place(),
                Rule::AttributeResidence,
                "it in the record",
                "it in clusters",
            );
        }
        if definition.residence == Residence::Clusters && resident {
            sink.report(
                place(),
                Rule::AttributeResidence,
                "it in clusters",
                "it in the record",
            );
        }
        if !definition.named && !attribute.name.is_empty() {
            let found = String::from_utf16_lossy(&attribute.name);
            sink.report(place(), Rule::AttributeName, "no name", found);
        }
        if !definition.sizes.contains(&attribute.size()) {
            let expected = format!("{:?} bytes", definition.sizes);
            sink.report(
                place(),
                Rule::AttributeSize,
                expected,
                attribute.size().to_string(),
            );
        }
        let stream = attribute.kind == AttributeType::DATA;
        let known =
            attribute_flags::COMPRESSED | attribute_flags::ENCRYPTED | attribute_flags::SPARSE;
        // A directory's index carries the mark that its files are to be compressed.
        let allowed = match attribute.kind {
            AttributeType::DATA => known,
            AttributeType::INDEX_ROOT => attribute_flags::COMPRESSED | attribute_flags::ENCRYPTED,
            _ => 0,
        };
        if attribute.flags & !allowed != 0
            || (stream && resident && attribute.flags & attribute_flags::SPARSE != 0)
        {
            let found = format!("{:#06x}", attribute.flags);
            sink.report(
                place(),
                Rule::AttributeFlags,
                format!("bits of {allowed:#06x}"),
                found,
            );
        }
        if let Content::Resident { indexed, .. } = attribute.content {
            let is_name = attribute.kind == AttributeType::FILE_NAME;
            sink.expect(place, Rule::IndexedFlag, "indexed", is_name, indexed);
        }
    }

    /// Sizes against runs.
    fn check_value(&mut self, attribute: &Attribute, value: &NonResident, number: u64) {
        let place = || attribute.place(number);
        let sink = &mut self.sink;
        let cluster = self.volume.geometry.cluster;
        let mapped = runs::clusters_of(&value.runs).saturating_mul(cluster);
        sink.expect(
            place,
            Rule::ValueSizes,
            "allocated",
            mapped,
            value.allocated,
        );
        if value.size > value.allocated {
            let expected = format!("at most the {} allocated", value.allocated);
            sink.report(
                place(),
                Rule::ValueSizes,
                expected,
                format!("a size of {}", value.size),
            );
        }
        if value.initialized > value.size {
            let expected = format!("at most {} initialized", value.size);
            sink.report(
                place(),
                Rule::ValueSizes,
                expected,
                value.initialized.to_string(),
            );
        }
        if let Some(in_use) = value.in_use {
            let there = runs::clusters_in_use(&value.runs).saturating_mul(cluster);
            sink.expect(place, Rule::ValueSizes, "used", there, in_use);
        }
        let gaps = attribute.flags & (attribute_flags::COMPRESSED | attribute_flags::SPARSE) != 0;
        let bad_clusters = number == u64::from(system::BAD_CLUSTERS) && attribute.has_name("$Bad");
        let hole = value.runs.iter().any(|run| run.lcn.is_none());
        if hole && !gaps && !bad_clusters {
            let found = "holes in it";
            sink.report(
                place(),
                Rule::Holes,
                "clusters for all of an ordinary value",
                found,
            );
        }
        let units: &[u16] = match attribute.flags {
            flags if flags & attribute_flags::COMPRESSED != 0 => &[4],
            flags if flags & attribute_flags::SPARSE != 0 => &[0, 4],
            _ => &[0],
        };
        if !units.contains(&value.compression_unit) {
            let expected = format!("a unit of {units:?}");
            let found = value.compression_unit.to_string();
            sink.report(place(), Rule::ValueSizes, expected, found);
        }
    }

    /// What must be there, and the flags of the record.
    fn check_presence(&mut self, full: &FullRecord) {
        let number = full.number();
        let place = || crate::Place::Record(number);
        let sink = &mut self.sink;
        if full.find(AttributeType::STANDARD_INFORMATION, "").is_none() {
            let expected = "$STANDARD_INFORMATION";
            sink.report(place(), Rule::MissingAttribute, expected, "none");
        }
        let mut roots = full.all(AttributeType::INDEX_ROOT);
        let directory = full.find(AttributeType::INDEX_ROOT, "$I30").is_some();
        let view = roots.any(|root| !root.has_name("$I30"));
        let flags = full.base.flags;
        for (flag, what, has) in [
            (RecordFlags::DIRECTORY, "directory", directory),
            (RecordFlags::VIEW_INDEX, "view index", view),
        ] {
            sink.expect(place, Rule::RecordFlags, what, has, flags.contains(flag));
        }
        let unknown = flags
            & !(RecordFlags::IN_USE
                | RecordFlags::DIRECTORY
                | RecordFlags::EXTEND
                | RecordFlags::VIEW_INDEX);
        if !unknown.is_empty() {
            let found = format!("{:#06x}", unknown.bits());
            sink.report(place(), Rule::RecordFlags, "known flags", found);
        }
        let content = full.find(AttributeType::DATA, "").is_some();
        if directory && content {
            sink.report(
                place(),
                Rule::MissingAttribute,
                "no content in a directory",
                "$DATA",
            );
        }
        if !directory && !view && !content {
            sink.report(place(), Rule::MissingAttribute, "$DATA", "none");
        }
        for kind in [AttributeType::INDEX_ALLOCATION, AttributeType::BITMAP] {
            for attribute in full
                .all(kind)
                .filter(|attribute| !attribute.name.is_empty())
            {
                let roots = full.all(AttributeType::INDEX_ROOT);
                if !roots.into_iter().any(|root| root.name == attribute.name) {
                    let expected = "$INDEX_ROOT beside it";
                    let place = attribute.place(number);
                    sink.report(place, Rule::MissingAttribute, expected, "none");
                }
            }
        }
    }
}
