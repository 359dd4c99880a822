//! Layer semantics of a key in a delta hive.

/// What a key of a delta does to the same key of the hives below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeySemantics {
    /// Both take part; the upper one's values win.
    #[default]
    Merge,
    /// The key and everything below it is gone.
    Tombstone,
    /// The lower key's own values are dropped; its subkeys still take part.
    SupersedeLocal,
    /// The lower key and everything below it is replaced by this one.
    SupersedeTree,
}

/// The layer byte of a key (`nk` offset 13): semantics in the low two bits, "class comes from the
/// key below" in the top bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct KeyLayer {
    /// What the key does to the one below.
    pub semantics: KeySemantics,
    /// The key's class is that of the nearest key below that has one of its own.
    pub inherit_class: bool,
}

impl KeyLayer {
    /// The layer of a key in a full hive, and of the root of a delta.
    pub const NONE: Self = Self {
        semantics: KeySemantics::Merge,
        inherit_class: false,
    };
    /// An untouched key on the way to a change.
    pub const ANCESTOR: Self = Self {
        semantics: KeySemantics::Merge,
        inherit_class: true,
    };

    /// What a byte on disk means.
    pub(crate) const fn from_byte(byte: u8) -> Self {
        Self {
            semantics: match byte & 3 {
                0 => KeySemantics::Merge,
                1 => KeySemantics::Tombstone,
                2 => KeySemantics::SupersedeLocal,
                _ => KeySemantics::SupersedeTree,
            },
            inherit_class: byte & 0x80 != 0,
        }
    }

    /// The byte on disk.
    pub(crate) const fn to_byte(self) -> u8 {
        let semantics = match self.semantics {
            KeySemantics::Merge => 0,
            KeySemantics::Tombstone => 1,
            KeySemantics::SupersedeLocal => 2,
            KeySemantics::SupersedeTree => 3,
        };
        semantics | if self.inherit_class { 0x80 } else { 0 }
    }
}
