//! Offsets: which bytes of one text the bytes of another were made from.
//!
//! A map is a list of pieces. Where a piece is as long in both texts it leads byte for byte, else any
//! byte of it leads to the whole of it; so a text that was hardly changed has a short map.

use std::ops::Range;

/// Leads from a text back to the text that it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Map {
    /// The two have the same offsets.
    Same,
    /// Piece by piece, in the order of the text that was made.
    Pieces { pieces: Vec<Piece>, len: usize, source_len: usize },
}

/// A piece of the text that was made; it ends where the next one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    at: u32,
    source: u32,
    source_end: u32,
}

impl Map {
    /// The bytes of the source behind a range. Valid for any range, if not always on character
    /// boundaries.
    pub(super) fn source(&self, range: Range<usize>) -> Range<usize> {
        let Self::Pieces { pieces, len, source_len } = self else { return range };
        let first = pieces.partition_point(|piece| wide(piece.at) <= range.start).saturating_sub(1);
        let mut found: Option<Range<usize>> = None;
        for (n, piece) in pieces.iter().enumerate().skip(first) {
            if n > first && wide(piece.at) >= range.end {
                break;
            }
            let end = pieces.get(n + 1).map_or(*len, |next| wide(next.at));
            let part = piece.source_of(&range, end);
            found = Some(found.map_or(part.clone(), |all| all.start.min(part.start)..all.end.max(part.end)));
        }
        match found {
            Some(found) if range.start < *len => found,
            _ => *source_len..*source_len,
        }
    }
}

impl Piece {
    fn source_of(&self, range: &Range<usize>, end: usize) -> Range<usize> {
        let (at, source, source_end) = (wide(self.at), wide(self.source), wide(self.source_end));
        if end - at != source_end - source {
            return source..source_end;
        }
        let start = range.start.max(at) - at;
        let stop = range.end.min(end).saturating_sub(at).max(start);
        source + start..source + stop
    }
}

fn wide(offset: u32) -> usize {
    offset as usize
}

fn narrow(offset: usize) -> u32 {
    // Texts are bounded far below 4 GiB (`EVENT_BYTES_MAX`); beyond it evidence is only less exact.
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// Writes a text and its map together.
#[derive(Debug, Default)]
pub(super) struct Writer {
    text: String,
    pieces: Vec<Piece>,
    /// Whether the last piece is byte for byte, so that the bytes after it can join it.
    open: bool,
}

impl Writer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), pieces: Vec::new(), open: false }
    }

    /// Takes over bytes of the source as they stand.
    pub(super) fn copy(&mut self, text: &str, source: usize) {
        if text.is_empty() {
            return;
        }
        let source_end = narrow(source + text.len());
        match self.pieces.last_mut() {
            Some(last) if self.open && wide(last.source_end) == source => last.source_end = source_end,
            _ => self.pieces.push(Piece { at: narrow(self.text.len()), source: narrow(source), source_end }),
        }
        self.open = true;
        self.text.push_str(text);
    }

    /// Writes a text that stands for a range of the source.
    pub(super) fn put(&mut self, text: &str, source: Range<usize>) {
        if text.len() == source.len() {
            return self.copy(text, source.start);
        }
        if text.is_empty() {
            return;
        }
        self.pieces.push(Piece {
            at: narrow(self.text.len()),
            source: narrow(source.start),
            source_end: narrow(source.end),
        });
        self.open = false;
        self.text.push_str(text);
    }

    /// Writes a text any byte of which stands for the whole of a range of the source.
    pub(super) fn put_whole(&mut self, text: &str, source: Range<usize>) {
        if text.len() != source.len() || text.len() < 2 {
            return self.put(text, source);
        }
        // Two pieces of another length than their source, where one would be taken for a copy.
        let middle = text.ceil_char_boundary(1);
        let (head, tail) = text.split_at(middle);
        self.put(head, source.clone());
        self.put(tail, source);
    }

    /// Lets the last thing that was put stand for the bytes of the source up to `end` too.
    pub(super) fn widen(&mut self, end: usize) {
        let Some(last) = self.pieces.last_mut() else { return };
        let bytes = self.text.len() - wide(last.at);
        if self.open && bytes > 1 {
            let source = wide(last.source) + bytes - 1;
            last.source_end = narrow(source);
            let at = narrow(self.text.len() - 1);
            self.pieces.push(Piece { at, source: narrow(source), source_end: narrow(end) });
        } else {
            last.source_end = narrow(end);
        }
        self.open = false;
    }

    /// What has been written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Takes back what was written from `at` on; `at` is where something was put.
    pub(super) fn truncate(&mut self, at: usize) {
        while let Some(last) = self.pieces.last_mut() {
            if wide(last.at) >= at {
                self.pieces.pop();
                self.open = false;
                continue;
            }
            if self.open && at < self.text.len() {
                last.source_end = narrow(wide(last.source) + (at - wide(last.at)));
            }
            break;
        }
        self.text.truncate(at);
    }

    /// The text and its map.
    pub(super) fn finish(self, source_len: usize) -> (String, Map) {
        let same = match self.pieces.as_slice() {
            [] => source_len == 0,
            [only] => self.open && only.source == 0 && self.text.len() == source_len,
            _ => false,
        };
        let len = self.text.len();
        (self.text, if same { Map::Same } else { Map::Pieces { pieces: self.pieces, len, source_len } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_join_and_blocks_lead_to_the_whole() {
        let mut writer = Writer::default();
        writer.copy("ab", 0);
        writer.copy("cd", 2);
        writer.put("i", 4..10);
        writer.copy("ef", 10);
        let (text, map) = writer.finish(12);
        assert_eq!(text, "abcdief");
        let Map::Pieces { pieces, .. } = &map else { panic!("changed") };
        assert_eq!(pieces.len(), 3);
        let rows = [(0..4, 0..4), (1..2, 1..2), (3..5, 3..10), (4..5, 4..10), (5..7, 10..12), (6..7, 11..12)];
        for (range, source) in rows {
            assert_eq!(map.source(range), source);
        }
        assert_eq!(map.source(7..9), 12..12);
        assert_eq!(map.source(100..900), 12..12);
    }

    #[test]
    fn an_unchanged_text_has_no_map() {
        let mut writer = Writer::default();
        writer.copy("ab", 0);
        writer.put("c", 2..3);
        assert_eq!(writer.finish(3), ("abc".to_owned(), Map::Same));
    }

    #[test]
    fn what_was_written_can_be_taken_back() {
        let mut writer = Writer::default();
        writer.copy("abc", 0);
        writer.truncate(2);
        writer.put("\u{e9}", 2..5);
        let (text, map) = writer.finish(5);
        assert_eq!(text, "ab\u{e9}");
        assert_eq!((map.source(0..2), map.source(2..4)), (0..2, 2..5));
    }
}
