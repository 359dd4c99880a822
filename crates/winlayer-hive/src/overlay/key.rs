//! A key of an overlay.

use std::{borrow::Cow, collections::HashMap, ops::Deref};

use super::rules::Stack;
use crate::{Hive, HiveError, Key, Name, Value, hive::damaged};

/// A key of an [`crate::Overlay`]: the keys of one path that take part, topmost first.
#[derive(Clone, Debug)]
pub struct MergedKey<'o> {
    stack: Stack<'o>,
    /// The key whose name counts.
    name: Name<'o>,
}

/// A value of a [`MergedKey`], and which hive it is from.
#[derive(Clone, Debug)]
pub struct MergedValue<'o> {
    value: Value<'o>,
    hive: usize,
}

impl<'o> MergedKey<'o> {
    pub(super) fn root(hives: &'o [Hive<'_>]) -> Result<Self, HiveError> {
        let mut stack = Stack::new();
        for (number, hive) in hives.iter().enumerate().rev() {
            let root = hive.root()?;
            let offset = root.offset();
            let before = stack.keys.len();
            let was_closed = stack.is_closed();
            stack.add(number, root);
            if !was_closed && stack.keys.len() == before {
                return Err(damaged(offset, "a root key", "a deleted one"));
            }
        }
        Self::of(stack).ok_or(HiveError::Layers { count: 0 })
    }

    /// `None` when no key takes part.
    fn of(stack: Stack<'o>) -> Option<Self> {
        let name = stack.bottom()?.name().clone();
        Some(Self { stack, name })
    }

    /// The key's name. That of the root means nothing.
    pub fn name(&self) -> &Name<'o> {
        &self.name
    }

    /// Last write time, in 100 ns ticks since 1601: the newest of the keys that take part.
    pub fn last_written(&self) -> u64 {
        self.stack.last_written()
    }

    /// The keys that take part, with the numbers of their hives (0 is the lowest), topmost first.
    pub fn parts(&self) -> impl Iterator<Item = (usize, &Key<'o>)> {
        self.stack.keys.iter().map(|(number, key)| (*number, key))
    }

    /// Class name as UTF-16LE bytes.
    ///
    /// # Errors
    /// As for [`Key::class`].
    pub fn class(&self) -> Result<Option<Cow<'o, [u8]>>, HiveError> {
        self.stack.class().map_or(Ok(None), Key::class)
    }

    /// The self-relative security descriptor, that of the topmost key.
    ///
    /// # Errors
    /// As for [`Key::security`].
    pub fn security(&self) -> Result<Option<Cow<'o, [u8]>>, HiveError> {
        self.stack.top().map_or(Ok(None), Key::security)
    }

    /// Whether the key is a symbolic link: its value `SymbolicLinkValue` names another key.
    pub fn is_link(&self) -> bool {
        self.stack.top().is_some_and(Key::is_link)
    }

    /// Bytes of the class name.
    pub(super) fn class_len(&self) -> usize {
        self.stack.class().map_or(0, Key::class_len)
    }

    pub(super) fn top(&self) -> Option<&Key<'o>> {
        self.stack.top()
    }

    /// The subkey `name`; case does not matter.
    ///
    /// # Errors
    /// As for [`Key::subkey`].
    pub fn subkey(&self, name: &str) -> Result<Option<Self>, HiveError> {
        let name = Name::from(name);
        let mut stack = Stack::new();
        for (number, key) in &self.stack.keys {
            if stack.is_closed() {
                break;
            }
            if let Some(subkey) = key.find(&name)? {
                stack.add(*number, subkey);
            }
        }
        Ok(Self::of(stack))
    }

    /// The key at `path` below this one, components separated by backslashes; the empty path is
    /// this key. Case does not matter.
    ///
    /// # Errors
    /// As for [`Key::subkey`].
    pub fn get(&self, path: &str) -> Result<Option<Self>, HiveError> {
        let mut key = self.clone();
        for name in path.split('\\').filter(|name| !name.is_empty()) {
            match key.subkey(name)? {
                Some(subkey) => key = subkey,
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    /// The subkeys, sorted by upper-cased name. Their records are read now, all else is not.
    ///
    /// # Errors
    /// As for [`crate::Subkeys`].
    pub fn subkeys(&self) -> Result<MergedSubkeys<'o>, HiveError> {
        let mut all = Vec::new();
        for (number, key) in &self.stack.keys {
            for subkey in key.subkeys() {
                all.push((*number, subkey?));
            }
        }
        // Stable, and quick on what are a few sorted runs: equal names stay topmost first.
        all.sort_by(|(_, a), (_, b)| a.name().cmp(b.name()));
        Ok(MergedSubkeys {
            keys: all.into_iter().peekable(),
        })
    }

    /// The values: those of the lowest hive first, in its order.
    ///
    /// # Errors
    /// As for [`crate::Values`].
    pub fn values(&self) -> Result<Vec<MergedValue<'o>>, HiveError> {
        let parts = self.stack.keys.iter().take(self.stack.with_values);
        let mut values = Values::default();
        for (number, key) in parts.rev() {
            values.add(*number, key)?;
        }
        Ok(values.finish())
    }

    /// The value `name` (empty: the default value); case does not matter.
    ///
    /// # Errors
    /// As for [`Key::value`].
    pub fn value(&self, name: &str) -> Result<Option<MergedValue<'o>>, HiveError> {
        let name = Name::from(name);
        for (number, key) in self.stack.keys.iter().take(self.stack.with_values) {
            if let Some(value) = key.find_value(&name)? {
                let value = MergedValue {
                    value,
                    hive: *number,
                };
                return Ok(Some(value).filter(|value| !value.is_tombstone()));
            }
        }
        Ok(None)
    }
}

/// Values collected from the lowest hive upwards.
#[derive(Default)]
struct Values<'o> {
    values: Vec<MergedValue<'o>>,
    /// Where each name is, once there are several.
    places: HashMap<Name<'o>, usize>,
}

impl<'o> Values<'o> {
    /// Lists up to this length are searched without an index.
    const FEW: usize = 16;

    fn add(&mut self, hive: usize, key: &Key<'o>) -> Result<(), HiveError> {
        for value in key.values() {
            let value = MergedValue {
                value: value?,
                hive,
            };
            match self.place(value.name()) {
                // Of two values of one name the kernel finds the first.
                Some(place) => {
                    if let Some(below) = self.values.get_mut(place)
                        && below.hive != hive
                    {
                        *below = value;
                    }
                }
                None => {
                    if self.values.len() >= Self::FEW {
                        self.places.insert(value.name().clone(), self.values.len());
                    }
                    self.values.push(value);
                }
            }
        }
        Ok(())
    }

    fn place(&self, name: &Name<'_>) -> Option<usize> {
        let mut few = self.values.iter().take(Self::FEW);
        few.position(|value| value.name() == name)
            .or_else(|| self.places.get(name).copied())
    }

    fn finish(mut self) -> Vec<MergedValue<'o>> {
        self.values.retain(|value| !value.is_tombstone());
        self.values
    }
}

impl<'o> MergedValue<'o> {
    /// The number of the hive that the value is from; 0 is the lowest.
    pub fn hive(&self) -> usize {
        self.hive
    }

    pub(super) fn into_value(self) -> Value<'o> {
        self.value
    }
}

impl<'o> Deref for MergedValue<'o> {
    type Target = Value<'o>;

    fn deref(&self) -> &Self::Target {
        &self.value
    }
}

/// The subkeys of a [`MergedKey`].
#[derive(Clone, Debug)]
pub struct MergedSubkeys<'o> {
    /// Sorted by name, equal ones topmost first.
    keys: std::iter::Peekable<std::vec::IntoIter<(usize, Key<'o>)>>,
}

impl<'o> Iterator for MergedSubkeys<'o> {
    type Item = MergedKey<'o>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (number, key) = self.keys.next()?;
            let name = key.name().clone();
            let mut stack = Stack::new();
            stack.add(number, key);
            while let Some((number, key)) = self.keys.next_if(|(_, key)| *key.name() == name) {
                stack.add(number, key);
            }
            if let Some(key) = MergedKey::of(stack) {
                return Some(key);
            }
        }
    }
}
