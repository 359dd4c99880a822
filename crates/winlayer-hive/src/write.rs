//! Keys to bytes.
//!
//! When a key's turn comes its own cell is already reserved; its children's cells are reserved side by
//! side, and then everything that points at them is known. Their turns follow at once, so what waits
//! is only the siblings along one path: trees of any size stream through.

mod cells;
mod node;
mod security;
#[cfg(test)]
mod tests;
mod values;

use zerocopy::{IntoBytes, little_endian::U32};

pub(crate) use self::node::{Content, Node, NodeValue};
use self::{
    cells::{Cell, Cells},
    security::Ring,
};
use crate::{
    HiveError, HiveKind, KeyLayer, KeySemantics, Name,
    format::{BaseBlock, HashedKey, KeyNode, LIST_KEYS, ListHeader, MAX_DEPTH, NIL},
};

/// Most bytes of a class name, which is UTF-16 with a 16-bit length.
const MAX_CLASS: usize = 65534;

/// What the file's header says of it.
pub(crate) struct Header {
    pub kind: HiveKind,
    /// The flag that says that there are layer semantics.
    pub layered: bool,
    /// Tail of the file name, see [`name_tail`].
    pub file_name: [u8; 64],
    /// Also the time of keys without their own.
    pub last_written: u64,
    /// About how long the file will be.
    pub size_hint: usize,
}

/// A key whose cell is reserved but not written.
struct Pending<N> {
    key: N,
    cell: Cell,
    parent: u32,
    depth: u16,
    /// Place in the ring of the nearest ancestor's descriptor.
    inherited: Option<usize>,
    replaced: bool,
}

struct Writer<N> {
    header: Header,
    cells: Cells,
    security: Ring,
    /// The next key to write is the last.
    pending: Vec<Pending<N>>,
}

/// The file of the hive with this root.
pub(crate) fn encode<N: Node>(root: N, header: Header) -> Result<Vec<u8>, HiveError> {
    if root.layer().semantics == KeySemantics::Tombstone {
        return Err(HiveError::RootTombstone);
    }
    let mut writer = Writer {
        cells: Cells::new(header.last_written, header.size_hint),
        header,
        security: Ring::default(),
        pending: Vec::new(),
    };
    let cell = writer.reserve_key(&root.name())?;
    writer.pending.push(Pending {
        key: root,
        cell,
        parent: NIL,
        depth: 1,
        inherited: None,
        replaced: false,
    });
    while let Some(pending) = writer.pending.pop() {
        writer.write_key(pending)?;
    }
    writer.finish(cell)
}

impl<N: Node> Writer<N> {
    fn reserve_key(&mut self, name: &Name<'_>) -> Result<Cell, HiveError> {
        self.cells
            .reserve(size_of::<KeyNode>() + name.bytes().len())
    }

    fn write_key(&mut self, pending: Pending<N>) -> Result<(), HiveError> {
        let Pending {
            key, cell, parent, ..
        } = &pending;
        let values = key.values()?;
        let children = key.children()?;
        check(
            key,
            self.header.kind,
            &pending,
            values.is_empty() && children.is_empty(),
        )?;
        let (place, security) = match (key.security()?, pending.inherited) {
            (Some(descriptor), _) => self.security.share(&descriptor, &mut self.cells)?,
            (None, Some(place)) => self.security.share_again(place)?,
            (None, None) => self.security.share(&security::DEFAULT, &mut self.cells)?,
        };
        let class = self.add_class(key)?;
        let value_list = values::add(key, &values, self.header.kind, &mut self.cells)?;
        let longest_names = [
            longest(&children, |key| 2 * key.name().len()),
            longest(&values, |value| 2 * value.name.len()),
        ];
        let longest_class = longest(&children, Node::class_len);
        let counts = [children.len(), values.len()];
        let longest_data = longest(&values, |value| value.content.len());
        let subkey_list = self.add_subkeys(&pending, children, place)?;
        let name = key.name();
        let name_flag = if name.is_latin1() {
            KeyNode::LATIN1_NAME
        } else {
            0
        };
        let root_flags = if pending.depth == 1 {
            KeyNode::ROOT | KeyNode::NO_DELETE
        } else {
            0
        };
        let node = KeyNode {
            signature: KeyNode::SIGNATURE,
            flags: (name_flag | root_flags | key.flags() & KeyNode::LASTING).into(),
            last_written: key
                .last_written()
                .unwrap_or(self.header.last_written)
                .into(),
            access: KeyNode::ACCESSED,
            layer: key.layer().to_byte(),
            spare: 0.into(),
            parent: (*parent).into(),
            subkeys: count(counts[0])?.into(),
            volatile_subkeys: 0.into(),
            subkey_list: subkey_list.into(),
            volatile_list: NIL.into(),
            values: count(counts[1])?.into(),
            value_list: value_list.into(),
            security: security.0.into(),
            class: class.into(),
            max_subkey_name: short(longest_names[0])?.into(),
            user_flags: key.user_flags().into(),
            max_subkey_class: count(longest_class)?.into(),
            max_value_name: count(longest_names[1])?.into(),
            max_value_data: count(longest_data)?.into(),
            work: 0.into(),
            name_length: short(name.bytes().len())?.into(),
            class_length: short(key.class_len())?.into(),
        };
        self.cells.fill(*cell, &[node.as_bytes(), name.bytes()]);
        Ok(())
    }

    fn add_class(&mut self, key: &N) -> Result<u32, HiveError> {
        if key.class_len() == 0 {
            return Ok(NIL);
        }
        if key.class_len() > MAX_CLASS {
            return Err(HiveError::Class {
                name: key.name().to_string(),
                bytes: key.class_len(),
            });
        }
        let class = key.class()?.unwrap_or_default();
        Ok(self.cells.add(&[&class])?.0)
    }

    /// Reserves the children's cells, makes them wait, and writes the list of them.
    fn add_subkeys(
        &mut self,
        parent: &Pending<N>,
        children: Vec<N>,
        inherited: usize,
    ) -> Result<u32, HiveError> {
        let mut elements = Vec::with_capacity(children.len());
        let first = self.pending.len();
        for child in children {
            let name = child.name();
            let cell = self.reserve_key(&name)?;
            elements.push(HashedKey {
                key: cell.0.into(),
                hash: name.list_hash().into(),
            });
            drop(name);
            self.pending.push(Pending {
                key: child,
                cell,
                parent: parent.cell.0,
                depth: parent.depth + 1,
                inherited: Some(inherited),
                replaced: parent.key.layer().semantics == KeySemantics::SupersedeTree,
            });
        }
        self.pending.get_mut(first..).unwrap_or_default().reverse();
        match elements.len() {
            0 => Ok(NIL),
            1..=LIST_KEYS => Ok(self.add_list(ListHeader::HASHED, &elements)?.0),
            _ => {
                let mut lists = Vec::new();
                for part in elements.chunks(LIST_KEYS) {
                    lists.push(U32::new(self.add_list(ListHeader::HASHED, part)?.0));
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
            header,
            mut cells,
            security,
            ..
        } = self;
        security.finish(&mut cells)?;
        let mut base = BaseBlock {
            signature: BaseBlock::SIGNATURE,
            primary_sequence: 1.into(),
            secondary_sequence: 1.into(),
            last_written: header.last_written.into(),
            major: 1.into(),
            minor: 5.into(),
            file_type: 0.into(),
            format: 1.into(),
            root_cell: root.0.into(),
            bins_size: count(cells.bins_size())?.into(),
            clustering: 1.into(),
            file_name: header.file_name,
            rm_id: [0; 16],
            log_id: [0; 16],
            flags: if header.layered {
                BaseBlock::LAYERED
            } else {
                0
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
        Ok(cells.finish(&base))
    }
}

/// The rules a tree must keep that its types do not.
fn check<N: Node>(
    key: &N,
    kind: HiveKind,
    pending: &Pending<N>,
    is_leaf: bool,
) -> Result<(), HiveError> {
    let name = || key.name().to_string();
    let layer = key.layer();
    if pending.depth > MAX_DEPTH {
        return Err(HiveError::Depth { name: name() });
    }
    if kind == HiveKind::Full && layer != KeyLayer::NONE {
        return Err(HiveError::NotADelta { name: name() });
    }
    match layer.semantics {
        KeySemantics::Tombstone if is_leaf && key.class_len() == 0 => Ok(()),
        KeySemantics::Tombstone => Err(HiveError::TombstoneWithContent { name: name() }),
        KeySemantics::Merge | KeySemantics::SupersedeLocal if pending.replaced => {
            Err(HiveError::InsideReplacedTree { name: name() })
        }
        _ => Ok(()),
    }
}

fn longest<T>(items: &[T], length: impl Fn(&T) -> usize) -> usize {
    items.iter().map(length).max().unwrap_or(0)
}

/// The last 31 units of the file name, so that a NUL always ends it.
pub(crate) fn name_tail(name: &str) -> [u8; 64] {
    let units: Vec<u16> = name.encode_utf16().collect();
    let tail = units
        .get(units.len().saturating_sub(31)..)
        .unwrap_or_default();
    let mut field = [0; 64];
    let bytes = tail.iter().flat_map(|unit| unit.to_le_bytes());
    for (target, byte) in field.iter_mut().zip(bytes) {
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
