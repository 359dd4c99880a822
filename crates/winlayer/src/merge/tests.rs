pub(crate) mod model;

use std::{collections::BTreeMap, io::Read as _};

use proptest::prelude::*;
use winlayer_tar::{AlternateStream, Body, Object};

use self::model::{Model, Op, Seen};
use super::{testing::*, *};
use crate::ErrorKind;

/// Keeps everything a merge delivers.
#[derive(Default)]
pub(crate) struct Collected {
    objects: BTreeMap<NodeId, (u64, String, Vec<String>)>,
    last: Option<NodeId>,
    placed: usize,
}

impl Collected {
    fn put(&mut self, node: NodeId, object: &Object, content: String) {
        let mark = object.metadata.times.written.ticks();
        let old = self
            .objects
            .insert(node, (mark as u64, content, Vec::new()));
        assert!(old.is_none(), "{} came twice", object.path.as_str());
        self.last = Some(node);
    }
}

impl Sink for Collected {
    fn directory(&mut self, _: &Merge, node: NodeId, object: &Object) -> Result<()> {
        self.put(node, object, String::new());
        Ok(())
    }

    fn object(
        &mut self,
        _: &Merge,
        at: NodeId,
        object: &Object,
        body: &mut dyn std::io::BufRead,
    ) -> Result<()> {
        let mut content = String::new();
        body.read_to_string(&mut content).unwrap();
        self.put(at, object, content);
        self.placed += 1;
        Ok(())
    }

    fn links(&mut self, view: &Merge, to: NodeId, names: &[NodeId]) -> Result<()> {
        assert!(self.objects.contains_key(&to));
        for &name in names {
            assert_eq!(view.state(name).primary, Some(to));
        }
        Ok(())
    }

    fn stream(&mut self, _: &Merge, stream: &AlternateStream, body: &mut Body<'_>) -> Result<()> {
        let mut content = String::new();
        body.read_to_string(&mut content).unwrap();
        let owner = self.objects.get_mut(&self.last.unwrap()).unwrap();
        owner.2.push(format!("{}={content}", stream.name));
        Ok(())
    }
}

/// The merged view: upper-case path to what is seen there.
pub(crate) fn merged(layers: &dyn Layers, selection: Selection) -> Result<BTreeMap<String, Seen>> {
    let topmost = *layers.numbers()?.last().unwrap();
    let mut merge = Merge::new(selection, topmost, 10_000);
    let mut sink = Collected::default();
    merge_layers(layers, &mut merge, &mut sink)?;
    let mut view = BTreeMap::new();
    let mut primaries = std::collections::BTreeSet::new();
    for node in merge.sorted_from(NodeId::ROOT) {
        let state = merge.state(node);
        let path = merge.names().path(node).to_ascii_uppercase();
        let primary = state.primary.unwrap_or(node);
        let seen = match sink.objects.get(&primary) {
            Some((mark, content, streams)) => {
                if !state.kind.is_directory() {
                    primaries.insert(primary);
                }
                let content = content.clone();
                Seen {
                    directory: state.kind.is_directory(),
                    mark: *mark,
                    content,
                    streams: streams.clone(),
                }
            }
            None => {
                assert_eq!(state.kind, Kind::Implicit, "{path} has no object");
                Seen::implicit()
            }
        };
        view.insert(path, seen);
    }
    assert_eq!(
        primaries.len(),
        sink.placed,
        "something was placed that is not seen"
    );
    Ok(view)
}

fn view_of(layers: &[Vec<Item>]) -> Result<BTreeMap<String, String>> {
    let view = merged(&TestLayers::new(layers), Selection::Files)?;
    Ok(view
        .into_iter()
        .map(|(path, seen)| (path, seen.content))
        .collect())
}

/// The files of a view that must be valid, as `PATH=content`.
fn files(layers: &[Vec<Item>]) -> Vec<String> {
    let view = view_of(layers).unwrap();
    let files = view.into_iter().filter(|(_, content)| !content.is_empty());
    files
        .map(|(path, content)| format!("{}={content}", path.trim_start_matches("FILES/")))
        .collect()
}

fn refusal(layers: &[Vec<Item>]) -> String {
    let error = view_of(layers).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe, "{error}");
    error.to_string()
}

#[test]
fn a_higher_file_replaces_a_lower_one_of_any_case() {
    let base = vec![
        directory("Files", 1),
        file("Files/A.txt", 2, "old"),
        file("Files/b", 3, "b"),
    ];
    let top = vec![directory("Files", 4), file("Files/a.TXT", 5, "new")];
    assert_eq!(files(&[base, top]), ["A.TXT=new", "B=b"]);
}

#[test]
fn an_implied_directory_keeps_the_metadata_of_the_lower_one() {
    let base = vec![directory("Files", 1), directory("Files/d", 7)];
    let top = vec![file("Files/d/x", 5, "x")];
    let view = merged(&TestLayers::new(&[base, top]), Selection::Files).unwrap();
    let mark = metadata(7, Default::default()).times.written.ticks() as u64;
    assert_eq!(view["FILES/D"].mark, mark);
}

#[test]
fn a_directory_over_a_file_over_a_directory_does_not_show_the_lowest_children() {
    let base = vec![directory("Files/d", 1), file("Files/d/x", 2, "x")];
    let middle = vec![file("Files/d", 3, "file")];
    let top = vec![directory("Files/d", 4), file("Files/d/y", 5, "y")];
    assert_eq!(files(&[base, middle, top]), ["D/Y=y"]);
}

#[test]
fn an_opaque_marker_hides_lower_children_wherever_it_stands_in_the_tar() {
    let base = vec![directory("Files/d", 1), file("Files/d/x", 2, "x")];
    let marker_last = vec![file("Files/d/y", 3, "y"), opaque("Files/d")];
    let marker_first = vec![opaque("Files/d"), file("Files/d/y", 3, "y")];
    assert_eq!(files(&[base.clone(), marker_last]), ["D/Y=y"]);
    assert_eq!(files(&[base, marker_first]), ["D/Y=y"]);
}

#[test]
fn a_link_to_a_replaced_file_keeps_the_old_content() {
    let base = vec![file("Files/a", 1, "old"), hard_link("Files/b", "Files/a")];
    let top = vec![file("Files/a", 2, "new")];
    assert_eq!(files(&[base, top]), ["A=new", "B=old"]);
}

#[test]
fn a_link_across_layers_means_the_file_its_layer_sees() {
    let base = vec![file("Files/a", 1, "one")];
    let middle = vec![
        hard_link("Files/l", "files/A"),
        hard_link("Files/m", "Files/l"),
    ];
    let top = vec![file("Files/a", 2, "two"), whiteout("Files/l")];
    assert_eq!(files(&[base, middle, top]), ["A=two", "M=one"]);
}

#[test]
fn a_link_keeps_the_file_below_that_its_own_layer_removes_or_replaces() {
    let base = || vec![file("Files/a", 1, "one"), file("Files/d/b", 2, "two")];
    let link = || hard_link("Files/l", "Files/a");
    assert_eq!(
        files(&[base(), vec![link(), whiteout("Files/a")]]),
        ["D/B=two", "L=one"]
    );
    assert_eq!(
        files(&[base(), vec![whiteout("Files/a"), link()]]),
        ["D/B=two", "L=one"]
    );
    let opaque = vec![opaque("Files/d"), hard_link("Files/d/c", "Files/d/b")];
    assert_eq!(files(&[base(), opaque]), ["A=one", "D/C=two"]);
    let replaced = vec![
        link(),
        file("Files/a", 3, "new"),
        hard_link("Files/l2", "Files/l"),
        hard_link("Files/l3", "Files/a"),
    ];
    assert_eq!(
        files(&[base(), replaced]),
        ["A=new", "D/B=two", "L=one", "L2=one", "L3=new"]
    );
    let swapped = vec![link(), hard_link("Files/a", "Files/d/b")];
    assert_eq!(files(&[base(), swapped]), ["A=two", "D/B=two", "L=one"]);
}

#[test]
fn refuses_a_link_whose_target_a_layer_in_between_removes() {
    let base = vec![file("Files/a", 1, "one")];
    let between = vec![whiteout("Files/a")];
    let top = vec![hard_link("Files/l", "Files/a")];
    assert!(refusal(&[base, between, top]).contains("removes"));
}

#[test]
fn refuses_a_link_to_what_its_own_layer_removes_from_the_utility_vm() {
    let roots = || vec![directory("UtilityVM", 1), directory("UtilityVM/Files", 2)];
    let base = [roots(), vec![file("UtilityVM/Files/a", 3, "a")]].concat();
    let link = hard_link("Files/l", "UtilityVM/Files/a");
    for end in [
        whiteout("UtilityVM/Files/a"),
        file("UtilityVM/Files/a", 4, "b"),
    ] {
        refusal(&[
            base.clone(),
            [roots(), vec![link.clone(), end.clone()]].concat(),
        ]);
    }
}

#[test]
fn refuses_links_to_directories_and_to_nothing() {
    for target in ["Files/d", "Files/nothing", "Files/l", "Files", "Files/j"] {
        let base = || {
            vec![
                directory("Files", 0),
                directory("Files/d", 1),
                symlink("Files/j", 2, r"C:\d", true),
            ]
        };
        let mut alone = base();
        alone.push(hard_link("Files/l", target));
        assert!(refusal(&[alone]).contains("hard link"));
        assert!(refusal(&[base(), vec![hard_link("Files/l", target)]]).contains("hard link"));
    }
}

#[test]
fn refuses_names_twice_in_one_layer() {
    let twice = |a: Item, b: Item| refusal(&[vec![directory("Files", 0), a, b]]);
    assert!(twice(file("Files/a", 1, "1"), file("Files/A", 2, "2")).contains("twice"));
    assert!(twice(directory("Files/a", 1), symlink("Files/a", 2, "x", true)).contains("twice"));
    assert!(twice(directory("Files/a", 1), directory("Files/a", 2)).contains("twice"));
}

#[test]
fn refuses_to_write_link_or_remove_through_a_link_of_the_same_layer() {
    let link = || symlink("Files/link", 1, r"C:\Windows", true);
    for through in [
        file("Files/LINK/x", 2, "x"),
        hard_link("Files/link/x", "Files/a"),
        hard_link("Files/b", "Files/link/a"),
    ] {
        let base = vec![file("Files/a", 0, "a"), link(), through.clone()];
        refusal(&[base]);
        let late = vec![file("Files/a", 0, "a"), through, link()];
        refusal(&[late]);
    }
    for through in [whiteout("Files/link/x"), opaque("Files/link")] {
        refusal(&[vec![directory("Files", 0)], vec![link(), through.clone()]]);
        refusal(&[vec![directory("Files", 0)], vec![through, link()]]);
    }
}

#[test]
fn refuses_to_reach_through_a_link_of_a_lower_layer_unless_it_is_replaced() {
    let base = || {
        vec![
            file("Files/a", 0, "a"),
            symlink("Files/link", 1, r"C:\Windows", true),
        ]
    };
    for through in [
        file("Files/link/x", 2, "x"),
        whiteout("Files/link/x"),
        opaque("Files/link"),
        hard_link("Files/b", "Files/link/a"),
    ] {
        assert!(refusal(&[base(), vec![through]]).contains("reaches below it"));
    }
    let replaced = vec![directory("Files/link", 3), file("Files/link/x", 2, "x")];
    assert_eq!(files(&[base(), replaced]), ["A=a", "LINK/X=x"]);
    let removed = vec![whiteout("Files/Link"), file("Files/link/x", 2, "x")];
    assert_eq!(files(&[base(), removed]), ["A=a", "LINK/X=x"]);
}

#[test]
fn a_whiteout_of_nothing_is_an_error_only_in_the_utility_vm() {
    let base = || {
        vec![
            directory("Files", 0),
            directory("UtilityVM", 1),
            directory("UtilityVM/Files", 2),
        ]
    };
    assert!(files(&[base(), vec![whiteout("Files/x")]]).is_empty());
    let top = vec![
        directory("UtilityVM", 3),
        directory("UtilityVM/Files", 4),
        whiteout("UtilityVM/Files/x"),
    ];
    assert!(refusal(&[base(), top]).contains("layer 2"));
}

#[test]
fn a_utility_vm_begins_with_its_two_directories() {
    let malformed = |layer| {
        let error = view_of(&[layer]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    };
    malformed(vec![file("UtilityVM/Files/x", 1, "x")]);
    malformed(vec![
        directory("UtilityVM", 1),
        file("UtilityVM/Files/x", 1, "x"),
    ]);
    refusal(&[vec![file("Files/x", 1, "x"), file("UtilityVM", 1, "x")]]);
}

#[test]
fn a_utility_vm_links_to_files_that_are_not_asked_for() {
    let base = vec![
        file("Files/a", 1, "a"),
        directory("UtilityVM", 1),
        directory("UtilityVM/Files", 2),
        hard_link("UtilityVM/Files/b", "Files/a"),
        hard_link("UtilityVM/Files/c", "Files/a"),
    ];
    let view = merged(&TestLayers::new(&[base]), Selection::UtilityVmFiles).unwrap();
    let contents: Vec<_> = view.values().map(|seen| seen.content.as_str()).collect();
    assert_eq!(contents, ["", "a", "a"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Reading from the top down gives what applying layers from the base up gives.
    #[test]
    fn merges_as_layers_applied_one_by_one(layers in layers(), hostile in prop::bool::weighted(0.2)) {
        let (items, expected) = Model::build(&layers, hostile);
        let found = merged(&TestLayers::new(&items), Selection::Image);
        match (expected, found) {
            (Ok(expected), Ok(found)) => prop_assert_eq!(found, expected),
            (Err(why), Ok(_)) => prop_assert!(false, "merged, but the model refuses: {why}\n{items:#?}"),
            (Ok(_), Err(error)) => prop_assert!(false, "refused, but the model does not: {error}\n{items:#?}"),
            (Err(_), Err(_)) => {}
        }
    }
}

/// Random layers over few names, so that they meet.
pub(crate) fn layers() -> impl Strategy<Value = Vec<Vec<Op>>> {
    let name = prop::sample::select(vec!["a", "A", "b", "c"]);
    let tree = prop::sample::select(vec!["Files", "Files", "Files", "UtilityVM/Files"]);
    let path = (tree, prop::collection::vec(name, 1..4))
        .prop_map(|(tree, names)| format!("{tree}/{}", names.join("/")));
    let op = (0..9_u8, path.clone(), path, any::<bool>()).prop_map(
        |(what, path, other, with_stream)| match what {
            0 | 1 => Op::Directory(path, with_stream),
            2 | 3 => Op::File(path, with_stream),
            4 => Op::Symlink(path),
            5 | 6 => Op::HardLink(path, other),
            7 => Op::Whiteout(path),
            _ => Op::Opaque(path),
        },
    );
    prop::collection::vec(prop::collection::vec(op, 0..10), 1..5)
}
