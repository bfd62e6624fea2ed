//! Letters one by one: `i g n o r e`, `i-g-n-o-r-e`, one to a line.
//!
//! Words end where the gap is another than most, or wider; where all gaps are alike the letters are cut
//! into words that are known.

use std::ops::Range;

use super::super::chars::is_word;
use super::super::edits::Edits;
use super::super::survey::{Bits, Marks};
use super::super::transform::Transform;
use super::super::words::{is_common, segment};
use super::{Found, Source};

/// Fewest letters that tell by themselves.
const LETTERS_MIN: usize = 4;
/// Letters from which on they need not make known words: there are other languages.
const LETTERS_MANY: usize = 14;
/// Longest gap between two letters, in bytes.
const GAP_MAX: usize = 4;

/// Single letters in a row.
#[derive(Default)]
struct Run {
    letters: String,
    /// For each letter but the last, the gap after it.
    gaps: Vec<Range<usize>>,
    range: Range<usize>,
}

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let mut runs: Vec<(Range<usize>, String, bool)> = Vec::new();
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::SPACED) {
        let mut at = source.text.ceil_char_boundary(stretch.start.max(done));
        while let Some(third) = source.survey.next(Bits::Spaced, at, stretch.end) {
            at = head(source.text, third).max(at);
            let run = run(source.text, at, stretch.end);
            at = run.range.end;
            if run.gaps.len() >= 2
                && let Some((text, tells)) = words(source, &run)
            {
                runs.push((run.range, text, tells));
            }
        }
        done = at.max(done);
    }
    // Three letters are a word only beside longer ones.
    if runs.iter().any(|(.., tells)| *tells) {
        let mut edits = Edits::default();
        runs.into_iter().for_each(|(range, text, _)| edits.replace(range, &text));
        into.extend(Found::among(source.text, &edits, vec![Transform::Spaced]));
    }
}

/// Where single letters start that go on up to a place; earlier ones may have wider gaps than the last.
fn head(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let word = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80);
    let mut head = at;
    let mut next = at;
    while let Some(here) = next.checked_sub(1).filter(|here| head - here <= GAP_MAX + 1) {
        if word(here) {
            if here.checked_sub(1).is_some_and(word) {
                break;
            }
            head = here;
        }
        next = here;
    }
    text.ceil_char_boundary(head)
}

/// The next run of single letters that starts before `until`; its range ends where to go on even if there
/// is none.
fn run(text: &str, at: usize, until: usize) -> Run {
    let mut run = Run { range: at..at, ..Run::default() };
    let mut before = text.get(..at).and_then(|head| head.chars().next_back()).is_some_and(is_word);
    let mut chars = text.get(at..).unwrap_or_default().char_indices().peekable();
    while let Some((offset, char)) = chars.next() {
        let word = is_word(char);
        let start = at + offset;
        if start >= until && run.letters.is_empty() {
            run.range.end = start;
            return run;
        }
        let alone = word && !before && chars.peek().is_none_or(|(_, next)| !is_word(*next));
        before = word;
        if !alone {
            if word && run.letters.is_empty() {
                run.range.end = start + char.len_utf8();
                continue;
            }
            if word || (!run.letters.is_empty() && start - run.range.end >= GAP_MAX) {
                return run;
            }
            if run.letters.is_empty() {
                run.range.end = start + char.len_utf8();
            }
            continue;
        }
        if run.letters.is_empty() {
            run.range.start = start;
        } else {
            run.gaps.push(run.range.end..start);
        }
        run.letters.push(char);
        run.range.end = start + char.len_utf8();
    }
    if run.letters.is_empty() {
        run.range.end = text.len();
    }
    run
}

/// The words that a run spells, and whether they tell that it was meant so.
fn words(source: Source<'_>, run: &Run) -> Option<(String, bool)> {
    let gap = |range: &Range<usize>| (source.text.get(range.clone()).unwrap_or_default(), source.is_wide(range.start));
    // The gap inside words is the one that most letters have, the first of them where they are even.
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
    let count = run.letters.chars().count();
    let known: usize = text.split(' ').filter(|word| word.len() > 2 && is_common(word)).map(str::len).sum();
    if known * 2 >= count {
        return Some((text, known >= LETTERS_MIN));
    }
    if let Some(parts) = segment(&run.letters) {
        let cut: Vec<&str> = parts.iter().filter_map(|part| run.letters.get(part.range.clone())).collect();
        return Some((cut.join(" "), true));
    }
    let vowels = run.letters.chars().filter(|c| "aeiouAEIOU".contains(*c) || !c.is_ascii()).count();
    let spelled = count >= LETTERS_MANY && vowels * 5 >= count && vowels * 3 <= count * 2 && !is_alphabet(&run.letters);
    spelled.then_some((text, true))
}

/// Whether letters mostly follow each other in the alphabet, or are mostly digits.
fn is_alphabet(letters: &str) -> bool {
    let bytes = letters.as_bytes();
    let steps = bytes.iter().zip(bytes.iter().skip(1)).filter(|(a, b)| b.wrapping_sub(**a) <= 1).count();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    steps * 3 > bytes.len() || digits * 3 > bytes.len()
}
