//! Whatever this crate accepts, the `tar` crate and Python's `tarfile` must read in the same way:
//! the same entries with the same type, name, link target, size and content. What it refuses they may
//! read as they like.
//!
//! Accepted differences, all of them:
//!
//! * Global extended headers: skipped here and by Python, listed as entries by the `tar` crate.
//!   Those that could change a name, size or time are refused, so nothing depends on it.
//! * Trailing slashes of names: kept here and by the `tar` crate, removed from some by Python. `LayerPath` removes
//!   them too; a file, link or hard link whose name ends in one is refused before that.
//! * An empty source and a lone zero block: an empty archive here, as in Go; Python refuses the former.
//!
//! Archives are made of valid pieces and then damaged: fields set to telling values under a correct
//! checksum, blocks dropped, doubled and swapped, bytes flipped, the end cut off.
#![cfg(test)] // helpers of tests are test code to clippy too

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use support::oracle::{Listed, check_against_tar_crate, ours};
use support::{Block, Blocks, gnu, header, record, seal, set, with, with_link};

/// A piece of an archive.
#[derive(Clone, Debug)]
enum Piece {
    Entry {
        name: usize,
        typeflag: u8,
        body: Vec<u8>,
        gnu: bool,
        prefix: bool,
    },
    Pax(Vec<(usize, usize)>),
    GlobalPax(Vec<(usize, usize)>),
    Long {
        typeflag: u8,
        name: usize,
        nuls: usize,
    },
}

#[derive(Clone, Debug)]
enum Damage {
    /// Sets a field of the header in a block and makes the checksum right.
    Field {
        block: prop::sample::Index,
        field: usize,
        value: usize,
    },
    Flip {
        at: prop::sample::Index,
        mask: u8,
        seal: bool,
    },
    Drop(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Zero(prop::sample::Index),
    Cut(prop::sample::Index),
    Append(Vec<u8>),
}

const NAMES: [&str; 9] = [
    "Files",
    "Files/",
    "Files/a.txt",
    "Files/a.txt:s",
    "Files/ä",
    "./Files/b",
    "x/y/",
    "",
    "Files/a\\b",
];
const KEYS: [&str; 14] = [
    "path",
    "linkpath",
    "size",
    "mtime",
    "atime",
    "comment",
    "uid",
    "MSWINDOWS.fileattr",
    "GNU.sparse.major",
    "GNU.sparse.name",
    "GNU.sparse.realsize",
    "hdrcharset",
    "SCHILY.realsize",
    "uname",
];
const VALUES: [&str; 13] = [
    "Files/pax",
    "Files/dir/",
    "0",
    "3",
    "512",
    "513",
    "1024",
    "-1",
    "+3",
    "",
    "1.5",
    "BINARY",
    "00000003",
];
/// Offset and width of header fields.
const FIELDS: [(usize, usize); 12] = [
    (0, 100),
    (100, 8),
    (108, 8),
    (124, 12),
    (136, 12),
    (148, 8),
    (156, 1),
    (157, 100),
    (257, 8),
    (265, 32),
    (345, 155),
    (500, 12),
];
const FIELD_VALUES: [&[u8]; 27] = [
    b"",
    b"\0",
    b"0",
    b"1",
    b"2",
    b"3",
    b"5",
    b"7",
    b"x",
    b"g",
    b"L",
    b"K",
    b"S",
    b"D",
    b"00000000003\0",
    b"00000001000\0",
    b"         3 \0",
    b"-0000000003\0",
    b"3\x005",
    b"\x80\0\0\0\0\0\0\0\0\0\x02\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"ustar\x0000",
    b"ustar  \0",
    b"ustar\0\0\0",
    b"Files/name",
    b"Files/dir/",
    b"tar\0",
];

fn piece() -> impl Strategy<Value = Piece> {
    let bytes = |size| prop::collection::vec(any::<u8>(), size);
    let body = prop_oneof![3 => bytes(0..5_usize), 1 => bytes(510..1030)];
    let typeflag = prop::sample::select(b"0000055221\0LKxgS73".to_vec());
    let records = || prop::collection::vec((0..KEYS.len(), 0..VALUES.len()), 0..3);
    prop_oneof![
        5 => (0..NAMES.len(), typeflag, body, any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(name, typeflag, body, gnu, prefix)| Piece::Entry { name, typeflag, body, gnu, prefix }),
        2 => records().prop_map(Piece::Pax),
        1 => records().prop_map(Piece::GlobalPax),
        1 => (prop::sample::select(b"LK".to_vec()), 0..NAMES.len(), 0..3_usize)
            .prop_map(|(typeflag, name, nuls)| Piece::Long { typeflag, name, nuls }),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    use prop::sample::Index;
    prop_oneof![
        6 => (any::<Index>(), 0..FIELDS.len(), 0..FIELD_VALUES.len())
            .prop_map(|(block, field, value)| Damage::Field { block, field, value }),
        2 => (any::<Index>(), 1..=255_u8, any::<bool>()).prop_map(|(at, mask, seal)| Damage::Flip { at, mask, seal }),
        1 => any::<Index>().prop_map(Damage::Drop),
        1 => any::<Index>().prop_map(Damage::Double),
        1 => any::<(Index, Index)>().prop_map(|(a, b)| Damage::Swap(a, b)),
        1 => any::<Index>().prop_map(Damage::Zero),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => prop::collection::vec(prop_oneof![9 => Just(0_u8), 1 => any::<u8>()], 0..600).prop_map(Damage::Append),
    ]
}

fn archive() -> impl Strategy<Value = Vec<u8>> {
    (
        prop::collection::vec(piece(), 0..6),
        prop::collection::vec(damage(), 0..3),
        prop::bool::weighted(0.9),
    )
        .prop_map(|(pieces, damages, end)| {
            let blocks = pieces.iter().fold(Blocks::default(), build);
            let mut archive = if end { blocks.end() } else { blocks.0 };
            for damage in &damages {
                inflict(&mut archive, damage);
            }
            archive
        })
}

fn build(blocks: Blocks, piece: &Piece) -> Blocks {
    let records = |list: &[(usize, usize)]| -> Vec<u8> {
        list.iter()
            .flat_map(|&(key, value)| record(KEYS[key], VALUES[value].as_bytes()))
            .collect()
    };
    match piece {
        Piece::Entry {
            name,
            typeflag,
            body,
            gnu: is_gnu,
            prefix,
        } => {
            let with_body = matches!(typeflag, b'0' | 0 | b'7' | b'S');
            let body = if with_body { body.as_slice() } else { &[] };
            let mut block = header(NAMES[*name].as_bytes(), *typeflag, body.len() as u64);
            if matches!(typeflag, b'1' | b'2') {
                block = with_link(block, b"Files/target");
            }
            if *prefix {
                block = with(block, 345, b"Files/prefix");
            }
            if *is_gnu {
                block = gnu(block);
            }
            blocks.block(block).body(body)
        }
        Piece::Pax(list) => blocks.raw_pax(b'x', &records(list)),
        Piece::GlobalPax(list) => blocks.raw_pax(b'g', &records(list)),
        Piece::Long {
            typeflag,
            name,
            nuls,
        } => {
            let mut bytes = NAMES[*name].repeat(12).into_bytes();
            bytes.resize(bytes.len() + nuls, 0);
            blocks.long(*typeflag, &bytes)
        }
    }
}

fn inflict(archive: &mut Vec<u8>, damage: &Damage) {
    let count = archive.len() / 512;
    if count == 0 {
        return;
    }
    let at = |index: &prop::sample::Index| index.index(count) * 512;
    let edit = |archive: &mut [u8], at: usize, edit: &dyn Fn(&mut Block)| {
        let mut block: Block = archive[at..at + 512].try_into().unwrap();
        edit(&mut block);
        archive[at..at + 512].copy_from_slice(&seal(block));
    };
    match damage {
        Damage::Field {
            block,
            field,
            value,
        } => edit(archive, at(block), &|block| {
            let (offset, width) = FIELDS[*field];
            let value = FIELD_VALUES[*value];
            set(block, offset, &value[..value.len().min(width)]);
        }),
        Damage::Flip {
            at: index,
            mask,
            seal: false,
        } => {
            let position = index.index(archive.len());
            archive[position] ^= mask;
        }
        Damage::Flip {
            at: index,
            mask,
            seal: true,
        } => {
            let position = index.index(count * 512);
            edit(archive, position / 512 * 512, &|block| {
                block[position % 512] ^= mask
            });
        }
        Damage::Drop(index) => drop(archive.drain(at(index)..at(index) + 512)),
        Damage::Double(index) => {
            let block = archive[at(index)..at(index) + 512].to_vec();
            archive.splice(at(index)..at(index), block);
        }
        Damage::Swap(a, b) => {
            for offset in 0..512 {
                archive.swap(at(a) + offset, at(b) + offset);
            }
        }
        Damage::Zero(index) => archive[at(index)..at(index) + 512].fill(0),
        Damage::Cut(index) => archive.truncate(index.index(archive.len())),
        Damage::Append(bytes) => archive.extend_from_slice(bytes),
    }
}

proptest! {
    #![proptest_config(Config::with_cases(4000))]

    #[test]
    fn the_tar_crate_agrees_on_what_is_accepted(archive in archive()) {
        check_against_tar_crate(&archive);
    }
}

#[test]
fn python_agrees_on_what_is_accepted() {
    let mut runner = TestRunner::deterministic();
    let strategy = archive();
    let mut accepted = Vec::new();
    for _ in 0..8000 {
        let archive = strategy.new_tree(&mut runner).unwrap().current();
        if let Ok(list) = ours(&archive)
            && !archive.is_empty()
        {
            accepted.push((archive, list));
        }
    }
    assert!(
        accepted.len() > 500,
        "only {} archives were accepted, the test says nothing",
        accepted.len()
    );
    let theirs = python(accepted.iter().map(|(archive, _)| archive.as_slice()));
    assert_eq!(theirs.len(), accepted.len());
    for ((archive, ours), theirs) in accepted.iter().zip(&theirs) {
        let ours = without_trailing_slashes(ours);
        let theirs = theirs.as_ref().map(|list| without_trailing_slashes(list));
        assert_eq!(
            theirs,
            Ok(ours),
            "tarfile reads {} differently",
            archive.escape_ascii()
        );
    }
}

fn without_trailing_slashes(list: &[Listed]) -> Vec<Listed> {
    list.iter().map(without_trailing_slash).collect()
}

fn without_trailing_slash(entry: &Listed) -> Listed {
    let mut entry = entry.clone();
    while entry.name.ends_with(b"/") {
        entry.name.pop();
    }
    entry
}

/// Lists archives with `tarfile`. Python is part of the test set-up: without it the test fails.
fn python<'a>(archives: impl Iterator<Item = &'a [u8]>) -> Vec<Result<Vec<Listed>, String>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tarfile_list.py");
    let mut child = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 must be installed for this test");
    let mut input = Vec::new();
    for archive in archives {
        input.extend_from_slice(&u32::try_from(archive.len()).unwrap().to_be_bytes());
        input.extend_from_slice(archive);
    }
    let mut stdin = child.stdin.take().unwrap();
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator("\n\n").map(parse_listing).collect()
}

fn parse_listing(text: &str) -> Result<Vec<Listed>, String> {
    let (status, entries) = text.split_once('\n').unwrap_or((text, ""));
    if status != "ok" {
        return Err(status.to_owned());
    }
    Ok(entries.lines().map(parse_entry).collect())
}

fn parse_entry(line: &str) -> Listed {
    let fields: Vec<_> = line.split(' ').collect();
    let hex = |text: &str| -> Vec<u8> {
        let digits = text.trim_matches('-').as_bytes();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    Listed {
        kind: fields[0].chars().next().unwrap(),
        name: hex(fields[1]),
        link: hex(fields[2]),
        size: fields[3].parse().unwrap(),
        crc: fields[4].parse().unwrap(),
    }
}
