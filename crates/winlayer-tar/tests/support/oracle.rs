//! What an archive says, by this crate and by others, in one shape to compare.

use std::io::{Cursor, Read, Write};

use winlayer_tar::{
    ArchiveReader, EntryType, ItemReader, LayerItem, LayerTarWriter, Limits, ReadOptions,
};

/// An entry as every reader must see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `f`, `d`, `l` (symbolic link) or `h` (hard link).
    pub kind: char,
    pub name: Vec<u8>,
    /// Empty unless the entry is a link.
    pub link: Vec<u8>,
    pub size: u64,
    pub crc: u32,
}

pub fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// This crate's reading, to the end of the source.
pub fn ours(archive: &[u8]) -> Result<Vec<Listed>, String> {
    let mut reader = ArchiveReader::new(Cursor::new(archive), Limits::default());
    let mut list = Vec::new();
    while reader.advance().map_err(|error| error.to_string())? {
        let mut body = Vec::new();
        reader
            .body()
            .read_to_end(&mut body)
            .map_err(|error| error.to_string())?;
        let entry = reader.entry();
        let (kind, linked) = match entry.entry_type() {
            EntryType::File => ('f', false),
            EntryType::Directory => ('d', false),
            EntryType::SymbolicLink => ('l', true),
            EntryType::HardLink => ('h', true),
        };
        list.push(Listed {
            kind,
            name: entry.name().to_vec(),
            link: if linked {
                entry.link_name().to_vec()
            } else {
                Vec::new()
            },
            size: entry.size(),
            crc: crc(&body),
        });
    }
    reader.drain().map_err(|error| error.to_string())?;
    Ok(list)
}

/// The `tar` crate's reading. Global headers, which it lists as entries, are left out.
pub fn tar_crate(archive: &[u8]) -> Result<Vec<Listed>, String> {
    let mut list = Vec::new();
    let mut reader = tar::Archive::new(archive);
    for entry in reader.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let kind = match entry.header().entry_type() {
            tar::EntryType::Regular => 'f',
            tar::EntryType::Directory => 'd',
            tar::EntryType::Symlink => 'l',
            tar::EntryType::Link => 'h',
            tar::EntryType::XGlobalHeader => continue,
            other => return Err(format!("type {other:?}")),
        };
        let mut body = Vec::new();
        entry
            .read_to_end(&mut body)
            .map_err(|error| error.to_string())?;
        let link = match kind {
            'l' | 'h' => entry
                .link_name_bytes()
                .map(|name| name.to_vec())
                .unwrap_or_default(),
            _ => Vec::new(),
        };
        list.push(Listed {
            kind,
            name: entry.path_bytes().to_vec(),
            link,
            size: entry.size(),
            crc: crc(&body),
        });
    }
    Ok(list)
}

/// Whatever this crate accepts, the `tar` crate must read in the same way.
///
/// # Panics
/// When it does not.
pub fn check_against_tar_crate(archive: &[u8]) {
    let Ok(ours) = ours(archive) else { return };
    let theirs = tar_crate(archive);
    assert_eq!(
        theirs.as_ref(),
        Ok(&ours),
        "the tar crate reads this archive differently"
    );
}

/// Items with their bodies.
pub type Items = Vec<(LayerItem, Vec<u8>)>;

/// The layer in an archive, if it is accepted.
pub fn items(archive: &[u8]) -> Option<Items> {
    let mut reader = ItemReader::new(Cursor::new(archive), ReadOptions::default());
    let mut items = Vec::new();
    while let Some(mut entry) = reader.next_entry().ok()? {
        let mut body = Vec::new();
        entry.body.read_to_end(&mut body).ok()?;
        items.push((entry.item.clone(), body));
    }
    reader.finish().ok()?;
    Some(items)
}

/// Whatever layer is accepted comes back the same when it is written and read again.
///
/// # Panics
/// When it does not.
pub fn check_round_trip(archive: &[u8]) {
    let Some(mut items) = items(archive) else {
        return;
    };
    let mut writer = LayerTarWriter::new(Vec::new());
    for (item, body) in &mut items {
        if let LayerItem::HardLink(link) = item {
            // A hard link takes descriptor and extended attributes from its target.
            link.metadata.security = None;
            link.metadata.extended_attributes = Default::default();
        }
        writer
            .item(item)
            .unwrap_or_else(|error| panic!("{item:?}: {error}"));
        writer
            .write_all(body)
            .unwrap_or_else(|error| panic!("{item:?}: {error}"));
    }
    let written = writer.finish().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        self::items(&written).as_ref(),
        Some(&items),
        "the layer changed when it was written"
    );
}

/// Every oracle on any bytes.
///
/// # Panics
/// When one fails.
pub fn check(archive: &[u8]) {
    check_against_tar_crate(archive);
    check_round_trip(archive);
}
