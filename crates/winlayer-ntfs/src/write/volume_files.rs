//! The files that describe the volume.

use std::{
    io::{Read, Seek, Write},
    sync::Arc,
};

use winlayer_metadata::{FileAttributes, FileTimes, SecurityDescriptor, Upcase};
use zerocopy::{
    FromZeros, IntoBytes,
    little_endian::{U16, U32, U64},
};

use super::{
    Node, SMALLEST, State, VolumeSize, VolumeSummary, VolumeWriter, allocated_bytes, lost,
    names::Name, object::stored, output::Order, refused, space,
};
use crate::{
    Namespace, RecordFlags, Result,
    attribute::{Attribute, AttributeType, Content, NonResident},
    definitions::attribute_definitions,
    format::{
        BootSector, CLUSTER, INDEX_BLOCK, RECORD, ReparseKey, SECTOR, VolumeInformation, system,
    },
    index::{Collation, Entries, build},
    quota,
    record::Record,
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
        let mirror = self.space.allocate_bytes(MIRRORED * RECORD as u64)?;
        self.put_stored(system::MFT_MIRROR, mirror.clone(), MIRRORED * RECORD as u64)?;
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

    fn summary(&self) -> Result<VolumeSummary> {
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

    fn put_system(&mut self, number: u32, mut attributes: Vec<Attribute>) -> Result<()> {
        attributes.push(self.standard_information(number)?);
        let names: Vec<Name> = self.names.of_system(number).collect();
        for name in &names {
            attributes.push(self.file_name_attribute(name)?);
        }
        self.put_record(number, attributes, Order::Any)?;
        self.set_written(number);
        Ok(())
    }

    fn set_sizes(&mut self, number: u32, size: u64, allocated: u64) -> Result<()> {
        let node = self.nodes.get_mut(number as usize).ok_or_else(lost)?;
        (node.size, node.allocated) = (size, allocated);
        Ok(())
    }

    /// A file whose content has been or will be put to `runs`.
    fn put_stored(&mut self, number: u32, runs: Vec<Run>, size: u64) -> Result<()> {
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

    /// Decides how large a volume is that fits its content.
    fn fix_size(&mut self) -> Result<()> {
        const MIB: u64 = 1 << 20;
        let VolumeSize::Fit { free } = self.options.size else {
            return Ok(());
        };
        // The root's index, the log of a volume of this size and the bitmaps are still to come.
        let root: u64 = self.names.entry_bytes(system::ROOT) * 2 + 16 * CLUSTER;
        let used = self.space.next() * CLUSTER + root + free;
        let others = log_size(used) + used / CLUSTER / 4 + self.nodes.len() as u64;
        let size = used + others + 4 * CLUSTER + SECTOR as u64;
        let size = size.max(SMALLEST).next_multiple_of(MIB);
        self.space.set_total((size - SECTOR as u64) / CLUSTER);
        self.options.size = VolumeSize::Exact(size);
        Ok(())
    }

    fn total(&self) -> Result<u64> {
        self.space.total().ok_or_else(lost)
    }

    fn size_for(&self, total: u64) -> u64 {
        match self.options.size {
            VolumeSize::Exact(size) => size,
            VolumeSize::Fit { .. } => total * CLUSTER + SECTOR as u64,
        }
    }

    /// An empty log: Windows initialises it when it mounts the volume.
    fn put_log(&mut self) -> Result<()> {
        static EMPTY: [u8; 1 << 16] = [0xff; 1 << 16];
        let size = log_size(self.total()? * CLUSTER);
        let first = self.space.allocate(size / CLUSTER)?;
        let mut at = 0;
        while at < size {
            let piece = (size - at).min(EMPTY.len() as u64);
            let piece = EMPTY.get(..piece as usize).unwrap_or_default();
            self.out.content(first * CLUSTER + at, piece)?;
            at += piece.len() as u64;
        }
        let run = Run {
            lcn: Some(first),
            clusters: size / CLUSTER,
        };
        self.put_stored(system::LOG_FILE, vec![run], size)
    }

    fn put_bad_clusters(&mut self) -> Result<()> {
        let clusters = self.total()?;
        let whole = NonResident {
            initialized: 0,
            ..stored(
                vec![Run {
                    lcn: None,
                    clusters,
                }],
                clusters * CLUSTER,
            )
        };
        let bad = Attribute::non_resident(AttributeType::DATA, whole).named("$Bad");
        let none = Attribute::resident(AttributeType::DATA, Vec::new());
        self.put_system(system::BAD_CLUSTERS, vec![none, bad])
    }

    /// Bytes of `$MFT`: its records in whole clusters.
    fn mft_size(&self) -> u64 {
        (self.nodes.len() as u64 * RECORD as u64).next_multiple_of(CLUSTER)
    }

    /// Writes record 0. The bitmap of records goes where `bitmap` has room for it.
    fn put_mft(&mut self, bitmap: Option<Attribute>) -> Result<()> {
        let records = self.nodes.len();
        let mut bits = vec![0_u8; records.div_ceil(64) * 8];
        for (number, node) in self.nodes.iter().enumerate() {
            if node.is_in_use() {
                space::set(&mut bits, number as u64, 1);
            }
        }
        let size = self.mft_size();
        self.mft.trim(records as u32, &mut self.space);
        let bitmap = self.store_over(bitmap, &bits)?;
        let data = stored(self.mft.runs().to_vec(), size);
        let data = Attribute::non_resident(AttributeType::DATA, data);
        let bitmap = Attribute::non_resident(AttributeType::BITMAP, bitmap);
        self.set_sizes(system::MFT, size, size)?;
        self.put_system(system::MFT, vec![data, bitmap])
    }

    /// Records that nobody uses have the form of records too.
    fn put_unused_records(&mut self) -> Result<()> {
        let records = self.mft_size() / RECORD as u64;
        for number in 0..records {
            let node = self.nodes.get(number as usize);
            let is_due = match node.map(|node| node.state) {
                Some(State::Free) => !self.was_before(number as u32),
                Some(State::Freed) | None => true,
                Some(_) => false,
            };
            if !is_due {
                continue;
            }
            let sequence = node.map_or(1, |node| node.sequence.max(1));
            let sequence = match number < u64::from(system::FIRST_UNUSED) {
                true => number as u16,
                false => sequence,
            };
            let mut record = Record::new(number, sequence, RecordFlags::empty());
            record.flags = RecordFlags::empty();
            self.put_packed(&record, Order::Any)?;
        }
        Ok(())
    }

    fn put_bitmap(&mut self, runs: &[Run], total: u64) -> Result<()> {
        let Some(Run { lcn: Some(lcn), .. }) = runs.first() else {
            return Err(lost());
        };
        let start = lcn * CLUSTER;
        let mut bits = self.space.bitmap();
        if self.before.is_some() {
            // More may have been in use.
            bits.resize(total.div_ceil(8) as usize, 0);
        }
        self.put_bytes(start, &bits)?;
        // What lies behind the last cluster counts as used.
        let padded = total.div_ceil(64) * 64;
        if padded > total {
            let last = total / 8;
            let mut tail = vec![0_u8; (padded / 8 - last) as usize];
            if let (Some(byte), Some(first)) = (bits.get(last as usize), tail.first_mut()) {
                *first = *byte;
            }
            space::set(&mut tail, total - last * 8, padded - total);
            self.put_bytes(start + last, &tail)?;
        }
        Ok(())
    }

    fn put_mirror(&mut self, runs: &[Run]) -> Result<()> {
        let Some(Run { lcn: Some(lcn), .. }) = runs.first() else {
            return Err(lost());
        };
        let first = self.mft.offset(system::MFT).ok_or_else(lost)?;
        let mut records = vec![0; MIRRORED as usize * RECORD];
        self.out.read(first, &mut records)?;
        self.put_bytes(lcn * CLUSTER, &records)
    }

    fn put_boot(&mut self, mirror: &[Run], total: u64) -> Result<()> {
        let cluster = |runs: &[Run]| runs.first().and_then(|run| run.lcn).ok_or_else(lost);
        let size = self.size_for(total);
        let mut boot = BootSector::new_zeroed();
        boot.jump = BootSector::JUMP;
        boot.oem_id = BootSector::OEM_ID;
        boot.bytes_per_sector = U16::new(SECTOR as u16);
        boot.sectors_per_cluster = (CLUSTER / SECTOR as u64) as u8;
        boot.media = 0xf8;
        boot.sectors_per_track = U16::new(63);
        boot.heads = U16::new(255);
        boot.hidden_sectors = U32::new(self.options.hidden_sectors);
        boot.signature = BootSector::SIGNATURE;
        boot.total_sectors = U64::new(size / SECTOR as u64 - 1);
        boot.mft_cluster = U64::new(cluster(self.mft.runs())?);
        boot.mirror_cluster = U64::new(cluster(mirror)?);
        boot.clusters_per_record = -(RECORD.ilog2() as i8);
        boot.clusters_per_index_block = (INDEX_BLOCK as u64 / CLUSTER) as i8;
        boot.serial = U64::new(self.options.serial);
        boot.end = BootSector::END;
        self.out.content(size - SECTOR as u64, boot.as_bytes())?;
        // Without this sector there is no volume, so it comes last.
        self.out.flush()?;
        self.out.content(0, boot.as_bytes())
    }
}

/// Records that `$MFTMirr` has.
const MIRRORED: u64 = 4;

/// Bytes of `$LogFile`: between the 2 MiB that Windows wants at least and the 64 MiB it would take. Most volumes of images are
/// only read, and every byte of the log is stored.
fn log_size(volume: u64) -> u64 {
    (volume / 4096)
        .clamp(2 << 20, 64 << 20)
        .next_multiple_of(CLUSTER)
}
