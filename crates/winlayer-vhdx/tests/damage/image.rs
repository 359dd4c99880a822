//! Sound files, and what is to be said of them once they are changed.

use std::io::{Cursor, Seek, SeekFrom, Write};

use winlayer_vhdx::{
    DifferencingDisk, Disk, DynamicDisk, Finding, Guid, ParentLocator, Place, Rule, Severity,
    verify,
};

use crate::support::options;

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;
pub(crate) const HEADERS: [usize; 2] = [64 * KIB, 128 * KIB];
pub(crate) const REGION_TABLES: [usize; 2] = [192 * KIB, 256 * KIB];
/// Where our writer puts things.
pub(crate) const METADATA: usize = 2 * MIB;
pub(crate) const BAT: usize = 3 * MIB;
/// Entry of the bitmap block of the first chunk.
pub(crate) const BITMAP: usize = BAT + 4096 * 8;
/// Order of our entries in the metadata table, and of the items behind it.
pub(crate) const PARAMETERS: usize = METADATA + 32;
pub(crate) const DISK_SIZE: usize = PARAMETERS + 32;
pub(crate) const DISK_ID: usize = DISK_SIZE + 32;
pub(crate) const PARENT: usize = METADATA + 32 * 6;
pub(crate) const ITEMS: usize = METADATA + 64 * KIB;
pub(crate) const LOCATOR: usize = ITEMS + 8 + 8 + 16 + 8 + 8;

pub(crate) const BAT_REGION: Guid = Guid::from_u128(0x2DC27766_F623_4200_9D64_115E9BFD4A08);
pub(crate) const METADATA_REGION: Guid = Guid::from_u128(0x8B7CA206_4790_4B9A_B8FE_575F050F886E);
pub(crate) const PARAMETERS_ITEM: Guid = Guid::from_u128(0xCAA16737_FA36_4D43_B3B6_33F0AA44E76B);
pub(crate) const SIZE_ITEM: Guid = Guid::from_u128(0x2FA54224_CD1B_4876_B211_5DBED83BF4B8);
pub(crate) const ID_ITEM: Guid = Guid::from_u128(0xBECA12AB_B2E6_4523_93EF_C309E000C746);
pub(crate) const PARENT_ITEM: Guid = Guid::from_u128(0xA8D35F2D_B30B_454D_ABF7_D3D84834AB0C);
/// An id that means nothing.
pub(crate) const NOTHING: [u8; 16] = [9; 16];

/// A file with its checksums left alone.
pub(crate) struct Image(pub Vec<u8>);

impl Image {
    /// Four blocks, the last only half on the disk. Blocks 0 and 3 are partly present, at 4 and 6 MiB, block 1 is whole,
    /// at 5 MiB; the bitmap block is at 7 MiB.
    pub(crate) fn differencing() -> Self {
        let size = 3 * MIB + 512 * KIB;
        let locator = ParentLocator {
            linkage: Guid::from_u128(1),
            relative_path: Some(r".\base.vhdx".to_owned()),
            ..ParentLocator::default()
        };
        let parent = Cursor::new(Vec::new());
        let file = Cursor::new(Vec::new());
        let options = options(size as u64);
        let mut disk = DifferencingDisk::create(file, parent, &options, &locator).unwrap();
        for (offset, length) in [(512, 512), (MIB, MIB), (3 * MIB, 512)] {
            disk.seek(SeekFrom::Start(offset as u64)).unwrap();
            disk.write_all(&vec![1; length]).unwrap();
        }
        Self(disk.finish().unwrap().into_inner())
    }

    /// Two blocks, both written, at 4 and 5 MiB.
    pub(crate) fn dynamic() -> Self {
        let file = Cursor::new(Vec::new());
        let mut disk = DynamicDisk::create(file, &options(5 << 30)).unwrap();
        disk.write_all(&vec![1; 2 * MIB]).unwrap();
        Self(disk.finish().unwrap().into_inner())
    }

    pub(crate) fn put(&mut self, offset: usize, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Puts it into both headers or both region tables.
    pub(crate) fn put_both(
        &mut self,
        copies: [usize; 2],
        offset: usize,
        bytes: impl AsRef<[u8]>,
    ) -> &mut Self {
        for copy in copies {
            self.put(copy + offset, &bytes);
        }
        self.mend()
    }

    /// Makes all checksums right.
    pub(crate) fn mend(&mut self) -> &mut Self {
        let headers = HEADERS.map(|offset| (offset, 4 * KIB));
        let tables = REGION_TABLES.map(|offset| (offset, 64 * KIB));
        for (offset, length) in headers.into_iter().chain(tables) {
            self.put(offset + 4, [0; 4]);
            let sum = crc32c::crc32c(&self.0[offset..offset + length]);
            self.put(offset + 4, sum.to_le_bytes());
        }
        self
    }

    pub(crate) fn verify(&self) -> Vec<Finding> {
        verify(Cursor::new(&self.0)).unwrap()
    }

    /// Every finding, and whether the disk can be opened nevertheless.
    #[track_caller]
    pub(crate) fn breaks(&self, expected: &[(Place, Rule)], severity: Severity) {
        let findings = self.verify();
        let found: Vec<_> = findings
            .iter()
            .map(|found| (found.place, found.rule))
            .collect();
        assert_eq!(found, expected, "{findings:#?}");
        let worst = findings
            .iter()
            .any(|found| found.severity == Severity::Fatal);
        assert_eq!(worst, severity == Severity::Fatal, "{findings:#?}");
        let opened = Disk::open(Cursor::new(&self.0));
        assert_eq!(opened.is_err(), worst, "{opened:?}");
    }

    #[track_caller]
    pub(crate) fn is_harmless(&self, place: Place, rule: Rule) {
        self.breaks(&[(place, rule)], Severity::Harmless);
    }

    #[track_caller]
    pub(crate) fn is_fatal(&self, place: Place, rule: Rule) {
        self.breaks(&[(place, rule)], Severity::Fatal);
    }
}

pub(crate) fn differencing(change: impl FnOnce(&mut Image)) -> Image {
    let mut image = Image::differencing();
    change(&mut image);
    image
}

/// The entry of a block in the BAT.
pub(crate) fn block(number: usize) -> usize {
    BAT + number * 8
}

pub(crate) fn entry(state: u64, mib: u64) -> [u8; 8] {
    (state | mib << 20).to_le_bytes()
}
