//! Text from outside made safe to show on a terminal.

use std::fmt::Write as _;

/// Longest text a message takes over from outside, in characters.
const LONGEST: usize = 300;

/// `text` without anything a terminal would act upon: control characters and the marks that reorder
/// or hide text become `\u{…}` escapes, and text beyond 300 characters is cut.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    for (position, character) in text.chars().enumerate() {
        if position == LONGEST {
            shown.push('…');
            break;
        }
        push_escaped(&mut shown, character);
    }
    shown
}

/// [`printable`] without the cut, for whole messages made of several such parts.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        push_escaped(&mut shown, character);
    }
    shown
}

fn push_escaped(shown: &mut String, character: char) {
    let reorders = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if character.is_control() || reorders {
        // Writing to a String cannot fail.
        let _ = write!(shown, "{}", character.escape_unicode());
    } else {
        shown.push(character);
    }
}

/// The first few of `names` for a message, joined by commas, with the number of the others.
pub(crate) fn first_few<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 8;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| printable(name.as_ref()))
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more) = names.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = write!(text, " and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_acts_upon_survives() {
        assert_eq!(
            printable("a\x1b[31mb\r\n\u{202e}c\u{9b}"),
            "a\\u{1b}[31mb\\u{d}\\u{a}\\u{202e}c\\u{9b}"
        );
        assert_eq!(printable("Grün 日本"), "Grün 日本");
    }

    #[test]
    fn long_text_is_cut() {
        let shown = printable(&"x".repeat(5000));
        assert_eq!(shown.chars().count(), LONGEST + 1);
        assert!(shown.ends_with('…'));
    }

    #[test]
    fn long_lists_name_the_first_and_count_the_rest() {
        assert_eq!(first_few(&["a", "b"]), "a, b");
        let many: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        assert_eq!(first_few(&many), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
    }
}
