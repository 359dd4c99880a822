//! Space in bins: allocation now, content whenever it is known.

use zerocopy::IntoBytes;

use crate::{
    HiveError,
    format::{BaseBlock, BinHeader, PAGE},
};

/// Most bytes of all bins; the sign of a cell's size and 32-bit offsets end there.
const LIMIT: usize = 1 << 31;
/// Bytes of a cell's own size field.
const CELL_HEADER: usize = 4;

/// Offset of a cell from the end of the base block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell(pub u32);

/// Free bytes at the end of a bin.
#[derive(Clone, Copy, Debug)]
struct Room {
    start: usize,
    end: usize,
}

impl Room {
    const NONE: Self = Self { start: 0, end: 0 };

    fn len(self) -> usize {
        self.end - self.start
    }
}

/// The bins of a hive being written.
#[derive(Debug)]
pub(crate) struct Cells {
    /// Room for the base block, then the bins.
    file: Vec<u8>,
    /// Where small cells go; larger ones get a bin of their own.
    open: Room,
    last_written: u64,
}

impl Cells {
    /// No bins yet; `size_hint` is about what the file will need.
    pub(crate) fn new(last_written: u64, size_hint: usize) -> Self {
        let mut file = Vec::with_capacity(size_hint.clamp(2 * PAGE, LIMIT));
        file.resize(PAGE, 0);
        Self {
            file,
            open: Room::NONE,
            last_written,
        }
    }

    /// Reserves a cell for `length` bytes, all zero.
    pub(crate) fn reserve(&mut self, length: usize) -> Result<Cell, HiveError> {
        let size = length
            .checked_add(CELL_HEADER)
            .and_then(|size| size.checked_next_multiple_of(8))
            .filter(|size| *size < LIMIT)
            .ok_or(HiveError::TooLarge)?;
        if size <= self.open.len() {
            let start = self.open.start;
            self.open.start += size;
            return self.take(start, size);
        }
        let bin = self.add_bin(size)?;
        let room = Room {
            start: bin.start + size,
            end: bin.end,
        };
        if room.len() > self.open.len() {
            self.free(self.open);
            self.open = room;
        } else {
            self.free(room);
        }
        self.take(bin.start, size)
    }

    /// Reserves a cell and fills it with `parts`, one after the other.
    pub(crate) fn add(&mut self, parts: &[&[u8]]) -> Result<Cell, HiveError> {
        let cell = self.reserve(parts.iter().map(|part| part.len()).sum())?;
        self.fill(cell, parts);
        Ok(cell)
    }

    /// Writes `parts` from the start of a reserved cell.
    pub(crate) fn fill(&mut self, cell: Cell, parts: &[&[u8]]) {
        let mut at = cell.0 as usize + CELL_HEADER;
        for part in parts {
            self.put(at, part);
            at += part.len();
        }
    }

    /// Length of all bins.
    pub(crate) fn bins_size(&self) -> usize {
        self.file.len() - PAGE
    }

    /// The file, the rest of the open bin marked free.
    pub(crate) fn finish(mut self, base: &BaseBlock) -> Vec<u8> {
        self.free(self.open);
        for (target, byte) in self.file.iter_mut().zip(base.as_bytes()) {
            *target = *byte;
        }
        self.file
    }

    fn add_bin(&mut self, cell_size: usize) -> Result<Room, HiveError> {
        let start = self.bins_size();
        let size = (cell_size + size_of::<BinHeader>()).next_multiple_of(PAGE);
        let end = start
            .checked_add(size)
            .filter(|end| *end < LIMIT)
            .ok_or(HiveError::TooLarge)?;
        let header = BinHeader {
            signature: BinHeader::SIGNATURE,
            offset: offset(start)?.into(),
            size: offset(size)?.into(),
            reserved: [0; 8],
            last_written: if start == 0 { self.last_written } else { 0 }.into(),
            spare: 0.into(),
        };
        self.file.resize(PAGE + end, 0);
        self.put(start, header.as_bytes());
        Ok(Room {
            start: start + size_of::<BinHeader>(),
            end,
        })
    }

    fn take(&mut self, start: usize, size: usize) -> Result<Cell, HiveError> {
        let cell = Cell(offset(start)?);
        self.put(start, &offset(size)?.wrapping_neg().to_le_bytes());
        Ok(cell)
    }

    /// Marks unused bytes, which are a multiple of 8, as one free cell.
    fn free(&mut self, room: Room) {
        if let (1.., Ok(size)) = (room.len(), u32::try_from(room.len())) {
            self.put(room.start, &size.to_le_bytes());
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let at = PAGE + at;
        let target = at
            .checked_add(bytes.len())
            .and_then(|end| self.file.get_mut(at..end));
        debug_assert!(target.is_some(), "cell content outside the bins");
        if let Some(target) = target {
            target.copy_from_slice(bytes);
        }
    }
}

fn offset(value: usize) -> Result<u32, HiveError> {
    u32::try_from(value).map_err(|_| HiveError::TooLarge)
}
