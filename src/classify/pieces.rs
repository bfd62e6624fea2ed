//! A text of any length in pieces of bounded length: what the classifier keeps of it at a time.
//!
//! Each piece goes on where the last one ended and begins with its end, so that every window lies whole in
//! one of them. All are of the same length but where the text is shorter: the last one reaches further
//! back. A token is read once; the time is linear in the text.

use super::tokens::{Reader, Token};

/// Tokens of one piece. A text that has no more is scored as one.
pub(super) const TOKENS_MAX: usize = 4_096;
/// Tokens of a piece that were in the one before it: the longest window, and what phrases and pairs of
/// words at its edges look at.
const OVERLAP: usize = 256 + 64;

/// The pieces of a text, one after the other, in a buffer that is used again.
pub(super) struct Pieces<'t> {
    reader: Reader<'t>,
    begun: bool,
}

impl<'t> Pieces<'t> {
    pub(super) fn of(text: &'t str, buffer: &'t mut Vec<Token>) -> Self {
        Self { reader: Reader::new(text, buffer), begun: false }
    }

    /// The next piece; the first one is there, however short the text.
    pub(super) fn next(&mut self) -> Option<&[Token]> {
        if !self.begun {
            self.begun = true;
            self.reader.fill(TOKENS_MAX);
            return Some(self.reader.tokens());
        }
        let before = self.reader.tokens().len();
        self.reader.fill(before + TOKENS_MAX - OVERLAP);
        let read = self.reader.tokens().len() - before;
        self.reader.forget(read);
        (read > 0).then(|| self.reader.tokens())
    }

    /// The piece of a number, where there is one.
    pub(super) fn nth(mut self, number: usize) -> Option<&'t [Token]> {
        for _ in 0..=number {
            self.next()?;
        }
        Some(self.reader.into_tokens())
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::WINDOWS;
    use super::*;

    #[test]
    fn every_window_of_a_text_is_in_a_piece() {
        for words in [0, 1, TOKENS_MAX - 1, TOKENS_MAX, TOKENS_MAX + 1, 2 * TOKENS_MAX - OVERLAP, 3 * TOKENS_MAX] {
            let text = "word ".repeat(words);
            let mut buffer = Vec::new();
            let mut pieces = Pieces::of(&text, &mut buffer);
            let (mut reached, mut count) = (0, 0);
            while let Some(piece) = pieces.next() {
                assert_eq!(piece.len(), words.min(TOKENS_MAX), "{words}");
                let first = piece.first().map_or(0, |token| token.start as usize / 5);
                assert!(
                    first <= reached && (count == 0 || reached - first >= WINDOWS[3]),
                    "{words}: {first} {reached}"
                );
                reached = first + piece.len();
                count += 1;
            }
            assert_eq!(reached, words);
            assert!(count <= 1 + words.div_ceil(TOKENS_MAX - OVERLAP), "{words}: {count} pieces");
        }
    }

    #[test]
    fn what_is_read_does_not_depend_on_the_pieces() {
        let text = "He said \"one two. Three\" and (four) five! ".repeat(1_000);
        let mut whole = Vec::new();
        let mut reader = Reader::new(&text, &mut whole);
        reader.fill(usize::MAX);
        let all: Vec<(u64, u32, bool, bool)> =
            reader.tokens().iter().map(|t| (t.hash, t.start, t.opens, t.quoted)).collect();
        let mut buffer = Vec::new();
        let mut pieces = Pieces::of(&text, &mut buffer);
        let mut seen = 0;
        while let Some(piece) = pieces.next() {
            for token in piece {
                let at = all.partition_point(|(_, start, ..)| *start < token.start);
                assert_eq!(all[at], (token.hash, token.start, token.opens, token.quoted));
                seen = seen.max(at + 1);
            }
        }
        assert_eq!(seen, all.len());
    }
}
