//! What may be typed about disks.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use winlayer::DiskOptions;

use crate::failure::Failure;
use crate::values::{parse_size, source_date};

/// Write an empty disk, as scratches of containers begin
#[derive(Debug, Args)]
#[command(after_help = "\
Windows makes such a pair for every base layer and copies the child for each container.

Examples:
  winlayer blank blank-base.vhdx --child blank.vhdx
  winlayer blank data.vhdx --size 100GiB --label Data")]
pub(crate) struct BlankArgs {
    /// The VHDX file to write: one partition, formatted with NTFS
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Write a differencing disk over it too, into the same folder
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) child: Option<PathBuf>,
    /// Bytes of the disk [default: 20GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    size: Option<u64>,
    /// The volume's label
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
}

impl BlankArgs {
    pub(crate) fn disk(&self) -> Result<DiskOptions, Failure> {
        Ok(DiskOptions {
            size: self.size,
            label: self.label.clone(),
            utility_vm: false,
            created: source_date()?,
        })
    }
}
