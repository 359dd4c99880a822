//! What hostile publishers try, against every target that writes files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;
#[path = "hostile/volume.rs"]
mod volume;

use common::{Answer, Place};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};
use winlayer_testkit::{
    Compression, Expect, Fact, HostileCase, LayoutBuilder, Refusal, Victim, hostile_cases,
    memory_dir,
};

#[test]
fn a_store_of_layer_folders_holds_nothing_hostile() {
    try_all(to_folder);
}

#[test]
fn a_tree_holds_nothing_hostile() {
    try_all(to_tree);
}

#[test]
fn a_volume_holds_nothing_hostile() {
    try_all(to_volume);
}

/// Runs every case; says of all that went wrong what and why.
fn try_all(target: fn(&HostileCase) -> Result<(), String>) {
    let mut cases = hostile_cases();
    if cfg!(windows) {
        // Programs take long to start there, and the parser that refuses is the same everywhere.
        cases = cases.into_iter().step_by(32).collect();
    }
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        // More than processors, in case the stores are on a disk that has to be waited for.
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(problem) = target(case) {
                        let line = format!("{} ({}): {problem}", case.id, case.name);
                        wrong.lock().unwrap().push(line);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {} cases went wrong:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// The image of a case in a place of its own, and somebody's files beside the destination.
fn scene(case: &HostileCase) -> (Place, Victim) {
    // What survives a power cut is not the question here.
    let memory = memory_dir();
    let place = Place::below(&memory);
    let image = case
        .layers
        .iter()
        .fold(LayoutBuilder::new(), |image, layer| {
            image.layer(layer.clone(), Compression::None)
        });
    image.write(place.path("image"));
    (place, Victim::below(&memory))
}

fn to_folder(case: &HostileCase) -> Result<(), String> {
    let (place, victim) = scene(case);
    let store = victim.dest();
    let dest = store.to_str().unwrap();
    let answer = place.winlayer(["unpack", "-q", "oci:image", dest]);
    untouched(&victim)?;
    if accepted(case, &answer)? {
        let verified = place.winlayer(["verify", dest]);
        return expect(verified.code == Some(0), "does not verify", &verified);
    }
    let number = |dir: &str| fs::read_dir(store.join(dir)).map_or(0, Iterator::count);
    expect(number("images") == 0, "image was published", &answer)?;
    expect(number("locks") == 0, "left a lock file", &answer)?;
    if number("layers") == 0 {
        let left = fs::read_dir(&store).map_or(0, Iterator::count);
        expect(left == 0, "left an empty store", &answer)?;
    }
    expect(
        number("layers") < case.layers.len(),
        "layer was published",
        &answer,
    )?;
    expect(number("ingest") == 0, "left something in ingest", &answer)
}

fn to_tree(case: &HostileCase) -> Result<(), String> {
    let (place, victim) = scene(case);
    // Below, because a tree is built beside its destination.
    let tree = victim.dest().join("tree");
    let mut arguments = vec![
        "unpack",
        "-q",
        "oci:image",
        tree.to_str().unwrap(),
        "--to",
        "tree",
    ];
    let utility_vm = case.id.split('/').any(|part| part == "uvm");
    if utility_vm {
        arguments.push("--utility-vm");
    }
    let answer = place.winlayer(arguments);
    untouched(&victim)?;
    if !accepted(case, &answer)? {
        let left = fs::read_dir(victim.dest()).map_or(0, Iterator::count);
        return expect(left == 0, "left a tree or something beside it", &answer);
    }
    let (Expect::Accepted(facts) | Expect::RefusedOr(facts)) = &case.expect else {
        return Ok(());
    };
    // In this form Windows takes names such as `nul.txt` as they are.
    #[cfg(windows)]
    let tree = fs::canonicalize(tree).unwrap();
    if let Some(link) = escaping_link(&tree, &tree) {
        return Err(format!("{} leads outside", link.display()));
    }
    let tree = Tree {
        root: tree,
        below: if utility_vm {
            "UtilityVM/Files"
        } else {
            "Files"
        },
    };
    let wrong: Vec<_> = facts
        .iter()
        .filter(|fact| !tree.holds(fact, &place))
        .collect();
    expect(wrong.is_empty(), &format!("not true: {wrong:?}"), &answer)
}

fn to_volume(case: &HostileCase) -> Result<(), String> {
    let (place, victim) = scene(case);
    let file = victim.dest().join("volume");
    let file_text = file.to_str().unwrap();
    let mut arguments = vec!["unpack", "-q", "oci:image", file_text, "--to", "ntfs"];
    let utility_vm = case.id.split('/').any(|part| part == "uvm");
    if utility_vm {
        arguments.push("--utility-vm");
    }
    let answer = place.winlayer(arguments);
    untouched(&victim)?;
    let left = fs::read_dir(victim.dest()).map_or(0, Iterator::count);
    if !accepted(case, &answer)? {
        return expect(left == 0, "left a volume or something beside it", &answer);
    }
    expect(left == 1, "left something beside the volume", &answer)?;
    let mut findings = Vec::new();
    let found = winlayer_ntfs::verify(fs::File::open(&file).unwrap(), &mut |finding| {
        findings.push(finding.to_string());
    });
    found.map_err(|error| error.to_string())?;
    expect(
        findings.is_empty(),
        &format!("not sound: {findings:?}"),
        &answer,
    )?;
    let (Expect::Accepted(facts) | Expect::RefusedOr(facts)) = &case.expect else {
        return Ok(());
    };
    let below = if utility_vm {
        "UtilityVM/Files"
    } else {
        "Files"
    };
    let mut held = volume::Held::open(&file, below);
    let wrong: Vec<_> = facts.iter().filter(|fact| !held.holds(fact)).collect();
    expect(wrong.is_empty(), &format!("not true: {wrong:?}"), &answer)
}

fn expect(truth: bool, problem: &str, answer: &Answer) -> Result<(), String> {
    if truth {
        return Ok(());
    }
    Err(format!(
        "{problem} (exit code {:?}): {}",
        answer.code,
        answer.stderr.trim_end()
    ))
}

fn untouched(victim: &Victim) -> Result<(), String> {
    let look = AssertUnwindSafe(|| victim.assert_untouched());
    catch_unwind(look).map_err(|_| "TOUCHED SOMETHING OUTSIDE".to_owned())
}

/// Whether the image was unpacked, when that or a refusal of the right kind is what must come.
fn accepted(case: &HostileCase, answer: &Answer) -> Result<bool, String> {
    let refusal = match &case.expect {
        Expect::Refused(refusal) => *refusal,
        Expect::Accepted(_) => {
            return expect(answer.code == Some(0), "must be accepted", answer).map(|()| true);
        }
        Expect::RefusedOr(_) if answer.code == Some(0) => return Ok(true),
        Expect::RefusedOr(_) => Refusal::Either,
    };
    let code = answer.code.unwrap_or(-1);
    expect(
        refusal.allows(code),
        &format!("must be refused ({refusal:?})"),
        answer,
    )?;
    let said = &answer.stderr;
    expect(
        said.contains("layer ") && said.contains(" of "),
        "layer not named",
        answer,
    )?;
    // A damaged archive may end where no entry is.
    let named = code == 4 || said.contains("entry");
    expect(named, "entry not named", answer)?;
    let raw = said
        .chars()
        .any(|character| character.is_control() && character != '\n');
    expect(!raw, "control characters in the message", answer)?;
    Ok(false)
}

/// A merged tree as NTFS would look at it.
struct Tree {
    root: PathBuf,
    /// What of a fact's path is the root.
    below: &'static str,
}

impl Tree {
    fn holds(&self, fact: &Fact, place: &Place) -> bool {
        match fact {
            Fact::Missing(path) => self.find(path).is_none(),
            Fact::Directory(path) => self
                .find(path)
                .is_some_and(|path| is(&path, fs::Metadata::is_dir)),
            // One that leads outside is not made on disk; it must still be one in the image.
            Fact::Link(path) => self.find(path).is_some() && lists_a_link(place, path),
            Fact::File(path, content) => self.find(path).is_some_and(|path| {
                is(&path, fs::Metadata::is_file)
                    && fs::read(path).is_ok_and(|found| found == *content)
            }),
            Fact::SameFile(one, other) => match (self.inode(one), self.inode(other)) {
                (Some(one), Some(other)) => one == other,
                _ => false,
            },
            Fact::Modified(path, seconds) => self.find(path).is_some_and(|path| {
                let since = UNIX_EPOCH + Duration::from_secs(u64::try_from(*seconds).unwrap());
                path.symlink_metadata()
                    .and_then(|found| found.modified())
                    .is_ok_and(|found| (since..since + Duration::from_secs(1)).contains(&found))
            }),
            Fact::Spelled(path) if path == self.below => true,
            Fact::Spelled(path) => {
                let name = Path::new(path).file_name();
                self.find(path)
                    .is_some_and(|found| found.file_name() == name)
            }
            Fact::Stream(file, stream, content) => {
                let mut command = place.command(["cat", "oci:image", &format!("{file}:{stream}")]);
                command
                    .output()
                    .is_ok_and(|output| output.status.success() && output.stdout == *content)
            }
        }
    }

    fn inode(&self, path: &str) -> Option<(u64, u64)> {
        let path = self.find(path)?;
        let dir = winlayer_sys::Dir::open_ambient(path.parent()?).ok()?;
        Some(dir.stat(path.file_name()?.to_str()?).ok()??.inode)
    }

    /// Component by component: the exact name, else one that differs in case only.
    fn find(&self, path: &str) -> Option<PathBuf> {
        let below = path.strip_prefix(self.below)?.trim_start_matches('/');
        let mut found = self.root.clone();
        for name in below.split('/').filter(|name| !name.is_empty()) {
            let exact = found.join(name);
            if exact.symlink_metadata().is_ok() {
                found = exact;
                continue;
            }
            let entries = fs::read_dir(&found).ok()?;
            let mut names = entries.map(|entry| entry.unwrap().file_name());
            let same = |other: &std::ffi::OsString| {
                other
                    .to_str()
                    .is_some_and(|other| fold(other) == fold(name))
            };
            found = found.join(names.find(same)?);
        }
        Some(found)
    }
}

fn lists_a_link(place: &Place, path: &str) -> bool {
    let document = place.winlayer(["ls", "--json", "oci:image", path]).json();
    document["objects"][0]["target"].is_string()
}

/// The first link below `dir` that leads out of `root`, as the system would follow it.
fn escaping_link(root: &Path, dir: &Path) -> Option<PathBuf> {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            if let Some(found) = escaping_link(root, &path) {
                return Some(found);
            }
        } else if metadata.is_symlink() {
            let depth = dir.strip_prefix(root).unwrap().components().count();
            let target = fs::read_link(&path).unwrap();
            let ups = target
                .components()
                .filter(|part| matches!(part, Component::ParentDir))
                .count();
            if target.is_absolute() || ups > depth {
                return Some(path);
            }
        }
    }
    None
}

fn is(path: &Path, kind: fn(&fs::Metadata) -> bool) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| kind(&metadata))
}

/// Enough of NTFS's upcase table for names that differ in case on purpose.
fn fold(name: &str) -> String {
    name.to_ascii_uppercase()
}
