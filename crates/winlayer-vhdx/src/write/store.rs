//! The file of a new disk: where its blocks go, and what is written around them at the end.

use std::io::{self, Read, Seek, Write};

use zerocopy::IntoBytes;

use super::metadata::{file_identifier, metadata_region};
use crate::{
    DiskOptions, ParentLocator, SectorSize, VhdxError,
    bat::Bat,
    device::{Device, clamp},
    format::{
        BatEntry, FileIdentifier, HEADER_OFFSETS, Header, MIB, REGION_TABLE_OFFSETS,
        REGION_TABLE_SIZE, RegionEntry, RegionTableHeader,
    },
    geometry::Geometry,
};

/// The log, empty, of the least length.
const LOG_OFFSET: u64 = MIB;
const LOG_LENGTH: u32 = 1 << 20;
const METADATA_OFFSET: u64 = LOG_OFFSET + LOG_LENGTH as u64;
const METADATA_LENGTH: u32 = 1 << 20;
const BAT_OFFSET: u64 = METADATA_OFFSET + METADATA_LENGTH as u64;

/// A contiguous piece of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Where in the file.
    pub offset: u64,
    /// How many bytes, at most what was asked for.
    pub length: usize,
}

/// Payload and bitmap blocks in the order they were asked for, behind log, metadata and BAT.
#[derive(Debug)]
pub(super) struct BlockStore<F> {
    file: Device<F>,
    geometry: Geometry,
    bat: Bat,
    /// Where the next block goes; a multiple of 1 MiB.
    end: u64,
    identifier: FileIdentifier,
    metadata: Vec<u8>,
    headers: [Header; 2],
}

impl<F: Read + Write + Seek> BlockStore<F> {
    /// Checks the options and makes an empty disk in an empty file, of which nothing is written yet.
    pub(super) fn create(
        file: F,
        options: &DiskOptions,
        parent: Option<&ParentLocator>,
    ) -> Result<Self, VhdxError> {
        let geometry = Geometry::new(
            options.size,
            options.block_size,
            SectorSize::B512,
            parent.is_some(),
        )?;
        let file = Device::new(file).map_err(VhdxError::io("find the length of the file"))?;
        if file.length() != 0 {
            return Err(VhdxError::NotEmpty {
                length: file.length(),
            });
        }
        Ok(Self {
            file,
            bat: Bat::new(geometry.bat_entries()),
            end: BAT_OFFSET + geometry.bat_size(),
            identifier: file_identifier(&options.creator)?,
            metadata: metadata_region(options, parent)?,
            headers: [1, 2].map(|sequence| header(options, sequence)),
            geometry,
        })
    }

    pub(super) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Where a block is in the file, if it is.
    pub(super) fn block_offset(&self, block: u64) -> Option<u64> {
        self.bat
            .get(self.geometry.payload_entry(block))
            .block_offset()
    }

    /// The run of the file that data at a position of the disk goes to. It goes on for as long as blocks
    /// follow each other in the file; blocks that are not there yet do when they are [taken](Self::take)
    /// in this order.
    pub(super) fn run_for_write(&self, position: u64, length: usize) -> Run {
        let block_size = self.geometry.block_size();
        let mut next = self.end;
        let mut place = |block| {
            self.block_offset(block).unwrap_or_else(|| {
                let place = next;
                next += block_size;
                place
            })
        };
        let (mut block, inside) = (position / block_size, position % block_size);
        let first = place(block);
        let mut covered = block_size - inside;
        while covered < length as u64 {
            block += 1;
            if place(block) != first + inside + covered {
                break;
            }
            covered += block_size;
        }
        Run {
            offset: first + inside,
            length: clamp(covered, length),
        }
    }

    /// Gives each block of a range of the disk its place in the file, if it has none.
    pub(super) fn take(&mut self, position: u64, length: usize) {
        if length == 0 {
            return;
        }
        let block_size = self.geometry.block_size();
        for block in position / block_size..=(position + length as u64 - 1) / block_size {
            if self.block_offset(block).is_none() {
                let entry = BatEntry::stored(BatEntry::PRESENT, self.end);
                self.bat.set(self.geometry.payload_entry(block), entry);
                self.end += block_size;
            }
        }
    }

    /// Changes the state of a block that is in the file.
    pub(super) fn set_state(&mut self, block: u64, state: u64) {
        let entry = self.geometry.payload_entry(block);
        let offset = self.bat.get(entry).offset();
        self.bat.set(entry, BatEntry::stored(state, offset));
    }

    /// Gives a chunk its sector bitmap block and returns where it is in the file.
    pub(super) fn take_bitmap(&mut self, chunk: u64) -> u64 {
        let offset = self.end;
        let entry = self.geometry.bitmap_entry(chunk);
        self.bat
            .set(entry, BatEntry::stored(BatEntry::PRESENT, offset));
        self.end += MIB;
        offset
    }

    /// One write to a place in the file.
    pub(super) fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<usize> {
        self.file.write_at(offset, data)
    }

    /// Writes all of the data to a place in the file.
    pub(super) fn write_all_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(offset, data)
    }

    /// One read from a place in the file; what was not written is zero.
    pub(super) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// Writes all that is not a block; last what makes the file a VHDX file.
    pub(super) fn finish(mut self) -> io::Result<F> {
        for (offset, page) in self.bat.pages() {
            self.file.write_all_at(BAT_OFFSET + offset, page)?;
        }
        self.file.write_all_at(METADATA_OFFSET, &self.metadata)?;
        self.file.extend_to(self.end)?;
        let table = region_table(&self.geometry);
        for offset in REGION_TABLE_OFFSETS {
            self.file.write_all_at(offset, &table)?;
        }
        self.file.flush()?;
        for (offset, header) in HEADER_OFFSETS.into_iter().zip(&self.headers) {
            self.file.write_all_at(offset, header.as_bytes())?;
        }
        self.file.write_all_at(0, self.identifier.as_bytes())?;
        self.file.flush()?;
        Ok(self.file.into_inner())
    }
}

fn header(options: &DiskOptions, sequence: u64) -> Header {
    let mut header = Header {
        signature: Header::SIGNATURE,
        checksum: 0.into(),
        sequence: sequence.into(),
        file_write_id: options.file_write_id,
        data_write_id: options.data_write_id,
        log_id: crate::Guid::NIL,
        log_version: 0.into(),
        version: 1.into(),
        log_length: LOG_LENGTH.into(),
        log_offset: LOG_OFFSET.into(),
        reserved: [0; 4016],
    };
    header.checksum = header.compute_checksum().into();
    header
}

fn region_table(geometry: &Geometry) -> Vec<u8> {
    let bat_length = geometry.bat_size() as u32; // at most 513 MiB
    let entries = [
        (RegionEntry::BAT, BAT_OFFSET, bat_length),
        (RegionEntry::METADATA, METADATA_OFFSET, METADATA_LENGTH),
    ]
    .map(|(id, offset, length)| RegionEntry {
        id,
        offset: offset.into(),
        length: length.into(),
        required: 1.into(),
    });
    let table = |checksum: u32| {
        let header = RegionTableHeader {
            signature: RegionTableHeader::SIGNATURE,
            checksum: checksum.into(),
            count: (entries.len() as u32).into(),
            reserved: 0.into(),
        };
        let mut table = [header.as_bytes(), entries.as_bytes()].concat();
        table.resize(REGION_TABLE_SIZE, 0);
        table
    };
    table(RegionTableHeader::compute_checksum(&table(0)))
}
