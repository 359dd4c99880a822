//! Sizes, durations, counts and names made fit for a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// Writes characters that steer a terminal, or reorder what it shows, as `\u{…}`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(steers_a_terminal) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if steers_a_terminal(character) {
            escaped.extend(character.escape_unicode());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Control characters, line separators and bidirectional controls.
fn steers_a_terminal(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `512 B`, `4.0 KiB`, `1.9 GiB`: powers of 1024.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut shown = "KiB";
    for unit in UNITS {
        shown = unit;
        // 1023.95 and more would be printed as 1024.0.
        if amount < 1023.95 {
            break;
        }
        amount /= 1024.0;
    }
    format!("{amount:.1} {shown}")
}

/// `0.04 s`, `12.3 s`, `4 min 05 s`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.2} s");
    }
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    format!("{} min {:02} s", whole / 60, whole % 60)
}

/// `1 file`, `1,234 files`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        thousands(number),
        if number == 1 { one } else { many }
    )
}

/// `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `sha256:` and the first twelve digits: enough to tell the layers of an image apart.
pub(crate) fn short_digest(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

/// Lines of `name  value`, the values in one column.
#[derive(Debug, Default)]
pub(crate) struct Facts(Vec<(String, String)>);

impl Facts {
    pub(crate) fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    pub(crate) fn render(&self) -> String {
        let width = self
            .0
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.0 {
            let line = format!("{name:width$}  {}", escape(value));
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_sizes_with_one_decimal_and_never_1024_of_a_unit() {
        let shown = [0, 1023, 1024, 1536, 1_048_575, 1 << 20, 5 << 30, u64::MAX].map(size);
        assert_eq!(
            shown,
            [
                "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 MiB", "5.0 GiB", "16.0 EiB"
            ]
        );
    }

    #[test]
    fn shows_durations_as_people_say_them() {
        let shown = [0.0, 0.044, 12.34, 60.0, 245.4].map(duration);
        assert_eq!(
            shown,
            ["0.00 s", "0.04 s", "12.3 s", "1 min 00 s", "4 min 05 s"]
        );
    }

    #[test]
    fn groups_digits_by_three() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(thousands),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(count(1, "layer", "layers"), "1 layer");
        assert_eq!(count(0, "layer", "layers"), "0 layers");
    }

    #[test]
    fn escapes_what_steers_a_terminal_and_nothing_else() {
        assert!(matches!(escape("Grüße \u{1f600} C:\\x"), Cow::Borrowed(_)));
        assert_eq!(
            escape("a\n\u{9b}1m\u{202e}\u{7f}"),
            "a\\u{a}\\u{9b}1m\\u{202e}\\u{7f}"
        );
    }

    #[test]
    fn aligns_facts_in_one_column() {
        let mut facts = Facts::default();
        facts.add("image", "x");
        facts.add("utility VM", "");
        assert_eq!(facts.render(), "image       x\nutility VM\n");
    }
}
