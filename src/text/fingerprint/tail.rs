//! What is cut up over several calls, put together again.
//!
//! A tail keeps the end of what left by one way (one argument of one tool). The beginning of the next text is
//! read together with it. Pieces often come wrapped in the same address or sentence each time
//! (`https://host/?n=1&d=…`); what a text shares with the one before at its beginning and its end, numbers aside,
//! is taken off for a second reading. A piece that comes in another wrapping each time is only found where it is
//! long enough to be found alone.

use serde::{Deserialize, Serialize};

use crate::limits::{TAIL_BYTES, TAILS_MAX};

/// How much of a text's beginning and end is compared with the one before, in bytes.
const WRAPPING_BYTES_MAX: usize = 96;
/// Shortest wrapping that is taken off.
const WRAPPING_BYTES_MIN: usize = 4;
/// Most of a text that is looked at from either side, in bytes: what is padded with more is not joined.
const LOOK_BYTES_MAX: usize = 4_096;

/// The end of what left by one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The texts as they were.
    plain: String,
    /// The texts without their wrapping; `None` as long as there was none.
    inner: Option<String>,
    /// The beginning and the end of the last text.
    head: String,
    end: String,
}

/// The tails of a session, one for each way that texts leave by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tails {
    /// The way that was used last comes last.
    ways: Vec<(u32, Tail)>,
}

impl Tails {
    /// As [`Tail::join`], for the tail of one way, which is a hash of its name. Of too many ways the one that
    /// was not used for longest is forgotten.
    pub fn join(&mut self, way: u32, text: &str) -> Vec<String> {
        let known = self.ways.iter().position(|(known, _)| *known == way);
        let (_, mut tail) = known.map_or_else(Default::default, |n| self.ways.remove(n));
        let joined = tail.join(text);
        if self.ways.len() >= TAILS_MAX {
            self.ways.remove(0);
        }
        self.ways.push((way, tail));
        joined
    }
}

impl Tail {
    /// Puts the end of the earlier texts and the beginning of this one together, with and without their
    /// wrapping; nothing where there was no earlier one. This text becomes part of the tail.
    pub fn join(&mut self, text: &str) -> Vec<String> {
        let (head, end) = (condensed(start_of(text, LOOK_BYTES_MAX)), condensed(end_of(text, LOOK_BYTES_MAX)));
        if head.is_empty() {
            return Vec::new();
        }
        let whole = text.len() <= LOOK_BYTES_MAX;
        let mut joined = Vec::new();
        if !self.plain.is_empty() {
            joined.push(format!("{}{}", self.plain, start_of(&head, TAIL_BYTES)));
        }
        if let Some((front, (back, back_before))) = self.wrapping(&head, &end) {
            let before = self.inner.take().unwrap_or_else(|| self.plain.clone());
            let before = before.strip_suffix(end_of(&self.end, back_before)).unwrap_or(&before).to_owned();
            let stop = if whole { head.len().saturating_sub(back).max(front) } else { head.len() };
            let inner = head.get(front..stop).unwrap_or_default();
            joined.push(format!("{before}{}", start_of(inner, TAIL_BYTES)));
            let inner_end = end.get(if whole { front } else { 0 }..end.len().saturating_sub(back)).unwrap_or_default();
            self.inner = Some(extended(&before, inner_end));
        } else if let Some(before) = self.inner.take() {
            joined.push(format!("{before}{}", start_of(&head, TAIL_BYTES)));
            self.inner = Some(extended(&before, &end));
        }
        self.plain = extended(&self.plain, &end);
        start_of(&head, WRAPPING_BYTES_MAX).clone_into(&mut self.head);
        end_of(&end, WRAPPING_BYTES_MAX).clone_into(&mut self.end);
        joined
    }

    /// How many bytes a text shares with the last one at its beginning and at its end, and how many those at
    /// the end are in the last one; `None` where it is hardly any.
    fn wrapping(&self, head: &str, end: &str) -> Option<(usize, (usize, usize))> {
        let (front, _) = shared(head.bytes(), self.head.bytes());
        let (back, back_before) = shared(end.bytes().rev(), self.end.bytes().rev());
        let front = if front >= WRAPPING_BYTES_MIN { head.floor_char_boundary(front) } else { 0 };
        let is_back = back >= WRAPPING_BYTES_MIN && end.is_char_boundary(end.len() - back);
        let back = if is_back { (back, back_before) } else { (0, 0) };
        (front > 0 || back.0 > 0).then_some((front, back))
    }
}

/// How many bytes of both are the same up to the last sign before they differ, runs of digits counting as the
/// same: a piece begins after a sign.
fn shared(a: impl Iterator<Item = u8>, b: impl Iterator<Item = u8>) -> (usize, usize) {
    let (mut a, mut b) = (a.take(WRAPPING_BYTES_MAX).peekable(), b.peekable());
    let (mut read, mut shared) = ((0, 0), (0, 0));
    while let (Some(one), Some(other)) = (a.peek().copied(), b.peek().copied()) {
        let is_digit = |byte: &u8| byte.is_ascii_digit();
        if is_digit(&one) && is_digit(&other) {
            while a.next_if(is_digit).is_some() {
                read.0 += 1;
            }
            while b.next_if(is_digit).is_some() {
                read.1 += 1;
            }
        } else if one == other {
            a.next();
            b.next();
            read = (read.0 + 1, read.1 + 1);
            if one.is_ascii() && !one.is_ascii_alphanumeric() {
                shared = read;
            }
        } else {
            break;
        }
    }
    shared
}

/// A tail with a text after it, no longer than a tail.
fn extended(tail: &str, text: &str) -> String {
    let kept = end_of(tail, TAIL_BYTES.saturating_sub(text.len()));
    format!("{kept}{}", end_of(text, TAIL_BYTES))
}

/// A text without white space at its ends, and with runs of the same sign cut to two, so that a tail cannot be
/// filled with padding.
fn condensed(text: &str) -> String {
    let mut condensed = String::with_capacity(text.len());
    let (mut before, mut run) = ('\0', 0_usize);
    for char in text.trim().chars() {
        let char = if char.is_whitespace() { ' ' } else { char };
        run = if char == before { run + 1 } else { 0 };
        before = char;
        if char.is_alphanumeric() || run < if char == ' ' { 1 } else { 2 } {
            condensed.push(char);
        }
    }
    condensed
}

fn start_of(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes.min(text.len()))).unwrap_or_default()
}

fn end_of(text: &str, bytes: usize) -> &str {
    text.get(text.ceil_char_boundary(text.len().saturating_sub(bytes))..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last reading after all of the texts.
    fn last(texts: &[&str]) -> String {
        let mut tail = Tail::default();
        texts.iter().filter_map(|text| tail.join(text).pop()).last().unwrap_or_default()
    }

    #[test]
    fn pieces_are_put_together() {
        let rows: [(&[&str], &str); 8] = [
            (&["only one"], ""),
            (&["John Sm", "ith, 12", " Main"], "John Smith, 12Main"),
            (&["aGVsbG8g\n", "  d29ybGQ="], "aGVsbG8gd29ybGQ="),
            (&["x                    ", "y"], "xy"),
            (
                &["https://evil.example/?d=abc", "https://evil.example/?d=def", "https://evil.example/?d=ghi"],
                "https://evil.example/?d=abcdefghi",
            ),
            (&["n=1&d=abc", "n=2&d=def", "n=13&d=ghi"], "n=1&d=abcdefghi"),
            (&["abc.x.evil.example", "def.x.evil.example", "ghi.x.evil.example"], "abcdefghi"),
            (&["part 1: abc, thanks", "part 2: def, thanks"], "part 1: abcdef"),
        ];
        for (texts, want) in rows {
            assert_eq!(last(texts), want, "{texts:?}");
        }
    }

    #[test]
    fn a_tail_is_bounded_and_ways_do_not_mix() {
        let mut tails = Tails::default();
        for n in 0..100 {
            tails.join(n, &"\u{e9}!".repeat(1_000));
            let joined = tails.join(n, "end");
            assert!(joined.iter().all(|joined| joined.len() <= 2 * TAIL_BYTES));
        }
        assert_eq!(tails.ways.len(), TAILS_MAX);
        assert!(tails.ways.iter().all(|(_, tail)| tail.plain.len() <= TAIL_BYTES && tail.plain.ends_with("end")));
        assert_eq!(Tails::default().join(1, "x"), [""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_joined(texts in proptest::collection::vec("[a-c1-3\u{e9}./ =]{0,30}|\\PC{0,300}", 1..8)) {
            let mut tail = Tail::default();
            for text in &texts {
                for joined in tail.join(text) {
                    proptest::prop_assert!(joined.len() <= 2 * TAIL_BYTES);
                }
            }
            proptest::prop_assert!(tail.plain.len() <= TAIL_BYTES && tail.inner.is_none_or(|inner| inner.len() <= TAIL_BYTES));
        }
    }
}
