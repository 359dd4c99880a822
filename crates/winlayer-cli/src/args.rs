//! What may be typed, and the help for it.

mod disk;
mod extract;
mod machine;
mod registry;

pub(crate) use disk::BlankArgs;
pub(crate) use extract::{DiskArgs, ExtractArgs};
pub(crate) use registry::{RegArgs, RegDiffArgs};

#[cfg(windows)]
pub(crate) use machine::{
    CreateScratchArgs, DestroyArgs, ExportArgs, MakeBaseArgs, MountArgs, UnmountArgs,
};
pub(crate) use machine::{
    DoctorArgs, HcsFamily, ImportArgs, LayerArgs, LayerCommand, SelftestArgs,
};

use crate::failure::Failure;
use crate::source::Source;
use crate::values::{parse_label, parse_size, source_date};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;
use winlayer::{
    DiskOptions, Image, Limits, PlatformChoice, Reference, SourceOptions, Target, UnpackOptions,
};

/// Unpack Windows container images, on any system
#[derive(Debug, Parser)]
#[command(
    name = "winlayer",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = MAIN_HELP
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) form: FormArgs,
}

const MAIN_HELP: &str = "\
Images:
  [docker://]HOST/NAME[:TAG][@DIGEST]   in a registry
  oci:DIR[:TAG]                         OCI image layout
  oci-archive:FILE[:TAG]                the same in a tar file
  docker-archive:FILE[:NAME:TAG]        as `docker save` writes it

Disks, for ls, cat, extract and verify:
  [disk:]FILE                           VHDX, fixed VHD or raw bytes, with an NTFS volume

Exit codes:
  0 done, 1 failed, 2 usage, 3 not found or no matching platform,
  4 verification failed, 5 refused as unsafe or over a limit

Examples:
  winlayer demo
  winlayer unpack mcr.microsoft.com/windows/nanoserver:ltsc2022 store
  winlayer chain store";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Unpack(UnpackArgs),
    Inspect(InspectArgs),
    Reg(RegArgs),
    RegDiff(RegDiffArgs),
    Ls(LsArgs),
    Cat(CatArgs),
    Extract(ExtractArgs),
    Verify(VerifyArgs),
    Chain(ChainArgs),
    Uvm(UvmArgs),
    Layer(LayerArgs),
    Doctor(DoctorArgs),
    Selftest(SelftestArgs),
    Blank(BlankArgs),
    Sample(SampleArgs),
    Demo(DemoArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// How results are told.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct FormArgs {
    /// Print one JSON document on stdout, also for an error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no progress, no warnings and no summary
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// How an image is found.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Image source")]
pub(crate) struct SourceArgs {
    /// Choose from an index: OS/ARCH[:OS.VERSION], such as windows/amd64:10.0.20348
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformChoice>,
    /// Read registry credentials from this file, as written by `skopeo login` or `docker login`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    authfile: Option<PathBuf>,
    /// Trust the certificate authorities in this PEM file too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ca_file: Option<PathBuf>,
    /// Speak plain HTTP; without it only a registry on this machine may, when it has no TLS
    #[arg(long, conflicts_with_all = ["ca_file", "insecure_tls"])]
    plain_http: bool,
    /// Accept any certificate
    #[arg(long)]
    insecure_tls: bool,
    /// Try a request again this often before giving up [default: 5]
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
}

impl SourceArgs {
    /// Finds the image and checks its documents.
    pub(crate) fn resolve(&self, reference: &Reference) -> Result<Image, Failure> {
        let options = SourceOptions {
            platform: self.platform.clone().unwrap_or_default(),
            authfile: self.authfile.clone(),
            ca_file: self.ca_file.clone(),
            plain_http: self.plain_http,
            insecure_tls: self.insecure_tls,
            retries: self.retries,
            ..SourceOptions::default()
        };
        Ok(Image::resolve(reference, &options).map_err(winlayer::Error::from)?)
    }
}

/// What a layer may ask of this machine.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits of a layer")]
pub(crate) struct LimitArgs {
    /// Most entries
    #[arg(long, value_name = "N", default_value_t = Limits::default().entries)]
    limit_entries: u64,
    /// Most bytes when decompressed
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "128GiB")]
    limit_unpacked_bytes: u64,
    /// Longest path, in UTF-16 units
    #[arg(long, value_name = "N", default_value_t = Limits::default().path_units)]
    limit_path_units: usize,
    /// Most bytes of one PAX header
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1MiB")]
    limit_pax_bytes: u64,
    /// Largest zstd window, as a power of two
    #[arg(
        long,
        value_name = "LOG2",
        value_parser = clap::value_parser!(u32).range(10..=31),
        default_value_t = Limits::default().zstd_window_log
    )]
    limit_zstd_window_log: u32,
}

impl LimitArgs {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            pax_bytes: self.limit_pax_bytes,
            path_units: self.limit_path_units,
            entries: self.limit_entries,
            unpacked_bytes: self.limit_unpacked_bytes,
            zstd_window_log: self.limit_zstd_window_log,
        }
    }
}

/// How much is done at once.
#[derive(Debug, Default, Args)]
pub(crate) struct JobsArgs {
    /// Layers worked on at once [default: one for every two processors]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

impl JobsArgs {
    pub(crate) fn jobs(&self) -> usize {
        let default = || UnpackOptions::new(Target::Folder).jobs;
        self.jobs.map_or_else(default, usize::from)
    }
}

/// Unpack an image, every byte verified before anything is published
#[derive(Debug, Args)]
#[command(after_help = "\
DEST is a layer store (hcs, folder), a new or empty folder (tree), or the file to write (vhdx, ntfs, tar).
When unpacking fails, a store keeps only layers that are whole and verified, for the next attempt.

Examples:
  winlayer unpack mcr.microsoft.com/windows/nanoserver:ltsc2022 store
  winlayer unpack oci:layout:latest image.vhdx --to vhdx
  winlayer unpack oci:layout:latest disks --to vhdx --per-layer
  winlayer unpack oci:layout:latest tree --to tree --metadata tree.jsonl
  winlayer unpack oci-archive:image.tar layer2.tar --to tar --layer 2")]
pub(crate) struct UnpackArgs {
    /// The image
    pub(crate) image: Reference,
    /// Where to; made when missing
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) dest: PathBuf,
    /// What to make of it [default: hcs on Windows, folder elsewhere]
    #[arg(long, value_enum)]
    to: Option<To>,
    /// With --to hcs: which functions of Windows to use [default: vmcompute]
    #[arg(long, value_name = "FAMILY", value_enum)]
    hcs_family: Option<HcsFamily>,
    /// With --to tree: write what plain files cannot hold to this file, one JSON line an object
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    metadata: Option<PathBuf>,
    /// With --to vhdx or ntfs: bytes of the disk [default: 20GiB or what the image may need; ntfs: as large as its content]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    size: Option<u64>,
    /// With --to vhdx or ntfs: the volume's label
    #[arg(long, value_name = "TEXT", value_parser = parse_label)]
    label: Option<String>,
    /// With --to vhdx: DEST is a store with one disk a layer, each holding what its layer changes on the disk below
    #[arg(long)]
    per_layer: bool,
    /// With --to tree, vhdx or ntfs: take UtilityVM/Files instead of Files
    #[arg(long)]
    utility_vm: bool,
    /// With --to tar: only this layer, 1 is the base
    #[arg(long, value_name = "N", value_parser = parse_layer)]
    layer: Option<usize>,
    #[command(flatten)]
    pub(crate) jobs: JobsArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// The kinds of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// A store with one folder a layer, finished by Windows: ready to run (only on Windows)
    Hcs,
    /// A store with one folder a layer, ready for import into Windows
    Folder,
    /// The merged file system as plain files
    Tree,
    /// The merged file system, with all its metadata, on a disk for Windows, Hyper-V and QEMU
    Vhdx,
    /// The same as the bare bytes of an NTFS volume
    Ntfs,
    /// The merged image, or one layer, as a Windows layer tar
    Tar,
}

impl UnpackArgs {
    /// The number of the first layer unpacked; 1 is the base.
    pub(crate) fn first_layer(&self) -> usize {
        self.layer.unwrap_or(1)
    }

    /// The target, once the flags are known to fit it.
    pub(crate) fn target(&self) -> Result<Target, Failure> {
        let only_tree = [("--metadata", self.metadata.is_some())];
        let only_merged = [("--utility-vm", self.utility_vm)];
        let only_disk = [
            ("--size", self.size.is_some()),
            ("--label", self.label.is_some()),
        ];
        let only_vhdx = [("--per-layer", self.per_layer)];
        let only_tar = [("--layer", self.layer.is_some())];
        let only_hcs = [("--hcs-family", self.hcs_family.is_some())];
        let to = self.to.unwrap_or(DEFAULT_TARGET);
        if to != To::Tree {
            refuse(only_tree, "tree")?;
        }
        if !matches!(to, To::Tree | To::Vhdx | To::Ntfs) {
            refuse(only_merged, "tree, vhdx or ntfs")?;
        }
        if !matches!(to, To::Vhdx | To::Ntfs) {
            refuse(only_disk, "vhdx or ntfs")?;
        }
        if to != To::Vhdx {
            refuse(only_vhdx, "vhdx")?;
        }
        if to != To::Tar {
            refuse(only_tar, "tar")?;
        }
        if to != To::Hcs {
            refuse(only_hcs, "hcs")?;
        }
        Ok(match to {
            To::Hcs => return hcs_target(self.hcs_family),
            To::Folder => Target::Folder,
            To::Tree => Target::Tree {
                metadata: self.metadata.clone(),
                utility_vm: self.utility_vm,
            },
            To::Vhdx if self.per_layer => Target::LayerDisks(self.disk()?),
            To::Vhdx => Target::Vhdx(self.disk()?),
            To::Ntfs => Target::Ntfs(self.disk()?),
            To::Tar => Target::Tar { layer: self.layer },
        })
    }
}

impl UnpackArgs {
    fn disk(&self) -> Result<DiskOptions, Failure> {
        Ok(DiskOptions {
            size: self.size,
            label: self.label.clone().unwrap_or_default(),
            utility_vm: self.utility_vm,
            created: source_date()?,
        })
    }
}

const DEFAULT_TARGET: To = if cfg!(windows) { To::Hcs } else { To::Folder };

/// Only Windows can finish layers.
fn hcs_target(family: Option<HcsFamily>) -> Result<Target, Failure> {
    if cfg!(windows) {
        let family = family.map(Into::into).unwrap_or_default();
        return Ok(Target::Hcs { family });
    }
    Err(Failure::failed("--to hcs needs Windows").with_hint(
        "unpack with --to folder here, and on Windows: winlayer layer import STORE DEST",
    ))
}

fn refuse<const N: usize>(flags: [(&str, bool); N], only_with: &str) -> Result<(), Failure> {
    match flags.into_iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Failure::usage(format!(
            "{flag} only goes with --to {only_with}"
        ))),
        None => Ok(()),
    }
}

/// People count layers from 1.
fn parse_layer(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected the number of a layer; 1 is the base".to_owned()),
    }
}

/// Show which Windows an image is: version, updates, programs, layers
#[derive(Debug, Args)]
#[command(after_help = "\
The version, updates, programs, services and environment are those of the merged registry. Each
layer is read up to its last hive and is not verified by that; see `winlayer verify`.

Examples:
  winlayer inspect mcr.microsoft.com/windows/servercore:ltsc2025
  winlayer inspect --layer 2 oci:layout
  winlayer inspect --no-registry oci:layout
  winlayer inspect --json oci:layout | jq '.windows.updates[] | select(.state == \"installed\")'")]
pub(crate) struct InspectArgs {
    /// The image
    pub(crate) image: Reference,
    /// Read the layers to their end, verify them, and count what each changes
    #[arg(long)]
    pub(crate) contents: bool,
    /// Show only what the image's documents say; without --contents no layer is read
    #[arg(long, conflicts_with = "layer")]
    pub(crate) no_registry: bool,
    /// Show what this layer changed in the registry too, 1 is the base
    #[arg(long, value_name = "N", value_parser = parse_layer)]
    pub(crate) layer: Option<usize>,
    #[command(flatten)]
    pub(crate) jobs: JobsArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// List a folder of an image, or of a disk, without unpacking it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer ls oci:layout 'C:\\Windows'
  winlayer ls -l image.vhdx 'C:\\Windows'
  winlayer ls -lR oci:layout UtilityVM/Files/EFI
  winlayer ls --layer 2 -R oci:layout")]
pub(crate) struct LsArgs {
    /// The image, or a disk file
    #[arg(value_name = "IMAGE|DISK", value_hint = ValueHint::AnyPath)]
    pub(crate) subject: Source,
    /// A path such as `Windows\System32`, `C:\Windows`, `Files/Windows` or `UtilityVM/Files/EFI`
    pub(crate) path: Option<String>,
    /// Show attributes, size, time of the last write and layer
    #[arg(long, short)]
    pub(crate) long: bool,
    /// Go into folders
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    /// Only this layer, as it is; 1 is the base
    #[arg(long, value_name = "N", value_parser = parse_layer)]
    pub(crate) layer: Option<usize>,
    #[command(flatten)]
    pub(crate) disk: DiskArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Write a file of an image, or of a disk, to stdout
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer cat image.vhdx 'C:\\Windows\\win.ini'
  winlayer cat oci:layout 'C:\\Windows\\System32\\license.rtf'
  winlayer cat --layer 1 oci:layout Hives/Software_Delta > delta")]
pub(crate) struct CatArgs {
    /// The image, or a disk file
    #[arg(value_name = "IMAGE|DISK", value_hint = ValueHint::AnyPath)]
    pub(crate) subject: Source,
    /// The file; `file:name` is its alternate stream of that name
    pub(crate) path: String,
    /// Only this layer, as it is; 1 is the base
    #[arg(long, value_name = "N", value_parser = parse_layer)]
    pub(crate) layer: Option<usize>,
    #[command(flatten)]
    pub(crate) disk: DiskArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Verify an image, what was unpacked from one, or a disk
#[derive(Debug, Args)]
#[command(after_help = "\
An existing directory is taken as something unpacked, an existing file as a disk, anything else as
an image. Of a disk the VHDX file and its parents, the partition table, all structures of the NTFS
volume and every stream are read; findings go to stdout, and any error among them exits with 4.

Examples:
  winlayer verify oci:layout
  winlayer verify store
  winlayer verify image.vhdx
  winlayer verify --json --files image.vhdx > files.json
  winlayer verify tree --metadata tree.jsonl")]
pub(crate) struct VerifyArgs {
    /// An image; a store, a layer folder or a tree; or a disk file
    #[arg(value_name = "IMAGE|DEST|DISK", value_hint = ValueHint::AnyPath)]
    pub(crate) subject: PathBuf,
    /// The file written with a tree by `unpack --to tree --metadata`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) metadata: Option<PathBuf>,
    /// Of a disk, print the SHA-256 of every file too
    #[arg(long)]
    pub(crate) files: bool,
    #[command(flatten)]
    pub(crate) disk: DiskArgs,
    #[command(flatten)]
    pub(crate) jobs: JobsArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Print the layer folders of an image, topmost first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer chain store
  winlayer chain store --image oci:layout")]
pub(crate) struct ChainArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// Find the utility VM's boot files in an unpacked image
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer uvm store
  winlayer uvm --json store --image oci:layout")]
pub(crate) struct UvmArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Fail when SystemTemplate.vhdx is missing, which Windows makes when it processes the layer
    #[arg(long)]
    pub(crate) processed: bool,
}

/// One chain of layers on disk.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// A store, or the folder of the topmost layer
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) dest: PathBuf,
    /// Which image of a store that holds several: as it was named to unpack, or its manifest digest
    #[arg(long, value_name = "REF")]
    pub(crate) image: Option<String>,
}

/// Write a small, complete Windows image to try things with
#[derive(Debug, Args)]
#[command(after_help = "\
The same arguments always give the same bytes.

Examples:
  winlayer sample oci:layout
  winlayer sample oci:big:test --files 20000 --bytes 2GiB")]
pub(crate) struct SampleArgs {
    #[arg(help = "The OCI layout to write: oci:DIR[:TAG]")]
    pub(crate) image: Reference,
    /// Add this many files to the base layer
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) files: u64,
    /// Total size of the added files [default: 4 KiB each]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) bytes: Option<u64>,
}

/// Show the whole path with a sample image, in seconds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer demo
  winlayer demo try-winlayer")]
pub(crate) struct DemoArgs {
    /// Work in this new or empty directory and keep it
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

/// Write a shell's completion script to stdout
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer completions bash > /etc/bash_completion.d/winlayer
  winlayer completions powershell >> $PROFILE")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Write the man pages to a directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winlayer man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Made when missing
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn describes_a_consistent_command() {
        Cli::command().debug_assert();
    }

    #[test]
    fn limits_not_given_are_the_library_s() {
        let cli = Cli::parse_from(["winlayer", "unpack", "oci:image", "store"]);
        let Command::Unpack(unpack) = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!(unpack.limits.limits(), Limits::default());
    }
}
