//! Characters written by name or number: percent-encoding, HTML's references, the escapes of JSON and of
//! programming languages. All of them at once, so that a text that mixes them is read in one go.

use std::ops::Range;

use memchr::memchr3;

use super::super::edits::Edits;
use super::super::survey::Marks;
use super::super::transform::{Transform, Transforms};
use super::{Found, Source};

/// Longest reference or escape, in bytes.
const ESCAPE_BYTES_MAX: usize = 12;

/// HTML's named references that letters and the signs around them are written with.
#[rustfmt::skip]
const NAMED: [(&str, &str); 46] = [
    ("amp", "&"), ("lt", "<"), ("gt", ">"), ("quot", "\""), ("apos", "'"), ("nbsp", " "), ("ensp", " "), ("emsp", " "),
    ("thinsp", " "), ("shy", ""), ("zwj", ""), ("zwnj", ""), ("lrm", ""), ("rlm", ""), ("Tab", " "), ("NewLine", " "),
    ("excl", "!"), ("num", "#"), ("dollar", "$"), ("percnt", "%"), ("lpar", "("), ("rpar", ")"), ("ast", "*"),
    ("plus", "+"), ("comma", ","), ("period", "."), ("sol", "/"), ("colon", ":"), ("semi", ";"), ("equals", "="),
    ("quest", "?"), ("commat", "@"), ("lsqb", "["), ("bsol", "\\"), ("rsqb", "]"), ("lowbar", "_"), ("grave", "`"),
    ("lcub", "{"), ("verbar", "|"), ("rcub", "}"), ("hyphen", "-"), ("dash", "-"), ("ndash", "-"), ("mdash", "-"),
    ("rsquo", "'"), ("hellip", "..."),
];

/// Something written by name or number.
struct Escape {
    len: usize,
    text: String,
    transform: Transform,
}

impl Escape {
    fn char(len: usize, code: u32, transform: Transform) -> Option<Self> {
        // Half of a pair of surrogates, or none at all, is shown as what cannot be shown.
        let char = char::from_u32(code).filter(|c| !c.is_control() || c.is_whitespace())?;
        Some(Self { len, text: char.to_string(), transform })
    }
}

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let mut edits = Edits::default();
    let mut fired = Transforms::NONE;
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::ESCAPE) {
        let mut at = stretch.start.max(done);
        while let Some(next) = source.text.as_bytes().get(at..stretch.end).and_then(|s| memchr3(b'%', b'&', b'\\', s)) {
            at += next;
            let rest = source.text.as_bytes().get(at..).unwrap_or_default();
            let Some(escape) = read(rest) else {
                at += 1;
                continue;
            };
            fired.insert(escape.transform);
            edits.replace(at..at + escape.len, &escape.text);
            at += escape.len;
        }
        done = at.max(done);
    }
    into.extend(Found::among(source.text, &edits, fired.iter().collect()));
}

fn read(rest: &[u8]) -> Option<Escape> {
    match rest.first()? {
        b'%' => percent(rest),
        b'&' => entity(rest),
        _ => backslash(rest),
    }
}

/// A number of digits of a base, at most `max` of them.
fn number(bytes: &[u8], base: u32, max: usize) -> Option<(u32, usize)> {
    let (mut value, mut digits) = (0_u32, 0);
    for byte in bytes.iter().take(max) {
        let Some(digit) = char::from(*byte).to_digit(base) else { break };
        value = value.checked_mul(base)?.checked_add(digit)?;
        digits += 1;
    }
    (digits > 0).then_some((value, digits))
}

/// The byte of two hexadecimal digits.
pub(super) fn hex_byte(bytes: &[u8]) -> Option<u8> {
    let [high, low, ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)? << 4 | digit(*low)?)
}

fn percent(rest: &[u8]) -> Option<Escape> {
    if rest.get(1) == Some(&b'u') {
        let (code, 4) = number(rest.get(2..)?, 16, 4)? else { return None };
        return Escape::char(6, code, Transform::Percent);
    }
    let first = hex_byte(rest.get(1..)?)?;
    let bytes = match first {
        0x20..=0x7e | b'\n' | b'\r' | b'\t' => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let mut decoded = Vec::with_capacity(bytes);
    for n in 0..bytes {
        let (b'%', digits) = rest.get(3 * n..)?.split_first()? else { return None };
        decoded.push(hex_byte(digits)?);
    }
    Some(Escape { len: 3 * bytes, text: String::from_utf8(decoded).ok()?, transform: Transform::Percent })
}

fn entity(rest: &[u8]) -> Option<Escape> {
    let closed = |len: usize| len + usize::from(rest.get(len) == Some(&b';'));
    if rest.get(1) == Some(&b'#') {
        let hexadecimal = matches!(rest.get(2)?, b'x' | b'X');
        let (start, base) = if hexadecimal { (3, 16) } else { (2, 10) };
        let (code, digits) = number(rest.get(start..)?, base, 8)?;
        return Escape::char(closed(start + digits), code, Transform::HtmlEntities);
    }
    let name = rest.get(1..ESCAPE_BYTES_MAX.min(rest.len()))?;
    let end = name.iter().position(|byte| *byte == b';')?;
    let name = name.get(..end)?;
    let (_, text) = NAMED.iter().find(|(known, _)| known.as_bytes() == name)?;
    Some(Escape { len: end + 2, text: (*text).to_owned(), transform: Transform::HtmlEntities })
}

fn backslash(rest: &[u8]) -> Option<Escape> {
    let unicode = Transform::UnicodeEscapes;
    let json = |text: &str| Some(Escape { len: 2, text: text.to_owned(), transform: Transform::JsonEscapes });
    match rest.get(1)? {
        b'n' | b'r' | b't' => json(" "),
        b'"' => json("\""),
        b'\'' => json("'"),
        b'/' => json("/"),
        b'\\' => json("\\"),
        b'x' => {
            let braced = rest.get(2) == Some(&b'{');
            let (code, digits) = number(rest.get(2 + usize::from(braced)..)?, 16, if braced { 6 } else { 2 })?;
            if braced {
                return braced_end(rest, 3 + digits).and_then(|len| Escape::char(len, code, unicode));
            }
            if digits == 2 { Escape::char(4, code, unicode) } else { None }
        }
        b'u' if rest.get(2) == Some(&b'{') => {
            let (code, digits) = number(rest.get(3..)?, 16, 6)?;
            braced_end(rest, 3 + digits).and_then(|len| Escape::char(len, code, unicode))
        }
        b'u' => utf16(rest),
        b'U' => {
            let (code, 8) = number(rest.get(2..)?, 16, 8)? else { return None };
            Escape::char(10, code, unicode)
        }
        b'0'..=b'3' => {
            let (code, 3) = number(rest.get(1..)?, 8, 3)? else { return None };
            Escape::char(4, code, unicode)
        }
        _ => None,
    }
}

fn braced_end(rest: &[u8], at: usize) -> Option<usize> {
    (rest.get(at) == Some(&b'}')).then_some(at + 1)
}

/// `\u` with four digits, and the other half of a pair where it is one.
fn utf16(rest: &[u8]) -> Option<Escape> {
    let (unit, 4) = number(rest.get(2..)?, 16, 4)? else { return None };
    if let (0xd800..=0xdbff, Some([b'\\', b'u', digits @ ..])) = (unit, rest.get(6..))
        && let Some((low @ 0xdc00..=0xdfff, 4)) = number(digits, 16, 4)
    {
        return Escape::char(12, 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00), Transform::UnicodeEscapes);
    }
    Escape::char(6, unit, Transform::UnicodeEscapes)
}

/// The ranges of bytes that look like two hexadecimal digits after a sign.
pub(super) fn pairs_after(text: &str, sign: u8, within: Range<usize>) -> impl Iterator<Item = (usize, u8)> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(sign, bytes.get(within.clone()).unwrap_or_default()).filter_map(move |at| {
        let at = within.start + at;
        Some((at, hex_byte(bytes.get(at + 1..)?)?))
    })
}
