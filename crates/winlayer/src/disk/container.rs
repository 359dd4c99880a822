//! Which kind of file a disk is in, told by its bytes and never by its name.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use serde::Serialize;
use winlayer_vhdx::{Partition, VhdxError, open_chain, vhd};

use super::Device;
use crate::{Error, Result};

/// Kinds of files that hold a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DiskFormat {
    /// The bytes of a disk, or of a volume alone.
    Raw,
    /// VHDX: fixed, dynamic, or differencing with its parents.
    Vhdx,
    /// VHD, of which only the fixed kind is read.
    Vhd,
}

impl DiskFormat {
    /// `raw`, `vhdx` or `vhd`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Vhdx => "vhdx",
            Self::Vhd => "vhd",
        }
    }
}

/// First bytes of a VHDX file (MS-VHDX 2.2.1).
const VHDX: &[u8] = b"vhdxfile";
/// First bytes of a VHD footer, a copy of which is the start of a file that is not fixed.
const VHD: &[u8] = b"conectix";
const VHD_FOOTER: u64 = 512;
/// Starts of files that are taken for disks but are not read.
const FOREIGN: [(&[u8], &str); 8] = [
    (VHD, "a dynamic or differencing VHD file"),
    (b"QFI\xfb", "a qcow2 disk"),
    (b"KDMV", "a VMDK disk"),
    (b"# Disk DescriptorFile", "the description of a VMDK disk"),
    (b"MSWIM\0\0\0", "a WIM archive"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"PK\x03\x04", "a ZIP archive"),
];

/// A disk in its file.
pub(super) struct Container {
    pub(super) format: DiskFormat,
    pub(super) disk: Box<dyn Device>,
    /// Bytes the file takes: about what there is to read.
    pub(super) stored: u64,
}

impl Container {
    /// Opens the disk.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (format, file) = sniff(path)?;
        let stored = stored(&file);
        let disk: Box<dyn Device> = match format {
            DiskFormat::Raw => Box::new(file),
            DiskFormat::Vhdx => Box::new(open_chain(path)?),
            DiskFormat::Vhd => fixed_vhd(file)?,
        };
        Ok(Self {
            format,
            disk,
            stored,
        })
    }
}

/// The disk before the footer.
pub(super) fn fixed_vhd(mut file: File) -> Result<Box<dyn Device>> {
    let footer = vhd::read_footer(&mut file)?;
    let disk = Partition::new(file, 0, footer.size).map_err(read_failed)?;
    Ok(Box::new(disk))
}

/// Opens the file and tells what it is.
pub(super) fn sniff(path: &Path) -> Result<(DiskFormat, File)> {
    let missing = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::not_found("there is no such file"),
        _ => read_failed(error),
    };
    // A pipe would wait for a writer.
    let kind = fs::metadata(path).map_err(missing)?.file_type();
    if kind.is_dir() {
        return Err(Error::refused(
            "it is a directory",
            "name a disk file, or an image in an OCI layout as oci:DIR",
        ));
    }
    let mut file = File::open(path).map_err(missing)?;
    let length = file.seek(SeekFrom::End(0)).map_err(read_failed)?;
    let start = read_some(&mut file, 0)?;
    if start.starts_with(VHDX) {
        return Ok((DiskFormat::Vhdx, file));
    }
    if let Some((_, what)) = FOREIGN.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(Error::refused(
            format!("it is {what}, which is not read"),
            "make a VHDX or raw disk of it first, for example: qemu-img convert -O vhdx FILE disk.vhdx",
        ));
    }
    let end = read_some(&mut file, length.saturating_sub(VHD_FOOTER))?;
    match end.starts_with(VHD) {
        true => Ok((DiskFormat::Vhd, file)),
        false => Ok((DiskFormat::Raw, file)),
    }
}

/// Up to 32 bytes.
fn read_some(file: &mut File, offset: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.take(32).read_to_end(&mut bytes))
        .map_err(read_failed)?;
    Ok(bytes)
}

#[cfg(unix)]
pub(super) fn stored(file: &File) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let stored = |metadata: fs::Metadata| metadata.len().min(metadata.blocks().saturating_mul(512));
    file.metadata().map_or(0, stored)
}

#[cfg(not(unix))]
pub(super) fn stored(file: &File) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

pub(super) fn read_failed(source: std::io::Error) -> Error {
    Error::io("read the disk", source)
}

/// Whether a file is damaged, in contrast to one that cannot be read.
pub(super) fn is_damage(error: &VhdxError) -> bool {
    match error {
        VhdxError::InFile { source, .. } => is_damage(source),
        VhdxError::Io { .. } | VhdxError::OpenFile { .. } => false,
        _ => true,
    }
}
