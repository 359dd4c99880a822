//! A volume as a plan: written by the writer, read back and compared, and handed to checkers of other makers.
#![allow(dead_code, reason = "every test uses its own part")]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

pub mod checks;
mod compare;

use std::{
    collections::HashMap,
    io::{Cursor, Write},
    sync::Arc,
};

use winlayer_metadata::{
    ExtendedAttribute, ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint,
    SecurityDescriptor,
};
use winlayer_ntfs::{
    FileId, ObjectMetadata, Result, VolumeOptions, VolumeSize, VolumeSummary, VolumeWriter,
};

/// Objects; the first one is the root, and every other one comes after its directory.
#[derive(Clone, Debug)]
pub struct Plan {
    pub objects: Vec<Object>,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Directory,
    /// A reparse point that is a directory.
    DirectoryLink,
    File(Content),
}

/// An object under its first name.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its directory, by number.
    pub parent: usize,
    pub name: String,
    pub kind: Kind,
    pub streams: Vec<(String, Content)>,
    pub attributes: FileAttributes,
    pub time: i64,
    /// Which of the descriptors.
    pub descriptor: u32,
    pub extended: ExtendedAttributes,
    pub reparse: Option<ReparsePoint>,
    /// Further names: directory and name.
    pub links: Vec<(usize, String)>,
}

/// What a stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    pub size: u64,
    pub seed: u8,
    /// Bit n: whether the nth unit of 64 KiB is nothing but zeros; after 64 of them it begins again.
    pub holes: u64,
}

impl Content {
    pub const UNIT: u64 = 64 << 10;

    pub fn of(size: u64) -> Self {
        let (seed, holes) = (size as u8, 0);
        Self { size, seed, holes }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let byte = |at: u64| match self.holes >> (at / Self::UNIT % 64) & 1 {
            0 => (at % 251) as u8 ^ self.seed | 1,
            _ => 0,
        };
        (0..self.size).map(byte).collect()
    }
}

impl Object {
    pub fn new(parent: usize, name: impl Into<String>, kind: Kind) -> Self {
        Self {
            parent,
            name: name.into(),
            kind,
            streams: Vec::new(),
            attributes: FileAttributes::ARCHIVE,
            time: 0,
            descriptor: 0,
            extended: ExtendedAttributes::default(),
            reparse: None,
            links: Vec::new(),
        }
    }

    pub fn file(parent: usize, name: impl Into<String>, size: u64) -> Self {
        Self::new(parent, name, Kind::File(Content::of(size)))
    }

    pub fn directory(parent: usize, name: impl Into<String>) -> Self {
        Self::new(parent, name, Kind::Directory)
    }

    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }

    /// Four times that are nowhere alike.
    pub fn times(&self) -> FileTimes {
        let time = |n: i64| FileTime::from_ticks(132_000_000_000_000_000 + self.time * 10 + n);
        FileTimes {
            created: time(1),
            accessed: time(2),
            written: time(3),
            changed: time(4),
        }
    }
}

/// Extended attributes of these names and lengths.
pub fn extended(list: &[(&str, usize)]) -> ExtendedAttributes {
    let list = list.iter().map(|&(name, length)| ExtendedAttribute {
        flags: if length % 2 == 1 {
            ExtendedAttribute::NEED_EA
        } else {
            0
        },
        name: name.as_bytes().to_vec(),
        value: (0..length).map(|at| at as u8).collect(),
    });
    ExtendedAttributes::from_list(list.collect()).unwrap()
}

pub fn descriptor(number: u32) -> Arc<SecurityDescriptor> {
    let sddl = format!("O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;S-1-5-21-1-2-3-{number})");
    Arc::new(SecurityDescriptor::from_sddl(&sddl).unwrap())
}

pub fn options(size: VolumeSize) -> VolumeOptions {
    VolumeOptions {
        size,
        label: "Sample".into(),
        serial: 0x1234_5678_9abc_def0,
        created: FileTime::from_ticks(133_000_000_000_000_000),
        hidden_sectors: 0,
    }
}

impl Plan {
    pub fn new() -> Self {
        let objects = vec![Object::directory(0, "")];
        Self { objects }
    }

    /// Adds an object; gives its number.
    pub fn add(&mut self, object: Object) -> usize {
        self.objects.push(object);
        self.objects.len() - 1
    }

    /// Writes a volume of the plan; nobody finds anything wrong with it.
    #[track_caller]
    pub fn assert_sound(&self, size: VolumeSize) -> VolumeSummary {
        let (image, summary) = self.write(size).unwrap();
        self.assert_is(&image);
        checks::all(&image);
        summary
    }

    /// The bytes of a volume.
    pub fn write(&self, size: VolumeSize) -> Result<(Vec<u8>, VolumeSummary)> {
        let mut writer = VolumeWriter::create(Cursor::new(Vec::new()), options(size))?;
        let mut descriptors = HashMap::new();
        let mut files: Vec<FileId> = Vec::new();
        for (number, object) in self.objects.iter().enumerate() {
            let security = descriptors.entry(object.descriptor);
            let security = security.or_insert_with(|| descriptor(object.descriptor));
            let metadata = ObjectMetadata {
                attributes: object.attributes,
                times: object.times(),
                security,
                extended_attributes: &object.extended,
                reparse: object.reparse.as_ref(),
            };
            let file = begin(&mut writer, &files, number, object, &metadata)?;
            files.push(file);
            for (name, content) in &object.streams {
                writer.begin_stream(name, content.size)?;
                writer.write_all(&content.bytes()).unwrap();
            }
            // Some links follow at once, the others when all objects are there.
            if number % 2 == 0 {
                link(&mut writer, &files, file, object, |parent| parent < number)?;
            }
        }
        for (number, object) in self.objects.iter().enumerate() {
            let is_left = |parent| number % 2 == 1 || parent >= number;
            link(&mut writer, &files, files[number], object, is_left)?;
        }
        let (device, summary) = writer.finish()?;
        let mut bytes = device.into_inner();
        assert!(
            bytes.len() as u64 <= summary.size,
            "nothing is written behind the volume"
        );
        bytes.resize(summary.size as usize, 0);
        Ok((bytes, summary))
    }
}

type Writer = VolumeWriter<Cursor<Vec<u8>>>;

fn begin(
    writer: &mut Writer,
    files: &[FileId],
    number: usize,
    object: &Object,
    metadata: &ObjectMetadata<'_>,
) -> Result<FileId> {
    if number == 0 {
        writer.begin_directory(FileId::ROOT, metadata)?;
        return Ok(FileId::ROOT);
    }
    let parent = files[object.parent];
    match object.kind {
        Kind::Directory => {
            let file = writer.add_directory(parent, &object.name)?;
            writer.begin_directory(file, metadata)?;
            Ok(file)
        }
        Kind::DirectoryLink => writer.begin_directory_link(parent, &object.name, metadata),
        Kind::File(content) => {
            let file = writer.begin_file(parent, &object.name, metadata, content.size)?;
            // In pieces of an odd size.
            for piece in content.bytes().chunks(40_009) {
                writer.write_all(piece).unwrap();
            }
            Ok(file)
        }
    }
}

fn link(
    writer: &mut Writer,
    files: &[FileId],
    file: FileId,
    object: &Object,
    wanted: impl Fn(usize) -> bool,
) -> Result<()> {
    for (parent, name) in object.links.iter().filter(|(parent, _)| wanted(*parent)) {
        writer.link(file, files[*parent], name)?;
    }
    Ok(())
}
