//! Seeds of the fuzz targets.

use super::{oracle, village};

/// A fuzz target: its name, its oracle and its seeds.
pub type Target = (&'static str, fn(&[u8]), Vec<Vec<u8>>);

/// All fuzz targets of the crate.
pub fn targets() -> Vec<Target> {
    vec![("ntfs_read", oracle::ntfs_damage, damages())]
}

/// Nothing; and a changed byte in each eighth byte of each record in use, all of one record together.
fn damages() -> Vec<Vec<u8>> {
    let image = village::build();
    let records = image
        .chunks(512)
        .enumerate()
        .filter(|(_, sector)| sector.starts_with(b"FILE"));
    let blocks = image
        .chunks(512)
        .enumerate()
        .filter(|(_, sector)| sector.starts_with(b"INDX"));
    let damage = |(sector, bytes): (usize, &[u8])| {
        let places = (0..512).step_by(8);
        let damage = places.flat_map(|at| {
            let place = (sector * 512 + at) as u32;
            let [a, b, c, d] = place.to_le_bytes();
            [a, b, c, d, bytes[at] ^ 1]
        });
        damage.collect::<Vec<_>>()
    };
    let some = records.take(80).chain(blocks.take(20)).map(damage);
    std::iter::once(Vec::new()).chain(some).collect()
}
