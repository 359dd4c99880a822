//! Random trees: every volume is sound, and reads back as it was planned.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod plan;

use std::collections::HashSet;

use plan::{Content, Kind, Object, Plan, checks};
use proptest::{collection::vec, option, prelude::*, sample::select};
use winlayer_metadata::{
    ExtendedAttribute, ExtendedAttributes, FileAttributes, ReparsePoint, Upcase,
};
use winlayer_ntfs::VolumeSize;

/// A name, not yet known to be free in its directory, which is picked among those there are.
type Place = (prop::sample::Index, String);

/// An object before it has found its place.
#[derive(Clone, Debug)]
struct Raw {
    at: Place,
    kind: u8,
    content: Content,
    streams: Vec<(String, Content)>,
    extended: Vec<(String, u8, Vec<u8>)>,
    reparse: Option<ReparsePoint>,
    attributes: u32,
    descriptor: u32,
    time: i64,
    links: Vec<Place>,
}

fn name() -> impl Strategy<Value = String> {
    let letters = prop_oneof![
        4 => "[a-zA-Z0-9 ._-]{1,12}",
        2 => "\\PC{1,30}",
        1 => "[ßäöüÿŸжЖΩωǅǆ𐐀𐐨🗀]{1,8}",
        1 => "[xX]{230,240}",
    ];
    letters.prop_map(|name| {
        let name = name.replace(['"', '*', '/', ':', '<', '>', '?', '\\', '|', '$'], "_");
        match name.as_str() {
            "." | ".." => "_".to_owned(),
            _ => name,
        }
    })
}

fn content() -> impl Strategy<Value = Content> {
    let size = prop_oneof![
        6 => 0_u64..1100,
        3 => 0_u64..20_000,
        2 => select(vec![0, 1, 4095, 4096, 4097, 8192, 65_535, 65_536, 65_537]),
        1 => 100_000_u64..400_000,
    ];
    (size, any::<u8>(), any::<u64>()).prop_map(|(size, seed, holes)| Content { size, seed, holes })
}

fn reparse() -> impl Strategy<Value = ReparsePoint> {
    prop_oneof![
        "[a-z.]{1,30}".prop_map(|target| ReparsePoint::symlink(&target).unwrap()),
        "[a-z]{1,300}"
            .prop_map(|target| ReparsePoint::mount_point(&format!(r"C:\{target}")).unwrap()),
        vec(any::<u8>(), 0..3000).prop_map(|data| {
            let length = (data.len() as u16).to_le_bytes();
            let head = [&0x8000_0018_u32.to_le_bytes()[..], &length, &[0, 0]].concat();
            ReparsePoint::parse(&[head, data].concat()).unwrap()
        }),
    ]
}

fn raw() -> impl Strategy<Value = Raw> {
    let place = || (any::<prop::sample::Index>(), name());
    let value = prop_oneof![5 => vec(any::<u8>(), 0..60), 1 => vec(any::<u8>(), 0..4000)];
    let extended = vec(("[A-Z.]{1,20}", select(vec![0, 0x80]), value), 0..4);
    let extended = prop_oneof![4 => Just(Vec::new()), 1 => extended];
    let streams = prop_oneof![4 => Just(Vec::new()), 2 => vec((name(), content()), 0..4), 1 => vec((name(), content()), 0..30)];
    let links =
        prop_oneof![5 => Just(Vec::new()), 2 => vec(place(), 0..5), 1 => vec(place(), 0..40)];
    let reparse = option::weighted(0.15, reparse());
    let facts = (any::<u32>(), 0_u32..12, -1_000_000_i64..1_000_000);
    (
        place(),
        0_u8..4,
        content(),
        streams,
        extended,
        reparse,
        facts,
        links,
    )
        .prop_map(
            |(at, kind, content, streams, extended, reparse, facts, links)| Raw {
                at,
                kind,
                content,
                streams,
                extended,
                reparse,
                attributes: facts.0,
                descriptor: facts.1,
                time: facts.2,
                links,
            },
        )
}

/// Few objects, or many; now and then a directory with a tree of blocks.
fn plan() -> impl Strategy<Value = Plan> {
    let raws = prop_oneof![6 => vec(raw(), 0..25), 1 => vec(raw(), 25..150)];
    (raws, option::weighted(0.1, 50..600_usize)).prop_map(|(raws, many)| {
        let mut planner = Planner::default();
        for raw in raws {
            planner.add(raw);
        }
        let folder = planner.folders.len() / 2;
        let folder = planner.folders.get(folder).copied().unwrap_or(0);
        for n in 0..many.unwrap_or(0) {
            planner
                .plan
                .add(Object::file(folder, format!("${n} of many"), n as u64 % 50));
        }
        planner.plan
    })
}

struct Planner {
    plan: Plan,
    /// Directories that can have something in them.
    folders: Vec<usize>,
    taken: HashSet<(usize, Vec<u16>)>,
}

impl Default for Planner {
    fn default() -> Self {
        let (folders, taken) = (vec![0], HashSet::new());
        let plan = Plan::new();
        Self {
            plan,
            folders,
            taken,
        }
    }
}

impl Planner {
    fn add(&mut self, raw: Raw) {
        let (parent, name) = self.place(&raw.at);
        let kind = match (raw.kind, &raw.reparse) {
            (0, Some(_)) => Kind::DirectoryLink,
            (0, None) => Kind::Directory,
            _ => Kind::File(raw.content),
        };
        let mut object = Object::new(parent, name, kind);
        object.streams = distinct(raw.streams);
        let extended = distinct(
            raw.extended
                .into_iter()
                .map(|(n, f, v)| (n, (f, v)))
                .collect(),
        );
        // Windows keeps no extended attributes beside reparse data.
        if raw.reparse.is_none() {
            let list = extended.into_iter().map(|(name, (flags, value))| {
                let name = name.into_bytes();
                ExtendedAttribute { flags, name, value }
            });
            object.extended = ExtendedAttributes::from_list(list.collect()).unwrap();
        }
        object.reparse = raw.reparse;
        object.attributes = FileAttributes::from_bits_retain(raw.attributes);
        object.descriptor = raw.descriptor;
        object.time = raw.time;
        if matches!(object.kind, Kind::File(_)) {
            object.links = raw.links.iter().map(|place| self.place(place)).collect();
        }
        let number = self.plan.add(object.clone());
        if object.is_directory() {
            self.folders.push(number);
        }
    }

    /// The directory and a name that is free there.
    fn place(&mut self, (parent, name): &Place) -> (usize, String) {
        let parent = *parent.get(&self.folders);
        let mut free = name.clone();
        let mut n = 1;
        while !self.taken.insert((parent, units(&free))) {
            n += 1;
            free = format!("{name} {n}");
        }
        (parent, free)
    }
}

/// What two names must differ in.
fn units(name: &str) -> Vec<u16> {
    name.encode_utf16().map(Upcase::unit).collect()
}

fn distinct<T>(list: Vec<(String, T)>) -> Vec<(String, T)> {
    let mut seen = HashSet::new();
    let is_new = |(name, _): &(String, T)| seen.insert(units(name));
    list.into_iter().filter(is_new).collect()
}

const FIT: VolumeSize = VolumeSize::Fit { free: 100_000 };

proptest! {
    #![proptest_config(ProptestConfig { cases: 2500, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn reads_back(plan in plan()) {
        let (image, _) = plan.write(FIT).unwrap();
        plan.assert_is(&image);
        prop_assert!(plan.write(FIT).unwrap().0 == image, "the same bytes again");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn passes_checkers_of_others(plan in plan()) {
        let (image, _) = plan.write(FIT).unwrap();
        checks::quick(&image);
    }
}
