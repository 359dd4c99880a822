//! From blobs to tars: compression told by content, DiffID, limits, broken blobs, early drops.
#![cfg(test)] // helpers of tests are test code to clippy too

mod support;

use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use support::Blocks;
use winlayer_digest::{DiffId, Digest};
use winlayer_tar::{
    Compression, LayerReader, LayerSummary, Limits, Progress, ReadOptions, TarError, TarErrorKind,
};

fn layer() -> Vec<u8> {
    let noise: Vec<u8> = (0..3_000_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    Blocks::default()
        .dir("Files")
        .file("Files/noise", &noise)
        .file("Files/b", b"b")
        .end()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn finish(blob: Vec<u8>) -> Result<LayerSummary, TarError> {
    LayerReader::open(Cursor::new(blob), ReadOptions::default()).finish()
}

fn refused(blob: Vec<u8>) -> TarErrorKind {
    finish(blob).expect_err("must be refused").kind()
}

#[test]
fn compression_is_told_by_content() {
    let tar = layer();
    let (front, back) = tar.split_at(1000);
    let skippable = [b"\x50\x2a\x4d\x18\x03\0\0\0abc".as_slice(), &zstd(&tar)].concat();
    for (blob, compression) in [
        (tar.clone(), Compression::None),
        (gzip(&tar), Compression::Gzip),
        (
            [gzip(front), gzip(b""), gzip(back)].concat(),
            Compression::Gzip,
        ),
        (zstd(&tar), Compression::Zstd),
        ([zstd(front), zstd(back)].concat(), Compression::Zstd),
        (skippable, Compression::Zstd),
    ] {
        let length = blob.len() as u64;
        let summary = finish(blob).unwrap();
        assert_eq!(summary.compression, compression);
        assert_eq!(summary.diff_id, DiffId::new(Digest::of(&tar)));
        assert_eq!(
            (summary.compressed_bytes, summary.uncompressed_bytes),
            (length, tar.len() as u64)
        );
        assert_eq!((summary.entries, summary.warnings), (3, vec![]));
    }
}

#[test]
fn bytes_after_the_end_marker_count_for_the_diff_id() {
    let mut tar = layer();
    tar.extend_from_slice(&[0; 12_345]);
    let summary = finish(gzip(&tar)).unwrap();
    assert_eq!(summary.diff_id, DiffId::new(Digest::of(&tar)));
    assert_eq!(summary.uncompressed_bytes, tar.len() as u64);
}

#[test]
fn a_missing_end_marker_is_a_warning() {
    let tar = layer();
    for cut in [512, 1024] {
        assert_eq!(
            finish(tar[..tar.len() - cut].to_vec())
                .unwrap()
                .warnings
                .len(),
            1
        );
    }
    assert_eq!(finish(Vec::new()).unwrap().warnings.len(), 1);
}

#[test]
fn refuses_truncated_and_corrupt_streams() {
    for whole in [layer(), gzip(&layer()), zstd(&layer())] {
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            assert_eq!(
                refused(whole[..cut].to_vec()),
                TarErrorKind::Malformed,
                "cut at {cut}"
            );
        }
    }
    for mut blob in [gzip(&layer()), zstd(&layer())] {
        let middle = blob.len() / 2;
        blob[middle] ^= 0x10;
        assert_eq!(refused(blob), TarErrorKind::Malformed);
    }
    for blob in [gzip(&layer()), zstd(&layer())] {
        for garbage in [b"x".as_slice(), b"\0\0\0\0", b"garbage"] {
            assert_eq!(refused([&blob, garbage].concat()), TarErrorKind::Malformed);
        }
    }
}

#[test]
fn refuses_what_follows_the_archive() {
    let tar = layer();
    assert_eq!(
        refused([tar.clone(), tar.clone()].concat()),
        TarErrorKind::Malformed
    );
    assert_eq!(
        refused([tar.as_slice(), &[0; 700_000], b"x"].concat()),
        TarErrorKind::Malformed
    );
    let one_zero_block = Blocks::default()
        .dir("Files")
        .block([0; 512])
        .file("Files/a", b"a")
        .end();
    assert_eq!(refused(one_zero_block), TarErrorKind::Malformed);
}

#[test]
fn stops_a_bomb_at_the_limit() {
    let limits = Limits {
        unpacked_bytes: 4 << 20,
        ..Limits::default()
    };
    for blob in [gzip(&vec![0; 64 << 20]), zstd(&vec![0; 64 << 20])] {
        let options = ReadOptions {
            limits: limits.clone(),
            ..ReadOptions::default()
        };
        let progress = Arc::new(Progress::default());
        let options = ReadOptions {
            progress: Some(Arc::clone(&progress)),
            ..options
        };
        let error = LayerReader::open(Cursor::new(blob), options)
            .finish()
            .unwrap_err();
        assert_eq!(error.kind(), TarErrorKind::Limit);
        assert!(progress.uncompressed_bytes.load(Ordering::Relaxed) <= 4 << 20);
    }
}

#[test]
fn refuses_a_zstd_window_over_the_limit() {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    encoder.write_all(&vec![0; 40 << 20]).unwrap();
    let blob = encoder.finish().unwrap();
    let limits = Limits {
        zstd_window_log: 20,
        ..Limits::default()
    };
    let options = ReadOptions {
        limits,
        ..ReadOptions::default()
    };
    let error = LayerReader::open(Cursor::new(blob), options)
        .finish()
        .unwrap_err();
    assert_eq!(error.kind(), TarErrorKind::Limit, "{error}");
}

#[test]
fn refuses_more_entries_than_the_limit() {
    let limits = Limits {
        entries: 2,
        ..Limits::default()
    };
    let options = ReadOptions {
        limits,
        ..ReadOptions::default()
    };
    let error = LayerReader::open(Cursor::new(layer()), options)
        .finish()
        .unwrap_err();
    assert_eq!(error.kind(), TarErrorKind::Limit);
}

/// Fails after some bytes.
struct Failing(Cursor<Vec<u8>>);

#[derive(Debug, thiserror::Error)]
#[error("the registry hung up")]
struct HungUp;

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other(HungUp)),
            count => Ok(count),
        }
    }
}

/// Whether the blob's own error is anywhere among the causes.
fn has_hung_up(error: &TarError) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        let inner = error.downcast_ref().and_then(io::Error::get_ref);
        if error.is::<HungUp>() || inner.is_some_and(|inner| inner.is::<HungUp>()) {
            return true;
        }
        next = error.source();
    }
    false
}

#[test]
fn the_error_of_the_blobs_reader_is_among_the_causes() {
    for blob in [layer(), gzip(&layer()), zstd(&layer())] {
        let half = blob[..blob.len() / 2].to_vec();
        let mut reader = LayerReader::open(Failing(Cursor::new(half)), ReadOptions::default());
        let error = loop {
            match reader.next_entry() {
                Ok(entry) => assert!(entry.is_some(), "the error was lost"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), TarErrorKind::Io);
        assert!(has_hung_up(&error), "{error:?}");
        let again = reader.next_entry().unwrap_err();
        assert_eq!(again.kind(), TarErrorKind::Io);
        assert_eq!(reader.finish().unwrap_err().kind(), TarErrorKind::Io);
    }
}

#[test]
fn a_body_cut_short_is_an_error_and_not_a_short_file() {
    let tar = layer();
    let mut reader = LayerReader::open(
        Cursor::new(tar[..1_000_000].to_vec()),
        ReadOptions::default(),
    );
    reader.next_entry().unwrap();
    let mut entry = reader.next_entry().unwrap().unwrap();
    let error = entry.body.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(
        reader.next_entry().unwrap_err().kind(),
        TarErrorKind::Malformed
    );
}

#[test]
fn a_panic_in_the_blobs_reader_is_an_error() {
    struct Panicking;
    impl Read for Panicking {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("this panic belongs to the test");
        }
    }
    let error = LayerReader::open(Panicking, ReadOptions::default())
        .finish()
        .unwrap_err();
    assert_eq!(error.kind(), TarErrorKind::Io);
}

#[test]
fn dropping_the_reader_early_stops_its_threads() {
    struct Endless {
        _alive: Arc<()>,
    }
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(0);
            Ok(buffer.len())
        }
    }
    let alive = Arc::new(());
    for steps in 0..3 {
        let header = support::header(b"Files/endless", b'0', u64::MAX >> 31);
        let blob = Cursor::new(Blocks::default().dir("Files").block(header).0).chain(Endless {
            _alive: Arc::clone(&alive),
        });
        let mut reader = LayerReader::open(blob, ReadOptions::default());
        for _ in 0..steps {
            reader.next_entry().unwrap();
        }
        drop(reader);
        assert_eq!(
            Arc::strong_count(&alive),
            1,
            "the blob's reader must have been dropped"
        );
    }
}

#[test]
fn progress_counts_what_has_passed() {
    let blob = gzip(&layer());
    let progress = Arc::new(Progress::default());
    let options = ReadOptions {
        progress: Some(Arc::clone(&progress)),
        ..ReadOptions::default()
    };
    let summary = LayerReader::open(Cursor::new(blob), options)
        .finish()
        .unwrap();
    assert_eq!(
        progress.compressed_bytes.load(Ordering::Relaxed),
        summary.compressed_bytes
    );
    assert_eq!(
        progress.uncompressed_bytes.load(Ordering::Relaxed),
        summary.uncompressed_bytes
    );
    assert_eq!(progress.entries.load(Ordering::Relaxed), summary.entries);
}
