//! `verify_disk`: every rule of container, table and volume, and every byte of content.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use serde::Serialize;
use winlayer_digest::{Digest, Hasher};
use winlayer_ntfs::{NtfsObject, ObjectKind, Place, Volume};
use winlayer_tar::Progress;
use winlayer_vhdx::{Chain, VhdxError, open_files};

use super::{
    Device, DiskFile, DiskFinding, DiskFormat, FindingSeverity, Window,
    container::{Container, fixed_vhd, is_damage, sniff},
    content::each_piece,
    finding::Findings,
    partition::{self, Found},
    stands_in,
    walk::{Name, Walk},
};
use crate::{Error, Observer, Result};

/// What was verified, and what is wrong with it.
#[derive(Clone, Debug, Serialize)]
pub struct VerifiedDisk {
    /// The disk file.
    pub disk: PathBuf,
    /// The kind of file.
    pub kind: DiskFormat,
    /// The number of the partition; none when the volume fills the disk, or was not found.
    pub partition: Option<usize>,
    /// What the volume says of itself, when it can be opened.
    pub volume: Option<VerifiedVolume>,
    /// Files, directories and links, further names not counted.
    pub objects: u64,
    /// Bytes of content that were read, streams included.
    pub bytes: u64,
    /// Findings that are errors; the disk is sound when there are none.
    pub errors: u64,
    /// Findings that are notes.
    pub notes: u64,
    /// What was found, at most some 10,000.
    pub findings: Vec<DiskFinding>,
    /// The content of all files, in the order of a sorted walk, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<VerifiedFile>>,
    /// Wall time.
    pub seconds: f64,
}

/// What a volume says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct VerifiedVolume {
    /// Bytes.
    pub size: u64,
    /// Empty for none.
    pub label: String,
    /// 16 hexadecimal digits; Windows shows the last eight.
    pub serial: String,
    /// Bytes of a cluster.
    pub cluster: u64,
}

/// A file and its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifiedFile {
    /// From the root of the volume, `/` between names.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content, 64 hexadecimal digits.
    pub sha256: String,
}

/// Verifies a disk: the structures of a VHDX file and of its parents, the partition table, all rules of the NTFS volume that
/// [`winlayer_ntfs::verify`] knows, and that every stream can be read to its end. With `files`, hashes the content of all files.
///
/// Damage is no error of this call but a finding of the report.
///
/// # Errors
///
/// The file is no disk, has no NTFS volume, or cannot be read.
pub fn verify_disk(
    disk: &DiskFile,
    files: bool,
    observer: Option<&dyn Observer>,
) -> Result<VerifiedDisk> {
    let begun = Instant::now();
    let mut verifier = Verifier {
        disk,
        observer,
        findings: Findings::default(),
        progress: Arc::default(),
        bytes: 0,
        objects: 0,
        files: files.then(Vec::new),
    };
    let verified = verifier.run();
    let (kind, partition, volume) = verified.map_err(|error| error.on_disk(&disk.path))?;
    if let Some(observer) = observer {
        observer.disk_finished();
    }
    Ok(VerifiedDisk {
        disk: disk.path.clone(),
        kind,
        partition: partition.and_then(|found| found.number),
        volume,
        objects: verifier.objects,
        bytes: verifier.bytes,
        errors: verifier.findings.errors,
        notes: verifier.findings.notes,
        findings: verifier.findings.kept,
        files: verifier.files,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

struct Verifier<'a> {
    disk: &'a DiskFile,
    observer: Option<&'a dyn Observer>,
    findings: Findings,
    progress: Arc<Progress>,
    bytes: u64,
    objects: u64,
    files: Option<Vec<VerifiedFile>>,
}

type Verified = (DiskFormat, Option<Found>, Option<VerifiedVolume>);

impl Verifier<'_> {
    fn run(&mut self) -> Result<Verified> {
        let (format, file) = sniff(&self.disk.path)?;
        let Some(container) = self.container(format, file)? else {
            return Ok((format, None, None));
        };
        if let Some(observer) = self.observer {
            let progress = Arc::clone(&self.progress);
            observer.disk_started(&self.disk.path, container.stored, progress);
        }
        let chosen = partition::choose(container, self.disk.partition);
        let Some((window, found)) = self.unless_damaged(chosen)? else {
            return Ok((format, None, None));
        };
        let volume = self.volume(window)?;
        Ok((format, Some(found), volume))
    }

    /// Checks the file, and the files below it; the disk in it, when that can be opened.
    fn container(&mut self, format: DiskFormat, file: File) -> Result<Option<Container>> {
        let path = &self.disk.path;
        let stored = super::container::stored(&file);
        let opened: Result<Box<dyn Device>> = match format {
            DiskFormat::Raw => Ok(Box::new(file)),
            DiskFormat::Vhd => fixed_vhd(file),
            DiskFormat::Vhdx => self.chain(path).map(|chain| Box::new(chain) as _),
        };
        let disk = self.unless_damaged(opened)?;
        Ok(disk.map(|disk| Container {
            format,
            disk,
            stored,
        }))
    }

    fn chain(&mut self, path: &Path) -> Result<Chain<File>> {
        let files = match open_files(path) {
            Ok(files) => files,
            Err(VhdxError::InFile { path, source }) if is_damage(&source) => {
                // The error has one finding, the file may have many.
                let file = File::open(&path).map_err(super::container::read_failed)?;
                let all = winlayer_vhdx::verify(file)?;
                self.add_vhdx(&all, &path);
                return Err(VhdxError::InFile { path, source }.into());
            }
            Err(error) => return Err(error.into()),
        };
        let mut disks = Vec::new();
        for (path, mut disk) in files {
            let found = disk.verify()?;
            self.add_vhdx(&found, &path);
            disks.push(disk);
        }
        Ok(Chain::new(disks)?)
    }

    fn add_vhdx(&mut self, found: &[winlayer_vhdx::Finding], path: &Path) {
        let top = self.disk.path.canonicalize().is_ok_and(|top| top == path);
        for finding in found {
            let file = (!top).then_some(path);
            self.findings.add(DiskFinding::of_vhdx(finding, file));
        }
    }

    /// Makes a finding of damage to container or table.
    fn unless_damaged<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let Some(finding) = error.vhdx().and_then(DiskFinding::of_error) else {
            return Err(error);
        };
        // What made it unreadable is among the file's own findings.
        if self.findings.errors == 0 {
            self.findings.add(finding);
        }
        Ok(None)
    }

    fn volume(&mut self, mut window: Window) -> Result<Option<VerifiedVolume>> {
        let (mut broken, findings) = (Vec::new(), &mut self.findings);
        winlayer_ntfs::verify(&mut window, &mut |finding| {
            let record = record_of(&finding.place);
            let kept = findings.add(DiskFinding::of_volume(finding));
            broken.extend(record.zip(kept));
        })?;
        let mut volume = match Volume::open(window) {
            Ok(volume) => volume,
            // The verifier has said why.
            Err(_) if self.findings.errors > 0 => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let facts = volume.facts();
        let verified = VerifiedVolume {
            size: facts.total,
            label: facts.label.clone(),
            serial: format!("{:016X}", facts.serial),
            cluster: facts.cluster,
        };
        let wanted = broken.iter().map(|(record, _)| (*record, String::new()));
        let mut paths: HashMap<u64, String> = wanted.collect();
        self.content(&mut volume, &mut paths)?;
        for (record, index) in broken {
            let path = paths.get(&record).filter(|path| !path.is_empty());
            let path = path.cloned();
            if let (Some(path), Some(finding)) = (path, self.findings.kept.get_mut(index)) {
                finding.path = Some(path);
            }
        }
        Ok(Some(verified))
    }

    /// Reads every stream; gives `paths` of the records in it.
    fn content(
        &mut self,
        volume: &mut Volume<Window>,
        paths: &mut HashMap<u64, String>,
    ) -> Result<()> {
        let mut walk = Walk::default();
        let mut hashes = HashMap::new();
        let entered = walk.enter(volume, volume.root(), "");
        self.note(entered, "")?;
        while let Some(Name { path, entry, .. }) = walk.next() {
            self.progress.entries.fetch_add(1, Ordering::Relaxed);
            let object = volume.object(entry.reference).map_err(Error::from);
            let Some(object) = self.note(object, &path)? else {
                continue;
            };
            if let Some(known) = paths.get_mut(&entry.reference.record()) {
                known.clone_from(&path);
            }
            if object.kind == ObjectKind::Directory {
                let entered = walk.enter(volume, entry.reference, &path);
                self.note(entered, &path)?;
            }
            self.object(volume, &object, &path, &mut hashes)?;
        }
        Ok(())
    }

    /// Reads the streams of an object, unless another name of it came before.
    fn object(
        &mut self,
        volume: &mut Volume<Window>,
        object: &NtfsObject,
        path: &str,
        hashes: &mut HashMap<u64, Option<Digest>>,
    ) -> Result<()> {
        let record = object.reference.record();
        let mut digest = (object.kind == ObjectKind::File).then(|| Digest::of(b""));
        if let Some(known) = hashes.get(&record) {
            digest = *known;
        } else {
            self.objects = self.objects.saturating_add(1);
            for stream in &object.streams {
                let hash = stream.is_content() && self.files.is_some();
                let read = self.read(volume, object, &stream.name, hash);
                let read = self.note(read, path)?;
                if stream.is_content() {
                    digest = read.flatten();
                }
            }
            if let Some(tag) = stands_in(object) {
                digest = None;
                let found = format!("reparse point {tag}");
                let note = DiskFinding {
                    severity: FindingSeverity::Note,
                    path: Some(path.to_owned()),
                    ..DiskFinding::error(
                        format!("file record {record}"),
                        "reading",
                        "content in the file itself",
                        found,
                    )
                };
                self.findings.add(note);
            }
            if object.names.len() > 1 {
                hashes.insert(record, digest);
            }
        }
        if let (Some(files), Some(digest), ObjectKind::File) =
            (&mut self.files, digest, object.kind)
        {
            files.push(VerifiedFile {
                path: path.to_owned(),
                size: object.size,
                sha256: digest.hex(),
            });
        }
        Ok(())
    }

    /// Reads a stream to its end.
    fn read<D: Read + Seek>(
        &mut self,
        volume: &mut Volume<D>,
        object: &NtfsObject,
        stream: &str,
        hash: bool,
    ) -> Result<Option<Digest>> {
        let mut hasher = hash.then(Hasher::new);
        each_piece(volume, object, stream, &mut |piece| {
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
            let count = piece.len() as u64;
            self.bytes = self.bytes.saturating_add(count);
            let counter = &self.progress.compressed_bytes;
            counter.fetch_add(count, Ordering::Relaxed);
            Ok(())
        })?;
        Ok(hasher.map(Hasher::finish))
    }

    /// Makes a finding of what could not be read. Only a device that fails ends the work.
    fn note<T>(&mut self, result: Result<T>, path: &str) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                self.findings.add(DiskFinding::of_object(error, path)?);
                Ok(None)
            }
        }
    }
}

fn record_of(place: &Place) -> Option<u64> {
    match place {
        Place::Record(record) | Place::Attribute { record, .. } => Some(*record),
        _ => None,
    }
}
