//! Small helpers for text: UTF-16LE, and excerpts fit for a message.

/// Decodes UTF-16LE. `None` when the length is odd or a surrogate stands alone.
pub(crate) fn decode_utf16le(bytes: &[u8]) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    char::decode_utf16(pairs.iter().map(|pair| u16::from_le_bytes(*pair)))
        .collect::<Result<String, _>>()
        .ok()
}

/// Appends `text` as UTF-16LE.
pub(crate) fn push_utf16le(text: &str, out: &mut Vec<u8>) {
    out.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
}

/// At most 40 characters of `text`, control characters escaped, for an error message.
pub(crate) fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{decode_utf16le, excerpt, push_utf16le};

    #[test]
    fn utf16_round_trips_outside_the_basic_plane() {
        let mut bytes = Vec::new();
        push_utf16le("a𝄞é", &mut bytes);
        assert_eq!(bytes.len(), 8);
        assert_eq!(decode_utf16le(&bytes).as_deref(), Some("a𝄞é"));
    }

    #[test]
    fn refuses_odd_lengths_and_lone_surrogates() {
        assert_eq!(decode_utf16le(&[0x61]), None);
        assert_eq!(decode_utf16le(&[0x00, 0xd8, 0x61, 0x00]), None);
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt("a\u{1b}[31m"), r"a\u{1b}[31m");
        assert_eq!(excerpt(&"x".repeat(41)), format!("{}…", "x".repeat(40)));
    }
}
