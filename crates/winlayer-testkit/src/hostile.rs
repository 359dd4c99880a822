//! What a hostile or careless publisher may put into layers, and what must come of it.
//!
//! The cases follow the test suites and past security fixes of the field's unpackers: the number
//! before the dot of an id names the idea, the rest the variation. Each runs below `Files` and again
//! below `UtilityVM/Files`, as written, with `\` between components, and with the parent spelled in
//! another case, where that makes sense. All archives are made here, in code.

mod containment;
mod content;
mod hives;
mod loopholes;
mod names;
mod parser;
mod scene;
mod whiteouts;

use scene::{Draft, Scene, Spelling};

/// Which exit codes a refusal may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 4: the archive is malformed.
    Malformed,
    /// 5: applying it would be unsafe, or over a limit.
    Unsafe,
    /// 4 or 5: it is both, and either word helps the user.
    Either,
}

impl Refusal {
    /// Whether this exit code is right.
    pub fn allows(self, exit_code: i32) -> bool {
        match self {
            Self::Malformed => exit_code == 4,
            Self::Unsafe => exit_code == 5,
            Self::Either => exit_code == 4 || exit_code == 5,
        }
    }
}

/// Something that must be true of the unpacked image (all layers applied). Paths start with `Files`
/// or `UtilityVM/Files` and are compared as NTFS does, unless their spelling is the point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Nothing of that name exists.
    Missing(String),
    /// A directory.
    Directory(String),
    /// A regular file with this content.
    File(String, Vec<u8>),
    /// A symbolic link or mount point, itself: nothing followed it.
    Link(String),
    /// Two names of one file.
    SameFile(String, String),
    /// An alternate stream `(file, stream)` with this content.
    Stream(String, String, Vec<u8>),
    /// Last change of the content, seconds since 1970.
    Modified(String, i64),
    /// The spelling of the last component is exactly this.
    Spelled(String),
}

/// What must come of a case. Whatever that is, nothing outside the destination changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// An error that names layer and entry; nothing is published.
    Refused(Refusal),
    /// Success, with all of these true.
    Accepted(Vec<Fact>),
    /// Either is safe: refused with 4 or 5, or accepted with all of these true.
    RefusedOr(Vec<Fact>),
}

/// One hostile or awkward image.
#[derive(Clone, Debug)]
pub struct HostileCase {
    /// Unique: number, tree and spelling, as in `26/uvm/other-case`.
    pub id: String,
    /// What it tries.
    pub name: String,
    /// Uncompressed layer tars, base first.
    pub layers: Vec<Vec<u8>>,
    /// What must come of it.
    pub expect: Expect,
}

/// The whole corpus.
pub fn hostile_cases() -> Vec<HostileCase> {
    let mut cases = Vec::new();
    for utility_vm in [false, true] {
        for spelling in [Spelling::Plain, Spelling::Backslash, Spelling::OtherCase] {
            let scene = Scene {
                utility_vm,
                spelling,
            };
            let drafts = [
                containment::cases(&scene),
                loopholes::cases(&scene),
                whiteouts::cases(&scene),
                names::cases(&scene),
                parser::cases(&scene),
                content::cases(&scene),
            ];
            cases.extend(
                drafts
                    .into_iter()
                    .flatten()
                    .filter_map(|draft| scene.finish(draft)),
            );
        }
    }
    // Not about a path below a tree: once is enough.
    let once = names::image_cases().into_iter().chain(hives::cases());
    cases.extend(once.map(Draft::into_case));
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_unique_and_every_group_is_there() {
        let cases = hostile_cases();
        let mut ids = HashSet::new();
        for case in &cases {
            assert!(ids.insert(case.id.as_str()), "{} twice", case.id);
        }
        for number in [
            1, 8, 18, 28, 32, 35, 40, 41, 42, 43, 46, 47, 51, 57, 65, 69, 83, 85, 99, 104, 110,
            119, 120, 122, 128, 129, 130,
        ] {
            let found = ids.iter().any(|id| {
                id.split(['.', '/'])
                    .next()
                    .is_some_and(|first| first == number.to_string())
            });
            assert!(found, "no case {number}");
        }
        assert!(cases.len() > 400, "{}", cases.len());
    }

    #[test]
    fn every_layer_is_whole_blocks_unless_truncation_is_the_point() {
        for case in hostile_cases() {
            assert!(!case.layers.is_empty(), "{}", case.id);
            for layer in &case.layers {
                let truncated = case.name.contains("truncated");
                assert!(
                    truncated || layer.len().is_multiple_of(512),
                    "{}: {}",
                    case.id,
                    case.name
                );
            }
        }
    }

    #[test]
    fn backslashes_are_there_and_always_refused() {
        for case in hostile_cases()
            .iter()
            .filter(|case| case.id.ends_with("/backslash"))
        {
            assert!(matches!(case.expect, Expect::Refused(_)), "{}", case.id);
            assert!(
                case.layers.iter().flatten().any(|&byte| byte == b'\\'),
                "{}",
                case.id
            );
        }
    }

    #[test]
    fn an_independent_reader_can_list_what_must_be_accepted() {
        let folder = tempfile::tempdir().unwrap();
        for case in hostile_cases() {
            let plain = matches!(case.expect, Expect::Accepted(_)) && case.id.ends_with("/files");
            for (number, layer) in case.layers.iter().enumerate().filter(|_| plain) {
                let path = folder.path().join(format!("{number}.tar"));
                std::fs::write(&path, layer).unwrap();
                let listing = crate::tools::bsdtar(["-tf", path.to_str().unwrap()]);
                assert!(
                    listing.starts_with("Files") || listing.starts_with("./"),
                    "{}",
                    case.id
                );
            }
        }
    }
}
