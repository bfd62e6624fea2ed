//! Text written backwards: as a whole, or each word for itself.

use super::super::map::Writer;
use super::super::survey::Marks;
use super::super::transform::Transform;
use super::super::words::WORD_MAX;
use super::gain::{self, Span};
use super::{Found, Source};

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    if source.has(Transform::Reversed) {
        return;
    }
    for stretch in source.survey.stretches(Marks::ENDINGS) {
        let spans = gain::spans(source.text, source.survey, &stretch);
        let read = |word: u128, len: usize| word.swap_bytes() >> ((WORD_MAX - len) * 8 % 128);
        let Some(range) = gain::best(&spans, read) else { continue };
        let mut whole = Writer::with_capacity(range.len());
        for (offset, char) in source.text.get(range.clone()).unwrap_or_default().char_indices().rev() {
            let at = range.start + offset;
            whole.put(char.encode_utf8(&mut [0; 4]), at..at + char.len_utf8());
        }
        let within: Vec<&Span> =
            spans.iter().filter(|span| span.range.start >= range.start && span.range.end <= range.end).collect();
        let by_word = by_word(source.text, &within);
        for writer in [whole, by_word] {
            let (text, map) = writer.finish(source.text.len());
            into.push(Found { text, map, transforms: vec![Transform::Reversed], goes_on: true });
        }
    }
}

/// Each word turned around where it stands.
fn by_word(text: &str, spans: &[&Span]) -> Writer {
    let mut writer = Writer::default();
    let mut from = spans.first().map_or(0, |span| span.range.start);
    for Span { range, .. } in spans {
        writer.copy(text.get(from..range.start).unwrap_or_default(), from);
        let turned: String = text.get(range.clone()).unwrap_or_default().chars().rev().collect();
        writer.put_whole(&turned, range.clone());
        from = range.end;
    }
    writer
}
