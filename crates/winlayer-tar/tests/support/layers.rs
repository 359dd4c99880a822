//! Reading small layers, and what is expected of them.

use std::io::{Cursor, Read};

use winlayer_tar::{ItemReader, LayerItem, LayerRole, Object, ReadOptions, TarError, TarErrorKind};

use super::Blocks;

/// The trees that hold a file system.
pub const BOTH: [&str; 2] = ["Files", "UtilityVM/Files"];

pub fn read_with(
    archive: &[u8],
    options: ReadOptions,
) -> Result<(Vec<LayerItem>, Vec<String>), TarError> {
    let mut reader = ItemReader::new(Cursor::new(archive), options);
    let mut items = Vec::new();
    while let Some(mut entry) = reader.next_entry()? {
        let mut body = Vec::new();
        if let Ok(count) = entry.body.read_to_end(&mut body) {
            assert_eq!(count as u64, entry.item.body_len());
        }
        items.push(entry.item.clone());
    }
    Ok((items, reader.finish()?))
}

pub fn read(blocks: Blocks) -> Result<Vec<LayerItem>, TarError> {
    read_with(&blocks.end(), ReadOptions::default()).map(|(items, _)| items)
}

#[track_caller]
pub fn refused(blocks: Blocks) -> TarErrorKind {
    match read(blocks) {
        Ok(items) => panic!("must be refused, was read as {items:?}"),
        Err(error) => {
            assert!(
                !error.to_string().contains(|c: char| c.is_control()),
                "{error}"
            );
            error.kind()
        }
    }
}

/// A layer with all tree roots.
pub fn roots() -> Blocks {
    Blocks::default()
        .dir("Files")
        .dir("UtilityVM")
        .dir("UtilityVM/Files")
}

pub fn as_role(blocks: Blocks, role: LayerRole) -> Result<Vec<LayerItem>, TarError> {
    let options = ReadOptions {
        role: Some(role),
        ..ReadOptions::default()
    };
    read_with(&blocks.end(), options).map(|(items, _)| items)
}

pub fn object(items: &[LayerItem]) -> &Object {
    match items.last() {
        Some(LayerItem::Object(object)) => object,
        other => panic!("expected an object, found {other:?}"),
    }
}
