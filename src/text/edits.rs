//! Replacements in a text, and the text that they make.
//!
//! The new text holds the replacements and what stands around them, so that phrases are seen over their
//! edges; what is far from any of them has been read before and is left out.

use std::ops::Range;

use super::map::{Map, Writer};
use crate::limits::DECODED_CONTEXT_BYTES;

/// Stands between parts of the text with something left out between them.
const OMITTED: &str = " ... ";

/// Replacements in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Edits {
    list: Vec<(Range<usize>, Range<usize>)>,
    texts: String,
}

impl Edits {
    /// Replaces a range, which starts where the last one ended or later.
    pub(super) fn replace(&mut self, range: Range<usize>, text: &str) {
        let start = self.texts.len();
        self.texts.push_str(text);
        self.list.push((range, start..self.texts.len()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The text with the replacements made, and where it comes from.
    pub(super) fn apply(&self, text: &str) -> (String, Map) {
        let mut writer = Writer::with_capacity(text.len().min(self.list.len() * 2 * DECODED_CONTEXT_BYTES));
        let mut from = 0;
        for (range, new) in &self.list {
            let near = text.floor_char_boundary(range.start.saturating_sub(DECODED_CONTEXT_BYTES)).max(from);
            let after = text.ceil_char_boundary((from + DECODED_CONTEXT_BYTES).min(text.len()));
            if from > 0 && near > after {
                writer.copy(text.get(from..after).unwrap_or_default(), from);
                writer.put(OMITTED, after..near);
                from = near;
            } else if from == 0 {
                from = near;
            }
            writer.copy(text.get(from..range.start).unwrap_or_default(), from);
            writer.put(self.texts.get(new.clone()).unwrap_or_default(), range.clone());
            from = range.end;
        }
        let end = text.ceil_char_boundary((from + DECODED_CONTEXT_BYTES).min(text.len()));
        writer.copy(text.get(from..end).unwrap_or_default(), from);
        writer.finish(text.len())
    }

    /// The replacements alone, with a space between them, and where they come from.
    pub(super) fn alone(&self, source_len: usize) -> (String, Map) {
        let mut writer = Writer::with_capacity(self.texts.len() + self.list.len());
        for (range, new) in &self.list {
            if !writer.text().is_empty() {
                writer.put(" ", range.start..range.start);
            }
            writer.put_whole(self.texts.get(new.clone()).unwrap_or_default(), range.clone());
        }
        writer.finish(source_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_stand_among_their_surroundings() {
        let text = format!("{}a %69 b{}", "x".repeat(1_000), "y".repeat(2_000));
        let mut edits = Edits::default();
        edits.replace(1_002..1_005, "i");
        edits.replace(2_500..2_501, "z");
        let (new, map) = edits.apply(&text);
        let context = DECODED_CONTEXT_BYTES;
        let want = format!(
            "{}a i b{} ... {}z{}",
            "x".repeat(context - 2),
            "y".repeat(context - 2),
            "y".repeat(context),
            "y".repeat(context)
        );
        assert_eq!(new, want);
        let at = new.find(" i ").expect("there");
        assert_eq!(map.source(at..at + 3), 1_001..1_006);
        let at = new.find('z').expect("there");
        assert_eq!(map.source(at..at + 1), 2_500..2_501);
        assert_eq!(edits.alone(text.len()).0, "i z");
    }
}
