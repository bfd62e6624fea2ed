//! What stands behind a verb in a statement, and where its keywords are.

use super::sql_tokens::{Kind, Token};
use super::sql_words::{BETWEEN, CLAUSES, PLACED, RESERVED, SENTENCE};

/// Where the keywords of a statement stand, so that the next of them is found without a walk.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// For each of the known words its places in the statement.
    words: [Vec<usize>; PLACED.len()],
    /// Behind the last sign that SQL has and sentences hardly have.
    signs_end: usize,
}

impl Places {
    pub(super) fn new(tokens: &[Token<'_>]) -> Self {
        let mut places = Self::default();
        for (at, token) in tokens.iter().enumerate() {
            if token.kind == Kind::Sign && "(=*<>[%|".contains(token.text) {
                places.signs_end = at + 1;
            }
            let word = if token.kind == Kind::Word { token.find_in(&PLACED) } else { None };
            if let Some(places) = word.and_then(|word| places.words.get_mut(word)) {
                places.push(at);
            }
        }
        places
    }

    fn next(&self, from: usize, word: &str) -> Option<usize> {
        let places = self.words.get(PLACED.binary_search(&word).ok()?)?;
        places.get(places.partition_point(|place| *place < from)).copied()
    }
}

/// What comes behind a verb. Places are counted from there.
#[derive(Clone, Copy)]
pub(super) struct After<'a, 't> {
    tokens: &'a [Token<'t>],
    places: &'a Places,
    base: usize,
    /// Whether the text is known to be SQL, so that sentences need not be thought of.
    pub sql: bool,
}

impl<'a, 't> After<'a, 't> {
    /// What comes at `base` in a statement.
    pub(super) fn new(tokens: &'a [Token<'t>], places: &'a Places, base: usize, sql: bool) -> Self {
        Self { tokens, places, base, sql }
    }

    /// The same some tokens on.
    pub(super) fn on(self, at: usize) -> Self {
        Self { base: self.base + at, ..self }
    }

    pub(super) fn get(&self, at: usize) -> Option<&'a Token<'t>> {
        self.tokens.get(self.base + at)
    }

    pub(super) fn is(&self, at: usize, word: &str) -> bool {
        self.get(at).is_some_and(|token| token.is(word))
    }

    /// Whether one of some words stands here, which are sorted.
    pub(super) fn is_in(&self, at: usize, words: &[&str]) -> bool {
        self.get(at).is_some_and(|token| token.is_in(words))
    }

    pub(super) fn is_sign(&self, at: usize, signs: &str) -> bool {
        self.get(at).is_some_and(|token| token.kind == Kind::Sign && signs.contains(token.text))
    }

    pub(super) fn is_kind(&self, at: usize, kind: Kind) -> bool {
        self.get(at).is_some_and(|token| token.kind == kind)
    }

    pub(super) fn is_end(&self, at: usize) -> bool {
        self.base + at >= self.tokens.len()
    }

    /// Where the next of some known words stands.
    pub(super) fn find(&self, from: usize, words: &[&str]) -> Option<usize> {
        let next = words.iter().filter_map(|word| self.places.next(self.base + from, word)).min();
        next.and_then(|at| at.checked_sub(self.base))
    }

    /// Passes over any of the words.
    pub(super) fn past(&self, mut at: usize, words: &[&str]) -> usize {
        while self.is_in(at, words) {
            at += 1;
        }
        at
    }

    /// Whether a name stands here.
    pub(super) fn is_name(&self, at: usize) -> bool {
        let Some(token) = self.get(at) else { return false };
        match token.kind {
            Kind::Name => true,
            Kind::Word if self.sql || !token.is_in(&SENTENCE) => !token.is_in(&RESERVED),
            // Tables and columns are called by letters as well, where no noun follows.
            Kind::Word => token.text.len() == 1 && (!self.is_kind(at + 1, Kind::Word) || self.is_in(at + 1, &RESERVED)),
            _ => false,
        }
    }

    /// Where a name with its qualifiers ends, if one stands here.
    pub(super) fn name(&self, at: usize) -> Option<usize> {
        let mut at = self.is_name(at).then_some(at + 1)?;
        for _ in 0..4 {
            if self.is_sign(at, ".") && self.is_name(at + 1) {
                at += 2;
            }
        }
        Some(at)
    }

    /// Whether a table that ends here is followed by what can follow one: an alias, and then a keyword or no
    /// word, or at least some more SQL.
    pub(super) fn ends_table(&self, at: usize) -> bool {
        let keyword = |at| self.is_in(at, &RESERVED) || self.is_in(at, &CLAUSES);
        let at = at + usize::from(self.is(at, "as"));
        if keyword(at) {
            return true;
        }
        let at = at + usize::from(self.is_name(at));
        let word = self.is_kind(at, Kind::Word) || self.is_kind(at, Kind::Number);
        !word || keyword(at) || self.has_signs(at)
    }

    /// Whether a table with a name of SQL stands here.
    pub(super) fn is_table(&self, at: usize) -> bool {
        self.is_sign(at, "(") || self.name(at).is_some_and(|end| self.ends_table(end))
    }

    /// Whether there are signs of SQL from here on.
    pub(super) fn has_signs(&self, at: usize) -> bool {
        self.base + at < self.places.signs_end
    }

    /// Whether the words here go on a sentence.
    pub(super) fn is_sentence(&self, at: usize) -> bool {
        let hard = |at| self.is_in(at, &SENTENCE);
        !self.sql && (hard(at) || (self.is_in(at, &BETWEEN) && (hard(at + 1) || self.is_end(at + 1))))
    }
}
