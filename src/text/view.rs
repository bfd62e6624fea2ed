//! The normalised form of one text, with offsets back to the original.

use std::borrow::Cow;
use std::ops::Range;

/// A text in the form that is scanned.
#[derive(Debug)]
pub struct View<'a> {
    original: &'a str,
    text: Cow<'a, str>,
    /// For each byte of `text`, the byte of `original` that it comes from; empty where they are one.
    offsets: Vec<usize>,
}

impl<'a> View<'a> {
    /// The view of a text. Linear in its length; never longer than the text.
    #[must_use]
    pub fn new(original: &'a str) -> Self {
        if is_plain(original.as_bytes()) {
            return Self { original, text: Cow::Borrowed(original), offsets: Vec::new() };
        }
        let mut text = String::with_capacity(original.len());
        let mut offsets = Vec::with_capacity(original.len());
        for (at, char) in original.char_indices() {
            if let Some(folded) = fold(char) {
                if folded == ' ' && text.ends_with(' ') {
                    continue;
                }
                text.push(folded);
                offsets.resize(text.len(), at);
            }
        }
        Self { original, text: Cow::Owned(text), offsets }
    }

    /// The form that is scanned.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The piece of the original text behind a range of the view, as a byte range on character
    /// boundaries.
    #[must_use]
    pub fn original_range(&self, range: Range<usize>) -> Range<usize> {
        if self.offsets.is_empty() {
            return range;
        }
        let start = self.offsets.get(range.start).copied().unwrap_or(self.original.len());
        let last = range.end.checked_sub(1).and_then(|last| self.offsets.get(last)).copied().unwrap_or(start);
        let after = self.original.get(last..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        start..(last + after).max(start)
    }

    /// The match at `range` of the view and what stands around it in the original, at most `chars_max`
    /// characters, with control characters made visible.
    #[must_use]
    pub fn excerpt(&self, range: Range<usize>, chars_max: usize) -> String {
        let found = self.original_range(range);
        let around = chars_max.saturating_sub(found.len()) / 2;
        let start = self.original.floor_char_boundary(found.start.saturating_sub(around));
        let piece = self.original.get(start..).unwrap_or_default();
        piece.chars().take(chars_max).map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

/// ASCII whose only white space is single spaces.
fn is_plain(bytes: &[u8]) -> bool {
    let mut before = 0_u8;
    bytes.iter().all(|&byte| {
        let plain = byte.is_ascii() && byte >= b' ' && !(byte == b' ' && before == b' ');
        before = byte;
        plain
    })
}

/// What a character is read as; `None` for one that is not seen.
fn fold(char: char) -> Option<char> {
    match char {
        // Soft hyphen, combining grapheme joiner, zero-width and bidi controls, variation selectors, tags.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => None,
        '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' => None,
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(char) - 0xfee0),
        '\u{2018}' | '\u{2019}' => Some('\''),
        c if c.is_whitespace() || c.is_control() => Some(' '),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(View::new("Plain text, with spaces.").text, Cow::Borrowed(_)));
        assert!(matches!(View::new("two  spaces").text, Cow::Owned(_)));
    }

    #[test]
    fn what_is_not_seen_is_folded() {
        let rows = [
            ("ignore\n\t all", "ignore all"),
            ("ig\u{200b}nore\u{ad} all", "ignore all"),
            ("\u{ff49}gnore\u{3000}all", "ignore all"),
            ("don\u{2019}t", "don't"),
            ("caf\u{e9}", "caf\u{e9}"),
        ];
        for (text, seen) in rows {
            assert_eq!(View::new(text).text(), seen);
        }
    }

    #[test]
    fn ranges_lead_back_to_the_original() {
        let text = "x ig\u{200b}nore\n\nall \u{e9}";
        let view = View::new(text);
        let at = view.text().find("ignore all").expect("folded");
        let original = view.original_range(at..at + "ignore all".len());
        assert_eq!(&text[original], "ig\u{200b}nore\n\nall");
        let end = view.text().len();
        assert_eq!(view.original_range(end - 2..end).end, text.len());
    }

    proptest::proptest! {
        #[test]
        fn every_range_is_valid(text in "\\PC{0,40}[\u{200b}\u{3000} \n]{0,4}\\PC{0,10}", a in 0_usize..60, b in 0_usize..60) {
            let view = View::new(&text);
            let range = view.original_range(a.min(b)..a.max(b));
            if range.end <= text.len() {
                proptest::prop_assert!(view.offsets.is_empty() || text.get(range).is_some());
            }
            proptest::prop_assert!(view.text().len() <= text.len());
            let _ = view.excerpt(a.min(b)..a.max(b), 16);
        }
    }
}
