//! Tree to bytes.
//!
//! Keys are written level by level: when a key's turn comes its own cell is already reserved, its
//! children's cells are reserved side by side, and then everything that points at them is known.

mod cells;
mod security;
#[cfg(test)]
mod tests;
mod values;

use std::{collections::VecDeque, sync::Arc};

use zerocopy::IntoBytes;

use self::{
    cells::{Cell, Cells},
    security::Ring,
};
use crate::{
    Hive, HiveError, HiveKind, Key, KeyLayer, KeySemantics,
    format::{BaseBlock, HashedKey, KeyNode, LIST_KEYS, ListHeader, NIL, PAGE},
    name::{latin1, utf16le},
};

/// Deepest level the kernel accepts, the root being 1.
const MAX_DEPTH: u32 = 512;
/// Most bytes of a class name, which is UTF-16 with a 16-bit length.
const MAX_CLASS: usize = 65534;

/// A key whose cell is reserved but not written.
struct Pending<'a> {
    key: &'a Key,
    cell: Cell,
    parent: u32,
    depth: u32,
    /// Descriptor of the nearest ancestor that has one.
    inherited: Arc<[u8]>,
    replaced: bool,
}

struct Writer<'a> {
    hive: &'a Hive,
    cells: Cells,
    security: Ring,
    queue: VecDeque<Pending<'a>>,
}

/// See [`Hive::to_bytes`].
pub(crate) fn encode(hive: &Hive) -> Result<Vec<u8>, HiveError> {
    let mut writer = Writer {
        hive,
        cells: Cells::new(hive.last_written()),
        security: Ring::default(),
        queue: VecDeque::new(),
    };
    if hive.root().layer().semantics == KeySemantics::Tombstone {
        return Err(HiveError::RootTombstone);
    }
    let root = writer.reserve_key(hive.root())?;
    writer.queue.push_back(Pending {
        key: hive.root(),
        cell: root,
        parent: NIL,
        depth: 1,
        inherited: Arc::from(security::DEFAULT),
        replaced: false,
    });
    while let Some(pending) = writer.queue.pop_front() {
        writer.write_key(pending)?;
    }
    writer.finish(root)
}

impl<'a> Writer<'a> {
    fn reserve_key(&mut self, key: &Key) -> Result<Cell, HiveError> {
        self.cells
            .reserve(size_of::<KeyNode>() + stored_name(key.name().units()).0.len())
    }

    fn write_key(&mut self, pending: Pending<'a>) -> Result<(), HiveError> {
        let Pending {
            key,
            cell,
            parent,
            depth,
            inherited,
            replaced,
        } = pending;
        check(key, self.hive.kind(), depth, replaced)?;
        let descriptor = key.security().map_or(inherited, Arc::clone);
        let security = self.security.share(&descriptor, &mut self.cells)?;
        let class = self.add_class(key)?;
        let values = values::add(key, self.hive.kind(), &mut self.cells)?;
        let subkey_list = self.add_subkeys(key, cell, depth, &descriptor)?;
        let (name, is_latin1) = stored_name(key.name().units());
        let node = KeyNode {
            signature: KeyNode::SIGNATURE,
            flags: (if is_latin1 { KeyNode::LATIN1_NAME } else { 0 }
                | if depth == 1 {
                    KeyNode::ROOT | KeyNode::NO_DELETE
                } else {
                    0
                })
            .into(),
            last_written: key
                .last_written()
                .unwrap_or(self.hive.last_written())
                .into(),
            access: KeyNode::ACCESSED,
            layer: key.layer().to_byte(),
            spare: 0.into(),
            parent: parent.into(),
            subkeys: count(key.subkeys().len())?.into(),
            volatile_subkeys: 0.into(),
            subkey_list: subkey_list.into(),
            volatile_list: NIL.into(),
            values: count(key.values().len())?.into(),
            value_list: values.into(),
            security: security.0.into(),
            class: class.into(),
            max_subkey_name: short(longest(key.subkeys(), |key| 2 * key.name().units().len()))?
                .into(),
            user_flags: 0.into(),
            max_subkey_class: count(longest(key.subkeys(), class_bytes))?.into(),
            max_value_name: count(longest(key.values(), |value| 2 * value.name.units().len()))?
                .into(),
            max_value_data: count(longest(key.values(), values::data_len))?.into(),
            work: 0.into(),
            name_length: short(name.len())?.into(),
            class_length: short(class_bytes(key))?.into(),
        };
        self.cells.fill(cell, &[node.as_bytes(), &name]);
        Ok(())
    }

    fn add_class(&mut self, key: &Key) -> Result<u32, HiveError> {
        match key.class() {
            Some(class) if !class.is_empty() => {
                let bytes = utf16le(class.iter().copied());
                if bytes.len() > MAX_CLASS {
                    let name = key.name().to_string();
                    return Err(HiveError::Class {
                        name,
                        bytes: bytes.len(),
                    });
                }
                Ok(self.cells.add(&[&bytes])?.0)
            }
            _ => Ok(NIL),
        }
    }

    /// Reserves the children's cells, queues them, and writes the list of them.
    fn add_subkeys(
        &mut self,
        key: &'a Key,
        cell: Cell,
        depth: u32,
        descriptor: &Arc<[u8]>,
    ) -> Result<u32, HiveError> {
        let mut elements = Vec::with_capacity(key.subkeys().len());
        for child in key.subkeys() {
            let child_cell = self.reserve_key(child)?;
            elements.push(HashedKey {
                key: child_cell.0.into(),
                hash: child.name().list_hash().into(),
            });
            self.queue.push_back(Pending {
                key: child,
                cell: child_cell,
                parent: cell.0,
                depth: depth + 1,
                inherited: Arc::clone(descriptor),
                replaced: key.layer().semantics == KeySemantics::SupersedeTree,
            });
        }
        match elements.len() {
            0 => Ok(NIL),
            1..=LIST_KEYS => Ok(self.add_list(ListHeader::HASHED, &elements)?.0),
            _ => {
                let mut lists = Vec::new();
                for part in elements.chunks(LIST_KEYS) {
                    lists.push(zerocopy::little_endian::U32::new(
                        self.add_list(ListHeader::HASHED, part)?.0,
                    ));
                }
                Ok(self.add_list(ListHeader::INDEX, &lists)?.0)
            }
        }
    }

    fn add_list<T: IntoBytes + zerocopy::Immutable>(
        &mut self,
        signature: [u8; 2],
        elements: &[T],
    ) -> Result<Cell, HiveError> {
        let header = ListHeader {
            signature,
            count: short(elements.len())?.into(),
        };
        self.cells.add(&[header.as_bytes(), elements.as_bytes()])
    }

    fn finish(self, root: Cell) -> Result<Vec<u8>, HiveError> {
        let Self {
            hive,
            mut cells,
            security,
            ..
        } = self;
        security.finish(&mut cells)?;
        let bins = cells.finish();
        let mut base = BaseBlock {
            signature: BaseBlock::SIGNATURE,
            primary_sequence: 1.into(),
            secondary_sequence: 1.into(),
            last_written: hive.last_written().into(),
            major: 1.into(),
            minor: 5.into(),
            file_type: 0.into(),
            format: 1.into(),
            root_cell: root.0.into(),
            bins_size: count(bins.len())?.into(),
            clustering: 1.into(),
            file_name: name_tail(hive.file_name()),
            rm_id: [0; 16],
            log_id: [0; 16],
            flags: match hive.kind() {
                HiveKind::Full => 0,
                HiveKind::Delta => BaseBlock::LAYERED,
            }
            .into(),
            tm_id: [0; 16],
            guid_signature: 0.into(),
            last_reorganized: 0.into(),
            reserved: [0; 332],
            checksum: 0.into(),
            reserved_tail: [0; 3584],
        };
        base.checksum = base.compute_checksum().into();
        let mut file = Vec::with_capacity(PAGE + bins.len());
        file.extend_from_slice(base.as_bytes());
        file.extend_from_slice(&bins);
        Ok(file)
    }
}

/// The rules a tree must keep that its types do not.
fn check(key: &Key, kind: HiveKind, depth: u32, replaced: bool) -> Result<(), HiveError> {
    let name = || key.name().to_string();
    let layer = key.layer();
    if depth > MAX_DEPTH {
        return Err(HiveError::Depth { name: name() });
    }
    if kind == HiveKind::Full && layer != KeyLayer::NONE {
        return Err(HiveError::NotADelta { name: name() });
    }
    match layer.semantics {
        KeySemantics::Tombstone => {
            let empty =
                key.class().is_none() && key.values().is_empty() && key.subkeys().is_empty();
            if empty {
                Ok(())
            } else {
                Err(HiveError::TombstoneWithContent { name: name() })
            }
        }
        KeySemantics::SupersedeTree => Ok(()),
        KeySemantics::Merge | KeySemantics::SupersedeLocal if replaced => {
            Err(HiveError::InsideReplacedTree { name: name() })
        }
        KeySemantics::Merge | KeySemantics::SupersedeLocal => Ok(()),
    }
}

/// A name as stored, and whether that is Latin-1.
fn stored_name(units: &[u16]) -> (Vec<u8>, bool) {
    match latin1(units) {
        Some(bytes) => (bytes, true),
        None => (utf16le(units.iter().copied()), false),
    }
}

fn class_bytes(key: &Key) -> usize {
    key.class().map_or(0, |class| 2 * class.len())
}

fn longest<T>(items: &[T], length: impl Fn(&T) -> usize) -> usize {
    items.iter().map(length).max().unwrap_or(0)
}

/// The last 31 units of the file name, so that a NUL always ends it.
fn name_tail(name: &str) -> [u8; 64] {
    let units: Vec<u16> = name.encode_utf16().collect();
    let tail = units
        .get(units.len().saturating_sub(31)..)
        .unwrap_or_default();
    let mut field = [0; 64];
    for (target, byte) in field.iter_mut().zip(utf16le(tail.iter().copied())) {
        *target = byte;
    }
    field
}

fn count(value: usize) -> Result<u32, HiveError> {
    u32::try_from(value).map_err(|_| HiveError::TooLarge)
}

fn short(value: usize) -> Result<u16, HiveError> {
    u16::try_from(value).map_err(|_| HiveError::TooLarge)
}
