//! Where the NTFS volume is on a disk.

use std::{
    fmt::Write as _,
    io::{Read, Seek, SeekFrom},
};

use serde::Serialize;
use winlayer_vhdx::{Partition, gpt::Gpt, mbr};

use super::{Window, container::Container, container::read_failed};
use crate::{Error, Result, error::escape};

const SECTOR: u64 = 512;
/// Sectors of disks whose tables are not read.
const LARGE_SECTOR: u64 = 4096;
/// The start of a GPT header (UEFI 2.10, 5.3.2), one sector into the disk.
const GPT: &[u8] = b"EFI PART";
/// What an NTFS boot sector has at offset 3.
const NTFS: &[u8] = b"NTFS    ";

/// A place where a volume may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Found {
    /// In the table, 1 being the first; none when the disk has none and is the volume.
    pub(super) number: Option<usize>,
    /// Bytes from the start of the disk.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) length: u64,
    pub(super) is_ntfs: bool,
    /// For messages.
    what: String,
}

/// The partition asked for, or else the first with NTFS.
pub(super) fn choose(mut container: Container, number: Option<usize>) -> Result<(Window, Found)> {
    let all = find(&mut container)?;
    let chosen = match number {
        Some(_) => all.iter().find(|found| found.number == number),
        None => all.iter().find(|found| found.is_ntfs),
    };
    let chosen = chosen.cloned().ok_or_else(|| missing(&all, number))?;
    let Found { offset, length, .. } = chosen;
    let partition = Partition::new(container.disk, offset, length).map_err(read_failed)?;
    Ok((partition, chosen))
}

fn missing(all: &[Found], number: Option<usize>) -> Error {
    let Some(number) = number else {
        let list = describe(all);
        return Error::not_found(format!("it has no NTFS volume, but {list}"));
    };
    if all.iter().all(|found| found.number.is_none()) {
        let what = format!("it has no partition {number}: the volume fills the disk");
        return Error::not_found(what);
    }
    Error::not_found(format!(
        "it has no partition {number}, but {}",
        describe(all)
    ))
}

fn describe(all: &[Found]) -> String {
    let mut text = String::new();
    for found in all {
        let separator = if text.is_empty() { "" } else { ", " };
        let number = found.number.unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}partition {number}: {}", found.what);
    }
    match text.is_empty() {
        true => "an empty partition table".to_owned(),
        false => text,
    }
}

/// All places of the disk where a volume may be.
pub(super) fn find(container: &mut Container) -> Result<Vec<Found>> {
    let disk = &mut container.disk;
    let size = disk.seek(SeekFrom::End(0)).map_err(read_failed)?;
    if is_ntfs(disk, 0)? {
        return Ok(vec![Found {
            number: None,
            offset: 0,
            length: size,
            is_ntfs: true,
            what: String::new(),
        }]);
    }
    let mut found = match read_at(disk, SECTOR, GPT.len())? == GPT {
        true => gpt(Gpt::read(disk)?),
        false => match mbr::read(disk)? {
            Some(table) if table.iter().any(|entry| entry.kind == mbr::PROTECTIVE) => {
                if read_at(disk, LARGE_SECTOR, GPT.len())? == GPT {
                    return Err(Error::refused(
                        "its sectors have 4096 bytes",
                        "copy the volume to a disk with sectors of 512 bytes",
                    ));
                }
                // The table's own error says what is missing.
                gpt(Gpt::read(disk)?)
            }
            Some(table) if !table.is_empty() && table.iter().all(|entry| fits(entry, size)) => {
                table.iter().map(from_mbr).collect()
            }
            _ => return Err(Error::not_a_disk()),
        },
    };
    for found in &mut found {
        found.is_ntfs = is_ntfs(disk, found.offset)?;
    }
    Ok(found)
}

/// The first sectors of other things may end like a table.
fn fits(entry: &mbr::MbrPartition, size: u64) -> bool {
    let end = entry.offset.checked_add(entry.length);
    entry.offset > 0 && end.is_some_and(|end| end <= size)
}

fn gpt(table: Gpt) -> Vec<Found> {
    let numbered = (1..).zip(table.partitions);
    let found = numbered.map(|(number, partition)| Found {
        number: Some(number),
        offset: partition.offset,
        length: partition.length,
        is_ntfs: false,
        what: match partition.name.is_empty() {
            true => partition.kind.to_string(),
            false => format!("\"{}\"", escape(&partition.name)),
        },
    });
    found.collect()
}

fn from_mbr(entry: &mbr::MbrPartition) -> Found {
    Found {
        number: Some(entry.number),
        offset: entry.offset,
        length: entry.length,
        is_ntfs: false,
        what: match mbr::EXTENDED.contains(&entry.kind) {
            true => "extended, which is not looked into".to_owned(),
            false => format!("kind {:#04x}", entry.kind),
        },
    }
}

fn is_ntfs(disk: &mut (impl Read + Seek), offset: u64) -> Result<bool> {
    Ok(read_at(disk, offset.saturating_add(3), NTFS.len())? == NTFS)
}

fn read_at(disk: &mut (impl Read + Seek), offset: u64, length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    disk.seek(SeekFrom::Start(offset))
        .and_then(|_| disk.take(length as u64).read_to_end(&mut bytes))
        .map_err(read_failed)?;
    Ok(bytes)
}
