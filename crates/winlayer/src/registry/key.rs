//! One key of the registry, with all there is to see of it.

use serde::Serialize;
use winlayer_hive::{HiveError, MergedKey};
use winlayer_metadata::FileTime;

use super::{ImageRegistry, Part, RegistryHive, RegistryPath, RegistryValue, View};
use crate::{Error, Result};

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistryKey {
    /// Its full name, spelled as in the hive; `CurrentControlSet` is resolved.
    pub key: String,
    /// Last write, RFC 3339.
    pub written: String,
    /// Layers that have something to say of the key, 1 for the base.
    pub layers: Vec<usize>,
    /// Class name.
    pub class: Option<String>,
    /// The key stands for another one, which its value `SymbolicLinkValue` names.
    pub link: bool,
    /// Names of the subkeys, sorted.
    pub subkeys: Vec<String>,
    /// The values.
    pub values: Vec<RegistryValue>,
    /// Subkeys that the layer removes from those below; always empty for all layers together.
    pub deleted_subkeys: Vec<String>,
    /// Values that the layer removes from those below; always empty for all layers together.
    pub deleted_values: Vec<String>,
}

impl RegistryKey {
    /// The value `name`; empty, or `(Default)`, for the default value. Case does not matter.
    pub fn value(&self, name: &str) -> Option<&RegistryValue> {
        let name = match name.eq_ignore_ascii_case("(default)") {
            true => "",
            false => name,
        };
        let mut values = self.values.iter();
        values.find(|value| winlayer_metadata::Upcase::eq(&value.name, name))
    }
}

impl ImageRegistry {
    /// A key of the merged registry, or of one layer by itself.
    ///
    /// `HKLM\SYSTEM\CurrentControlSet` is the control set that `Select\Current` names. Links are
    /// not followed.
    ///
    /// # Errors
    ///
    /// Kind `NotFound` when there is no such key; `Verification` when a hive it is in is damaged.
    pub fn key(&self, path: &RegistryPath, layer: Option<usize>) -> Result<RegistryKey> {
        let hive = path.hive();
        let count = self.layers();
        if let Some(layer) = layer.filter(|layer| !(1..=count).contains(layer)) {
            let what = format!("the image has layers 1 to {count}, and no layer {layer}");
            return Err(Error::not_found(what));
        }
        let below = match path.below_current_control_set() {
            Some(rest) => {
                let set = self.control_set(layer.unwrap_or(count))?;
                format!("{set}\\{rest}")
            }
            None => path.below().to_owned(),
        };
        let parts = match layer {
            Some(layer) => self.own_parts(hive, layer),
            None => self.parts(hive, count),
        };
        let question = |view: &View| read_key(view, hive, &below);
        match self.ask_strictly(parts, &question)?.flatten() {
            Some(key) => Ok(key),
            None => Err(self.missing_key(path, layer, &below)),
        }
    }

    fn missing_key(&self, path: &RegistryPath, layer: Option<usize>, below: &str) -> Error {
        let Some(layer) = layer else {
            return Error::not_found(format!("no key \"{path}\" in the image"));
        };
        let deleted = |view: &View| {
            let mut deleted = false;
            for hive in view.overlay.hives() {
                let mut key = hive.root()?;
                for name in below.split('\\').filter(|name| !name.is_empty()) {
                    let Some(subkey) = key.subkey(name)? else {
                        break;
                    };
                    deleted |= subkey.layer().semantics == winlayer_hive::KeySemantics::Tombstone;
                    key = subkey;
                }
            }
            Ok(deleted)
        };
        let asked = self.ask_strictly(self.own_parts(path.hive(), layer), &deleted);
        Error::not_found(match asked {
            Ok(Some(true)) => format!("layer {layer} deletes the key \"{path}\""),
            _ => format!("layer {layer} has nothing of the key \"{path}\""),
        })
    }

    pub(super) fn own_parts(&self, hive: RegistryHive, layer: usize) -> Vec<&Part> {
        let own = |part: &&Part| part.hive == hive && part.layer == layer;
        self.parts.iter().filter(own).collect()
    }

    /// `ControlSet001`, or whichever is current as seen from layer `top`.
    fn control_set(&self, top: usize) -> Result<String> {
        let parts = self.parts(RegistryHive::System, top);
        let set = self.ask_strictly(parts, &|view| control_set(view))?;
        set.ok_or_else(|| Error::not_found(r"the image has no hive HKLM\SYSTEM"))
    }
}

/// The current control set. Windows is installed with the first.
pub(super) fn control_set(view: &View) -> std::result::Result<String, HiveError> {
    let current = match view.overlay.get("Select")? {
        Some(select) => select.value("Current")?,
        None => None,
    };
    let current = current.map(|current| current.data()).transpose()?;
    let number = current.and_then(|current| current.to_u32()).unwrap_or(1);
    Ok(format!("ControlSet{number:03}"))
}

fn read_key(
    view: &View,
    hive: RegistryHive,
    path: &str,
) -> std::result::Result<Option<RegistryKey>, HiveError> {
    let mut key = view.overlay.root()?;
    let mut name = hive.root().to_owned();
    for part in path.split('\\').filter(|part| !part.is_empty()) {
        match key.subkey(part)? {
            Some(subkey) => key = subkey,
            None => return Ok(None),
        }
        name.push('\\');
        name.push_str(&key.name().to_text());
    }
    let class = key.class()?.map(|bytes| {
        let (units, _) = bytes.as_chunks::<2>();
        let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
        let text = char::decode_utf16(units);
        text.map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    });
    let mut layers: Vec<usize> = key.parts().map(|(number, _)| view.layer(number)).collect();
    layers.sort_unstable();
    layers.dedup();
    let values = key.values()?;
    let values = values
        .iter()
        .map(|value| RegistryValue::read(value, |number| view.layer(number)));
    let mut found = RegistryKey {
        key: name,
        written: time(key.last_written()),
        layers,
        class,
        link: key.is_link(),
        subkeys: key.subkeys()?.map(|key| key.name().to_text()).collect(),
        values: values.collect::<std::result::Result<_, _>>()?,
        deleted_subkeys: Vec::new(),
        deleted_values: Vec::new(),
    };
    // A layer by itself: what it takes away counts too.
    if let [only] = view.overlay.hives()
        && only.is_layered()
    {
        note_deleted(&key, &mut found)?;
    }
    Ok(Some(found))
}

fn note_deleted(
    key: &MergedKey<'_>,
    found: &mut RegistryKey,
) -> std::result::Result<(), HiveError> {
    for (_, part) in key.parts() {
        for subkey in part.subkeys() {
            let subkey = subkey?;
            if subkey.layer().semantics == winlayer_hive::KeySemantics::Tombstone {
                found.deleted_subkeys.push(subkey.name().to_text());
            }
        }
        for value in part.values() {
            let value = value?;
            if value.is_tombstone() {
                found.deleted_values.push(value.name().to_text());
            }
        }
    }
    Ok(())
}

/// Ticks since 1601 in words.
pub(super) fn time(ticks: u64) -> String {
    FileTime::from_ticks(i64::try_from(ticks).unwrap_or(i64::MAX)).to_string()
}
