//! What a layer tar cannot hold of a volume, counted so that no volume can make it long.

use std::collections::BTreeMap;

use crate::error::escape;

/// Something of an object that was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// The object, for its name; with all below it.
    Name(String),
    /// The object, because a sibling differs only in case.
    Twin,
    /// The object, because its content cannot be read.
    Content(String),
    /// A stream.
    Stream(String),
    /// Extended attributes.
    ExtendedAttributes(String),
    /// The NEED_EA flag of extended attributes.
    AttributeFlags,
    /// The reparse point; the object stands without it.
    Reparse(String),
    /// How a link spells its target.
    Spelling,
    /// An 8.3 name.
    ShortName,
    /// The object id.
    ObjectId,
}

impl Loss {
    fn describe(&self) -> String {
        match self {
            Self::Name(why) => format!("objects are left out, a layer cannot have the name: {why}"),
            Self::Twin => {
                "objects are left out, another name in the directory differs only in case"
                    .to_owned()
            }
            Self::Content(why) => {
                format!("objects are left out, the content cannot be read: {why}")
            }
            Self::Stream(why) => format!("streams are left out: {why}"),
            Self::ExtendedAttributes(why) => format!("objects lose extended attributes: {why}"),
            Self::AttributeFlags => {
                "objects have extended attributes that lose their flags".to_owned()
            }
            Self::Reparse(why) => format!("objects lose their reparse point: {why}"),
            Self::Spelling => {
                "links are kept by their target alone, and lose another spelling of it".to_owned()
            }
            Self::ShortName => "short names (8.3) are left out".to_owned(),
            Self::ObjectId => "objects lose their object id".to_owned(),
        }
    }
}

/// Kinds of losses that are told apart; reasons may come from the volume.
const MOST_KINDS: usize = 64;

/// What was left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    /// The number, and the path of the first.
    kinds: BTreeMap<Loss, (u64, String)>,
    others: u64,
}

impl Losses {
    pub(super) fn add(&mut self, loss: Loss, path: &str) {
        if let Some((count, _)) = self.kinds.get_mut(&loss) {
            *count = count.saturating_add(1);
        } else if self.kinds.len() < MOST_KINDS {
            self.kinds.insert(loss, (1, path.to_owned()));
        } else {
            self.others = self.others.saturating_add(1);
        }
    }

    /// One line a kind.
    pub(super) fn warnings(&self) -> Vec<String> {
        let lines = self.kinds.iter().map(|(loss, (count, first))| {
            let first = escape(first);
            format!("{count} {}; the first is \"{first}\"", loss.describe())
        });
        let others = (self.others > 0).then(|| format!("{} further losses", self.others));
        lines.chain(others).collect()
    }
}
