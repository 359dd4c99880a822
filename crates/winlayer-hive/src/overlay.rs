//! Hives that lie over each other: a full one and the deltas of the layers above it.

mod budget;
mod key;
mod rules;
#[cfg(test)]
mod tests;
mod write;

pub use key::{MergedKey, MergedSubkeys, MergedValue};

use crate::{Hive, HiveError, HiveTree};

/// Most hives over each other, the full one among them; what current builds of Windows accept.
const MOST: usize = 128;

/// A full hive and deltas over it, seen as one hive.
///
/// Nothing is merged or copied until it is asked for: a look-up reads its own path in each hive.
/// One hive alone is fine too, also a delta, which then shows what it adds.
///
/// ```
/// use winlayer_hive::{Hive, HiveTree, Overlay, ValueData};
///
/// let mut base = HiveTree::new("SOFTWARE");
/// let key = base.root_mut().create(r"Microsoft\Windows NT\CurrentVersion")?;
/// key.set("CurrentBuild", ValueData::string("20348"))?;
/// let mut delta = HiveTree::delta("Software_Delta");
/// let key = delta.root_mut().create(r"Microsoft\Windows NT\CurrentVersion")?;
/// key.set("UBR", ValueData::dword(2113))?;
///
/// let (base, delta) = (base.to_bytes()?, delta.to_bytes()?);
/// let merged = Overlay::new([Hive::from_bytes(&base)?, Hive::from_bytes(&delta)?])?;
/// let key = merged.get(r"microsoft\windows nt\currentversion")?.expect("both have it");
/// let build = key.value("CurrentBuild")?.expect("the base has it").data()?;
/// let revision = key.value("UBR")?.expect("the delta has it").data()?;
/// assert_eq!(build.to_text().as_deref(), Some("20348"));
/// assert_eq!(revision.to_u32(), Some(2113));
/// # Ok::<(), winlayer_hive::HiveError>(())
/// ```
#[derive(Debug)]
pub struct Overlay<'a> {
    hives: Vec<Hive<'a>>,
}

impl<'a> Overlay<'a> {
    /// Hives over each other, the lowest first.
    ///
    /// # Errors
    /// [`HiveError::Layers`] for no hive and for more than 128.
    pub fn new(hives: impl IntoIterator<Item = Hive<'a>>) -> Result<Self, HiveError> {
        let hives: Vec<_> = hives.into_iter().collect();
        if (1..=MOST).contains(&hives.len()) {
            Ok(Self { hives })
        } else {
            let count = hives.len();
            Err(HiveError::Layers { count })
        }
    }

    /// The hives, the lowest first.
    pub fn hives(&self) -> &[Hive<'a>] {
        &self.hives
    }

    /// The root key.
    ///
    /// # Errors
    /// [`HiveError::Damaged`] when a hive has none, or a deleted one.
    pub fn root(&self) -> Result<MergedKey<'_>, HiveError> {
        MergedKey::root(&self.hives)
    }

    /// The key at `path` below the root, components separated by backslashes; the empty path is the
    /// root. Case does not matter.
    ///
    /// # Errors
    /// [`HiveError::Damaged`] or [`HiveError::Read`] on the way there.
    pub fn get(&self, path: &str) -> Result<Option<MergedKey<'_>>, HiveError> {
        self.root()?.get(path)
    }

    /// Everything merged, as the file of a full hive: version 1.5, without layer semantics,
    /// deterministic and compact. File name and layer flag are those of the lowest hive, the time
    /// is the newest.
    ///
    /// Keys are streamed from the hives into the file, so the memory needed is little more than the
    /// file.
    ///
    /// # Errors
    /// As for reading any of the hives; [`HiveError::TooLarge`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, HiveError> {
        write::to_bytes(self)
    }

    /// Everything merged, as a tree that can be changed.
    ///
    /// # Errors
    /// As for [`Overlay::to_bytes`].
    pub fn to_tree(&self) -> Result<HiveTree, HiveError> {
        write::to_tree(self)
    }
}
