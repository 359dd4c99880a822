//! Staged files: four bytes of attributes, then a backup stream (hcsshim `legacy.go`).

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::windows::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::call::Failure;
use crate::codes::INVALID_DATA;
use crate::stream::{self, Nowhere, REPARSE, Record, Sink};
use crate::{objects, sys};

/// Ending of the file that describes a directory beside it.
pub const SIDECAR: &str = ".$wcidirs$";

/// The sidecar of `directory`.
#[must_use]
pub fn sidecar(directory: &Path) -> PathBuf {
    PathBuf::from(format!("{}{SIDECAR}", directory.display()))
}

/// Whether `path` is named like a sidecar.
#[must_use]
pub fn is_sidecar(path: &Path) -> bool {
    path.to_string_lossy().to_lowercase().ends_with(SIDECAR)
}

/// Attributes and records of a staged file.
///
/// # Errors
///
/// `InvalidData` with what is wrong in it, or those of the file.
pub fn inspect(path: &Path) -> io::Result<(u32, Vec<Record>)> {
    let mut file = BufReader::new(File::open(path)?);
    let attributes = attribute_word(&mut file)?;
    Ok((attributes, stream::read(file, &mut Nowhere)?))
}

fn attribute_word(file: &mut impl Read) -> io::Result<u32> {
    let mut word = [0; 4];
    file.read_exact(&mut word)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "shorter than its attributes"))?;
    Ok(u32::from_le_bytes(word))
}

/// Whether the sidecar at `path` describes a link.
#[must_use]
pub fn is_link(sidecar: &Path) -> bool {
    inspect(sidecar).is_ok_and(|(_, records)| records.iter().any(|record| record.id == REPARSE))
}

struct Content<'a>(&'a File);

impl Sink for Content<'_> {
    fn content(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        write_at(self.0, offset, bytes)
    }

    fn length(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}

/// Writes all `bytes` at `offset`.
///
/// # Errors
///
/// Of the file.
pub fn write_at(file: &File, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.seek_write(bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        offset += written as u64;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Makes the live object `to` (which exists, when it is a directory) what the staged file says.
///
/// # Errors
///
/// Of the file system.
pub fn unstage(staged: &Path, to: &Path) -> Result<(), Failure> {
    let directory = to.is_dir();
    let file = if directory {
        // Generic write: times are set below.
        sys::open_object(to, 0x4000_0000)?
    } else {
        File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(to)?
    };
    objects::forget(&file);
    let mut from = BufReader::new(File::open(staged)?);
    let attributes = attribute_word(&mut from)?;
    let kept = objects::stream_file(&file)?;
    let mut copy = BufWriter::new(File::create(&kept)?);
    io::copy(&mut from, &mut copy)?;
    copy.into_inner()
        .map_err(|error| Failure::new(INVALID_DATA, error))?;
    if directory {
        stream::records_of(&kept)?;
    } else {
        stream::read(File::open(&kept)?, &mut Content(&file))?;
    }
    objects::keep(&file, Some(attributes))?;
    set_times(&file, staged)?;
    drop(file);
    if attributes & 7 != 0 {
        sys::set_attributes(to, attributes & 0x7FFF)?;
    }
    Ok(())
}

fn set_times(file: &File, like: &Path) -> io::Result<()> {
    let metadata = fs::metadata(like)?;
    file.set_times(
        fs::FileTimes::new()
            .set_modified(metadata.modified()?)
            .set_accessed(metadata.accessed()?),
    )
}

/// Gives the live directory `to` the times of its sidecar once more, after its children were made.
///
/// # Errors
///
/// Of the file system.
pub fn restore_times(staged: &Path, to: &Path) -> Result<(), Failure> {
    Ok(set_times(&sys::open_object(to, 0x4000_0000)?, staged)?)
}

/// Writes the staged form of the live object `from` to the new file `to`.
///
/// # Errors
///
/// Of the file system.
pub fn stage(from: &Path, to: &Path) -> Result<(), Failure> {
    let live = sys::open_object(from, 0x0010_0080)?;
    let mut out = File::options().write(true).create_new(true).open(to)?;
    out.write_all(&objects::attributes(&live).to_le_bytes())?;
    io::copy(&mut objects::reading(&live, from, true)?, &mut out)?;
    Ok(set_times(&out, from)?)
}
