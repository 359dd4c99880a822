//! The files that describe the volume.

use std::{
    io::{Read, Seek, Write},
    sync::Arc,
};

use winlayer_metadata::{FileAttributes, FileTimes, SecurityDescriptor, Upcase};
use zerocopy::{
    IntoBytes,
    little_endian::{U16, U32, U64},
};

use super::{
    Node, State, VolumeSummary, VolumeWriter, body::allocated_bytes, lost, names::Name,
    object::stored, output::Order, refused,
};
use crate::{
    Namespace, RecordFlags, Result,
    attribute::{Attribute, AttributeType, Content},
    definitions::attribute_definitions,
    format::{
        BootSector, CLUSTER, MIRRORED_RECORDS, RECORD, ReparseKey, VolumeInformation, system,
    },
    index::{Collation, Entries, build},
    quota,
    runs::Run,
};

/// Files of the volume that only Windows itself changes: the values of mkntfs.
const READ_ONLY: &str = "O:BAG:BAD:(A;;0x120089;;;SY)(A;;0x120089;;;BA)";
/// The others.
const READ_WRITE: &str = "O:BAG:BAD:(A;;0x12019f;;;SY)(A;;0x12019f;;;BA)";
/// Of a directory that nobody gave one: what the root of a Windows volume hands down.
const DEFAULT: &str = "O:BAG:SYD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)";

/// Records by their numbers: name, descriptor, flags.
const SYSTEM_FILES: [(u32, &str, &str, RecordFlags); 15] = {
    let (none, directory, view) = (
        RecordFlags::empty(),
        RecordFlags::DIRECTORY,
        RecordFlags::VIEW_INDEX,
    );
    let extend = view.union(RecordFlags::EXTEND);
    [
        (system::MFT, "$MFT", READ_ONLY, none),
        (system::MFT_MIRROR, "$MFTMirr", READ_ONLY, none),
        (system::LOG_FILE, "$LogFile", READ_ONLY, none),
        (system::VOLUME, "$Volume", READ_WRITE, none),
        (system::ATTR_DEF, "$AttrDef", READ_ONLY, none),
        (system::ROOT, ".", DEFAULT, directory),
        (system::BITMAP, "$Bitmap", READ_ONLY, none),
        (system::BOOT, "$Boot", READ_ONLY, none),
        (system::BAD_CLUSTERS, "$BadClus", READ_ONLY, none),
        (system::SECURE, "$Secure", READ_WRITE, view),
        (system::UPCASE, "$UpCase", READ_ONLY, none),
        (system::EXTEND, "$Extend", READ_WRITE, directory),
        (system::QUOTA, "$Quota", READ_WRITE, extend),
        (system::OBJECT_IDS, "$ObjId", READ_WRITE, extend),
        (system::REPARSE, "$Reparse", READ_WRITE, extend),
    ]
};

impl<D: Read + Write + Seek> VolumeWriter<D> {
    /// Takes the file records of the volume's own files, and names them.
    pub(super) fn begin_system(&mut self) -> Result<()> {
        for number in 0..system::FIRST_USER {
            let file = SYSTEM_FILES.iter().find(|(record, ..)| *record == number);
            let is_reserved = (system::FIRST_RESERVED..system::FIRST_UNUSED).contains(&number);
            let descriptor = file.map_or(READ_WRITE, |(_, _, descriptor, _)| descriptor);
            let node = match file.is_some() || is_reserved {
                true => self.system_node(
                    number,
                    descriptor,
                    file.map_or(RecordFlags::empty(), |f| f.3),
                )?,
                false => Node::default(),
            };
            self.mft.make_room(number, &mut self.space)?;
            self.nodes.push(node);
        }
        for (number, name, ..) in SYSTEM_FILES {
            let parent = match number < system::FIRST_RESERVED {
                true => system::ROOT,
                false => system::EXTEND,
            };
            let units: Vec<u16> = name.encode_utf16().collect();
            self.add_name(parent, number, &units, Namespace::WIN32_AND_DOS)?;
        }
        Ok(())
    }

    fn system_node(&mut self, number: u32, descriptor: &str, flags: RecordFlags) -> Result<Node> {
        let time = self.options.created;
        let attributes = match number {
            system::ROOT => FileAttributes::empty(),
            _ => FileAttributes::HIDDEN | FileAttributes::SYSTEM,
        };
        // A record below 16 has its number as sequence, so that nothing takes a zeroed reference for a good one.
        let sequence = match number < system::FIRST_UNUSED {
            true => (number as u16).max(1),
            false => 1,
        };
        Ok(Node {
            times: FileTimes {
                created: time,
                accessed: time,
                written: time,
                changed: time,
            },
            attributes: attributes.bits(),
            security_id: self.security_of(descriptor)?,
            sequence,
            flags: flags | RecordFlags::IN_USE,
            state: State::New,
            ..Node::default()
        })
    }

    pub(super) fn default_security(&mut self) -> Result<u32> {
        self.security_of(DEFAULT)
    }

    fn security_of(&mut self, sddl: &str) -> Result<u32> {
        let descriptor = SecurityDescriptor::from_sddl(sddl);
        let descriptor = descriptor.map_err(|error| refused(sddl, error.to_string()))?;
        self.descriptors.id(&Arc::new(descriptor))
    }

    /// Writes everything but the users' files and directories.
    pub(super) fn finish_system(
        &mut self,
        names: &[Name],
        own_names: &[Name],
    ) -> Result<VolumeSummary> {
        let mut entries = Entries::default();
        for number in system::FIRST_RESERVED..system::FIRST_UNUSED {
            self.put_system(
                number,
                vec![Attribute::resident(AttributeType::DATA, Vec::new())],
            )?;
        }
        self.put_volume()?;
        self.put_data(system::ATTR_DEF, &attribute_definitions())?;
        let upcase: Vec<u8> = Upcase::table()
            .iter()
            .flat_map(|unit| unit.to_le_bytes())
            .collect();
        self.put_data(system::UPCASE, &upcase)?;
        self.put_extend(names, own_names, &mut entries)?;

        self.fix_size()?;
        self.put_log()?;
        self.put_bad_clusters()?;
        let boot = Run {
            lcn: Some(0),
            clusters: BootSector::FILE_SIZE / CLUSTER,
        };
        self.put_stored(system::BOOT, vec![boot], BootSector::FILE_SIZE)?;
        let mirror = self
            .space
            .allocate_bytes(MIRRORED_RECORDS * RECORD as u64)?;
        self.put_stored(
            system::MFT_MIRROR,
            mirror.clone(),
            MIRRORED_RECORDS * RECORD as u64,
        )?;
        let total = self.total()?;
        let bitmap_size = total.div_ceil(64) * 8;
        let bitmap = self.space.allocate_bytes(bitmap_size)?;
        self.put_stored(system::BITMAP, bitmap.clone(), bitmap_size)?;
        // The root may need a few records more, so this bitmap is made with room for them.
        let records_bitmap = self
            .space
            .allocate_bytes(self.nodes.len() as u64 / 8 + 64)?;
        self.mft.trim(self.nodes.len() as u32, &mut self.space);
        let root = self.directories.remove(&system::ROOT).unwrap_or_default();
        loop {
            self.directories.insert(system::ROOT, root.clone());
            let records = self.nodes.len();
            let size = self.mft_size();
            self.set_sizes(system::MFT, size, size)?;
            // Descriptors are complete only now: what is written below adds none.
            if self.node(system::SECURE)?.state == State::New {
                self.put_secure()?;
            }
            self.put_directory(system::ROOT, names, own_names, &mut entries)?;
            if self.nodes.len() == records {
                break;
            }
        }
        let data = stored(records_bitmap, 0);
        let data = Attribute::non_resident(AttributeType::BITMAP, data);
        self.put_mft(Some(data))?;
        self.put_unused_records()?;
        self.put_bitmap(&bitmap, total)?;
        self.put_mirror(&mirror)?;
        self.put_boot(&mirror, total)?;
        self.summary()
    }

    /// The same for a volume that was there before: what has not changed stays.
    pub(super) fn update_system(
        &mut self,
        names: &[Name],
        own_names: &[Name],
    ) -> Result<VolumeSummary> {
        let mut entries = Entries::default();
        let reparse = self.reparse_entries()?;
        self.put_views(system::REPARSE, &[("$R", Collation::ULONGS, &reparse)])?;
        self.put_secure()?;
        let bitmap = self.runs_of(system::BITMAP)?;
        let mirror = self.runs_of(system::MFT_MIRROR)?;
        let mut records = 0;
        while records != self.nodes.len() {
            records = self.nodes.len();
            let size = self.mft_size();
            if self.node(system::MFT)?.size != size {
                self.set_sizes(system::MFT, size, size)?;
                self.set_changed(system::ROOT);
            }
            if self.node(system::ROOT)?.state == State::Changed {
                self.put_directory(system::ROOT, names, own_names, &mut entries)?;
            }
        }
        let mut old = self.old_attributes(system::MFT)?;
        let is_bitmap = |old: &mut Attribute| old.kind == AttributeType::BITMAP;
        let records_bitmap = old.extract_if(.., is_bitmap).next();
        self.put_mft(records_bitmap)?;
        self.put_unused_records()?;
        self.put_bitmap(&bitmap, self.total()?)?;
        self.put_mirror(&mirror)?;
        self.summary()
    }

    pub(super) fn summary(&self) -> Result<VolumeSummary> {
        Ok(VolumeSummary {
            size: self.size_for(self.total()?),
            used: self.space.used() * CLUSTER,
            records: self.nodes.len() as u64,
        })
    }

    /// Where the content of one of the volume's own files is.
    fn runs_of(&mut self, number: u32) -> Result<Vec<Run>> {
        let attributes = self.old_attributes(number)?;
        let data = attributes
            .into_iter()
            .find(|old| old.kind == AttributeType::DATA);
        match data.map(|data| data.content) {
            Some(Content::NonResident(value)) => Ok(value.runs),
            _ => Err(lost()),
        }
    }

    /// Writes to clusters of the volume's own files; of what was there before only what differs.
    pub(super) fn put_bytes(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        match self.before {
            Some(_) => self.out.change(offset, bytes),
            None => self.out.content(offset, bytes),
        }
    }

    pub(super) fn put_system(&mut self, number: u32, mut attributes: Vec<Attribute>) -> Result<()> {
        attributes.push(self.standard_information(number)?);
        let names: Vec<Name> = self.names.of_system(number).collect();
        for name in &names {
            attributes.push(self.file_name_attribute(name)?);
        }
        self.put_record(number, attributes, Order::Any)?;
        self.set_written(number);
        Ok(())
    }

    pub(super) fn set_sizes(&mut self, number: u32, size: u64, allocated: u64) -> Result<()> {
        let node = self.nodes.get_mut(number as usize).ok_or_else(lost)?;
        (node.size, node.allocated) = (size, allocated);
        Ok(())
    }

    /// A file whose content has been or will be put to `runs`.
    pub(super) fn put_stored(&mut self, number: u32, runs: Vec<Run>, size: u64) -> Result<()> {
        let data = Attribute::non_resident(AttributeType::DATA, stored(runs, size));
        self.set_sizes(number, size, allocated_bytes(&data))?;
        self.put_system(number, vec![data])
    }

    fn put_data(&mut self, number: u32, content: &[u8]) -> Result<()> {
        let runs = self.store_value(content)?;
        self.put_stored(number, runs, content.len() as u64)
    }

    fn put_volume(&mut self) -> Result<()> {
        let label = self.options.label.encode_utf16();
        let label = label.flat_map(u16::to_le_bytes).collect();
        let information = VolumeInformation {
            unused: U64::new(0),
            major: 3,
            minor: 1,
            flags: U16::new(0),
        };
        let information = information.as_bytes().to_vec();
        self.put_system(
            system::VOLUME,
            vec![
                Attribute::resident(AttributeType::VOLUME_NAME, label),
                Attribute::resident(AttributeType::VOLUME_INFORMATION, information),
                Attribute::resident(AttributeType::DATA, Vec::new()),
            ],
        )
    }

    /// `$Extend` and what is in it.
    fn put_extend(
        &mut self,
        names: &[Name],
        own_names: &[Name],
        entries: &mut Entries,
    ) -> Result<()> {
        let none = Entries::default();
        let time = self.options.created;
        self.put_views(
            system::QUOTA,
            &[
                ("$O", Collation::SID, &quota::by_owner()),
                ("$Q", Collation::ULONG, &quota::by_id(time)),
            ],
        )?;
        self.put_views(system::OBJECT_IDS, &[("$O", Collation::ULONGS, &none)])?;
        let reparse = self.reparse_entries()?;
        self.put_views(system::REPARSE, &[("$R", Collation::ULONGS, &reparse)])?;
        self.put_directory(system::EXTEND, names, own_names, entries)
    }

    fn reparse_entries(&mut self) -> Result<Entries> {
        let mut points = std::mem::take(&mut self.reparse_points);
        points.sort_unstable();
        let mut entries = Entries::default();
        for &(tag, file) in &points {
            let key = ReparseKey {
                tag: U32::new(tag),
                reference: U64::new(self.reference(file)?.raw()),
            };
            entries.push_view(key.as_bytes(), &[], &[]);
        }
        self.reparse_points = points;
        Ok(entries)
    }

    /// A file with view indexes: name, collation, entries.
    fn put_views(&mut self, number: u32, views: &[(&str, Collation, &Entries)]) -> Result<()> {
        let mut old = self.old_attributes(number)?;
        let attributes = self.view_attributes(views, &mut old)?;
        self.put_system(number, attributes)
    }

    /// What the record had when the volume was opened.
    fn old_attributes(&mut self, number: u32) -> Result<Vec<Attribute>> {
        match self.was_before(number) {
            true => self.take_attributes(number),
            false => Ok(Vec::new()),
        }
    }

    fn view_attributes(
        &mut self,
        views: &[(&str, Collation, &Entries)],
        old: &mut Vec<Attribute>,
    ) -> Result<Vec<Attribute>> {
        /// Small enough for two of them beside the rest of a record.
        const ROOT_LIMIT: usize = 256;
        let mut attributes = Vec::new();
        for (name, collation, entries) in views {
            let index = build(0, *collation, entries, ROOT_LIMIT);
            attributes.extend(self.index_attributes(name, index, old)?);
        }
        Ok(attributes)
    }

    fn put_secure(&mut self) -> Result<()> {
        let mut old = self.old_attributes(system::SECURE)?;
        let old_stream = old.extract_if(.., |old| old.has_name("$SDS")).next();
        let value = self.store_over(old_stream, &self.descriptors.stream())?;
        let stream = Attribute::non_resident(AttributeType::DATA, value).named("$SDS");
        let (by_hash, by_id) = (self.descriptors.by_hash(), self.descriptors.by_id());
        let views: [(&str, _, _); 2] = [
            ("$SDH", Collation::SECURITY_HASH, &by_hash),
            ("$SII", Collation::ULONG, &by_id),
        ];
        let mut attributes = self.view_attributes(&views, &mut old)?;
        attributes.push(stream);
        self.put_system(system::SECURE, attributes)
    }
}
