//! A zip archive with one file (APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16).
//!
//! The crates for it bring a dozen others, for encryption and formats never written here; one file is
//! three records.

use std::io::Write;

use anyhow::{Context, Result};
use flate2::{Compression, write::DeflateEncoder};

/// Version of the format that is needed: 2.0, deflate.
const VERSION: u16 = 20;
/// Made on Unix, so that the mode counts.
const MADE_BY: u16 = 3 << 8 | VERSION;
const DEFLATED: u16 = 8;
/// 1980-01-01, the first day a zip can name; midnight.
const DAY: u16 = 1 << 5 | 1;
const TIME: u16 = 0;
/// A regular file, mode 0755.
const MODE: u32 = 0o100_755 << 16;

/// The archive of a file called `name`. The same bytes give the same archive: no time of day, and
/// the one level of deflate that does not depend on what the processor can do.
pub fn archive_of_one(name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::new(9));
    deflate.write_all(content)?;
    let deflated = deflate.finish()?;

    let mut zip = Vec::with_capacity(deflated.len() + 256);
    let file = describe(name, content, &deflated)?;
    zip.extend(b"PK\x03\x04");
    zip.extend(&file);
    zip.extend(name.as_bytes());
    zip.extend(&deflated);

    let directory = u32::try_from(zip.len())?;
    zip.extend(b"PK\x01\x02");
    zip.extend(MADE_BY.to_le_bytes());
    zip.extend(&file);
    // No comment, disk 0, no internal attributes, the mode; the file begins at 0.
    zip.extend([0; 6]);
    zip.extend(MODE.to_le_bytes());
    zip.extend(0_u32.to_le_bytes());
    zip.extend(name.as_bytes());

    let length = u32::try_from(zip.len())? - directory;
    zip.extend(b"PK\x05\x06");
    // This is disk 0 of 0, with 1 entry of 1.
    zip.extend([0, 0, 0, 0, 1, 0, 1, 0]);
    zip.extend(length.to_le_bytes());
    zip.extend(directory.to_le_bytes());
    zip.extend([0; 2]);
    Ok(zip)
}

/// The part both headers share: from the version needed to the length of the extra field.
fn describe(name: &str, content: &[u8], deflated: &[u8]) -> Result<Vec<u8>> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).context("a file of 4 GiB or more");
    let mut fields = Vec::new();
    for field in [VERSION, 0, DEFLATED, TIME, DAY] {
        fields.extend(field.to_le_bytes());
    }
    for field in [crc32fast::hash(content), size(deflated)?, size(content)?] {
        fields.extend(field.to_le_bytes());
    }
    fields.extend(u16::try_from(name.len())?.to_le_bytes());
    fields.extend(0_u16.to_le_bytes());
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked with `unzip -t` and Python's zipfile when it was written.
    #[test]
    fn the_records_are_where_the_format_wants_them() {
        let zip = archive_of_one("a.exe", b"content content content").unwrap();
        assert_eq!(zip[..4], *b"PK\x03\x04");
        assert_eq!(zip[30..35], *b"a.exe");
        let end = zip.len() - 22;
        assert_eq!(zip[end..end + 4], *b"PK\x05\x06");
        let number = |at: usize| u32::from_le_bytes(zip[at..at + 4].try_into().unwrap()) as usize;
        let (length, directory) = (number(end + 12), number(end + 16));
        assert_eq!(directory + length, end);
        assert_eq!(zip[directory..directory + 4], *b"PK\x01\x02");
        assert_eq!(zip[directory + 46..end], *b"a.exe");
        assert_eq!(number(directory + 24), 23);
        assert_eq!(number(directory + 42), 0);
    }

    #[test]
    fn the_same_file_gives_the_same_archive() {
        let content = "content".repeat(1000);
        let archive = || archive_of_one("a", content.as_bytes()).unwrap();
        assert_eq!(archive(), archive());
    }
}
