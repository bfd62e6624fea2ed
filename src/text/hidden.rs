//! Text in characters that nobody sees, and text that is shown in another order than it is stored.
//!
//! Folding takes these characters away, so they are read from the text as it was before.

use super::decode::Found;
use super::map::Writer;
use super::transform::{Transform, Transforms};

/// Selectors one after the other from which on they are bytes.
pub(super) const SELECTORS_MIN: usize = 4;

/// Everything hidden in a text, of the kinds that its folding has met.
pub(super) fn all(raw: &str, met: Transforms) -> Vec<Found> {
    let mut found = Vec::new();
    if met.contains(Transform::Tags) {
        found.extend(tags(raw));
    }
    if met.contains(Transform::Selectors) {
        found.extend(selectors(raw));
    }
    if met.contains(Transform::Bidi) {
        found.extend(overridden(raw));
    }
    found
}

/// The letters that tag characters stand for. An emoji flag of a region ends with a cancelling tag and is
/// a few letters long; it is a text too, if a dull one.
fn tags(raw: &str) -> Option<Found> {
    let mut writer = Writer::default();
    let mut end = 0;
    for (at, char) in raw.char_indices() {
        let Some(plain @ ' '..='~') = u32::from(char).checked_sub(0xe0000).and_then(char::from_u32) else { continue };
        if end > 0 && at > end {
            writer.put(" ", end..end);
        }
        end = at + char.len_utf8();
        writer.put(plain.encode_utf8(&mut [0; 4]), at..end);
    }
    finish(writer, raw, Transform::Tags)
}

/// The bytes that runs of variation selectors stand for.
fn selectors(raw: &str) -> Option<Found> {
    let mut writer = Writer::default();
    let (mut bytes, mut start, mut end) = (Vec::new(), 0, 0);
    let close = |bytes: &mut Vec<u8>, range: std::ops::Range<usize>, writer: &mut Writer| {
        let run = std::mem::take(bytes);
        if run.len() >= SELECTORS_MIN
            && let Ok(text) = String::from_utf8(run)
        {
            writer.put_whole(&text, range);
        }
    };
    for (at, char) in raw.char_indices() {
        let byte = match u32::from(char) {
            code @ 0xfe00..=0xfe0f => u8::try_from(code - 0xfe00).ok(),
            code @ 0xe0100..=0xe01ef => u8::try_from(code - 0xe0100 + 16).ok(),
            _ => None,
        };
        match byte {
            Some(byte) => {
                if bytes.is_empty() {
                    start = at;
                }
                bytes.push(byte);
                end = at + char.len_utf8();
            }
            None => close(&mut bytes, start..end, &mut writer),
        }
    }
    close(&mut bytes, start..end, &mut writer);
    finish(writer, raw, Transform::Selectors)
}

/// Text under a right-to-left override, in the order in which it is shown.
fn overridden(raw: &str) -> Option<Found> {
    let mut writer = Writer::default();
    let mut from = 0;
    while let Some(next) = raw.get(from..).and_then(|rest| rest.find('\u{202e}')) {
        let start = from + next + '\u{202e}'.len_utf8();
        let rest = raw.get(start..).unwrap_or_default();
        let end = start + rest.find(['\u{202c}', '\u{202d}', '\u{202e}', '\n']).unwrap_or(rest.len());
        writer.copy(raw.get(from..from + next).unwrap_or_default(), from);
        for (offset, char) in raw.get(start..end).unwrap_or_default().char_indices().rev() {
            let at = start + offset;
            writer.put(char.encode_utf8(&mut [0; 4]), at..at + char.len_utf8());
        }
        from = end;
    }
    if from == 0 {
        return None;
    }
    writer.copy(raw.get(from..).unwrap_or_default(), from);
    finish(writer, raw, Transform::Bidi)
}

fn finish(writer: Writer, raw: &str, transform: Transform) -> Option<Found> {
    let (text, map) = writer.finish(raw.len());
    (!text.is_empty()).then(|| Found { text, map, transforms: vec![transform], goes_on: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[(&str, &[&str])]) {
        for (raw, want) in rows {
            let met = super::super::fold::fold(raw).fired;
            let found: Vec<String> = all(raw, met).into_iter().map(|found| found.text).collect();
            assert_eq!(found, *want, "{raw:?}");
        }
    }

    #[test]
    fn hidden_text_is_read() {
        let tags = |text: &str| text.chars().filter_map(|c| char::from_u32(u32::from(c) + 0xe0000)).collect::<String>();
        let selectors = |text: &str| {
            let of = |byte: u8| if byte < 16 { 0xfe00 + u32::from(byte) } else { 0xe0100 + u32::from(byte) - 16 };
            text.bytes().filter_map(|byte| char::from_u32(of(byte))).collect::<String>()
        };
        check(&[
            (&format!("hi{} there", tags("ignore all")), &["ignore all"]),
            (&format!("\u{1f600}{}", selectors("ignore all")), &["ignore all"]),
            ("\u{202e}erongi\u{202c} all", &["ignore\u{202c} all"]),
            ("\u{2764}\u{fe0f} plain \u{200e}text", &[]),
        ]);
    }
}
