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

mod body;
mod finish;
mod load;
mod mft;
mod names;
mod object;
mod options;
mod output;
mod pack;
mod records;
mod resume;
mod security;
mod space;
mod volume_files;
mod volume_map;

use std::{
    collections::HashMap,
    io::{Read, Seek, Write},
};

use winlayer_metadata::{FileAttributes, FileTimes};

use self::{
    mft::MftRuns,
    names::{Names, Node, State, file_name},
    object::{OpenObject, ea_attributes, reparse_attribute},
    output::Output,
    resume::Before,
    security::Descriptors,
    space::Space,
};
pub use self::{
    names::NameId,
    options::{FileId, ObjectMetadata, VolumeOptions, VolumeSize, VolumeSummary},
    resume::ExistingName,
};
use crate::{
    Namespace, NtfsError, RecordFlags, Result,
    attribute::{Attribute, AttributeType},
    format::{BootSector, CLUSTER, MAX_NAME, RECORD},
};

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
        let boot_clusters = BootSector::FILE_SIZE / CLUSTER;
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
        if self
            .nodes
            .get(file as usize)
            .is_some_and(Node::is_reparse_point)
        {
            self.reparse_points.retain(|&(_, other)| other != file);
        }
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
}

fn refused(what: impl Into<String>, rule: impl Into<String>) -> NtfsError {
    let (what, rule) = (what.into(), rule.into());
    NtfsError::Refused { what, rule }
}

/// An id of another volume was given.
fn lost() -> NtfsError {
    refused("a file", "it is not on this volume")
}
