//! A bound on the work that a hive can cause.

use std::cell::Cell;

use crate::{Hive, HiveError, Key, MergedKey, Value};

/// Counts the bytes of the cells that a complete walk reads. No sound hive uses a cell twice (but
/// for descriptors, which are shared), so a walk reads no more than the hives have; a hostile hive
/// could otherwise make a few kilobytes of values count a million times.
pub(super) struct Budget {
    left: Cell<u64>,
}

impl Budget {
    pub(super) fn new(hives: &[Hive<'_>]) -> Self {
        Self {
            left: Cell::new(hives.iter().map(|hive| u64::from(hive.bins_size())).sum()),
        }
    }

    /// A key with its values.
    pub(super) fn spend(&self, key: &MergedKey<'_>) -> Result<(), HiveError> {
        key.parts().try_for_each(|(_, part)| self.spend_key(part))
    }

    fn spend_key(&self, key: &Key<'_>) -> Result<(), HiveError> {
        let class = u64::from(key.node().class_length.get());
        self.take(80 + class + 4 * u64::from(key.value_count()))
    }

    pub(super) fn spend_value(&self, value: &Value<'_>) -> Result<(), HiveError> {
        let data = value.data_len() as u64;
        self.take(24 + if data > 4 { data } else { 0 })
    }

    fn take(&self, bytes: u64) -> Result<(), HiveError> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(HiveError::Damaged {
                offset: 0,
                expected: "cells that are used once each",
                found: "keys and values that take more room than the hive has".into(),
            }),
        }
    }
}
