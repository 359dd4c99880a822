//! Files of a layer folder: an attribute word and a backup stream, as ImportLayer reads them.
//!
//! ```text
//! offset 0   u32 little-endian   FILE_ATTRIBUTE_* as in the tar
//! offset 4   backup stream       SECURITY, EA, REPARSE, DATA, ALTERNATE… (MS-BKUP 2.2)
//! ```
//!
//! The same form holds files, links and (in the sidecar `NAME.$wcidirs$` beside a directory)
//! directories. Hives are plain files. Source: hcsshim `legacy.go`, `legacyLayerWriter`.

use std::{
    fs::File,
    io::{self, BufRead as _, Write},
};

use winlayer_metadata::{
    FileAttributes, FileTimes, ReparsePoint, backup_stream::BackupStreamWriter,
};
use winlayer_sys::Dir;
#[cfg(not(windows))]
use winlayer_sys::UnixTime;
use winlayer_tar::{Body, Metadata};

use crate::{Error, Result, error::escape};

/// What a directory's own file is called, beside the directory.
const SIDECAR_SUFFIX: &str = ".$wcidirs$";

/// Small files reach the disk in one write.
const BUFFER: usize = 1 << 16;

/// The path of the file that holds a directory's metadata.
pub(crate) fn sidecar(directory: &str) -> String {
    format!("{directory}{SIDECAR_SUFFIX}")
}

/// Whether a path is that of such a file.
#[cfg(any(windows, test))]
pub(crate) fn is_sidecar(path: &str) -> bool {
    path.ends_with(SIDECAR_SUFFIX)
}

/// Size and checksum of a finished file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) size: u64,
    pub(crate) crc32: u32,
}

/// A file being written, counted and summed.
#[derive(Debug)]
pub(crate) struct PlainFile {
    file: File,
    buffer: Vec<u8>,
    sum: crc32fast::Hasher,
    size: u64,
}

impl PlainFile {
    /// Makes `path`, which must not exist; `buffer` is the one a finished file gave back.
    pub(crate) fn create(dir: &Dir, path: &str, mut buffer: Vec<u8>) -> Result<Self> {
        buffer.clear();
        buffer.reserve(BUFFER);
        let file = dir.create_file(path)?;
        Ok(Self {
            file,
            buffer,
            sum: crc32fast::Hasher::new(),
            size: 0,
        })
    }

    /// Writes what is buffered and sets the times; gives the buffer back.
    pub(crate) fn finish(mut self, times: &FileTimes) -> io::Result<(Written, Vec<u8>)> {
        self.flush()?;
        set_times(&self.file, times)?;
        Ok((
            Written {
                size: self.size,
                crc32: self.sum.finalize(),
            },
            self.buffer,
        ))
    }
}

/// The platform takes the four times of an object from the file that holds it.
#[cfg(windows)]
fn set_times(file: &File, times: &FileTimes) -> io::Result<()> {
    // 0 and -1 would mean something else, and NTFS knows nothing earlier.
    let first = winlayer_metadata::FileTime::from_ticks(1);
    let info = winlayer_sys::BasicInfo {
        created: times.created.max(first),
        accessed: times.accessed.max(first),
        written: times.written.max(first),
        changed: times.changed.max(first),
        attributes: FileAttributes::empty(),
    };
    winlayer_sys::set_file_basic_info(file, &info)
}

#[cfg(not(windows))]
fn set_times(file: &File, times: &FileTimes) -> io::Result<()> {
    winlayer_sys::set_file_times(file, unix(times.accessed), unix(times.written))
}

#[cfg(not(windows))]
fn unix(time: winlayer_metadata::FileTime) -> UnixTime {
    let (seconds, nanos) = time.to_unix();
    UnixTime { seconds, nanos }
}

impl Write for PlainFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len().saturating_add(bytes.len()) > BUFFER {
            self.flush()?;
        }
        let written = if bytes.len() < BUFFER {
            self.buffer.extend_from_slice(bytes);
            bytes.len()
        } else {
            self.file.write(bytes)?
        };
        self.sum.update(bytes.get(..written).unwrap_or_default());
        self.size = self.size.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// An object being written as attribute word and backup stream.
#[derive(Debug)]
pub(crate) struct Framed<W: Write>(BackupStreamWriter<W>);

pub(super) type FramedFile = Framed<PlainFile>;

impl<W: Write> Framed<W> {
    /// Begins the object with everything but its data.
    pub(crate) fn begin(
        mut file: W,
        metadata: &Metadata,
        reparse: Option<&ReparsePoint>,
    ) -> io::Result<Self> {
        file.write_all(&metadata.attributes.bits().to_le_bytes())?;
        let mut stream = BackupStreamWriter::new(file);
        if let Some(security) = &metadata.security {
            stream.security(security)?;
        }
        if !metadata.extended_attributes.is_empty() {
            stream.extended_attributes(&metadata.extended_attributes)?;
        }
        if let Some(reparse) = reparse {
            stream.reparse(reparse)?;
        }
        Ok(Self(stream))
    }

    pub(crate) fn begin_data(&mut self, size: u64) -> io::Result<()> {
        self.0.begin_data(size)
    }

    pub(crate) fn begin_alternate(&mut self, name: &str, size: u64) -> io::Result<()> {
        self.0.begin_alternate(name, size)
    }

    /// What the object was written to.
    pub(crate) fn end(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl FramedFile {
    pub(super) fn finish(self, times: &FileTimes) -> io::Result<(Written, Vec<u8>)> {
        self.end()?.finish(times)
    }
}

impl<W: Write> Write for Framed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A directory that has no entry: plain directory, nothing else known.
pub(crate) fn plain_directory() -> Metadata {
    let epoch = winlayer_metadata::FileTime::UNIX_EPOCH;
    let times = FileTimes {
        created: epoch,
        accessed: epoch,
        written: epoch,
        changed: epoch,
    };
    Metadata {
        attributes: FileAttributes::DIRECTORY,
        times,
        ..Metadata::default()
    }
}

/// Writes the sidecar of a directory.
pub(crate) fn write_sidecar(dir: &Dir, directory: &str, metadata: &Metadata) -> Result<Written> {
    let path = sidecar(directory);
    let file = PlainFile::create(dir, &path, Vec::new())?;
    let framed = Framed::begin(file, metadata, None);
    let written = framed.and_then(|file| file.finish(&metadata.times));
    let (written, _) = written.map_err(|error| write_failed(&path, error))?;
    Ok(written)
}

/// Which side of a copy failed.
#[derive(Debug)]
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Copies a whole body to `out` and, when there is one, to `second`.
pub(super) fn copy_body(
    body: &mut Body<'_>,
    out: &mut dyn Write,
    mut second: Option<&mut PlainFile>,
) -> std::result::Result<(), CopyError> {
    loop {
        let bytes = match body.fill_buf() {
            Ok([]) => return Ok(()),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        out.write_all(bytes).map_err(CopyError::Write)?;
        if let Some(second) = &mut second {
            second.write_all(bytes).map_err(CopyError::Write)?;
        }
        let length = bytes.len();
        body.consume(length);
    }
}

/// Gives `to` the same contents and times as `from`: a hard link where the file system allows one
/// more, a copy otherwise.
pub(crate) fn share_file(from_dir: &Dir, from: &str, to_dir: &Dir, to: &str) -> Result<()> {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    match from_dir.hard_link(from, to_dir, to) {
        Err(error)
            if matches!(
                error.io_kind(),
                TooManyLinks | CrossesDevices | Unsupported | PermissionDenied
            ) =>
        {
            copy_file(from_dir, from, to_dir, to)
        }
        linked => Ok(linked?),
    }
}

/// Copies contents and times.
pub(super) fn copy_file(from_dir: &Dir, from: &str, to_dir: &Dir, to: &str) -> Result<()> {
    let mut source = from_dir.open_file(from)?;
    let mut copy = to_dir.create_file(to)?;
    let mut copied = || {
        io::copy(&mut source, &mut copy)?;
        let found = source.metadata()?;
        let times = std::fs::FileTimes::new().set_modified(found.modified()?);
        copy.set_times(times.set_accessed(found.accessed()?))
    };
    copied().map_err(|error| write_failed(to, error))
}

pub(crate) fn write_failed(path: &str, error: io::Error) -> Error {
    Error::io(format!("write {}", escape(path)), error)
}

#[cfg(test)]
mod tests {
    use winlayer_sys::{UnixTime, set_file_times};

    use super::*;

    /// Where there is only one file system this is a link, which is as good.
    #[test]
    fn a_file_that_cannot_be_linked_is_copied_with_its_times() {
        let one = tempfile::tempdir().unwrap();
        let memory = std::path::Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory } else { one.path() };
        let other = tempfile::tempdir_in(parent).unwrap();
        let [from, to] = [&one, &other].map(|dir| Dir::open_ambient(dir.path()).unwrap());
        let mut file = from.create_file("a").unwrap();
        file.write_all(b"content").unwrap();
        let time = UnixTime {
            seconds: 1_000_000_000,
            nanos: 0,
        };
        set_file_times(&file, time, time).unwrap();
        share_file(&from, "a", &to, "b").unwrap();
        assert_eq!(to.read("b").unwrap(), b"content");
        let [a, b] = [from.stat("a"), to.stat("b")].map(|stat| stat.unwrap().unwrap());
        assert_eq!(a.modified, b.modified);
    }

    #[test]
    fn a_framed_file_begins_with_its_attributes_and_has_data_even_when_empty() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient(folder.path()).unwrap();
        let metadata = Metadata {
            attributes: FileAttributes::ARCHIVE,
            ..Metadata::default()
        };
        let file = PlainFile::create(&dir, "a", Vec::new()).unwrap();
        let mut file = FramedFile::begin(file, &metadata, None).unwrap();
        file.begin_data(0).unwrap();
        let (written, _) = file.finish(&FileTimes::default()).unwrap();
        let bytes = dir.read("a").unwrap();
        assert_eq!(bytes[..8], [0x20, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(bytes.len(), 24);
        assert_eq!(
            written,
            Written {
                size: 24,
                crc32: crc32fast::hash(&bytes)
            }
        );
    }

    #[test]
    fn large_and_small_writes_keep_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient(folder.path()).unwrap();
        let mut file = PlainFile::create(&dir, "a", Vec::new()).unwrap();
        let mut expected = Vec::new();
        for (byte, length) in [
            (1, 10),
            (2, BUFFER),
            (3, 7),
            (4, BUFFER - 1),
            (5, 3 * BUFFER),
        ] {
            let bytes = vec![byte; length];
            file.write_all(&bytes).unwrap();
            expected.extend(bytes);
        }
        let (written, _) = file.finish(&FileTimes::default()).unwrap();
        assert_eq!(dir.read("a").unwrap(), expected);
        assert_eq!(written.crc32, crc32fast::hash(&expected));
    }

    #[test]
    fn a_copy_has_the_contents_and_the_times() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient(folder.path()).unwrap();
        let mut file = PlainFile::create(&dir, "a", Vec::new()).unwrap();
        file.write_all(b"contents").unwrap();
        let written = winlayer_metadata::FileTime::from_unix(1_000_000_000, 700).unwrap();
        let times = FileTimes {
            written,
            ..FileTimes::default()
        };
        file.finish(&times).unwrap();
        copy_file(&dir, "a", &dir, "copy").unwrap();
        share_file(&dir, "a", &dir, "link").unwrap();
        for name in ["copy", "link"] {
            assert_eq!(dir.read(name).unwrap(), b"contents");
            let found = dir.stat(name).unwrap().unwrap();
            assert_eq!(found.modified, dir.stat("a").unwrap().unwrap().modified);
        }
        assert_eq!(dir.stat("copy").unwrap().unwrap().links, 1);
        assert_eq!(dir.stat("link").unwrap().unwrap().links, 2);
    }
}
