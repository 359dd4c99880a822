use std::io::Cursor;

use zerocopy::{FromBytes, IntoBytes};

use super::{SECTOR, marvin::marvin32};
use crate::{
    Hive, HiveError, HiveTree, PagedSource, ValueData,
    format::{BaseBlock, DirtyPage, LogEntry, PAGE},
};

/// States of one hive: each has one value more, and the last ones one bin more.
fn state(number: u32) -> Vec<u8> {
    let mut tree = HiveTree::new("SYSTEM");
    tree.set_last_written(1);
    let key = tree.root_mut().create("key").unwrap();
    for value in 0..=number {
        key.set(
            &value.to_string(),
            ValueData::binary(vec![value as u8; 1500]),
        )
        .unwrap();
    }
    tree.to_bytes().unwrap()
}

fn values(hive: &Hive<'_>) -> usize {
    hive.get("key")
        .unwrap()
        .unwrap()
        .values()
        .map(Result::unwrap)
        .count()
}

fn header(file: &[u8]) -> BaseBlock {
    BaseBlock::read_from_prefix(file).unwrap().0
}

fn with_header(file: &[u8], change: impl FnOnce(&mut BaseBlock)) -> Vec<u8> {
    let mut base = header(file);
    change(&mut base);
    base.checksum = base.compute_checksum().into();
    [base.as_bytes(), &file[PAGE..]].concat()
}

/// `file` as it is after a crash: numbers apart, `secondary` the last that is whole.
fn dirty(file: &[u8], secondary: u32) -> Vec<u8> {
    with_header(file, |base| {
        base.primary_sequence = (secondary + 1).into();
        base.secondary_sequence = secondary.into();
    })
}

/// An entry that turns the bins into those of `file`.
fn entry(file: &[u8], sequence: u32) -> Vec<u8> {
    let bins = &file[PAGE..];
    let pages: Vec<DirtyPage> = (0..bins.len() / PAGE)
        .map(|page| DirtyPage {
            offset: ((page * PAGE) as u32).into(),
            size: (PAGE as u32).into(),
        })
        .collect();
    let mut content = [pages.as_bytes(), bins].concat();
    let size = (size_of::<LogEntry>() + content.len()).next_multiple_of(SECTOR);
    content.resize(size - size_of::<LogEntry>(), 0);
    let mut header = LogEntry {
        signature: LogEntry::SIGNATURE,
        size: (size as u32).into(),
        flags: 0.into(),
        sequence: sequence.into(),
        bins_size: (bins.len() as u32).into(),
        dirty_pages: (pages.len() as u32).into(),
        content_hash: marvin32(&content).into(),
        header_hash: 0.into(),
    };
    header.header_hash = marvin32(&header.as_bytes()[..32]).into();
    [header.as_bytes(), &content].concat()
}

fn log(file: &[u8], kind: u32, body: &[u8]) -> Vec<u8> {
    let base = with_header(file, |base| base.file_type = kind.into());
    [&base[..SECTOR], body].concat()
}

fn entries(first: u32, files: &[Vec<u8>]) -> Vec<u8> {
    let body = files
        .iter()
        .zip(first..)
        .map(|(file, sequence)| entry(file, sequence));
    log(&state(0), 6, &body.collect::<Vec<_>>().concat())
}

#[test]
fn a_dirty_hive_without_logs_is_refused_with_what_to_do() {
    let file = dirty(&state(0), 5);
    let error = Hive::from_bytes(&file).unwrap_err();
    assert!(matches!(error, HiveError::Dirty { .. }));
    assert!(error.to_string().contains(".LOG1"), "{error}");
    let mut file = state(0);
    file[508] ^= 1;
    let error = Hive::from_bytes(&file).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn entries_are_applied_in_order_across_both_logs() {
    let file = dirty(&state(0), 5);
    let (older, newer) = (
        entries(4, &[state(9), state(1)]),
        entries(6, &[state(2), state(9)]),
    );
    for logs in [[&*older, &*newer, &[]], [&[], &*newer, &*older]] {
        let hive = Hive::from_bytes_with_logs(&file, &logs).unwrap();
        assert_eq!(values(&hive), 10, "5, 6 and 7 of both, not 4");
        let source = PagedSource::new(Cursor::new(file.clone())).unwrap();
        let hive = Hive::from_source_with_logs(source, &logs).unwrap();
        assert_eq!(values(&hive), 10, "also when the hive stays where it is");
        assert_eq!(hive.base().primary_sequence.get(), 7);
    }
    let error = Hive::from_bytes_with_logs(&file, &[&newer]).unwrap_err();
    assert!(error.to_string().contains("do not continue"), "{error}");
}

#[test]
fn replay_stops_at_the_first_entry_that_is_not_whole() {
    let file = dirty(&state(0), 5);
    let mut log = entries(5, &[state(1), state(2), state(3)]);
    let second = SECTOR + entry(&state(1), 5).len();
    log[second + 100] ^= 1;
    let hive = Hive::from_bytes_with_logs(&file, &[&log]).unwrap();
    assert_eq!(values(&hive), 2);
}

#[test]
fn a_broken_header_is_taken_from_the_log() {
    let mut file = state(0);
    file[60] ^= 1;
    let log = entries(1, &[state(4)]);
    let hive = Hive::from_bytes_with_logs(&file, &[&log]).unwrap();
    assert_eq!(values(&hive), 5);
    assert_eq!(hive.file_name(), "SYSTEM");
}

#[test]
fn a_clean_hive_ignores_its_logs() {
    let file = state(0);
    let hive = Hive::from_bytes_with_logs(&file, &[&entries(1, &[state(4)])]).unwrap();
    assert_eq!(values(&hive), 1);
}

/// Bitmap, then the sectors that differ.
fn sectors(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bitmap = vec![0_u8; (to.len() - PAGE) / SECTOR / 8];
    let mut pages = Vec::new();
    for (number, sector) in to[PAGE..].chunks(SECTOR).enumerate() {
        if from
            .get(PAGE + number * SECTOR..)
            .and_then(|rest| rest.get(..SECTOR))
            != Some(sector)
        {
            bitmap[number / 8] |= 1 << (number % 8);
            pages.extend_from_slice(sector);
        }
    }
    let mut vector = [b"DIRT", &*bitmap].concat();
    vector.resize(vector.len().next_multiple_of(SECTOR), 0);
    [vector, pages].concat()
}

#[test]
fn older_logs_replace_sectors() {
    let (before, after) = (state(0), state(6));
    let file = dirty(&before, 5);
    let log = log(&after, 1, &sectors(&before, &after));
    for kind in ["memory", "source"] {
        let hive = if kind == "memory" {
            Hive::from_bytes_with_logs(&file, &[&log])
        } else {
            Hive::from_source_with_logs(&*file, &[&log])
        };
        assert_eq!(values(&hive.unwrap()), 7, "{kind}");
    }
    let other = dirty(
        &with_header(&before, |base| base.last_written = 2.into()),
        5,
    );
    assert!(
        Hive::from_bytes_with_logs(&other, &[&log]).is_err(),
        "of another time"
    );
}
