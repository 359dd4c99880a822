//! Where the doubles keep what must outlive a call or a process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::guid::fnv128;
use crate::sys::{plain, verbatim};

/// The file of the log, when one was asked for.
#[must_use]
pub fn log_file() -> Option<PathBuf> {
    std::env::var("WINLAYER_DOUBLES_LOG")
        .ok()
        .map(|path| verbatim(&path))
}

/// The folder of the state. Not created.
#[must_use]
pub fn state_folder() -> PathBuf {
    match (
        std::env::var("WINLAYER_DOUBLES_STATE"),
        std::env::var("WINLAYER_DOUBLES_LOG"),
    ) {
        (Ok(folder), _) => verbatim(&folder),
        (_, Ok(log)) => verbatim(&format!("{log}.state")),
        _ => std::env::temp_dir().join("winlayer-doubles.state"),
    }
}

/// `state/area/<hash of path>.json`.
#[must_use]
pub fn file_for(area: &str, path: &Path) -> PathBuf {
    let path = plain(&path.to_string_lossy())
        .trim_end_matches('\\')
        .to_lowercase();
    state_folder()
        .join(area)
        .join(format!("{:032x}.json", fnv128(path.bytes())))
}

/// The document at `file`; null when there is none.
#[must_use]
pub fn load(file: &Path) -> Value {
    fs::read(file)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// Writes `document` to `file`, making its folder.
///
/// # Errors
///
/// Of the file system.
pub fn save(file: &Path, document: &Value) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, document.to_string())
}
