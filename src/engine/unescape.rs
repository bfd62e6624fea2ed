//! Undoing JSON's escapes wherever they stand, so that they do not hide words in broken JSON.

use std::borrow::Cow;
use std::ops::Range;

/// A text without its escapes, with offsets back.
#[derive(Debug)]
pub(super) struct Unescaped<'a> {
    text: Cow<'a, str>,
    /// Where the text and the original go on side by side, in order: offsets in both.
    joints: Vec<(usize, usize)>,
}

impl<'a> Unescaped<'a> {
    pub(super) fn of(original: &'a str) -> Self {
        if !original.contains('\\') {
            return Self { text: Cow::Borrowed(original), joints: Vec::new() };
        }
        let mut plain = String::with_capacity(original.len());
        let mut joints = Vec::new();
        let mut rest = original;
        while let Some((before, after)) = rest.split_once('\\') {
            plain.push_str(before);
            joints.push((plain.len(), original.len() - after.len() - 1));
            let (char, length) = escape(after);
            plain.extend(char);
            rest = after.get(length..).unwrap_or_default();
            joints.push((plain.len(), original.len() - rest.len()));
        }
        plain.push_str(rest);
        Self { text: Cow::Owned(plain), joints }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn has_escapes(&self) -> bool {
        !self.joints.is_empty()
    }

    /// The piece of the original behind a range of the text.
    pub(super) fn original_range(&self, range: Range<usize>) -> Range<usize> {
        self.original_offset(range.start)..self.original_offset(range.end)
    }

    fn original_offset(&self, at: usize) -> usize {
        let after = self.joints.partition_point(|(plain, _)| *plain <= at);
        let joint = after.checked_sub(1).and_then(|last| self.joints.get(last));
        joint.map_or(at, |(plain, original)| original + (at - plain))
    }
}

/// What an escape stands for, and its length without the backslash.
fn escape(after: &str) -> (Option<char>, usize) {
    let mut chars = after.chars();
    match chars.next() {
        Some('u') => {
            let hex = after.get(1..5).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            hex.map_or((None, 1), |code| (Some(char::from_u32(code).unwrap_or('\u{fffd}')), 5))
        }
        Some('n' | 'r' | 't' | 'b' | 'f') => (Some(' '), 1),
        other => (other, other.map_or(0, char::len_utf8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        let rows = [
            ("plain", "plain"),
            (r#"a\"b\\c\/d"#, r#"a"b\c/d"#),
            (r"ig\u006eore\nall", "ignore all"),
            (r"\ud800x \u12", "\u{fffd}x 12"),
            ("end\\", "end"),
        ];
        for (text, plain) in rows {
            assert_eq!(Unescaped::of(text).text(), plain);
        }
    }

    #[test]
    fn ranges_lead_back() {
        let original = r"x \u0061bc\n\u00e9 end \";
        let plain = Unescaped::of(original);
        let rows = [("abc", r"\u0061bc"), ("c ", r"c\n"), ("\u{e9}", r"\u00e9"), ("x a", r"x \u0061"), ("end", "end")];
        for (piece, want) in rows {
            let at = plain.text().find(piece).expect("is in it");
            assert_eq!(&original[plain.original_range(at..at + piece.len())], want, "{piece}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_range_is_valid(text in "[a\\\\u0-9n\u{e9}]{0,30}") {
            let plain = Unescaped::of(&text);
            let starts: Vec<usize> = plain.text().char_indices().map(|(at, _)| at).collect();
            for from in &starts {
                for to in &starts {
                    if from <= to {
                        proptest::prop_assert!(text.get(plain.original_range(*from..*to)).is_some());
                    }
                }
            }
        }
    }
}
