//! What must hold for any bytes, for the fuzz target and, with its seeds and random damage, as an ordinary test.

use std::{
    io::{Cursor, Read},
    sync::{Mutex, OnceLock},
};

use winlayer_ntfs::{FileReference, Volume, verify};

use super::village;

/// Most objects of a volume that are looked at.
const OBJECTS: usize = 2_000;

/// Data are damages of a sound volume, five bytes each: where (little-endian, counted from the start of the volume), and what is
/// put there. Nothing panics, and whatever can be opened can be walked in bounded time.
pub fn ntfs_damage(data: &[u8]) {
    static IMAGE: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();
    let image = IMAGE.get_or_init(|| Mutex::new(village::build()));
    let mut image = image.lock().unwrap();
    let mut before = Vec::new();
    for damage in data.chunks_exact(5) {
        let at =
            u32::from_le_bytes([damage[0], damage[1], damage[2], damage[3]]) as usize % image.len();
        before.push((at, image[at]));
        image[at] = damage[4];
    }
    ntfs_read(&image);
    for (at, byte) in before.into_iter().rev() {
        image[at] = byte;
    }
}

/// Any bytes as a volume.
pub fn ntfs_read(image: &[u8]) {
    let _ = verify(Cursor::new(image), &mut |finding| {
        assert!(!finding.to_string().is_empty())
    });
    let Ok(mut volume) = Volume::open(Cursor::new(image)) else {
        return;
    };
    let mut left = OBJECTS;
    let root = volume.root();
    walk(&mut volume, root, &mut left, 0);
    let _ = volume.lookup("windows/SYSTEM32/kernel32.dll");
}

fn walk(
    volume: &mut Volume<Cursor<&[u8]>>,
    directory: FileReference,
    left: &mut usize,
    depth: usize,
) {
    let Ok(entries) = volume.read_dir(directory) else {
        return;
    };
    for entry in entries {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let Ok(object) = volume.object(entry.reference) else {
            continue;
        };
        let _ = volume.descriptor_of(&object);
        for stream in &object.streams {
            let Ok(mut reader) = volume.stream(&object, &stream.name) else {
                continue;
            };
            let mut start = [0; 5000];
            let read = reader.read(&mut start);
            assert!(read.is_err() || read.is_ok_and(|read| read as u64 == reader.size().min(5000)));
        }
        if depth < 20 && entry.reference != directory {
            walk(volume, entry.reference, left, depth + 1);
        }
    }
}
