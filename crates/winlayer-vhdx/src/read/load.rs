//! From bytes to what a file says, and all that is wrong with it.

use std::io::{self, Read, Seek};

use zerocopy::{FromBytes, IntoBytes};

use super::{
    blocks::read_bat,
    headers::{read_headers, read_identifier, read_regions},
    metadata::{Metadata, read_metadata},
};
use crate::{
    Finding, VhdxError,
    bat::Bat,
    device::Device,
    finding::{Findings, Place, Rule},
    format::{Header, MIB},
};

/// A part of the file that nothing else may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub place: Place,
    pub offset: u64,
    pub length: u64,
}

impl Extent {
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// All that the file says about its disk.
#[derive(Debug)]
pub(super) struct Loaded {
    pub creator: String,
    pub header: Header,
    pub metadata: Metadata,
    pub bat: Bat,
    pub allocated: u64,
}

/// Reads all structures. What is wrong with them goes to `findings`; there is no result when something
/// is missing that all the rest needs.
pub(super) fn load<F: Read + Seek>(
    file: &mut Device<F>,
    findings: &mut Findings,
) -> io::Result<Option<Loaded>> {
    let creator = read_identifier(file, findings)?;
    if !file.length().is_multiple_of(MIB) {
        let found = format!("{} bytes", file.length());
        findings.harmless(Place::File, file.length(), Rule::Aligned, found);
    }
    let mut extents = Vec::new();
    let header = read_headers(file, &mut extents, findings)?;
    let Some(regions) = read_regions(file, &mut extents, findings)? else {
        return Ok(None);
    };
    let Some(metadata) = read_metadata(file, regions.metadata, findings)? else {
        return Ok(None);
    };
    let bat = read_bat(
        file,
        regions.bat,
        &metadata.geometry,
        &mut extents,
        findings,
    )?;
    check_overlaps(&mut extents, findings);
    let (Some(header), Some((bat, allocated))) = (header, bat) else {
        return Ok(None);
    };
    Ok(Some(Loaded {
        creator,
        header,
        metadata,
        bat,
        allocated,
    }))
}

fn check_overlaps(extents: &mut [Extent], findings: &mut Findings) {
    extents.sort_by_key(|extent| (extent.offset, extent.length));
    let mut previous: Option<&Extent> = None;
    for extent in &*extents {
        if let Some(previous) = previous.filter(|previous| previous.end() > extent.offset) {
            let found = format!("bytes shared with {}", previous.place);
            findings.fatal(extent.place, extent.offset, Rule::Overlap, found);
        }
        if previous.is_none_or(|previous| previous.end() < extent.end()) {
            previous = Some(extent);
        }
    }
}

/// Checks every rule of the format and reports each that is broken, in the order of the file's structures;
/// of the first thousand. An empty list is a sound file. Parents are not looked at.
///
/// # Errors
/// Only when the file cannot be read.
pub fn verify(file: impl Read + Seek) -> Result<Vec<Finding>, VhdxError> {
    let mut file = Device::new(file).map_err(VhdxError::io("find the length of the file"))?;
    let mut findings = Findings::default();
    load(&mut file, &mut findings).map_err(VhdxError::io("read the file"))?;
    Ok(findings.into_vec())
}

/// The structure at an offset, unless the file ends before its end.
pub(super) fn read_struct<T: FromBytes + IntoBytes>(
    file: &mut Device<impl Read + Seek>,
    offset: u64,
) -> io::Result<Option<T>> {
    let mut value = T::new_zeroed();
    let end = offset.checked_add(size_of::<T>() as u64);
    if end.is_none_or(|end| end > file.length()) {
        return Ok(None);
    }
    file.read_all_at(offset, value.as_mut_bytes())?;
    Ok(Some(value))
}

/// Bytes as they can be shown.
pub(super) fn shown(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

/// Text of little-endian UTF-16 units.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units)
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
