//! Where in a text words make more sense when each is read in another way.

use std::ops::Range;

use super::super::survey::{Bits, Survey};
use super::super::words::{WORD_MAX, has, key_at};

/// Fewest letters of words that are known only in the other reading.
const GAIN_MIN: i64 = 12;
/// Fewest such words.
const HITS_MIN: usize = 3;

/// A word of a text.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub range: Range<usize>,
    /// Its small letters, the first in the lowest byte; `None` where it is too long to be known.
    key: Option<u128>,
    /// Whether it is in the list as it stands.
    known: bool,
}

/// The words that start in a stretch, with one at each end that may start outside.
pub(super) fn spans(text: &str, survey: &Survey, stretch: &Range<usize>) -> Vec<Span> {
    let mut at = survey.start(Bits::Letter, stretch.start).max(stretch.start.saturating_sub(WORD_MAX));
    let mut spans = Vec::with_capacity(stretch.len() / 4);
    while let Some(start) = survey.next(Bits::Letter, at, stretch.end) {
        at = survey.end(Bits::Letter, start);
        let key = text.as_bytes().get(start..).and_then(|rest| key_at(rest, at - start));
        spans.push(Span { range: start..at, key, known: key.is_some_and(has) });
    }
    spans
}

/// The stretch of words that gains most by reading each with `read`, which makes a key of the key of a
/// word and its length; `None` where that is too little to be meant.
pub(super) fn best(spans: &[Span], read: impl Fn(u128, usize) -> u128) -> Option<Range<usize>> {
    // The stretch with the largest sum ends where the sum of a stretch that ends there is largest.
    let (mut sum, mut hits, mut start) = (0_i64, 0, 0);
    let mut best: Option<(i64, Range<usize>)> = None;
    for span in spans {
        let (gain, hit) = gain(span, &read);
        if sum <= 0 {
            (sum, hits, start) = (0, 0, span.range.start);
        }
        sum += gain;
        hits += usize::from(hit);
        if hits >= HITS_MIN && sum >= GAIN_MIN && best.as_ref().is_none_or(|best| best.0 < sum) {
            best = Some((sum, start..span.range.end));
        }
    }
    best.map(|(_, range)| range)
}

fn gain(span: &Span, read: &impl Fn(u128, usize) -> u128) -> (i64, bool) {
    let len = span.range.len();
    let worth = i64::try_from(len).unwrap_or(0);
    match span.key {
        _ if span.known => (-worth, false),
        Some(key) if len > 1 && has(read(key, len)) => (worth, true),
        _ => (-1, false),
    }
}
