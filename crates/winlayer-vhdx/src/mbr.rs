//! The older partition table, in sector 0.
//!
//! Only its four entries are read, not the chain of tables in an extended partition.

use std::io::{Read, Seek};

use zerocopy::{FromZeros, IntoBytes};

use crate::{
    VhdxError,
    device::Device,
    gpt::format::{MbrEntry, ProtectiveMbr, SECTOR},
};

/// The kind of the one entry of a disk with a GPT.
pub const PROTECTIVE: u8 = MbrEntry::PROTECTIVE;
/// Kinds of extended partitions, which hold further tables.
pub const EXTENDED: [u8; 3] = [0x05, 0x0F, 0x85];

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MbrPartition {
    /// Its place in the table, 1 to 4.
    pub number: usize,
    /// What it is for: 0x07 is NTFS or exFAT.
    pub kind: u8,
    /// Where it starts, in bytes from the start of the disk; a multiple of 512.
    pub offset: u64,
    /// Its size in bytes, a multiple of 512.
    pub length: u64,
}

/// Reads the entries in use; none when the sector does not end as a partition table does. Whether they make sense is not
/// checked.
///
/// # Errors
/// When the disk cannot be read.
pub fn read(disk: &mut (impl Read + Seek)) -> Result<Option<Vec<MbrPartition>>, VhdxError> {
    const READ: &str = "read the partition table";
    let mut disk = Device::new(disk).map_err(VhdxError::io(READ))?;
    let mut table = ProtectiveMbr::new_zeroed();
    let read = disk.read_all_at(0, table.as_mut_bytes());
    read.map_err(VhdxError::io(READ))?;
    if table.signature != ProtectiveMbr::SIGNATURE {
        return Ok(None);
    }
    let used = (1..)
        .zip(&table.entries)
        .filter(|(_, entry)| entry.kind != 0 && entry.count.get() != 0);
    let partition = |(number, entry): (usize, &MbrEntry)| MbrPartition {
        number,
        kind: entry.kind,
        offset: u64::from(entry.first.get()) * SECTOR,
        length: u64::from(entry.count.get()) * SECTOR,
    };
    Ok(Some(used.map(partition).collect()))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn entries_in_use_are_partitions() {
        // What `sfdisk` writes for `2048,4096,7` as the second partition.
        let mut sector = vec![0; 512];
        sector[462..478].copy_from_slice(&[
            0x00, 0x20, 0x21, 0x00, 0x07, 0x61, 0x35, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x10,
            0x00, 0x00,
        ]);
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        let partition = MbrPartition {
            number: 2,
            kind: 7,
            offset: 1 << 20,
            length: 2 << 20,
        };
        let found = read(&mut Cursor::new(&sector)).unwrap();
        assert_eq!(found, Some(vec![partition]));
    }

    #[test]
    fn a_sector_without_the_mark_is_no_table() {
        assert_eq!(read(&mut Cursor::new(vec![0; 512])).unwrap(), None);
    }
}
