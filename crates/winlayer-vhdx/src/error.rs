//! The crate's error.

use std::{io, path::PathBuf, sync::Arc};

use crate::{Finding, Guid};

/// Why a disk cannot be made, opened or written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VhdxError {
    /// The file below failed.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file of a chain cannot be opened.
    #[error("cannot open {}", path.display())]
    OpenFile {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file of a chain is no disk that can be read.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<VhdxError>,
    },
    /// The file is not made of VHDX structures, or they break the rules of the format.
    #[error("damaged VHDX file: {0}")]
    Damaged(Finding),
    /// Changes to the file are in its log only.
    #[error(
        "the VHDX file was not closed cleanly, its log must be replayed first: open it once in Windows, or use \
         `qemu-img check -r all`"
    )]
    NeedsReplay,
    /// Too little of the file makes sense for a disk.
    #[error("the VHDX file lacks the structures a disk needs")]
    Unreadable,
    /// A virtual disk of an impossible size.
    #[error(
        "a virtual disk of {size} bytes is not possible: a multiple of the sector size, more than 0 and at most 64 TiB is"
    )]
    Size {
        /// The size asked for.
        size: u64,
    },
    /// A block size the format does not have.
    #[error("blocks of {bytes} bytes are not possible: a power of two from 1 MiB to 256 MiB is")]
    BlockSize {
        /// The block size asked for.
        bytes: u32,
    },
    /// A text of the file does not fit.
    #[error("{field} has {units} UTF-16 units, at most {limit} are possible")]
    TooLong {
        /// Which text.
        field: &'static str,
        /// Its length.
        units: usize,
        /// The longest possible.
        limit: usize,
    },
    /// A new disk was to be made in a file that is not empty.
    #[error("the file for a new disk has {length} bytes already; truncate it, or use another")]
    NotEmpty {
        /// Its length.
        length: u64,
    },
    /// A parent locator without a path.
    #[error("a differencing disk must name at least one path of its parent")]
    NoParentPath,
    /// The parent is not the disk the child was made from, or has been written to since.
    #[error(
        "the parent's data-write id is {found}, but the differencing disk was made from {expected}"
    )]
    WrongParent {
        /// What the child names.
        expected: Guid,
        /// What the parent has.
        found: Guid,
    },
    /// No path of the parent locator leads to a file.
    #[error("the parent of {} was not found, tried {tried:?}", child.display())]
    ParentNotFound {
        /// The differencing disk.
        child: PathBuf,
        /// The paths, as tried.
        tried: Vec<PathBuf>,
    },
    /// Disks that make no chain: a differencing disk without another below it, or with one below that is none.
    #[error("disk {number} of the chain is {found}, {expected} is needed there")]
    Chain {
        /// Its place, the topmost being 0.
        number: usize,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// Too many differencing disks over each other.
    #[error("the chain of parents is longer than {limit} disks")]
    TooDeep {
        /// The most that are followed.
        limit: usize,
    },
    /// A disk is its own ancestor.
    #[error("{} is a parent of itself", path.display())]
    Circle {
        /// The disk.
        path: PathBuf,
    },
    /// A disk without room for a reserved and a data partition.
    #[error(
        "a disk of {size} bytes cannot be partitioned: a multiple of 512, more than 18 MiB, is needed"
    )]
    DataDiskSize {
        /// Its size.
        size: u64,
    },
    /// A partition table breaks a rule of the format.
    #[error("partition table: {expected} expected, found {found}")]
    Gpt {
        /// The rule.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A fixed VHD disk of an impossible size.
    #[error(
        "a VHD disk of {size} bytes is not possible: a multiple of 512, more than 0 and at most 2040 GiB is"
    )]
    VhdSize {
        /// The size.
        size: u64,
    },
    /// The footer of a fixed VHD file breaks a rule of the format.
    #[error("VHD footer: {expected} expected, found {found}")]
    Vhd {
        /// The rule.
        expected: &'static str,
        /// What is there.
        found: String,
    },
}

impl VhdxError {
    /// For `map_err`: an I/O error while doing something.
    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            source: Arc::new(source),
        }
    }
}
