//! Disks over each other.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::disk::{Disk, DiskKind, Source};
use crate::{
    ParentLocator, VhdxError,
    device::{Position, clamp},
};

/// Most disks over each other that are followed; Windows itself has no use for so many.
const MOST_DISKS: usize = 64;

/// A differencing disk and all its parents: the virtual disk as seen through them, to read and seek in.
#[derive(Debug)]
pub struct Chain<F> {
    /// Topmost first; all but the last are differencing.
    disks: Vec<Disk<F>>,
    position: Position,
}

impl<F: Read + Seek> Chain<F> {
    /// From disks, the topmost first. A single disk that is not differencing is a chain as well.
    ///
    /// # Errors
    /// When a disk other than the last has no parent or the last needs one, or when a parent is not the one
    /// that its child was made from.
    pub fn new(disks: Vec<Disk<F>>) -> Result<Self, VhdxError> {
        let Some(top) = disks.first() else {
            return Err(VhdxError::Chain {
                number: 0,
                expected: "any disk",
                found: "missing",
            });
        };
        let position = Position::new(top.size());
        for (number, disk) in disks.iter().enumerate() {
            let parent = disks.get(number + 1);
            match (disk.kind(), parent) {
                (DiskKind::Differencing, Some(parent)) => check_linkage(disk, parent)?,
                (DiskKind::Fixed | DiskKind::Dynamic, None) => {}
                (DiskKind::Differencing, None) => {
                    return Err(VhdxError::Chain {
                        number: number + 1,
                        expected: "the parent of the one before",
                        found: "missing",
                    });
                }
                (DiskKind::Fixed | DiskKind::Dynamic, Some(_)) => {
                    return Err(VhdxError::Chain {
                        number,
                        expected: "a differencing disk",
                        found: "one without a parent",
                    });
                }
            }
        }
        Ok(Self { disks, position })
    }

    /// The disks, topmost first.
    #[must_use]
    pub fn disks(&self) -> &[Disk<F>] {
        &self.disks
    }
}

fn check_linkage<F: Read + Seek>(child: &Disk<F>, parent: &Disk<F>) -> Result<(), VhdxError> {
    let found = parent.data_write_id();
    match child.parent_locator() {
        Some(locator) if locator.linkage != found => Err(VhdxError::WrongParent {
            expected: locator.linkage,
            found,
        }),
        _ => Ok(()),
    }
}

impl<F: Read + Seek> Read for Chain<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = self.position.readable(buffer);
        let position = self.position.now();
        let mut count = None;
        for disk in &mut self.disks {
            // A parent may be shorter than its child; behind its end are zeros.
            let there = disk.size().saturating_sub(position);
            if there == 0 || buffer.is_empty() {
                break;
            }
            let (source, length) = disk.locate(position)?;
            let length = clamp(length.min(there), buffer.len());
            buffer = buffer.split_at_mut(length).0;
            match source {
                Source::File(offset) => count = Some(disk.read_at(offset, buffer)?),
                Source::Zeros => {}
                Source::Parent => continue,
            }
            break;
        }
        let count = count.unwrap_or_else(|| {
            buffer.fill(0);
            buffer.len()
        });
        self.position.advance(count);
        Ok(count)
    }
}

impl<F: Read + Seek> Seek for Chain<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position.seek(to)
    }
}

/// Opens a disk and, when it is differencing, its parents: each where `relative_path` leads from its child's
/// folder or, when there is no file, where `absolute_win32_path` does.
///
/// The paths are followed wherever they lead, so do not open disks of strangers this way.
///
/// # Errors
/// When a file cannot be opened or is no sound disk, a parent is not found or is another than the child was
/// made from, or there are more than 64 disks.
pub fn open_chain(path: &Path) -> Result<Chain<File>, VhdxError> {
    let files = open_files(path)?;
    Chain::new(files.into_iter().map(|(_, disk)| disk).collect())
}

/// The files of a chain, topmost first, each with its path; [`open_chain`] makes one disk of them.
///
/// # Errors
/// As [`open_chain`], but a parent may be another than the child was made from.
pub fn open_files(path: &Path) -> Result<Vec<(PathBuf, Disk<File>)>, VhdxError> {
    let mut files: Vec<(PathBuf, Disk<File>)> = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        if files.len() == MOST_DISKS {
            return Err(VhdxError::TooDeep { limit: MOST_DISKS });
        }
        let failed = |source| VhdxError::OpenFile {
            path: path.clone(),
            source: Arc::new(source),
        };
        let path = fs::canonicalize(&path).map_err(failed)?;
        if files.iter().any(|(seen, _)| *seen == path) {
            return Err(VhdxError::Circle { path });
        }
        let file = File::open(&path).map_err(failed)?;
        let disk = Disk::open(file).map_err(|source| VhdxError::InFile {
            path: path.clone(),
            source: Box::new(source),
        })?;
        next = disk
            .parent_locator()
            .map(|locator| find_parent(&path, &locator))
            .transpose()?;
        files.push((path, disk));
    }
    Ok(files)
}

fn find_parent(child: &Path, locator: &ParentLocator) -> Result<PathBuf, VhdxError> {
    let relative = locator.relative_path.as_ref().map(|relative| {
        let folder = child.parent().unwrap_or(Path::new(""));
        let parts = relative.split(['\\', '/']);
        folder.join(parts.filter(|part| !part.is_empty()).collect::<PathBuf>())
    });
    let absolute = locator.absolute_win32_path.as_ref().map(PathBuf::from);
    let tried: Vec<PathBuf> = relative.into_iter().chain(absolute).collect();
    match tried.iter().find(|path| path.is_file()) {
        Some(found) => Ok(found.clone()),
        None => Err(VhdxError::ParentNotFound {
            child: child.to_owned(),
            tried,
        }),
    }
}
