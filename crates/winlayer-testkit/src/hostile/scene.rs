//! Where a case plays: the tree, the spelling of its paths, and the valid layers around it.

use super::{Expect, Fact, HostileCase, Refusal};
use crate::RawTar;

/// How the paths of a case are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Plain,
    /// `\` between components, which is refused in every name.
    Backslash,
    /// A path that leads through an earlier object spells that object in the other case.
    OtherCase,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) utility_vm: bool,
    pub(super) spelling: Spelling,
}

/// A case before it is tied to a scene.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    id: String,
    name: String,
    layers: Vec<Vec<u8>>,
    expect: Expect,
    /// Runs in all spellings; otherwise only as written.
    spelled: bool,
}

pub(super) fn draft(
    id: impl Into<String>,
    name: impl Into<String>,
    layers: impl IntoIterator<Item = RawTar>,
    expect: Expect,
) -> Draft {
    raw_draft(id, name, layers.into_iter().map(RawTar::finish), expect)
}

/// As [`draft`], for layers that are bytes already.
pub(super) fn raw_draft(
    id: impl Into<String>,
    name: impl Into<String>,
    layers: impl IntoIterator<Item = Vec<u8>>,
    expect: Expect,
) -> Draft {
    let layers = layers.into_iter().collect();
    Draft {
        id: id.into(),
        name: name.into(),
        layers,
        expect,
        spelled: true,
    }
}

impl Draft {
    /// For a case whose names must stay as written.
    pub(super) fn only_as_written(mut self) -> Self {
        self.spelled = false;
        self
    }

    pub(super) fn into_case(self) -> HostileCase {
        let Self {
            id,
            name,
            layers,
            expect,
            ..
        } = self;
        HostileCase {
            id,
            name,
            layers,
            expect,
        }
    }
}

pub(super) const UNSAFE: Expect = Expect::Refused(Refusal::Unsafe);
pub(super) const MALFORMED: Expect = Expect::Refused(Refusal::Malformed);
pub(super) const EITHER: Expect = Expect::Refused(Refusal::Either);

impl Scene {
    /// The tree's root in its canonical spelling.
    pub(super) fn tree(&self) -> &'static str {
        if self.utility_vm {
            "UtilityVM/Files"
        } else {
            "Files"
        }
    }

    /// A path below the tree, in this spelling.
    pub(super) fn at(&self, path: &str) -> String {
        match self.spelling {
            Spelling::Plain | Spelling::OtherCase => format!("{}/{path}", self.tree()),
            Spelling::Backslash => format!("{}/{path}", self.tree()).replace('/', "\\"),
        }
    }

    /// A path through objects made earlier: in [`Spelling::OtherCase`] all but the last component are
    /// spelled differently from how [`Self::at`] spelled them.
    pub(super) fn via(&self, path: &str) -> String {
        if self.spelling != Spelling::OtherCase {
            return self.at(path);
        }
        let whole = format!("{}/{path}", self.tree());
        let (parent, name) = whole.rsplit_once('/').unwrap();
        format!("{}/{name}", swap_case(parent))
    }

    /// A path for a [`Fact`]: canonical, whatever the spelling.
    pub(super) fn fact(&self, path: &str) -> String {
        format!("{}/{path}", self.tree())
    }

    pub(super) fn file(&self, path: &str, content: &str) -> Fact {
        Fact::File(self.fact(path), content.into())
    }

    pub(super) fn link(&self, path: &str) -> Fact {
        Fact::Link(self.fact(path))
    }

    pub(super) fn directory(&self, path: &str) -> Fact {
        Fact::Directory(self.fact(path))
    }

    pub(super) fn missing(&self, path: &str) -> Fact {
        Fact::Missing(self.fact(path))
    }

    pub(super) fn same(&self, one: &str, other: &str) -> Fact {
        Fact::SameFile(self.fact(one), self.fact(other))
    }

    /// A base layer with the directories it must have.
    pub(super) fn base(&self) -> RawTar {
        let tar = RawTar::new().dir("Files");
        if self.utility_vm {
            tar.dir("UtilityVM").dir("UtilityVM/Files")
        } else {
            tar
        }
    }

    /// A layer on top with the directories it must have.
    pub(super) fn diff(&self) -> RawTar {
        let tar = RawTar::new().dir("Files").dir("Hives");
        if self.utility_vm {
            tar.dir("UtilityVM").dir("UtilityVM/Files")
        } else {
            tar
        }
    }

    /// The case in this scene; `None` if it does not play here.
    pub(super) fn finish(&self, draft: Draft) -> Option<HostileCase> {
        let spelling = match self.spelling {
            Spelling::Plain => "",
            _ if !draft.spelled => return None,
            Spelling::Backslash => "/backslash",
            Spelling::OtherCase => "/other-case",
        };
        let mut case = draft.into_case();
        let tree = if self.utility_vm { "uvm" } else { "files" };
        case.id = format!("{}/{tree}{spelling}", case.id);
        if self.spelling == Spelling::Backslash && !matches!(case.expect, Expect::Refused(_)) {
            case.expect = UNSAFE;
        }
        Some(case)
    }
}

fn swap_case(text: &str) -> String {
    let swap = |c: char| {
        if c.is_ascii_lowercase() {
            c.to_ascii_uppercase()
        } else {
            c.to_ascii_lowercase()
        }
    };
    text.chars().map(swap).collect()
}
