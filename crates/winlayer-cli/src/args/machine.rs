//! Arguments of the commands that are about this machine: `doctor`, `layer`, `selftest`.

use super::{LimitArgs, SourceArgs};
use crate::values::parse_size;
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;
use winlayer::Reference;

/// Find what is missing or in the way for unpacking on this machine
#[derive(Debug, Args)]
#[command(after_help = "\
Exits with 1 when there is a problem; notes and warnings do not count. A few small files are made
in DEST and removed again. An image in a registry is judged by its compressed size, one on disk is
read to the end.

Examples:
  winlayer doctor
  winlayer doctor D:\\layers --image mcr.microsoft.com/windows/servercore:ltsc2022")]
pub(crate) struct DoctorArgs {
    /// Where something is to be unpacked
    #[arg(value_hint = ValueHint::AnyPath, default_value = ".")]
    pub(crate) dest: PathBuf,
    /// Compare the room there with what this image takes
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<Reference>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Work with single layers as Windows keeps them (on Windows, as administrator)
#[derive(Debug, Args)]
#[command(after_help = "\
Parents are the layers below, immediate parent first, base last. One --parent is enough when it has
a layerchain.json, as every layer in a store has; a layer with its own layerchain.json needs none.

Examples:
  winlayer layer import store C:\\layers
  winlayer layer import layer.tar.gz C:\\layers --parent C:\\layers\\layers\\5f2c…
  winlayer layer create-scratch C:\\scratch --parent C:\\layers\\layers\\5f2c…
  winlayer layer mount C:\\scratch")]
pub(crate) struct LayerArgs {
    #[command(subcommand)]
    pub(crate) command: LayerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LayerCommand {
    Import(ImportArgs),
    Export(ExportArgs),
    CreateScratch(CreateScratchArgs),
    Mount(MountArgs),
    Unmount(UnmountArgs),
    Destroy(DestroyArgs),
    MakeBase(MakeBaseArgs),
}

impl LayerCommand {
    /// As it is typed, for the words that refuse it.
    #[cfg(not(windows))]
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Import(_) => "import",
            Self::Export(_) => "export",
            Self::CreateScratch(_) => "create-scratch",
            Self::Mount(_) => "mount",
            Self::Unmount(_) => "unmount",
            Self::Destroy(_) => "destroy",
            Self::MakeBase(_) => "make-base",
        }
    }
}

/// Which functions of the platform finish layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HcsFamily {
    /// vmcompute.dll: Windows Server 2016 and newer
    Vmcompute,
    /// computestorage.dll: Windows Server 2019 and newer
    Computestorage,
}

impl From<HcsFamily> for winlayer::HcsFamily {
    fn from(family: HcsFamily) -> Self {
        match family {
            HcsFamily::Vmcompute => Self::VmCompute,
            HcsFamily::Computestorage => Self::ComputeStorage,
        }
    }
}

/// How layers are finished.
#[derive(Debug, Default, Args)]
pub(crate) struct FamilyArgs {
    /// Which functions of Windows to use [default: vmcompute]
    #[arg(long, value_name = "FAMILY", value_enum)]
    pub(crate) hcs_family: Option<HcsFamily>,
}

#[cfg(windows)]
impl FamilyArgs {
    /// As the library names it.
    pub(crate) fn library(&self) -> winlayer::HcsFamily {
        self.hcs_family.map(Into::into).unwrap_or_default()
    }
}

/// The layers below.
#[derive(Debug, Default, Args)]
pub(crate) struct ParentArgs {
    /// A layer below, immediate parent first; may be repeated
    #[arg(long = "parent", short = 'p', value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) parents: Vec<PathBuf>,
}

/// Finish layers that `unpack --to folder` made, or one layer tar
#[derive(Debug, Args)]
#[command(after_help = "\
FROM is one of
  a store, or one layer folder with its chain, made by `unpack --to folder` here or on another
  machine: every layer of the image is imported, base first, unless DEST has it already;
  a layer tar, plain or compressed with gzip or zstd, or - for one from stdin: it is imported on top
  of --parent, a finished layer in DEST, or as a base layer. A tar is read twice, the first time to
  check all of it; from stdin it is kept in DEST in between. The limits are for tars.

Examples:
  winlayer layer import store C:\\layers
  winlayer layer import store C:\\layers --image mcr.microsoft.com/windows/nanoserver:ltsc2022
  winlayer layer import base.tar C:\\layers
  winlayer layer import layer.tar.gz C:\\layers --parent C:\\layers\\layers\\5f2c…
  winlayer layer export C:\\scratch | winlayer layer import - C:\\layers -p C:\\layers\\layers\\5f2c…")]
pub(crate) struct ImportArgs {
    /// A store, the folder of the topmost layer, a layer tar, or - for stdin
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) from: PathBuf,
    /// The store for finished layers; made when missing
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) dest: PathBuf,
    /// Which image of a store that holds several: as it was named to unpack, or its manifest digest
    #[arg(long, value_name = "REF")]
    pub(crate) image: Option<String>,
    #[command(flatten)]
    pub(crate) parents: ParentArgs,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Write a layer, or what changed in a scratch, as a layer tar
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer layer export C:\\scratch changes.tar.gz --gzip
  winlayer layer export C:\\layers\\layers\\5f2c… --zstd > layer.tar.zst")]
pub(crate) struct ExportArgs {
    /// The layer folder
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) layer: PathBuf,
    /// The file to write; stdout when missing
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Compress with gzip
    #[arg(long, conflicts_with = "zstd")]
    pub(crate) gzip: bool,
    /// Compress with zstd
    #[arg(long)]
    pub(crate) zstd: bool,
    #[command(flatten)]
    pub(crate) parents: ParentArgs,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
}

/// Make an empty writable layer on top of others
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer layer create-scratch C:\\scratch --parent C:\\layers\\layers\\5f2c…
  winlayer layer create-scratch C:\\scratch -p C:\\top -p C:\\base --size 40GiB
  winlayer layer create-scratch C:\\vm --utility-vm --parent C:\\layers\\layers\\5f2c…")]
pub(crate) struct CreateScratchArgs {
    /// The folder to make
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// Room in it; the platform's own default is 20 GiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) size: Option<u64>,
    /// Make the disk of a utility VM too: vm\sandbox.vhdx
    #[arg(long)]
    pub(crate) utility_vm: bool,
    #[arg(
        long = "parent",
        short = 'p',
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        required = true,
        help = "A layer below, immediate parent first; may be repeated"
    )]
    pub(crate) parents: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
}

/// Mount a scratch on top of its layers and print the volume's path
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer layer mount C:\\scratch
  winlayer layer mount C:\\scratch -p C:\\top -p C:\\base")]
pub(crate) struct MountArgs {
    /// The scratch's folder
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) parents: ParentArgs,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
}

/// Undo `mount`; what was written stays in the scratch
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer layer unmount C:\\scratch")]
pub(crate) struct UnmountArgs {
    /// The scratch's folder
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
}

/// Delete a layer or a scratch, with what ordinary deletion cannot remove
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer layer destroy C:\\scratch")]
pub(crate) struct DestroyArgs {
    /// The layer folder
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) layer: PathBuf,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
}

/// Make a base layer of a folder that has `Files`
#[derive(Debug, Args)]
#[command(after_help = "\
Registry hives that are missing are made empty.

Examples:
  winlayer layer make-base C:\\mybase")]
pub(crate) struct MakeBaseArgs {
    /// The folder that holds `Files`, and `UtilityVM/Files` if it is to have a utility VM
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
}

/// Try everything winlayer does on this machine, and write a report
#[derive(Debug, Args)]
#[command(after_help = "\
Works with the sample image, and with --image with a real one too. On Windows, as administrator, it
finishes layers, mounts them, compares every file with the layer tars, exports them and compares
again; elsewhere it does what does not need Windows. docs/check-on-windows.md says more.

Examples:
  winlayer selftest
  winlayer selftest --image mcr.microsoft.com/windows/nanoserver:ltsc2022 --dest D:\\try --keep")]
pub(crate) struct SelftestArgs {
    /// An image to try besides the sample
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<Reference>,
    /// Work in this new or empty directory instead of a temporary one
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dest: Option<PathBuf>,
    /// Leave everything there to be looked at
    #[arg(long)]
    pub(crate) keep: bool,
    /// Where to write the report
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        default_value = "winlayer-selftest.json"
    )]
    pub(crate) report: PathBuf,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}
