//! One VHDX file as a disk.

use std::io::{self, Read, Seek, SeekFrom};

use super::load::{Loaded, load};
use crate::{
    BlockSize, Finding, Guid, ParentLocator, SectorSize, VhdxError,
    device::{Device, Position, clamp},
    finding::{Findings, Rule},
    format::BatEntry,
    options::key,
    sectors::SectorSet,
};

/// Where the blocks of a disk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskKind {
    /// All in the file from the start.
    Fixed,
    /// In the file once they are written.
    Dynamic,
    /// In the file once they are written, else in the parent.
    Differencing,
}

/// What a file says about its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskInfo {
    /// Fixed, dynamic or differencing.
    pub kind: DiskKind,
    /// Size of the virtual disk in bytes.
    pub size: u64,
    /// Identifies the virtual disk.
    pub disk_id: Guid,
    /// Identifies the disk's content; children name it.
    pub data_write_id: Guid,
    /// Identifies the file's state.
    pub file_write_id: Guid,
    /// The unit of addresses.
    pub logical_sector: SectorSize,
    /// The unit of the medium.
    pub physical_sector: SectorSize,
    /// The unit the file grows by.
    pub block_size: BlockSize,
    /// What made the file.
    pub creator: String,
    /// Payload blocks that are in the file.
    pub allocated_blocks: u64,
    /// Where a differencing disk finds its parent.
    pub parent: Option<ParentLocator>,
    /// All keys and values of the parent locator, as they are stored.
    pub parent_entries: Vec<(String, String)>,
}

/// A VHDX file: the virtual disk, to read and seek in.
///
/// A differencing disk can be opened and looked at alone, but where it needs its parent, reading fails; put
/// it into a [`Chain`](crate::Chain) or use [`open_chain`](crate::open_chain).
#[derive(Debug)]
pub struct Disk<F> {
    file: Device<F>,
    loaded: Loaded,
    position: Position,
    /// Bits of the partly present block that was read from last.
    bitmap: Option<(u64, SectorSet)>,
}

/// Where a piece of a disk comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    File(u64),
    Zeros,
    Parent,
}

impl<F: Read + Seek> Disk<F> {
    /// Opens a disk and checks all of the file's structures, but not the content of its blocks.
    ///
    /// # Errors
    /// When the file cannot be read, is not sound enough to be, or its log has to be replayed.
    pub fn open(file: F) -> Result<Self, VhdxError> {
        let mut file = Device::new(file).map_err(VhdxError::io("find the length of the file"))?;
        let mut findings = Findings::default();
        let loaded = load(&mut file, &mut findings).map_err(VhdxError::io("read the file"))?;
        // A log that was not replayed explains whatever else is wrong.
        if findings.breaks(Rule::EmptyLog) {
            return Err(VhdxError::NeedsReplay);
        }
        if let Some(finding) = findings.first_fatal() {
            return Err(VhdxError::Damaged(finding.clone()));
        }
        let loaded = loaded.ok_or(VhdxError::Unreadable)?;
        Ok(Self {
            file,
            position: Position::new(loaded.metadata.geometry.size()),
            loaded,
            bitmap: None,
        })
    }

    /// What the file says about its disk.
    #[must_use]
    pub fn info(&self) -> DiskInfo {
        let Loaded {
            creator,
            header,
            metadata,
            allocated,
            ..
        } = &self.loaded;
        DiskInfo {
            kind: self.kind(),
            size: self.size(),
            disk_id: metadata.disk_id,
            data_write_id: header.data_write_id,
            file_write_id: header.file_write_id,
            logical_sector: metadata.logical_sector,
            physical_sector: metadata.physical_sector,
            block_size: metadata.block_size,
            creator: creator.clone(),
            allocated_blocks: *allocated,
            parent: self.parent_locator(),
            parent_entries: metadata.parent.clone(),
        }
    }

    /// Every rule of the format that the file breaks; see [`verify`](crate::verify()). As the disk is open,
    /// none of them is fatal, unless the file has changed since.
    ///
    /// # Errors
    /// Only when the file cannot be read.
    pub fn verify(&mut self) -> Result<Vec<Finding>, VhdxError> {
        let mut findings = Findings::default();
        load(&mut self.file, &mut findings).map_err(VhdxError::io("read the file"))?;
        Ok(findings.into_vec())
    }

    /// Gives the file back.
    pub fn into_inner(self) -> F {
        self.file.into_inner()
    }

    pub(super) fn kind(&self) -> DiskKind {
        let metadata = &self.loaded.metadata;
        if metadata.geometry.is_differencing() {
            DiskKind::Differencing
        } else if metadata.fixed {
            DiskKind::Fixed
        } else {
            DiskKind::Dynamic
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.loaded.metadata.geometry.size()
    }

    pub(super) fn data_write_id(&self) -> Guid {
        self.loaded.header.data_write_id
    }

    pub(super) fn parent_locator(&self) -> Option<ParentLocator> {
        let metadata = &self.loaded.metadata;
        let value = |wanted: &str| {
            let pair = metadata.parent.iter().find(|(key, _)| key == wanted);
            pair.map(|(_, value)| value.clone())
        };
        metadata.geometry.is_differencing().then(|| ParentLocator {
            linkage: value(key::LINKAGE)
                .and_then(|linkage| linkage.parse().ok())
                .unwrap_or_default(),
            relative_path: value(key::RELATIVE_PATH),
            volume_path: value(key::VOLUME_PATH),
            absolute_win32_path: value(key::ABSOLUTE_WIN32_PATH),
        })
    }

    /// Where the disk's bytes at a position are, and for how many bytes on that is so.
    pub(super) fn locate(&mut self, position: u64) -> io::Result<(Source, u64)> {
        let geometry = self.loaded.metadata.geometry;
        let (block, inside) = (
            position / geometry.block_size(),
            position % geometry.block_size(),
        );
        let to_end = geometry.block_size() - inside;
        let entry = self.loaded.bat.get(geometry.payload_entry(block));
        match entry.state() {
            BatEntry::PRESENT => Ok((Source::File(entry.offset() + inside), to_end)),
            BatEntry::PARTIAL => {
                let sector = inside / geometry.sector_size();
                let sectors = self.bitmap(block)?;
                let end = sectors.run_end(sector, geometry.block_sectors());
                let source = match sectors.contains(sector) {
                    true => Source::File(entry.offset() + inside),
                    false => Source::Parent,
                };
                Ok((source, end * geometry.sector_size() - inside))
            }
            BatEntry::ABSENT if geometry.is_differencing() => Ok((Source::Parent, to_end)),
            _ => Ok((Source::Zeros, to_end)),
        }
    }

    /// Which sectors of a partly present block are in the file.
    fn bitmap(&mut self, block: u64) -> io::Result<&SectorSet> {
        let geometry = self.loaded.metadata.geometry;
        let sectors = match self.bitmap.take() {
            Some((cached, sectors)) if cached == block => sectors,
            _ => {
                let chunk = block / geometry.chunk_blocks();
                let entry = self.loaded.bat.get(geometry.bitmap_entry(chunk));
                let mut sectors = SectorSet::new(geometry.block_sectors());
                let offset = entry.offset() + geometry.bitmap_offset(block);
                self.file.read_all_at(offset, sectors.as_mut_bytes())?;
                sectors
            }
        };
        let (_, sectors) = self.bitmap.insert((block, sectors));
        Ok(sectors)
    }

    pub(super) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }
}

impl<F: Read + Seek> Read for Disk<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let buffer = self.position.readable(buffer);
        if buffer.is_empty() {
            return Ok(0);
        }
        let (source, length) = self.locate(self.position.now())?;
        let (buffer, _) = buffer.split_at_mut(clamp(length, buffer.len()));
        let count = match source {
            Source::File(offset) => self.read_at(offset, buffer)?,
            Source::Zeros => {
                buffer.fill(0);
                buffer.len()
            }
            Source::Parent => {
                let position = self.position.now();
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!(
                        "offset {position:#x} of the disk is in its parent; open both as a chain"
                    ),
                ));
            }
        };
        self.position.advance(count);
        Ok(count)
    }
}

impl<F: Read + Seek> Seek for Disk<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position.seek(to)
    }
}
