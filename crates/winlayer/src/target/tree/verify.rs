//! Compares a tree with the metadata file that was written with it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    time::Instant,
};

use winlayer_sys::{Dir, FileKind, Stat};

use super::record::{Record, StandsAs};
use crate::{Error, Result, Verified, error::escape};

/// Checks a tree made by `--to tree` against its metadata file.
///
/// Every object must be there with its kind, size, CRC-32 and link target, hard links must share
/// their file, and nothing else may be there. Times are not compared, as file systems differ in how
/// finely they keep them.
///
/// # Errors
///
/// [`ErrorKind::Verification`](crate::ErrorKind::Verification) for the first difference found.
pub fn verify_tree(tree: &Path, metadata: &Path) -> Result<Verified> {
    let started = Instant::now();
    let open_failed = |source| Error::io(format!("open \"{}\"", metadata.display()), source);
    let lines = BufReader::with_capacity(1 << 18, File::open(metadata).map_err(open_failed)?);
    let mut check = TreeCheck {
        tree: Dir::open_ambient(tree)?,
        names: BTreeMap::new(),
        verified: Verified {
            layers: 0,
            entries: 0,
            bytes: 0,
            seconds: 0.0,
        },
        buffer: vec![0; 1 << 16],
    };
    for line in lines.lines() {
        let line = line.map_err(|source| Error::io("read the metadata file", source))?;
        let record: Record = serde_json::from_str(&line).map_err(|error| {
            let what = format!("a line is not a record of a tree: {error}");
            Error::changed_tree(metadata.display(), what)
        })?;
        check.object(&record)?;
    }
    check.nothing_else()?;
    check.verified.seconds = started.elapsed().as_secs_f64();
    Ok(check.verified)
}

struct TreeCheck {
    tree: Dir,
    /// The number of names each directory should have.
    names: BTreeMap<String, usize>,
    verified: Verified,
    buffer: Vec<u8>,
}

impl TreeCheck {
    fn object(&mut self, record: &Record) -> Result<()> {
        let path = match record.path.as_str() {
            "." => "",
            path => path,
        };
        if !path.is_empty() {
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            match self.names.get_mut(parent) {
                Some(count) => *count += 1,
                None => return Err(differs(path, "its directory is not listed before it")),
            }
        }
        let stat = self
            .tree
            .stat(path)?
            .ok_or_else(|| differs(path, "is missing"))?;
        self.expect_kind(record, path, &stat)?;
        if stat.kind == FileKind::Directory {
            self.names.insert(path.to_owned(), 0);
        }
        if let Some(to) = &record.hard_link_to {
            self.expect_same_file(path, to, &stat)?;
        }
        if let Some(StandsAs::Symlink(text)) = record.reparse.as_ref().map(|link| &link.stands_as)
            && self.tree.read_link(path)?.to_str() != Some(text)
        {
            return Err(differs(path, "its link leads elsewhere"));
        }
        if let (Some(size), Some(crc32)) = (record.size, record.crc32) {
            self.expect_content(path, size, crc32)?;
        }
        self.verified.entries += 1;
        self.verified.layers = self.verified.layers.max(record.layer as u64);
        Ok(())
    }

    fn expect_kind(&self, record: &Record, path: &str, stat: &Stat) -> Result<()> {
        let expected = match (&record.reparse, record.kind.as_str()) {
            (Some(link), _) => match link.stands_as {
                StandsAs::Symlink(_) => FileKind::Symlink,
                StandsAs::EmptyFile => FileKind::File,
                StandsAs::EmptyDirectory => FileKind::Directory,
            },
            (None, "directory") => FileKind::Directory,
            (None, "file") => FileKind::File,
            // A further name of a link; what it stands as depends on where it lies.
            (None, _) => stat.kind,
        };
        match stat.kind == expected {
            true => Ok(()),
            false => Err(differs(
                path,
                format!("expected {expected:?}, found {:?}", stat.kind),
            )),
        }
    }

    /// File systems that refused a further link got a copy instead.
    fn expect_same_file(&mut self, path: &str, to: &str, stat: &Stat) -> Result<()> {
        let other = self
            .tree
            .stat(to)?
            .ok_or_else(|| differs(to, "is missing"))?;
        if stat.kind != FileKind::File || stat.inode == other.inode {
            return Ok(());
        }
        let (a, b) = (self.sum(path)?, self.sum(to)?);
        match a == b {
            true => Ok(()),
            false => Err(differs(
                path,
                format!("is no longer the same file as \"{}\"", escape(to)),
            )),
        }
    }

    fn expect_content(&mut self, path: &str, size: u64, crc32: u32) -> Result<()> {
        let (found_size, found_crc32) = self.sum(path)?;
        if found_size != size {
            return Err(differs(
                path,
                format!("expected {size} bytes, found {found_size}"),
            ));
        }
        if found_crc32 != crc32 {
            return Err(differs(path, "its content differs"));
        }
        self.verified.bytes = self.verified.bytes.saturating_add(size);
        Ok(())
    }

    fn sum(&mut self, path: &str) -> Result<(u64, u32)> {
        let mut file = self.tree.open_file(path)?;
        let mut crc32 = crc32fast::Hasher::new();
        let mut size = 0_u64;
        loop {
            let read = file
                .read(&mut self.buffer)
                .map_err(|source| Error::io(format!("read \"{}\"", escape(path)), source))?;
            let Some(bytes) = self.buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok((size, crc32.finalize()));
            };
            crc32.update(bytes);
            size = size.saturating_add(bytes.len() as u64);
        }
    }

    /// Every listed name was found, so a directory with more names than listed has strangers.
    fn nothing_else(&self) -> Result<()> {
        for (directory, &expected) in &self.names {
            let found = self.tree.read_dir(directory)?.len();
            if found != expected {
                let what = format!("expected {expected} names in it, found {found}");
                return Err(differs(directory, what));
            }
        }
        Ok(())
    }
}

fn differs(path: &str, what: impl Into<String>) -> Error {
    Error::changed_tree(format!("\"{}\"", escape(path)), what)
}
