//! Morse code: letters in dots and dashes, words apart by a slash or a wide gap.

use memchr::memchr3;

use super::super::edits::Edits;
use super::super::survey::Marks;
use super::super::transform::Transform;
use super::{Found, Source, evidence};

/// Longest code with a slash after it, and the space after that, in bytes.
const CODE_BYTES_MAX: usize = 7;
/// Fewest letters in Morse code.
const LETTERS_MIN: usize = 6;
/// Fewest different ones: rows of dots and rulers of dashes are no text.
const DIFFERENT_MIN: usize = 4;

/// The letters by their code.
#[rustfmt::skip]
const LETTERS: [(&str, char); 36] = [
    (".-", 'a'), ("-...", 'b'), ("-.-.", 'c'), ("-..", 'd'), (".", 'e'), ("..-.", 'f'), ("--.", 'g'), ("....", 'h'),
    ("..", 'i'), (".---", 'j'), ("-.-", 'k'), (".-..", 'l'), ("--", 'm'), ("-.", 'n'), ("---", 'o'), (".--.", 'p'),
    ("--.-", 'q'), (".-.", 'r'), ("...", 's'), ("-", 't'), ("..-", 'u'), ("...-", 'v'), (".--", 'w'), ("-..-", 'x'),
    ("-.--", 'y'), ("--..", 'z'), ("-----", '0'), (".----", '1'), ("..---", '2'), ("...--", '3'), ("....-", '4'),
    (".....", '5'), ("-....", '6'), ("--...", '7'), ("---..", '8'), ("----.", '9'),
];

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let mut edits = Edits::default();
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::DOTS) {
        let mut at = stretch.start.max(done);
        while at < stretch.end {
            let rest = source.text.as_bytes().get(at..stretch.end).unwrap_or_default();
            let Some(first) = memchr3(b'.', b'-', b'_', rest) else { break };
            let (text, end) = run(source, at + first);
            if is_message(&text) {
                edits.replace(at + first..end, text.trim_end());
            }
            at = end.max(at + first + 1);
        }
        done = at.max(done);
    }
    Found::both(source, &edits, Transform::Morse, into);
}

/// The letters from a place on, and where they end.
fn run(source: Source<'_>, start: usize) -> (String, usize) {
    let mut text = String::new();
    let (mut at, mut end) = (start, start);
    loop {
        // A token that is longer than any code ends the message, however long it is.
        let rest = source.text.as_bytes().get(at..).unwrap_or_default();
        let rest = rest.get(..CODE_BYTES_MAX.min(rest.len())).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let token = source.text.get(at..at + length).unwrap_or_default();
        match token {
            "/" | "|" | "//" => text.push(' '),
            code => {
                let (letters, gap) = code.strip_suffix('/').map_or((code, false), |code| (code, true));
                let Some(letter) = letter(letters) else { break };
                text.push(letter);
                if gap {
                    text.push(' ');
                }
            }
        }
        end = at + token.len();
        if source.is_wide(end) && !text.ends_with(' ') {
            text.push(' ');
        }
        at = (end + 1).min(source.text.len());
    }
    (text, end)
}

fn letter(code: &str) -> Option<char> {
    if code.is_empty() || code.len() > 5 {
        return None;
    }
    let same = |known: &str| {
        known.len() == code.len() && known.bytes().zip(code.bytes()).all(|(k, c)| k == c || (k == b'-' && c == b'_'))
    };
    LETTERS.iter().find(|(known, _)| same(known)).map(|(_, letter)| *letter)
}

fn is_message(text: &str) -> bool {
    let letters = || text.bytes().filter(u8::is_ascii_alphabetic);
    let different = letters().fold(0_u32, |seen, byte| seen | 1 << (byte - b'a')).count_ones() as usize;
    letters().count() >= LETTERS_MIN && different >= DIFFERENT_MIN && evidence::is_text(text)
}
