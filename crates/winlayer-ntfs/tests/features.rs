//! Each thing a volume can have: written, read back by us, and checked by others.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, not of a library")]

mod plan;

use plan::{Content, Kind, Object, Plan, extended};
use winlayer_metadata::{FileAttributes, ReparsePoint};
use winlayer_ntfs::{NtfsError, VolumeSize};

const FIT: VolumeSize = VolumeSize::Fit { free: 1 << 20 };

#[track_caller]
fn refused(plan: &Plan) -> String {
    plan.write(FIT).unwrap_err().to_string()
}

// ── records ──

#[test]
fn the_most_links_windows_allows() {
    let mut plan = Plan::new();
    let folders = [0, 1].map(|n| plan.add(Object::directory(0, format!("folder {n}"))));
    // An even number gets its links at once, an odd one when its record has been written.
    for name in ["at once", "later"] {
        let mut file = Object::file(0, name, 5000);
        file.streams.push(("beside it".into(), Content::of(20_000)));
        file.extended = extended(&[("ONE", 300)]);
        file.links = (1..1024)
            .map(|n| {
                (
                    folders[n % 2],
                    format!("{name}, link {n} of a long name {}", "x".repeat(n % 200)),
                )
            })
            .collect();
        plan.add(file);
    }
    plan.assert_sound(FIT);

    let last = plan.objects.last_mut().unwrap();
    last.links.push((0, "one too many".into()));
    let said = refused(&plan);
    assert!(
        said.contains("one too many") && said.contains("1024"),
        "{said}"
    );
}

#[test]
fn many_streams() {
    let mut plan = Plan::new();
    let stream = |n: u64| (format!("stream {n}"), Content::of(n * n * 3));
    let mut file = Object::file(0, "file", 100);
    file.streams = (0..60).map(stream).collect();
    plan.add(file);
    let mut directory = Object::directory(0, "directory");
    directory.streams = (0..60).map(stream).collect();
    let parent = plan.add(directory);
    for n in 0..50 {
        plan.add(Object::file(parent, format!("below it {n}"), n));
    }
    // Small ones, and names as long as they can be.
    let mut file = Object::file(0, "small streams", 0);
    file.streams = (0..20)
        .map(|n| (format!("{n:0255}"), Content::of(n)))
        .collect();
    plan.add(file);
    // Their lists are made anew when links come later.
    for n in 0..2 {
        let mut file = Object::file(0, format!("linked {n}"), 600);
        file.streams = (0..20 + 50 * n).map(stream).collect();
        plan.add(file.clone());
        file.name = format!("linked again {n}");
        file.links = (0..9)
            .map(|n| (parent, format!("{} {n}", file.name)))
            .collect();
        plan.add(file);
    }
    // On the root, and on a link.
    plan.objects[0].streams = vec![("of the root".into(), Content::of(70_000))];
    let mut link = Object::new(0, "junction", Kind::DirectoryLink);
    link.reparse = Some(ReparsePoint::mount_point(r"C:\directory").unwrap());
    link.streams = vec![("of a link".into(), Content::of(700))];
    plan.add(link);
    plan.assert_sound(FIT);
}

#[test]
fn streams_of_every_size_around_what_a_record_holds() {
    let mut plan = Plan::new();
    for size in (0..64)
        .chain(540..760)
        .chain([4095, 4096, 4097, 8192, 65_536, 65_537, 1_000_000])
    {
        let parent = plan.add(Object::directory(0, format!("{size}")));
        plan.add(Object::file(parent, "content", size));
        let mut both = Object::file(parent, "both", size / 2);
        both.streams = vec![("half".into(), Content::of(size - size / 2))];
        plan.add(both);
        let mut stream = Object::directory(parent, "of a directory");
        stream.streams = vec![("all".into(), Content::of(size))];
        plan.add(stream);
        plan.add(Object::file(parent, "n".repeat(255), size));
    }
    plan.assert_sound(FIT);
}

#[test]
fn extended_attributes_up_to_their_limit() {
    let mut plan = Plan::new();
    let lists: [&[(&str, usize)]; 9] = [
        &[("EMPTY", 0)],
        &[("A", 1), ("B", 2), ("C", 3), ("D", 4)],
        &[("RESIDENT", 400)],
        &[("NEARLY", 600)],
        &[("NOT", 700)],
        &[("ONE", 3000), ("TWO", 3001)],
        &[("CLUSTERS", 8192 - 17)],
        &[("HALF", 32_000), ("OTHER HALF", 33_000)],
        // 8 bytes before the name, one behind it, and nothing to align: 65,532 bytes in all.
        &[("LARGEST", 65_516)],
    ];
    for (n, list) in lists.iter().enumerate() {
        for mut object in [
            Object::file(0, format!("file {n}"), 300),
            Object::directory(0, format!("directory {n}")),
        ] {
            object.extended = extended(list);
            plan.add(object);
        }
    }
    plan.assert_sound(FIT);
}

#[test]
fn reparse_points_on_files_and_directories() {
    let mut plan = Plan::new();
    let foreign = |tag: u32, length: usize| {
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend((length as u16).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend((0..length).map(|at| at as u8));
        ReparsePoint::parse(&bytes).unwrap()
    };
    let points = [
        ReparsePoint::symlink(r"..\elsewhere").unwrap(),
        ReparsePoint::symlink(r"C:\Windows\System32").unwrap(),
        ReparsePoint::mount_point(r"C:\somewhere").unwrap(),
        ReparsePoint::symlink(&"long\\".repeat(700)).unwrap(),
        foreign(0x8000_0017, 16),
        foreign(0x8000_0018, 600),
        foreign(0x9000_1018, 700),
        foreign(0x8000_001b, 16_384 - 8),
    ];
    for (n, point) in points.iter().enumerate().cycle().take(300) {
        let number = plan.objects.len();
        let is_name = point.target().is_some();
        let mut file = Object::file(
            0,
            format!("file {number}"),
            if is_name { 0 } else { n as u64 * 200 },
        );
        file.reparse = Some(point.clone());
        plan.add(file);
        let mut link = Object::new(0, format!("directory {number}"), Kind::DirectoryLink);
        link.reparse = Some(point.clone());
        plan.add(link);
    }
    plan.assert_sound(FIT);
}

#[test]
fn nothing_is_put_below_a_link() {
    let mut plan = Plan::new();
    let mut link = Object::new(0, "link", Kind::DirectoryLink);
    link.reparse = Some(ReparsePoint::mount_point(r"C:\").unwrap());
    let link = plan.add(link);
    plan.add(Object::file(link, "below", 0));
    let said = refused(&plan);
    assert!(
        said.contains("below") && said.contains("no directory"),
        "{said}"
    );

    let mut plan = Plan::new();
    let file = plan.add(Object::file(0, "file", 0));
    plan.add(Object::file(file, "below", 0));
    assert!(refused(&plan).contains("no directory"));
}

#[test]
fn attributes_that_can_be_set() {
    let mut plan = Plan::new();
    for bit in (0..20).map(|bit| 1 << bit).chain([u32::MAX]) {
        let attributes = FileAttributes::from_bits_retain(bit);
        let mut file = Object::file(0, format!("file {bit:x}"), 10);
        let mut directory = Object::directory(0, format!("directory {bit:x}"));
        for object in [&mut file, &mut directory] {
            object.attributes = attributes;
            plan.add(object.clone());
        }
    }
    plan.assert_sound(FIT);
}

// ── directories ──

#[test]
fn directories_of_every_depth() {
    let mut plan = Plan::new();
    for count in [0, 1, 3, 4, 5, 8, 30, 31, 40, 41, 300, 1500, 12_000] {
        let parent = plan.add(Object::directory(0, format!("of {count}")));
        for n in 0..count {
            // In no order, and of many lengths.
            let n = n * 7919 % count;
            let name = match n % 4 {
                0 => format!("{n}"),
                1 => format!("Größe {n} ß Ω {}", "ж".repeat(n % 100)),
                2 => format!("plain {n:05}"),
                _ => format!("🗀 {n}"),
            };
            plan.add(Object::file(parent, name, 0));
        }
    }
    let long = plan.add(Object::directory(0, "long"));
    for n in 0..600 {
        plan.add(Object::file(long, format!("{n:03}{}", "l".repeat(252)), 0));
    }
    let mut at = 0;
    for n in 0..100 {
        at = plan.add(Object::directory(at, format!("level {n}")));
    }
    plan.add(Object::file(at, "the end", 7));
    plan.assert_sound(FIT);
}

#[test]
fn names_that_differ_in_case_only_are_refused() {
    for [one, other] in [
        ["Name", "nAME"],
        ["größe", "GRÖSSE".replace("SS", "ẞ").as_str()],
        ["ж", "Ж"],
        ["ÿ", "Ÿ"],
    ] {
        let mut plan = Plan::new();
        let folder = plan.add(Object::directory(0, "folder"));
        plan.add(Object::file(folder, one, 1));
        plan.add(Object::file(0, other, 1));
        plan.add(Object::file(folder, other, 1));
        match plan.write(FIT) {
            Err(NtfsError::Collision { first, second }) => {
                let mut told = [first.as_str(), second.as_str()];
                told.sort_unstable();
                let mut given = [one, other];
                given.sort_unstable();
                assert_eq!(told, given);
            }
            // NTFS knows only pairs of one unit each, and not all of Unicode's.
            Ok(_) => assert_eq!(one, "größe"),
            Err(error) => panic!("{error}"),
        }
    }
    let mut plan = Plan::new();
    plan.add(Object::file(0, "$mft", 1));
    assert!(refused(&plan).contains("$MFT"), "{}", refused(&plan));
    let mut plan = Plan::new();
    let file = plan.add(Object::file(0, "same", 1));
    plan.objects[file].links = vec![(0, "same".into())];
    assert!(plan.write(FIT).is_err(), "the same name twice");
}

#[test]
fn names_that_cannot_be_are_refused() {
    let long = "x".repeat(256);
    let astral = "𝔸".repeat(128);
    for name in [
        "", ".", "..", "a/b", r"a\b", "a:b", "a*", "a?", "a<", "a>", "a|", "a\"", "a\0", "a\n",
        &long, &astral,
    ] {
        let mut plan = Plan::new();
        plan.add(Object::file(0, name, 0));
        assert!(
            matches!(plan.write(FIT), Err(NtfsError::Name { .. })),
            "{name:?}"
        );
    }
    for stream in ["", "a/b", r"a\b", "a:b", "a\0", &long] {
        let mut plan = Plan::new();
        let mut file = Object::file(0, "file", 0);
        file.streams = vec![(stream.into(), Content::of(1))];
        plan.add(file);
        assert!(
            matches!(plan.write(FIT), Err(NtfsError::Name { .. })),
            "{stream:?}"
        );
    }
    let mut plan = Plan::new();
    let mut file = Object::file(0, "file", 0);
    file.streams = ["one", "ONE"]
        .map(|name| (name.into(), Content::of(1)))
        .to_vec();
    plan.add(file);
    assert!(refused(&plan).contains("ONE"));
}

// ── content ──

#[test]
fn holes_wherever_they_are() {
    let mut plan = Plan::new();
    let unit = Content::UNIT;
    let patterns = [
        0,
        !0,
        1,
        2,
        0b0111,
        0b1110,
        0x5555_5555_5555_5555,
        0xf0f0,
        1 << 63,
    ];
    for (n, holes) in patterns.into_iter().enumerate() {
        for size in [
            unit - 1,
            unit,
            unit + 1,
            4 * unit,
            4 * unit + 100,
            70 * unit,
            200 * unit + 5,
        ] {
            let content = Content {
                size,
                seed: n as u8,
                holes,
            };
            let mut file = Object::new(0, format!("{holes:x} {size}"), Kind::File(content));
            file.attributes = FileAttributes::SPARSE_FILE;
            plan.add(file);
        }
    }
    let content = Content {
        size: 300,
        seed: 0,
        holes: 1,
    };
    let mut small = Object::new(0, "resident", Kind::File(content));
    small.attributes = FileAttributes::SPARSE_FILE;
    plan.add(small);
    let summary = plan.assert_sound(FIT);
    let whole: u64 = plan
        .objects
        .iter()
        .map(|object| match object.kind {
            Kind::File(content) => content.size,
            _ => 0,
        })
        .sum();
    // So many pieces are made that runs fit a record; the rest is stored.
    assert!(
        summary.used + (25 << 20) < whole,
        "{summary:?}, {whole} bytes in files"
    );
}

#[test]
fn more_descriptors_than_a_block_holds() {
    let mut plan = Plan::new();
    for n in 0..4000 {
        let mut file = Object::file(0, format!("{n}"), 0);
        // Each is used by two files.
        file.descriptor = n % 2000;
        plan.add(file);
    }
    plan.assert_sound(FIT);
    // Enough for several blocks of 256 KiB, each with its copy: 100 bytes and more are kept of each.
    for n in 0..5000 {
        let mut file = Object::file(0, format!("more {n}"), 0);
        file.descriptor = 10_000 + n;
        plan.add(file);
    }
    plan.assert_sound(FIT);
}
