//! Words cut by punctuation (`ig-no_re`) and words joined into one (`ignore_all_previous`,
//! `IgnoreAllPreviousInstructions`, `ignoreallprevious`).

use std::ops::Range;

use super::super::edits::Edits;
use super::super::survey::Marks;
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
        while at < stretch.end {
            let Some(token) = next_token(source.text.as_bytes(), at, stretch.end) else { break };
            at = token.end;
            let written = source.text.get(token.clone()).unwrap_or_default();
            if written.len() < 4 || written.len() > TOKEN_BYTES_MAX || !written.is_ascii() {
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

/// What a token is made of: letters, and what may stand between them.
const fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
        || matches!(byte, b'-' | b'_' | b'.' | b'*' | b'/' | b'|' | b'~' | b'+' | b'^' | b'\'' | b',' | b'#')
}

/// The next token that starts before `until`, without what stands at its ends.
fn next_token(bytes: &[u8], mut at: usize, until: usize) -> Option<Range<usize>> {
    if at > 0 && bytes.get(at - 1).is_some_and(|byte| is_part(*byte)) {
        at += bytes.get(at..)?.iter().position(|byte| !is_part(*byte))?;
    }
    let start = at + bytes.get(at..until)?.iter().position(|byte| byte.is_ascii_alphabetic())?;
    let rest = bytes.get(start..)?;
    let token = rest.get(..rest.iter().position(|byte| !is_part(*byte)).unwrap_or(rest.len()))?;
    let length = token.iter().rposition(|byte| byte.is_ascii_alphabetic())? + 1;
    Some(start..start + length)
}

/// The words that a token is made of.
fn read(token: &str) -> Option<(Transform, String)> {
    let bytes = token.as_bytes();
    let letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
    let joints = (1..bytes.len()).filter(|at| !letter(*at) && letter(at - 1)).count();
    let humps = (1..bytes.len()).filter(|at| is_hump(bytes, *at)).count();
    let letters = || -> String { token.chars().filter(char::is_ascii_alphabetic).collect() };
    if joints == 0 && humps == 0 {
        return if token.len() < LETTERS_MIN { None } else { cut(token).map(|words| (Transform::Joined, words)) };
    }
    if joints > 0 && token.len() <= WORD_BYTES_MAX {
        let mut whole = [0_u8; WORD_BYTES_MAX];
        let kept = bytes.iter().filter(|byte| byte.is_ascii_alphabetic());
        let count = whole.iter_mut().zip(kept).map(|(to, from)| *to = *from).count();
        let known = count > 3 && is_common_bytes(whole.get(..count)?);
        if known && !parts(token).iter().all(|part| is_common(part)) {
            return Some((Transform::Split, letters()));
        }
    }
    if joints + humps + 1 < WORDS_MIN {
        return None;
    }
    let parts = parts(token);
    let known = parts.iter().filter(|part| is_common(part)).count();
    if known >= WORDS_MIN && known * 4 >= parts.len() * 3 {
        return Some((Transform::Joined, parts.join(" ")));
    }
    // Parts that are no words but make words together.
    if joints < 2 || known * 2 > parts.len() || token.len() > (joints + 1) * (SYLLABLE_MAX + 1) {
        return None;
    }
    cut(&letters()).map(|words| (Transform::Split, words))
}

/// Whether a capital follows a small letter here.
fn is_hump(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    bytes.get(at).is_some_and(u8::is_ascii_uppercase) && before.is_some_and(u8::is_ascii_lowercase)
}

/// The parts between punctuation and at changes from small letters to capitals.
fn parts(token: &str) -> Vec<&str> {
    let bytes = token.as_bytes();
    let mut parts = Vec::new();
    let mut start = 0;
    for at in 0..=bytes.len() {
        let here = bytes.get(at).copied().unwrap_or(b' ');
        let hump = is_hump(bytes, at);
        if !here.is_ascii_alphabetic() || hump {
            parts.extend(token.get(start..at).filter(|part| !part.is_empty()));
            start = if hump { at } else { at + 1 };
        }
    }
    parts
}

/// Letters cut into at least three known words.
fn cut(letters: &str) -> Option<String> {
    let parts = segment(letters)?;
    let words: Vec<&str> = parts.iter().filter_map(|part| letters.get(part.range.clone())).collect();
    (parts.iter().filter(|part| part.known).count() >= WORDS_MIN).then(|| words.join(" "))
}
