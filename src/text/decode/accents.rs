//! English with accents on its letters: `\u{ef}gn\u{f6}r\u{e9}`.
//!
//! Accents belong to a language and stay in the folded text; they are taken off where words are English
//! without them, and several are.

use memchr::memchr3;
use unicode_normalization::UnicodeNormalization;

use super::super::chars::{is_latin, next_word};
use super::super::edits::Edits;
use super::super::survey::Marks;
use super::super::transform::Transform;
use super::super::words::is_common;
use super::{Found, Source};

/// Fewest words that are English without their accents.
const WORDS_MIN: usize = 2;
/// Shortest such word, in letters.
const LETTERS_MIN: usize = 3;

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    // What Latin letters with accents start with, but for the few of Vietnamese, which have these too.
    if memchr3(0xc3, 0xc4, 0xc5, source.text.as_bytes()).is_none() {
        return;
    }
    let mut edits = Edits::default();
    let mut words = 0;
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::FOREIGN) {
        let mut at = source.text.ceil_char_boundary(stretch.start.max(done));
        while at < stretch.end {
            let Some(range) = next_word(source.text, at).filter(|range| range.start < stretch.end) else { break };
            let word = source.text.get(range.clone()).unwrap_or_default();
            at = range.end;
            if let Some(plain) = plain(word) {
                words += 1;
                edits.replace(range, &plain);
            }
        }
        done = at.max(done);
    }
    if words >= WORDS_MIN {
        into.extend(Found::among(source.text, &edits, vec![Transform::Accents]));
    }
}

/// The word without its accents, where it has some and is English without.
fn plain(word: &str) -> Option<String> {
    if word.is_ascii() || word.len() > 32 || !word.chars().all(is_latin) {
        return None;
    }
    let plain: String = word.nfd().filter_map(letter).collect();
    (plain.len() >= LETTERS_MIN && plain.is_ascii() && is_common(&plain)).then_some(plain)
}

/// Letters whose stroke or shape is no mark of its own; `None` for marks.
fn letter(char: char) -> Option<char> {
    Some(match char {
        '\u{300}'..='\u{36f}' => return None,
        '\u{f8}' => 'o',
        '\u{d8}' => 'O',
        '\u{142}' => 'l',
        '\u{111}' | '\u{f0}' => 'd',
        '\u{131}' => 'i',
        '\u{127}' => 'h',
        '\u{df}' => 's',
        '\u{167}' => 't',
        other => other,
    })
}
