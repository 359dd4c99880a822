//! What the records of an entry say about a Windows object (go-winio `backuptar/tar.go`, OCI
//! image-spec `layer.md`).

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use winlayer_metadata::{
    ExtendedAttribute, ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint,
    SecurityDescriptor,
};

use crate::archive::{EntryType, RawEntry};
use crate::error::{Fault, printable};
use crate::item::Metadata;
use crate::pax::Key;
use crate::time;

/// Turns records into metadata and shares descriptors between objects.
#[derive(Debug, Default)]
pub(crate) struct MetadataReader {
    descriptors: DescriptorCache,
}

impl MetadataReader {
    /// Attributes, times, descriptor and extended attributes of an entry.
    pub(crate) fn read(&mut self, entry: &RawEntry) -> Result<Metadata, Fault> {
        let kind = entry.entry_type();
        if kind != EntryType::SymbolicLink && entry.pax.get(Key::MountPoint).is_some() {
            return Err(Fault::MountPoint(kind.describe()));
        }
        Ok(Metadata {
            attributes: attributes(entry)?,
            times: times(entry)?,
            security: self.security(entry)?,
            extended_attributes: extended_attributes(entry)?,
        })
    }

    /// `rawsd` wins; the SDDL of layers from before 2016 is not even looked at beside it.
    fn security(&mut self, entry: &RawEntry) -> Result<Option<Arc<SecurityDescriptor>>, Fault> {
        if let Some(text) = entry.pax.get(Key::RawSecurity) {
            let parse = |text: &[u8], scratch: &mut Vec<u8>| {
                decode_base64("MSWINDOWS.rawsd", text, scratch)?;
                SecurityDescriptor::parse(scratch).map_err(Fault::Security)
            };
            return self.descriptors.get(text, parse).map(Some);
        }
        let Some(text) = entry.pax.get(Key::Sddl) else {
            return Ok(None);
        };
        let parse = |text: &[u8], _: &mut Vec<u8>| {
            let sddl = std::str::from_utf8(text)
                .map_err(|_| Fault::NotUtf8("descriptor in MSWINDOWS.sd"))?;
            SecurityDescriptor::from_sddl(sddl).map_err(Fault::Sddl)
        };
        self.descriptors.get(text, parse).map(Some)
    }
}

/// The reparse point of a link entry.
pub(crate) fn reparse(entry: &RawEntry) -> Result<ReparsePoint, Fault> {
    let target =
        std::str::from_utf8(entry.link_name()).map_err(|_| Fault::NotUtf8("link target"))?;
    let build = match entry.pax.get(Key::MountPoint) {
        Some(_) => ReparsePoint::mount_point,
        None => ReparsePoint::symlink,
    };
    build(target).map_err(Fault::Reparse)
}

fn attributes(entry: &RawEntry) -> Result<FileAttributes, Fault> {
    let kind = entry.entry_type();
    let attributes = match entry.pax.get(Key::Attributes) {
        Some(text) => time::decimal(text)
            .and_then(|bits| u32::try_from(bits).ok())
            .map(FileAttributes::from_bits_retain)
            .ok_or_else(|| invalid("MSWINDOWS.fileattr", text, "a decimal number of 32 bits"))?,
        None => FileAttributes::empty(),
    };
    match kind {
        // Some writers leave the bit out; the type flag decides.
        EntryType::Directory => Ok(attributes | FileAttributes::DIRECTORY),
        EntryType::SymbolicLink => Ok(attributes),
        EntryType::File | EntryType::HardLink if attributes.contains(FileAttributes::DIRECTORY) => {
            let problem = "a file cannot have the directory attribute";
            Err(Fault::AttributeConflict {
                attributes: attributes.bits(),
                problem,
            })
        }
        EntryType::File | EntryType::HardLink => Ok(attributes),
    }
}

fn times(entry: &RawEntry) -> Result<FileTimes, Fault> {
    let time = |key, name| match entry.pax.get(key) {
        Some(text) => time::parse(text).map(Some).ok_or_else(|| {
            invalid(
                name,
                text,
                "seconds since 1970 in range, such as 1577836800.1234567",
            )
        }),
        None => Ok(None),
    };
    let written = match time(Key::Modified, "mtime")? {
        Some(time) => time,
        None => header_time(entry.mtime)?,
    };
    Ok(FileTimes {
        created: time(Key::Created, "LIBARCHIVE.creationtime")?.unwrap_or(written),
        accessed: time(Key::Accessed, "atime")?.unwrap_or(written),
        written,
        changed: time(Key::Changed, "ctime")?.unwrap_or(written),
    })
}

fn header_time(seconds: i64) -> Result<FileTime, Fault> {
    time::from_seconds(seconds).ok_or_else(|| Fault::Number {
        field: "mtime",
        found: seconds.to_string(),
        expected: "seconds since 1970 that 64-bit NTFS times can hold",
    })
}

fn extended_attributes(entry: &RawEntry) -> Result<ExtendedAttributes, Fault> {
    if entry.pax.xattrs().len() == 0 {
        return Ok(ExtendedAttributes::default());
    }
    let mut list = Vec::with_capacity(entry.pax.xattrs().len());
    for (name, text) in entry.pax.xattrs() {
        let mut value = Vec::new();
        decode_base64(
            &format!("MSWINDOWS.xattr.{}", printable(name)),
            text,
            &mut value,
        )?;
        list.push(ExtendedAttribute {
            flags: 0,
            name: name.to_vec(),
            value,
        });
    }
    ExtendedAttributes::from_list(list).map_err(Fault::Attributes)
}

/// Padded and canonical, without the line breaks some decoders skip.
fn decode_base64(key: &str, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    out.clear();
    STANDARD
        .decode_vec(text, out)
        .map_err(|source| Fault::Base64 {
            key: key.to_owned(),
            source,
        })
}

fn invalid(key: &'static str, found: &[u8], expected: &'static str) -> Fault {
    Fault::PaxValue {
        key,
        found: printable(found),
        expected,
    }
}

/// Descriptors by the text they were read from. A base image has some hundred thousand objects and
/// a few hundred descriptors.
#[derive(Debug, Default)]
struct DescriptorCache {
    known: HashMap<Box<[u8]>, Arc<SecurityDescriptor>>,
    bytes: usize,
    scratch: Vec<u8>,
}

impl DescriptorCache {
    /// Forgets everything when it holds this many bytes of text, so that a layer of ever new
    /// descriptors costs time and not memory.
    const CAPACITY: usize = 2 << 20;

    fn get(
        &mut self,
        text: &[u8],
        parse: impl FnOnce(&[u8], &mut Vec<u8>) -> Result<SecurityDescriptor, Fault>,
    ) -> Result<Arc<SecurityDescriptor>, Fault> {
        if let Some(known) = self.known.get(text) {
            return Ok(Arc::clone(known));
        }
        let descriptor = Arc::new(parse(text, &mut self.scratch)?);
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > Self::CAPACITY {
            self.known.clear();
            self.bytes = text.len();
        }
        self.known.insert(text.into(), Arc::clone(&descriptor));
        Ok(descriptor)
    }
}
