//! What tests share: dumps of hives as lines, by us and by other readers.
#![allow(dead_code, reason = "every test uses its own part")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not of a library"
)]

use std::{ffi::OsStr, path::Path, path::PathBuf, process::Command};

use winlayer_hive::{Hive, HiveTree, Key, Name};

pub(crate) mod oracle;
pub(crate) mod seeds;

/// Where `scripts/install-hive-peers.sh` puts things.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os("WINLAYER_TEST_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/winlayer-tests"),
        PathBuf::from,
    )
}

/// What `reader` sees in `file`, as lines; see `dump.py`.
pub(crate) fn dump(reader: &str, file: &Path) -> Vec<String> {
    dump_of(&[reader.as_ref(), file.as_os_str()])
}

/// The lines of `dump.py` with these arguments.
pub(crate) fn dump_of(arguments: &[&OsStr]) -> Vec<String> {
    let python = cache().join("venv/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/dump.py");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(&python)
        .arg(script)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", format!("{path}:/usr/sbin"))
        .output()
        .unwrap_or_else(|error| {
            let python = python.display();
            panic!("cannot run {python} ({error}); install the test tools with `cargo xtask setup`")
        });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(str::to_owned).collect()
}

/// What we see in a hive, as the same lines.
pub(crate) fn lines(hive: &Hive<'_>) -> Vec<String> {
    fn add(key: &Key<'_>, path: &str, lines: &mut Vec<String>) {
        lines.push(format!("K\t{path}"));
        for value in key.values() {
            let value = value.unwrap();
            let (name, kind) = (shown(value.name()), value.kind().0);
            let data = value.data().unwrap().bytes;
            let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            lines.push(format!("V\t{path}\t{name}\t{kind}\t{hex}"));
        }
        for subkey in key.subkeys() {
            let subkey = subkey.unwrap();
            let separator = if path.is_empty() { "" } else { "\\" };
            add(
                &subkey,
                &format!("{path}{separator}{}", shown(subkey.name())),
                lines,
            );
        }
    }
    let mut lines = Vec::new();
    add(&hive.root().unwrap(), "", &mut lines);
    lines.sort();
    lines
}

fn shown(name: &Name<'_>) -> String {
    let mut text = String::new();
    for letter in name.to_text().chars() {
        if letter.is_control() {
            text.extend(letter.escape_unicode());
        } else {
            text.push(letter);
        }
    }
    text
}

/// The file of `before` as a crash leaves it, and the log that turns it into `after`.
pub(crate) fn crashed(before: &HiveTree, after: &HiveTree) -> (Vec<u8>, Vec<u8>) {
    let (mut file, after) = (before.to_bytes().unwrap(), after.to_bytes().unwrap());
    let bins = &after[4096..];
    let pages = (bins.len() / 4096) as u32;
    let references = (0..pages).flat_map(|page| [page * 4096, 4096]);
    let mut content: Vec<u8> = references.flat_map(u32::to_le_bytes).collect();
    content.extend_from_slice(bins);
    let size = (40 + content.len()).next_multiple_of(512);
    content.resize(size - 40, 0);
    let mut entry = b"HvLE".to_vec();
    for number in [size as u32, 0, 1, bins.len() as u32, pages] {
        entry.extend(number.to_le_bytes());
    }
    entry.extend(marvin32(&content).to_le_bytes());
    entry.extend(marvin32(&entry).to_le_bytes());
    entry.extend(content);

    let mut log = after[..512].to_vec();
    log[28] = 6;
    fix_checksum(&mut log);
    log.extend(entry);
    file[4] += 1;
    fix_checksum(&mut file);
    (file, log)
}

fn fix_checksum(file: &mut [u8]) {
    let words = file[..508].chunks(4);
    let sum = words.fold(0, |sum, word| {
        sum ^ u32::from_le_bytes(word.try_into().unwrap())
    });
    file[508..512].copy_from_slice(&sum.to_le_bytes());
}

/// The hash of log entries, written down a second time.
fn marvin32(bytes: &[u8]) -> u64 {
    let (mut a, mut b) = (0x884D_EF82_u32, 0xC555_4E7A_u32);
    let words = bytes
        .chunks(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()));
    for word in words.chain([0x80, 0]) {
        a = a.wrapping_add(word);
        b ^= a;
        a = a.rotate_left(20).wrapping_add(b);
        b = b.rotate_left(9) ^ a;
        a = a.rotate_left(27).wrapping_add(b);
        b = b.rotate_left(19);
    }
    u64::from(b) << 32 | u64::from(a)
}
