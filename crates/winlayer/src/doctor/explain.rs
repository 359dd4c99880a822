//! Which findings an error has to do with.

use std::{error::Error as StdError, io, path::Path};

use winlayer_sys::PlatformCode;

use super::{Finding, Severity, examine};
use crate::{Error, ErrorKind};

/// What on this machine may have caused `error`, an unpack or another work in `dest` that failed.
///
/// Empty when the error is about the image, not about the machine.
pub fn explain(error: &Error, dest: &Path) -> Vec<Finding> {
    if error.kind() != ErrorKind::Failed {
        return Vec::new();
    }
    let mut cause = Cause::of(error);
    if let Some(platform) = error.platform_error() {
        cause.kind = Some(platform.io_kind());
        cause.win32 = platform.win32().or(match platform.code() {
            PlatformCode::HResult(code) => Some(code),
            _ => None,
        });
    }
    let (checks, always) = (cause.checks(), cause.always());
    if checks.is_empty() && always.is_empty() {
        return Vec::new();
    }
    let speaks = |finding: &Finding| {
        always.contains(&finding.check)
            || (checks.contains(&finding.check) && finding.severity >= Severity::Warning)
    };
    let mut findings = examine(dest, None);
    findings.retain(speaks);
    findings
}

/// What is known of the deepest cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cause {
    kind: Option<io::ErrorKind>,
    /// A code of Win32, from an HRESULT where need be.
    win32: Option<u32>,
    /// The system's number on Unix.
    errno: Option<i32>,
}

impl Cause {
    fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut cause = Self::default();
        for error in std::iter::successors(Some(error), |&error| error.source()) {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                cause.kind = Some(io.kind());
                match io.raw_os_error() {
                    Some(code) if cfg!(windows) => cause.win32 = u32::try_from(code).ok(),
                    code => cause.errno = code,
                }
            }
        }
        cause
    }

    /// Checks whose warnings and problems explain it.
    fn checks(self) -> &'static [&'static str] {
        const PLATFORM: &[&str] = &[
            "container-platform",
            "windows-version",
            "administrator",
            "privileges",
            "file-system",
            "link",
            "path-length",
            "drivers",
        ];
        match (self.win32, self.errno) {
            // A filter that does not know what it is asked (error 1), a feature that is not there
            // (2, 3, 50, and HCS_E_HYPERV_NOT_INSTALLED, HCS_E_SERVICE_NOT_AVAILABLE), rights (5,
            // 1300, 1314), a path too long (206).
            (Some(1 | 2 | 3 | 5 | 50 | 87 | 126 | 127 | 206 | 1300 | 1314), _)
            | (Some(0x8037_0102 | 0x8037_0114 | 0x8037_011b), _) => return PLATFORM,
            // EMFILE, ENFILE.
            (None, Some(24 | 23)) => return &["open-files"],
            _ => {}
        }
        match self.kind {
            Some(
                io::ErrorKind::PermissionDenied
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::NotADirectory,
            ) => &["destination", "file-system", "administrator"],
            Some(io::ErrorKind::FileTooLarge | io::ErrorKind::Unsupported) => {
                &["file-system", "hard-links"]
            }
            _ => &[],
        }
    }

    /// Checks that explain it whatever they found: when a failed unpack has cleaned up, there is
    /// room again, and how much there is still is what people need to know.
    fn always(self) -> &'static [&'static str] {
        match self.kind {
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                &["free-space", "free-inodes"]
            }
            Some(io::ErrorKind::InvalidFilename) => &["long-names", "path-length"],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: io::ErrorKind) -> Error {
        Error::io("write Files/a", kind.into())
    }

    fn checks(error: &Error) -> Vec<&'static str> {
        let folder = tempfile::tempdir().unwrap();
        let findings = explain(error, folder.path());
        findings.iter().map(|finding| finding.check).collect()
    }

    #[test]
    fn a_full_disk_is_explained_by_what_is_free() {
        let checks = checks(&failed(io::ErrorKind::StorageFull));
        assert!(checks.contains(&"free-space"), "{checks:?}");
        assert!(!checks.contains(&"kernel"), "{checks:?}");
    }

    #[test]
    fn what_is_wrong_with_the_image_is_not_explained_by_the_machine() {
        let error = Error::refused_entry("Files/a", "no");
        assert_eq!(checks(&error), Vec::<&str>::new());
        assert_eq!(
            checks(&failed(io::ErrorKind::UnexpectedEof)),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn codes_of_the_platform_lead_to_what_they_are_known_for() {
        let code = |win32| Cause {
            win32: Some(win32),
            ..Cause::default()
        };
        assert!(code(1).checks().contains(&"drivers"));
        assert!(code(3).checks().contains(&"container-platform"));
        assert!(code(1314).checks().contains(&"privileges"));
        assert!(code(0x8037_0114).checks().contains(&"container-platform"));
        assert!(code(0xffff).checks().is_empty());
    }

    #[test]
    fn an_error_of_the_platform_brings_its_code() {
        use winlayer_sys::PlatformError;
        let code = PlatformCode::HResult(0x8007_0070);
        let full = PlatformError::new("ImportLayer", "x", code);
        assert!(checks(&full.into()).contains(&"free-space"));
    }

    #[test]
    fn the_system_s_number_of_too_many_open_files_leads_to_their_limit() {
        let cause = Cause::of(&io::Error::from_raw_os_error(24));
        if cfg!(unix) {
            assert_eq!(cause.checks(), ["open-files"]);
        }
    }
}
