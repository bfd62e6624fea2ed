//! Lists of character codes: binary, hexadecimal, decimal and octal numbers with something between them.

use std::ops::Range;

use super::super::edits::Edits;
use super::super::survey::{Bits, Marks, Survey};
use super::super::transform::Transform;
use super::{Found, Source, evidence};

/// Fewest codes in a list.
const CODES_MIN: usize = 6;
/// Longest text between two codes.
const GAP_MAX: usize = 3;
/// Shortest run of bits without a gap.
const BITS_MIN: usize = 48;

/// The ways in which all codes of a list can be read.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ways(u8);

impl Ways {
    const BINARY: u8 = 1;
    const HEX: u8 = 2;
    const DECIMAL: u8 = 4;
    const OCTAL: u8 = 8;

    /// How a code can be read.
    fn of(code: &[u8], prefixed: bool) -> Self {
        let all = |of: fn(&u8) -> bool| code.iter().all(of);
        let mut ways = 0;
        if all(|byte| matches!(byte, b'0' | b'1'))
            && (code.len() == 8 || (code.len() >= BITS_MIN && code.len().is_multiple_of(8)))
        {
            ways |= Self::BINARY;
        }
        if code.len() == 2 && all(u8::is_ascii_hexdigit) {
            ways |= Self::HEX;
        }
        if !prefixed && (2..=3).contains(&code.len()) && all(u8::is_ascii_digit) {
            ways |= Self::DECIMAL;
            if all(|byte| *byte < b'8') {
                ways |= Self::OCTAL;
            }
        }
        Self(ways)
    }
}

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let (mut binary, mut hex, mut decimal) = (Edits::default(), Edits::default(), Edits::default());
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::NUMBERS) {
        let mut at = source.no_middle_of_a_word(stretch.start.max(done));
        while let Some(start) = source.survey.next(Bits::Word, at, stretch.end) {
            let first = start..source.survey.end(Bits::Word, start);
            at = first.end;
            if !may_be_code(first.len()) || ways_of(source.text.as_bytes(), &first) == Ways(0) {
                continue;
            }
            let list = list(source.survey, source.text.as_bytes(), first);
            at = list.range.end;
            let range = list.range.clone();
            match read(source.survey, source.text.as_bytes(), &list) {
                Some((Transform::Binary, text)) => binary.replace(range, &text),
                Some((Transform::Hex, text)) => hex.replace(range, &text),
                Some((_, text)) => decimal.replace(range, &text),
                None => {}
            }
        }
        done = at.max(done);
    }
    Found::both(source, &binary, Transform::Binary, into);
    Found::both(source, &hex, Transform::Hex, into);
    Found::both(source, &decimal, Transform::Decimal, into);
}

/// Whether anything of this length can be read as a code, with what may stand before it.
const fn may_be_code(len: usize) -> bool {
    matches!(len, 2..=5 | 8..=10 | BITS_MIN..)
}

/// A code without what is written before it to tell its base.
fn stripped(code: &[u8]) -> (&[u8], bool) {
    let prefixes: [&[u8]; 4] = [b"0x", b"0X", b"0b", b"x"];
    let found = prefixes.iter().find_map(|prefix| code.strip_prefix(*prefix)).filter(|rest| rest.len() > 1);
    found.map_or((code, false), |rest| (rest, true))
}

fn ways_of(bytes: &[u8], range: &Range<usize>) -> Ways {
    let (code, prefixed) = stripped(bytes.get(range.clone()).unwrap_or_default());
    Ways::of(code, prefixed)
}

/// Codes with the same between them.
struct List {
    range: Range<usize>,
    count: usize,
    digits: usize,
    ways: Ways,
}

/// The codes from the first one on that can be read in one way.
fn list(survey: &Survey, bytes: &[u8], first: Range<usize>) -> List {
    let ways = ways_of(bytes, &first);
    let mut list = List { count: 1, digits: first.len(), ways, range: first };
    let mut gap: Option<&[u8]> = None;
    loop {
        let end = list.range.end;
        let Some(rest) = bytes.get(end..(end + GAP_MAX + 1).min(bytes.len())) else { break };
        let Some(length) = rest.iter().position(u8::is_ascii_alphanumeric).filter(|length| *length > 0) else { break };
        let between = rest.get(..length).unwrap_or_default();
        if *gap.get_or_insert(between) != between {
            break;
        }
        let next = end + length..survey.end(Bits::Word, end + length);
        let both = Ways(list.ways.0 & ways_of(bytes, &next).0);
        if both == Ways(0) {
            break;
        }
        let range = list.range.start..next.end;
        list = List { range, count: list.count + 1, digits: list.digits + next.len(), ways: both };
    }
    list
}

/// The codes of a list, without what is written before them.
fn codes<'b>(survey: &Survey, bytes: &'b [u8], list: &List) -> Vec<&'b [u8]> {
    let mut codes = Vec::with_capacity(list.count);
    let mut at = list.range.start;
    while let Some(start) = survey.next(Bits::Word, at, list.range.end) {
        at = survey.end(Bits::Word, start);
        codes.push(stripped(bytes.get(start..at).unwrap_or_default()).0);
    }
    codes
}

fn read(survey: &Survey, bytes: &[u8], list: &List) -> Option<(Transform, String)> {
    if list.count < CODES_MIN && list.digits < BITS_MIN {
        return None;
    }
    let ways = list.ways;
    let list = codes(survey, bytes, list);
    let codes = || list.iter().copied();
    let number = |code: &[u8], base: u32| u8::from_str_radix(std::str::from_utf8(code).ok()?, base).ok();
    let in_base = |base: u32| codes().map(|code| number(code, base)).collect::<Option<Vec<u8>>>();
    if ways.0 & Ways::BINARY != 0 {
        let bytes = codes().flat_map(|code| code.as_chunks::<8>().0).map(|code| number(code, 2)).collect::<Option<_>>();
        return bytes.and_then(evidence::text).map(|text| (Transform::Binary, text));
    }
    let attempts = [
        (Ways::HEX, 16, Transform::Hex),
        (Ways::DECIMAL, 10, Transform::Decimal),
        (Ways::OCTAL, 8, Transform::Decimal),
    ];
    attempts
        .into_iter()
        .filter(|(way, ..)| ways.0 & way != 0)
        .find_map(|(_, base, transform)| in_base(base).and_then(evidence::text).map(|text| (transform, text)))
}
