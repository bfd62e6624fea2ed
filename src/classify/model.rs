//! The weights, and the score of a text.

use super::features::{Extractor, Kind, SLOT_BITS, feature, slot};
use super::lexicon::{Concepts, Lexicon, Memo};
use super::pieces::Pieces;
use super::tokens::{Shape, Token, mix};

/// Lengths of the windows that are scored, in tokens; each is moved by a quarter of its length.
pub(super) const WINDOWS: [usize; 4] = [12, 32, 96, 256];
/// Longest window that speaks for a text in use, in tokens. A text that is longer does not count as a whole: the
/// little that each of many words says adds up, so that a long manual would read worse than any part of it.
const SPEAKING_MAX: usize = 256;
/// Weight of a property of the whole text beside the features of a window.
pub(super) const TEXT_WEIGHT: f32 = 0.08;
/// A window with fewer features than this counts as one with so many: two words prove little.
pub(super) const FEATURES_MIN: u32 = 12;
/// In so many tokens of a window must be a word: rows of marks, dots and dashes and single letters are no
/// text that could be an attack, only what one is written in, and then it is read decoded.
const TOKENS_PER_WORD_MAX: usize = 8;
/// Shortest word that counts, in bytes: two letters, or one that is not ASCII.
const WORD_BYTES_MIN: u32 = 2;
/// Features that explain a score.
const REASONS_MAX: usize = 5;
/// What a feature must add to the logit to be one of them.
const REASON_MIN: f32 = 0.02;
/// What a model's file begins with.
const MAGIC: &[u8; 4] = b"HLM1";
/// Number of heads.
pub(super) const HEADS: usize = Head::ALL.len();
/// Bytes before the tables: magic, size, digest of the lexicon, scales and biases.
const HEADER: usize = 4 + 4 + 8 + 8 * HEADS;

/// What a text is asked to be. Each head has weights of its own, since what gives one attack away is
/// harmless in another place: an order is out of place in data, a role is not in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Head {
    /// What somebody says to the agent takes its instructions away or gets at what is hidden.
    Injection,
    /// What somebody says to the agent talks it out of its rules.
    Jailbreak,
    /// Data that the agent reads (tool results, documents, tool definitions) gives it orders.
    Planted,
}

impl Head {
    /// All of them, in the order of their tables.
    pub const ALL: [Self; 3] = [Self::Injection, Self::Jailbreak, Self::Planted];

    /// Its name in rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Injection => "injection",
            Self::Jailbreak => "jailbreak",
            Self::Planted => "planted",
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Injection => 0,
            Self::Jailbreak => 1,
            Self::Planted => 2,
        }
    }
}

/// A score and where in the text it comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Logit of the worst window.
    pub logit: f32,
    /// The piece of the text that the window is in, from 0.
    piece: usize,
    /// First token of that window in its piece, and one past its last.
    tokens: (usize, usize),
    /// The same in bytes of the text.
    bytes: (usize, usize),
}

/// The scores of one text, one for each head that was asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scores([Option<Score>; HEADS]);

impl Scores {
    /// The score of a head; one that was not asked says that the text is honest.
    #[must_use]
    pub fn of(&self, head: Head) -> Score {
        self.0.get(head.index()).copied().flatten().unwrap_or(Score::HONEST)
    }

    /// The worst of the heads that were asked.
    #[must_use]
    pub fn worst(&self) -> Score {
        self.0.iter().flatten().copied().max_by(|a, b| a.logit.total_cmp(&b.logit)).unwrap_or(Score::HONEST)
    }
}

impl Score {
    /// That of a text in which nothing was looked for.
    const HONEST: Self = Self { logit: f32::NEG_INFINITY, piece: 0, tokens: (0, 0), bytes: (0, 0) };

    /// From 0 (honest) to 1 (an attack).
    #[must_use]
    pub fn probability(&self) -> f32 {
        1.0 / (1.0 + (-self.logit).exp())
    }

    /// The same for a text of which something else is known.
    #[must_use]
    pub fn plus(self, logit: f32) -> Self {
        Self { logit: self.logit + logit, ..self }
    }

    /// The byte range of the worst window in the text.
    #[must_use]
    pub const fn range(&self) -> std::ops::Range<usize> {
        self.bytes.0..self.bytes.1
    }
}

/// Buffers that are used again for each text; none of them grows beyond what one piece of a text needs.
#[derive(Debug, Default)]
pub struct Scratch {
    tokens: Vec<Token>,
    work: Work,
}

#[cfg(test)]
impl Scratch {
    /// Elements that the buffers have room for.
    pub(super) fn capacity(&self) -> usize {
        let Work { concepts, sums, features, of_text, .. } = &self.work;
        self.tokens.capacity() + concepts.capacity() + sums.capacity() + features.capacity() + of_text.capacity()
    }
}

/// What a piece of a text is read with.
#[derive(Debug, Default)]
struct Work {
    concepts: Vec<Concepts>,
    memo: Memo,
    extractor: Extractor,
    sums: Vec<(f32, u32)>,
    /// Token and slot of each feature.
    features: Vec<(u32, u32)>,
    /// Slots of the features of the piece as a whole.
    of_text: Vec<u32>,
    /// Number of words before each token, and after the last.
    words: Vec<u32>,
}

/// The weights of the features.
#[derive(Debug)]
pub struct Model {
    lexicon: Lexicon,
    tables: [Vec<i8>; HEADS],
    scales: [f32; HEADS],
    biases: [f32; HEADS],
}

impl Model {
    /// Puts a model together from trained weights: one table for each head.
    #[must_use]
    pub fn quantize(lexicon: Lexicon, weights: &[Vec<f32>; HEADS], biases: [f32; HEADS]) -> Self {
        let mut scales = [0.0; HEADS];
        let mut tables = [const { Vec::new() }; HEADS];
        for ((table, scale), weights) in tables.iter_mut().zip(&mut scales).zip(weights) {
            let largest = weights.iter().fold(0.0_f32, |most, w| most.max(w.abs())).max(1e-6);
            *scale = largest / 127.0;
            #[expect(clippy::cast_possible_truncation, reason = "between -127 and 127")]
            let small = |w: &f32| (w / *scale).round() as i8;
            *table = weights.iter().map(small).collect();
        }
        Self { lexicon, tables, scales, biases }
    }

    /// The lexicon that it was trained with.
    #[must_use]
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The scores of a text for the heads for which `asks` holds: for each the worst window of all pieces.
    pub fn scores(&self, text: &str, asks: impl Fn(Head) -> bool, scratch: &mut Scratch) -> Scores {
        let asked = Head::ALL.map(asks);
        let mut worst = Scores::default();
        let Scratch { tokens, work } = scratch;
        let mut pieces = Pieces::of(text, tokens);
        let mut number = 0;
        while let Some(tokens) = pieces.next() {
            self.read(text, tokens, work);
            let of_heads = worst.0.iter_mut().zip(Head::ALL).zip(asked);
            for ((worst, head), _) in of_heads.filter(|(_, asked)| *asked) {
                let (logit, first, last) = self.worst_window(tokens.len(), head, work);
                if worst.is_none_or(|worst| logit > worst.logit) {
                    let bytes = bytes_of(tokens, first, last);
                    *worst = Some(Score { logit, piece: number, tokens: (first, last), bytes });
                }
            }
            number += 1;
        }
        worst
    }

    /// Makes the features of one piece.
    fn read(&self, text: &str, tokens: &[Token], work: &mut Work) {
        let Work { concepts, memo, extractor, features, of_text, words, .. } = work;
        self.lexicon.read(text, tokens, memo, concepts);
        features.clear();
        extractor.extract(tokens, concepts, |n, _, feature| {
            features.push((u32::try_from(n).unwrap_or(u32::MAX), slot(feature)));
        });
        of_text.clear();
        text_features(tokens, concepts, |feature| of_text.push(slot(feature)));
        words.clear();
        words.push(0);
        let mut count = 0;
        words.extend(tokens.iter().map(|token| {
            count += u32::from(is_word(token));
            count
        }));
    }

    /// The worst window of the piece that was read last: its logit, its first token and one past its last.
    fn worst_window(&self, tokens: usize, head: Head, work: &mut Work) -> (f32, usize, usize) {
        let mut worst = (f32::NEG_INFINITY, 0, 0);
        let (Some(table), Some(scale), Some(bias)) =
            (self.tables.get(head.index()), self.scales.get(head.index()), self.biases.get(head.index()))
        else {
            return worst;
        };
        let Work { sums, features, of_text, words, .. } = work;
        let weight = |slot: u32| table.get(slot as usize).map_or(0.0, |w| f32::from(*w));
        sums.clear();
        sums.resize(tokens + 1, (0.0, 0));
        for (n, slot) in features.iter() {
            if let Some(sum) = sums.get_mut(*n as usize + 1) {
                sum.0 += weight(*slot);
                sum.1 += 1;
            }
        }
        let of_text: f32 = of_text.iter().map(|slot| weight(*slot)).sum();
        let base = bias + TEXT_WEIGHT * scale * of_text;
        accumulate(sums);
        for_windows(tokens, |first, last| {
            let logit = base + scale * window_mean(sums, first, last);
            if logit > worst.0 && last - first <= SPEAKING_MAX && has_words(words, first, last) {
                worst = (logit, first, last);
            }
        });
        worst
    }

    /// The features that speak most for an attack in the window of a score of this text, strongest first,
    /// each with what it adds to the logit. Reads the text again up to there.
    #[must_use]
    pub fn explain(&self, text: &str, head: Head, score: &Score, scratch: &mut Scratch) -> Vec<(String, f32)> {
        let Scratch { tokens, work: Work { concepts, memo, extractor, .. } } = scratch;
        let (Some(table), Some(scale)) = (self.tables.get(head.index()), self.scales.get(head.index())) else {
            return Vec::new();
        };
        let Some(tokens) = Pieces::of(text, tokens).nth(score.piece) else { return Vec::new() };
        self.lexicon.read(text, tokens, memo, concepts);
        let (mut speaking, mut count) = (Vec::new(), 0);
        extractor.extract(tokens, concepts, |n, kind, feature| {
            if !(score.tokens.0..score.tokens.1).contains(&n) {
                return;
            }
            count += 1;
            let weight = scale * table.get(slot(feature) as usize).map_or(0.0, |w| f32::from(*w));
            if weight > 0.0 {
                speaking.push((n, kind, weight));
            }
        });
        let root = root_of(count);
        let strong = speaking.into_iter().map(|(n, kind, weight)| (n, kind, weight / root));
        let strong = strong.filter(|(.., weight)| *weight > REASON_MIN);
        let mut found: Vec<(String, f32)> =
            strong.map(|(n, kind, weight)| (self.describe(text, tokens, concepts, n, kind), weight)).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found.truncate(REASONS_MAX);
        found
    }

    fn describe(&self, text: &str, tokens: &[Token], concepts: &[Concepts], n: usize, kind: Kind) -> String {
        let back = match kind {
            Kind::WordPair => 1,
            Kind::WordSkip | Kind::WordTriple => 2,
            _ => 0,
        };
        let start = tokens.get(n.saturating_sub(back)).map_or(0, |token| token.start as usize);
        let end = tokens.get(n).map_or(start, |token| token.end as usize);
        let words: String = text.get(start..end).unwrap_or_default().chars().take(40).collect();
        let concept = concepts.get(n).and_then(|c| c.first()).filter(|c| **c > 0);
        let name = concept.and_then(|c| self.lexicon.names().get(usize::from(*c) - 1));
        match (kind, name) {
            (Kind::Word | Kind::WordPair | Kind::WordSkip | Kind::WordTriple | Kind::Stem | Kind::WordOpens, _)
            | (_, None) => {
                format!("`{words}`")
            }
            (Kind::ConceptPair | Kind::ConceptNext | Kind::ConceptTriple, Some(name)) => {
                format!("`{words}` as {name} after others")
            }
            (_, Some(name)) => format!("`{words}` as {name}"),
        }
    }

    /// Writes the model: header, scales, biases, one table after the other.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + (HEADS << SLOT_BITS));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&SLOT_BITS.to_le_bytes());
        bytes.extend_from_slice(&self.lexicon.digest.to_le_bytes());
        for value in self.scales.iter().chain(&self.biases) {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        for table in &self.tables {
            bytes.extend(table.iter().map(|w| w.cast_unsigned()));
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// When it is no model, one of another layout, or one that was trained with another lexicon.
    pub fn from_bytes(bytes: &[u8], lexicon: Lexicon) -> Result<Self, String> {
        let slots = 1_usize << SLOT_BITS;
        if bytes.len() != HEADER + HEADS * slots || !bytes.starts_with(MAGIC) {
            return Err(format!("expected a model of {} bytes, got {}", HEADER + HEADS * slots, bytes.len()));
        }
        let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        if word(4) != SLOT_BITS {
            return Err(format!("expected a table of 2^{SLOT_BITS} weights, got 2^{}", word(4)));
        }
        let digest = u64::from(word(8)) | u64::from(word(12)) << 32;
        if digest != lexicon.digest {
            return Err("the model was trained with another lexicon: train it anew".to_owned());
        }
        let value = |n: usize| f32::from_bits(word(16 + 4 * n));
        let table = |n: usize| -> Vec<i8> {
            let start = HEADER + n * slots;
            bytes.get(start..start + slots).unwrap_or_default().iter().map(|b| b.cast_signed()).collect()
        };
        let all = [0, 1, 2];
        Ok(Self { lexicon, tables: all.map(table), scales: all.map(value), biases: all.map(|n| value(HEADS + n)) })
    }
}

/// Turns sums of single tokens into sums of everything before.
pub(super) fn accumulate(sums: &mut [(f32, u32)]) {
    let (mut total, mut count) = (0.0, 0);
    for sum in sums {
        total += sum.0;
        count += sum.1;
        *sum = (total, count);
    }
}

/// Sum of the weights in a window over the square root of their number.
pub(super) fn window_mean(sums: &[(f32, u32)], first: usize, last: usize) -> f32 {
    let at = |n: usize| sums.get(n).copied().unwrap_or_default();
    (at(last).0 - at(first).0) / root_of(at(last).1 - at(first).1)
}

/// The square root of the number of features in a window.
#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn root_of(count: u32) -> f32 {
    (count.max(FEATURES_MIN) as f32).sqrt()
}

/// Whether a token is a word and no single letter.
fn is_word(token: &Token) -> bool {
    match token.shape {
        Shape::Ideograph => true,
        Shape::Word => token.end - token.start >= WORD_BYTES_MIN,
        Shape::Number | Shape::Mark => false,
    }
}

/// Whether enough of a window are words.
fn has_words(words: &[u32], first: usize, last: usize) -> bool {
    let at = |n: usize| words.get(n).copied().unwrap_or(0);
    (at(last) - at(first)) as usize * TOKENS_PER_WORD_MAX >= last - first
}

/// The bytes of a text from one token of a piece to before another.
fn bytes_of(tokens: &[Token], first: usize, last: usize) -> (usize, usize) {
    let start = tokens.get(first).map_or(0, |token| token.start as usize);
    let last = last.checked_sub(1).and_then(|last| tokens.get(last));
    (start, last.map_or(start, |token| token.end as usize).max(start))
}

/// Gives every window over a text of so many tokens: the whole text, and where it is longer, windows
/// of several lengths.
pub(super) fn for_windows(tokens: usize, mut give: impl FnMut(usize, usize)) {
    give(0, tokens);
    for length in WINDOWS.into_iter().filter(|length| *length < tokens) {
        let step = length / 4;
        let mut first = 0;
        while first + length < tokens + step {
            give(first, (first + length).min(tokens));
            first += step;
        }
    }
}

/// Gives the features of the text as a whole: its length and which concepts are in it at all.
pub(super) fn text_features(tokens: &[Token], concepts: &[Concepts], mut give: impl FnMut(u64)) {
    give(feature(Kind::Text, 1, u64::from(usize::BITS - tokens.len().leading_zeros())));
    let mut counts = [0_u32; 256];
    for concept in concepts.iter().flatten().filter(|c| **c > 0) {
        if let Some(count) = counts.get_mut(usize::from(*concept)) {
            *count += 1;
        }
    }
    for (concept, count) in (0_u64..).zip(counts).filter(|(_, count)| *count > 0) {
        give(feature(Kind::Text, 2, mix(concept, u64::from(32 - count.min(8).leading_zeros()))));
    }
    let share = |count: usize| u64::try_from(count * 8 / tokens.len().max(1)).unwrap_or(8);
    give(feature(Kind::Text, 3, share(tokens.iter().filter(|t| t.quoted).count())));
    give(feature(Kind::Text, 4, share(tokens.iter().filter(|t| t.shape == Shape::Mark).count())));
    give(feature(Kind::Text, 5, share(tokens.iter().filter(|t| t.capitals).count())));
}
