//! The plainest merge: layers applied from the base up on a map, as a file system would.

use std::collections::{BTreeMap, BTreeSet};

use crate::merge::testing::{self, Item, metadata};

/// One entry of a random layer.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Directory(String, bool),
    File(String, bool),
    Symlink(String),
    HardLink(String, String),
    Whiteout(String),
    Opaque(String),
}

/// What is seen at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) directory: bool,
    /// Last-write ticks, different for each entry; 0 for an implied directory.
    pub(crate) mark: u64,
    pub(crate) content: String,
    pub(crate) streams: Vec<String>,
}

impl Seen {
    pub(crate) fn implicit() -> Self {
        Self {
            directory: true,
            mark: 0,
            content: String::new(),
            streams: Vec::new(),
        }
    }
}

type View = BTreeMap<String, Seen>;

pub(crate) struct Model;

impl Model {
    /// Turns operations into layers and says what they must give. Unless `hostile`, operations that
    /// would be refused are left out.
    pub(crate) fn build(
        layers: &[Vec<Op>],
        hostile: bool,
    ) -> (Vec<Vec<Item>>, Result<View, String>) {
        let mut view = Ok(View::new());
        let mut items = Vec::new();
        let mut mark = 0;
        for (index, ops) in layers.iter().enumerate() {
            let fixed = ["Files", "UtilityVM", "UtilityVM/Files"];
            let mut layer: Vec<(Op, u32)> = Vec::new();
            for path in fixed {
                layer.push((Op::Directory(path.to_owned(), false), next(&mut mark)));
            }
            for op in ops {
                if index == 0 && matches!(op, Op::Whiteout(_) | Op::Opaque(_)) {
                    continue;
                }
                layer.push((op.clone(), next(&mut mark)));
                let valid = view
                    .as_ref()
                    .is_ok_and(|lower| apply(lower, &layer).is_ok());
                if !valid && !hostile {
                    layer.pop();
                }
            }
            view = view.and_then(|lower| apply(&lower, &layer));
            items.push(
                layer
                    .iter()
                    .flat_map(|(op, mark)| to_items(op, *mark))
                    .collect(),
            );
        }
        (items, view)
    }
}

fn next(mark: &mut u32) -> u32 {
    *mark += 1;
    *mark
}

fn content(mark: u32) -> String {
    format!("content {mark}")
}

fn to_items(op: &Op, mark: u32) -> Vec<Item> {
    let (owner, with_stream) = match op {
        Op::Directory(path, with_stream) => (testing::directory(path, mark), *with_stream),
        Op::File(path, with_stream) => (testing::file(path, mark, &content(mark)), *with_stream),
        Op::Symlink(path) => (testing::symlink(path, mark, "a", false), false),
        Op::HardLink(path, target) => (testing::hard_link(path, target), false),
        Op::Whiteout(path) => (testing::whiteout(path), false),
        Op::Opaque(path) => (testing::opaque(path), false),
    };
    let stream = with_stream.then(|| testing::stream("s", &content(mark)));
    [owner].into_iter().chain(stream).collect()
}

fn seen(mark: u32, directory: bool, content: String, with_stream: bool) -> Seen {
    let streams = with_stream
        .then(|| format!("s={}", self::content(mark)))
        .into_iter()
        .collect();
    let mark = metadata(mark, Default::default()).times.written.ticks() as u64;
    Seen {
        directory,
        mark,
        content,
        streams,
    }
}

fn parents(path: &str) -> impl Iterator<Item = String> + '_ {
    path.match_indices('/')
        .map(|(end, _)| path[..end].to_owned())
}

fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// The view after one more layer.
fn apply(lower: &View, layer: &[(Op, u32)]) -> Result<View, String> {
    let mut defined: BTreeMap<String, Seen> = BTreeMap::new();
    let mut in_utility_vm: Vec<(String, String)> = Vec::new();
    let mut created_in: BTreeSet<String> = BTreeSet::new();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let mut after = lower.clone();

    for (op, mark) in layer {
        let up = |path: &String| path.to_ascii_uppercase();
        match op {
            Op::Whiteout(path) => {
                let path = up(path);
                if path.starts_with("UTILITYVM") && !lower.contains_key(&path) {
                    return Err(format!("removes nothing: {path}"));
                }
                reached.extend(parents(&path));
                after.retain(|name, _| *name != path && !is_below(name, &path));
                continue;
            }
            Op::Opaque(path) => {
                let path = up(path);
                reached.extend(parents(&path));
                after.retain(|name, _| !is_below(name, &path));
                reached.insert(path);
                continue;
            }
            _ => {}
        }
        let (path, object, target) = match op {
            Op::Directory(path, with) => (up(path), seen(*mark, true, String::new(), *with), None),
            Op::File(path, with) => (up(path), seen(*mark, false, content(*mark), *with), None),
            Op::Symlink(path) => (up(path), seen(*mark, false, String::new(), false), None),
            Op::HardLink(path, target) => (up(path), Seen::implicit(), Some(up(target))),
            Op::Whiteout(_) | Op::Opaque(_) => unreachable!(),
        };
        created_in.extend(parents(&path));
        reached.extend(parents(&path));
        reached.extend(
            target
                .iter()
                .flat_map(|target| parents(target))
                .collect::<Vec<_>>(),
        );
        if defined.contains_key(&path) {
            return Err(format!("twice: {path}"));
        }
        let object = match target {
            None => object,
            Some(target) => {
                let found = match defined.get(&target) {
                    _ if reached.contains(&target) || target == path => None,
                    // Even if this layer removes or replaces it: it is in a folder below.
                    found => found.or_else(|| lower.get(&target)),
                };
                let Some(found) = found.filter(|found| !found.directory) else {
                    return Err(format!("link {path} to {target}"));
                };
                let found = found.clone();
                if target.starts_with("UTILITYVM") && !defined.contains_key(&target) {
                    in_utility_vm.push((path.clone(), target));
                }
                found
            }
        };
        defined.insert(path, object);
    }

    for path in &reached {
        match (defined.get(path), after.get(path)) {
            (Some(here), _) if !here.directory => return Err(format!("reaches below {path}")),
            (None, Some(there)) if !there.directory => {
                return Err(format!("reaches below lower {path}"));
            }
            _ => {}
        }
    }
    for (path, target) in in_utility_vm {
        if defined.contains_key(&target) || !after.contains_key(&target) {
            return Err(format!("link {path} to {target}, which is gone"));
        }
    }

    for (path, object) in &defined {
        let stays = object.directory && after.get(path).is_some_and(|there| there.directory);
        if !stays {
            after.retain(|name, _| !is_below(name, path));
        }
        after.insert(path.clone(), object.clone());
    }
    for path in created_in {
        after.entry(path).or_insert_with(Seen::implicit);
    }
    Ok(after)
}
