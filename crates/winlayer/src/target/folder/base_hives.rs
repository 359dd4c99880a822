//! The registry as a layer leaves it, beside the layer: what Windows makes when it finishes one.
//!
//! ```text
//! Hives/Software_Base …   in a base the full hive of Files; above it the one of the layer below with
//!                         this layer's delta merged in, or shared with it when nothing changes
//! layout                  in a base only: says that it has those
//! ```
//!
//! They are no objects of the layer, and can be read without the layers below. An import on Windows
//! leaves them out, because the platform makes its own and does not want to find any. Source: hcsshim
//! `converttobaselayer.go`, `internal/wclayer/cim/process.go`.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write as _},
};

use winlayer_metadata::backup_stream::{BackupStreamReader, StreamId};
use winlayer_sys::{Dir, FileKind};

use super::{
    below::PublishedLayer,
    framing::{PlainFile, Written, plain_directory, share_file, write_failed},
    index::{IndexLine, IndexWriter, LineKind},
};
use crate::{
    Error, Result,
    error::escape,
    layer_names::{LayerNames, NameKind},
    registry::{CONFIG, LOGS, MOST_LOG_BYTES, RegistryHive, merge_over},
};

const HIVES: &str = "Hives";
const LAYOUT: &str = "layout";
/// As hcsshim writes it.
const LAYOUT_TEXT: &[u8] = b"vhd-with-hives\n";
/// What is before the backup stream of a file.
type AttributeWord = [u8; 4];

fn base_path(hive: RegistryHive) -> String {
    format!("{HIVES}/{}", hive.base_name())
}

/// Whether a side file is one that the platform makes by itself.
#[cfg(windows)]
pub(crate) fn is_made_by_the_platform(path: &str) -> bool {
    let mut hives = RegistryHive::ALL.into_iter();
    path == LAYOUT || hives.any(|hive| path == base_path(hive))
}

/// Makes what can be made, and gives warnings of what cannot.
pub(super) fn complete(
    dir: &Dir,
    names: &LayerNames,
    parent: Option<&PublishedLayer>,
    index: &mut IndexWriter,
) -> Result<Vec<String>> {
    let layer = Layer { dir, names };
    let mut warnings = Vec::new();
    let mut made = false;
    for hive in RegistryHive::ALL {
        let ours = base_path(hive);
        if names.find(&ours).is_some() {
            // The tar has brought something of this name.
            continue;
        }
        warnings.extend(layer.make(hive, &ours, parent)?);
        if is_there(dir, &ours)? {
            let written = sum(dir, &ours)?;
            let line = IndexLine::new(ours, LineKind::SideFile, written.size, written.crc32);
            index.write(&line)?;
            made = true;
        }
    }
    if made && parent.is_none() {
        let written = write(dir, LAYOUT, &mut &*LAYOUT_TEXT)?;
        let line = IndexLine::new(LAYOUT, LineKind::SideFile, written.size, written.crc32);
        index.write(&line)?;
    }
    Ok(warnings)
}

/// A layer being built.
struct Layer<'a> {
    dir: &'a Dir,
    names: &'a LayerNames,
}

impl Layer<'_> {
    /// Makes one, if this layer or one below has the hive.
    fn make(
        &self,
        hive: RegistryHive,
        ours: &str,
        parent: Option<&PublishedLayer>,
    ) -> Result<Option<String>> {
        let full = self.file(&format!("Files/{CONFIG}/{}", hive.file_name()));
        let delta = self.file(&format!("{HIVES}/{}", hive.delta_name()));
        let opened = delta.as_ref().map(|delta| self.dir.open_file(delta));
        let opened = opened.transpose()?;
        let warning = |why: &str| {
            let delta = escape(delta.as_deref()?);
            Some(format!("{delta}: not merged into {ours}: {why}"))
        };
        let (base, logs) = if let Some(full) = &full {
            self.make_directory()?;
            write(self.dir, ours, &mut content(self.dir, full)?)?;
            (self.dir.open_file(ours)?, self.logs(hive)?)
        } else {
            match parent.map(PublishedLayer::dir) {
                Some(below) if is_there(below, ours)? => (below.open_file(ours)?, Vec::new()),
                _ => return Ok(warning("no layer below has this hive")),
            }
        };
        let (merged, warning) = match merge_over(base, &logs, opened)? {
            Ok(merged) => (merged, None),
            Err(why) => (None, warning(&why)),
        };
        match (merged, full, parent) {
            (Some(bytes), full, _) => {
                self.make_directory()?;
                if full.is_some() {
                    self.dir.remove_file(ours)?;
                }
                write(self.dir, ours, &mut bytes.as_slice())?;
            }
            (None, None, Some(parent)) => {
                self.make_directory()?;
                share_file(parent.dir(), ours, self.dir, ours)?;
            }
            (None, ..) => {}
        }
        Ok(warning)
    }

    /// The path of a file of this layer, as it is spelled.
    fn file(&self, path: &str) -> Option<String> {
        let node = self.names.find(path)?;
        let kind = self.names.get(node).kind;
        matches!(kind, NameKind::File | NameKind::HardLink).then(|| self.names.path(node))
    }

    fn make_directory(&self) -> Result<()> {
        match self.dir.stat(HIVES)? {
            Some(_) => Ok(()),
            None => Ok(self.dir.create_dir(HIVES)?),
        }
    }

    /// The logs beside a full hive.
    fn logs(&self, hive: RegistryHive) -> Result<Vec<Vec<u8>>> {
        let names = LOGS.map(|log| format!("Files/{CONFIG}/{}.{log}", hive.file_name()));
        let mut logs = Vec::new();
        for path in names.iter().filter_map(|path| self.file(path)) {
            let mut log = Vec::new();
            let mut content = content(self.dir, &path)?.take(MOST_LOG_BYTES);
            content
                .read_to_end(&mut log)
                .map_err(|error| read_failed(&path, error))?;
            logs.push(log);
        }
        Ok(logs)
    }
}

/// Whether a layer has a file in `Hives`.
fn is_there(dir: &Dir, path: &str) -> Result<bool> {
    let is = |path, kind| Ok::<_, Error>(dir.stat(path)?.is_some_and(|found| found.kind == kind));
    Ok(is(HIVES, FileKind::Directory)? && is(path, FileKind::File)?)
}

/// What a framed file has in it.
fn content(dir: &Dir, path: &str) -> Result<BackupStreamReader<BufReader<File>>> {
    let failed = |error| read_failed(path, error);
    let mut file = BufReader::with_capacity(1 << 18, dir.open_file(path)?);
    file.read_exact(&mut AttributeWord::default())
        .map_err(failed)?;
    let mut records = BackupStreamReader::new(file);
    loop {
        match records.next_record() {
            Ok(Some(header)) if header.id != StreamId::Data => {}
            // Without a record of data there is none to read.
            Ok(_) => return Ok(records),
            Err(error) => return Err(failed(error.into())),
        }
    }
}

fn write(dir: &Dir, path: &str, from: &mut dyn Read) -> Result<Written> {
    let mut file = PlainFile::create(dir, path, Vec::new())?;
    let written = io::copy(from, &mut file).and_then(|_| {
        file.flush()?;
        // The same time whenever it is made.
        file.finish(&plain_directory().times)
    });
    Ok(written.map_err(|error| write_failed(path, error))?.0)
}

fn sum(dir: &Dir, path: &str) -> Result<Written> {
    let mut file = dir.open_file(path)?;
    let mut written = Written::default();
    let mut sum = crc32fast::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(|error| read_failed(path, error))?;
        if read == 0 {
            written.crc32 = sum.finalize();
            return Ok(written);
        }
        sum.update(buffer.get(..read).unwrap_or_default());
        written.size = written.size.saturating_add(read as u64);
    }
}

fn read_failed(path: &str, error: io::Error) -> Error {
    Error::io(format!("read {}", escape(path)), error)
}
