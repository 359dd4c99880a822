//! What tests share: running other people's tools.
#![allow(dead_code, reason = "every test uses its own part")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

pub(crate) mod oracle;
pub(crate) mod seeds;

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::Command,
};

use winlayer_vhdx::{DiskOptions, Guid};

/// Standard output of a tool, which must exist and succeed.
pub(crate) fn run(program: &str, arguments: &[&dyn AsRef<OsStr>]) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "cannot run {program} ({error}); install the test tools with `cargo xtask setup`"
            )
        });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} failed: {text}{errors}");
    text
}

/// The disk in `file` as raw bytes, by QEMU.
pub(crate) fn raw_by_qemu(file: &Path) -> Vec<u8> {
    let raw = file.with_extension("raw");
    run("qemu-img", &[&"check", &"-f", &"vhdx", &file]);
    run(
        "qemu-img",
        &[&"convert", &"-f", &"vhdx", &"-O", &"raw", &file, &raw],
    );
    std::fs::read(raw).unwrap()
}

/// A disk of some size with ids that are easy to see.
pub(crate) fn options(size: u64) -> DiskOptions {
    DiskOptions::new(
        size,
        Guid::from_u128(0x11111111_2222_3333_4444_555555555555),
        Guid::from_u128(0x66666666_7777_8888_9999_aaaaaaaaaaaa),
        Guid::from_u128(0xbbbbbbbb_cccc_dddd_eeee_ffffffffffff),
    )
}

/// Bytes that are nowhere alike.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < length {
        bytes.extend(words.next().unwrap());
    }
    bytes.truncate(length);
    bytes
}

/// A new file, to write and read.
pub(crate) fn new_file(path: &Path) -> File {
    File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .unwrap()
}

/// Everything of a disk.
pub(crate) fn all_of(mut disk: impl Read + Seek) -> Vec<u8> {
    let mut bytes = Vec::new();
    disk.seek(SeekFrom::Start(0)).unwrap();
    disk.read_to_end(&mut bytes).unwrap();
    bytes
}

/// The disk in `files`, the child first, as raw bytes, by a reader that `read.py` knows.
pub(crate) fn raw_by_python(reader: &str, files: &[&Path]) -> Vec<u8> {
    window_by_python(reader, files, None)
}

/// The same, or only some bytes of it: an offset and a length.
pub(crate) fn window_by_python(
    reader: &str,
    files: &[&Path],
    window: Option<(u64, u64)>,
) -> Vec<u8> {
    // Where `scripts/install-ntfs-peers.sh` puts what comes from PyPI.
    let cache = std::env::var_os("WINLAYER_TEST_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/winlayer-tests"),
        PathBuf::from,
    );
    let python = cache.join("venv-ntfs/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/read.py");
    let raw = files[0].with_extension(reader);
    let window = window.map_or("all".to_owned(), |(offset, length)| {
        format!("{offset}+{length}")
    });
    let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&script, &reader, &window, &raw];
    arguments.extend(files.iter().map(|file| file as &dyn AsRef<OsStr>));
    run(&python.to_string_lossy(), &arguments);
    std::fs::read(raw).unwrap()
}

/// The disk in `file`, whose parents lie beside it, as raw bytes, by 7-Zip.
pub(crate) fn raw_by_7zip(file: &Path) -> Vec<u8> {
    let folder = file.with_extension("7zip");
    let to = format!("-o{}", folder.display());
    run("7zz", &[&"e", &"-y", &"-tvhdx", &to, &file]);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert_eq!(files.len(), 1);
    std::fs::read(files.pop().unwrap().unwrap().path()).unwrap()
}
