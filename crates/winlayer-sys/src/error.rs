//! [`SysError`]: what was tried, where, and what helps.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// A call to the system failed, or was not made because it would have left the directory.
///
/// The text names the operation, the path and the root, and where there is one a remedy; the
/// system's own words are the [`source`](std::error::Error::source). Control characters of names
/// are escaped.
#[derive(Debug)]
pub struct SysError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    operation: &'static str,
    root: PathBuf,
    path: String,
    violation: bool,
    source: io::Error,
}

// Only a `Dir` makes errors.
#[cfg_attr(not(any(unix, windows, test)), allow(dead_code))]
impl SysError {
    /// `operation` reads as a verb with its object: "create file".
    pub(crate) fn new(
        operation: &'static str,
        root: &Path,
        path: &str,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::with_violation(operation, root, path, false, source.into())
    }

    /// A call refused because carrying it out could leave the directory.
    pub(crate) fn violation(
        operation: &'static str,
        root: &Path,
        path: &str,
        source: io::Error,
    ) -> Self {
        Self::with_violation(operation, root, path, true, source)
    }

    fn with_violation(
        operation: &'static str,
        root: &Path,
        path: &str,
        violation: bool,
        source: io::Error,
    ) -> Self {
        let (root, path) = (root.to_owned(), path.to_owned());
        Self(Box::new(Inner {
            operation,
            root,
            path,
            violation,
            source,
        }))
    }

    /// The kind of the underlying error.
    pub fn io_kind(&self) -> io::ErrorKind {
        self.0.source.kind()
    }

    /// Whether carrying on could have left the directory: a link stands where a directory or a
    /// regular file is needed, or the path itself points outside.
    pub fn is_unsafe(&self) -> bool {
        self.0.violation
    }

    /// Whether this file system, or what the process may do, allows no such objects at all; nothing
    /// was made.
    pub fn is_unsupported(&self) -> bool {
        #[cfg(windows)]
        if let Some(code) = self.0.source.raw_os_error() {
            // ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED, ERROR_PRIVILEGE_NOT_HELD
            return matches!(code, 1 | 50 | 1314);
        }
        self.io_kind() == io::ErrorKind::Unsupported
    }

    /// The path the operation was for, relative to the handle it was called on.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What the user can do about it, if that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        use io::ErrorKind::*;
        if self.is_unsafe() {
            return Some("a link must not stand there; nothing was followed");
        }
        #[cfg(windows)]
        if let Some(remedy) = self.0.source.raw_os_error().and_then(windows_remedy) {
            return Some(remedy);
        }
        match self.io_kind() {
            StorageFull => Some("free some space on that file system and run again"),
            QuotaExceeded => Some("the quota is used up: free some of it and run again"),
            FileTooLarge => Some("the file system or a process limit forbids files of that size"),
            PermissionDenied => Some("check who owns the folder and that it may be written to"),
            ReadOnlyFilesystem => Some("choose a folder on a file system that may be written to"),
            InvalidFilename => Some(
                "this file system cannot hold the name (most stop at 255 bytes); \
                 unpack to an NTFS volume or a disk image instead",
            ),
            CrossesDevices => Some("both folders must be on the same file system"),
            TooManyLinks => Some("the file has all the names this file system allows"),
            // std has no kind for these two.
            _ => match self.0.source.raw_os_error() {
                #[cfg(unix)]
                Some(code) if code == rustix::io::Errno::MFILE.raw_os_error() => {
                    Some("raise the limit of open files (ulimit -n) and run again")
                }
                #[cfg(unix)]
                Some(code) if code == rustix::io::Errno::NFILE.raw_os_error() => {
                    Some("the system has all the files open it allows; close some and run again")
                }
                _ => None,
            },
        }
    }
}

/// What helps with a Win32 error code that says more than its kind.
#[cfg_attr(not(windows), allow(dead_code))]
fn windows_remedy(code: i32) -> Option<&'static str> {
    Some(match code {
        // ERROR_TOO_MANY_OPEN_FILES, ERROR_NO_SYSTEM_RESOURCES
        4 | 1450 => {
            "the system has all the handles it can spare open; close programs and run again"
        }
        // ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION
        32 | 33 => {
            "another process has the file open; virus scanners do that: \
             exclude the folder from scanning and run again"
        }
        // ERROR_NOT_SUPPORTED
        50 => "this file system cannot do that; choose a folder on an NTFS volume",
        // ERROR_USER_MAPPED_FILE
        1224 => "another process has the file mapped; end it and run again",
        // ERROR_PRIVILEGE_NOT_HELD
        1314 => "run as administrator",
        // ERROR_VIRUS_INFECTED, ERROR_VIRUS_DELETED
        225 | 226 => "the virus scanner took the file away: exclude the folder from scanning",
        // ERROR_CLOUD_FILE_*
        358..=404 => "the folder is synchronised with a cloud service; choose another",
        // ERROR_FILE_CORRUPT, ERROR_DISK_CORRUPT
        1392 | 1393 => "the file system is damaged; check it with chkdsk",
        _ => return None,
    })
}

impl fmt::Display for SysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            operation,
            root,
            path,
            ..
        } = &*self.0;
        // Debug formatting quotes and escapes, for names come from strangers.
        if path.is_empty() {
            write!(f, "cannot {operation} {root:?}")?;
        } else {
            write!(f, "cannot {operation} {path:?} below {root:?}")?;
        }
        match self.remedy() {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SysError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.source)
    }
}

impl From<SysError> for io::Error {
    /// Keeps the kind; the error itself is the inner error.
    fn from(error: SysError) -> Self {
        Self::new(error.io_kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn says_what_where_and_what_helps() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = SysError::new("create file", Path::new("/dest"), "Files/a", full);
        assert_eq!(
            error.to_string(),
            "cannot create file \"Files/a\" below \"/dest\" \
             (free some space on that file system and run again)"
        );
        assert_eq!(error.io_kind(), io::ErrorKind::StorageFull);
        assert!(error.source().is_some());
        assert!(!error.is_unsafe());
    }

    #[test]
    fn control_characters_of_names_are_escaped() {
        let cause = io::Error::from(io::ErrorKind::NotFound);
        let error = SysError::new("open file", Path::new("/d"), "a\x1b[31mb\n", cause);
        assert!(
            !error.to_string().chars().any(char::is_control),
            "{error:?}"
        );
    }
}
