//! `layer-index.jsonl`: one line per object of a layer folder.
//!
//! A host file system cannot hold everything (creation and change times, times before 1970, letter
//! case where it ignores case); the index does, and gives `verify` something to compare with.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use winlayer_metadata::{FileAttributes, FileTimes};
use winlayer_sys::Dir;
use winlayer_tar::Metadata;

use super::below::PublishedLayer;
use crate::{
    Error, Result,
    layer_names::{LayerNames, NameKind, Named},
    store::LAYER_INDEX_FILE,
};

/// The longest line: a path of 32,767 units, escaped, and its target.
const LONGEST_LINE: u64 = 1 << 20;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LineKind {
    Directory,
    File,
    /// Symbolic link that is not a directory.
    FileLink,
    /// Symbolic link or junction that is a directory.
    DirectoryLink,
    HardLink,
    /// A file of the layer folder that is not an object of the layer: `bcd.bak`, `tombstones.txt`.
    SideFile,
}

/// One object and the file that holds it: for directories that is the `.$wcidirs$` file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexLine<'a> {
    /// Below the layer folder, `/` between names, as spelled on disk.
    #[serde(borrow)]
    pub(crate) path: Cow<'a, str>,
    pub(crate) kind: LineKind,
    /// Size of the file.
    pub(crate) size: u64,
    /// CRC-32 (ISO-HDLC) of the file.
    pub(crate) crc32: u32,
    /// None for hard links, whose attributes and times are their target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attributes: Option<u32>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<LineTimes<'a>>,
    /// What a hive, which lies in the folder without a frame, would have in it: its self-relative
    /// SECURITY_DESCRIPTOR (MS-DTYP 2.4.6), base64.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) security: Option<Cow<'a, str>>,
    /// The same for its FILE_FULL_EA_INFORMATION list (MS-FSCC 2.4.16), base64.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) extended_attributes: Option<Cow<'a, str>>,
    /// Target of a hard link, as spelled in the layer that has it.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Cow<'a, str>>,
    /// ChainID of the layer whose file this is, when it is not this layer's own.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Cow<'a, str>>,
    /// The object is not in the tar: an unchanged part of the utility VM.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) cloned: bool,
    /// A directory without an entry in the tar.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) implicit: bool,
}

/// What a hive cannot keep beside its bytes, for its line.
#[derive(Debug, Default)]
pub(crate) struct Unframed {
    security: Option<String>,
    extended_attributes: Option<String>,
}

impl Unframed {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let mut list = Vec::new();
        metadata.extended_attributes.encode_into(&mut list);
        let security = metadata.security.as_ref();
        Self {
            security: security.map(|security| STANDARD.encode(security.as_bytes())),
            extended_attributes: (!list.is_empty()).then(|| STANDARD.encode(list)),
        }
    }
}

/// The four NTFS times, RFC 3339 with seven digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineTimes<'a> {
    #[serde(borrow)]
    created: Cow<'a, str>,
    #[serde(borrow)]
    accessed: Cow<'a, str>,
    #[serde(borrow)]
    written: Cow<'a, str>,
    #[serde(borrow)]
    changed: Cow<'a, str>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl From<FileTimes> for LineTimes<'static> {
    fn from(times: FileTimes) -> Self {
        Self {
            created: times.created.to_string().into(),
            accessed: times.accessed.to_string().into(),
            written: times.written.to_string().into(),
            changed: times.changed.to_string().into(),
        }
    }
}

impl<'a> IndexLine<'a> {
    /// A line without metadata.
    pub(crate) fn new(
        path: impl Into<Cow<'a, str>>,
        kind: LineKind,
        size: u64,
        crc32: u32,
    ) -> Self {
        Self {
            path: path.into(),
            kind,
            size,
            crc32,
            attributes: None,
            times: None,
            security: None,
            extended_attributes: None,
            target: None,
            from: None,
            cloned: false,
            implicit: false,
        }
    }

    pub(crate) fn with_metadata(mut self, attributes: FileAttributes, times: FileTimes) -> Self {
        self.attributes = Some(attributes.bits());
        self.times = Some(times.into());
        self
    }

    pub(crate) fn with_unframed(mut self, unframed: Unframed) -> Self {
        self.security = unframed.security.map(Cow::Owned);
        self.extended_attributes = unframed.extended_attributes.map(Cow::Owned);
        self
    }

    /// Attributes and times; none for what has none of its own.
    #[cfg(any(windows, test))]
    pub(crate) fn metadata(&self) -> Option<(FileAttributes, FileTimes)> {
        let attributes = FileAttributes::from_bits_retain(self.attributes?);
        let times = self.times.as_ref()?;
        let times = FileTimes {
            created: times.created.parse().ok()?,
            accessed: times.accessed.parse().ok()?,
            written: times.written.parse().ok()?,
            changed: times.changed.parse().ok()?,
        };
        Some((attributes, times))
    }

    fn named(&self) -> Option<Named> {
        let kind = match self.kind {
            LineKind::Directory if self.implicit => NameKind::ImplicitDirectory,
            LineKind::Directory => NameKind::Directory,
            LineKind::File => NameKind::File,
            LineKind::FileLink => NameKind::FileLink,
            LineKind::DirectoryLink => NameKind::DirectoryLink,
            LineKind::HardLink => NameKind::HardLink,
            LineKind::SideFile => return None,
        };
        Some(Named {
            kind,
            cloned: self.cloned,
            crc32: self.crc32,
            size: self.size,
        })
    }
}

impl LineKind {
    pub(crate) fn of(kind: NameKind) -> Self {
        match kind {
            NameKind::Directory | NameKind::ImplicitDirectory => Self::Directory,
            NameKind::File => Self::File,
            NameKind::FileLink => Self::FileLink,
            NameKind::DirectoryLink => Self::DirectoryLink,
            NameKind::HardLink => Self::HardLink,
        }
    }
}

/// Writes the index of a layer that is being built.
#[derive(Debug)]
pub(crate) struct IndexWriter {
    file: BufWriter<File>,
}

impl IndexWriter {
    pub(crate) fn create(dir: &Dir) -> Result<Self> {
        Ok(Self {
            file: BufWriter::with_capacity(1 << 16, dir.create_file(LAYER_INDEX_FILE)?),
        })
    }

    pub(crate) fn write(&mut self, line: &IndexLine<'_>) -> Result<()> {
        let written = serde_json::to_writer(&mut self.file, line).map_err(io::Error::from);
        written
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(failed)
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.file.flush().map_err(failed)
    }
}

fn failed(error: io::Error) -> Error {
    Error::io(format!("write {LAYER_INDEX_FILE}"), error)
}

/// Calls `each` with every line of a published layer's index.
pub(crate) fn read_index(
    dir: &Dir,
    mut each: impl FnMut(IndexLine<'_>) -> Result<()>,
) -> Result<()> {
    let file = || dir.path().join(LAYER_INDEX_FILE).display().to_string();
    let mut reader = BufReader::with_capacity(1 << 16, dir.open_file(LAYER_INDEX_FILE)?);
    let mut text = Vec::new();
    for number in 1_u64.. {
        text.clear();
        let limited = &mut io::Read::take(&mut reader, LONGEST_LINE);
        let length = limited
            .read_until(b'\n', &mut text)
            .map_err(|error| Error::io(format!("read {}", file()), error))?;
        if length == 0 {
            break;
        }
        let line = serde_json::from_slice(&text)
            .map_err(|error| Error::damaged_by(file(), format!("line {number}"), error))?;
        each(line)?;
    }
    Ok(())
}

/// A directory, or a link that is one, as its line has it.
#[cfg(any(windows, test))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexedDirectory {
    pub(crate) path: String,
    pub(crate) attributes: FileAttributes,
    pub(crate) times: FileTimes,
}

/// All directories of a layer, those in another before that one.
#[cfg(any(windows, test))]
pub(crate) fn directories_children_first(dir: &Dir) -> Result<Vec<IndexedDirectory>> {
    let mut directories = Vec::new();
    read_index(dir, |line| {
        if !matches!(line.kind, LineKind::Directory | LineKind::DirectoryLink) {
            return Ok(());
        }
        let missing = || Error::damaged(LAYER_INDEX_FILE, "a directory without its metadata");
        let (attributes, times) = line.metadata().ok_or_else(missing)?;
        directories.push(IndexedDirectory {
            path: line.path.into_owned(),
            attributes,
            times,
        });
        Ok(())
    })?;
    directories.reverse();
    directories.sort_by_key(|directory| std::cmp::Reverse(directory.path.matches('/').count()));
    Ok(directories)
}

/// Copies the lines of the objects that a new layer takes over from a published one.
///
/// `taken` gives their path for our path; `mark` says why the line is there.
pub(super) fn take_over_lines(
    layer: &PublishedLayer,
    taken: &HashMap<String, String>,
    index: &mut IndexWriter,
    mark: impl Fn(&mut IndexLine<'_>),
) -> Result<()> {
    let id = layer.id().to_string();
    read_index(layer.dir(), |line| {
        let Some(ours) = taken.get(&*line.path) else {
            return Ok(());
        };
        let from = line.from.unwrap_or(Cow::Borrowed(&id));
        let mut line = IndexLine {
            path: Cow::Borrowed(ours),
            from: Some(from),
            ..line
        };
        mark(&mut line);
        index.write(&line)
    })
}

/// The names of a published layer.
pub(crate) fn read_names(dir: &Dir) -> Result<LayerNames> {
    let mut names = LayerNames::new(u64::MAX);
    read_index(dir, |line| {
        if let Some(named) = line.named() {
            names.insert(&line.path, named)?;
        }
        Ok(())
    })?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use winlayer_metadata::FileTime;

    #[test]
    fn a_line_reads_well_and_back() {
        let times = FileTimes {
            created: FileTime::from_ticks(1),
            ..Default::default()
        };
        let line = IndexLine::new("Files/\"a\u{1}é.txt", LineKind::File, 137, 42);
        let line = line.with_metadata(FileAttributes::ARCHIVE, times);
        let json = serde_json::to_string(&line).unwrap();
        assert!(
            json.contains(r#""created":"1601-01-01T00:00:00.0000001Z""#),
            "{json}"
        );
        assert!(!json.contains("cloned"), "{json}");
        assert_eq!(serde_json::from_str::<IndexLine<'_>>(&json).unwrap(), line);
    }

    #[test]
    fn names_come_back_from_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient(folder.path()).unwrap();
        let mut index = IndexWriter::create(&dir).unwrap();
        index
            .write(&IndexLine::new("Files", LineKind::Directory, 4, 1))
            .unwrap();
        index
            .write(&IndexLine::new("bcd.bak", LineKind::SideFile, 4, 1))
            .unwrap();
        index
            .write(&IndexLine::new("Files/A", LineKind::HardLink, 7, 9))
            .unwrap();
        index.finish().unwrap();
        let names = read_names(&dir).unwrap();
        let found = names.get(names.find("files/a").unwrap());
        assert_eq!(
            (found.kind, found.size, found.crc32),
            (NameKind::HardLink, 7, 9)
        );
        assert_eq!(names.find("bcd.bak"), None);
    }

    #[test]
    fn directories_come_children_first_whatever_the_order_of_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient(folder.path()).unwrap();
        let mut index = IndexWriter::create(&dir).unwrap();
        for path in ["Files/a/b", "Files", "Files/c", "Files/a", "Hives"] {
            let line = IndexLine::new(path, LineKind::Directory, 4, 1);
            let line = line.with_metadata(FileAttributes::DIRECTORY, FileTimes::default());
            index.write(&line).unwrap();
        }
        index.finish().unwrap();
        let directories = directories_children_first(&dir).unwrap();
        let paths: Vec<&str> = directories.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["Files/a/b", "Files/a", "Files/c", "Hives", "Files"]);
    }

    #[test]
    fn a_damaged_line_is_named_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(LAYER_INDEX_FILE), "{}\n").unwrap();
        let dir = Dir::open_ambient(folder.path()).unwrap();
        let error = read_names(&dir).unwrap_err();
        assert!(error.to_string().ends_with("line 1"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_line_comes_back_as_it_was(
            path in ".{1,40}",
            target in proptest::option::of(".{1,40}"),
            size: u64,
            crc32: u32,
            implicit: bool,
        ) {
            let line = IndexLine::new(path, LineKind::HardLink, size, crc32);
            let attributes = FileAttributes::from_bits_retain(crc32);
            let mut line = line.with_metadata(attributes, FileTimes::default());
            (line.target, line.implicit) = (target.map(Cow::Owned), implicit);
            let json = serde_json::to_string(&line).unwrap();
            assert!(!json.contains('\n'));
            assert_eq!(serde_json::from_str::<IndexLine<'_>>(&json).unwrap(), line);
        }
    }
}
