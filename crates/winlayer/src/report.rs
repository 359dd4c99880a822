//! What a caller asks for ([`UnpackOptions`]), watches ([`Observer`]) and gets ([`UnpackedImage`]).

use std::{
    fmt,
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use winlayer_image::{Layer, Platform};
use winlayer_metadata::FileTime;
use winlayer_tar::{Limits, Progress};

use crate::{ChainLink, UvmBootFiles};

/// What to make of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// One folder per layer in the Windows transport format, in a [`LayerStore`](crate::LayerStore)
    /// at the root, which is made when missing.
    Folder,
    /// One folder per layer as the Windows container platform mounts it, in a
    /// [`LayerStore`](crate::LayerStore) of that kind at the root, which is made when missing. Only on
    /// Windows.
    Hcs {
        /// The calls to have the platform finish layers with.
        family: HcsFamily,
    },
    /// The merged file system as plain files; the root must be missing or empty.
    Tree {
        /// Where to write one JSON line per object with all that a plain file system cannot hold.
        metadata: Option<PathBuf>,
        /// Takes the `UtilityVM/Files` tree instead of `Files`.
        utility_vm: bool,
    },
    /// The merged image as an NTFS volume, written to the file the root names: the bare bytes of the volume.
    Ntfs(DiskOptions),
    /// The same on a disk that Windows, Hyper-V and QEMU attach: a dynamic VHDX with a partition table.
    Vhdx(DiskOptions),
    /// One disk per layer, each holding only what its layer changes on top of the disk of the layer below, in a
    /// [`LayerStore`](crate::LayerStore) of that kind at the root, which is made when missing.
    LayerDisks(DiskOptions),
    /// One Windows layer tar, written to the file the root names.
    Tar {
        /// Only this layer, counted from 1 (the base), instead of all of them merged.
        layer: Option<usize>,
    },
}

/// What a disk is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskOptions {
    /// Bytes of the disk, a multiple of 512. Without it a volume by itself is as large as its content with 64 MiB free, and a
    /// disk 20 GiB, or more where the image may need that.
    pub size: Option<u64>,
    /// The volume's label, at most 32 UTF-16 units.
    pub label: String,
    /// Takes the `UtilityVM/Files` tree instead of `Files`.
    pub utility_vm: bool,
    /// When the volume was made, as it says itself; the beginning of 1970 without it, so that equal images give equal bytes.
    pub created: Option<FileTime>,
}

/// Which of the platform's two sets of layer calls is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HcsFamily {
    /// vmcompute.dll, since Windows 10 1607 and Server 2016; what container engines use.
    #[default]
    VmCompute,
    /// computestorage.dll, since build 17763, where it has a call.
    ComputeStorage,
}

impl Target {
    /// The name the command line and the JSON report use.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Hcs { .. } => "hcs",
            Self::Ntfs(_) => "ntfs",
            Self::Vhdx(_) | Self::LayerDisks(_) => "vhdx",
            Self::Tree { .. } => "tree",
            Self::Tar { .. } => "tar",
        }
    }
}

/// What a terminal or a log wants to know while work goes on.
///
/// Called from several threads, so implementations lock what they share. Every method may be left
/// out.
pub trait Observer: Send + Sync {
    /// Reading of `layer` begins; `progress` counts while it lasts.
    fn layer_started(&self, layer: &Layer, progress: Arc<Progress>) {
        let _ = (layer, progress);
    }

    /// `layer` is complete; `reused` when it had been unpacked before.
    fn layer_finished(&self, layer: &Layer, reused: bool) {
        let _ = (layer, reused);
    }

    /// Reading of a disk begins: some `bytes` are stored in it; `progress` counts while it lasts.
    fn disk_started(&self, disk: &Path, bytes: u64, progress: Arc<Progress>) {
        let _ = (disk, bytes, progress);
    }

    /// The disk begun last was read.
    fn disk_finished(&self) {}

    /// Something slow other than reading a layer begins, for example
    /// "waiting for another winlayer to finish layer 2".
    fn step(&self, what: &str) {
        let _ = what;
    }

    /// Something the user should know that is not an error.
    fn warning(&self, text: &str) {
        let _ = text;
    }
}

/// How to unpack.
#[derive(Clone)]
pub struct UnpackOptions {
    /// What to make.
    pub target: Target,
    /// What a layer may cost at most.
    pub limits: Limits,
    /// Layers to work on at the same time; 0 counts as 1.
    pub jobs: usize,
    /// Who watches.
    pub observer: Option<Arc<dyn Observer>>,
}

impl UnpackOptions {
    /// Options for `target` with default limits, one job per two processors and no observer.
    pub fn new(target: Target) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let jobs = processors.div_ceil(2).clamp(1, 8);
        Self {
            target,
            limits: Limits::default(),
            jobs,
            observer: None,
        }
    }

    pub(crate) fn step(&self, what: &str) {
        if let Some(observer) = &self.observer {
            observer.step(what);
        }
    }
}

impl fmt::Debug for UnpackOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnpackOptions")
            .field("target", &self.target)
            .field("limits", &self.limits)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

/// What was unpacked, and where it is.
#[derive(Clone, Debug, Serialize)]
pub struct UnpackedImage {
    /// The reference as the user wrote it.
    pub image: String,
    /// Digest of the manifest that was chosen, `sha256:…`.
    pub manifest_digest: String,
    /// What the image says it is for.
    pub platform: Platform,
    /// The kind of target: `folder`, `hcs`, `tree`, `ntfs`, `vhdx` or `tar`.
    pub target: &'static str,
    /// The store, the tree, the disk or the tar file; absolute.
    pub root: PathBuf,
    /// The layer folders, topmost first; empty for trees, single disks and tars. The folders of layer disks have theirs
    /// in `layer.vhdx`.
    pub chain: Vec<ChainLink>,
    /// The layers, base first.
    pub layers: Vec<UnpackedLayer>,
    /// The utility VM's boot files, when the image has them and the target is `folder` or `hcs`.
    pub uvm: Option<UvmBootFiles>,
    /// What the user should know, in the order of the layers.
    pub warnings: Vec<String>,
    /// Wall time of the whole call.
    pub seconds: f64,
}

/// One layer of an [`UnpackedImage`].
#[derive(Clone, Debug, Serialize)]
pub struct UnpackedLayer {
    /// Digest of the compressed blob; none for the layers of a docker-archive.
    pub digest: Option<String>,
    /// Digest of the uncompressed tar.
    pub diff_id: String,
    /// Identity of this layer on top of those below it.
    pub chain_id: String,
    /// Media type in the manifest.
    pub media_type: String,
    /// Size of the blob.
    pub compressed_bytes: u64,
    /// Size of the tar.
    pub uncompressed_bytes: u64,
    /// Tar entries, streams and whiteouts included.
    pub entries: u64,
    /// Wall time spent on this layer, waiting for the layers below included.
    pub seconds: f64,
    /// True when the layer had been unpacked before.
    pub reused: bool,
}

/// What a target reports to [`unpack_windows_image`](crate::unpack_windows_image).
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Base first.
    pub(crate) layers: Vec<UnpackedLayer>,
    pub(crate) warnings: Vec<String>,
}
