//! What one layer changes in the registry of those below it.

use serde::Serialize;

use super::{
    Change, ImageRegistry, KeyChange, Part, RegistryFinding, RegistryHive, View,
    diff::{Unchanged, diff_views},
};

/// The changes of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerChanges {
    /// 1 for the base.
    pub layer: usize,
    /// The hives the layer has, each with what it changes.
    pub hives: Vec<HiveChanges>,
}

/// The changes in one hive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HiveChanges {
    /// Where the registry shows the hive, such as `HKLM\SOFTWARE`.
    pub hive: &'static str,
    /// The entry of the layer, such as `Hives/Software_Delta`.
    pub entry: String,
    /// A full hive that replaces all below it; it is not compared, so nothing is listed.
    pub whole: bool,
    /// Number of keys that are new.
    pub keys_added: u64,
    /// Number of keys that are gone, those below them not counted.
    pub keys_removed: u64,
    /// Number of values that are new or hold something else.
    pub values_set: u64,
    /// Number of values that are gone.
    pub values_removed: u64,
    /// The keys, sorted.
    pub keys: Vec<KeyChange>,
}

impl ImageRegistry {
    /// What layer number `layer` changes; hives that cannot be read become findings.
    pub fn changes(
        &self,
        layer: usize,
        findings: &mut Vec<RegistryFinding>,
    ) -> crate::Result<LayerChanges> {
        let count = self.layers();
        if !(1..=count).contains(&layer) {
            let what = format!("the image has layers 1 to {count}, and no layer {layer}");
            return Err(crate::Error::not_found(what));
        }
        let mut hives = Vec::new();
        for hive in RegistryHive::ALL {
            for part in self.own_parts(hive, layer) {
                let changes = match part.is_whole {
                    true => Some(Vec::new()),
                    false => self.delta_changes(hive, layer, findings),
                };
                hives.extend(changes.map(|keys| HiveChanges::of(part, keys)));
            }
        }
        Ok(LayerChanges { layer, hives })
    }

    fn delta_changes(
        &self,
        hive: RegistryHive,
        layer: usize,
        findings: &mut Vec<RegistryFinding>,
    ) -> Option<Vec<KeyChange>> {
        let parts = self.parts(hive, layer);
        self.ask(parts.clone(), findings, &|above| {
            // Those of the parts that are still asked, less the layer's delta.
            let is_below = |part: &&&Part| {
                let is_asked = above.layers.contains(&part.layer);
                is_asked && (part.layer < layer || part.is_whole)
            };
            let below: Vec<&Part> = parts.iter().filter(is_below).copied().collect();
            let below = match below.is_empty() {
                true => None,
                false => Some(View::open(&below)?),
            };
            let unchanged: Unchanged<'_> = &|_, layers| !layers.contains(&layer);
            let mut changes = Vec::new();
            let each = &mut |change| changes.push(change);
            diff_views(hive, below.as_ref(), Some(above), unchanged, each)?;
            Ok(changes)
        })
    }
}

impl HiveChanges {
    fn of(part: &Part, keys: Vec<KeyChange>) -> Self {
        let count = |change| keys.iter().filter(|key| key.change == change).count() as u64;
        let values = || keys.iter().flat_map(|key| &key.values);
        let removed = values().filter(|value| value.change == Change::Removed);
        let values_removed = removed.count() as u64;
        Self {
            hive: part.hive.root(),
            entry: part.entry.clone(),
            whole: part.is_whole,
            keys_added: count(Change::Added),
            keys_removed: count(Change::Removed),
            values_set: (values().count() as u64).saturating_sub(values_removed),
            values_removed,
            keys,
        }
    }
}
