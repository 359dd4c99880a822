//! The boot sector, its copy, and the mirror of the first records.

use std::io::{Read, Seek};

use zerocopy::FromBytes;

use super::{Verifier, finding::Sink, rule::Rule};
use crate::{
    Place, Result,
    attribute::{Attribute, AttributeType, Content},
    format::{BootSector, MIRRORED_RECORDS, SECTOR, system},
    read::{device::Device, geometry::Geometry, records::FullRecord},
};

/// Checks both boot sectors.
pub(crate) fn check_boot<D: Read + Seek>(
    sink: &mut Sink<'_>,
    device: &mut Device<D>,
) -> Result<()> {
    let mut bytes = [0; SECTOR];
    let read = device.read_at(0, &mut bytes);
    if sink.check(Rule::BootSector, read)?.is_none() {
        return Ok(());
    }
    let place = || Place::BootSector;
    if let Ok(boot) = BootSector::read_from_bytes(&bytes) {
        let zeros = [
            (14, boot.unused_1.iter().all(|&byte| byte == 0)),
            (22, boot.unused_2.get() == 0),
            (32, boot.unused_3.get() == 0),
            (65, boot.unused_4 == [0; 3]),
            (69, boot.unused_5 == [0; 3]),
            (80, boot.checksum.get() == 0),
        ];
        for (offset, _) in zeros.iter().filter(|(_, zero)| !zero) {
            sink.report(
                place(),
                Rule::Reserved,
                format!("zeros at {offset}"),
                "something else",
            );
        }
        for (what, right, found) in [
            (
                "EB 52 90 at 0",
                boot.jump == BootSector::JUMP,
                &boot.jump[..],
            ),
            ("F8 at 21", boot.media == 0xf8, &[boot.media]),
            (
                "80 00 80 00 at 36",
                boot.signature == BootSector::SIGNATURE,
                &boot.signature,
            ),
        ] {
            if !right {
                sink.report(place(), Rule::BootSector, what, format!("{found:02x?}"));
            }
        }
    }
    let Ok(geometry) = Geometry::parse(&bytes) else {
        return Ok(());
    };
    let mut copy = [0; SECTOR];
    let place = Place::Offset(geometry.total);
    match device.length.checked_sub(geometry.total) {
        Some(left) if left >= geometry.sector => device.read_at(geometry.total, &mut copy)?,
        _ => {
            let found = format!("a device that ends at {}", device.length);
            sink.report(place, Rule::BootCopy, "one more sector", found);
            return Ok(());
        }
    }
    let differing = bytes.iter().zip(&copy).position(|(a, b)| a != b);
    if let Some(at) = differing {
        let found = format!("a difference at {at}");
        sink.report(place, Rule::BootCopy, "a copy of the first sector", found);
    }
    Ok(())
}

impl<D: Read + Seek> Verifier<'_, D> {
    /// Whether the files are where the boot sector says, and the mirror equals what it mirrors.
    pub(crate) fn check_places(&mut self) -> Result<()> {
        let geometry = self.volume.geometry.clone();
        for (number, rule, expected) in [
            (system::MFT, Rule::MasterTable, geometry.mft_cluster),
            (system::MFT_MIRROR, Rule::Mirror, geometry.mirror_cluster),
            (system::BOOT, Rule::BootFile, 0),
        ] {
            let Some(record) = self.system_record(number, rule)? else {
                continue;
            };
            let first = record.find(AttributeType::DATA, "").and_then(first_cluster);
            if first != Some(expected) {
                let place = Place::Record(number.into());
                let found = first.map_or("nowhere".to_owned(), |first| first.to_string());
                self.sink
                    .report(place, rule, format!("cluster {expected}"), found);
            }
            if number == system::BOOT {
                let size = record
                    .find(AttributeType::DATA, "")
                    .map_or(0, Attribute::size);
                let least = BootSector::FILE_SIZE;
                self.sink
                    .expect(|| Place::Record(number.into()), rule, "bytes", least, size);
            }
        }
        self.check_mirror(&geometry)
    }

    pub(crate) fn system_record(&mut self, number: u32, rule: Rule) -> Result<Option<FullRecord>> {
        let record = self.volume.load(number.into());
        Ok(self.sink.check(rule, record)?.flatten())
    }

    fn check_mirror(&mut self, geometry: &Geometry) -> Result<()> {
        let size = geometry.record;
        let place = Place::Record(system::MFT_MIRROR.into());
        let mirrored = (MIRRORED_RECORDS * size as u64).max(geometry.cluster);
        let record = self.system_record(system::MFT_MIRROR, Rule::Mirror)?;
        let data = record
            .as_ref()
            .and_then(|record| record.find(AttributeType::DATA, ""));
        let found = data.map_or(0, Attribute::size);
        if found < MIRRORED_RECORDS * size as u64 {
            let expected = format!("{mirrored} bytes");
            self.sink
                .report(place, Rule::Mirror, expected, found.to_string());
        }
        let Some(start) = geometry.cluster_start(geometry.mirror_cluster) else {
            return Ok(());
        };
        let count = found.min(mirrored).min(self.volume.mft.size) / size as u64;
        for number in 0..count.max(MIRRORED_RECORDS) {
            let (mut first, mut copy) = (vec![0; size], vec![0; size]);
            let offset = number * size as u64;
            let read = self
                .volume
                .mft
                .read(&mut self.volume.device, offset, &mut first);
            let read = read.and_then(|()| self.volume.device.read_at(start + offset, &mut copy));
            if self.sink.check(Rule::Mirror, read)?.is_none() {
                return Ok(());
            }
            let differing = first.iter().zip(&copy).position(|(a, b)| a != b);
            if let Some(at) = differing {
                let expected = format!("a copy of record {number}");
                let place = Place::Offset(start + offset);
                self.sink.report(
                    place,
                    Rule::Mirror,
                    expected,
                    format!("a difference at {at}"),
                );
            }
        }
        Ok(())
    }
}

fn first_cluster(attribute: &Attribute) -> Option<u64> {
    match &attribute.content {
        Content::NonResident(value) => value.runs.first()?.lcn,
        Content::Resident { .. } => None,
    }
}
