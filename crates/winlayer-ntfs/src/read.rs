//! Reading volumes, anyone's.
//!
//! Nothing on a volume is believed: offsets are checked before they are followed, trees and lists have bounds, and memory is
//! taken only for bytes the device really has.

pub(crate) mod attribute_list;
pub(crate) mod device;
mod directory;
pub(crate) mod extents;
pub(crate) mod geometry;
pub(crate) mod index;
pub(crate) mod name;
pub(crate) mod object;
pub(crate) mod records;
mod security;
mod stream;

use std::{
    io::{Read, Seek},
    sync::Arc,
};

use winlayer_metadata::Upcase;
use zerocopy::FromBytes;

pub use directory::DirectoryEntry;
pub use object::{NtfsObject, ObjectKind, ObjectName, StreamFacts};
pub use stream::StreamReader;

use crate::{
    NtfsError, Place, Result,
    attribute::{AttributeType, Content},
    format::{SECTOR, VolumeInformation, system},
    record::Record,
};
use device::Device;
use extents::Extents;
use geometry::Geometry;
use name::text;
use security::Security;

/// An NTFS volume on any device that can be read and sought in: a partition, an image, or a window of one.
///
/// ```no_run
/// use std::{fs::File, io};
/// use winlayer_ntfs::Volume;
///
/// let mut volume = Volume::open(File::open("volume.img")?)?;
/// println!("{:?}", volume.facts());
/// if let Some(file) = volume.lookup(r"Windows\win.ini")? {
///     let object = volume.object(file)?;
///     io::copy(&mut volume.stream(&object, "")?, &mut io::stdout())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Volume<D> {
    pub(crate) device: Device<D>,
    pub(crate) geometry: Geometry,
    /// Where the file records are.
    pub(crate) mft: Extents,
    pub(crate) upcase: Arc<[u16]>,
    facts: VolumeFacts,
    security: Security,
}

/// What a volume is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeFacts {
    /// Bytes, without the last sector of the partition.
    pub total: u64,
    /// Bytes of a cluster.
    pub cluster: u64,
    /// Bytes of a file record.
    pub record: u64,
    /// Bytes of an index block.
    pub index_block: u64,
    /// The serial number.
    pub serial: u64,
    /// The label; empty for none.
    pub label: String,
    /// Major and minor version of the format.
    pub version: (u8, u8),
    /// Whether the volume was not left cleanly, or asks for a check.
    pub dirty: bool,
    /// File records, in use or not.
    pub records: u64,
}

impl<D: Read + Seek> Volume<D> {
    /// Opens a volume that begins at the start of `device`.
    ///
    /// # Errors
    ///
    /// A boot sector that is not NTFS; a device shorter than the volume; `$MFT` or `$Volume` that cannot be read; versions
    /// other than 1.2 and 3.x.
    pub fn open(device: D) -> Result<Self> {
        let mut volume = Self::locate(Device::new(device)?)?;
        volume.read_information()?;
        volume.upcase = volume.read_upcase()?;
        Ok(volume)
    }

    /// What the volume is.
    pub fn facts(&self) -> &VolumeFacts {
        &self.facts
    }

    /// Gives the device back.
    pub fn into_inner(self) -> D {
        self.device.into_inner()
    }

    /// Sectors before the volume on its disk, as the boot sector says.
    pub(crate) fn hidden_sectors(&self) -> u32 {
        self.geometry.hidden_sectors
    }

    /// Finds the file records, and reads nothing else.
    pub(crate) fn locate(mut device: Device<D>) -> Result<Self> {
        let mut boot = [0; SECTOR];
        let length = (device.length.min(SECTOR as u64)) as usize;
        let boot = boot.get_mut(..length).unwrap_or_default();
        device.read_at(0, boot)?;
        let geometry = Geometry::parse(boot)?;
        if device.length < geometry.total {
            let expected = format!("a device of {} bytes or more", geometry.total);
            return Err(Geometry::damaged(&expected, device.length.to_string()));
        }
        let record = read_first_record(&mut device, &geometry, geometry.mft_cluster)?;
        let data = record.find(AttributeType::DATA, "");
        let place = Place::Record(0);
        let Some((data, value)) = data.and_then(|data| match &data.content {
            Content::NonResident(value) if value.lowest_vcn == 0 => Some((data, value)),
            _ => None,
        }) else {
            return Err(NtfsError::damaged(place, "$DATA in clusters", "none"));
        };
        let mft = Extents::partial(&geometry, data.place(0), value)?;
        let facts = VolumeFacts {
            total: geometry.total,
            cluster: geometry.cluster,
            record: geometry.record as u64,
            index_block: geometry.index_block as u64,
            serial: geometry.serial,
            records: mft.size / geometry.record as u64,
            ..VolumeFacts::default()
        };
        let mut volume = Self {
            device,
            geometry,
            mft,
            upcase: Upcase::table().as_slice().into(),
            facts,
            security: Security::default(),
        };
        volume.locate_mft(&record)?;
        volume.mft = volume.mft.whole()?;
        Ok(volume)
    }

    fn read_information(&mut self) -> Result<()> {
        let number = u64::from(system::VOLUME);
        let missing = || NtfsError::damaged(Place::Record(number), "$Volume", "no file");
        let record = self.load(number)?.ok_or_else(missing)?;
        let information = record.need(AttributeType::VOLUME_INFORMATION, "")?;
        let value = information.value().unwrap_or_default();
        let (information, _) = VolumeInformation::read_from_prefix(value).map_err(|_| missing())?;
        let version = (information.major, information.minor);
        if !matches!(version, (1, 2) | (3, _)) {
            return Err(NtfsError::Unsupported {
                place: Place::Record(number),
                what: format!("version {}.{} of NTFS", version.0, version.1),
            });
        }
        let label = record.find(AttributeType::VOLUME_NAME, "");
        let label = label.and_then(|label| label.value()).unwrap_or_default();
        let label = label.as_chunks::<2>().0.iter();
        let label: Vec<u16> = label.map(|&unit| u16::from_le_bytes(unit)).collect();
        self.facts.label = text(&label);
        self.facts.version = version;
        self.facts.dirty = information.flags.get() & VolumeInformation::DIRTY != 0;
        Ok(())
    }

    /// The volume's own table: releases of Windows differ in it, and its directories are in its order.
    pub(crate) fn read_upcase(&mut self) -> Result<Arc<[u16]>> {
        let number = u64::from(system::UPCASE);
        let ours = Arc::from(Upcase::table().as_slice());
        let Some(record) = self.load(number)? else {
            return Ok(ours);
        };
        let data = record.need(AttributeType::DATA, "")?;
        if data.size() != 2 * Upcase::table().len() as u64 {
            let found = format!("{} bytes", data.size());
            return Err(NtfsError::damaged(
                data.place(number),
                "131072 bytes",
                found,
            ));
        }
        let bytes = self.value(data, number)?;
        let units = bytes.as_chunks::<2>().0.iter();
        Ok(units.map(|&unit| u16::from_le_bytes(unit)).collect())
    }
}

/// Record 0 from the cluster the boot sector names.
pub(crate) fn read_first_record<D: Read + Seek>(
    device: &mut Device<D>,
    geometry: &Geometry,
    cluster: u64,
) -> Result<Record> {
    let start = geometry.cluster_start(cluster).ok_or_else(|| {
        let expected = format!("$MFT below cluster {}", geometry.clusters());
        Geometry::damaged(&expected, cluster.to_string())
    })?;
    let mut bytes = vec![0; geometry.record];
    device.read_at(start, &mut bytes)?;
    Record::decode(&mut bytes, 0)
}
