//! Arguments of the commands that read the registry of an image.

use super::{JobsArgs, LimitArgs, SourceArgs, parse_layer};
use clap::Args;
use winlayer::{Reference, RegistryPath};

/// Show a key or a value of an image's registry
#[derive(Debug, Args)]
#[command(after_help = "\
Keys are those of HKLM\\SYSTEM, HKLM\\SOFTWARE, HKLM\\SAM, HKLM\\SECURITY, HKU\\.DEFAULT and HKCR, in
any case; HKLM\\SYSTEM\\CurrentControlSet is resolved. Without --layer all layers count together.
Exits with 3 when there is no such key or value.

Examples:
  winlayer reg oci:layout 'HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion'
  winlayer reg oci:layout 'HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion' UBR
  winlayer reg --layer 2 oci:layout 'HKLM\\SYSTEM\\CurrentControlSet\\Services'")]
pub(crate) struct RegArgs {
    /// The image
    pub(crate) image: Reference,
    /// The key, such as `HKLM\SOFTWARE\Microsoft`
    pub(crate) key: String,
    /// Print only this value of it; `(Default)` is the default value
    pub(crate) value: Option<String>,
    /// Only this layer, as it is; 1 is the base
    #[arg(long, value_name = "N", value_parser = parse_layer)]
    pub(crate) layer: Option<usize>,
    #[command(flatten)]
    pub(crate) jobs: JobsArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

impl RegArgs {
    pub(crate) fn path(&self) -> Result<RegistryPath, winlayer::Error> {
        self.key.parse()
    }
}

/// Show what the registries of two images differ in
#[derive(Debug, Args)]
#[command(after_help = "\
Lines begin with + for what only B has, - for what only A has, ~ for keys whose values differ.
Classes, security descriptors and times are not compared.

Examples:
  winlayer reg-diff oci:layout:old oci:layout:new
  winlayer reg-diff oci:layout oci:layout --layer-a 1 --layer-b 2")]
pub(crate) struct RegDiffArgs {
    /// The first image
    #[arg(value_name = "A")]
    pub(crate) a: Reference,
    /// The second image
    #[arg(value_name = "B")]
    pub(crate) b: Reference,
    /// Take A only up to this layer, 1 is the base
    #[arg(long, value_name = "N", value_parser = parse_layer)]
    pub(crate) layer_a: Option<usize>,
    /// Take B only up to this layer, 1 is the base
    #[arg(long, value_name = "N", value_parser = parse_layer)]
    pub(crate) layer_b: Option<usize>,
    #[command(flatten)]
    pub(crate) jobs: JobsArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}
