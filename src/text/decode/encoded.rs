//! Bytes in base64, base58, base32 and hexadecimal.
//!
//! A run counts where its bytes are a text. Runs over several lines are put together first.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::super::edits::Edits;
use super::super::survey::{Bits, Marks, Survey};
use super::super::transform::Transform;
use super::super::words::is_common_bytes;
use super::{Found, Source, evidence};

/// Shortest run that is looked at, in characters.
const RUN_MIN: usize = 16;
/// The ways to write bytes that are read here.
const WAYS: [Transform; 4] = [Transform::Base64, Transform::Base32, Transform::Hex, Transform::Base58];
/// Letters of base58 that are looked at: shorter runs are words and names, and longer ones take longer.
const BASE58_CHARS: std::ops::RangeInclusive<usize> = 24..=1_024;
/// Letters of base58 that are read at once; so many fit a limb.
const BASE58_GROUP: usize = 5;
/// Shortest line of a run over several lines.
const LINE_MIN: usize = 32;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let mut edits = WAYS.map(|way| (way, Edits::default()));
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::LONG) {
        let mut at = stretch.start.max(done);
        while let Some(long) = source.survey.next(Bits::Long, at, stretch.end + RUN_MIN) {
            let run = source.survey.start(Bits::Base64, long).max(at)..source.survey.end(Bits::Base64, long);
            if run.start >= stretch.end {
                break;
            }
            at = run.end;
            if run.len() < RUN_MIN {
                continue;
            }
            let lines = lines(source.survey, source.text.as_bytes(), &run);
            at = lines.last().map_or(run.end, |line| line.end);
            for (transform, range, text) in decode(source.text, &run, &lines) {
                let of_way = edits.iter_mut().find(|(way, _)| *way == transform);
                at = range.end.max(at);
                of_way.into_iter().for_each(|(_, edits)| edits.replace(range.clone(), &text));
            }
        }
        done = at.max(done);
    }
    edits.into_iter().for_each(|(way, edits)| Found::both(source, &edits, way, into));
}

/// The lines of a run: more runs of the same length after a single space, and a shorter last one. None
/// where there is only one.
fn lines(survey: &Survey, bytes: &[u8], first: &Range<usize>) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut end = first.end;
    while first.len() >= LINE_MIN && bytes.get(end) == Some(&b' ') {
        let next = end + 1..survey.end(Bits::Base64, end + 1);
        if next.is_empty() || next.len() > first.len() {
            break;
        }
        if lines.is_empty() {
            lines.push(first.clone());
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
/// last line at first. One that is known is left out where the lines before it are a text without it.
fn decode(text: &str, first: &Range<usize>, lines: &[Range<usize>]) -> Vec<(Transform, Range<usize>, String)> {
    let line = |line: &Range<usize>| text.as_bytes().get(line.clone()).unwrap_or_default();
    let found = |range: Range<usize>, code: &[u8]| {
        read(code).map(|(transform, decoded)| (transform, padded(text, range), decoded))
    };
    let Some(last) = lines.last() else { return found(first.clone(), line(first)).into_iter().collect() };
    let joined: Vec<u8> = lines.iter().flat_map(line).copied().collect();
    let without = joined.get(..joined.len() - last.len()).filter(|_| is_common_bytes(line(last)));
    let before = lines.iter().rev().nth(1).map_or(first.end, |before| before.end);
    let without = without.and_then(|code| found(first.start..before, code));
    if let Some(found) = without.or_else(|| found(first.start..last.end, &joined)) {
        return vec![found];
    }
    lines.iter().filter(|line| line.len() >= RUN_MIN).filter_map(|range| found(range.clone(), line(range))).collect()
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
    if let Some(text) = base64(code) {
        return Some((Transform::Base64, text));
    }
    base58(code).and_then(evidence::text).map(|text| (Transform::Base58, text))
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
    let digit = |byte: &u8| matches!(byte, b'2'..=b'7');
    if !code.iter().all(|b| digit(b) || b.is_ascii_uppercase())
        && !code.iter().all(|b| digit(b) || b.is_ascii_lowercase())
    {
        return None;
    }
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

/// The bytes of a number in base58, as Bitcoin writes it.
fn base58(code: &[u8]) -> Option<Vec<u8>> {
    if !BASE58_CHARS.contains(&code.len()) || code.iter().any(|byte| base58_digit(*byte).is_none()) {
        return None;
    }
    // The lowest limb first.
    let mut limbs: Vec<u32> = Vec::with_capacity(code.len() / BASE58_GROUP + 1);
    for group in code.chunks(BASE58_GROUP) {
        let (mut carry, mut scale) = (0, 1);
        for digit in group.iter().filter_map(|byte| base58_digit(*byte)) {
            carry = carry * 58 + digit;
            scale *= 58;
        }
        for limb in &mut limbs {
            let value = u64::from(*limb) * scale + carry;
            *limb = u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0);
            carry = value >> u32::BITS;
        }
        if carry > 0 {
            limbs.push(u32::try_from(carry).unwrap_or(0));
        }
    }
    let bytes = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes());
    Some(bytes.skip_while(|byte| *byte == 0).collect())
}

/// What a letter of base58 stands for: digits, capitals and small letters without `0`, `O`, `I` and `l`.
fn base58_digit(byte: u8) -> Option<u64> {
    let digit = match byte {
        b'1'..=b'9' => byte - b'1',
        b'A'..=b'H' => byte - b'A' + 9,
        b'J'..=b'N' => byte - b'J' + 17,
        b'P'..=b'Z' => byte - b'P' + 22,
        b'a'..=b'k' => byte - b'a' + 33,
        b'm'..=b'z' => byte - b'm' + 44,
        _ => return None,
    };
    Some(u64::from(digit))
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
        let code = code.get(start..).filter(|code| code.len() >= RUN_MIN && !starts_badly(code))?;
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

/// Whether the first bytes have a control character, and no zero before it, as UTF-16 would.
fn starts_badly(code: &[u8]) -> bool {
    let (fours, _) = code.get(..code.len().min(32)).unwrap_or_default().as_chunks::<4>();
    for four in fours {
        let bits = four.iter().fold(0, |bits, byte| bits << 6 | value(*byte));
        for byte in [bits >> 16 & 0xff, bits >> 8 & 0xff, bits & 0xff] {
            match byte {
                0 => return false,
                0x9 | 0xa | 0xd | 0x20.. => {}
                _ => return true,
            }
        }
    }
    false
}

/// What a letter of either alphabet stands for.
fn value(byte: u8) -> u32 {
    u32::from(VALUES.get(usize::from(byte)).copied().unwrap_or(0))
}

/// The same of every byte.
#[allow(clippy::indexing_slicing)] // Made by the compiler, which would tell.
static VALUES: [u8; 256] = {
    let mut values = [0; 256];
    let mut n = 0;
    while n < 26 {
        values[(b'A' + n) as usize] = n;
        values[(b'a' + n) as usize] = 26 + n;
        n += 1;
    }
    let mut n = 0;
    while n < 10 {
        values[(b'0' + n) as usize] = 52 + n;
        n += 1;
    }
    values[b'+' as usize] = 62;
    values[b'-' as usize] = 62;
    values[b'/' as usize] = 63;
    values[b'_' as usize] = 63;
    values
};

/// A letter of the URL-safe alphabet in the standard one.
const fn standard(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}
