//! Seeds of the fuzz targets.

use super::oracle;

/// A fuzz target: its name, its oracle and its seeds.
pub(crate) type Target = (&'static str, fn(&[u8]), Vec<Vec<u8>>);

/// All fuzz targets of the crate.
pub(crate) fn targets() -> Vec<Target> {
    // Sequence number, log id; regions; metadata table and items; entries of blocks and of a bitmap.
    let places = [
        0x2_0008, 0x2_0030, 0x3_0008, 0x3_0020, 0x3_0040, 0x20_000A, 0x20_0030, 0x21_0000,
        0x21_0008, 0x21_0030, 0x30_0000, 0x30_0008, 0x30_8000,
    ];
    let vhdx = places.map(|offset| oracle::change(offset, &[7, 0, 0x40]));
    // Headers: usable sectors, place and number of entries; entries: kind, sectors, name.
    let places = [
        0x228, 0x230, 0x248, 0x250, 0x400, 0x420, 0x428, 0x438, 0xFE48, 0xBE28,
    ];
    let gpt = places.map(|offset| oracle::change(offset, &[0x22]));
    let seeds = |changes: &[Vec<u8>]| {
        let changed = |flags: u8| {
            changes
                .iter()
                .map(move |change| [&[flags], &**change].concat())
        };
        (0..4)
            .flat_map(|flags| changed(flags).chain([vec![flags]]))
            .collect()
    };
    vec![
        ("vhdx_read", oracle::vhdx_read, seeds(&vhdx)),
        ("gpt_read", oracle::gpt_read, seeds(&gpt)),
    ]
}
