//! Real NTFS objects: made, copied and described through their backup streams.

use std::io::{self, Read as _, Write};

use winlayer_metadata::{
    ExtendedAttributes, FileAttributes, FileTime, FileTimes, SecurityDescriptor,
    backup_stream::{BackupStreamReader, BackupStreamWriter, StreamId},
};
use winlayer_sys::{BackupReader, BackupWriter, BasicInfo, Dir, Object, ObjectAccess, ObjectKind};
use winlayer_tar::Metadata;

use super::workers::{Job, Workers};
use crate::{
    Error, Result,
    error::escape,
    layer_names::NameKind,
    target::folder::{Written, write_failed},
};

/// Bytes given to the file system at once, and the largest file that a worker makes.
pub(super) const PIECE: usize = 1 << 18;

/// The longest descriptor or list of extended attributes there can be.
const LONGEST_METADATA: u64 = 1 << 20;

/// Times and attributes for one call. NTFS knows no time before 1601; 0 and -1 mean something else.
pub(super) fn basic_info(attributes: FileAttributes, times: &FileTimes) -> BasicInfo {
    let first = FileTime::from_ticks(1);
    BasicInfo {
        created: times.created.max(first),
        accessed: times.accessed.max(first),
        written: times.written.max(first),
        changed: times.changed.max(first),
        attributes,
    }
}

/// Makes a file: opened once, described once, then its stream.
pub(super) fn create_file(dir: &Dir, path: &str, info: &BasicInfo) -> Result<BackupWriter> {
    let object = dir.create_object(path, ObjectKind::File)?;
    object.set_basic_info(info)?;
    Ok(BackupWriter::new(object, true))
}

/// What an object becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Making {
    File,
    Directory,
    /// A directory that is there already, for its metadata.
    ExistingDirectory,
}

/// An object while its attribute word and stream come in.
#[derive(Debug)]
pub(super) struct LiveStream<'a> {
    /// The layer's root.
    dir: &'a Dir,
    path: String,
    making: Making,
    info: BasicInfo,
    /// Bytes of the attribute word still to come; it is in `info`.
    word: usize,
    buffer: Vec<u8>,
    writer: Option<BackupWriter>,
    sum: crc32fast::Hasher,
    size: u64,
}

impl<'a> LiveStream<'a> {
    pub(super) fn new(
        dir: &'a Dir,
        path: &str,
        making: Making,
        info: BasicInfo,
        buffer: Vec<u8>,
    ) -> Self {
        Self {
            dir,
            path: path.to_owned(),
            making,
            info,
            word: size_of::<u32>(),
            buffer,
            writer: None,
            sum: crc32fast::Hasher::new(),
            size: 0,
        }
    }

    /// Ends the object; files are handed to `workers`.
    pub(super) fn finish(mut self, workers: &mut Workers) -> Result<Written> {
        let written = Written {
            size: self.size,
            crc32: std::mem::take(&mut self.sum).finalize(),
        };
        if self.writer.is_none() && self.making == Making::File {
            let (path, info, stream) = (self.path, self.info, self.buffer);
            workers.take(Job::File { path, info, stream })?;
            return Ok(written);
        }
        if self.buffer.is_empty() && self.writer.is_none() {
            // A directory of which nothing more is known.
            self.open()?;
            return Ok(written);
        }
        self.flush_piece()
            .map_err(|error| write_failed(&self.path, error))?;
        if let Some(writer) = self.writer {
            let path = self.path;
            match self.making {
                Making::File => workers.take(Job::End { path, writer })?,
                // What comes into the directory next must find it complete.
                _ => {
                    let ended = writer.finish().map(drop);
                    ended.map_err(|error| write_failed(&path, error))?;
                }
            }
        }
        Ok(written)
    }

    fn open(&self) -> Result<Object> {
        let object = match self.making {
            Making::File => self.dir.create_object(&self.path, ObjectKind::File)?,
            Making::Directory => self.dir.create_object(&self.path, ObjectKind::Directory)?,
            Making::ExistingDirectory => self
                .dir
                .open_object(&self.path, ObjectAccess::WriteBackup)?,
        };
        object.set_basic_info(&self.info)?;
        Ok(object)
    }

    fn flush_piece(&mut self) -> io::Result<()> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => BackupWriter::new(self.open().map_err(io::Error::other)?, true),
        };
        writer.write_all(&self.buffer)?;
        self.buffer.clear();
        self.writer = Some(writer);
        Ok(())
    }
}

impl Write for LiveStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sum.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
        let word = self.word.min(bytes.len());
        self.word -= word;
        let mut rest = bytes.get(word..).unwrap_or_default();
        loop {
            let room = PIECE.saturating_sub(self.buffer.len());
            let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.buffer.extend_from_slice(now);
            if later.is_empty() {
                return Ok(bytes.len());
            }
            self.flush_piece()?;
            rest = later;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a directory of a finished layer says of itself; its link, if it is one, is left out.
pub(super) fn read_directory(dir: &Dir, path: &str) -> Result<Metadata> {
    let object = dir.open_object(path, ObjectAccess::ReadBackup)?;
    let info = object.basic_info()?;
    let mut metadata = Metadata {
        attributes: info.attributes - FileAttributes::REPARSE_POINT,
        times: times_of(&info),
        ..Metadata::default()
    };
    let failed = |error: io::Error| Error::io(format!("read {}", escape(path)), error);
    let mut stream = BackupStreamReader::new(BackupReader::new(object, true));
    while let Some(header) = stream.next_record().map_err(|error| failed(error.into()))? {
        let mut payload = Vec::new();
        let mut read = || {
            (&mut stream)
                .take(LONGEST_METADATA)
                .read_to_end(&mut payload)
        };
        match header.id {
            StreamId::SecurityData => {
                read().map_err(failed)?;
                let parsed = SecurityDescriptor::parse(&payload);
                let parsed = parsed.map_err(|error| failed(io::Error::other(error)))?;
                metadata.security = Some(parsed.into());
            }
            StreamId::EaData => {
                read().map_err(failed)?;
                let parsed = ExtendedAttributes::parse(&payload);
                let parsed = parsed.map_err(|error| failed(io::Error::other(error)))?;
                metadata.extended_attributes = parsed;
            }
            _ => {}
        }
    }
    Ok(metadata)
}

pub(super) fn times_of(info: &BasicInfo) -> FileTimes {
    FileTimes {
        created: info.created,
        accessed: info.accessed,
        written: info.written,
        changed: info.changed,
    }
}

/// Gives an existing directory the metadata of another one.
pub(super) fn describe_directory(dir: &Dir, path: &str, metadata: &Metadata) -> Result<()> {
    let object = dir.open_object(path, ObjectAccess::WriteBackup)?;
    object.set_basic_info(&basic_info(metadata.attributes, &metadata.times))?;
    let mut stream = BackupStreamWriter::new(Vec::new());
    let mut records = || {
        if let Some(security) = &metadata.security {
            stream.security(security)?;
        }
        stream.extended_attributes(&metadata.extended_attributes)
    };
    let failed = |error| write_failed(path, error);
    records().map_err(failed)?;
    let bytes = stream.finish().map_err(failed)?;
    if bytes.is_empty() {
        return Ok(());
    }
    let mut writer = BackupWriter::new(object, true);
    let written = writer.write_all(&bytes);
    written
        .and_then(|()| writer.finish())
        .map(drop)
        .map_err(failed)
}

/// Copies an object with all it carries, but not what is in it if it is a directory.
pub(super) fn copy_object(
    from: &Dir,
    theirs: &str,
    to: &Dir,
    ours: &str,
    kind: NameKind,
) -> Result<()> {
    let directory = kind.is_directory() || kind == NameKind::DirectoryLink;
    let source = from.open_object(theirs, ObjectAccess::ReadBackup)?;
    let info = source.basic_info()?;
    let made = match directory {
        true => ObjectKind::Directory,
        false => ObjectKind::File,
    };
    let copy = to.create_object(ours, made)?;
    copy.set_basic_info(&info)?;
    let (mut reader, mut writer) = (
        BackupReader::new(source, true),
        BackupWriter::new(copy, true),
    );
    let mut piece = vec![0; PIECE];
    loop {
        let read = fill(&mut reader, &mut piece);
        let read = read.map_err(|error| Error::io(format!("read {}", escape(theirs)), error))?;
        let bytes = piece.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        writer
            .write_all(bytes)
            .map_err(|error| write_failed(ours, error))?;
    }
    let ended = writer.finish().map(drop);
    ended.map_err(|error| write_failed(ours, error))
}

/// Reads until the piece is full or the stream ends.
fn fill(reader: &mut BackupReader, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
