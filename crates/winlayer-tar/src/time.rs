//! pax time text to NTFS ticks and back (go-winio `backuptar/strconv.go`).

use winlayer_metadata::FileTime;

const TICKS_PER_SECOND: i128 = 10_000_000;

/// Reads `[-]seconds[.fraction]`.
///
/// The sign covers the fraction. Digits below 100 ns are dropped toward zero, as Go's integer division
/// does. `None` for other text, and for times no 64-bit tick count can hold.
pub(crate) fn parse(text: &[u8]) -> Option<FileTime> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    let (seconds, fraction) = match digits.iter().position(|&byte| byte == b'.') {
        Some(dot) => (digits.get(..dot)?, digits.get(dot..)?.get(1..)?),
        None => (digits, [].as_slice()),
    };
    if seconds.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = decimal(seconds)?;
    let fraction = fraction.iter().chain(std::iter::repeat(&b'0')).take(7);
    let fraction = fraction.fold(0, |value, &digit| {
        value * 10 + i128::from(digit.wrapping_sub(b'0'))
    });
    let magnitude = i128::from(seconds)
        .checked_mul(TICKS_PER_SECOND)?
        .checked_add(fraction)?;
    from_epoch(if negative { -magnitude } else { magnitude })
}

/// Whole seconds since 1970, as a header has them.
pub(crate) fn from_seconds(seconds: i64) -> Option<FileTime> {
    from_epoch(i128::from(seconds).checked_mul(TICKS_PER_SECOND)?)
}

fn from_epoch(ticks: i128) -> Option<FileTime> {
    let ticks = ticks.checked_add(i128::from(FileTime::UNIX_EPOCH.ticks()))?;
    i64::try_from(ticks).ok().map(FileTime::from_ticks)
}

/// Ticks since 1970.
fn since_epoch(time: FileTime) -> i128 {
    i128::from(time.ticks()).saturating_sub(i128::from(FileTime::UNIX_EPOCH.ticks()))
}

/// Whole seconds since 1970, rounded down, and whether that loses a fraction.
pub(crate) fn to_seconds(time: FileTime) -> (i64, bool) {
    let ticks = since_epoch(time);
    let seconds = i64::try_from(ticks.div_euclid(TICKS_PER_SECOND)).unwrap_or(i64::MIN);
    (seconds, ticks.rem_euclid(TICKS_PER_SECOND) != 0)
}

/// Writes what [`parse`] reads, as short as it goes.
pub(crate) fn format(time: FileTime) -> String {
    let ticks = since_epoch(time);
    let magnitude = ticks.unsigned_abs();
    let scale = TICKS_PER_SECOND.unsigned_abs();
    let (seconds, fraction) = (magnitude / scale, magnitude % scale);
    let sign = if ticks < 0 { "-" } else { "" };
    if fraction == 0 {
        return format!("{sign}{seconds}");
    }
    let text = format!("{sign}{seconds}.{fraction:07}");
    text.trim_end_matches('0').to_owned()
}

/// Plain decimal digits as `u64`; nothing else, not even a sign.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte & 15))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticks(text: &str) -> Option<i64> {
        parse(text.as_bytes()).map(|time| time.ticks() - FileTime::UNIX_EPOCH.ticks())
    }

    #[test]
    fn reads_the_grammar_of_go_winio() {
        assert_eq!(ticks("0"), Some(0));
        assert_eq!(ticks("1"), Some(10_000_000));
        assert_eq!(ticks("-1.25"), Some(-12_500_000));
        assert_eq!(ticks("-0.5"), Some(-5_000_000));
        assert_eq!(ticks("1577836800.1234567"), Some(15_778_368_001_234_567));
        assert_eq!(ticks("1.123456789123"), Some(11_234_567));
        assert_eq!(ticks("-1.00000019"), Some(-10_000_001));
        assert_eq!(ticks("1."), Some(10_000_000));
        assert_eq!(ticks("1.5000"), Some(15_000_000));
    }

    #[test]
    fn refuses_what_is_not_a_time() {
        for text in [
            "", "-", ".", ".5", "-.5", "+1", "1e3", "1.5x", " 1", "1 ", "0x1", "1.2.3", "1.-5",
            "--1",
        ] {
            assert_eq!(ticks(text), None, "{text}");
        }
    }

    #[test]
    fn refuses_times_beyond_64_bit_ticks() {
        assert_eq!(ticks("922337203685"), None);
        assert_eq!(ticks("99999999999999999999999999"), None);
        assert!(ticks("910692730085.4775807").is_some());
    }

    proptest! {
        #[test]
        fn every_time_survives(raw: i64) {
            let time = FileTime::from_ticks(raw);
            prop_assert_eq!(parse(format(time).as_bytes()), Some(time));
        }

        #[test]
        fn seconds_and_fraction_agree(raw: i64) {
            let time = FileTime::from_ticks(raw);
            let (seconds, fraction) = to_seconds(time);
            let floor = from_seconds(seconds);
            prop_assert_eq!(floor == Some(time), !fraction);
        }
    }
}
