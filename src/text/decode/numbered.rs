//! Letters by their number in the alphabet: `9-7-14-15-18-5 1-12-12`.
//!
//! Small numbers are in every text, so what they spell must be words that are known. Words end where the
//! gap is another than most, or wider; where all gaps are alike the letters are cut into words.

use std::ops::Range;

use super::super::edits::Edits;
use super::super::survey::{Bits, Marks};
use super::super::transform::Transform;
use super::super::words::{is_common, segment};
use super::{Found, Source};

/// Fewest letters.
const LETTERS_MIN: usize = 8;
/// Longest text between two letters.
const GAP_MAX: usize = 3;

/// Letters in a row.
#[derive(Default)]
struct Run {
    letters: String,
    /// For each letter but the last, the gap after it.
    gaps: Vec<Range<usize>>,
    range: Range<usize>,
}

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let mut edits = Edits::default();
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::NUMBERS) {
        let mut at = source.no_middle_of_a_word(stretch.start.max(done));
        while let Some(start) = source.survey.next(Bits::Word, at, stretch.end) {
            let run = run(source, start);
            at = run.range.end;
            if let Some(text) = words(source, &run) {
                edits.replace(run.range, &text);
            }
        }
        done = at.max(done);
    }
    Found::both(source, &edits, Transform::Numbered, into);
}

/// The letters from the token at a place on; its range has that token even if it is none.
fn run(source: Source<'_>, start: usize) -> Run {
    let bytes = source.text.as_bytes();
    let mut token = start..source.survey.end(Bits::Word, start);
    let mut run = Run { range: token.clone(), ..Run::default() };
    while let Some(letter) = letter(bytes.get(token.clone()).unwrap_or_default()) {
        if !run.letters.is_empty() {
            run.gaps.push(run.range.end..token.start);
        }
        run.letters.push(letter);
        run.range.end = token.end;
        let Some(rest) = bytes.get(token.end..(token.end + GAP_MAX + 1).min(bytes.len())) else { break };
        let Some(gap) = rest.iter().position(u8::is_ascii_alphanumeric).filter(|gap| *gap > 0) else { break };
        let next = token.end + gap;
        token = next..source.survey.end(Bits::Word, next);
    }
    run
}

/// The letter of a number.
fn letter(number: &[u8]) -> Option<char> {
    let value = match number {
        [ones @ b'1'..=b'9'] => ones - b'0',
        [tens @ b'0'..=b'2', ones @ b'0'..=b'9'] => (tens - b'0') * 10 + (ones - b'0'),
        _ => return None,
    };
    (1..=26).contains(&value).then(|| char::from(b'a' + value - 1))
}

/// The words that a run spells, where most of its letters are in known ones.
fn words(source: Source<'_>, run: &Run) -> Option<String> {
    if run.letters.len() < LETTERS_MIN {
        return None;
    }
    let gap = |range: &Range<usize>| (source.text.get(range.clone()), source.is_wide(range.start));
    let first = gap(run.gaps.first()?);
    let firsts = run.gaps.iter().filter(|range| gap(range) == first).count();
    let other = run.gaps.iter().map(gap).find(|other| *other != first);
    let inside = if firsts * 2 < run.gaps.len() { other.unwrap_or(first) } else { first };
    let mut text = String::with_capacity(run.letters.len() * 2);
    for (n, letter) in run.letters.chars().enumerate() {
        text.push(letter);
        if run.gaps.get(n).is_some_and(|range| gap(range) != inside) {
            text.push(' ');
        }
    }
    let known: usize = text.split(' ').filter(|word| word.len() > 2 && is_common(word)).map(str::len).sum();
    if known * 2 >= run.letters.len() {
        return Some(text);
    }
    let parts = segment(&run.letters)?;
    let cut: Vec<&str> = parts.iter().filter_map(|part| run.letters.get(part.range.clone())).collect();
    Some(cut.join(" "))
}
