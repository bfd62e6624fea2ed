//! Markup among words: HTML's tags and comments, Markdown's emphasis.
//!
//! Tags that only dress text leave nothing behind, so that a word cut by them is whole again; others
//! leave a space. What is no tag by its name stays, since code is full of angle brackets.

use memchr::{memchr, memmem};

use super::super::edits::Edits;
use super::super::survey::{Bits, Marks};
use super::super::transform::Transform;
use super::{Found, Source};
use crate::limits::TAG_BYTES_MAX;

/// Tags inside lines of text.
const INLINE: [&str; 26] = [
    "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "del", "em", "font", "i", "img", "ins", "kbd", "mark", "q",
    "s", "small", "span", "strong", "sub", "sup", "tt", "u", "wbr",
];
/// Tags around them.
const BLOCK: [&str; 28] = [
    "article", "body", "br", "button", "center", "dd", "div", "dl", "dt", "footer", "form", "h1", "h2", "h3", "head",
    "header", "hr", "html", "li", "ol", "p", "section", "table", "td", "th", "title", "tr", "ul",
];

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let bytes = source.text.as_bytes();
    let mut edits = Edits::default();
    let mut tells = false;
    let mut done = 0;
    let mut comments_end = true;
    for stretch in source.survey.stretches(Marks::MARKUP) {
        let mut at = stretch.start.max(done);
        while let Some(next) = source.survey.next(Bits::Markup, at, stretch.end) {
            at = next;
            let rest = bytes.get(at..).unwrap_or_default();
            let removed = if rest.starts_with(b"<!--") {
                // Without an end here there is none further on either.
                let end = if comments_end { memmem::find(rest, b"-->") } else { None };
                comments_end = end.is_some();
                end.map(|end| (end + 3, ""))
            } else if rest.starts_with(b"<") {
                tag(rest)
            } else {
                emphasis(bytes, at)
            };
            let Some((len, left)) = removed else {
                at += 1;
                continue;
            };
            tells |= left.is_empty() && touches_letter(bytes, at, at + len);
            edits.replace(at..at + len, left);
            at += len;
        }
        done = at.max(done);
    }
    if tells {
        into.extend(Found::among(source.text, &edits, vec![Transform::Html]));
    }
}

fn touches_letter(bytes: &[u8], start: usize, end: usize) -> bool {
    let letter =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(|b| b.is_ascii_alphabetic() || *b >= 0x80);
    letter(start.checked_sub(1)) || letter(Some(end))
}

/// The length of the tag that stands here, and what it leaves.
fn tag(rest: &[u8]) -> Option<(usize, &'static str)> {
    let inside = rest.get(1..TAG_BYTES_MAX.min(rest.len()))?;
    let name = inside.strip_prefix(b"/").unwrap_or(inside);
    let length = name.iter().take_while(|byte| byte.is_ascii_alphanumeric()).take(12).count();
    let name = name.get(..length)?;
    let same = |known: &&str| known.as_bytes().eq_ignore_ascii_case(name);
    let left = match length {
        0 => return None,
        _ if INLINE.iter().any(same) => "",
        _ if BLOCK.iter().any(same) => " ",
        _ => return None,
    };
    Some((memchr(b'>', inside)? + 2, left))
}

/// The length of a run of emphasis that stands at a word.
fn emphasis(bytes: &[u8], at: usize) -> Option<(usize, &'static str)> {
    let sign = *bytes.get(at)?;
    let length = bytes.get(at..)?.iter().take_while(|byte| **byte == sign).count();
    let letter = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphabetic() || *b >= 0x80);
    let (before, after) = (at.checked_sub(1).and_then(|at| bytes.get(at)), bytes.get(at + length));
    (length <= 3 && (letter(before) || letter(after))).then_some((length, ""))
}
