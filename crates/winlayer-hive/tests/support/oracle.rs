//! What must hold for any bytes; used by tests and by the fuzz targets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::Cursor;

use winlayer_hive::{Hive, HiveError, MergedKey, Overlay, PagedSource};

const PAGE: usize = 4096;
/// Values that a walk looks at; hostile hives can list the same one very often.
const MOST_VALUES: usize = 20_000;

/// With the header's numbers and checksum made right, so that the rest is looked at.
pub(crate) fn repaired(data: &[u8]) -> Vec<u8> {
    let mut file = data.to_vec();
    if file.len() >= PAGE {
        file.copy_within(4..8, 8);
        let words = file[..508].chunks(4);
        let sum = words.fold(0, |sum, word| {
            sum ^ u32::from_le_bytes(word.try_into().unwrap())
        });
        let sum = match sum {
            0 => 1,
            u32::MAX => u32::MAX - 1,
            sum => sum,
        };
        file[508..512].copy_from_slice(&sum.to_le_bytes());
    }
    file
}

/// Reads all there is below a key and returns how many keys that are.
fn walk(key: &MergedKey<'_>, values_left: &mut usize) -> Result<usize, HiveError> {
    let _ = (key.class()?, key.security()?, key.last_written());
    for (_, part) in key.parts() {
        for value in part.values() {
            match values_left.checked_sub(1) {
                Some(left) => *values_left = left,
                None => break,
            }
            value?.data()?;
        }
    }
    let mut keys = 1;
    for subkey in key.subkeys()? {
        // It need not be found: the list's hash may be wrong.
        assert!(key.subkey(&subkey.name().to_text()).is_ok());
        keys += walk(&subkey, values_left)?;
    }
    Ok(keys)
}

/// A hive of these bytes: in memory and from pages the same is read, and what can be read can be
/// written.
pub(crate) fn hive_read(data: &[u8]) {
    let _ = Hive::from_bytes(data).map(|hive| hive.root().is_ok());
    let (primary, log) = data.split_at(data.len() / 2);
    let _ = Hive::from_bytes_with_logs(primary, &[log]).map(|hive| hive.root().is_ok());

    let file = repaired(data);
    let Ok(hive) = Hive::from_bytes(&file) else {
        return;
    };
    let overlay = Overlay::new([hive]).unwrap();
    let walked = overlay
        .root()
        .and_then(|root| walk(&root, &mut MOST_VALUES.clone()));
    let paged = PagedSource::new(Cursor::new(&*file)).unwrap();
    let paged = Overlay::new([Hive::from_source(paged).expect("as in memory")]).unwrap();
    let again = paged
        .root()
        .and_then(|root| walk(&root, &mut MOST_VALUES.clone()));
    assert_eq!(walked.is_ok(), again.is_ok(), "{walked:?} {again:?}");
    if let Ok(keys) = walked {
        assert!(
            keys * 80 <= file.len(),
            "{keys} keys in {} bytes",
            file.len()
        );
    }
    if let Ok(written) = overlay.to_bytes() {
        sound(&written, walked.ok());
    }
}

/// The first part of the bytes as a hive, the second as a delta over it.
pub(crate) fn hive_merge(data: &[u8]) {
    let middle = data.len() / 2 / PAGE * PAGE;
    let (base, delta) = data.split_at(middle);
    let files = [repaired(base), repaired(delta)];
    let hives: Result<Vec<_>, _> = files.iter().map(Hive::from_bytes).collect();
    let Ok(hives) = hives else {
        return;
    };
    let overlay = Overlay::new(hives).unwrap();
    let walked = overlay
        .root()
        .and_then(|root| walk(&root, &mut MOST_VALUES.clone()));
    if let Ok(written) = overlay.to_bytes() {
        sound(&written, walked.ok());
    }
}

/// What we wrote can be read, has as many keys, and merges to itself.
fn sound(written: &[u8], keys: Option<usize>) {
    let overlay = Overlay::new([Hive::from_bytes(written).expect("our own hive")]).unwrap();
    let mut values = usize::MAX;
    let walked = overlay
        .root()
        .and_then(|root| walk(&root, &mut values))
        .expect("our own keys");
    assert!(keys.is_none_or(|keys| keys == walked));
    assert_eq!(overlay.to_bytes().expect("our own hive"), written);
}
