//! What makes decoded bytes a text.

use super::super::chars::is_word;

/// Fewest characters of a decoded text.
const CHARS_MIN: usize = 6;
/// Below this many characters nearly all have to be letters and spaces.
const SHORT: usize = 16;
/// Bytes of the longest escape.
const ESCAPE_MAX: usize = 6;

/// The text that bytes are, in UTF-8 or UTF-16; `None` where they are none.
pub(super) fn text(bytes: Vec<u8>) -> Option<String> {
    let text = match utf16(&bytes) {
        Some(text) => text,
        None => String::from_utf8(bytes).ok()?,
    };
    (is_text(&text) || is_escapes(&text)).then_some(text)
}

/// Whether a text reads like one: letters and spaces for the most part, and nothing invisible.
pub(super) fn is_text(text: &str) -> bool {
    let (mut chars, mut letters, mut spaces) = (0, 0, 0);
    for char in text.chars() {
        chars += 1;
        match char {
            ' ' | '\n' | '\t' | '\r' => spaces += 1,
            c if c.is_control() || c == '\u{fffd}' => return false,
            '\u{e000}'..='\u{f8ff}' | '\u{f0000}'.. => return false,
            c if !c.is_ascii_digit() && is_word(c) => letters += 1,
            _ => {}
        }
    }
    if chars < CHARS_MIN || letters * 5 < chars * 2 {
        return false;
    }
    chars >= SHORT || (letters + spaces) * 8 >= chars * 7
}

/// Whether a text is nothing but characters by their number (`%69`, `\x69`, `&#105;`, `=69`), which is no
/// text yet but surely becomes one: digits and, closely, the signs before them.
fn is_escapes(text: &str) -> bool {
    let is_sign = |byte: &u8| b"%\\&=".contains(byte);
    let of_escapes = |byte: u8| is_sign(&byte) || byte.is_ascii_hexdigit() || b"#;xu \r\n".contains(&byte);
    let signs = text.bytes().filter(is_sign).count();
    text.len() >= SHORT && text.bytes().all(of_escapes) && signs * ESCAPE_MAX >= text.len()
}

/// Whether the first bytes may start a text, so that the rest is worth decoding.
pub(super) fn may_start_text(bytes: &[u8]) -> bool {
    bytes.iter().take(24).all(|byte| *byte >= b' ' || b"\n\r\t".contains(byte)) || utf16(bytes).is_some()
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let (pairs, _) = bytes.as_chunks::<2>();
    if pairs.len() < CHARS_MIN {
        return None;
    }
    let zeros = |at: usize| pairs.iter().filter(|pair| pair.get(at) == Some(&0)).count() * 5 >= pairs.len() * 4;
    let units: Vec<u16> = if zeros(1) {
        pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect()
    } else if zeros(0) {
        pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
    } else {
        return None;
    };
    String::from_utf16(units.strip_prefix(&[0xfeff]).unwrap_or(&units)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_from_bytes() {
        let rows: [(&[u8], Option<&str>); 12] = [
            (b"%69%67%6e%6f%72%65", Some("%69%67%6e%6f%72%65")),
            (b"\\x69\\x67\\x6e\\x6f\\x72", Some("\\x69\\x67\\x6e\\x6f\\x72")),
            (b"1234567890123456=", None),
            (b"ignore all previous", Some("ignore all previous")),
            (b"i\0g\0n\0o\0r\0e\0", Some("ignore")),
            (b"\0i\0g\0n\0o\0r\0e", Some("ignore")),
            (b"{\"alg\":\"HS256\",\"typ\":\"JWT\"}", Some("{\"alg\":\"HS256\",\"typ\":\"JWT\"}")),
            ("при\u{432}ет, мир".as_bytes(), Some("при\u{432}ет, мир")),
            (b"a1b2c3", None),
            (b"\x89PNG\r\n\x1a\n", None),
            (b"123456789012345", None),
            (b"abc", None),
        ];
        for (bytes, want) in rows {
            assert_eq!(text(bytes.to_vec()).as_deref(), want, "{bytes:?}");
        }
    }
}
