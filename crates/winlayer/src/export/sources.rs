//! Where the backup streams of objects come from.

use std::io::{self, BufReader, Cursor, Read};

use winlayer_metadata::{
    FileAttributes, FileTimes,
    backup_stream::{BackupStreamWriter, StreamHeader, StreamId},
};
use winlayer_sys::{Dir, FileKind};

use crate::{
    Error, Result,
    error::escape,
    target::folder::{is_sidecar, sidecar},
};

/// How much is read at once.
const PIECE: usize = 1 << 18;

/// The objects of a layer, by their paths from its root.
pub(crate) trait ObjectSource {
    /// The layer's root.
    fn dir(&self) -> &Dir;

    /// Attributes and times of an object.
    fn describe(&self, path: &str, kind: FileKind) -> Result<(FileAttributes, FileTimes)>;

    /// The backup stream of an object, from its beginning.
    fn stream(&self, path: &str, kind: FileKind) -> Result<Box<dyn Read + '_>>;

    /// Whether a name stands for no object.
    fn leaves_out(&self, path: &str) -> bool;
}

/// A folder in the transport format.
#[derive(Debug)]
pub(crate) struct TransportSource<'a> {
    dir: &'a Dir,
}

impl<'a> TransportSource<'a> {
    pub(crate) fn new(dir: &'a Dir) -> Self {
        Self { dir }
    }

    /// The file that holds an object, when it has one.
    fn file(&self, path: &str, kind: FileKind) -> Result<Option<String>> {
        if kind != FileKind::Directory {
            return Ok(Some(path.to_owned()));
        }
        // An export has no sidecar for `Files` itself.
        let sidecar = sidecar(path);
        Ok(self.dir.stat(&sidecar)?.map(|_| sidecar))
    }
}

fn is_hive(path: &str) -> bool {
    path.starts_with("Hives/")
}

impl ObjectSource for TransportSource<'_> {
    fn dir(&self) -> &Dir {
        self.dir
    }

    fn describe(&self, path: &str, kind: FileKind) -> Result<(FileAttributes, FileTimes)> {
        let Some(file) = self.file(path, kind)? else {
            return Ok((FileAttributes::DIRECTORY, times(self.dir, path)?.1));
        };
        let (own, times) = times(self.dir, &file)?;
        if is_hive(path) && kind != FileKind::Directory {
            return Ok((own, times));
        }
        let mut word = [0; 4];
        let read = self.dir.open_file(&file)?.read_exact(&mut word);
        read.map_err(|error| Error::io(format!("read {}", escape(&file)), error))?;
        let attributes = FileAttributes::from_bits_retain(u32::from_le_bytes(word));
        Ok((attributes, times))
    }

    fn stream(&self, path: &str, kind: FileKind) -> Result<Box<dyn Read + '_>> {
        let Some(file) = self.file(path, kind)? else {
            return Ok(Box::new(io::empty()));
        };
        let failed = |error| Error::io(format!("read {}", escape(&file)), error);
        let mut opened = self.dir.open_file(&file)?;
        if is_hive(path) && kind != FileKind::Directory {
            // A plain file is a stream of one record.
            let size = opened.metadata().map_err(failed)?.len();
            let mut head = BackupStreamWriter::new(Vec::new());
            head.begin(&StreamHeader::new(StreamId::Data, size))
                .map_err(failed)?;
            let head = std::mem::take(head.inner_mut());
            return Ok(Box::new(Cursor::new(head).chain(opened)));
        }
        let mut word = [0; 4];
        opened.read_exact(&mut word).map_err(failed)?;
        Ok(Box::new(BufReader::with_capacity(PIECE, opened)))
    }

    fn leaves_out(&self, path: &str) -> bool {
        is_sidecar(path)
    }
}

#[cfg(windows)]
fn times(dir: &Dir, path: &str) -> Result<(FileAttributes, FileTimes)> {
    let info = dir
        .open_object(path, winlayer_sys::ObjectAccess::Attributes)?
        .basic_info()?;
    Ok((info.attributes, times_of(&info)))
}

#[cfg(windows)]
fn times_of(info: &winlayer_sys::BasicInfo) -> FileTimes {
    FileTimes {
        created: info.created,
        accessed: info.accessed,
        written: info.written,
        changed: info.changed,
    }
}

/// Other systems keep one of the four times.
#[cfg(not(windows))]
fn times(dir: &Dir, path: &str) -> Result<(FileAttributes, FileTimes)> {
    let found = dir.stat(path)?;
    let found = found.ok_or_else(|| Error::not_found(format!("{path} does not exist")))?;
    let time = match found.modified.duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).ok().and_then(|seconds| {
            winlayer_metadata::FileTime::from_unix(seconds, since.subsec_nanos())
        }),
        Err(_) => None,
    };
    let time = time.unwrap_or(winlayer_metadata::FileTime::UNIX_EPOCH);
    let times = FileTimes {
        created: time,
        accessed: time,
        written: time,
        changed: time,
    };
    Ok((FileAttributes::ARCHIVE, times))
}

/// Real objects of a finished layer.
#[cfg(windows)]
#[derive(Debug)]
pub(crate) struct LiveSource<'a> {
    pub(crate) dir: &'a Dir,
}

#[cfg(windows)]
impl ObjectSource for LiveSource<'_> {
    fn dir(&self) -> &Dir {
        self.dir
    }

    fn describe(&self, path: &str, _: FileKind) -> Result<(FileAttributes, FileTimes)> {
        times(self.dir, path)
    }

    fn stream(&self, path: &str, _: FileKind) -> Result<Box<dyn Read + '_>> {
        let object = self
            .dir
            .open_object(path, winlayer_sys::ObjectAccess::ReadBackup)?;
        let reader = winlayer_sys::BackupReader::new(object, true);
        Ok(Box::new(BufReader::with_capacity(PIECE, reader)))
    }

    fn leaves_out(&self, _: &str) -> bool {
        false
    }
}
