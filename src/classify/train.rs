//! Training: labelled texts → weights. Logistic regression by AdaGrad over each text's worst window.
//!
//! An attack is somewhere in a text; nobody says where. So a text stands for its worst window, both
//! ways: an attack must have one, and an honest text none (multiple-instance learning). What the two
//! heads for injections share is learned once, and what is special to one beside it. The same texts in the same
//! order give the same weights.

use super::features::{Extractor, SLOT_BITS, slot};
use super::lexicon::{Concepts, Lexicon, Memo};
use super::model::{
    FEATURES_MIN, HEADS, Head, Model, TEXT_WEIGHT, accumulate, for_windows, text_features, window_mean,
};
use super::pieces::TOKENS_MAX;
use super::tokens::{mix, tokenize};

/// One labelled text.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The text.
    pub text: String,
    /// The heads that learn from it, each with whether it must say yes.
    pub targets: Vec<(Head, bool)>,
    /// How much it counts; 1 for an ordinary sample.
    pub weight: f32,
}

/// How to train.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Passes over all samples.
    pub epochs: usize,
    /// Step size.
    pub rate: f32,
    /// Pull of each weight towards zero, with each step.
    pub decay: f32,
    /// How much more an honest text counts.
    pub benign: f32,
    /// Of 256 features, how many are left out at random with each look at a text, so that none is relied
    /// on alone.
    pub dropout: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self { epochs: 8, rate: 0.1, decay: 1e-6, benign: 2.0, dropout: 0 }
    }
}

/// What each head learns from a row of this label and direction. A jailbreak teaches nothing about
/// injections and the other way round, since many texts are both.
#[must_use]
pub fn targets(label: &str, direction: &str) -> Vec<(Head, bool)> {
    match (direction, label) {
        ("user", "benign") => vec![(Head::Injection, false), (Head::Jailbreak, false)],
        ("user", "jailbreak") => vec![(Head::Jailbreak, true)],
        ("user", _) => vec![(Head::Injection, true)],
        (_, label) => vec![(Head::Planted, label != "benign")],
    }
}

/// A sample made ready: slots of its features, by token.
struct Prepared {
    targets: Vec<(Head, bool)>,
    weight: f32,
    /// Slots of all features in order of their tokens.
    slots: Vec<u32>,
    /// Number of features before each token, and after the last.
    starts: Vec<u32>,
    text: Vec<u32>,
}

struct Trainer {
    /// Those of each head, and then those that the two heads for injections share.
    weights: [Vec<f32>; HEADS + 1],
    squares: [Vec<f32>; HEADS + 1],
    biases: [f32; HEADS],
    settings: Settings,
    /// Which features are left out this time.
    salt: u64,
}

/// Trains a model.
#[must_use]
pub fn train(lexicon: Lexicon, samples: &[Sample], settings: Settings, mut progress: impl FnMut(usize, f32)) -> Model {
    let prepared = prepare(&lexicon, samples);
    let table = || vec![0.0_f32; 1 << SLOT_BITS];
    let mut trainer = Trainer {
        weights: std::array::from_fn(|_| table()),
        squares: std::array::from_fn(|_| table()),
        biases: [-1.0; HEADS],
        settings,
        salt: 0,
    };
    let mut order: Vec<u32> = (0..u32::try_from(prepared.len()).unwrap_or(u32::MAX)).collect();
    let mut random = crate::corpus::Random::new(7);
    let mut sums = Vec::new();
    for epoch in 0..settings.epochs {
        random.shuffle(&mut order);
        let mut loss = 0.0;
        for sample in order.iter().filter_map(|n| prepared.get(*n as usize)) {
            trainer.salt = random.number();
            for (head, target) in &sample.targets {
                loss += trainer.learn(sample, (*head, *target), &mut sums, epoch);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "for display")]
        progress(epoch, loss / prepared.len().max(1) as f32);
    }
    let folded = Head::ALL.map(|head| trainer.folded(head));
    Model::quantize(lexicon, &folded, trainer.biases)
}

fn prepare(lexicon: &Lexicon, samples: &[Sample]) -> Vec<Prepared> {
    let (mut extractor, mut memo) = (Extractor::default(), Memo::default());
    let (mut tokens, mut concepts): (Vec<_>, Vec<Concepts>) = (Vec::new(), Vec::new());
    let one = |sample: &Sample| {
        tokenize(&sample.text, TOKENS_MAX, &mut tokens);
        lexicon.read(&sample.text, &tokens, &mut memo, &mut concepts);
        let (mut slots, mut starts) = (Vec::new(), vec![0_u32]);
        let mut seen = 0;
        extractor.extract(&tokens, &concepts, |n, _, feature| {
            while seen < n {
                starts.push(u32::try_from(slots.len()).unwrap_or(u32::MAX));
                seen += 1;
            }
            slots.push(slot(feature));
        });
        starts.resize(tokens.len() + 1, u32::try_from(slots.len()).unwrap_or(u32::MAX));
        if let Some(last) = starts.last_mut() {
            *last = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        }
        let mut text = Vec::new();
        text_features(&tokens, &concepts, |feature| text.push(slot(feature)));
        Prepared { targets: sample.targets.clone(), weight: sample.weight, slots, starts, text }
    };
    samples.iter().map(one).collect()
}

/// The tables that make up the weights of a head.
fn tables(head: Head) -> &'static [usize] {
    match head {
        Head::Injection => &[0, HEADS],
        Head::Jailbreak => &[1],
        Head::Planted => &[2, HEADS],
    }
}

impl Trainer {
    fn weight(&self, head: Head, slot: u32) -> f32 {
        let at = |table: usize| self.weights.get(table).and_then(|t| t.get(slot as usize)).copied().unwrap_or(0.0);
        tables(head).iter().map(|table| at(*table)).sum()
    }

    /// The weights of a head, with what it shares.
    fn folded(&self, head: Head) -> Vec<f32> {
        (0..1_u32 << SLOT_BITS).map(|slot| self.weight(head, slot)).collect()
    }

    fn is_kept(&self, slot: u32) -> bool {
        mix(self.salt, u64::from(slot)) & 0xff >= u64::from(self.settings.dropout)
    }

    fn learn(
        &mut self,
        sample: &Prepared,
        (head, attack): (Head, bool),
        sums: &mut Vec<(f32, u32)>,
        epoch: usize,
    ) -> f32 {
        sums.clear();
        sums.push((0.0, 0));
        for pair in sample.starts.windows(2) {
            let [from, to] = *pair else { continue };
            let slots = sample.slots.get(from as usize..to as usize).unwrap_or_default();
            let (mut sum, mut count) = (0.0, 0);
            for slot in slots.iter().filter(|slot| self.is_kept(**slot)) {
                sum += self.weight(head, *slot);
                count += 1;
            }
            sums.push((sum, count));
        }
        accumulate(sums);
        let of_text: f32 = sample.text.iter().map(|s| self.weight(head, *s)).sum();
        let base = self.biases.get(head.index()).copied().unwrap_or(0.0) + TEXT_WEIGHT * of_text;
        let tokens = sample.starts.len() - 1;
        let mut worst = (f32::NEG_INFINITY, 0, tokens);
        for_windows(tokens, |first, last| {
            let logit = base + window_mean(sums, first, last);
            // At first nothing is known, and the whole text stands for itself.
            if logit > worst.0 && (epoch > 0 || worst.0 == f32::NEG_INFINITY) {
                worst = (logit, first, last);
            }
        });
        let (logit, first, last) = worst;
        let probability = 1.0 / (1.0 + (-logit).exp());
        let target = if attack { 1.0 } else { 0.0 };
        let importance = sample.weight * if attack { 1.0 } else { self.settings.benign };
        let gradient = (probability - target) * importance;
        let loss = -importance * (if attack { probability } else { 1.0 - probability }).max(1e-6).ln();
        if gradient.abs() > 1e-4 {
            self.update(sample, head, (first, last), gradient);
        }
        loss
    }

    fn update(&mut self, sample: &Prepared, head: Head, (first, last): (usize, usize), gradient: f32) {
        let start = |n: usize| sample.starts.get(n).copied().unwrap_or(0) as usize;
        let slots = sample.slots.get(start(first)..start(last)).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let each =
            gradient / (slots.iter().filter(|s| self.is_kept(**s)).count().max(FEATURES_MIN as usize) as f32).sqrt();
        for slot in slots {
            if self.is_kept(*slot) {
                self.step(head, *slot, each);
            }
        }
        for slot in &sample.text {
            self.step(head, *slot, gradient * TEXT_WEIGHT);
        }
        if let Some(bias) = self.biases.get_mut(head.index()) {
            *bias -= 0.02 * gradient;
        }
    }

    fn step(&mut self, head: Head, slot: u32, gradient: f32) {
        let Settings { rate, decay, .. } = self.settings;
        for table in tables(head).iter().copied() {
            let weight = self.weights.get_mut(table).and_then(|t| t.get_mut(slot as usize));
            let square = self.squares.get_mut(table).and_then(|t| t.get_mut(slot as usize));
            if let (Some(weight), Some(square)) = (weight, square) {
                *square += gradient * gradient;
                *weight -= rate * gradient / (square.sqrt() + 1e-3) + decay * *weight;
            }
        }
    }
}
