//! Where each file of an image archive lies: one pass over the headers of an uncompressed tar,
//! after which files are read by offset.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use tar::EntryType;

use crate::{
    error::{ImageError, ImageErrorKind},
    text::printable,
};

/// Most entries of an archive; an image has a few per layer.
const MAX_ENTRIES: usize = 100_000;

/// Most links followed from a name to a file.
const MAX_LINKS: usize = 8;

/// The content of one archive member.
pub(super) type Member = io::Take<File>;

enum Place {
    File {
        offset: u64,
        size: u64,
    },
    /// Path of the target within the archive.
    Link(String),
}

/// The files of an archive by their normalised path.
pub(super) struct TarIndex {
    path: PathBuf,
    places: HashMap<String, Place>,
}

impl TarIndex {
    pub(super) fn scan(path: &Path) -> Result<Self, ImageError> {
        let shown = printable(&path.display().to_string());
        let mut file = File::open(path)
            .map_err(|error| ImageError::io(format!("cannot open the archive {shown}"), error))?;
        refuse_compressed(&mut file, &shown)?;
        let mut index = Self {
            path: path.to_owned(),
            places: HashMap::new(),
        };
        let mut archive = tar::Archive::new(file);
        let broken = |error: io::Error| {
            ImageError::new(
                ImageErrorKind::Malformed,
                format!("{shown} is not a complete tar archive"),
            )
            .caused_by(error)
        };
        for (count, entry) in archive.entries_with_seek().map_err(broken)?.enumerate() {
            if count >= MAX_ENTRIES {
                return Err(ImageError::new(
                    ImageErrorKind::Limit,
                    format!(
                        "{shown} has more than {MAX_ENTRIES} entries; an image archive has a few per layer"
                    ),
                ));
            }
            index.add(&entry.map_err(broken)?, &shown)?;
        }
        Ok(index)
    }

    fn add(&mut self, entry: &tar::Entry<'_, File>, shown: &str) -> Result<(), ImageError> {
        let malformed = |message: String| {
            ImageError::new(ImageErrorKind::Malformed, format!("{shown}: {message}"))
        };
        let name = entry.path_bytes();
        let Some(name) = std::str::from_utf8(&name)
            .ok()
            .and_then(|name| resolve_path("", name))
        else {
            return Err(malformed(format!(
                "the entry name {:?} leads out of the archive",
                printable(&String::from_utf8_lossy(&name))
            )));
        };
        let kind = entry.header().entry_type();
        let place = match kind {
            EntryType::Regular | EntryType::Continuous => Place::File {
                offset: entry.raw_file_position(),
                size: entry.size(),
            },
            EntryType::Symlink | EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let parent = match kind {
                    EntryType::Symlink => name.rsplit_once('/').map_or("", |(parent, _)| parent),
                    _ => "",
                };
                let target = std::str::from_utf8(&target)
                    .ok()
                    .and_then(|target| resolve_path(parent, target));
                Place::Link(target.ok_or_else(|| {
                    malformed(format!(
                        "the link {:?} leads out of the archive",
                        printable(&name)
                    ))
                })?)
            }
            EntryType::Directory => return Ok(()),
            _ => {
                return Err(malformed(format!(
                    "{:?} is neither a file, a link nor a directory",
                    printable(&name)
                )));
            }
        };
        if self.places.contains_key(&name) {
            return Err(malformed(format!(
                "{:?} is in the archive twice",
                printable(&name)
            )));
        }
        self.places.insert(name, place);
        Ok(())
    }

    /// Opens the file `path` names, through links.
    pub(super) fn open_member(&self, path: &str) -> io::Result<Option<(Member, u64)>> {
        let Some((offset, size)) = self.find(path) else {
            return Ok(None);
        };
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Some((file.take(size), size)))
    }

    fn find(&self, path: &str) -> Option<(u64, u64)> {
        let mut path = resolve_path("", path)?;
        for _ in 0..MAX_LINKS {
            match self.places.get(&path)? {
                Place::File { offset, size } => return Some((*offset, *size)),
                Place::Link(target) => path.clone_from(target),
            }
        }
        None
    }

    pub(super) fn shown_name(&self) -> String {
        printable(&self.path.display().to_string())
    }
}

/// `path` seen from the directory `base`, without `.` and `..`; None when it leads out.
fn resolve_path(base: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn refuse_compressed(file: &mut File, shown: &str) -> Result<(), ImageError> {
    let mut magic = Vec::new();
    file.take(6)
        .read_to_end(&mut magic)
        .and_then(|_| file.rewind())
        .map_err(|error| ImageError::io(format!("cannot read {shown}"), error))?;
    let (format, tool) = match magic.as_slice() {
        [0x1f, 0x8b, ..] => ("gzip", "gunzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ("zstd", "unzstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => ("xz", "unxz"),
        [b'B', b'Z', b'h', ..] => ("bzip2", "bunzip2"),
        _ => return Ok(()),
    };
    Err(ImageError::new(
        ImageErrorKind::Unsupported,
        format!(
            "{shown} is compressed with {format}; archives are read in place, so unpack it first with {tool}"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_archive() {
        assert_eq!(
            resolve_path("a/b", "../c/./layer.tar").as_deref(),
            Some("a/c/layer.tar")
        );
        assert_eq!(
            resolve_path("", "./index.json").as_deref(),
            Some("index.json")
        );
        assert_eq!(resolve_path("a", "../../etc/passwd"), None);
        assert_eq!(resolve_path("a", "/etc/passwd"), None);
    }
}
