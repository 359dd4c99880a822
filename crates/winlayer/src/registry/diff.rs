//! What two registries differ in.

use std::{cmp::Ordering, collections::HashMap};

use serde::Serialize;
use winlayer_hive::{HiveError, MergedKey, MergedValue, Name};

use super::{ImageRegistry, Part, RegistryHive, RegistryValue, View};
use crate::{Error, Result};

/// In which way something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Both have it, with another content.
    Changed,
}

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyChange {
    /// Its full name.
    pub key: String,
    /// A removed key stands for everything below it; `Changed` is about values.
    pub change: Change,
    /// The values that differ; of an added key all, of a removed key none.
    pub values: Vec<ValueChange>,
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueChange {
    /// Its name; empty for the default value.
    pub name: String,
    /// In which way.
    pub change: Change,
    /// What the first has.
    pub before: Option<RegistryValue>,
    /// What the second has.
    pub after: Option<RegistryValue>,
}

/// Hands every key that differs between two registries to `each`, hive by hive and sorted.
///
/// A layer stands for the image up to it. Compared are keys and values; not classes, descriptors and
/// times. What is the same in both because the layers are the same is not read at all.
///
/// # Errors
///
/// A hive of either is damaged, a layer does not exist, or `each` fails.
pub fn registry_diff(
    before: (&ImageRegistry, Option<usize>),
    after: (&ImageRegistry, Option<usize>),
    each: &mut dyn FnMut(KeyChange),
) -> Result<()> {
    let sides = [before, after];
    for (registry, layer) in sides {
        registry.check()?;
        let count = registry.layers();
        if let Some(layer) = layer.filter(|layer| !(1..=count).contains(layer)) {
            let what = format!("the image has layers 1 to {count}, and no layer {layer}");
            return Err(Error::not_found(what));
        }
    }
    let ids = |registry: &ImageRegistry| registry.diff_ids.clone();
    let (a, b) = (ids(before.0), ids(after.0));
    let shared = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    for hive in RegistryHive::ALL {
        let [a, b] = sides.map(|(registry, layer)| {
            let top = layer.unwrap_or_else(|| registry.layers());
            registry.parts(hive, top)
        });
        hive_diff(before.0, after.0, hive, [a, b], shared, each)?;
    }
    Ok(())
}

fn hive_diff(
    before: &ImageRegistry,
    after: &ImageRegistry,
    hive: RegistryHive,
    [a, b]: [Vec<&Part>; 2],
    shared: usize,
    each: &mut dyn FnMut(KeyChange),
) -> Result<()> {
    let same = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.layer == b.layer);
    if same && b.iter().all(|part| part.layer <= shared) {
        return Ok(());
    }
    let [view_a, view_b] = [&a, &b].map(|parts| (!parts.is_empty()).then(|| View::open(parts)));
    let compare = |each: &mut dyn FnMut(KeyChange)| -> std::result::Result<(), HiveError> {
        let (a, b) = (view_a.transpose()?, view_b.transpose()?);
        let unchanged = |a: &[usize], b: &[usize]| a == b && a.iter().all(|layer| *layer <= shared);
        diff_views(hive, a.as_ref(), b.as_ref(), &unchanged, each)
    };
    let Err(error) = compare(each) else {
        return Ok(());
    };
    // Whole walks find which hive it is.
    for (registry, parts) in [(before, a), (after, b)] {
        registry.ask_strictly(parts, &|view| {
            diff_views(hive, None, Some(view), &|_, _| false, &mut |_| {})
        })?;
    }
    let what = format!("{}: {}", hive.root(), super::describe(&error));
    Err(Error::malformed(what))
}

/// The layers of two keys that take part, topmost first, are the same and say the same.
pub(super) type Unchanged<'d> = &'d dyn Fn(&[usize], &[usize]) -> bool;

/// Compares two views of one hive, either of which may be missing.
pub(super) fn diff_views(
    hive: RegistryHive,
    a: Option<&View>,
    b: Option<&View>,
    unchanged: Unchanged<'_>,
    each: &mut dyn FnMut(KeyChange),
) -> std::result::Result<(), HiveError> {
    let root_a = a.map(|view| view.overlay.root()).transpose()?;
    let root_b = b.map(|view| view.overlay.root()).transpose()?;
    let mut differ = Differ {
        a,
        b,
        unchanged,
        each,
        path: hive.root().to_owned(),
    };
    match (root_a, root_b) {
        (Some(a), Some(b)) => differ.both(&a, &b),
        (None, Some(b)) => differ.added(&b),
        (Some(_), None) => {
            differ.say(Change::Removed, Vec::new());
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

struct Differ<'d> {
    a: Option<&'d View>,
    b: Option<&'d View>,
    unchanged: Unchanged<'d>,
    each: &'d mut dyn FnMut(KeyChange),
    path: String,
}

impl Differ<'_> {
    fn say(&mut self, change: Change, values: Vec<ValueChange>) {
        let key = self.path.clone();
        (self.each)(KeyChange {
            key,
            change,
            values,
        });
    }

    /// Does `work` with the path of the subkey `name`.
    fn below(
        &mut self,
        name: &Name<'_>,
        work: impl FnOnce(&mut Self) -> std::result::Result<(), HiveError>,
    ) -> std::result::Result<(), HiveError> {
        let length = self.path.len();
        self.path.push('\\');
        self.path.push_str(&name.to_text());
        let done = work(self);
        self.path.truncate(length);
        done
    }

    /// As deep as the kernel allows keys to be, which a stack has room for.
    fn both(&mut self, a: &MergedKey<'_>, b: &MergedKey<'_>) -> std::result::Result<(), HiveError> {
        if (self.unchanged)(&layers(self.a, a), &layers(self.b, b)) {
            return Ok(());
        }
        let values = self.values(a, b)?;
        if !values.is_empty() {
            self.say(Change::Changed, values);
        }
        let (mut old, mut new) = (a.subkeys()?.peekable(), b.subkeys()?.peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.name().cmp(b.name()),
            };
            let a = if order.is_le() { old.next() } else { None };
            let b = if order.is_ge() { new.next() } else { None };
            match (a, b) {
                (Some(a), Some(b)) => self.below(b.name(), |differ| differ.both(&a, &b))?,
                (Some(a), None) => self.below(a.name(), |differ| {
                    differ.say(Change::Removed, Vec::new());
                    Ok(())
                })?,
                (None, Some(b)) => self.below(b.name(), |differ| differ.added(&b))?,
                (None, None) => return Ok(()),
            }
        }
    }

    fn added(&mut self, key: &MergedKey<'_>) -> std::result::Result<(), HiveError> {
        let values = key.values()?;
        let values = values.iter().map(|value| {
            let after = read(self.b, value)?;
            let name = after.name.clone();
            Ok(ValueChange {
                name,
                change: Change::Added,
                before: None,
                after: Some(after),
            })
        });
        let values = values.collect::<std::result::Result<_, HiveError>>()?;
        self.say(Change::Added, values);
        for subkey in key.subkeys()? {
            self.below(subkey.name(), |differ| differ.added(&subkey))?;
        }
        Ok(())
    }

    fn values(
        &self,
        a: &MergedKey<'_>,
        b: &MergedKey<'_>,
    ) -> std::result::Result<Vec<ValueChange>, HiveError> {
        let (old, new) = (a.values()?, b.values()?);
        let mut left: HashMap<&Name<'_>, &MergedValue<'_>> =
            old.iter().map(|value| (value.name(), value)).collect();
        let mut changes = Vec::new();
        for value in &new {
            let before = left.remove(value.name());
            if let Some(before) = before
                && before.data()? == value.data()?
            {
                continue;
            }
            changes.push(ValueChange {
                name: value.name().to_text(),
                change: match before {
                    Some(_) => Change::Changed,
                    None => Change::Added,
                },
                before: before.map(|value| read(self.a, value)).transpose()?,
                after: Some(read(self.b, value)?),
            });
        }
        // In the order of the list, not of the map.
        for value in old.iter().filter(|value| left.contains_key(value.name())) {
            changes.push(ValueChange {
                name: value.name().to_text(),
                change: Change::Removed,
                before: Some(read(self.a, value)?),
                after: None,
            });
        }
        Ok(changes)
    }
}

fn read(
    view: Option<&View>,
    value: &MergedValue<'_>,
) -> std::result::Result<RegistryValue, HiveError> {
    RegistryValue::read(value, |number| view.map_or(0, |view| view.layer(number)))
}

fn layers(view: Option<&View>, key: &MergedKey<'_>) -> Vec<usize> {
    let layer = |number| view.map_or(0, |view| view.layer(number));
    key.parts().map(|(number, _)| layer(number)).collect()
}
