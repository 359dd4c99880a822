//! Empty disks, as scratches of containers begin.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use serde::Serialize;
use winlayer_metadata::FileTime;
use winlayer_ntfs::{VolumeOptions, VolumeSize, VolumeWriter};
use winlayer_vhdx::{DifferencingDisk, DynamicDisk, ParentLocator, open_chain};

use super::{DISK, container, ids::Ids};
use crate::{DiskOptions, Error, Result, target::tree::Staging};

/// The disks that were made.
#[derive(Clone, Debug, Serialize)]
pub struct BlankDisks {
    /// The disk with the volume; absolute.
    pub disk: PathBuf,
    /// The differencing disk over it; absolute.
    pub child: Option<PathBuf>,
    /// Bytes of the disk.
    pub size: u64,
}

/// Writes a VHDX disk with an empty NTFS volume to `path`, and to `child`, when that is given, a differencing disk over it that
/// changes nothing. Files that are there are replaced.
///
/// Windows makes such a pair of each base layer (`blank-base.vhdx` and `blank.vhdx`) and copies the child for each container.
/// Without a size the disk has 20 GiB.
///
/// # Errors
///
/// The child is not beside its parent, the disk is too small or the label too long, or the files cannot be written.
pub fn write_blank_disk(
    path: &Path,
    child: Option<&Path>,
    options: &DiskOptions,
) -> Result<BlankDisks> {
    let absolute = |path: &Path| {
        std::path::absolute(path)
            .map_err(|error| Error::io(format!("find {}", path.display()), error))
    };
    let disk = absolute(path)?;
    let child = child.map(absolute).transpose()?;
    if let Some(child) = child
        .as_ref()
        .filter(|child| child.parent() != disk.parent())
    {
        let what = format!(
            "{} is not in the folder of {}",
            child.display(),
            disk.display()
        );
        return Err(Error::refused(
            what,
            "a child is found by a path from its own folder",
        ));
    }
    let size = options.size.unwrap_or(container::USUAL_SIZE);
    write_parent(&disk, size, options)?;
    if let Some(child) = &child {
        write_child(child, &disk, size, options)?;
    }
    Ok(BlankDisks { disk, child, size })
}

fn write_parent(path: &Path, size: u64, options: &DiskOptions) -> Result<()> {
    let ids = ids("blank", size, options);
    let disk = ids.disk_options(size);
    publish(path, |file| {
        let disk = DynamicDisk::create(file, &disk)?;
        let partition = container::partitioned(disk, size, &ids)?;
        let volume = VolumeOptions {
            size: VolumeSize::Exact(partition.length()),
            label: options.label.clone(),
            serial: ids.serial,
            created: options.created.unwrap_or(FileTime::UNIX_EPOCH),
            hidden_sectors: container::sectors_before(&partition),
        };
        let (partition, _) = VolumeWriter::create(partition, volume)?.finish()?;
        Ok(partition.into_inner().finish()?)
    })
}

fn write_child(path: &Path, parent: &Path, size: u64, options: &DiskOptions) -> Result<()> {
    let below = open_chain(parent)?;
    let linkage = below.disks().first().map(|disk| disk.info().data_write_id);
    let name = parent.file_name().and_then(|name| name.to_str());
    let (Some(linkage), Some(name)) = (linkage, name) else {
        return Err(Error::damaged(parent.display(), "is no disk with a name"));
    };
    let locator = ParentLocator {
        linkage,
        relative_path: Some(format!(r".\{name}")),
        ..ParentLocator::default()
    };
    let ids = ids("blank child", size, options);
    let disk = ids.disk_options(size);
    publish(path, |file| {
        Ok(DifferencingDisk::create(file, below, &disk, &locator)?.finish()?)
    })
}

fn ids(what: &str, size: u64, options: &DiskOptions) -> Ids {
    Ids::of(&format!("{what}\n{size}\n{}", options.label))
}

/// Makes a file beside its place, and moves it there when it is whole and on the disk.
fn publish(path: &Path, write: impl FnOnce(File) -> Result<File>) -> Result<()> {
    let staging = Staging::beside(path)?;
    let file = write(staging.dir().create_file(DISK)?)?;
    let flushed = file.sync_all();
    flushed.map_err(|error| Error::io(format!("write {}", path.display()), error))?;
    drop(file);
    staging.publish(DISK)
}
