//! Flushing everything below a directory.

use super::{Dir, Result};

const OPERATION: &str = "flush";

#[cfg(target_os = "linux")]
pub(super) fn sync_all(dir: &Dir) -> Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::syncfs(&*dir.root))
        .map_err(|errno| dir.failed(OPERATION, "", errno))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn sync_all(dir: &Dir) -> Result<()> {
    sync_each(dir)
}

/// Flushes file by file, where there is no call for a whole file system.
#[cfg(any(test, not(target_os = "linux")))]
pub(super) fn sync_each(dir: &Dir) -> Result<()> {
    use crate::{FileKind, SysError};
    use std::io;

    let mut directories = vec![String::new()];
    while let Some(directory) = directories.pop() {
        for entry in dir.read_dir(&directory)? {
            let Some(name) = entry.name.to_str() else {
                let source = io::Error::new(io::ErrorKind::InvalidData, "a name that is not UTF-8");
                return Err(SysError::new(OPERATION, dir.path(), &directory, source));
            };
            let path = if directory.is_empty() {
                name.to_owned()
            } else {
                format!("{directory}/{name}")
            };
            match entry.kind {
                FileKind::Directory => directories.push(path),
                FileKind::File => dir
                    .open_file(&path)?
                    .sync_all()
                    .map_err(|source| SysError::new(OPERATION, dir.path(), &path, source))?,
                FileKind::Symlink | FileKind::Other => {}
            }
        }
        dir.sync_dir(&directory)?;
    }
    Ok(())
}
