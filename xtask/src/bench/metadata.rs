//! Metadata of a merged tree onto a mounted NTFS volume, as a program without haste of its own would put it there: what
//! `winlayer unpack --to tree --metadata` has written, through the `system.ntfs_*` attributes of the ntfs-3g driver.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

/// 1601-01-01 to 1970-01-01, in days.
const DAYS_BEFORE_1970: i64 = 134_774;
/// `FILE_ATTRIBUTE_NORMAL`, when there is no other.
const NORMAL: u32 = 0x80;
/// What can be set.
const KEPT: u32 = 0x31a7;

/// Sets descriptors, attributes and times of everything below `root` that the file `metadata` describes.
pub fn set(metadata: &Path, root: &Path) -> Result<()> {
    let (mut done, mut missing) = (0_u64, 0_u64);
    for line in BufReader::new(File::open(metadata)?).lines() {
        let object: Value = serde_json::from_str(&line?)?;
        if !object["hard_link_to"].is_null() {
            continue;
        }
        let path = root.join(object["path"].as_str().context("no path")?);
        // Names that a layer spells in another way are not found.
        if path.symlink_metadata().is_err() {
            missing += 1;
            continue;
        }
        set_one(&path, &object).with_context(|| format!("cannot describe {}", path.display()))?;
        done += 1;
    }
    ensure!(
        missing * 50 <= done,
        "{missing} objects are not there, {done} are"
    );
    Ok(())
}

fn set_one(path: &Path, object: &Value) -> Result<()> {
    if let Some(raw) = object["security"]["raw"].as_str() {
        put(path, "system.ntfs_acl", &BASE64_STANDARD.decode(raw)?)?;
    }
    let attributes = object["attributes"].as_u64().unwrap_or_default() as u32 & KEPT;
    let attributes = match attributes & !NORMAL {
        0 => NORMAL,
        others => others,
    };
    put(path, "system.ntfs_attrib", &attributes.to_le_bytes())?;
    let mut times = Vec::new();
    for name in ["created", "written", "accessed", "changed"] {
        let text = object[name].as_str().context("a time is missing")?;
        times.extend(
            ticks(text)
                .context("a time is not understood")?
                .to_le_bytes(),
        );
    }
    put(path, "system.ntfs_times", &times)
}

#[cfg(target_os = "linux")]
fn put(path: &Path, name: &str, value: &[u8]) -> Result<()> {
    Ok(rustix::fs::lsetxattr(
        path,
        name,
        value,
        rustix::fs::XattrFlags::empty(),
    )?)
}

#[cfg(not(target_os = "linux"))]
fn put(_: &Path, _: &str, _: &[u8]) -> Result<()> {
    anyhow::bail!("only Linux has the driver that this is for")
}

/// FILETIME of `2024-03-02T16:22:02.3475691Z`.
fn ticks(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // Years begin in March, so that the day of leap years is the last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days - 719_468 + DAYS_BEFORE_1970;
    let seconds = (days * 24 + number(11..13)?) * 3600 + number(14..16)? * 60 + number(17..19)?;
    Some(seconds * 10_000_000 + number(20..27)?)
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn times_are_those_of_windows() {
        assert_eq!(ticks("1601-01-01T00:00:00.0000000Z"), Some(0));
        assert_eq!(
            ticks("1970-01-01T00:00:00.0000001Z"),
            Some(116_444_736_000_000_001)
        );
        assert_eq!(
            ticks("2024-02-29T12:30:15.1234567Z"),
            Some(133_536_834_151_234_567)
        );
        assert_eq!(ticks("never"), None);
    }
}
