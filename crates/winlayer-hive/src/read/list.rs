//! Lists of subkeys: `lf`, `lh`, `li`, and `ri`, a list of those.

use std::{borrow::Cow, collections::HashSet};

use zerocopy::{FromBytes, little_endian::U32};

use super::{Key, key::start};
use crate::{
    HiveError, Name,
    format::{HashedKey, KeyNode, ListHeader},
    hive::damaged,
};

/// The subkeys of a key. After an error nothing follows.
#[derive(Clone, Debug)]
pub struct Subkeys<'h> {
    parent: Key<'h>,
    cells: Cells<'h>,
    order: Order<'h>,
    failed: bool,
}

/// Guards against a list that has the same key twice.
#[derive(Clone, Debug)]
enum Order<'h> {
    Start,
    /// Names ascend, so far to this one.
    Sorted(Name<'h>),
    /// Names do not ascend; these cells have been.
    Unsorted(HashSet<u32>),
}

impl<'h> Subkeys<'h> {
    pub(super) fn new(parent: &Key<'h>) -> Self {
        Self {
            cells: Cells::new(parent),
            parent: parent.clone(),
            order: Order::Start,
            failed: false,
        }
    }

    /// The subkey of this name, by the hashes and hints of the lists.
    pub(super) fn find(mut self, name: &Name<'_>) -> Result<Option<Key<'h>>, HiveError> {
        let hash = name.list_hash();
        // Writers of other systems may upper-case other letters than these in other ways.
        let hash_decides = name.is_ascii();
        for element in self.cells.by_ref() {
            let (cell, hint) = element?;
            let differs = match hint {
                Hint::Hash(other) => hash_decides && other != hash,
                Hint::Start(letters) => hash_decides && !name.may_start_with(letters),
                Hint::None => false,
            };
            if differs {
                continue;
            }
            let key = Key::child(&self.parent, cell)?;
            if key.name() == name {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    fn take(&mut self, cell: u32) -> Result<Key<'h>, HiveError> {
        let key = Key::child(&self.parent, cell)?;
        let twice = match &mut self.order {
            Order::Start => {
                self.order = Order::Sorted(key.name().clone());
                false
            }
            Order::Sorted(last) if *last < *key.name() => {
                *last = key.name().clone();
                false
            }
            Order::Sorted(_) => {
                let before = self.cells.consumed - 1;
                let cells = Cells::new(&self.parent)
                    .take(before as usize)
                    .map(|element| Ok(element?.0));
                let mut seen = cells.collect::<Result<HashSet<u32>, HiveError>>()?;
                let twice = !seen.insert(cell);
                self.order = Order::Unsorted(seen);
                twice
            }
            Order::Unsorted(seen) => !seen.insert(cell),
        };
        if twice {
            let found = "one that was listed before";
            return Err(damaged(cell, "another subkey", found));
        }
        Ok(key)
    }
}

impl<'h> Iterator for Subkeys<'h> {
    type Item = Result<Key<'h>, HiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let key = match self.cells.next()? {
            Ok((cell, _)) => self.take(cell),
            Err(error) => Err(error),
        };
        self.failed = key.is_err();
        Some(key)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.cells.left as usize))
    }
}

/// What a list tells about a key without reading it.
#[derive(Clone, Copy, Debug)]
enum Hint {
    Hash(u32),
    Start([u8; 4]),
    None,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Hashed,
    Hinted,
    Plain,
}

/// Cells of the subkeys with their hints, as the lists have them.
#[derive(Clone, Debug)]
struct Cells<'h> {
    parent: Key<'h>,
    /// The root of the lists is still to be read.
    fresh: bool,
    /// Elements of the `ri` list, those already opened cut off.
    lists: Elements<'h>,
    kind: Kind,
    /// Elements of the list being read.
    list: Elements<'h>,
    /// Subkeys that must still come.
    left: u32,
    consumed: u32,
}

#[derive(Clone, Debug)]
struct Elements<'h> {
    bytes: Cow<'h, [u8]>,
    at: usize,
}

impl Elements<'_> {
    const NONE: Self = Self {
        bytes: Cow::Borrowed(&[]),
        at: 0,
    };

    fn next<T: FromBytes>(&mut self) -> Option<T> {
        let (element, _) = T::read_from_prefix(self.bytes.get(self.at..)?).ok()?;
        self.at += size_of::<T>();
        Some(element)
    }
}

impl<'h> Cells<'h> {
    fn new(parent: &Key<'h>) -> Self {
        Self {
            left: parent.subkey_count(),
            parent: parent.clone(),
            fresh: true,
            lists: Elements::NONE,
            kind: Kind::Plain,
            list: Elements::NONE,
            consumed: 0,
        }
    }

    fn advance(&mut self) -> Result<Option<(u32, Hint)>, HiveError> {
        if self.fresh {
            self.fresh = false;
            self.open_root()?;
        }
        loop {
            if let Some(element) = self.element() {
                return match self.left.checked_sub(1) {
                    Some(left) => {
                        self.left = left;
                        self.consumed += 1;
                        Ok(Some(element))
                    }
                    None => Err(self.miscounted("more")),
                };
            }
            match self.lists.next::<U32>() {
                Some(cell) => {
                    if let Opened::Index(_) = self.open(cell.get())? {
                        let found = "a list of lists (ri)";
                        return Err(damaged(cell.get(), "a list of keys", found));
                    }
                }
                None if self.left == 0 => return Ok(None),
                None => return Err(self.miscounted("fewer")),
            }
        }
    }

    fn element(&mut self) -> Option<(u32, Hint)> {
        match self.kind {
            Kind::Plain => Some((self.list.next::<U32>()?.get(), Hint::None)),
            Kind::Hashed | Kind::Hinted => {
                let HashedKey { key, hash } = self.list.next()?;
                let hint = match self.kind {
                    Kind::Hashed => Hint::Hash(hash.get()),
                    _ => Hint::Start(hash.to_bytes()),
                };
                Some((key.get(), hint))
            }
        }
    }

    fn open_root(&mut self) -> Result<(), HiveError> {
        if self.left == 0 {
            return Ok(());
        }
        let most = self.parent.hive().bins_size() as usize / size_of::<KeyNode>();
        if self.left as usize > most {
            let found = format!("{} subkeys", self.left);
            let cell = self.parent.offset();
            return Err(damaged(
                cell,
                "no more subkeys than the hive has room for",
                found,
            ));
        }
        if let Opened::Index(lists) = self.open(self.parent.node().subkey_list.get())? {
            self.lists = lists;
        }
        Ok(())
    }

    /// Reads a list; one of keys becomes the current one.
    fn open(&mut self, cell: u32) -> Result<Opened<'h>, HiveError> {
        let content = self.parent.hive().cell(cell)?;
        let Ok((header, rest)) = ListHeader::read_from_prefix(&content) else {
            return Err(damaged(cell, "a list of subkeys", "an empty cell"));
        };
        let (kind, size) = match header.signature {
            ListHeader::HASHED => (Some(Kind::Hashed), size_of::<HashedKey>()),
            ListHeader::HINTED => (Some(Kind::Hinted), size_of::<HashedKey>()),
            ListHeader::PLAIN => (Some(Kind::Plain), size_of::<U32>()),
            ListHeader::INDEX => (None, size_of::<U32>()),
            _ => {
                let expected = "a list of subkeys (lf, lh, li or ri)";
                return Err(damaged(cell, expected, start(&content)));
            }
        };
        let length = usize::from(header.count.get()) * size;
        if length > rest.len() {
            let found = format!("{} elements", header.count);
            return Err(damaged(cell, "a list within its cell", found));
        }
        let bytes = super::part(content, size_of::<ListHeader>(), length).unwrap_or_default();
        let elements = Elements { bytes, at: 0 };
        Ok(match kind {
            Some(kind) => {
                self.kind = kind;
                self.list = elements;
                Opened::Keys
            }
            None => Opened::Index(elements),
        })
    }

    fn miscounted(&self, how: &str) -> HiveError {
        let found = format!("{how} than {}", self.parent.subkey_count());
        let cell = self.parent.offset();
        damaged(cell, "as many subkeys as the key says", found)
    }
}

enum Opened<'h> {
    Keys,
    Index(Elements<'h>),
}

impl Iterator for Cells<'_> {
    type Item = Result<(u32, Hint), HiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}
