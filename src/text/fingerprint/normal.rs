//! The form in which texts are compared: letters and digits only, in lower case.
//!
//! Case, accents on Latin letters, white space, punctuation and quoting make no difference. Offsets lead back
//! to the text. Labels (`"customer_id":`, `name=`) and `null`, `true`, `false` can be left out: they are the same
//! in every record and say nothing about where one comes from.

use std::ops::Range;

use unicode_normalization::char::decompose_canonical;

use super::super::chars::is_latin;

/// Longest label, in bytes.
const LABEL_BYTES_MAX: usize = 32;
/// Most digits in a label: `address_line_1` is one, `credit_card_4421486` is data.
const LABEL_DIGITS_MAX: usize = 3;
/// What stands where a record has no value of its own.
const BLANKS: [&str; 6] = ["false", "nan", "none", "null", "true", "undefined"];

/// A text in the form in which it is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normal {
    chars: Vec<char>,
    /// Where each of them starts in the text.
    at: Vec<u32>,
    /// Ranges of `chars` that are labels or blanks, in order.
    labels: Vec<Range<usize>>,
}

/// The part of a word that has been read so far.
#[derive(Clone, Copy)]
struct Word {
    /// First byte in the text, and first character of the normal form.
    start: usize,
    chars: usize,
}

impl Normal {
    /// The normal form of a text, labels and all. Linear in its length.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut normal = Self::default();
        normal.chars.reserve(text.len());
        normal.at.reserve(text.len());
        let mut word: Option<Word> = None;
        for (at, char) in text.char_indices() {
            match char {
                'a'..='z' | 'A'..='Z' | '0'..='9' => {
                    word.get_or_insert(Word { start: at, chars: normal.chars.len() });
                    normal.push(char.to_ascii_lowercase(), at);
                }
                '_' | '-' => {}
                '\0'..='\u{7f}' => normal.end(text, word.take(), at),
                _ => {
                    word.get_or_insert(Word { start: at, chars: normal.chars.len() });
                    fold(char, |char| normal.push(char, at));
                }
            }
        }
        normal.end(text, word, text.len());
        normal
    }

    /// The same without its labels; `None` where it has none.
    #[must_use]
    pub fn without_labels(&self) -> Option<Self> {
        if self.labels.is_empty() {
            return None;
        }
        let mut rest = Self::default();
        let mut from = 0;
        let end = self.chars.len()..self.chars.len();
        for label in self.labels.iter().chain([&end]) {
            rest.chars.extend(self.chars.get(from..label.start).unwrap_or_default());
            rest.at.extend(self.at.get(from..label.start).unwrap_or_default());
            from = label.end;
        }
        Some(rest)
    }

    /// Its characters.
    #[must_use]
    pub fn chars(&self) -> &[char] {
        &self.chars
    }

    /// The bytes of the text behind a range of characters; `text` is what this was made of.
    #[must_use]
    pub fn range(&self, text: &str, chars: Range<usize>) -> Range<usize> {
        let at = |n: usize| self.at.get(n).map_or(text.len(), |at| *at as usize);
        let start = at(chars.start);
        let end = chars.end.checked_sub(1).map_or(start, |last| text.ceil_char_boundary(at(last) + 1));
        start..end.min(text.len()).max(start)
    }

    #[expect(clippy::cast_possible_truncation, reason = "no text has 2^32 bytes")]
    fn push(&mut self, char: char, at: usize) {
        self.chars.push(char);
        self.at.push(at as u32);
    }

    /// Takes note of a word that has ended, if it is a label or a blank.
    fn end(&mut self, text: &str, word: Option<Word>, at: usize) {
        if let Some(word) = word
            && (is_label(text.as_bytes(), &(word.start..at)) || is_blank(text.get(word.start..at)))
        {
            self.labels.push(word.chars..self.chars.len());
        }
    }
}

/// Whether a word names the value after it: `"name": …`, `name=…`, `name: …`.
pub(super) fn is_label(bytes: &[u8], word: &Range<usize>) -> bool {
    let mut rest = bytes.get(word.end..).unwrap_or_default();
    for skipped in [b"\\".as_slice(), b"\"'", b" "] {
        if let Some((first, after)) = rest.split_first()
            && skipped.contains(first)
        {
            rest = after;
        }
    }
    let assigns = match rest {
        [b':', b'/' | b':', ..] => false,
        [b':', ..] => true,
        // Padding of base64 is none.
        [b'=', after, ..] => !matches!(after, b'=' | b' ' | b'\n' | b'\r') || bytes.get(word.end) == Some(&b' '),
        _ => false,
    };
    let word = bytes.get(word.clone()).unwrap_or_default();
    assigns
        && word.len() <= LABEL_BYTES_MAX
        && word.first().is_some_and(|first| !first.is_ascii_digit())
        && word.iter().filter(|byte| byte.is_ascii_digit()).count() <= LABEL_DIGITS_MAX
}

fn is_blank(word: Option<&str>) -> bool {
    word.is_some_and(|word| {
        (3..=9).contains(&word.len()) && BLANKS.iter().any(|blank| word.eq_ignore_ascii_case(blank))
    })
}

/// The letters and digits that a character outside ASCII stands for.
fn fold(char: char, mut push: impl FnMut(char)) {
    match char {
        // The letters of most of the world's text need no table.
        '\u{430}'..='\u{44f}' | '\u{3041}'..='\u{3096}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => {
            push(char);
        }
        '\u{df}' | '\u{1e9e}' => ['s', 's'].into_iter().for_each(push),
        '\u{3c2}' => push('\u{3c3}'),
        _ if is_latin(char) => decompose_canonical(char, |part| lower(part, &mut push)),
        _ => lower(char, &mut push),
    }
}

fn lower(char: char, push: &mut impl FnMut(char)) {
    if char.is_alphanumeric() {
        char.to_lowercase().filter(|lower| lower.is_alphanumeric()).for_each(push);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(normal: &Normal) -> String {
        normal.chars().iter().collect()
    }

    #[test]
    fn only_letters_and_digits_are_left() {
        let rows = [
            ("", ""),
            ("John  SMITH,\n12-Main_St.", "johnsmith12mainst"),
            ("M\u{fc}ller Stra\u{df}e \u{c9}t\u{e9}", "mullerstrasseete"),
            ("MULLER STRASSE ETE", "mullerstrasseete"),
            (
                "\u{39f}\u{394}\u{39f}\u{3a3} \u{3bf}\u{3b4}\u{3bf}\u{3c2}",
                "\u{3bf}\u{3b4}\u{3bf}\u{3c3}\u{3bf}\u{3b4}\u{3bf}\u{3c3}",
            ),
            ("\u{8ba2}\u{5355}: 42", "\u{8ba2}\u{5355}42"),
            ("\u{1f600}!?", ""),
        ];
        for (from, want) in rows {
            assert_eq!(text(&Normal::of(from)), want, "{from}");
        }
    }

    #[test]
    fn labels_are_left_out() {
        let rows = [
            (r#"{"first_name": "John", "zip":"78750"}"#, "john78750"),
            (r#"{\"first_name\":\"John\"}"#, "john"),
            ("{'name': 'John', 'age' : 30}", "john30"),
            ("name=John&city=Paris", "johnparis"),
            ("Name: John\nCity: Paris", "johnparis"),
            ("Nom : Jean", "jean"),
            ("password = hunter2", "hunter2"),
            (r#"[{"a":null,"b":true,"c": "x"},None,FALSE,falsely"#, "xfalsely"),
            (r#"{"credit_card_4421486": {"id": 7}}"#, "creditcard44214867"),
            ("https://a.example/b", "httpsaexampleb"),
            ("std::vec at 10:30", "stdvecat1030"),
            ("SGVsbG8gd29ybGQ= SGk==", "sgvsbg8gd29ybgqsgk"),
        ];
        for (from, want) in rows {
            let normal = Normal::of(from);
            let rest = normal.without_labels().unwrap_or(normal);
            assert_eq!(text(&rest), want, "{from}");
        }
        assert!(Normal::of("no labels here").without_labels().is_none());
    }

    #[test]
    fn ranges_lead_back_to_the_text() {
        let from = "\"name\": \"Zo\u{eb}  Fu\u{df}\"";
        let normal = Normal::of(from).without_labels().expect("has a label");
        assert_eq!(text(&normal), "zoefuss");
        assert_eq!(&from[normal.range(from, 0..3)], "Zo\u{eb}");
        assert_eq!(&from[normal.range(from, 2..7)], "\u{eb}  Fu\u{df}");
        assert_eq!(normal.range(from, 90..99), from.len()..from.len());
    }

    proptest::proptest! {
        #[test]
        fn every_range_is_valid(from in "\\PC{0,40}", a in 0_usize..50, b in 0_usize..50) {
            let normal = Normal::of(&from);
            for normal in [normal.without_labels().unwrap_or_default(), normal] {
                proptest::prop_assert!(from.get(normal.range(&from, a.min(b)..a.max(b))).is_some());
            }
        }

        /// Upper case and other signs between the letters make no difference.
        #[test]
        fn dress_makes_no_difference(words in proptest::collection::vec("[a-z0-9]{1,8}", 1..8)) {
            let plain = Normal::of(&words.join(" "));
            let dressed = Normal::of(&words.join("--\n").to_uppercase());
            proptest::prop_assert_eq!(plain.chars(), dressed.chars());
        }
    }
}
