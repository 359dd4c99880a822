//! FILETIME and its text form.

use std::fmt;
use std::str::FromStr;

const TICKS_PER_SECOND: i64 = 10_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const TICKS_PER_DAY: i64 = SECONDS_PER_DAY * TICKS_PER_SECOND;
/// Seconds from 1601-01-01 to 1970-01-01.
const UNIX_EPOCH_SECONDS: i64 = 11_644_473_600;
/// Days from 0000-03-01 to 1601-01-01 in the proleptic Gregorian calendar.
const DAYS_BEFORE_1601: i64 = 584_694;
const DAYS_PER_400_YEARS: i64 = 146_097;

/// A point in time as 100 ns ticks since 1601-01-01T00:00:00Z (MS-DTYP 2.3.3), over the full signed 64-bit range.
///
/// [`Display`](fmt::Display) is RFC 3339 in UTC with seven fractional digits. Years outside 0..=9999, which RFC 3339 cannot
/// write, get a sign and as many digits as they need. [`FromStr`] reads exactly that form.
///
/// ```
/// use winlayer_metadata::FileTime;
/// let time: FileTime = "2020-01-01T00:00:00.1234567Z".parse()?;
/// assert_eq!(time.ticks(), 132_223_104_001_234_567);
/// # Ok::<(), winlayer_metadata::FileTimeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileTime(i64);

/// The four times of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct FileTimes {
    /// Creation.
    pub created: FileTime,
    /// Last access.
    pub accessed: FileTime,
    /// Last change of the content.
    pub written: FileTime,
    /// Last change of the content or of the metadata.
    pub changed: FileTime,
}

/// A text is not a [`FileTime`] in its own form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{found}\" is not a time of the form 2020-01-01T00:00:00.0000000Z within the range of FILETIME"
)]
pub struct FileTimeError {
    found: String,
}

impl FileTime {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(UNIX_EPOCH_SECONDS * TICKS_PER_SECOND);

    /// From 100 ns ticks since 1601; every value is a time.
    pub const fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    /// 100 ns ticks since 1601.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// From seconds since 1970 and nanoseconds (0..1_000_000_000) after that second, floored to 100 ns.
    ///
    /// `None` when the time lies outside the range or `nanos` is a second or more.
    pub fn from_unix(seconds: i64, nanos: u32) -> Option<Self> {
        if nanos >= 1_000_000_000 {
            return None;
        }
        let seconds = i128::from(seconds) + i128::from(UNIX_EPOCH_SECONDS);
        let ticks = seconds * i128::from(TICKS_PER_SECOND) + i128::from(nanos / 100);
        i64::try_from(ticks).ok().map(Self)
    }

    /// Seconds since 1970, floored, and the nanoseconds (0..1_000_000_000) after that second.
    pub fn to_unix(self) -> (i64, u32) {
        let seconds = self.0.div_euclid(TICKS_PER_SECOND) - UNIX_EPOCH_SECONDS;
        let ticks = self.0.rem_euclid(TICKS_PER_SECOND);
        (seconds, ticks as u32 * 100)
    }
}

/// Year, month and day of a number of days since 1601-01-01.
///
/// Years are counted from March so that the leap day is the last day of its year; month lengths then follow one line.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_BEFORE_1601;
    let era = days.div_euclid(DAYS_PER_400_YEARS);
    let day_of_era = days.rem_euclid(DAYS_PER_400_YEARS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Days from 1601-01-01 to a date whose month and day are in 1..=12 and 1..=31.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_400_YEARS + day_of_era - DAYS_BEFORE_1601
}

impl fmt::Display for FileTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0.div_euclid(TICKS_PER_DAY));
        let ticks = self.0.rem_euclid(TICKS_PER_DAY);
        let (seconds, fraction) = (ticks / TICKS_PER_SECOND, ticks % TICKS_PER_SECOND);
        if (0..=9999).contains(&year) {
            write!(f, "{year:04}")?;
        } else {
            write!(f, "{year:+05}")?;
        }
        write!(
            f,
            "-{month:02}-{day:02}T{:02}:{:02}:{:02}.{fraction:07}Z",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

impl FromStr for FileTime {
    type Err = FileTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| FileTimeError {
            found: crate::text::excerpt(text),
        })
    }
}

/// Reads the text form. A value that would be written differently (other digits counts, a needless sign, day 30 of February)
/// is refused by writing the result and comparing.
fn parse(text: &str) -> Option<FileTime> {
    // The part after the year has a fixed length: "-MM-DDThh:mm:ss.fffffffZ".
    let (year, rest) = text.split_at_checked(text.len().checked_sub(24)?)?;
    if year.len() > 6 {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        let digits = rest.get(range)?;
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse::<i64>().ok())?
    };
    let (month, day) = (number(1..3)?, number(4..6)?);
    let (hour, minute, second) = (number(7..9)?, number(10..12)?, number(13..15)?);
    let fraction = number(16..23)?;
    if !(1..=12).contains(&month) {
        return None;
    }
    let days = days_of(year.parse().ok()?, month, day);
    let seconds = i128::from(days) * i128::from(SECONDS_PER_DAY)
        + i128::from(hour * 3600 + minute * 60 + second);
    let ticks = seconds * i128::from(TICKS_PER_SECOND) + i128::from(fraction);
    let time = FileTime(i64::try_from(ticks).ok()?);
    (time.to_string() == text).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::{FileTime, TICKS_PER_DAY, date_of, days_of};
    use proptest::prelude::*;

    #[test]
    fn writes_known_times() {
        for (ticks, text) in [
            (0, "1601-01-01T00:00:00.0000000Z"),
            (-1, "1600-12-31T23:59:59.9999999Z"),
            (116_444_736_000_000_000, "1970-01-01T00:00:00.0000000Z"),
            (132_223_104_001_234_567, "2020-01-01T00:00:00.1234567Z"),
            // What Go's zero time becomes in hcsshim.
            (48_491_090_211_286_549, "1754-08-30T22:43:41.1286549Z"),
            (i64::MAX, "+30828-09-14T02:48:05.4775807Z"),
            (i64::MIN, "-27627-04-19T21:11:54.5224192Z"),
        ] {
            assert_eq!(FileTime::from_ticks(ticks).to_string(), text);
            assert_eq!(text.parse(), Ok(FileTime::from_ticks(ticks)));
        }
    }

    #[test]
    fn knows_leap_years_by_the_gregorian_rule() {
        assert_eq!(days_of(2000, 3, 1) - days_of(2000, 2, 28), 2);
        assert_eq!(days_of(1900, 3, 1) - days_of(1900, 2, 28), 1);
        assert_eq!(days_of(2024, 3, 1) - days_of(2024, 2, 28), 2);
        assert_eq!(days_of(-4, 3, 1) - days_of(-4, 2, 28), 2);
        assert_eq!(days_of(1970, 1, 1), 134_774);
    }

    #[test]
    fn counts_every_day_once() {
        let mut expected = days_of(-400, 1, 1);
        for year in -400_i64..=2400 {
            let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            let february = if leap { 29 } else { 28 };
            for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
            {
                for day in 1..=length {
                    assert_eq!(days_of(year, month, day), expected);
                    assert_eq!(date_of(expected), (year, month, day));
                    expected += 1;
                }
            }
        }
    }

    #[test]
    fn floors_towards_the_past() {
        let epoch = FileTime::UNIX_EPOCH.ticks();
        assert_eq!(
            FileTime::from_unix(0, 199),
            Some(FileTime::from_ticks(epoch + 1))
        );
        assert_eq!(
            FileTime::from_unix(-1, 750_000_099),
            Some(FileTime::from_ticks(epoch - 2_500_000))
        );
        assert_eq!(FileTime::from_ticks(epoch - 1).to_unix(), (-1, 999_999_900));
        assert_eq!(
            FileTime::from_ticks(i64::MIN).to_unix(),
            (-933_981_677_286, 522_419_200)
        );
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert_eq!(FileTime::from_unix(i64::MAX, 0), None);
        assert_eq!(FileTime::from_unix(i64::MIN, 0), None);
        assert_eq!(FileTime::from_unix(910_692_730_085, 477_580_800), None);
        assert_eq!(
            FileTime::from_unix(910_692_730_085, 477_580_700),
            Some(FileTime::from_ticks(i64::MAX))
        );
        assert_eq!(FileTime::from_unix(0, 1_000_000_000), None);
    }

    #[test]
    fn reads_only_its_own_form() {
        for text in [
            "",
            "2020-01-01T00:00:00Z",
            "2020-01-01T00:00:00.123456Z",
            "2020-01-01T00:00:00.12345678Z",
            "2020-01-01 00:00:00.0000000Z",
            "2020-01-01T00:00:00.0000000z",
            "2020-01-01T00:00:00.0000000+00:00",
            "2021-02-29T00:00:00.0000000Z",
            "2020-00-01T00:00:00.0000000Z",
            "2020-13-01T00:00:00.0000000Z",
            "2020-01-00T00:00:00.0000000Z",
            "2020-01-01T24:00:00.0000000Z",
            "2020-01-01T00:00:60.0000000Z",
            "+2020-01-01T00:00:00.0000000Z",
            "+30828-09-14T02:48:05.4775808Z",
            "-27627-04-19T21:11:54.5224191Z",
            "99999999999999999999-01-01T00:00:00.0000000Z",
            "é020-01-01T00:00:00.0000000Z",
            "2020-01-01T00:00:00.00000é0Z",
        ] {
            assert!(text.parse::<FileTime>().is_err(), "{text:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(ticks: i64) {
            let time = FileTime::from_ticks(ticks);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn unix_round_trips(ticks: i64) {
            let time = FileTime::from_ticks(ticks);
            let (seconds, nanos) = time.to_unix();
            prop_assert_eq!(FileTime::from_unix(seconds, nanos), Some(time));
        }

        #[test]
        fn date_round_trips(ticks: i64) {
            let days = ticks.div_euclid(TICKS_PER_DAY);
            let (year, month, day) = date_of(days);
            prop_assert_eq!(days_of(year, month, day), days);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}|[0-9+:.TZ-]{20,34}") {
            let _ = text.parse::<FileTime>();
        }
    }
}
