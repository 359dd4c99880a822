//! Compares layer folders with what they say of themselves.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
};

use winlayer_digest::{ChainId, DiffId};
use winlayer_sys::{Dir, FileKind};

use super::Verified;
use crate::{
    DiskFile, Error, FindingSeverity, LayerChain, LayerStore, Result, StoreKind,
    disk::verify_disk,
    error::escape,
    layer_names::{LayerNames, NameKind, Named},
    names::NodeId,
    store::{
        LAYER_CHAIN_FILE, LAYER_FILE, LAYER_INDEX_FILE, LayerCounts, LayerRecord, read_json_file,
    },
    target::disk::LAYER_DISK,
    target::folder::{DELETIONS_FILE, IndexLine, LineKind, Tombstones, read_index, sidecar},
};

/// Every layer of a store, and that every recorded image has all its layers.
pub(super) fn all_layers(store: &LayerStore) -> Result<Verified> {
    let mut verified = Verified::default();
    for id in store.layer_ids()? {
        store.chain(id)?;
        let record = store.layer_record(id)?;
        let layer = match store.kind() {
            StoreKind::Vhdx => layer_disk(&store.layer_host_path(id))?,
            _ => Folder::new(store.open_layer(id)?, record).verify()?,
        };
        add(&mut verified, &layer);
    }
    for image in store.images()? {
        let damaged = |error| Error::damaged_by(&image.manifest_digest, "chain_id", error);
        store.chain(image.chain_id.parse().map_err(damaged)?)?;
    }
    Ok(verified)
}

/// The disk of a layer, and those below it that it is read through.
fn layer_disk(folder: &Path) -> Result<Verified> {
    let disk = folder.join(LAYER_DISK);
    let verified = verify_disk(&DiskFile::new(&disk), false, None)?;
    let mut findings = verified.findings.iter();
    match findings.find(|finding| finding.severity == FindingSeverity::Error) {
        Some(first) => Err(Error::damaged(disk.display(), first.to_string())),
        None => Ok(Verified {
            layers: 1,
            entries: verified.objects,
            bytes: verified.bytes,
            ..Verified::default()
        }),
    }
}

/// One layer folder by itself; its parents must exist, but are not read.
pub(super) fn layer_folder(path: &Path) -> Result<Verified> {
    LayerChain::from_layer_folder(path)?;
    let record: Option<LayerRecord> = read_json_file(&path.join(LAYER_FILE))?;
    let record = record
        .ok_or_else(|| Error::not_found(format!("{} has no {LAYER_FILE}", path.display())))?;
    if path.join(LAYER_DISK).exists() {
        return layer_disk(path);
    }
    Folder::new(Dir::open_ambient(path)?, record).verify()
}

/// Whether the platform has finished the layer: a base then has a disk for scratches, any other its
/// deletions under a name of our own.
fn is_finished(dir: &Dir) -> Result<bool> {
    Ok(dir.stat("blank-base.vhdx")?.is_some() || dir.stat(DELETIONS_FILE)?.is_some())
}

fn add(sum: &mut Verified, one: &Verified) {
    sum.layers += one.layers;
    sum.entries += one.entries;
    sum.bytes += one.bytes;
}

/// One layer folder while it is compared.
struct Folder {
    dir: Dir,
    record: LayerRecord,
    names: LayerNames,
    side_files: Vec<String>,
    counts: LayerCounts,
    verified: Verified,
}

impl Folder {
    fn new(dir: Dir, record: LayerRecord) -> Self {
        Self {
            dir,
            record,
            names: LayerNames::new(u64::MAX),
            side_files: Vec::new(),
            counts: LayerCounts::default(),
            verified: Verified {
                layers: 1,
                ..Verified::default()
            },
        }
    }

    fn verify(mut self) -> Result<Verified> {
        self.identity()?;
        let dir = self.dir.open_dir("")?;
        if is_finished(&dir)? {
            read_index(&dir, |line| self.finished_object(&line))?;
            return Ok(self.verified);
        }
        read_index(&dir, |line| self.line(&line))?;
        self.counted()?;
        self.nothing_extra()?;
        Tombstones::read(&self.dir)?;
        Ok(self.verified)
    }

    fn damaged(&self, path: &str, what: impl Into<String>) -> Error {
        Error::damaged(
            format!("{}/{}", self.dir.path().display(), escape(path)),
            what,
        )
    }

    /// The ChainID follows from the parent's and the DiffID, and names the folder.
    fn identity(&self) -> Result<()> {
        let bad =
            |error| Error::damaged_by(self.dir.path().join(LAYER_FILE).display(), "digest", error);
        let diff_id: DiffId = self.record.diff_id.parse().map_err(bad)?;
        let expected = match &self.record.parent_chain_id {
            Some(parent) => parent.parse::<ChainId>().map_err(bad)?.child(diff_id),
            None => ChainId::base(diff_id),
        };
        if expected.to_string() != self.record.chain_id {
            let what = format!(
                "expected chain_id {expected}, found {}",
                self.record.chain_id
            );
            return Err(self.damaged(LAYER_FILE, what));
        }
        let path = self.dir.path().join(LAYER_CHAIN_FILE);
        let parents: Vec<std::path::PathBuf> =
            read_json_file(&path)?.ok_or_else(|| self.damaged(LAYER_CHAIN_FILE, "is missing"))?;
        let parent = self
            .record
            .parent_chain_id
            .as_deref()
            .and_then(|id| id.split(':').nth(1));
        let listed = parents.first().and_then(|path| path.file_name()?.to_str());
        if listed != parent || parents.len() != self.record.number.saturating_sub(1) {
            return Err(self.damaged(LAYER_CHAIN_FILE, "does not list the parents of layer.json"));
        }
        Ok(())
    }

    /// The platform has made real objects of the files the index is about: only that they are there
    /// can be compared.
    fn finished_object(&mut self, line: &IndexLine<'_>) -> Result<()> {
        let found = self.dir.stat(&line.path)?.map(|found| found.kind);
        match (line.kind, found) {
            (_, None) => return Err(self.damaged(&line.path, "is missing")),
            (LineKind::Directory, Some(FileKind::Directory)) => {}
            (LineKind::Directory, _) => {
                return Err(self.damaged(&line.path, "expected a directory"));
            }
            (LineKind::File | LineKind::HardLink, Some(FileKind::Directory)) => {
                return Err(self.damaged(&line.path, "expected a file"));
            }
            (LineKind::SideFile, _) => return self.file(&line.path, line),
            _ => {}
        }
        self.verified.entries += 1;
        Ok(())
    }

    fn line(&mut self, line: &IndexLine<'_>) -> Result<()> {
        let kind = match line.kind {
            LineKind::SideFile => {
                self.side_files.push(line.path.clone().into_owned());
                return self.file(&line.path, line);
            }
            LineKind::Directory if line.implicit => NameKind::ImplicitDirectory,
            LineKind::Directory => NameKind::Directory,
            LineKind::DirectoryLink => NameKind::DirectoryLink,
            LineKind::File => NameKind::File,
            LineKind::FileLink => NameKind::FileLink,
            LineKind::HardLink => NameKind::HardLink,
        };
        if self
            .names
            .find(&line.path)
            .is_some_and(|node| self.names.get(node).cloned)
        {
            return Err(self.damaged(&line.path, "is listed twice"));
        }
        // `cloned` serves here as a mark: listed, and not merely a parent of something listed.
        self.names.insert(
            &line.path,
            Named {
                cloned: true,
                ..Named::new(kind)
            },
        )?;
        self.count(line, kind);
        if has_sidecar(kind) {
            if self.dir.stat(&line.path)?.map(|found| found.kind) != Some(FileKind::Directory) {
                return Err(self.damaged(&line.path, "expected a directory"));
            }
            return self.file(&sidecar(&line.path), line);
        }
        self.file(&line.path, line)
    }

    fn count(&mut self, line: &IndexLine<'_>, kind: NameKind) {
        self.verified.entries += 1;
        if line.cloned || line.implicit {
            return;
        }
        let count = match kind {
            NameKind::Directory | NameKind::ImplicitDirectory => &mut self.counts.directories,
            NameKind::File => &mut self.counts.files,
            NameKind::FileLink | NameKind::DirectoryLink => &mut self.counts.links,
            NameKind::HardLink => &mut self.counts.hard_links,
        };
        *count += 1;
    }

    /// Size and checksum of the file that holds an object.
    fn file(&mut self, path: &str, line: &IndexLine<'_>) -> Result<()> {
        match self.dir.stat(path)? {
            None => return Err(self.damaged(path, "is missing")),
            Some(found) if found.kind != FileKind::File => {
                return Err(self.damaged(path, "expected a file"));
            }
            Some(found) if found.size != line.size => {
                let what = format!("expected {} bytes, found {}", line.size, found.size);
                return Err(self.damaged(path, what));
            }
            Some(_) => {}
        }
        let found = self.checksum(path)?;
        if found != line.crc32 {
            let what = format!("expected CRC-32 {:08x}, found {found:08x}", line.crc32);
            return Err(self.damaged(path, what));
        }
        self.verified.bytes += line.size;
        Ok(())
    }

    fn checksum(&self, path: &str) -> Result<u32> {
        let mut reader = BufReader::with_capacity(1 << 17, self.dir.open_file(path)?);
        let mut sum = crc32fast::Hasher::new();
        loop {
            let bytes = reader
                .fill_buf()
                .map_err(|error| Error::io(format!("read {}", escape(path)), error))?;
            if bytes.is_empty() {
                return Ok(sum.finalize());
            }
            sum.update(bytes);
            let length = bytes.len();
            reader.consume(length);
        }
    }

    fn counted(&self) -> Result<()> {
        let LayerCounts {
            files,
            directories,
            links,
            hard_links,
            ..
        } = self.counts;
        let said = &self.record.counts;
        let found = [files, directories, links, hard_links];
        let expected = [said.files, said.directories, said.links, said.hard_links];
        if found == expected {
            return Ok(());
        }
        let what = format!(
            "expected {expected:?} files, directories, links and hard links, found {found:?}"
        );
        Err(self.damaged(LAYER_INDEX_FILE, what))
    }

    /// Walks what is on disk; every name must be a listed object, a sidecar or a side file.
    fn nothing_extra(&self) -> Result<()> {
        let mut open = vec![(NodeId::ROOT, String::new())];
        while let Some((node, directory)) = open.pop() {
            for entry in self.dir.read_dir(&directory)? {
                let separator = if directory.is_empty() { "" } else { "/" };
                let path = format!("{directory}{separator}{}", entry.name.to_string_lossy());
                let name = entry.name.to_str().unwrap_or_default();
                match self.names.child(node, name) {
                    // Also a name of another case: the spelling on disk is the listed one.
                    Some(child) if self.names.name(child) == name => {
                        if self.names.get(child).kind.is_directory() {
                            open.push((child, path));
                        } else if self.names.get(child).kind == NameKind::DirectoryLink {
                            self.is_empty(&path)?;
                        }
                    }
                    _ if self.is_sidecar(node, name) => {}
                    _ if self.is_side_file(&path) => {}
                    None if self.has_side_files(&path) => self.only_side_files(&path)?,
                    _ => return Err(self.damaged(&path, "does not belong to the layer")),
                }
            }
        }
        Ok(())
    }

    fn is_empty(&self, path: &str) -> Result<()> {
        if self.dir.read_dir(path)?.is_empty() {
            return Ok(());
        }
        Err(self.damaged(path, "is a link and has something in it"))
    }

    fn is_sidecar(&self, directory: NodeId, name: &str) -> bool {
        let Some(owner) = name.strip_suffix(&sidecar("")) else {
            return false;
        };
        let owner = self
            .names
            .child(directory, owner)
            .filter(|&node| self.names.name(node) == owner);
        owner.is_some_and(|node| has_sidecar(self.names.get(node).kind))
    }

    fn is_side_file(&self, path: &str) -> bool {
        let fixed = [LAYER_FILE, LAYER_CHAIN_FILE, LAYER_INDEX_FILE];
        fixed.contains(&path) || self.side_files.iter().any(|listed| listed == path)
    }

    /// Whether a directory that is no object of the layer has side files.
    fn has_side_files(&self, directory: &str) -> bool {
        let in_it = |listed: &String| listed.strip_prefix(directory)?.strip_prefix('/').map(drop);
        self.side_files.iter().any(|listed| in_it(listed).is_some())
    }

    fn only_side_files(&self, directory: &str) -> Result<()> {
        for entry in self.dir.read_dir(directory)? {
            let path = format!("{directory}/{}", entry.name.to_string_lossy());
            if !self.is_side_file(&path) {
                return Err(self.damaged(&path, "does not belong to the layer"));
            }
        }
        Ok(())
    }
}

fn has_sidecar(kind: NameKind) -> bool {
    kind.is_directory() || kind == NameKind::DirectoryLink
}
