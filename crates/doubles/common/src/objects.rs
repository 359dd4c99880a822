//! What a live object carries that Wine does not keep: its backup stream, whether it is a link or a
//! placeholder. Kept among the state by volume and file index, so all hard links share it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::stream::{self, ALTERNATE, DATA, EA, REPARSE, Record, SECURITY, SPARSE, records_of};
use crate::{state, sys};

/// Reading attributes, also of directories.
const ATTRIBUTES: u32 = 0x0010_0080;

/// Owner and group are SYSTEM, everybody may do everything: for objects nobody gave a descriptor.
const DESCRIPTOR: [u8; 44] = [
    1, 0, 4, 0x80, 20, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
    1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
];

fn place(file: &File, ending: &str) -> io::Result<PathBuf> {
    let id = sys::id_of(file)?;
    let name = format!("{:08x}-{:016x}.{ending}", id.volume, id.index);
    Ok(state::state_folder().join("objects").join(name))
}

/// Where the stream of the open `file` is kept, and its folder is made.
///
/// # Errors
///
/// Of the file system.
pub fn stream_file(file: &File) -> io::Result<PathBuf> {
    let place = place(file, "stream")?;
    fs::create_dir_all(state::state_folder().join("objects"))?;
    Ok(place)
}

/// Records what the open `file` is, after its stream was written to [`stream_file`].
///
/// # Errors
///
/// Of the file system.
pub fn keep(file: &File, attributes: Option<u32>) -> io::Result<()> {
    let records = records_of(&place(file, "stream")?)?;
    let link = records.iter().any(|record| record.id == REPARSE);
    let facts = json!({
        "kind": "stream", "link": link, "length": file.metadata()?.len(),
        "attributes": attributes, "name": name_of(file)?,
    });
    state::save(&place(file, "json")?, &facts)
}

fn name_of(file: &File) -> io::Result<String> {
    let path = sys::final_path(file)?;
    Ok(path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase())
}

/// Records that the object at `path` only stands for one of a layer below.
///
/// # Errors
///
/// Of the file system.
pub fn keep_placeholder(path: &Path) -> io::Result<()> {
    let file = sys::open_object(path, ATTRIBUTES)?;
    forget(&file);
    let own = sys::final_path(&file)?.to_string_lossy().to_lowercase();
    state::save(
        &place(&file, "json")?,
        &json!({"kind": "placeholder", "path": own, "length": 0}),
    )
}

/// Forgets what was recorded about the open `file`.
pub fn forget(file: &File) {
    for ending in ["stream", "json"] {
        if let Ok(place) = place(file, ending) {
            let _ = fs::remove_file(place);
        }
    }
}

/// What is recorded about the open `file`, unless another object has got its index since.
#[must_use]
pub fn facts(file: &File) -> Option<Value> {
    let facts = state::load(&place(file, "json").ok()?);
    let metadata = file.metadata().ok()?;
    let same = match facts.get("kind")?.as_str()? {
        "placeholder" => {
            facts.get("path")?.as_str()?
                == sys::final_path(file).ok()?.to_string_lossy().to_lowercase()
        }
        _ if metadata.is_dir() => facts.get("name")?.as_str()? == name_of(file).ok()?,
        _ => facts.get("length")?.as_u64()? == metadata.len(),
    };
    same.then_some(facts)
}

fn fact(path: &Path, key: &str) -> Option<Value> {
    facts(&sys::open_object(path, ATTRIBUTES).ok()?)?
        .get(key)
        .cloned()
}

/// Whether the object at `path` is a link.
#[must_use]
pub fn is_link(path: &Path) -> bool {
    fact(path, "link")
        .and_then(|link| link.as_bool())
        .unwrap_or_default()
}

/// Whether the object at `path` only stands for one of a layer below.
#[must_use]
pub fn is_placeholder(path: &Path) -> bool {
    fact(path, "kind").is_some_and(|kind| kind == "placeholder")
}

/// The attributes a layer gave the object, or those it has.
#[must_use]
pub fn attributes(file: &File) -> u32 {
    let given =
        facts(file).and_then(|facts| u32::try_from(facts.get("attributes")?.as_u64()?).ok());
    given.unwrap_or_else(|| sys::id_of(file).map_or(0, |id| id.attributes))
}

/// A stream being given back.
#[derive(Debug)]
pub struct Reading {
    parts: std::collections::VecDeque<Part>,
}

#[derive(Debug)]
enum Part {
    Bytes(io::Cursor<Vec<u8>>),
    File(io::Take<File>),
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(part) = self.parts.front_mut() {
            let got = match part {
                Part::Bytes(bytes) => bytes.read(buffer)?,
                Part::File(file) => file.read(buffer)?,
            };
            if got > 0 || buffer.is_empty() {
                return Ok(got);
            }
            self.parts.pop_front();
        }
        Ok(0)
    }
}

/// The stream of the object at `path`, open as `file`: the one it was given, in the order in which
/// Windows reads it, or one made up from what it is.
///
/// # Errors
///
/// Of the file system.
pub fn reading(file: &File, path: &Path, security: bool) -> io::Result<Reading> {
    let mut parts = std::collections::VecDeque::new();
    if facts(file).is_none_or(|facts| facts.get("kind").is_none_or(|kind| kind != "stream")) {
        if security {
            parts.push_back(bytes(stream::record(SECURITY, 2, &DESCRIPTOR)));
        }
        let metadata = file.metadata()?;
        if metadata.is_file() {
            parts.push_back(bytes(stream::head(DATA, 0, metadata.len())));
            parts.push_back(Part::File(File::open(path)?.take(metadata.len())));
        }
        return Ok(Reading { parts });
    }
    let kept = place(file, "stream")?;
    let mut records = records_of(&kept)?;
    records.sort_by_key(rank);
    for record in records
        .iter()
        .filter(|record| security || record.id != SECURITY)
    {
        let mut from = File::open(&kept)?;
        from.seek(SeekFrom::Start(record.at))?;
        let mut head = vec![0; usize::try_from(record.head).unwrap_or_default()];
        from.read_exact(&mut head)?;
        if let (SECURITY, Some(attributes)) = (record.id, head.get_mut(4)) {
            // STREAM_CONTAINS_SECURITY, which only reading sets.
            *attributes = 2;
        }
        parts.push_back(bytes(head));
        parts.push_back(Part::File(from.take(record.size)));
    }
    Ok(Reading { parts })
}

fn bytes(bytes: Vec<u8>) -> Part {
    Part::Bytes(io::Cursor::new(bytes))
}

/// The order in which Windows reads records from NTFS.
fn rank(record: &Record) -> u32 {
    match record.id {
        SECURITY => 0,
        REPARSE | DATA => 1,
        SPARSE => 2,
        EA => 3,
        ALTERNATE => 4,
        _ => 5,
    }
}

/// Gives `to` what is recorded about `from`.
///
/// # Errors
///
/// Of the file system.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (
        sys::open_object(from, ATTRIBUTES)?,
        sys::open_object(to, ATTRIBUTES)?,
    );
    forget(&to);
    if facts(&from).is_some_and(|facts| facts.get("kind").is_some_and(|kind| kind == "stream")) {
        fs::copy(place(&from, "stream")?, stream_file(&to)?)?;
        keep(&to, Some(attributes(&from)))?;
    }
    Ok(())
}
