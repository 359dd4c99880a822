//! A hive being read: its header, and its cells by offset.

use std::{borrow::Cow, fmt, sync::Arc};

use zerocopy::FromBytes;

use crate::{
    HiveError, Key, Source,
    format::{BaseBlock, PAGE},
    log,
};

/// Bytes of a cell's own size field.
const CELL_HEADER: u64 = 4;

/// A hive file, of which every part is read and checked only when it is asked for.
///
/// Bytes after the last bin are ignored. Nothing read from it is trusted: offsets are checked,
/// nesting is bounded, and no key is reached twice, so that walks end.
pub struct Hive<'a> {
    storage: Storage<'a>,
    base: BaseBlock,
}

enum Storage<'a> {
    Memory(Cow<'a, [u8]>),
    Source(Box<dyn Source + 'a>),
}

impl<'a> Hive<'a> {
    /// A hive in memory (or in a mapped file), which is not copied.
    ///
    /// # Errors
    /// [`HiveError::NotAHive`], [`HiveError::Version`] or [`HiveError::Damaged`] for the header,
    /// [`HiveError::Dirty`] when the hive needs its logs.
    pub fn from_bytes(bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, HiveError> {
        Self::from_bytes_with_logs(bytes, &[])
    }

    /// A hive in memory with the contents of its log files (`.LOG1`, `.LOG2`, `.LOG`; any order,
    /// empty ones do not matter). When the hive is dirty the logs are applied to a copy of it.
    ///
    /// # Errors
    /// As for [`Hive::from_bytes`]; [`HiveError::Dirty`] when the logs do not fit the hive.
    pub fn from_bytes_with_logs(
        bytes: impl Into<Cow<'a, [u8]>>,
        logs: &[&[u8]],
    ) -> Result<Self, HiveError> {
        Self::open(Storage::Memory(bytes.into()), logs)
    }

    /// A hive that stays where it is, such as a [`crate::PagedSource`].
    ///
    /// # Errors
    /// As for [`Hive::from_bytes`].
    pub fn from_source(source: impl Source + 'a) -> Result<Self, HiveError> {
        Self::from_source_with_logs(source, &[])
    }

    /// A hive that stays where it is, with the contents of its log files.
    ///
    /// # Errors
    /// As for [`Hive::from_bytes_with_logs`].
    pub fn from_source_with_logs(
        source: impl Source + 'a,
        logs: &[&[u8]],
    ) -> Result<Self, HiveError> {
        Self::open(Storage::Source(Box::new(source)), logs)
    }

    fn open(mut storage: Storage<'a>, logs: &[&[u8]]) -> Result<Self, HiveError> {
        let head = storage.read(0, (PAGE as u64).min(storage.size()) as usize)?;
        let base = BaseBlock::read_from_bytes(&head).map_err(|_| HiveError::NotAHive {
            expected: "a header of 4096 bytes",
            found: format!("{} bytes", head.len()),
        })?;
        drop(head);
        let base = match dirt(&base)? {
            None => base,
            Some(reason) => {
                let recovery = log::recover(&base, reason, logs)?;
                let base = recovery.base;
                storage = storage.patched(recovery);
                base
            }
        };
        check_header(&base, storage.size())?;
        Ok(Self { storage, base })
    }

    /// The root key.
    ///
    /// # Errors
    /// [`HiveError::Damaged`] when there is none.
    pub fn root(&self) -> Result<Key<'_>, HiveError> {
        Key::root(self)
    }

    /// The key at `path` below the root, components separated by backslashes; the empty path is the
    /// root. Case does not matter.
    ///
    /// # Errors
    /// [`HiveError::Damaged`] or [`HiveError::Read`] on the way there.
    pub fn get(&self, path: &str) -> Result<Option<Key<'_>>, HiveError> {
        self.root()?.get(path)
    }

    /// Minor version: 3 to 6.
    pub fn minor_version(&self) -> u32 {
        self.base.minor.get()
    }

    /// Last write time of the header, in 100 ns ticks since 1601; offline tools leave it 0.
    pub fn last_written(&self) -> u64 {
        self.base.last_written.get()
    }

    /// Whether the header says that keys and values carry layer semantics. Deltas do; full hives
    /// may.
    pub fn is_layered(&self) -> bool {
        self.base.flags.get() & BaseBlock::LAYERED != 0
    }

    /// The tail of the file name the hive was last written under.
    pub fn file_name(&self) -> String {
        let (units, _) = self.base.file_name.as_chunks::<2>();
        let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
        char::decode_utf16(units.take_while(|unit| *unit != 0))
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }

    pub(crate) fn base(&self) -> &BaseBlock {
        &self.base
    }

    /// Bytes of all bins.
    pub(crate) fn bins_size(&self) -> u32 {
        self.base.bins_size.get()
    }

    /// The content of the cell at `offset`, which must be in use.
    pub(crate) fn cell(&self, offset: u32) -> Result<Cow<'_, [u8]>, HiveError> {
        let room = u64::from(self.bins_size())
            .checked_sub(u64::from(offset) + CELL_HEADER)
            .filter(|_| offset.is_multiple_of(8));
        let Some(room) = room else {
            let found = format!("offset {offset:#x} of {:#x}", self.bins_size());
            return Err(damaged(offset, "a cell", found));
        };
        let at = file_offset(offset);
        let header = self.storage.read(at, CELL_HEADER as usize)?;
        let size = header
            .first_chunk()
            .map_or(0, |size| i32::from_le_bytes(*size));
        let length = u64::from(size.unsigned_abs()).checked_sub(CELL_HEADER);
        match length.filter(|length| size < 0 && *length <= room) {
            Some(length) => self.storage.read(at + CELL_HEADER, length as usize),
            None => {
                let found = format!("a cell size of {size}");
                Err(damaged(offset, "a cell in use", found))
            }
        }
    }
}

impl fmt::Debug for Hive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hive")
            .field("file_name", &self.file_name())
            .field("minor_version", &self.minor_version())
            .field("bins_size", &self.bins_size())
            .finish_non_exhaustive()
    }
}

impl<'a> Storage<'a> {
    fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Source(source) => source.size(),
        }
    }

    fn read(&self, offset: u64, length: usize) -> Result<Cow<'_, [u8]>, HiveError> {
        match self {
            Self::Memory(bytes) => usize::try_from(offset)
                .ok()
                .and_then(|start| bytes.get(start..start.checked_add(length)?))
                .map(Cow::Borrowed)
                .ok_or_else(|| HiveError::Damaged {
                    offset,
                    expected: "more data",
                    found: "the end of the file".into(),
                }),
            Self::Source(source) => source
                .read(offset, length)
                .map_err(|error| HiveError::Read {
                    offset,
                    length,
                    source: Arc::new(error),
                }),
        }
    }

    fn patched(self, recovery: log::Recovery) -> Self {
        match self {
            Self::Memory(bytes) => {
                let mut bytes = bytes.into_owned();
                recovery.apply(&mut bytes);
                Self::Memory(Cow::Owned(bytes))
            }
            Self::Source(source) => Self::Source(Box::new(log::Patched::new(source, recovery))),
        }
    }
}

/// Why the hive cannot be read as it is, if so.
fn dirt(base: &BaseBlock) -> Result<Option<&'static str>, HiveError> {
    if base.signature != BaseBlock::SIGNATURE {
        return Err(HiveError::NotAHive {
            expected: "\"regf\"",
            found: format!("\"{}\"", base.signature.escape_ascii()),
        });
    }
    Ok(if base.checksum.get() != base.compute_checksum() {
        Some("the header's checksum is wrong")
    } else if base.primary_sequence != base.secondary_sequence {
        Some("its sequence numbers differ")
    } else {
        None
    })
}

fn check_header(base: &BaseBlock, size: u64) -> Result<(), HiveError> {
    let (major, minor) = (base.major.get(), base.minor.get());
    if major != 1 || !(3..=6).contains(&minor) {
        return Err(HiveError::Version { major, minor });
    }
    if base.file_type.get() != 0 || base.format.get() != 1 {
        return Err(HiveError::NotAHive {
            expected: "a primary file (type 0, format 1)",
            found: format!("type {}, format {}", base.file_type, base.format),
        });
    }
    let bins = base.bins_size.get();
    let end = PAGE as u64 + u64::from(bins);
    if bins == 0 || !(bins as usize).is_multiple_of(PAGE) || end > size {
        return Err(HiveError::Damaged {
            offset: 40,
            expected: "a length of all bins that is a multiple of 4096 within the file",
            found: format!("{bins:#x} in a file of {size:#x} bytes"),
        });
    }
    Ok(())
}

/// Where a cell lies in the file.
pub(crate) fn file_offset(cell: u32) -> u64 {
    PAGE as u64 + u64::from(cell)
}

/// A broken rule at a cell.
pub(crate) fn damaged(cell: u32, expected: &'static str, found: impl Into<String>) -> HiveError {
    HiveError::Damaged {
        offset: file_offset(cell),
        expected,
        found: found.into(),
    }
}
