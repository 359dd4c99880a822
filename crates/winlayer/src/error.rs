//! The crate's one error: what failed, in which layer, and what to do about it.

use std::{error::Error as StdError, fmt, io};

use winlayer_digest::{DiffId, Digest};
use winlayer_image::{ImageError, ImageErrorKind, Layer, image_error_in};
use winlayer_ntfs::NtfsError;
use winlayer_sys::{PlatformError, SysError};
use winlayer_tar::{TarError, TarErrorKind};
use winlayer_vhdx::VhdxError;

use crate::{names::TooManyNames, uvm::UvmProblem};

/// The result of this crate's calls.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an image could not be unpacked, inspected or verified.
///
/// `Display` is one lower-case fragment; the causes follow through [`source`](StdError::source).
/// Programs branch on [`kind`](Self::kind); everything else is for people. Names that come from an
/// image are escaped, so a message is safe to print on a terminal.
pub struct Error {
    context: Option<String>,
    problem: Box<Problem>,
}

/// What sort of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The image, the tag, a matching platform or the thing asked for does not exist.
    NotFound,
    /// Bytes are not what a digest, a size, a DiffID or the format says they must be.
    Verification,
    /// The image asks for something that would be dangerous to do.
    Unsafe,
    /// The image is larger than a limit allows.
    Limit,
    /// Anything else: no space, no permission, no network.
    Failed,
}

/// Private, so that cases can change; [`ErrorKind`] is the promise.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Tar(#[from] TarError),
    #[error(transparent)]
    Sys(#[from] SysError),
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error(transparent)]
    Ntfs(#[from] NtfsError),
    #[error(transparent)]
    Vhdx(#[from] VhdxError),
    #[error("entry \"{entry}\"")]
    NtfsEntry { entry: String, source: NtfsError },
    #[error(transparent)]
    TooManyNames(#[from] TooManyNames),
    #[error(transparent)]
    Uvm(#[from] UvmProblem),
    #[error("cannot {action}")]
    Io { action: String, source: io::Error },
    #[error("entry \"{entry}\": {rule}")]
    Unsafe { entry: String, rule: String },
    #[error("entry \"{entry}\": {rule}")]
    Malformed { entry: String, rule: String },
    #[error("uncompressed digest differs: expected {expected}, found {found}")]
    DiffId { expected: DiffId, found: DiffId },
    #[error("{0}")]
    NotFound(String),
    #[error("\"{0}\" is no key of an image's registry")]
    NoSuchHive(String),
    #[error("{0}")]
    Hive(String),
    #[error("{path}: {what}")]
    Damaged {
        path: String,
        what: String,
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
        hint: &'static str,
    },
    #[error("{what}")]
    Refused { what: String, hint: &'static str },
    #[error("it is no disk: neither VHDX, nor an NTFS volume, nor anything with a partition table")]
    NotADisk,
    #[error("damaged volume: {0}")]
    DamagedDisk(String),
    #[error("stopped because another layer failed")]
    Cancelled,
}

const DAMAGED_LAYER: &str = "remove the damaged layer folder and unpack the image again";
const DAMAGED_DISK: &str = "`winlayer verify DISK` names all that is wrong with it";
const CHANGED_TREE: &str =
    "the tree was changed after it was unpacked; unpack the image again to another directory";

impl Error {
    /// The sort of failure, for programs (the command line makes its exit code from it).
    pub fn kind(&self) -> ErrorKind {
        match &*self.problem {
            Problem::Image(error) => kind_of_image(error),
            Problem::Tar(error) => kind_of_tar(error),
            Problem::Sys(error) if error.is_unsafe() => ErrorKind::Unsafe,
            Problem::Io { source, .. } => kind_of_io(source),
            Problem::Ntfs(error) | Problem::NtfsEntry { source: error, .. } => kind_of_ntfs(error),
            Problem::Vhdx(error) => kind_of_vhdx(error),
            Problem::TooManyNames(_) => ErrorKind::Limit,
            Problem::Unsafe { .. } => ErrorKind::Unsafe,
            Problem::Malformed { .. }
            | Problem::DiffId { .. }
            | Problem::Damaged { .. }
            | Problem::NotADisk
            | Problem::DamagedDisk(_) => ErrorKind::Verification,
            Problem::NotFound(_) | Problem::NoSuchHive(_) => ErrorKind::NotFound,
            Problem::Hive(_) => ErrorKind::Verification,
            Problem::Uvm(problem) if problem.is_none() => ErrorKind::NotFound,
            Problem::Uvm(problem) if problem.is_unsafe() => ErrorKind::Unsafe,
            Problem::Uvm(_) => ErrorKind::Failed,
            Problem::Sys(_)
            | Problem::Platform(_)
            | Problem::Refused { .. }
            | Problem::Cancelled => ErrorKind::Failed,
        }
    }

    /// What to do next, in one sentence, when there is something to do.
    pub fn hint(&self) -> Option<&str> {
        if let Some(image) = self.image_error() {
            // A layer that is missing is no wrong name.
            let part_is_missing =
                self.context.is_some() && image.kind() == ImageErrorKind::NotFound;
            return match part_is_missing {
                true => Some("fetch or copy the image again; a part of it is missing"),
                false => image.hint(),
            };
        }
        if let Some(remedy) = self.platform_error().and_then(PlatformError::remedy) {
            return Some(remedy);
        }
        match &*self.problem {
            Problem::Tar(error) => hint_for_io(io_cause(error)?.kind()),
            Problem::Io { source, .. } => hint_for_io(source.kind()),
            Problem::Sys(error) => hint_for_io(error.io_kind()),
            Problem::NoSuchHive(_) => Some(
                r"images have HKLM\SYSTEM, HKLM\SOFTWARE, HKLM\SAM, HKLM\SECURITY and HKU\.DEFAULT",
            ),
            Problem::Ntfs(error) | Problem::NtfsEntry { source: error, .. } => hint_for_ntfs(error),
            Problem::Vhdx(error) => hint_for_vhdx(error),
            Problem::Unsafe { .. } | Problem::Malformed { .. } => {
                Some("the layer is malformed or hostile and was not applied; tell its publisher")
            }
            Problem::DiffId { .. } => Some(
                "the image config may belong to another manifest; name the image by digest to pin it",
            ),
            Problem::Damaged { hint, .. } => Some(hint),
            Problem::Refused { hint, .. } => Some(hint),
            Problem::Uvm(problem) => problem.hint(),
            Problem::DamagedDisk(_) => Some(DAMAGED_DISK),
            _ => None,
        }
    }

    /// The call of the Windows container platform that failed, when it was one: what a diagnosis of
    /// the machine should explain.
    pub fn platform_error(&self) -> Option<&PlatformError> {
        match &*self.problem {
            Problem::Platform(error) => Some(error),
            // A backup stream is written and read like any file.
            Problem::Io { source, .. } => source.get_ref()?.downcast_ref(),
            _ => None,
        }
    }

    /// What went wrong with the image or a blob of it, however deep below a reader's error.
    fn image_error(&self) -> Option<&ImageError> {
        match &*self.problem {
            Problem::Image(error) => Some(error),
            Problem::Io { source, .. } => image_error_in(source),
            Problem::Tar(error) => io_cause(error).and_then(image_error_in),
            _ => None,
        }
    }

    /// Names the layer in which this happened: the context people look for first.
    pub(crate) fn in_layer(mut self, layer: &Layer, layers: usize) -> Self {
        let digest = layer.digest.unwrap_or_else(|| layer.diff_id.digest());
        self.context = Some(format!(
            "{} failed",
            layer_title(layer.index, layers, &digest)
        ));
        self
    }

    /// Names the layer tar, of which no more is known, in which this happened.
    #[cfg(windows)]
    pub(crate) fn in_tar(mut self, tar: &str) -> Self {
        self.context = Some(format!("layer tar {tar} failed"));
        self
    }

    pub(crate) fn refused_entry(entry: &str, rule: impl Into<String>) -> Self {
        let rule = rule.into();
        Problem::Unsafe {
            entry: escape(entry),
            rule,
        }
        .into()
    }

    /// As [`refused_entry`](Self::refused_entry), for what is wrong but harms nobody.
    pub(crate) fn malformed_entry(entry: &str, rule: impl Into<String>) -> Self {
        let rule = rule.into();
        Problem::Malformed {
            entry: escape(entry),
            rule,
        }
        .into()
    }

    /// An entry that a volume cannot hold.
    pub(crate) fn in_entry(entry: &str, source: NtfsError) -> Self {
        let entry = escape(entry);
        Problem::NtfsEntry { entry, source }.into()
    }

    /// What a volume's reader said, when it was that.
    pub(crate) fn ntfs(&self) -> Option<&NtfsError> {
        match &*self.problem {
            Problem::Ntfs(error) => Some(error),
            _ => None,
        }
    }

    /// What a disk's reader said, when it was that.
    pub(crate) fn vhdx(&self) -> Option<&VhdxError> {
        match &*self.problem {
            Problem::Vhdx(error) => Some(error),
            _ => None,
        }
    }

    /// True when the chain simply has no utility VM, which is no failure of an unpack.
    pub(crate) fn is_no_utility_vm(&self) -> bool {
        matches!(&*self.problem, Problem::Uvm(problem) if problem.is_none())
    }

    pub(crate) fn io(action: impl Into<String>, source: io::Error) -> Self {
        Problem::Io {
            action: action.into(),
            source,
        }
        .into()
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Problem::NotFound(what.into()).into()
    }

    /// A hive of an image is damaged.
    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Problem::Hive(what.into()).into()
    }

    /// `key` begins with no hive that images have.
    pub(crate) fn no_such_hive(key: &str) -> Self {
        Problem::NoSuchHive(escape(key)).into()
    }

    pub(crate) fn refused(what: impl Into<String>, hint: &'static str) -> Self {
        Problem::Refused {
            what: what.into(),
            hint,
        }
        .into()
    }

    pub(crate) fn damaged(path: impl fmt::Display, what: impl Into<String>) -> Self {
        Problem::Damaged {
            path: path.to_string(),
            what: what.into(),
            source: None,
            hint: DAMAGED_LAYER,
        }
        .into()
    }

    /// The file holds no disk.
    pub(crate) fn not_a_disk() -> Self {
        Problem::NotADisk.into()
    }

    /// A volume breaks a rule of NTFS.
    pub(crate) fn damaged_disk(what: impl Into<String>) -> Self {
        Problem::DamagedDisk(what.into()).into()
    }

    /// Names the disk file with which this happened.
    pub(crate) fn on_disk(mut self, path: &std::path::Path) -> Self {
        let path = escape(&path.to_string_lossy());
        self.context = Some(format!("disk \"{path}\" cannot be read"));
        self
    }

    /// A tree is not as its metadata file says.
    pub(crate) fn changed_tree(path: impl fmt::Display, what: impl Into<String>) -> Self {
        Problem::Damaged {
            path: path.to_string(),
            what: what.into(),
            source: None,
            hint: CHANGED_TREE,
        }
        .into()
    }

    pub(crate) fn damaged_by(
        path: impl fmt::Display,
        what: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let (path, what) = (path.to_string(), what.into());
        Problem::Damaged {
            path,
            what,
            source: Some(source.into()),
            hint: DAMAGED_LAYER,
        }
        .into()
    }

    /// True when a file or directory was not there.
    pub(crate) fn is_gone(&self) -> bool {
        match &*self.problem {
            Problem::Sys(error) => error.io_kind() == io::ErrorKind::NotFound,
            Problem::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Problem::NotFound(_) => true,
            _ => false,
        }
    }

    /// True for the error of a layer that only stopped because another one failed.
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(*self.problem, Problem::Cancelled)
    }
}

impl<P: Into<Problem>> From<P> for Error {
    fn from(problem: P) -> Self {
        Self {
            context: None,
            problem: Box::new(problem.into()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.context {
            Some(context) => f.write_str(context),
            None => fmt::Display::fmt(&self.problem, f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Error");
        text.field("kind", &self.kind());
        if let Some(context) = &self.context {
            text.field("context", context);
        }
        text.field("problem", &self.problem).finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.context {
            Some(_) => Some(&*self.problem),
            None => self.problem.source(),
        }
    }
}

/// `layer 2 of 3 (sha256:12ab34cd56ef…)`: how people count, the base is layer 1.
pub(crate) fn layer_title(index: usize, layers: usize, digest: &Digest) -> String {
    let short: String = digest.hex().chars().take(12).collect();
    format!(
        "layer {} of {layers} (sha256:{short}…)",
        index.saturating_add(1)
    )
}

/// A name from an image made safe for a terminal: control characters escaped, long names cut.
pub(crate) fn escape(name: &str) -> String {
    const LONGEST: usize = 300;
    let mut text = String::new();
    for character in name.chars().take(LONGEST) {
        match character {
            // A path of Windows is shown as people know it.
            '\\' | '\'' | '"' => text.push(character),
            _ => text.extend(character.escape_debug()),
        }
    }
    if name.chars().nth(LONGEST).is_some() {
        text.push('…');
    }
    text
}

fn kind_of_image(error: &ImageError) -> ErrorKind {
    match error.kind() {
        ImageErrorKind::NotFound | ImageErrorKind::NoMatchingPlatform => ErrorKind::NotFound,
        ImageErrorKind::Verification | ImageErrorKind::Malformed => ErrorKind::Verification,
        ImageErrorKind::Limit => ErrorKind::Limit,
        _ => ErrorKind::Failed,
    }
}

fn kind_of_tar(error: &TarError) -> ErrorKind {
    match error.kind() {
        TarErrorKind::Malformed => ErrorKind::Verification,
        TarErrorKind::Unsafe => ErrorKind::Unsafe,
        TarErrorKind::Limit => ErrorKind::Limit,
        TarErrorKind::Io => io_cause(error).map_or(ErrorKind::Failed, kind_of_io),
    }
}

fn kind_of_ntfs(error: &NtfsError) -> ErrorKind {
    match error {
        NtfsError::Io { source, .. } => kind_of_io(source),
        NtfsError::Damaged { .. } | NtfsError::NotNtfs { .. } => ErrorKind::Verification,
        NtfsError::Name { .. } | NtfsError::Collision { .. } => ErrorKind::Unsafe,
        NtfsError::TooManyLinks { .. } => ErrorKind::Limit,
        _ => ErrorKind::Failed,
    }
}

fn kind_of_vhdx(error: &VhdxError) -> ErrorKind {
    match (error, io_cause(error)) {
        (_, Some(cause)) => kind_of_io(cause),
        (VhdxError::InFile { source, .. }, None) => kind_of_vhdx(source),
        (
            VhdxError::Damaged(_)
            | VhdxError::Unreadable
            | VhdxError::WrongParent { .. }
            | VhdxError::Gpt { .. }
            | VhdxError::Vhd { .. },
            None,
        ) => ErrorKind::Verification,
        (VhdxError::ParentNotFound { .. }, None) => ErrorKind::NotFound,
        _ => ErrorKind::Failed,
    }
}

fn hint_for_ntfs(error: &NtfsError) -> Option<&'static str> {
    match error {
        NtfsError::Io { source, .. } => hint_for_io(source.kind()),
        NtfsError::Damaged { .. } => Some(DAMAGED_DISK),
        NtfsError::Full { .. } | NtfsError::Size { .. } => Some("give a larger --size"),
        _ => None,
    }
}

fn hint_for_vhdx(error: &VhdxError) -> Option<&'static str> {
    match error {
        VhdxError::Size { .. } | VhdxError::DataDiskSize { .. } => {
            Some("give another --size, a multiple of 512")
        }
        _ => hint_for_io(io_cause(error)?.kind()),
    }
}

/// A blob that ends early or does not decompress is a verification failure, not a failing disk.
fn kind_of_io(error: &io::Error) -> ErrorKind {
    if let Some(image) = image_error_in(error) {
        return kind_of_image(image);
    }
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::Verification,
        _ => ErrorKind::Failed,
    }
}

fn io_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref() {
            return Some(io);
        }
        next = error.source();
    }
    None
}

fn hint_for_io(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("free some space or choose a destination on a larger disk; finished layers stay")
        }
        io::ErrorKind::PermissionDenied => Some("choose a destination this user may write to"),
        io::ErrorKind::InvalidFilename => Some(
            "the name is longer than this file system allows; choose a destination on another one",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_names_never_reach_a_message_raw() {
        let error = Error::refused_entry("Files/\u{1b}[31mred\n", "refused");
        assert_eq!(
            error.to_string(),
            "entry \"Files/\\u{1b}[31mred\\n\": refused"
        );
        assert_eq!(error.kind(), ErrorKind::Unsafe);
    }

    #[test]
    fn a_truncated_blob_is_a_verification_failure_and_a_full_disk_is_not() {
        let io = |kind: io::ErrorKind| Error::io("read", kind.into());
        assert_eq!(
            io(io::ErrorKind::UnexpectedEof).kind(),
            ErrorKind::Verification
        );
        let full = io(io::ErrorKind::StorageFull);
        assert_eq!(full.kind(), ErrorKind::Failed);
        assert!(full.hint().unwrap().contains("space"));
    }

    #[test]
    fn what_an_image_source_says_has_a_hint_however_it_arrives() {
        let reference = "oci:/nowhere/at/all".parse().unwrap();
        let error = winlayer_image::Image::resolve(&reference, &Default::default()).unwrap_err();
        let wrapped = Error::io("read the layer", io::Error::from(error.clone()));
        let direct = Error::from(error);
        assert_eq!(direct.kind(), ErrorKind::NotFound);
        assert!(direct.hint().unwrap().contains("name"));
        assert_eq!(
            (wrapped.kind(), wrapped.hint()),
            (direct.kind(), direct.hint())
        );
    }

    #[test]
    fn paths_are_shown_as_typed_and_control_characters_are_not() {
        assert_eq!(escape("C:\\Bob's\u{1b}[m"), "C:\\Bob's\\u{1b}[m");
    }

    #[test]
    fn the_layer_comes_first_and_the_cause_is_its_source() {
        let digest = Digest::of(b"");
        assert_eq!(
            layer_title(1, 3, &digest),
            "layer 2 of 3 (sha256:e3b0c44298fc…)"
        );
        let mut error = Error::refused_entry("Files/a", "is a duplicate");
        error.context = Some("layer 2 of 3".into());
        assert_eq!(error.to_string(), "layer 2 of 3");
        let cause = StdError::source(&error).unwrap().to_string();
        assert_eq!(cause, "entry \"Files/a\": is a duplicate");
    }
}
