//! Tokens and concepts → features: numbers of slots in the table of weights.
//!
//! Each token gives the features that end at it, so that a sum over a run of tokens is the sum over
//! what lies in it, and any window of a text costs one subtraction. A feature that was just given is
//! not given again: a text does not become worse by repeating itself.

use super::lexicon::Concepts;
use super::tokens::{Shape, Token, mix};

/// Slots of the table of weights, as a power of two.
pub const SLOT_BITS: u32 = 20;
/// How many tokens back a pair of concepts reaches.
const PAIR_TOKENS: usize = 14;
/// How many concept-bearing tokens back.
const HISTORY: usize = 6;
/// Tokens after which a feature is given again.
const REPEAT_TOKENS: u32 = 96;
/// Slots of the memory of what was given, a power of two.
const RECENT_SLOTS: usize = 1 << 12;

/// The kinds of features; a part of each feature's hash and so of the model's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Kind {
    /// One word.
    Word = 1,
    /// Two neighbouring words.
    WordPair,
    /// Two words with one between them.
    WordSkip,
    /// Three neighbouring words.
    WordTriple,
    /// The first letters of a word.
    Stem,
    /// One concept.
    Concept,
    /// Two concepts that follow each other, and how closely.
    ConceptNext,
    /// Two concepts in order, near each other.
    ConceptPair,
    /// Three concepts that follow each other.
    ConceptTriple,
    /// A concept that opens a sentence or line.
    ConceptOpens,
    /// A concept inside quotation marks.
    ConceptQuoted,
    /// A word that opens a sentence or line.
    WordOpens,
    /// A property of the whole text.
    Text,
    /// A concept in capitals.
    Capitals,
}

/// Hash of a feature.
#[must_use]
pub fn feature(kind: Kind, a: u64, b: u64) -> u64 {
    mix(mix(a, kind as u64), b)
}

/// The slot of a feature.
#[must_use]
pub fn slot(feature: u64) -> u32 {
    (feature >> (64 - SLOT_BITS)) as u32
}

/// What the features are made with; kept between texts.
#[derive(Debug)]
pub struct Extractor {
    recent: Vec<(u64, u32)>,
    epoch: u32,
    history: [(u8, u32); HISTORY],
}

impl Default for Extractor {
    fn default() -> Self {
        Self { recent: vec![(0, 0); RECENT_SLOTS], epoch: 0, history: [(0, 0); HISTORY] }
    }
}

impl Extractor {
    /// Gives every feature of the text with the position of the token that it ends at, in order.
    pub fn extract(&mut self, tokens: &[Token], concepts: &[Concepts], mut give: impl FnMut(usize, Kind, u64)) {
        self.begin(tokens.len());
        let none = Token {
            hash: 0,
            stem: 0,
            start: 0,
            end: 0,
            shape: Shape::Mark,
            mark: 0,
            opens: true,
            quoted: false,
            capitals: false,
        };
        let (mut before, mut before_that) = (none, none);
        for (n, (token, own)) in tokens.iter().zip(concepts).enumerate() {
            let position = self.epoch + u32::try_from(n).unwrap_or(u32::MAX / 4);
            let recent = &mut self.recent;
            let mut push = |kind: Kind, a: u64, b: u64| {
                let feature = feature(kind, a, b);
                if is_fresh(recent, feature, position) {
                    give(n, kind, feature);
                }
            };
            push(Kind::Word, token.hash, 0);
            push(Kind::WordPair, before.hash, token.hash);
            push(Kind::WordSkip, before_that.hash, token.hash);
            push(Kind::WordTriple, mix(before_that.hash, before.hash), token.hash);
            if token.shape == Shape::Word {
                push(Kind::Stem, token.stem, 0);
            }
            if token.opens && token.shape != Shape::Mark {
                push(Kind::WordOpens, token.hash, 0);
            }
            if own.first().is_some_and(|first| *first > 0) {
                concept_features(token, own, position, &self.history, &mut push);
                let count = own.iter().filter(|c| **c > 0).count();
                self.history.rotate_right(count);
                for (slot, concept) in self.history.iter_mut().zip(own.iter().take(count)) {
                    *slot = (*concept, position);
                }
            }
            before_that = before;
            before = *token;
        }
        self.epoch += u32::try_from(tokens.len()).unwrap_or(u32::MAX / 4) + REPEAT_TOKENS;
    }

    /// Positions count on from text to text, so that nothing has to be cleared between them.
    fn begin(&mut self, tokens: usize) {
        if self.epoch == 0 || self.epoch > u32::MAX / 2 || tokens > (u32::MAX / 8) as usize {
            self.recent.fill((0, 0));
            self.epoch = REPEAT_TOKENS + 1;
        }
        self.history = [(0, 0); HISTORY];
    }
}

fn concept_features(
    token: &Token,
    own: &Concepts,
    position: u32,
    history: &[(u8, u32); HISTORY],
    mut push: impl FnMut(Kind, u64, u64),
) {
    for concept in own.iter().take_while(|c| **c > 0) {
        let c = u64::from(*concept);
        push(Kind::Concept, c, 0);
        if token.opens {
            push(Kind::ConceptOpens, c, 0);
        }
        if token.quoted {
            push(Kind::ConceptQuoted, c, 0);
        }
        if token.capitals {
            push(Kind::Capitals, c, 0);
        }
        let mut nearest = None;
        for (earlier, at) in history.iter().filter(|(earlier, _)| *earlier > 0) {
            let distance = position - at;
            if distance as usize > PAIR_TOKENS || distance == 0 {
                continue;
            }
            let e = u64::from(*earlier);
            push(Kind::ConceptPair, e, c);
            match nearest {
                None => {
                    nearest = Some((e, *at));
                    push(Kind::ConceptNext, mix(e, u64::from(distance.min(4))), c);
                }
                Some((next, next_at)) if next_at != *at => push(Kind::ConceptTriple, mix(e, next), c),
                Some(_) => {}
            }
        }
        if nearest.is_none() {
            push(Kind::ConceptNext, 0, c);
        }
    }
}

/// Whether a feature was not given within the last tokens; notes it.
#[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
fn is_fresh(recent: &mut [(u64, u32)], feature: u64, position: u32) -> bool {
    let Some(slot) = recent.get_mut(feature as usize & (RECENT_SLOTS - 1)) else { return true };
    let fresh = slot.0 != feature || position - slot.1 > REPEAT_TOKENS;
    if fresh {
        *slot = (feature, position);
    }
    fresh
}
