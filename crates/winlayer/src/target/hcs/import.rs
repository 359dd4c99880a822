//! A layer folder made by `--to folder`, perhaps on another system, becomes a finished layer.
//!
//! The folder has what the platform needs, so nothing is decided anew: the index says what there is,
//! `layer.json` which links, `tombstones.txt` what is deleted. Every file is checked against the index
//! while it is copied. Files and sidecars of a base are backup streams behind an attribute word, so
//! they become real objects as they are.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write},
    path::PathBuf,
    sync::Arc,
};

use winlayer_digest::ChainId;
use winlayer_metadata::FileAttributes;
use winlayer_sys::Dir;
use winlayer_tar::LayerPath;

use super::{
    HcsMaker, assembly, chain_id, differs,
    live::{Making, describe_directory, read_directory},
    sink::{HcsSink, in_utility_vm},
};
use crate::{
    Error, LayerStore, Result,
    error::escape,
    layer_names::NameKind,
    store::{Ingest, LAYER_CHAIN_FILE, LAYER_FILE, LayerRecord, Role, Transport, to_json},
    target::folder::{
        DELETIONS_FILE, IndexLine, IndexWriter, LineKind, ObjectSink as _, PlainFile,
        PublishedLayer, TOMBSTONES_FILE, Written, is_backup, is_made_by_the_platform,
        plain_directory, read_index, sidecar, write_failed, write_sidecar,
    },
};

/// How much is read at once.
const PIECE: usize = 1 << 18;

/// Imports one layer; those below it are in the store. Gives false when it was there already.
pub(crate) fn import_layer(
    maker: &HcsMaker<'_>,
    store: &LayerStore,
    source: &Dir,
    record: &LayerRecord,
) -> Result<bool> {
    let id = chain_id(&record.chain_id, LAYER_FILE)?;
    check_links(record)?;
    let Some(ingest) = store.begin(id, || {}, || Ok(()))? else {
        return Ok(false);
    };
    let parent = record.parent_chain_id.as_deref();
    let parent = parent.map(|id| chain_id(id, LAYER_FILE)).transpose()?;
    let below = below(store, parent)?;
    let transport = match record.role {
        Role::Base => None,
        Role::Diff => Some(ingest.transport(|| Ok(()))?),
    };
    copy(&ingest, transport.as_ref(), source, record, &below)?;
    let chain: Vec<PathBuf> = below
        .iter()
        .rev()
        .map(|layer| store.layer_host_path(layer.id()))
        .collect();
    write_file(ingest.dir(), LAYER_CHAIN_FILE, &to_json(&chain)?)?;
    maker
        .hcs
        .finish_in_place(maker.destroy, ingest, transport, record, &below)?;
    Ok(true)
}

/// A folder from elsewhere may say anything; a link must not reach out of the layer's trees.
fn check_links(record: &LayerRecord) -> Result<()> {
    for link in &record.hard_links {
        check_path(&link.path)?;
        check_path(&link.target)?;
    }
    Ok(())
}

fn check_path(path: &str) -> Result<()> {
    match LayerPath::parse(path) {
        Ok(parsed) if parsed.as_str() == path => Ok(()),
        Ok(_) => Err(differs(path, "is not spelled as the path of a layer")),
        Err(error) => Err(Error::refused_entry(path, error.to_string())),
    }
}

/// The layers below a new one on `parent`, base first.
pub(crate) fn below(
    store: &LayerStore,
    parent: Option<ChainId>,
) -> Result<Vec<Arc<PublishedLayer>>> {
    let Some(parent) = parent else {
        return Ok(Vec::new());
    };
    let chain = store.chain(parent)?;
    let open = |link: &crate::ChainLink| {
        let id = chain_id(&link.id, LAYER_FILE)?;
        PublishedLayer::open(store, id).map(Arc::new)
    };
    chain.layers.iter().rev().map(open).collect()
}

fn copy(
    ingest: &Ingest<'_>,
    transport: Option<&Transport<'_>>,
    source: &Dir,
    record: &LayerRecord,
    below: &[Arc<PublishedLayer>],
) -> Result<()> {
    let transport = transport.map(Transport::dir);
    let mut copier = Copier {
        source,
        dir: ingest.dir(),
        transport,
        sink: HcsSink::new(ingest.dir(), transport)?,
        index: IndexWriter::create(ingest.dir())?,
        directories: BTreeSet::new(),
        cloned: Vec::new(),
    };
    read_index(source, |line| copier.line(line))?;
    let Copier {
        mut sink,
        index,
        mut directories,
        cloned,
        ..
    } = copier;
    index.finish()?;
    if let Some(transport) = transport.filter(|_| !directories.contains("Files")) {
        // The platform imports nothing without it.
        transport.create_dir("Files")?;
        write_sidecar(transport, "Files", &plain_directory())?;
    }
    clone(
        ingest.dir(),
        record,
        below,
        cloned,
        &mut sink,
        &mut directories,
    )?;
    sink.finish()?;
    if record.role == Role::Base {
        for link in &record.hard_links {
            let dir = ingest.dir();
            dir.hard_link(&link.target, dir, &link.path)?;
        }
    }
    Ok(())
}

/// Takes the part of the utility VM that is not the layer's own from the finished layer below.
fn clone(
    dir: &Dir,
    record: &LayerRecord,
    below: &[Arc<PublishedLayer>],
    cloned: Vec<(String, NameKind)>,
    sink: &mut HcsSink<'_>,
    directories: &mut BTreeSet<String>,
) -> Result<()> {
    let Some(from) = &record.utility_vm_from else {
        return Ok(());
    };
    let id = chain_id(from, LAYER_FILE)?;
    let from = below.iter().find(|layer| layer.id() == id);
    let missing = || Error::damaged(LAYER_FILE, format!("{id} is not below"));
    let from = from.ok_or_else(missing)?;
    let names = from.names()?;
    for (ours, kind) in cloned {
        let node = names.find(&ours);
        let theirs = names.path(node.ok_or_else(|| differs(&ours, "is not in the layer below"))?);
        make_parents(&ours, directories, sink)?;
        if kind.is_directory() && !directories.insert(ours.clone()) {
            let metadata = read_directory(from.dir(), &theirs)?;
            describe_directory(dir, &ours, &metadata)?;
        } else {
            assembly::clone(from, &theirs, dir, &ours, kind)?;
        }
    }
    Ok(())
}

/// Makes the directories above `path`; their own lines may come later.
fn make_parents(
    path: &str,
    directories: &mut BTreeSet<String>,
    sink: &mut HcsSink<'_>,
) -> Result<()> {
    for (end, _) in path.match_indices('/') {
        let parent = path.get(..end).unwrap_or_default();
        if !directories.contains(parent) {
            sink.directory(parent)?;
            directories.insert(parent.to_owned());
        }
    }
    Ok(())
}

/// One folder on its way into the store.
struct Copier<'a> {
    source: &'a Dir,
    dir: &'a Dir,
    transport: Option<&'a Dir>,
    sink: HcsSink<'a>,
    index: IndexWriter,
    /// Made so far.
    directories: BTreeSet<String>,
    /// Objects of the utility VM that come from a layer below.
    cloned: Vec<(String, NameKind)>,
}

impl Copier<'_> {
    fn line(&mut self, line: IndexLine<'_>) -> Result<()> {
        match line.kind {
            LineKind::SideFile => return self.side_file(&line),
            _ => check_path(&line.path)?,
        }
        match line.kind {
            LineKind::SideFile => {}
            LineKind::HardLink if !line.cloned => {}
            _ if line.cloned => {
                let kind = match line.kind {
                    LineKind::Directory => NameKind::Directory,
                    LineKind::DirectoryLink => NameKind::DirectoryLink,
                    LineKind::FileLink => NameKind::FileLink,
                    LineKind::File | LineKind::HardLink | LineKind::SideFile => NameKind::File,
                };
                self.cloned.push((line.path.clone().into_owned(), kind));
            }
            _ => self.object(&line)?,
        }
        self.index.write(&line)
    }

    /// The copies of what the platform edits, and the deletions.
    fn side_file(&mut self, line: &IndexLine<'_>) -> Result<()> {
        let name = match &*line.path {
            TOMBSTONES_FILE => DELETIONS_FILE,
            backup if is_backup(backup) => backup,
            made if is_made_by_the_platform(made) => return Ok(()),
            other => return Err(differs(other, "is no file a layer folder has")),
        };
        let contents = self.source.read(&line.path)?;
        let written = Written {
            size: contents.len() as u64,
            crc32: crc32fast::hash(&contents),
        };
        check(&line.path, line, written)?;
        write_file(self.dir, name, &contents)?;
        let mut copied = line.clone();
        copied.path = name.to_owned().into();
        self.index.write(&copied)
    }

    fn object(&mut self, line: &IndexLine<'_>) -> Result<()> {
        let path = &*line.path;
        make_parents(path, &mut self.directories, &mut self.sink)?;
        let is_directory = matches!(line.kind, LineKind::Directory | LineKind::DirectoryLink);
        let exists = is_directory && !self.directories.insert(path.to_owned());
        let from = match is_directory {
            true => sidecar(path),
            false => path.to_owned(),
        };
        let (attributes, times) = line
            .metadata()
            .ok_or_else(|| differs(path, "has no metadata in the index"))?;
        let written = match self.transport.filter(|_| !in_utility_vm(path)) {
            Some(transport) => {
                if is_directory && !exists {
                    transport.create_dir(path)?;
                }
                let mut file = PlainFile::create(transport, &from, Vec::new())?;
                self.bytes(&from, attributes, path.starts_with("Hives/"), &mut file)?;
                let finished = file.finish(&times);
                finished.map_err(|error| write_failed(&from, error))?.0
            }
            None => {
                let making = match (is_directory, exists) {
                    (false, _) => Making::File,
                    (true, false) => Making::Directory,
                    (true, true) => Making::ExistingDirectory,
                };
                let mut stream = self.sink.raw(path, making, attributes, &times);
                self.bytes(&from, attributes, false, &mut stream)?;
                self.sink.close_raw(stream)?
            }
        };
        check(path, line, written)
    }

    /// Copies a file of the folder; its attribute word must be the one of the index.
    fn bytes(
        &self,
        from: &str,
        attributes: FileAttributes,
        plain: bool,
        out: &mut dyn Write,
    ) -> Result<()> {
        let mut file = BufReader::with_capacity(PIECE, self.source.open_file(from)?);
        let failed = |error| Error::io(format!("read {}", escape(from)), error);
        let mut first = !plain;
        loop {
            let bytes = file.fill_buf().map_err(failed)?;
            if std::mem::take(&mut first) {
                let word = bytes.first_chunk::<4>().copied().map(u32::from_le_bytes);
                if word != Some(attributes.bits()) {
                    let what = format!("expected attributes {attributes}, found {word:x?}");
                    return Err(differs(from, what));
                }
            }
            if bytes.is_empty() {
                return Ok(());
            }
            out.write_all(bytes)
                .map_err(|error| write_failed(from, error))?;
            let length = bytes.len();
            file.consume(length);
        }
    }
}

fn check(path: &str, line: &IndexLine<'_>, written: Written) -> Result<()> {
    if written.size != line.size {
        let what = format!("expected {} bytes, found {}", line.size, written.size);
        return Err(differs(path, what));
    }
    if written.crc32 != line.crc32 {
        let what = format!(
            "expected CRC-32 {:08x}, found {:08x}",
            line.crc32, written.crc32
        );
        return Err(differs(path, what));
    }
    Ok(())
}

fn write_file(dir: &Dir, path: &str, contents: &[u8]) -> Result<()> {
    let mut file = dir.create_file(path)?;
    file.write_all(contents)
        .map_err(|error| write_failed(path, error))
}
