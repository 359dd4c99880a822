//! What can go wrong between a reference and a verified blob.

use std::{error::Error, fmt, io, sync::Arc};

use crate::text;

/// What kind of failure an [`ImageError`] is; decides the exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageErrorKind {
    /// The image, tag, blob, directory or archive does not exist.
    NotFound,
    /// The image exists, but not for the platform asked for (a Linux image, for example).
    NoMatchingPlatform,
    /// Bytes are not the ones a digest or a size promised.
    Verification,
    /// The registry refuses without (or with these) credentials.
    Unauthorized,
    /// The registry could not be reached or kept failing.
    Network,
    /// A document does not follow its specification.
    Malformed,
    /// A file of this machine cannot be read, written or made sense of.
    Io,
    /// A document is larger than the limit.
    Limit,
    /// Well formed, but of a kind winlayer does not read (schema 1, encrypted layers, other artifacts).
    Unsupported,
}

/// Why an image could not be resolved or a blob not be read.
///
/// The message names the thing, what was expected and what was found; it holds no control
/// characters whatever the registry sent. The cause, if any, is in [`Error::source`].
#[derive(Clone)]
pub struct ImageError {
    kind: ImageErrorKind,
    message: Arc<str>,
    hint: Option<Arc<str>>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ImageError {
    pub(crate) fn new(kind: ImageErrorKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: text::escaped(message.as_ref()).into(),
            hint: None,
            cause: None,
        }
    }

    pub(crate) fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// Advice that fits better than what the kind alone suggests.
    pub(crate) fn with_hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(text::escaped(hint.as_ref()).into());
        self
    }

    /// An operating system error about a file, NotFound when the file is missing.
    pub(crate) fn io(message: impl AsRef<str>, cause: io::Error) -> Self {
        let kind = match cause.kind() {
            io::ErrorKind::NotFound => ImageErrorKind::NotFound,
            _ => ImageErrorKind::Io,
        };
        Self::new(kind, message).caused_by(cause)
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ImageErrorKind {
        self.kind
    }

    /// What to do next, in one sentence, when there is something to do. It speaks of the flags of
    /// the `winlayer` command, each of which is a field of [`SourceOptions`](crate::SourceOptions).
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref().or(match self.kind {
            ImageErrorKind::NotFound => Some("check the name, and the tag or digest"),
            ImageErrorKind::NoMatchingPlatform => {
                Some("choose one it offers with --platform OS/ARCH[:OS.VERSION]")
            }
            ImageErrorKind::Verification | ImageErrorKind::Malformed => {
                Some("fetch or copy the image again; what is there is damaged")
            }
            ImageErrorKind::Unauthorized => {
                Some("log in first (skopeo login HOST) or name a file with --authfile")
            }
            ImageErrorKind::Network => {
                Some("try again: bytes already fetched into a layer store are kept")
            }
            ImageErrorKind::Limit | ImageErrorKind::Io | ImageErrorKind::Unsupported => None,
        })
    }
}

impl fmt::Debug for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("hint", &self.hint)
            .field("cause", &self.cause)
            .finish()
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ImageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause
            .as_ref()
            .map(|cause| &**cause as &(dyn Error + 'static))
    }
}

impl From<ImageError> for io::Error {
    fn from(error: ImageError) -> Self {
        let kind = match error.kind {
            ImageErrorKind::NotFound => io::ErrorKind::NotFound,
            ImageErrorKind::Unauthorized => io::ErrorKind::PermissionDenied,
            ImageErrorKind::Verification
            | ImageErrorKind::Malformed
            | ImageErrorKind::Limit
            | ImageErrorKind::NoMatchingPlatform => io::ErrorKind::InvalidData,
            ImageErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ImageErrorKind::Network | ImageErrorKind::Io => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Finds the [`ImageError`] a layer reader put into `error`, however deep readers in between (a
/// decompressor, a tar reader) have wrapped it.
///
/// ```
/// let plain = std::io::Error::other("disk on fire");
/// assert!(winlayer_image::image_error_in(&plain).is_none());
/// ```
pub fn image_error_in(error: &io::Error) -> Option<&ImageError> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<ImageError>() {
            return Some(found);
        }
        // An io::Error's source() is the source *of* what it wraps, so look inside first.
        next = match current
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_hold_no_control_characters() {
        let error = ImageError::new(ImageErrorKind::NotFound, "tag \x1b]0;owned\x07");
        assert_eq!(error.to_string(), "tag \\u{1b}]0;owned\\u{7}");
    }

    #[test]
    fn advice_of_its_own_replaces_that_of_the_kind() {
        let error = ImageError::new(ImageErrorKind::Network, "no way");
        assert!(error.hint().unwrap().contains("try again"));
        assert_eq!(error.with_hint("give up\n").hint(), Some("give up\\u{a}"));
    }

    #[test]
    fn is_found_through_several_wrappers() {
        let inner = ImageError::new(ImageErrorKind::Verification, "digest differs");
        let wrapped = io::Error::other(io::Error::other(io::Error::from(inner)));
        assert_eq!(
            image_error_in(&wrapped).map(ImageError::kind),
            Some(ImageErrorKind::Verification)
        );
    }
}
