//! What a stack of keys of one name means.
//!
//! Published: what the four semantics and the two inheritances do ("Containerized registry hives in
//! Windows"). Not published, and chosen here:
//!
//! - **Security descriptor, flags**: those of the topmost key that takes part. Every key of a delta
//!   carries a descriptor of its own, so none has to be inherited.
//! - **Time**: the newest of the keys that take part.
//! - **Name**: spelled as the lowest key that takes part spells it, because that is the key the upper
//!   ones were made for; the root's name is the lowest hive's.
//! - **Order of values**: as in the lowest hive; those that only upper hives have follow.
//! - **Layer byte of the lowest hive**: counts only when its header says that it has layers, because
//!   older kernels did not clear that byte. In the hives above it always counts.
//! - **Value tombstones** remove the value from the hives below, whatever the semantics of the key.

use crate::{Hive, Key, KeyLayer, KeySemantics};

/// The keys of one name that take part, topmost first.
#[derive(Clone, Debug)]
pub(super) struct Stack<'o> {
    /// Number of the hive, and its key there; never empty once built.
    pub(super) keys: Vec<(usize, Key<'o>)>,
    /// How many of them lend their values.
    pub(super) with_values: usize,
    /// A key superseded what lies below.
    values_closed: bool,
    closed: bool,
}

impl<'o> Stack<'o> {
    pub(super) fn new() -> Self {
        Self {
            keys: Vec::new(),
            with_values: 0,
            values_closed: false,
            closed: false,
        }
    }

    /// Adds the key of the next lower hive that has one.
    pub(super) fn add(&mut self, number: usize, key: Key<'o>) {
        // Of two keys of one name in one list the kernel finds the first.
        if self.closed || self.keys.last().is_some_and(|(last, _)| *last == number) {
            return;
        }
        let semantics = layer(number, key.hive(), &key).semantics;
        if semantics == KeySemantics::Tombstone {
            self.closed = true;
            return;
        }
        self.keys.push((number, key));
        if !self.values_closed {
            self.with_values = self.keys.len();
        }
        match semantics {
            KeySemantics::Merge => {}
            KeySemantics::SupersedeLocal => self.values_closed = true,
            KeySemantics::SupersedeTree | KeySemantics::Tombstone => self.closed = true,
        }
    }

    /// Whether keys of lower hives no longer count.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The key whose class is the stack's.
    pub(super) fn class(&self) -> Option<&Key<'o>> {
        let mut keys = self.keys.iter();
        keys.find(|(number, key)| !layer(*number, key.hive(), key).inherit_class)
            .map(|(_, key)| key)
    }

    /// The key whose descriptor and flags are the stack's.
    pub(super) fn top(&self) -> Option<&Key<'o>> {
        self.keys.first().map(|(_, key)| key)
    }

    /// The key whose spelling of the name is the stack's.
    pub(super) fn bottom(&self) -> Option<&Key<'o>> {
        self.keys.last().map(|(_, key)| key)
    }

    pub(super) fn last_written(&self) -> u64 {
        let times = self.keys.iter().map(|(_, key)| key.last_written());
        times.max().unwrap_or_default()
    }
}

/// The layer byte that counts for a key of hive `number`.
fn layer(number: usize, hive: &Hive<'_>, key: &Key<'_>) -> KeyLayer {
    if number == 0 && !hive.is_layered() {
        KeyLayer::NONE
    } else {
        key.layer()
    }
}
