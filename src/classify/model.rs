//! The weights, and the score of a text.

use super::features::{Extractor, Kind, SLOT_BITS, feature, slot};
use super::lexicon::{Concepts, Lexicon, Memo};
use super::tokens::{Token, mix, tokenize};

/// Tokens of one text that are scored. What follows in a longer text is not: only phrases and patterns
/// read it.
pub const TOKENS_MAX: usize = 4_096;
/// Lengths of the windows that are scored, in tokens; each is moved by a quarter of its length.
const WINDOWS: [usize; 4] = [12, 32, 96, 256];
/// Weight of a property of the whole text beside the features of a window.
pub(super) const TEXT_WEIGHT: f32 = 0.08;
/// A window with fewer features than this counts as one with so many: two words prove little.
pub(super) const FEATURES_MIN: u32 = 12;
/// Features that explain a score.
const REASONS_MAX: usize = 5;
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Logit of the worst window.
    pub logit: f32,
    /// First token of that window.
    pub first: usize,
    /// One past its last token.
    pub last: usize,
}

impl Score {
    /// From 0 (honest) to 1 (an attack).
    #[must_use]
    pub fn probability(&self) -> f32 {
        1.0 / (1.0 + (-self.logit).exp())
    }
}

/// Buffers that are used again for each text.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) tokens: Vec<Token>,
    pub(super) concepts: Vec<Concepts>,
    memo: Memo,
    pub(super) extractor: Extractor,
    pub(super) sums: Vec<(f32, u32)>,
    /// Token and slot of each feature.
    features: Vec<(u32, u32)>,
    /// Slots of the features of the whole text.
    of_text: Vec<u32>,
}

/// The weights of the features.
#[derive(Debug)]
pub struct Model {
    pub(super) lexicon: Lexicon,
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

    /// Reads a text; what is scored, explained or located after that is this text.
    pub fn read(&self, text: &str, scratch: &mut Scratch) {
        let Scratch { tokens, concepts, memo, extractor, features, of_text, .. } = scratch;
        tokenize(text, TOKENS_MAX, tokens);
        self.lexicon.read(text, tokens, memo, concepts);
        features.clear();
        extractor.extract(tokens, concepts, |n, _, feature| {
            features.push((u32::try_from(n).unwrap_or(u32::MAX), slot(feature)));
        });
        of_text.clear();
        text_features(tokens, concepts, |feature| of_text.push(slot(feature)));
    }

    /// The score of the text that was read last.
    pub fn score(&self, head: Head, scratch: &mut Scratch) -> Score {
        let (Some(table), Some(scale), Some(bias)) =
            (self.tables.get(head.index()), self.scales.get(head.index()), self.biases.get(head.index()))
        else {
            return Score::default();
        };
        let Scratch { tokens, sums, features, of_text, .. } = scratch;
        let weight = |slot: u32| table.get(slot as usize).map_or(0.0, |w| f32::from(*w));
        sums.clear();
        sums.resize(tokens.len() + 1, (0.0, 0));
        for (n, slot) in features.iter() {
            if let Some(sum) = sums.get_mut(*n as usize + 1) {
                sum.0 += weight(*slot);
                sum.1 += 1;
            }
        }
        let of_text: f32 = of_text.iter().map(|slot| weight(*slot)).sum();
        let base = bias + TEXT_WEIGHT * scale * of_text;
        accumulate(sums);
        let mut worst = Score { logit: f32::NEG_INFINITY, first: 0, last: 0 };
        for_windows(tokens.len(), |first, last| {
            let logit = base + scale * window_mean(sums, first, last);
            if logit > worst.logit {
                worst = Score { logit, first, last };
            }
        });
        worst
    }

    /// The byte range of a score's window in the text that was scored last.
    #[must_use]
    pub fn range(score: &Score, scratch: &Scratch) -> std::ops::Range<usize> {
        let start = scratch.tokens.get(score.first).map_or(0, |token| token.start as usize);
        let last = score.last.checked_sub(1).and_then(|last| scratch.tokens.get(last));
        start..last.map_or(start, |token| token.end as usize).max(start)
    }

    /// The features that speak most for an attack in the window of a score, strongest first, each with
    /// what it adds to the logit; of the text that was scored last.
    #[must_use]
    pub fn explain(&self, text: &str, head: Head, score: &Score, scratch: &mut Scratch) -> Vec<(String, f32)> {
        let Scratch { tokens, concepts, extractor, sums, .. } = scratch;
        let (Some(table), Some(scale)) = (self.tables.get(head.index()), self.scales.get(head.index())) else {
            return Vec::new();
        };
        let count = window_count(sums, score.first, score.last);
        let mut found: Vec<(String, f32)> = Vec::new();
        extractor.extract(tokens, concepts, |n, kind, feature| {
            let weight = scale * table.get(slot(feature) as usize).map_or(0.0, |w| f32::from(*w)) / count;
            if (score.first..score.last).contains(&n) && weight > 0.02 {
                found.push((self.describe(text, tokens, concepts, n, kind), weight));
            }
        });
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
    let at = |n: usize| sums.get(n).map_or(0.0, |sum| sum.0);
    (at(last) - at(first)) / window_count(sums, first, last)
}

/// The square root of the number of features in a window.
#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn window_count(sums: &[(f32, u32)], first: usize, last: usize) -> f32 {
    let at = |n: usize| sums.get(n).map_or(0, |sum| sum.1);
    ((at(last) - at(first)).max(FEATURES_MIN) as f32).sqrt()
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
    give(feature(Kind::Text, 4, share(tokens.iter().filter(|t| t.shape == super::tokens::Shape::Mark).count())));
    give(feature(Kind::Text, 5, share(tokens.iter().filter(|t| t.capitals).count())));
}
