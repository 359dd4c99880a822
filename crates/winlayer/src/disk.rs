//! Disks, anyone's: what is on the NTFS volume of a disk file.
//!
//! ```text
//! file ─► container ─► partition ─► Volume ─► Walk ─► list, cat, verify
//!         told by its   the first               └──► present ─► one base layer ─► merge ─► tree, tar
//!         first bytes   with NTFS
//! ```
//!
//! Extraction goes through the same reader, merge and targets as the layer of an image, so it is bound by the same rules:
//! whatever names a volume has, nothing is written outside of the destination.
//!
//! | file | idea |
//! | --- | --- |
//! | `container.rs` | which kind of file it is, and the disk in it |
//! | `partition.rs` | where volumes are on a disk |
//! | `walk.rs` | all names of a volume, in the order of an image's |
//! | `list.rs`, `cat.rs` | looking into a volume |
//! | `present.rs`, `entry.rs`, `lost.rs` | a volume as a layer tar, and what that cannot hold |
//! | `layer.rs`, `pipe.rs`, `extract.rs` | that tar, read as it is written, on its way to a target |
//! | `verify.rs`, `finding.rs`, `content.rs` | every rule of container, table and volume, and every byte of content |

mod cat;
mod container;
mod content;
mod entry;
mod extract;
mod finding;
mod layer;
mod list;
mod lost;
mod partition;
mod pipe;
mod present;
mod verify;
mod walk;

use std::{
    io::{Read, Seek},
    path::PathBuf,
};

use serde::Serialize;
use winlayer_metadata::ReparseTag;
use winlayer_ntfs::{NtfsObject, Volume};
use winlayer_vhdx::Partition;

pub use self::{
    cat::cat_disk,
    container::DiskFormat,
    extract::{DiskTarget, ExtractOptions, ExtractedDisk, extract_disk},
    finding::{DiskFinding, FindingSeverity},
    list::list_disk,
    verify::{VerifiedDisk, VerifiedFile, VerifiedVolume, verify_disk},
};
use self::{container::Container, partition::Found};
use crate::{Error, Result};

/// A disk file: the bare bytes of an NTFS volume or of a disk, VHDX with the parents it names, or fixed VHD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskFile {
    /// Where it is.
    pub path: PathBuf,
    /// The number of the partition meant, 1 being the first of the table; the first with NTFS without it.
    pub partition: Option<usize>,
}

impl DiskFile {
    /// The file at `path`, and the first NTFS volume on it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            path,
            partition: None,
        }
    }

    /// Opens the volume; errors name the file.
    fn open(&self) -> Result<OpenDisk> {
        let open = || {
            let container = Container::open(&self.path)?;
            let (format, stored) = (container.format, container.stored);
            let (window, partition) = partition::choose(container, self.partition)?;
            let volume = Volume::open(window)?;
            Ok(OpenDisk {
                format,
                stored,
                partition,
                volume,
            })
        };
        open().map_err(|error: Error| error.on_disk(&self.path))
    }
}

/// What can be read at any place.
trait Device: Read + Seek + Send {}
impl<T: Read + Seek + Send> Device for T {}

/// The bytes of one volume.
type Window = Partition<Box<dyn Device>>;

/// The volume of a disk, ready to be read.
struct OpenDisk {
    format: DiskFormat,
    /// Bytes its file takes.
    stored: u64,
    partition: Found,
    volume: Volume<Window>,
}

/// The tag of a file whose stored content is not what Windows shows: a filter driver makes that from the reparse point.
fn stands_in(object: &NtfsObject) -> Option<ReparseTag> {
    /// Placeholders of cloud files are 0x9000?01A (MS-FSCC 2.1.2.1).
    const CLOUD: (u32, u32) = (0xFFFF_0FFF, 0x9000_001A);
    let tag = match object.reparse.as_ref()? {
        Ok(point) => point.tag(),
        Err(_) => return None,
    };
    let known = [
        ReparseTag::WIM,
        ReparseTag::DEDUP,
        ReparseTag::WOF,
        ReparseTag::WCI,
        ReparseTag::WCI_1,
    ];
    (known.contains(&tag) || tag.0 & CLOUD.0 == CLOUD.1).then_some(tag)
}
