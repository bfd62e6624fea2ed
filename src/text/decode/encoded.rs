//! Bytes in base64, base32 and hexadecimal.
//!
//! A run counts where its bytes are a text. Runs over several lines are put together first.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::super::edits::Edits;
use super::super::survey::Marks;
use super::super::transform::Transform;
use super::{Found, Source, evidence};

/// Shortest run that is looked at, in characters.
const RUN_MIN: usize = 16;
/// Shortest line of a run over several lines.
const LINE_MIN: usize = 32;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let (mut base64, mut base32, mut hex) = (Edits::default(), Edits::default(), Edits::default());
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::LONG) {
        let mut at = stretch.start.max(done);
        while at < stretch.end {
            let Some(run) = next_run(source.text, at, stretch.end) else { break };
            at = run.end;
            if run.len() < RUN_MIN {
                continue;
            }
            let lines = lines(source.text, &run);
            at = lines.last().map_or(run.end, |line| line.end);
            for (transform, range, text) in decode(source.text, &lines) {
                let edits = match transform {
                    Transform::Base64 => &mut base64,
                    Transform::Base32 => &mut base32,
                    _ => &mut hex,
                };
                at = range.end.max(at);
                edits.replace(range, &text);
            }
        }
        done = at.max(done);
    }
    Found::both(source, &base64, Transform::Base64, into);
    Found::both(source, &base32, Transform::Base32, into);
    Found::both(source, &hex, Transform::Hex, into);
}

const fn is_code(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// The next run of base64's alphabet that starts before `until`, taken back to its own start.
fn next_run(text: &str, at: usize, until: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let first = at + bytes.get(at..until)?.iter().position(|byte| is_code(*byte))?;
    let length = bytes.get(first..)?.iter().position(|byte| !is_code(*byte));
    Some(first..length.map_or(bytes.len(), |length| first + length))
}

/// The lines of a run: more runs of the same length after a single space, and a shorter last one.
fn lines(text: &str, first: &Range<usize>) -> Vec<Range<usize>> {
    let mut lines = vec![first.clone()];
    let mut end = first.end;
    while first.len() >= LINE_MIN && text.as_bytes().get(end) == Some(&b' ') {
        let Some(next) = next_run(text, end + 1, text.len()).filter(|next| next.start == end + 1) else { break };
        if next.len() > first.len() {
            break;
        }
        end = next.end;
        lines.push(next.clone());
        if next.len() < first.len() {
            break;
        }
    }
    lines
}

/// What the lines together are, or each of them: a word of prose after a single line is taken for its
/// last line at first.
fn decode(text: &str, lines: &[Range<usize>]) -> Vec<(Transform, Range<usize>, String)> {
    let line = |line: &Range<usize>| text.as_bytes().get(line.clone()).unwrap_or_default();
    let joined: Vec<u8> = lines.iter().flat_map(line).copied().collect();
    if let (Some((transform, decoded)), Some(first), Some(last)) = (read(&joined), lines.first(), lines.last()) {
        return vec![(transform, padded(text, first.start..last.end), decoded)];
    }
    let alone = lines.iter().filter(|line| lines.len() > 1 && line.len() >= RUN_MIN);
    alone
        .filter_map(|range| {
            read(line(range)).map(|(transform, text_of)| (transform, padded(text, range.clone()), text_of))
        })
        .collect()
}

/// The range with the padding after it.
fn padded(text: &str, range: Range<usize>) -> Range<usize> {
    let rest = text.as_bytes().get(range.end..).unwrap_or_default();
    range.start..range.end + rest.iter().take_while(|byte| **byte == b'=').count()
}

fn read(code: &[u8]) -> Option<(Transform, String)> {
    if let Some(text) = hex(code).and_then(evidence::text) {
        return Some((Transform::Hex, text));
    }
    if let Some(text) = base32(code).and_then(evidence::text) {
        return Some((Transform::Base32, text));
    }
    base64(code).map(|text| (Transform::Base64, text))
}

/// The bytes of hexadecimal digits, with or without `0x` before them.
fn hex(code: &[u8]) -> Option<Vec<u8>> {
    let digits = code.strip_prefix(b"0x").or_else(|| code.strip_prefix(b"0X")).unwrap_or(code);
    if !digits.len().is_multiple_of(2) || digits.len() < RUN_MIN || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    digits.chunks_exact(2).map(super::escapes::hex_byte).collect()
}

fn base32(code: &[u8]) -> Option<Vec<u8>> {
    let (mut bits, mut count) = (0_u32, 0);
    let mut bytes = Vec::with_capacity(code.len() * 5 / 8);
    let capitals = code.first()?.is_ascii_uppercase();
    for byte in code {
        let value = match byte {
            b'A'..=b'Z' if capitals => byte - b'A',
            b'a'..=b'z' if !capitals => byte - b'a',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5 | u32::from(value)) & 0xffff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

fn base64(code: &[u8]) -> Option<String> {
    // Digests and identifiers; the chance that text comes out as these digits alone is nil.
    if code.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'_')) {
        return None;
    }
    // A sign before the code may belong to the alphabet too: a path, a name. So four ways to align it.
    let head = code.get(..code.len().min(64)).unwrap_or_default();
    let slash = head.iter().rposition(|byte| *byte == b'/').map(|slash| slash + 1).filter(|slash| *slash > 3);
    (0..4).chain(slash).find_map(|start| {
        let code = code.get(start..).filter(|code| code.len() >= RUN_MIN)?;
        let mut head = [0_u8; 32];
        let length = code.len().min(head.len()) / 4 * 4;
        head.iter_mut().zip(code).for_each(|(to, from)| *to = standard(*from));
        let mut bytes = [0_u8; 24];
        let decoded = BASE64.decode_slice(head.get(..length)?, &mut bytes).ok()?;
        if !evidence::may_start_text(bytes.get(..decoded)?) {
            return None;
        }
        let code = code.get(..if code.len() % 4 == 1 { code.len() - 1 } else { code.len() })?;
        let code: Vec<u8> = code.iter().map(|byte| standard(*byte)).collect();
        BASE64.decode(code).ok().and_then(evidence::text)
    })
}

/// A letter of the URL-safe alphabet in the standard one.
const fn standard(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}
