//! Digits and signs in place of letters: `1gn0r3 4ll pr3v10us`.
//!
//! Names of formats, versions and identifiers mix letters and digits too, so words count where they are
//! known without the disguise, and the others of a text only beside such.

use std::ops::Range;

use super::super::edits::Edits;
use super::super::survey::{Bits, Marks};
use super::super::transform::Transform;
use super::super::words::is_common_bytes;
use super::{Found, Source};

/// Longest word in disguise.
const WORD_MAX: usize = 24;
/// Fewest letters of known words in disguise.
const EVIDENCE_MIN: usize = 4;

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let mut words: Vec<(Range<usize>, String)> = Vec::new();
    let mut evidence = 0;
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::LEET) {
        let mut at = stretch.start.max(done);
        while let Some(sign) = source.survey.next(Bits::Leet, at, stretch.end + WORD_MAX) {
            let word = source.survey.start(Bits::LeetPart, sign)..source.survey.end(Bits::LeetPart, sign);
            if word.start >= stretch.end {
                break;
            }
            let whole = word.start >= at;
            at = word.end.max(sign + 1);
            if !whole {
                continue;
            }
            let written = source.text.get(word.clone()).unwrap_or_default();
            let Some((plain, known)) = undisguised(written) else { continue };
            evidence += if known { plain.len() } else { 0 };
            // The sign at the end may be punctuation.
            words.push((word.start..word.start + plain.len(), plain));
        }
        done = at.max(done);
    }
    if evidence >= EVIDENCE_MIN {
        let mut edits = Edits::default();
        words.into_iter().for_each(|(range, plain)| edits.replace(range, &plain));
        into.extend(Found::among(source.text, &edits, vec![Transform::Leetspeak]));
    }
}

/// The letter that a digit or sign stands for; `1` and `|` are told apart by the caller.
const fn letter(byte: u8, one: u8) -> u8 {
    match byte {
        b'0' => b'o',
        b'1' | b'!' | b'|' => one,
        b'2' => b'z',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'6' | b'9' => b'g',
        b'7' | b'+' => b't',
        b'8' => b'b',
        other => other,
    }
}

/// The word without its disguise, and whether it is a known one; `None` for what is none.
fn undisguised(written: &str) -> Option<(String, bool)> {
    let signs = written.bytes().rev().take_while(|byte| matches!(byte, b'!' | b'+')).count();
    let written = written.get(..written.len() - signs)?;
    if !(2..=WORD_MAX).contains(&written.len()) {
        return None;
    }
    let letters = written.bytes().filter(u8::is_ascii_alphabetic).count();
    let disguised = written.len() - letters;
    if letters == 0 || disguised == 0 {
        return None;
    }
    let mut plain = [0_u8; WORD_MAX];
    let plain = plain.get_mut(..written.len())?;
    let ones = written.bytes().any(|byte| matches!(byte, b'1' | b'!' | b'|'));
    for one in [b'i', b'l'].into_iter().take(1 + usize::from(ones)) {
        plain.iter_mut().zip(written.bytes()).for_each(|(to, from)| *to = letter(from, one));
        if written.len() > 2 && is_common_bytes(plain) {
            return Some((String::from_utf8_lossy(plain).into_owned(), true));
        }
    }
    let starts_or_ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
    let counted = starts_or_ends(written.bytes().next_back()) || letters * 2 < written.len() || letters < 3;
    let mixed_case = written.bytes().any(|b| b.is_ascii_uppercase()) && written.bytes().any(|b| b.is_ascii_lowercase());
    if counted || mixed_case || written.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let plain: String = written.bytes().map(|byte| char::from(letter(byte, b'i'))).collect();
    plain.contains(['a', 'e', 'i', 'o', 'u']).then_some((plain, false))
}
