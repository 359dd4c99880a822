//! Arguments of commands that read disks.

use super::LimitArgs;
use crate::failure::Failure;
use crate::source::Source;
use clap::{Args, ValueEnum, ValueHint};
use std::path::{Path, PathBuf};
use winlayer::{DiskFile, DiskTarget};

/// Which volume of a disk.
#[derive(Debug, Default, Args)]
pub(crate) struct DiskArgs {
    /// Of a disk, this partition, 1 is the first of its table [default: the first with NTFS]
    #[arg(long, value_name = "N", value_parser = parse_partition)]
    partition: Option<usize>,
}

impl DiskArgs {
    pub(crate) fn file(&self, path: &Path) -> DiskFile {
        DiskFile {
            path: path.to_owned(),
            partition: self.partition,
        }
    }

    /// Images have no partitions.
    pub(crate) fn refuse_for_image(&self) -> Result<(), Failure> {
        match self.partition {
            Some(_) => Err(Failure::usage("--partition only goes with a disk")),
            None => Ok(()),
        }
    }
}

fn parse_partition(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected the number of a partition; 1 is the first".to_owned()),
    }
}

/// Extract the files of a disk's NTFS volume, without mounting it
#[derive(Debug, Args)]
#[command(after_help = "\
DEST is a new or empty folder (tree), or the file to write (tar). Nothing is written outside of
it, whatever names and links the disk has. What cannot be extracted is named in a warning. The
parents of a differencing VHDX are opened where it says they are.

Examples:
  winlayer extract image.vhdx tree --metadata tree.jsonl
  winlayer extract image.vhdx layer.tar --to tar
  winlayer extract disk:/dev/sdb tree --partition 2")]
pub(crate) struct ExtractArgs {
    /// A disk file: VHDX, fixed VHD, or the bytes of a disk or an NTFS volume
    #[arg(value_hint = ValueHint::FilePath)]
    disk: PathBuf,
    /// Where to
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) dest: PathBuf,
    /// What to make of it
    #[arg(long, value_enum, default_value_t = To::Tree)]
    to: To,
    /// With --to tree: write what plain files cannot hold to this file, one JSON line an object
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    metadata: Option<PathBuf>,
    #[command(flatten)]
    volume: DiskArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// The kinds of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// Plain files
    Tree,
    /// The tar of a Windows base layer
    Tar,
}

impl ExtractArgs {
    pub(crate) fn file(&self) -> Result<DiskFile, Failure> {
        match Source::of(&self.disk) {
            Ok(Source::Disk(path)) => Ok(self.volume.file(&path)),
            Ok(Source::Image(_)) if self.disk.to_string_lossy().contains(':') => {
                let text = self.disk.display();
                let failure = Failure::usage(format!("{text} is an image, not a disk"));
                Err(failure.with_hint("winlayer unpack extracts images"))
            }
            // Nothing else can be meant.
            _ => Ok(self.volume.file(&self.disk)),
        }
    }

    pub(crate) fn target(&self) -> Result<DiskTarget, Failure> {
        match (self.to, &self.metadata) {
            (To::Tree, metadata) => Ok(DiskTarget::Tree {
                metadata: metadata.clone(),
            }),
            (To::Tar, None) => Ok(DiskTarget::Tar),
            (To::Tar, Some(_)) => Err(Failure::usage("--metadata only goes with --to tree")),
        }
    }
}
