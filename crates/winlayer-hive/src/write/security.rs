//! The `sk` cells: every distinct descriptor once, all in one ring, each counting its keys.

use std::{collections::HashMap, sync::Arc};

use zerocopy::IntoBytes;

use super::cells::{Cell, Cells};
use crate::{HiveError, format::KeySecurity};

/// `O:BAG:SYD:(A;CI;KA;;;BA)(A;CI;KA;;;SY)(A;CI;KR;;;BU)`: administrators and the system may do
/// everything, users may read.
pub(super) const DEFAULT: [u8; 124] = {
    let head: [u8; 48] = [
        1, 0, 0x04, 0x80, // revision 1, self-relative, DACL present
        20, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, // owner, group, SACL, DACL
        1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0, // S-1-5-32-544
        1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, // S-1-5-18
    ];
    let acl: [u8; 76] = [
        2, 0, 76, 0, 3, 0, 0, 0, // revision 2, three entries
        0, 2, 24, 0, 0x3F, 0, 0x0F, 0, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0, //
        0, 2, 20, 0, 0x3F, 0, 0x0F, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, //
        0, 2, 24, 0, 0x19, 0, 0x02, 0, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x21, 2, 0, 0,
    ];
    let mut all = [0; 124];
    let (first, rest) = all.split_at_mut(48);
    first.copy_from_slice(&head);
    rest.copy_from_slice(&acl);
    all
};

struct Entry {
    cell: Cell,
    descriptor: Arc<[u8]>,
    references: u32,
}

/// Descriptors in the order of their first use.
#[derive(Default)]
pub(super) struct Ring {
    entries: Vec<Entry>,
    by_descriptor: HashMap<Arc<[u8]>, usize>,
}

impl Ring {
    /// Place and cell of `descriptor`, one key more using it.
    pub(super) fn share(
        &mut self,
        descriptor: &[u8],
        cells: &mut Cells,
    ) -> Result<(usize, Cell), HiveError> {
        if let Some(place) = self.by_descriptor.get(descriptor) {
            return self.share_again(*place);
        }
        let cell = cells.reserve(size_of::<KeySecurity>() + descriptor.len())?;
        let descriptor: Arc<[u8]> = descriptor.into();
        let place = self.entries.len();
        self.by_descriptor.insert(Arc::clone(&descriptor), place);
        self.entries.push(Entry {
            cell,
            descriptor,
            references: 1,
        });
        Ok((place, cell))
    }

    /// Place and cell of the descriptor there, one key more using it.
    pub(super) fn share_again(&mut self, place: usize) -> Result<(usize, Cell), HiveError> {
        let entry = self.entries.get_mut(place).ok_or(HiveError::TooLarge)?;
        entry.references = entry.references.checked_add(1).ok_or(HiveError::TooLarge)?;
        Ok((place, entry.cell))
    }

    /// Writes the cells, now that neighbours and counts are known.
    pub(super) fn finish(self, cells: &mut Cells) -> Result<(), HiveError> {
        let ring: Vec<u32> = self.entries.iter().map(|entry| entry.cell.0).collect();
        let next = ring.iter().cycle().skip(1);
        let previous = ring.iter().cycle().skip(ring.len().saturating_sub(1));
        for ((entry, next), previous) in self.entries.iter().zip(next).zip(previous) {
            let header = KeySecurity {
                signature: KeySecurity::SIGNATURE,
                spare: 0.into(),
                next: (*next).into(),
                previous: (*previous).into(),
                references: entry.references.into(),
                length: u32::try_from(entry.descriptor.len())
                    .map_err(|_| HiveError::TooLarge)?
                    .into(),
            };
            cells.fill(entry.cell, &[header.as_bytes(), &entry.descriptor]);
        }
        Ok(())
    }
}
