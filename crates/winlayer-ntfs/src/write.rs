//! [`VolumeWriter`]: a volume in one pass.
//!
//! ```text
//! $Boot │ $MFT, first piece │ contents in the order they come, further pieces of $MFT between them │ indexes, $Secure,
//!       │                   │                                                                      │ $Bitmap, …
//! ```
//!
//! Each stream gets its clusters once, together, when its size is told. A file's record is written when the file is complete;
//! directories and everything that describes the volume follow in [`VolumeWriter::finish`]. Only names and the facts that
//! directories repeat are kept in memory.

mod finish;
mod mft;
mod names;
mod object;
mod output;
mod pack;
mod resume;
mod security;
mod space;
mod volume_files;

use std::{
    collections::HashMap,
    io::{self, Read, Seek, Write},
    sync::Arc,
};

use winlayer_metadata::{
    ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint, SecurityDescriptor,
};
use zerocopy::IntoBytes;

use self::{
    mft::MftRuns,
    names::{Name, Names, Node, State, file_name},
    object::{Body, BodyPlace, OpenObject, SparseBody, ea_attributes, reparse_attribute},
    output::{Order, Output},
    pack::{Room, pack},
    resume::Before,
    security::Descriptors,
    space::Space,
};
pub use self::{names::NameId, resume::ExistingName};
use crate::{
    FileReference, Namespace, NtfsError, RecordFlags, Result,
    attribute::{Attribute, AttributeType},
    format::{CLUSTER, MAX_NAME, RECORD, system},
    record::Record,
    runs::Run,
};

/// How large a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeSize {
    /// Bytes, a multiple of 512, and at least 4 MiB.
    Exact(u64),
    /// As large as its content, with at least this many bytes free; a whole number of MiB.
    Fit {
        /// Bytes to be left free.
        free: u64,
    },
}

/// What a volume is made with.
#[derive(Clone, Debug)]
pub struct VolumeOptions {
    /// Its size.
    pub size: VolumeSize,
    /// At most 32 UTF-16 units.
    pub label: String,
    /// What Windows shows the lower half of.
    pub serial: u64,
    /// When it was made: the times of its own files, and of a root that is given none.
    pub created: FileTime,
    /// Sectors of 512 bytes before the volume on its disk.
    pub hidden_sectors: u32,
}

/// A file or directory of the volume that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

impl FileId {
    /// The root directory.
    pub const ROOT: Self = Self(system::ROOT);
}

/// All of an object but its names and streams.
#[derive(Clone, Copy, Debug)]
pub struct ObjectMetadata<'a> {
    /// `FILE_ATTRIBUTE_*`. NTFS keeps those that can be set; the rest follows from the object.
    pub attributes: FileAttributes,
    /// The four times.
    pub times: FileTimes,
    /// Owner, group and access.
    pub security: &'a Arc<SecurityDescriptor>,
    /// May be empty.
    pub extended_attributes: &'a ExtendedAttributes,
    /// Makes it a link, or whatever the tag says.
    pub reparse: Option<&'a ReparsePoint>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeSummary {
    /// Bytes of the volume.
    pub size: u64,
    /// Bytes of the clusters in use.
    pub used: u64,
    /// File records, those of the volume itself included.
    pub records: u64,
}

/// The most names a file may have on Windows.
const MOST_LINKS: u32 = 1024;
/// Longest label, in UTF-16 units.
const LONGEST_LABEL: usize = 32;
/// A volume smaller than this has no room for its own files.
const SMALLEST: u64 = 4 << 20;

/// Attributes that SetFileAttributes can set; the others say something about the object that is true or not.
const KEPT_ATTRIBUTES: FileAttributes = FileAttributes::READONLY
    .union(FileAttributes::HIDDEN)
    .union(FileAttributes::SYSTEM)
    .union(FileAttributes::ARCHIVE)
    .union(FileAttributes::TEMPORARY)
    .union(FileAttributes::OFFLINE)
    .union(FileAttributes::NOT_CONTENT_INDEXED);

/// Name space of what users have. Windows pairs the spaces for long and for short names, and layers bring no short ones; on
/// volumes without short names it uses this one, and looks names up without regard to case all the same.
const USER_NAMESPACE: Namespace = Namespace::POSIX;

/// Writes an NTFS volume to a device: `Write` takes the bytes of the stream that was begun last.
///
/// The device must read as zeros where nothing has been written, as a new file does. `Read` is needed because a hard link may
/// come long after its file's record was written.
///
/// ```
/// use std::{io::{Cursor, Write}, sync::Arc};
/// use winlayer_metadata::{ExtendedAttributes, FileAttributes, FileTime, FileTimes, SecurityDescriptor};
/// use winlayer_ntfs::{FileId, ObjectMetadata, VolumeOptions, VolumeSize, VolumeWriter};
///
/// let time = FileTime::UNIX_EPOCH;
/// let security = Arc::new(SecurityDescriptor::from_sddl("O:BAG:SYD:(A;OICI;FA;;;WD)")?);
/// let metadata = ObjectMetadata {
///     attributes: FileAttributes::ARCHIVE,
///     times: FileTimes { created: time, accessed: time, written: time, changed: time },
///     security: &security,
///     extended_attributes: &ExtendedAttributes::default(),
///     reparse: None,
/// };
/// let options = VolumeOptions {
///     size: VolumeSize::Exact(8 << 20),
///     label: "sample".to_owned(),
///     serial: 0x1234_5678_9abc_def0,
///     created: time,
///     hidden_sectors: 0,
/// };
/// let mut volume = VolumeWriter::create(Cursor::new(Vec::new()), options)?;
/// let folder = volume.add_directory(FileId::ROOT, "folder")?;
/// volume.begin_file(folder, "hello.txt", &metadata, 5)?;
/// volume.write_all(b"hello")?;
/// let (device, summary) = volume.finish()?;
/// assert_eq!(summary.size, 8 << 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct VolumeWriter<D> {
    out: Output<D>,
    options: VolumeOptions,
    space: Space,
    mft: MftRuns,
    /// By file record.
    nodes: Vec<Node>,
    names: Names,
    descriptors: Descriptors,
    /// Streams, extended attributes and reparse data of directories whose records have yet to be written.
    directories: HashMap<u32, Vec<Attribute>>,
    /// Tag and file.
    reparse_points: Vec<(u32, u32)>,
    object: Option<OpenObject>,
    record_bytes: Vec<u8>,
    /// The volume was there before.
    before: Option<Before>,
}

impl<D: Read + Write + Seek> VolumeWriter<D> {
    /// Begins a volume on an empty device.
    ///
    /// # Errors
    ///
    /// A size or label that no volume can have.
    pub fn create(device: D, options: VolumeOptions) -> Result<Self> {
        let total = match options.size {
            VolumeSize::Exact(size) if size < SMALLEST || size % 512 != 0 => {
                let rule = "it must be a multiple of 512, and at least 4 MiB";
                return Err(NtfsError::Size { size, rule });
            }
            // The last sector holds the copy of the first one.
            VolumeSize::Exact(size) => Some((size - 512) / CLUSTER),
            VolumeSize::Fit { .. } => None,
        };
        let label = &options.label;
        if label.encode_utf16().count() > LONGEST_LABEL {
            let (name, rule) = (label.clone(), "a label has at most 32 UTF-16 units");
            return Err(NtfsError::Name { name, rule });
        }
        let boot_clusters = crate::format::BootSector::FILE_SIZE / CLUSTER;
        let mut volume = Self {
            out: Output::new(device),
            options,
            space: Space::new(boot_clusters, total, Vec::new()),
            mft: MftRuns::new(Vec::new()),
            nodes: Vec::new(),
            names: Names::default(),
            descriptors: Descriptors::default(),
            directories: HashMap::new(),
            reparse_points: Vec::new(),
            object: None,
            record_bytes: Vec::new(),
            before: None,
        };
        volume.begin_system()?;
        Ok(volume)
    }

    /// Adds a directory, which has no metadata but defaults until [`begin_directory`](Self::begin_directory) gives it some.
    ///
    /// # Errors
    ///
    /// `parent` is no directory, the name cannot be, or the device fails.
    pub fn add_directory(&mut self, parent: FileId, name: &str) -> Result<FileId> {
        let units = file_name(name)?;
        self.check_directory(parent, name)?;
        let time = self.options.created;
        let node = Node {
            times: FileTimes {
                created: time,
                accessed: time,
                written: time,
                changed: time,
            },
            security_id: self.default_security()?,
            flags: RecordFlags::DIRECTORY,
            ..Node::default()
        };
        let file = self.add_node(node)?;
        self.add_name(parent.0, file, &units, USER_NAMESPACE)?;
        Ok(FileId(file))
    }

    /// Gives a directory its metadata, in place of what it had; streams begun next belong to it.
    ///
    /// # Errors
    ///
    /// It is no directory, or the object before is not complete.
    pub fn begin_directory(
        &mut self,
        directory: FileId,
        metadata: &ObjectMetadata<'_>,
    ) -> Result<()> {
        self.end_object()?;
        self.check_directory(directory, "its metadata")?;
        let security_id = self.descriptors.id(metadata.security)?;
        let attributes = self.describe(directory.0, metadata, security_id);
        self.set_changed(directory.0);
        // What the directories above it repeat of it.
        if let Some(name) = self.names.get(self.node(directory.0)?.last_name) {
            self.set_changed(name.parent);
        }
        self.object = Some(OpenObject::new(directory.0, attributes, RECORD));
        Ok(())
    }

    /// Begins a file of `size` bytes, which are written next; further streams may follow.
    ///
    /// # Errors
    ///
    /// `parent` is no directory, the name cannot be, the volume is full, the object before is not complete, or the device fails.
    pub fn begin_file(
        &mut self,
        parent: FileId,
        name: &str,
        metadata: &ObjectMetadata<'_>,
        size: u64,
    ) -> Result<FileId> {
        self.end_object()?;
        let file = self.begin_object(parent, name, metadata, RecordFlags::empty())?;
        self.begin_body(Vec::new(), size, metadata.attributes)?;
        Ok(file)
    }

    /// Adds a link that is a directory: a reparse point with nothing below it. Streams begun next belong to it.
    ///
    /// # Errors
    ///
    /// As [`begin_file`](Self::begin_file).
    pub fn begin_directory_link(
        &mut self,
        parent: FileId,
        name: &str,
        metadata: &ObjectMetadata<'_>,
    ) -> Result<FileId> {
        self.end_object()?;
        self.begin_object(parent, name, metadata, RecordFlags::DIRECTORY)
    }

    fn begin_object(
        &mut self,
        parent: FileId,
        name: &str,
        metadata: &ObjectMetadata<'_>,
        flags: RecordFlags,
    ) -> Result<FileId> {
        let units = file_name(name)?;
        self.check_directory(parent, name)?;
        let security_id = self.descriptors.id(metadata.security)?;
        let file = self.add_node(Node {
            flags,
            ..Node::default()
        })?;
        self.add_name(parent.0, file, &units, USER_NAMESPACE)?;
        let attributes = self.describe(file, metadata, security_id);
        // Beside them the record has its times and one name.
        let others = 96 + (24 + 66 + units.len() * 2).next_multiple_of(8);
        self.object = Some(OpenObject::new(file, attributes, others));
        Ok(FileId(file))
    }

    /// Begins a named stream of the object that was begun last.
    ///
    /// # Errors
    ///
    /// There is no such object, the name cannot be or is there already, the stream before is not complete, or the volume is full.
    pub fn begin_stream(&mut self, name: &str, size: u64) -> Result<()> {
        let units: Vec<u16> = name.encode_utf16().collect();
        if units.is_empty() || units.len() > MAX_NAME || name.contains(['\0', '/', '\\', ':']) {
            let name = name.escape_debug().to_string();
            let rule = "a stream has 1 to 255 UTF-16 units and none of NUL / \\ :";
            return Err(NtfsError::Name { name, rule });
        }
        self.end_body()?;
        let Some(object) = &self.object else {
            return Err(refused(name, "a stream needs an object before it"));
        };
        let is_same = |other: &Attribute| {
            other.kind == AttributeType::DATA && names::is_same(&other.name, &units)
        };
        if object.attributes.iter().any(is_same) {
            return Err(refused(name, "the object has a stream of this name"));
        }
        self.begin_body(units, size, FileAttributes::empty())
    }

    /// Gives a file another name.
    ///
    /// # Errors
    ///
    /// The file is a directory or has 1,024 names, `parent` is no directory, or the name cannot be.
    pub fn link(&mut self, file: FileId, parent: FileId, name: &str) -> Result<NameId> {
        let units = file_name(name)?;
        self.check_directory(parent, name)?;
        let node = self.node(file.0)?;
        if node.is_directory() {
            return Err(refused(name, "directories have one name only"));
        }
        let count = u32::from(node.names) + 1;
        if count > MOST_LINKS {
            let (name, limit) = (name.to_owned(), MOST_LINKS);
            return Err(NtfsError::TooManyLinks { name, count, limit });
        }
        self.set_changed(file.0);
        self.add_name(parent.0, file.0, &units, USER_NAMESPACE)
    }

    /// Puts what metadata says into the node; gives the attributes it makes.
    fn describe(
        &mut self,
        file: u32,
        metadata: &ObjectMetadata<'_>,
        security_id: u32,
    ) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        let mut bits = metadata.attributes & KEPT_ATTRIBUTES;
        let mut tag_or_ea_size = 0;
        if !metadata.extended_attributes.is_empty() {
            let (information, both) = ea_attributes(metadata.extended_attributes);
            tag_or_ea_size = u32::from(information.packed_length.get());
            attributes.extend(both);
        }
        self.reparse_points.retain(|&(_, other)| other != file);
        if let Some(reparse) = metadata.reparse {
            bits |= FileAttributes::REPARSE_POINT;
            tag_or_ea_size = reparse.tag().0;
            attributes.push(reparse_attribute(reparse));
            self.reparse_points.push((reparse.tag().0, file));
        }
        if let Some(node) = self.nodes.get_mut(file as usize) {
            node.times = metadata.times;
            node.attributes = bits.bits();
            node.tag_or_ea_size = tag_or_ea_size;
            node.security_id = security_id;
        }
        attributes
    }

    fn begin_body(&mut self, name: Vec<u16>, size: u64, attributes: FileAttributes) -> Result<()> {
        let Some(object) = &mut self.object else {
            return Ok(());
        };
        let sparse = attributes.contains(FileAttributes::SPARSE_FILE);
        let place = if object.has_room(&name, size) {
            BodyPlace::Resident(Vec::with_capacity(size as usize))
        } else if sparse {
            BodyPlace::Sparse(SparseBody::default())
        } else {
            BodyPlace::Clusters(self.space.allocate(size.div_ceil(CLUSTER))?)
        };
        object.body = Some(Body {
            name,
            size,
            written: 0,
            place,
        });
        Ok(())
    }

    /// Takes the next bytes of the current stream.
    fn write_body(&mut self, bytes: &[u8]) -> Result<()> {
        let body = self.object.as_mut().and_then(|object| object.body.as_mut());
        let left = body.as_ref().map_or(0, |body| body.left());
        let Some(body) = body.filter(|_| bytes.len() as u64 <= left) else {
            let rule = format!("{left} bytes are left of its size, {} came", bytes.len());
            return Err(refused("a stream", rule));
        };
        match &mut body.place {
            BodyPlace::Resident(value) => value.extend(bytes),
            BodyPlace::Clusters(first) => {
                let offset = *first * CLUSTER + body.written;
                self.out.content(offset, bytes)?;
            }
            BodyPlace::Sparse(sparse) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let room = SparseBody::UNIT - sparse.unit.len();
                    let (now, later) = rest.split_at(room.min(rest.len()));
                    sparse.unit.extend(now);
                    rest = later;
                    if sparse.unit.len() == SparseBody::UNIT {
                        end_unit(sparse, &mut self.space, &mut self.out)?;
                    }
                }
            }
        }
        body.written += bytes.len() as u64;
        Ok(())
    }

    /// Completes the current stream.
    fn end_body(&mut self) -> Result<()> {
        let Some(object) = &mut self.object else {
            return Ok(());
        };
        let Some(mut body) = object.body.take() else {
            return Ok(());
        };
        body.check_end().map_err(NtfsError::write)?;
        match &mut body.place {
            BodyPlace::Resident(_) => {}
            BodyPlace::Clusters(first) => {
                let end = *first * CLUSTER + body.size;
                pad_cluster(&mut self.out, end)?;
            }
            BodyPlace::Sparse(sparse) => end_unit(sparse, &mut self.space, &mut self.out)?,
        }
        let attribute = body.into_attribute();
        if let Some(node) = self.nodes.get_mut(object.file as usize) {
            if attribute.name.is_empty() {
                node.size = attribute.size();
                node.allocated = allocated_bytes(&attribute);
            }
            if attribute.flags & crate::attribute::attribute_flags::SPARSE != 0 {
                node.attributes |= FileAttributes::SPARSE_FILE.bits();
            }
        }
        object.push(attribute);
        Ok(())
    }

    /// Completes the current object and writes its record, unless it is a directory, which may still get names.
    fn end_object(&mut self) -> Result<()> {
        self.end_body()?;
        let Some(object) = self.object.take() else {
            return Ok(());
        };
        let file = object.file;
        if self.node(file)?.is_directory() {
            self.directories.insert(file, object.attributes);
            return Ok(());
        }
        let name = self.names.get(self.node(file)?.last_name);
        let name = name.ok_or_else(lost)?;
        let mut attributes = object.attributes;
        attributes.push(self.standard_information(file)?);
        attributes.push(self.file_name_attribute(&name)?);
        self.put_record(file, attributes, Order::Rising)?;
        if let Some(node) = self.nodes.get_mut(file as usize) {
            node.state = match node.names {
                1 => State::Written,
                _ => State::Changed,
            };
        }
        Ok(())
    }

    fn standard_information(&self, file: u32) -> Result<Attribute> {
        let value = self.node(file)?.standard_information();
        let value = value.as_bytes().to_vec();
        Ok(Attribute::resident(
            AttributeType::STANDARD_INFORMATION,
            value,
        ))
    }

    fn file_name_attribute(&self, name: &Name) -> Result<Attribute> {
        let mut value = Vec::new();
        let (parent, node) = (self.reference(name.parent)?, self.node(name.file)?);
        self.names.push_file_name(name, parent, node, &mut value);
        Ok(Attribute::resident(AttributeType::FILE_NAME, value))
    }

    /// Writes the record `number`, and those it takes more.
    fn put_record(&mut self, number: u32, attributes: Vec<Attribute>, order: Order) -> Result<()> {
        let node = self.node(number)?;
        let mut record = Record::new(number.into(), node.sequence, node.flags);
        record.link_count = node.names;
        attributes
            .into_iter()
            .for_each(|attribute| record.push(attribute));
        let extensions = pack(&mut record, self)?;
        self.put_packed(&record, order)?;
        for extension in &extensions {
            self.put_packed(extension, Order::Any)?;
        }
        Ok(())
    }

    fn put_packed(&mut self, record: &Record, order: Order) -> Result<()> {
        record.encode(&mut self.record_bytes)?;
        let offset = u32::try_from(record.number).ok();
        let offset = offset.and_then(|number| self.mft.offset(number));
        let offset = offset.ok_or_else(lost)?;
        if u32::try_from(record.number).is_ok_and(|number| self.was_before(number)) {
            return self.out.change(offset, &self.record_bytes);
        }
        self.out.record(offset, &self.record_bytes, order)
    }

    /// Takes the next file record for `node`.
    fn add_node(&mut self, node: Node) -> Result<u32> {
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

    fn add_name(
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

    fn node(&self, number: u32) -> Result<&Node> {
        self.nodes.get(number as usize).ok_or_else(lost)
    }

    fn reference(&self, number: u32) -> Result<FileReference> {
        let sequence = self.node(number)?.sequence;
        Ok(FileReference::new(number.into(), sequence))
    }

    fn check_directory(&self, directory: FileId, wanted_by: &str) -> Result<()> {
        let node = self.node(directory.0)?;
        if node.is_directory() && !node.is_reparse_point() && node.is_in_use() {
            return Ok(());
        }
        Err(refused(wanted_by, "what it is put into is no directory"))
    }

    /// Writes `value` to clusters of its own.
    fn store_value(&mut self, value: &[u8]) -> Result<Vec<Run>> {
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

impl<D: Read + Write + Seek> Write for VolumeWriter<D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.write_body(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(NtfsError::Io { source, .. }) => Err(source),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the collected unit of a sparse stream, or leaves it out.
fn end_unit<D: Read + Write + Seek>(
    sparse: &mut SparseBody,
    space: &mut Space,
    out: &mut Output<D>,
) -> Result<()> {
    if sparse.unit.is_empty() {
        return Ok(());
    }
    let clusters = (sparse.unit.len() as u64).div_ceil(CLUSTER);
    let lcn = match sparse.unit_is_hole() {
        true => None,
        false => Some(space.allocate(clusters)?),
    };
    if let Some(lcn) = lcn {
        out.content(lcn * CLUSTER, &sparse.unit)?;
        pad_cluster(out, lcn * CLUSTER + sparse.unit.len() as u64)?;
    }
    sparse.add(lcn, clusters);
    sparse.unit.clear();
    Ok(())
}

/// Fills the last cluster of a stream, so that the next one joins it in one write.
fn pad_cluster<D: Read + Write + Seek>(out: &mut Output<D>, end: u64) -> Result<()> {
    const ZEROS: [u8; CLUSTER as usize] = [0; CLUSTER as usize];
    let padding = end.next_multiple_of(CLUSTER) - end;
    out.content(end, ZEROS.get(..padding as usize).unwrap_or_default())
}

/// As `$FILE_NAME` says it: of a resident stream its place in the record.
fn allocated_bytes(attribute: &Attribute) -> u64 {
    match &attribute.content {
        crate::attribute::Content::Resident { value, .. } => {
            (value.len() as u64).next_multiple_of(8)
        }
        crate::attribute::Content::NonResident(value) => value.in_use.unwrap_or(value.allocated),
    }
}

fn refused(what: impl Into<String>, rule: impl Into<String>) -> NtfsError {
    let (what, rule) = (what.into(), rule.into());
    NtfsError::Refused { what, rule }
}

/// An id of another volume was given.
fn lost() -> NtfsError {
    refused("a file", "it is not on this volume")
}
