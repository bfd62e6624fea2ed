//! Where in a text words make more sense when each is read in another way.

use std::ops::Range;

use super::super::words::is_common_bytes;

/// Longest word that is read.
const WORD_MAX: usize = 16;
/// Fewest letters of words that are known only in the other reading.
const GAIN_MIN: i64 = 12;
/// Fewest such words.
const HITS_MIN: usize = 3;

/// A word of a text.
pub(super) type Span = Range<usize>;

/// The words that start in a stretch, with one at each end that may start outside.
pub(super) fn spans(text: &str, stretch: &Range<usize>) -> Vec<Span> {
    let bytes = text.as_bytes();
    let letter = |byte: &u8| byte.is_ascii_alphabetic();
    let before = bytes.get(stretch.start.saturating_sub(WORD_MAX)..stretch.start).unwrap_or_default();
    let mut at = stretch.start - before.iter().rev().take_while(|byte| letter(byte)).count();
    let mut spans = Vec::new();
    while at < stretch.end {
        let Some(first) = bytes.get(at..stretch.end).and_then(|rest| rest.iter().position(letter)) else { break };
        let rest = bytes.get(at + first..).unwrap_or_default();
        let length = rest.iter().position(|byte| !letter(byte)).unwrap_or(rest.len());
        spans.push(at + first..at + first + length);
        at += first + length;
    }
    spans
}

/// The stretch of words that gains most by reading each with `read`, which writes a word's small letters;
/// `None` where that is too little to be meant.
pub(super) fn best(text: &str, spans: &[Span], read: impl Fn(&[u8], &mut [u8])) -> Option<Range<usize>> {
    // The stretch with the largest sum ends where the sum of a stretch that ends there is largest.
    let (mut sum, mut hits, mut start) = (0_i64, 0, 0);
    let mut best: Option<(i64, Range<usize>)> = None;
    for span in spans {
        let word = text.as_bytes().get(span.clone()).unwrap_or_default();
        let (gain, hit) = gain(word, &read);
        if sum <= 0 {
            (sum, hits, start) = (0, 0, span.start);
        }
        sum += gain;
        hits += usize::from(hit);
        if hits >= HITS_MIN && sum >= GAIN_MIN && best.as_ref().is_none_or(|best| best.0 < sum) {
            best = Some((sum, start..span.end));
        }
    }
    best.map(|(_, range)| range)
}

fn gain(word: &[u8], read: &impl Fn(&[u8], &mut [u8])) -> (i64, bool) {
    let mut small = [0_u8; WORD_MAX];
    let Some(small) = small.get_mut(..word.len()) else { return (-1, false) };
    let worth = i64::try_from(word.len()).unwrap_or(0);
    small.iter_mut().zip(word).for_each(|(to, from)| *to = from.to_ascii_lowercase());
    if is_common_bytes(small) {
        return (-worth, false);
    }
    read(word, small);
    if word.len() > 1 && is_common_bytes(small) { (worth, true) } else { (-1, false) }
}
