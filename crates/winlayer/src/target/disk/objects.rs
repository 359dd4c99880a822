//! Objects of layers as a volume takes them.

use std::{
    io::{Read, Seek, Write},
    sync::{Arc, LazyLock},
};

use winlayer_metadata::{
    ExtendedAttributes, FileAttributes, FileTime, FileTimes, ReparsePoint, SecurityDescriptor,
};
use winlayer_ntfs::{FileId, NtfsError, ObjectMetadata, VolumeWriter};
use winlayer_tar::{Metadata, Object, ObjectKind};

use crate::{Error, Result};

/// Descriptors of objects whose layer says none: what the root of a Windows volume hands down to directories and to files.
/// On Windows they would inherit from their directory, which layers that were exported there never need.
static INHERITED: LazyLock<[Option<Arc<SecurityDescriptor>>; 2]> = LazyLock::new(|| {
    [
        "O:BAG:SYD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)",
        "O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)",
    ]
    .map(|sddl| SecurityDescriptor::from_sddl(sddl).ok().map(Arc::new))
});

/// Begins a file or a link; the inner error is the volume's. Bytes of the content, and streams, follow.
pub(super) fn begin<D: Read + Write + Seek>(
    volume: &mut VolumeWriter<D>,
    parent: FileId,
    name: &str,
    object: &Object,
) -> Result<std::result::Result<FileId, NtfsError>> {
    let (reparse, size) = match &object.kind {
        ObjectKind::Link { reparse, .. } => (Some(reparse), 0),
        ObjectKind::File { size } => (None, *size),
        ObjectKind::Directory => (None, 0),
    };
    let metadata = describe(&object.metadata, reparse)?;
    Ok(match object.kind {
        ObjectKind::Link {
            directory: true, ..
        } => volume.begin_directory_link(parent, name, &metadata),
        _ => volume.begin_file(parent, name, &metadata, size),
    })
}

static NONE: LazyLock<ExtendedAttributes> = LazyLock::new(ExtendedAttributes::default);

/// What a directory gets that no layer describes.
pub(super) fn plain() -> Result<ObjectMetadata<'static>> {
    Ok(ObjectMetadata {
        attributes: FileAttributes::empty(),
        times: PLAIN_TIMES,
        security: inherited(true)?,
        extended_attributes: &NONE,
        reparse: None,
    })
}

const PLAIN_TIMES: FileTimes = FileTimes {
    created: FileTime::UNIX_EPOCH,
    accessed: FileTime::UNIX_EPOCH,
    written: FileTime::UNIX_EPOCH,
    changed: FileTime::UNIX_EPOCH,
};

fn inherited(is_directory: bool) -> Result<&'static Arc<SecurityDescriptor>> {
    let [directory, file] = &*INHERITED;
    let unfit = || Error::refused("the default descriptor is unfit", "please report this");
    match is_directory {
        true => directory.as_ref().ok_or_else(unfit),
        false => file.as_ref().ok_or_else(unfit),
    }
}

pub(super) fn describe<'a>(
    metadata: &'a Metadata,
    reparse: Option<&'a ReparsePoint>,
) -> Result<ObjectMetadata<'a>> {
    let security = match &metadata.security {
        Some(security) => security,
        None => inherited(metadata.attributes.contains(FileAttributes::DIRECTORY))?,
    };
    // Windows keeps no extended attributes beside reparse data.
    let extended_attributes = match reparse {
        Some(_) => &NONE,
        None => &metadata.extended_attributes,
    };
    Ok(ObjectMetadata {
        attributes: metadata.attributes,
        times: metadata.times,
        security,
        extended_attributes,
        reparse,
    })
}
