//! Fixed VHD files: the disk's bytes, and a footer of 512 bytes behind them.

mod format;

use std::io::{Read, Seek, SeekFrom, Write};

use zerocopy::{FromZeros, IntoBytes};

use crate::{Guid, VhdxError, device::Device};
use format::Footer;

const SECTOR: u64 = 512;
/// Largest disk of the format.
const MAX_SIZE: u64 = 2040 << 30;

/// Cylinders, heads and sectors, as old machines address a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chs {
    /// Number of cylinders.
    pub cylinders: u16,
    /// Heads per cylinder.
    pub heads: u8,
    /// Sectors per track.
    pub sectors: u8,
}

impl Chs {
    /// What the specification's appendix "CHS Calculation" gives for a disk of this many bytes. They cover less than
    /// the whole disk, mostly.
    #[must_use]
    pub fn for_size(size: u64) -> Self {
        let total = (size / SECTOR).min(65535 * 16 * 255);
        let (heads, sectors) = if total >= 65535 * 16 * 63 {
            (16, 255)
        } else {
            let heads = (total / 17).div_ceil(1024).max(4);
            if heads <= 16 && total / 17 < heads * 1024 {
                (heads, 17)
            } else if total / 31 < 16 * 1024 {
                (16, 31)
            } else {
                (16, 63)
            }
        };
        Self {
            // At most 65535, because of the limits above.
            cylinders: (total / sectors / heads) as u16,
            heads: heads as u8,
            sectors: sectors as u8,
        }
    }
}

/// What the footer of a fixed VHD file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedFooter {
    /// Size of the disk in bytes, a multiple of 512.
    pub size: u64,
    /// Its size when it was made.
    pub original_size: u64,
    /// Seconds since the start of 2000, UTC.
    pub timestamp: u32,
    /// Identifies the disk; its bytes are stored as they are.
    pub id: Guid,
    /// The size in another form.
    pub geometry: Chs,
    /// What made the file.
    pub creator: [u8; 4],
    /// The version of that, 16 bits each major and minor.
    pub creator_version: u32,
    /// What it ran on.
    pub creator_host: [u8; 4],
}

impl FixedFooter {
    /// The footer that Windows 10 would write: other programs take the size from it, not the geometry.
    ///
    /// # Errors
    /// When the size is 0, not a multiple of 512 or more than 2040 GiB.
    pub fn new(size: u64, id: Guid, timestamp: u32) -> Result<Self, VhdxError> {
        check_size(size)?;
        Ok(Self {
            size,
            original_size: size,
            timestamp,
            id,
            geometry: Chs::for_size(size),
            creator: *b"win ",
            creator_version: 0x000A_0000,
            creator_host: *b"Wi2k",
        })
    }

    /// The footer's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; 512] {
        let mut footer = Footer {
            cookie: Footer::COOKIE,
            features: Footer::FEATURES.into(),
            version: Footer::VERSION.into(),
            data_offset: u64::MAX.into(),
            timestamp: self.timestamp.into(),
            creator: self.creator,
            creator_version: self.creator_version.into(),
            creator_host: self.creator_host,
            original_size: self.original_size.into(),
            size: self.size.into(),
            cylinders: self.geometry.cylinders.into(),
            heads: self.geometry.heads,
            sectors: self.geometry.sectors,
            disk_type: Footer::FIXED.into(),
            checksum: 0.into(),
            id: self.id,
            saved_state: 0,
            reserved: [0; 427],
        };
        footer.checksum = footer.compute_checksum().into();
        zerocopy::transmute!(footer)
    }

    /// Reads a footer and checks all that is fixed in it.
    ///
    /// # Errors
    /// When it is none, is damaged, or is of another kind of disk.
    pub fn decode(bytes: &[u8; 512]) -> Result<Self, VhdxError> {
        let mut footer = Footer::new_zeroed();
        footer.as_mut_bytes().copy_from_slice(bytes);
        if footer.cookie != Footer::COOKIE {
            return Err(broken("conectix", footer.cookie.escape_ascii()));
        }
        if footer.checksum.get() != footer.compute_checksum() {
            let computed = footer.compute_checksum();
            let found = format!("{:#010x} instead of {computed:#010x}", footer.checksum);
            return Err(broken("a checksum that matches", found));
        }
        if footer.version != Footer::VERSION {
            return Err(broken("version 1.0", format!("{:#x}", footer.version)));
        }
        if footer.disk_type != Footer::FIXED {
            return Err(broken("disk type 2, fixed", footer.disk_type));
        }
        if footer.data_offset != u64::MAX {
            let found = format!("an offset of {:#x}", footer.data_offset);
            return Err(broken("no further structure", found));
        }
        check_size(footer.size.get())?;
        Ok(Self {
            size: footer.size.get(),
            original_size: footer.original_size.get(),
            timestamp: footer.timestamp.get(),
            id: footer.id,
            geometry: Chs {
                cylinders: footer.cylinders.get(),
                heads: footer.heads,
                sectors: footer.sectors,
            },
            creator: footer.creator,
            creator_version: footer.creator_version.get(),
            creator_host: footer.creator_host,
        })
    }
}

fn broken(expected: &'static str, found: impl ToString) -> VhdxError {
    VhdxError::Vhd {
        expected,
        found: found.to_string(),
    }
}

fn check_size(size: u64) -> Result<(), VhdxError> {
    if size == 0 || size > MAX_SIZE || !size.is_multiple_of(SECTOR) {
        return Err(VhdxError::VhdSize { size });
    }
    Ok(())
}

/// Makes a file with the bytes of a disk a fixed VHD file: puts a footer behind `size` bytes.
///
/// # Errors
/// When the size is impossible, or the file cannot be written.
pub fn write_footer(
    file: &mut (impl Write + Seek),
    size: u64,
    id: Guid,
    timestamp: u32,
) -> Result<(), VhdxError> {
    let footer = FixedFooter::new(size, id, timestamp)?.encode();
    file.seek(SeekFrom::Start(size))
        .and_then(|_| file.write_all(&footer))
        .map_err(VhdxError::io("write the footer of the VHD file"))
}

/// Reads the footer of a fixed VHD file and checks it and the file's length.
///
/// # Errors
/// When the file cannot be read, or is no sound fixed VHD file.
pub fn read_footer(file: &mut (impl Read + Seek)) -> Result<FixedFooter, VhdxError> {
    const READ: &str = "read the footer of the VHD file";
    let mut file = Device::new(file).map_err(VhdxError::io(READ))?;
    let Some(size) = file.length().checked_sub(size_of::<Footer>() as u64) else {
        return Err(broken(
            "a footer of 512 bytes",
            format!("{} bytes", file.length()),
        ));
    };
    let mut bytes = [0; size_of::<Footer>()];
    file.read_all_at(size, &mut bytes)
        .map_err(VhdxError::io(READ))?;
    let footer = FixedFooter::decode(&bytes)?;
    if footer.size != size {
        let found = format!("{size} bytes, but {} in the footer", footer.size);
        return Err(broken("the whole disk before the footer", found));
    }
    Ok(footer)
}
