//! Values people give: sizes, labels, and the time of a build.

use crate::failure::Failure;
use winlayer::FileTime;

/// The time that SOURCE_DATE_EPOCH gives, in seconds since 1970, as builds do that can be repeated.
pub(crate) fn source_date() -> Result<Option<FileTime>, Failure> {
    const VARIABLE: &str = "SOURCE_DATE_EPOCH";
    let Some(text) = std::env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    let time = seconds.and_then(|seconds| FileTime::from_unix(seconds, 0));
    let unfit = || Failure::usage(format!("{VARIABLE} is no number of seconds since 1970"));
    time.map(Some).ok_or_else(unfit)
}

/// A number of bytes: `1048576`, `64MiB`, `2GB`. `K`, `M`, `G`, `T` alone mean powers of 1024.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1000_u64.pow(2),
        "gb" => 1000_u64.pow(3),
        "tb" => 1000_u64.pow(4),
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return Err(expected()),
    };
    // u64's parser also takes a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(expected());
    }
    let number: u64 = digits.parse().map_err(|_| expected())?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "more than 2^64 bytes".to_owned())
}

/// The label of a volume, as long as NTFS can have it.
pub(crate) fn parse_label(text: &str) -> Result<String, String> {
    match text.encode_utf16().count() {
        0..=32 => Ok(text.to_owned()),
        units => Err(format!("a label has at most 32 UTF-16 units, not {units}")),
    }
}

fn expected() -> String {
    "expected a size such as 64MiB, 2GB or 1048576".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_binary_and_decimal_units() {
        let read = ["0", "1048576", "12B", "64MiB", "2GB", "2g", "3TiB", "5kb"].map(parse_size);
        let bytes = [
            0,
            1 << 20,
            12,
            64 << 20,
            2_000_000_000,
            2 << 30,
            3 << 40,
            5000,
        ]
        .map(Ok);
        assert_eq!(read, bytes);
    }

    #[test]
    fn refuses_what_is_not_a_size() {
        for text in [
            "",
            "MiB",
            "-1",
            "+1",
            "1.5GiB",
            "1 GiB",
            "9QB",
            "1é",
            "99999999999999999999",
        ] {
            assert!(parse_size(text).is_err(), "{text:?}");
        }
        assert!(parse_size("99999999TiB").is_err());
    }
}
