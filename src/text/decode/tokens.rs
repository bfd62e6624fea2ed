//! Words cut by punctuation (`ig-no_re`) and words joined into one (`ignore_all_previous`,
//! `IgnoreAllPreviousInstructions`, `ignoreallprevious`).

use std::ops::Range;

use super::super::edits::Edits;
use super::super::survey::{Bits, Marks, Survey};
use super::super::transform::{Transform, Transforms};
use super::super::words::{is_common, is_common_bytes, segment};
use super::{Found, Source};
use crate::limits::TOKEN_BYTES_MAX;

/// Longest word with punctuation in it, in bytes.
const WORD_BYTES_MAX: usize = 32;
/// Fewest words in a joined phrase.
const WORDS_MIN: usize = 3;
/// Fewest letters without a gap that are cut into words.
const LETTERS_MIN: usize = 16;
/// Most letters of a part, on average, in words that are cut into several.
const SYLLABLE_MAX: usize = 5;

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let mut edits = Edits::default();
    let mut fired = Transforms::NONE;
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::JOINER.or(Marks::CAMEL).or(Marks::LONG)) {
        let mut at = stretch.start.max(done);
        while let Some(joint) = source.survey.next(Bits::Joint, at, stretch.end + TOKEN_BYTES_MAX) {
            let token = token_at(source.survey, source.text.as_bytes(), joint);
            if token.start >= stretch.end {
                break;
            }
            let whole = token.start >= at;
            at = token.end.max(joint + 1);
            let written = source.text.get(token.clone()).unwrap_or_default();
            if !whole || written.len() < 4 || written.len() > TOKEN_BYTES_MAX {
                continue;
            }
            if let Some((transform, words)) = read(written) {
                fired.insert(transform);
                edits.replace(token, &words);
            }
        }
        done = at.max(done);
    }
    into.extend(Found::among(source.text, &edits, fired.iter().collect()));
}

/// The token around a place, without the punctuation at its ends.
fn token_at(survey: &Survey, bytes: &[u8], at: usize) -> Range<usize> {
    let (start, end) = (survey.start(Bits::Part, at), survey.end(Bits::Part, at));
    let start = survey.next(Bits::Letter, start, end).unwrap_or(end);
    let punctuation = bytes.get(start..end).unwrap_or_default().iter().rev();
    start..end - punctuation.take_while(|byte| !byte.is_ascii_alphabetic()).count()
}

/// The words that a token is made of.
fn read(token: &str) -> Option<(Transform, String)> {
    let bytes = token.as_bytes();
    let (joints, humps) = seams(bytes);
    let letters = || -> String { token.chars().filter(char::is_ascii_alphabetic).collect() };
    if joints == 0 && humps == 0 {
        return if token.len() < LETTERS_MIN { None } else { cut(token).map(|words| (Transform::Joined, words)) };
    }
    if joints > 0 && token.len() <= WORD_BYTES_MAX {
        let mut whole = [0_u8; WORD_BYTES_MAX];
        let kept = bytes.iter().filter(|byte| byte.is_ascii_alphabetic());
        let count = whole.iter_mut().zip(kept).map(|(to, from)| *to = *from).count();
        let known = count > 3 && is_common_bytes(whole.get(..count)?);
        if known && !parts(token).all(is_common) {
            return Some((Transform::Split, letters()));
        }
    }
    if joints + humps + 1 < WORDS_MIN {
        return None;
    }
    let (mut count, mut known) = (0, 0);
    for part in parts(token) {
        count += 1;
        known += usize::from(is_common(part));
    }
    if known >= WORDS_MIN && known * 4 >= count * 3 {
        return Some((Transform::Joined, parts(token).collect::<Vec<_>>().join(" ")));
    }
    // Parts that are no words but make words together.
    if joints < 2 || known * 2 > count || token.len() > (joints + 1) * (SYLLABLE_MAX + 1) {
        return None;
    }
    cut(&letters()).map(|words| (Transform::Split, words))
}

/// How often punctuation follows a letter, and how often a capital follows a small one.
fn seams(bytes: &[u8]) -> (usize, usize) {
    let (mut joints, mut humps) = (0, 0);
    let mut before = b' ';
    for byte in bytes {
        joints += usize::from(!byte.is_ascii_alphabetic() & before.is_ascii_alphabetic());
        humps += usize::from(byte.is_ascii_uppercase() & before.is_ascii_lowercase());
        before = *byte;
    }
    (joints, humps)
}

/// Whether a capital follows a small letter here.
fn is_hump(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    bytes.get(at).is_some_and(u8::is_ascii_uppercase) && before.is_some_and(u8::is_ascii_lowercase)
}

/// The parts between punctuation and at changes from small letters to capitals.
fn parts(token: &str) -> impl Iterator<Item = &str> {
    let bytes = token.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes.get(at..)?.iter().position(u8::is_ascii_alphabetic)?;
        at = start + 1;
        while bytes.get(at).is_some_and(u8::is_ascii_alphabetic) && !is_hump(bytes, at) {
            at += 1;
        }
        token.get(start..at)
    })
}

/// Letters cut into at least three known words.
fn cut(letters: &str) -> Option<String> {
    let parts = segment(letters)?;
    let words: Vec<&str> = parts.iter().filter_map(|part| letters.get(part.range.clone())).collect();
    (parts.iter().filter(|part| part.known).count() >= WORDS_MIN).then(|| words.join(" "))
}
