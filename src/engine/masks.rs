//! Secrets are never shown: what leaves the engine shows their first characters at most.
//!
//! Two nets. The excerpt of a field is cut from the field's text after all secrets in it are masked,
//! since a cut may leave half a token that no rule knows any more. And every string of a finding goes
//! through [`masked`], whatever rule it is of: a tool's name, a field's path and a limit's value are
//! written by strangers, too. What is no event is masked as a whole before it is kept.
//!
//! The names of sessions and tenants are not masked: they are what halts and orders are given by, and
//! must mean the same to everybody.

use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::AhoCorasick;

use super::field::Field;
use super::keyed::Keyed;
use super::unescape::Unescaped;
use crate::finding::Evidence;
use crate::limits::{DEAD_LETTER_BYTES_MAX, SECRET_BYTES_MAX};
use crate::scan::{Scanner, decode_base64};
use crate::text::Layers;

/// How much of a secret is shown at most, and at most a quarter of it.
const CHARS_SHOWN: usize = 4;
/// What stands for the rest.
const REST: &str = "…";
/// How far before a secret the head of a PEM block is looked for, in bytes.
const PEM_HEAD_BYTES: usize = 400;
/// What the head of a private key in PEM says.
const PEM_HEAD: &str = "PRIVATE KEY";
/// Shortest run of base64 that is decoded, in characters.
const BASE64_CHARS_MIN: usize = 16;
/// Shortest secret that is looked for where no rule sees it, in bytes: a shorter one may be a word.
const AGAIN_BYTES_MIN: usize = 8;
/// Shortest piece of a secret that must not be given as a reason, in bytes.
const PIECE_BYTES_MIN: usize = 4;

/// A text with its secrets masked, in whatever way they are written.
pub(super) fn mask(scanner: &Scanner, text: &str) -> String {
    replace(text, &secrets_of(scanner, &Layers::of(text)))
}

/// The text of a field with its secrets masked.
pub(super) fn mask_at(scanner: &Scanner, path: &str, text: &str) -> String {
    Field::of(path, text).masked(scanner)
}

/// What is kept of a record that is no event, with its secrets masked; `None` where there is none in it.
pub(super) fn mask_record(scanner: &Scanner, bytes: &[u8]) -> Option<String> {
    let scanned = bytes.get(..DEAD_LETTER_BYTES_MAX + SECRET_BYTES_MAX).unwrap_or(bytes);
    let text = String::from_utf8_lossy(scanned);
    let plain = Unescaped::of(&text);
    let mut secrets: Vec<Range<usize>> =
        secrets_of(scanner, &Layers::of(plain.text())).into_iter().map(|range| plain.original_range(range)).collect();
    if plain.has_escapes() {
        secrets.extend(secrets_of(scanner, &Layers::of(&text)));
    }
    secrets.sort_unstable_by_key(|range| (range.start, range.end));
    let end = text.floor_char_boundary(DEAD_LETTER_BYTES_MAX.min(text.len()));
    secrets.retain(|range| range.start < end && !range.is_empty());
    let whole = secrets.iter().map(|range| range.end).fold(end, usize::max);
    // A secret that reaches over the end is masked to its own end.
    (!secrets.is_empty()).then(|| replace(text.get(..whole).unwrap_or(&text), &secrets))
}

/// The first characters of a secret, and that there is more.
pub(super) fn hint(secret: &str) -> String {
    let shown = CHARS_SHOWN.min(secret.chars().count() / 4);
    secret.chars().take(shown).chain(REST.chars()).collect()
}

/// A piece of a text with its secrets masked, also those that are only known by what stands around it.
pub(super) fn piece(scanner: &Scanner, text: &str, range: &Range<usize>) -> String {
    let inside = |secret: Range<usize>| secret.start.max(range.start)..secret.end.min(range.end);
    let secrets = scanner.secrets(text).into_iter().map(inside).filter(|secret| secret.start < secret.end);
    let moved: Vec<Range<usize>> = secrets.map(|s| s.start - range.start..s.end - range.start).collect();
    mask(scanner, &replace(text.get(range.clone()).unwrap_or_default(), &moved))
}

/// Reasons without those that quote a piece of a secret.
pub(super) fn without_secrets(reasons: Vec<String>, text: &str, secrets: &[Range<usize>]) -> Vec<String> {
    let secrets: Vec<&str> = secrets.iter().filter_map(|range| text.get(range.clone())).collect();
    let quoted = |reason: &str| reason.split('`').nth(1).unwrap_or_default().to_owned();
    let betrays = |words: &str| {
        let pieces = words.split(|char: char| !char.is_alphanumeric()).filter(|piece| piece.len() >= PIECE_BYTES_MIN);
        pieces.into_iter().any(|piece| secrets.iter().any(|secret| secret.contains(piece)))
    };
    reasons.into_iter().filter(|reason| secrets.is_empty() || !betrays(&quoted(reason))).collect()
}

/// Evidence with its secrets masked.
pub(super) fn masked(evidence: Evidence, mask: impl Fn(&str) -> String) -> Evidence {
    let excerpt = evidence.excerpt.as_deref().map(&mask);
    Evidence {
        summary: mask(&evidence.summary),
        field: evidence.field.as_deref().map(&mask),
        // What changes now has other places.
        mark: evidence.mark.filter(|_| excerpt == evidence.excerpt),
        excerpt,
        reasons: evidence.reasons.iter().map(|reason| mask(reason)).collect(),
        ..evidence
    }
}

/// Where in the original text secrets stand, in whatever layer they were found.
pub(super) fn secrets_of(scanner: &Scanner, layers: &Layers<'_>) -> Vec<Range<usize>> {
    let of_layer = |layer: &crate::text::Layer<'_>| -> Vec<Range<usize>> {
        let secrets = to_their_ends(layer.text(), scanner.secrets(layer.text()));
        secrets.into_iter().map(|range| layer.original_range(range)).collect()
    };
    let original = layers.folded().layer().original();
    let mut ranges: Vec<Range<usize>> = layers.iter().flat_map(of_layer).collect();
    ranges.extend(in_base64(scanner, original));
    ranges.extend(again(original, &ranges));
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    ranges
}

/// Runs of base64 that decode to a text with a secret in it. The layers leave out what does not read like
/// a text, and a lone token does not.
fn in_base64(scanner: &Scanner, text: &str) -> Vec<Range<usize>> {
    let is_code = |char: char| char.is_ascii_alphanumeric() || "+/-_=".contains(char);
    let mut at = 0;
    let mut found = Vec::new();
    for piece in text.split_inclusive(|char| !is_code(char)) {
        let run = piece.trim_end_matches(|char| !is_code(char));
        if run.len() >= BASE64_CHARS_MIN {
            let decoded = decode_base64(run).and_then(|bytes| String::from_utf8(bytes).ok());
            let holds_secret = decoded.is_some_and(|decoded| !scanner.secrets(&decoded).is_empty());
            found.extend(holds_secret.then(|| at..at + run.len()));
        }
        at += piece.len();
    }
    found
}

/// The other places where what is secret stands: a rule may know it in one place and not in the next.
fn again(text: &str, secrets: &[Range<usize>]) -> Vec<Range<usize>> {
    let values = secrets.iter().filter_map(|range| text.get(range.clone()));
    let values: BTreeSet<&str> = values.filter(|value| value.len() >= AGAIN_BYTES_MIN).collect();
    let found = (!values.is_empty()).then(|| AhoCorasick::new(&values).ok()).flatten();
    found.map(|found| found.find_iter(text).map(|place| place.range()).collect()).unwrap_or_default()
}

/// The same for a field, whose key may say what its value is.
pub(super) fn secrets_at(scanner: &Scanner, layers: &Layers<'_>, path: &str) -> Vec<Range<usize>> {
    let mut ranges = secrets_of(scanner, layers);
    let keyed = Keyed::of(path, layers.folded().layer().original());
    ranges.extend(keyed.into_iter().flat_map(|keyed| keyed.secrets(scanner)));
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    ranges
}

/// Secrets that are in order, each to its end; without those in what goes on from the one before, or else a
/// block of many would be read once for each.
fn to_their_ends(text: &str, secrets: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut ends: Vec<Range<usize>> = Vec::with_capacity(secrets.len());
    for secret in secrets {
        if ends.last().is_none_or(|before| secret.end > before.end) {
            ends.push(to_its_end(text, secret));
        }
    }
    ends
}

/// A secret to the end of its token, or of its block: a rule needs no more than the beginning to know it.
fn to_its_end(text: &str, range: Range<usize>) -> Range<usize> {
    let head = text.floor_char_boundary(range.start.saturating_sub(PEM_HEAD_BYTES));
    let is_pem = text.get(head..range.start).is_some_and(|before| before.contains(PEM_HEAD));
    let goes_on = |byte: &u8| {
        let in_token = byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte);
        in_token || (is_pem && (byte.is_ascii_whitespace() || b"\\\"',".contains(byte)))
    };
    let rest = text.as_bytes().get(range.end..).unwrap_or_default();
    range.start..range.end + rest.iter().take_while(|byte| goes_on(byte)).count()
}

/// The piece of a text around `found`, at most `chars_max` characters, secrets masked and control
/// characters made visible; and where in it `found` is, in characters. `secrets` are in order.
pub(super) fn excerpt(
    text: &str,
    found: &Range<usize>,
    secrets: &[Range<usize>],
    chars_max: usize,
) -> (String, (usize, usize)) {
    let around = chars_max.saturating_sub(found.len()) / 2;
    let start = text.floor_char_boundary(found.start.saturating_sub(around));
    // A secret that reaches into the piece from the left must not be shown from its middle.
    let start = secrets.iter().filter(|s| s.start < start && start < s.end).map(|s| s.start).min().unwrap_or(start);
    let end = text.ceil_char_boundary((start + 4 * chars_max + found.len()).min(text.len()));
    // What is shown of the text up to a place; a secret that goes on there counts with its mask.
    let shown_to = |to: usize| {
        let inside = |range: &Range<usize>| range.start.max(start) - start..range.end.min(end).max(start) - start;
        let shown = secrets.iter().filter(|s| s.start >= start && s.start < to).map(inside);
        let to = secrets.iter().filter(|s| s.start < to && to < s.end).map(|s| s.end.min(end)).max().unwrap_or(to);
        replace(text.get(start..text.floor_char_boundary(to)).unwrap_or_default(), &shown.collect::<Vec<_>>())
    };
    let place = |at: usize| shown_to(at.clamp(start, end)).chars().count().min(chars_max);
    let piece = shown_to(end).chars().take(chars_max).map(|c| if c.is_control() { ' ' } else { c }).collect();
    (piece, (place(found.start), place(found.end)))
}

/// Puts the mask over ranges of a text that are in order; they may overlap.
pub(super) fn replace(text: &str, secrets: &[Range<usize>]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        if secret.end <= at {
            continue;
        }
        if secret.start >= at {
            shown.push_str(text.get(at..secret.start).unwrap_or_default());
            shown.push_str(&hint(text.get(secret.clone()).unwrap_or_default()));
        }
        at = secret.end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_marked_in_its_excerpt() {
        let long = format!("{}find\u{e9} me{}", "\u{e4}b ".repeat(100), " c".repeat(200));
        let at = long.find("find").expect("there");
        let secret = std::slice::from_ref(&(2..14));
        let rows = [
            ("before it after", 7..9, [].as_slice(), "it"),
            (&long, at..at + 9, &[], "find\u{e9} me"),
            ("a SECRETSECRET b it", 17..19, secret, "it"),
            ("a SECRETSECRET b", 4..8, secret, ""),
        ];
        for (text, found, secrets, marked) in rows {
            let (piece, (from, to)) = excerpt(text, &found, secrets, 40);
            let shown: String = piece.chars().skip(from).take(to - from).collect();
            assert_eq!(shown, marked, "{piece}");
        }
    }

    #[test]
    fn secrets_are_masked_however_a_text_is_cut() {
        let text = "before SECRETSECRETSECRET after";
        let secret = 7..25;
        assert_eq!(replace(text, &[secret.clone(), 10..12, 20..25]), "before SECR… after");
        for chars_max in 1..40 {
            for start in 0..text.len() {
                let (piece, _) = excerpt(text, &(start..start + 1), std::slice::from_ref(&secret), chars_max);
                assert!(!piece.contains("SECRE"), "{piece}");
                assert!(piece.chars().count() <= chars_max);
            }
        }
    }

    #[test]
    fn a_hint_is_a_quarter_at_most() {
        let rows = [("", "…"), ("abc", "…"), ("abcd", "a…"), ("abcdefghi", "ab…"), ("abcdefghijklmnopqrst", "abcd…")];
        for (secret, shown) in rows {
            assert_eq!(hint(secret), shown);
        }
    }

    #[test]
    fn a_secret_goes_on_to_the_end_of_its_token_or_block() {
        let rows = [
            ("key=|abcd|efgh ij", "abcdefgh"),
            ("key=|abcd|; ij", "abcd"),
            ("-----BEGIN PRIVATE KEY----- |MIIE| vQIB ADAN: x", "MIIE vQIB ADAN"),
        ];
        for (row, want) in rows {
            let parts: Vec<&str> = row.split('|').collect();
            let start = parts[0].len();
            let text = parts.concat();
            assert_eq!(&text[to_its_end(&text, start..start + parts[1].len())], want, "{row}");
        }
    }

    #[test]
    fn reasons_quote_no_secrets() {
        let reasons = vec!["`ignore all` (+2.0)".to_owned(), "`sesame77` as word (+1.0)".to_owned()];
        let text = "ignore all, the word is opensesame77";
        let secret = 24..36;
        assert_eq!(without_secrets(reasons.clone(), text, std::slice::from_ref(&secret)), reasons[..1]);
        assert_eq!(without_secrets(reasons.clone(), text, &[]), reasons);
    }
}
