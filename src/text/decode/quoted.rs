//! Quoted-printable, as e-mail is written: `=69`, and lines that go on after a `=` at their end.

use super::super::edits::Edits;
use super::super::survey::Marks;
use super::super::transform::Transform;
use super::super::words::is_common;
use super::escapes::pairs_after;
use super::{Found, Source};

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let mut edits = Edits::default();
    let bytes = source.text.as_bytes();
    let mut evidence = 0;
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::EQUALS) {
        for (at, first) in pairs_after(source.text, b'=', stretch) {
            if at < done {
                continue;
            }
            let Some((text, len)) = character(bytes.get(at..).unwrap_or_default(), first) else { continue };
            // A number after an equals sign is no evidence; a character right after another one is, and
            // so is one in the middle of a word that is known with it.
            evidence +=
                usize::from(at == done && done > 0) + usize::from(completes_a_word(source.text, at, len, &text));
            edits.replace(at..at + len, &text);
            done = at + len;
        }
    }
    if evidence > 1 {
        into.extend(Found::among(source.text, &edits, vec![Transform::QuotedPrintable]));
    }
}

/// The character of a run of bytes, and how long it is written.
fn character(rest: &[u8], first: u8) -> Option<(String, usize)> {
    let count = match first {
        0x20..=0x7e => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let mut decoded = Vec::with_capacity(count);
    for n in 0..count {
        let (b'=', digits) = rest.get(3 * n..)?.split_first()? else { return None };
        decoded.push(super::escapes::hex_byte(digits)?);
    }
    Some((String::from_utf8(decoded).ok()?, 3 * count))
}

fn completes_a_word(text: &str, at: usize, len: usize, char: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphabetic();
    let head = text.get(..at).unwrap_or_default();
    let start = text.floor_char_boundary(at.saturating_sub(16));
    let head = head.get(start..).unwrap_or_default().rsplit(|c| !letters(c)).next().unwrap_or_default();
    let tail = text.get(at + len..text.floor_char_boundary(at + len + 16)).unwrap_or_default();
    let tail = tail.split(|c| !letters(c)).next().unwrap_or_default();
    head.len() + tail.len() > 2 && is_common(&format!("{head}{char}{tail}"))
}
