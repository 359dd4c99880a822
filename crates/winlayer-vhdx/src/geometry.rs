//! Sizes of a virtual disk, and where its blocks have their entries in the BAT.

use crate::{
    VhdxError,
    format::{CHUNK_SECTORS, MAX_DISK_SIZE, MIB},
};

/// Size of a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectorSize {
    /// 512 bytes.
    B512,
    /// 4096 bytes.
    B4096,
}

impl SectorSize {
    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::B512 => 512,
            Self::B4096 => 4096,
        }
    }

    pub(crate) fn from_bytes(bytes: u32) -> Option<Self> {
        match bytes {
            512 => Some(Self::B512),
            4096 => Some(Self::B4096),
            _ => None,
        }
    }
}

/// Size of a block, the unit a file grows by: a power of two from 1 MiB to 256 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSize(u32);

impl BlockSize {
    /// 1 MiB, which Windows uses for containers.
    pub const MIB: Self = Self(1 << 20);

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for BlockSize {
    type Error = VhdxError;

    fn try_from(bytes: u32) -> Result<Self, VhdxError> {
        if bytes.is_power_of_two() && (1 << 20..=1 << 28).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(VhdxError::BlockSize { bytes })
        }
    }
}

/// The numbers all offsets follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    size: u64,
    block: u64,
    sector: u64,
    differencing: bool,
}

impl Geometry {
    /// Fails unless the size is a multiple of the sector, not zero and at most 64 TiB.
    pub(crate) fn new(
        size: u64,
        block: BlockSize,
        sector: SectorSize,
        differencing: bool,
    ) -> Result<Self, VhdxError> {
        let geometry = Self {
            size,
            block: u64::from(block.bytes()),
            sector: u64::from(sector.bytes()),
            differencing,
        };
        if size == 0 || size > MAX_DISK_SIZE || !size.is_multiple_of(geometry.sector) {
            return Err(VhdxError::Size { size });
        }
        Ok(geometry)
    }

    /// Size of the virtual disk in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Size of a block in bytes.
    pub(crate) fn block_size(&self) -> u64 {
        self.block
    }

    /// Size of a logical sector in bytes.
    pub(crate) fn sector_size(&self) -> u64 {
        self.sector
    }

    pub(crate) fn is_differencing(&self) -> bool {
        self.differencing
    }

    /// Number of payload blocks; the last may be cut by the end of the disk.
    pub(crate) fn blocks(&self) -> u64 {
        self.size.div_ceil(self.block)
    }

    /// Payload blocks of a chunk: 4096 for sectors of 512 bytes and blocks of 1 MiB.
    pub(crate) fn chunk_blocks(&self) -> u64 {
        CHUNK_SECTORS * self.sector / self.block
    }

    /// Number of chunks, each of which may have a sector bitmap block.
    pub(crate) fn chunks(&self) -> u64 {
        self.blocks().div_ceil(self.chunk_blocks())
    }

    /// Number of entries of the BAT. In it, one entry for a bitmap block follows those of a chunk;
    /// only differencing disks have it after the last chunk, which then is as long as all others.
    pub(crate) fn bat_entries(&self) -> u64 {
        if self.differencing {
            self.chunks() * (self.chunk_blocks() + 1)
        } else {
            self.payload_entry(self.blocks() - 1) + 1
        }
    }

    /// Index in the BAT of a payload block.
    pub(crate) fn payload_entry(&self, block: u64) -> u64 {
        block + block / self.chunk_blocks()
    }

    /// Index in the BAT of a chunk's bitmap block.
    pub(crate) fn bitmap_entry(&self, chunk: u64) -> u64 {
        chunk * (self.chunk_blocks() + 1) + self.chunk_blocks()
    }

    /// What the BAT's entry at this index is for.
    pub(crate) fn entry_owner(&self, index: u64) -> EntryOwner {
        let (chunk, place) = (
            index / (self.chunk_blocks() + 1),
            index % (self.chunk_blocks() + 1),
        );
        if place == self.chunk_blocks() {
            EntryOwner::Bitmap(chunk)
        } else {
            EntryOwner::Block(chunk * self.chunk_blocks() + place)
        }
    }

    /// Sectors of a block; the last block may have fewer on the disk.
    pub(crate) fn block_sectors(&self) -> u64 {
        self.block / self.sector
    }

    /// Sectors of this block that are on the disk.
    pub(crate) fn sectors_of(&self, block: u64) -> u64 {
        let start = block * self.block;
        (self.size - start).min(self.block) / self.sector
    }

    /// Where in its bitmap block a payload block's bits are, in bytes.
    pub(crate) fn bitmap_offset(&self, block: u64) -> u64 {
        block % self.chunk_blocks() * self.bitmap_size()
    }

    /// Bytes of a bitmap block that belong to one payload block.
    pub(crate) fn bitmap_size(&self) -> u64 {
        self.block_sectors() / 8
    }

    /// Length of the BAT in the file.
    pub(crate) fn bat_size(&self) -> u64 {
        (self.bat_entries() * 8).next_multiple_of(MIB)
    }
}

/// What an entry of the BAT is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryOwner {
    /// The payload block with this number, which may lie behind the end of the disk.
    Block(u64),
    /// The sector bitmap block of the chunk with this number.
    Bitmap(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(size: u64, block: u32, differencing: bool) -> Geometry {
        let block = BlockSize::try_from(block).unwrap();
        Geometry::new(size, block, SectorSize::B512, differencing).unwrap()
    }

    /// The examples follow from the formulas of MS-VHDX 2.5 by hand.
    #[test]
    fn entries_of_the_bat() {
        let dynamic = geometry(4096 << 20, 1 << 20, false);
        assert_eq!(
            (dynamic.chunk_blocks(), dynamic.bat_entries()),
            (4096, 4096)
        );
        let dynamic = geometry((4096 << 20) + 512, 1 << 20, false);
        assert_eq!((dynamic.blocks(), dynamic.bat_entries()), (4097, 4098));
        let differencing = geometry(512, 1 << 20, true);
        assert_eq!(differencing.bat_entries(), 4097);
        let differencing = geometry(64 << 40, 32 << 20, true);
        assert_eq!(differencing.chunk_blocks(), 128);
        assert_eq!(differencing.bat_entries(), (1 << 14) * 129);
        assert_eq!(geometry(64 << 40, 1 << 20, true).bat_size(), 513 << 20);
    }

    #[test]
    fn an_entry_for_a_bitmap_follows_each_chunk() {
        let geometry = geometry(64 << 40, 1 << 20, true);
        assert_eq!(geometry.payload_entry(4095), 4095);
        assert_eq!(geometry.bitmap_entry(0), 4096);
        assert_eq!(geometry.payload_entry(4096), 4097);
        assert_eq!(geometry.entry_owner(4095), EntryOwner::Block(4095));
        assert_eq!(geometry.entry_owner(4096), EntryOwner::Bitmap(0));
        assert_eq!(geometry.entry_owner(4097), EntryOwner::Block(4096));
        assert_eq!(geometry.bitmap_offset(4095), (1 << 20) - 256);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for size in [0, 511, 513, (64 << 40) + 512] {
            assert!(Geometry::new(size, BlockSize::MIB, SectorSize::B512, false).is_err());
        }
        for block in [0, 1 << 19, 3 << 20, 1 << 29] {
            assert!(BlockSize::try_from(block).is_err());
        }
    }
}
