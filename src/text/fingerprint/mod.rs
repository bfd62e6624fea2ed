//! Fingerprints of texts: what a text shares with another is seen without keeping either.
//!
//! ```text
//! source ── Normal ──▶ prints, a chosen few ─┐
//!        └─ values ──────────────────────────┤ hashes that both have
//! sink   ── Normal ──▶ prints, all of them ──┤
//!        └─ values ──────────────────────────┘
//! ```
//!
//! - A print is the hash of [`PRINT_CHARS`] letters and digits in a row. Of a source the smallest in every
//!   window of [`PRINT_WINDOW`] is kept (winnowing, Schleimer, Wilkerson and Aiken 2003), of a sink all are
//!   looked up: a passage that both have, of at least [`PASSAGE_CHARS`] letters and digits, shares one, unless it is made of a handful of characters.
//! - A value is a token that hardly occurs twice by chance: an address, a number of an account, a key.
//! - Words are for names: a tool's name that is made of the words of a text.
//!
//! All hashes are keyed: what is kept of a text tells nothing to those who do not have the key, and nobody can
//! look for texts that collide. What is here finds copies. Translations and paraphrases are found by the
//! values they keep, if at all; what was encrypted or compressed is not found.

mod codes;
mod names;
mod normal;
mod numbers;
mod tail;
mod values;

use std::cmp::Reverse;
use std::hash::Hasher;
use std::ops::Range;

use siphasher::sip::SipHasher13;

use crate::limits::{PRINT_CHARS, PRINT_WINDOW, SOURCE_PRINTS_MAX, SOURCE_VALUES_MAX};

pub use codes::cut_codes;
pub use names::identifier_words;
pub use normal::Normal;
pub use tail::{Tail, Tails};
pub use values::{Kind, Value};

/// Every passage of so many letters and digits shares a print with a copy of it.
pub const PASSAGE_CHARS: usize = PRINT_CHARS + PRINT_WINDOW - 1;

/// Fewest different characters of a print that is kept.
const PRINT_KINDS_MIN: u32 = 5;

/// Makes fingerprints; two that have the same key make the same.
#[derive(Clone)]
pub struct Printer {
    key: [u8; 16],
    /// The base of the rolling hash, and what it is for the first character of a print.
    base: u64,
    base_first: u64,
    salt: u64,
}

/// What is remembered of a text that may leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePrints {
    /// Prints and where they start in the normal form without labels, in order of their hashes; each once.
    pub prints: Vec<(u64, u32)>,
    /// The values, each once, hosts last.
    pub values: Vec<Value>,
}

/// What is looked up of a text that leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkPrints {
    /// Every print of the text, and then every print of it without its labels, where it has any.
    pub prints: Vec<u64>,
    /// The values, each once, hosts last.
    pub values: Vec<Value>,
    readings: Vec<Normal>,
}

impl Printer {
    /// A printer with a secret key.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        let base = hash(&key, "base", b"") | 1;
        let base_first = (1..PRINT_CHARS).fold(1_u64, |power, _| power.wrapping_mul(base));
        Self { key, base, base_first, salt: hash(&key, "salt", b"") }
    }

    /// The fingerprints of a source, at most [`SOURCE_PRINTS_MAX`] prints and [`SOURCE_VALUES_MAX`] values.
    /// Of more those are kept whose hashes end in most zeros: a sample that is even over the text, and the same
    /// where the same passage stands in another text.
    #[must_use]
    pub fn source(&self, text: &str) -> SourcePrints {
        let normal = Normal::of(text);
        let normal = normal.without_labels().unwrap_or(normal);
        let mut prints = self.winnowed(&normal);
        prints.retain(|(_, at)| tells_something(normal.chars(), *at as usize));
        prints.sort_unstable();
        prints.dedup_by_key(|(hash, _)| *hash);
        sample(&mut prints, SOURCE_PRINTS_MAX, |(hash, _)| *hash);
        let mut values = self.values(text);
        sample(&mut values, SOURCE_VALUES_MAX, |value| value.hash);
        SourcePrints { prints, values }
    }

    /// The fingerprints of a sink: all of them, with labels and without.
    #[must_use]
    pub fn sink(&self, text: &str) -> SinkPrints {
        let normal = Normal::of(text);
        let readings: Vec<Normal> = normal.without_labels().into_iter().collect();
        let readings: Vec<Normal> = std::iter::once(normal).chain(readings).collect();
        let mut prints = Vec::with_capacity(readings.iter().map(|normal| normal.chars().len()).sum());
        for normal in &readings {
            self.each(normal.chars(), |hash| prints.push(hash));
        }
        SinkPrints { prints, values: self.values(text), readings }
    }

    /// The distinctive tokens of a text, in its order but for hosts, which come last; each once.
    #[must_use]
    pub fn values(&self, text: &str) -> Vec<Value> {
        let mut found = Vec::new();
        values::find(text, &mut |kind, range, normal| {
            found.push(Value { kind, hash: hash(&self.key, "value", normal.as_bytes()), range });
        });
        let mut seen = hashbrown::HashSet::with_hasher(foldhash::fast::FixedState::with_seed(self.salt));
        found.retain(|value| seen.insert(value.hash));
        found.sort_by_key(|value| value.kind == Kind::Host);
        found
    }

    /// The words of a text as hashes, those in identifiers one by one; in order, each once.
    #[must_use]
    pub fn words(&self, text: &str) -> Vec<u32> {
        let mut words = Vec::new();
        names::each_word(text, |word| words.push(self.word(word)));
        words.sort_unstable();
        words.dedup();
        sample(&mut words, crate::limits::SOURCE_WORDS_MAX, |word| u64::from(*word));
        words
    }

    /// The words of an identifier as hashes, each once.
    #[must_use]
    pub fn name(&self, identifier: &str) -> Vec<u32> {
        let mut words: Vec<u32> = identifier_words(identifier).iter().map(|word| self.word(word)).collect();
        words.sort_unstable();
        words.dedup();
        words
    }

    /// How many of an identifier's words are among the [`Self::words`] of a text, and how many it has.
    #[must_use]
    pub fn words_in(&self, words: &[u32], identifier: &str) -> (usize, usize) {
        let name = self.name(identifier);
        (name.iter().filter(|word| words.binary_search(word).is_ok()).count(), name.len())
    }

    #[expect(clippy::cast_possible_truncation, reason = "any half of the hash")]
    fn word(&self, word: &str) -> u32 {
        hash(&self.key, "word", names::stem(word).as_bytes()) as u32
    }

    /// Calls back with the hash of every print, from the first to the last.
    fn each(&self, chars: &[char], mut found: impl FnMut(u64)) {
        let code = |char: char| u64::from(char).wrapping_add(self.salt);
        let (head, rest) = chars.split_at(chars.len().min(PRINT_CHARS - 1));
        let mut rolling = head.iter().fold(0_u64, |sum, char| sum.wrapping_mul(self.base).wrapping_add(code(*char)));
        for (last, first) in rest.iter().zip(chars) {
            rolling = rolling.wrapping_mul(self.base).wrapping_add(code(*last));
            found(mixed(rolling));
            rolling = rolling.wrapping_sub(code(*first).wrapping_mul(self.base_first));
        }
    }

    /// The smallest print of every window, the last of them where several are as small; of a text that is
    /// shorter than a window the smallest.
    fn winnowed(&self, normal: &Normal) -> Vec<(u64, u32)> {
        let mut hashes = Vec::with_capacity(normal.chars().len());
        self.each(normal.chars(), |hash| hashes.push(hash));
        let full = PRINT_WINDOW.min(hashes.len()) - usize::from(!hashes.is_empty());
        let mut chosen = Vec::with_capacity(hashes.len() / 4 + 1);
        let (mut best, mut best_at) = (u64::MAX, 0);
        for (at, hash) in hashes.iter().enumerate() {
            let mut is_new = at == full;
            if at == 0 || order(*hash) <= order(best) {
                (best, best_at, is_new) = (*hash, at, true);
            } else if best_at + PRINT_WINDOW <= at {
                let start = at + 1 - PRINT_WINDOW;
                let window = hashes.get(start..=at).unwrap_or_default().iter().zip(start..);
                (best, best_at) =
                    window.min_by_key(|(hash, at)| (order(**hash), Reverse(*at))).map_or((0, 0), |(h, at)| (*h, at));
                is_new = true;
            }
            if is_new && at >= full {
                chosen.extend(u32::try_from(best_at).map(|at| (best, at)));
            }
        }
        chosen
    }
}

/// The key is never shown.
impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Printer(…)")
    }
}

impl SinkPrints {
    /// The bytes of the text behind some of its prints, given by their positions: the longest stretch of
    /// prints that follow each other without a gap. `text` is what this was made of.
    #[must_use]
    pub fn passage(&self, text: &str, prints: &[usize]) -> Option<Range<usize>> {
        let follows = |a: &usize, b: &usize| *b > *a && *b - *a <= PRINT_CHARS;
        let longest = prints
            .chunk_by(follows)
            .filter_map(|run| Some(*run.first()?..*run.last()? + 1))
            .max_by_key(|run| (run.len(), Reverse(run.start)))?;
        let mut before = 0;
        for normal in &self.readings {
            let count = (normal.chars().len() + 1).saturating_sub(PRINT_CHARS);
            if longest.start < before + count {
                let end = longest.end.min(before + count);
                return Some(normal.range(text, longest.start - before..end - before + PRINT_CHARS - 1));
            }
            before += count;
        }
        None
    }
}

/// The hashes of values. Hosts are left out where data leaves, since a public address is no secret, and are in it
/// where a text tells an agent what to do, since an address is what it gives away. They come last, so that
/// positions are the same either way.
#[must_use]
pub fn value_hashes(values: &[Value], with_hosts: bool) -> Vec<u64> {
    values.iter().filter(|value| with_hosts || value.kind != Kind::Host).map(|value| value.hash).collect()
}

fn hash(key: &[u8; 16], what: &str, bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(what.as_bytes());
    hasher.write(bytes);
    hasher.finish()
}

/// Spreads the rolling hash over all bits.
const fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 32
}

/// What windows choose by: the low half, so that the high half of what is chosen stays evenly spread.
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn order(hash: u64) -> u32 {
    hash as u32
}

/// Whether a print is of so many different characters that it is no filling, no ruler and no table of noughts.
fn tells_something(chars: &[char], at: usize) -> bool {
    let print = chars.get(at..at + PRINT_CHARS).unwrap_or_default();
    let kinds = print.iter().fold(0_u128, |kinds, char| kinds | 1 << (u32::from(*char) % u128::BITS));
    kinds.count_ones() >= PRINT_KINDS_MIN
}

/// Leaves out those whose hashes end in fewest zeros until no more than `most` are left.
fn sample<T>(items: &mut Vec<T>, most: usize, hash: impl Fn(&T) -> u64) {
    let mut zeros = 0;
    while items.len() > most && zeros < u64::BITS {
        zeros += 1;
        items.retain(|item| hash(item).trailing_zeros() >= zeros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printer() -> Printer {
        Printer::new(*b"0123456789abcdef")
    }

    #[test]
    fn short_texts_have_no_prints_and_keys_make_a_difference() {
        let printer = printer();
        assert_eq!(printer.source("fifteen letters").prints.len(), 0);
        assert_eq!(printer.source("sixteen letters !!").prints.len(), 0);
        let (a, b) = (printer.source("seventeen letters"), printer.source("Seven-teen LETTERS"));
        assert_eq!((a.prints.len(), a == b), (1, true));
        assert_ne!(Printer::new([0; 16]).source("seventeen letters").prints, a.prints);
        assert_eq!(printer.sink("seventeen letters").prints.len(), 1);
        assert!(printer.sink("").prints.is_empty());
    }

    #[test]
    fn labels_do_not_count_but_can_hide_nothing() {
        let printer = printer();
        let shares = |source: &str, sink: &str| {
            let (source, sink) = (printer.source(source), printer.sink(sink));
            source.prints.iter().filter(|(hash, _)| sink.prints.contains(hash)).count()
        };
        let record = r#"{"first_name":null,"last_name":null,"street_address":null,"postal_code":null}"#;
        assert_eq!(shares(record, record), 0, "nothing but names of fields");
        let record = r#"{"name":"Johnathan Smithers","street":"1200 Long Winding Road","city":"Springfield"}"#;
        assert!(shares(record, "Johnathan Smithers, 1200 Long Winding Road, Springfield") > 3);
        assert!(shares(record, "name: Johnathan Smithers; street: 1200 Long Winding Road; city: Springfield") > 3);
        assert!(
            shares(record, r#"{"johnathan_smithers": "1200 long winding road, springfield"}"#) > 3,
            "a label that is none"
        );
    }

    #[test]
    fn hosts_come_last_and_count_only_where_they_are_asked_for() {
        let sink = printer().sink("https://evil.example and W2378156 and https://evil.example/x");
        let kinds: Vec<Kind> = sink.values.iter().map(|value| value.kind).collect();
        assert_eq!(kinds, [Kind::Url, Kind::Token, Kind::Host]);
        let hashes = |with_hosts| value_hashes(&sink.values, with_hosts);
        assert_eq!((hashes(false).len(), hashes(true).len()), (2, 3));
        assert_eq!(hashes(true)[..2], hashes(false)[..]);
    }

    #[test]
    fn words_tell_where_a_name_stems_from() {
        let printer = printer();
        let words =
            printer.words("Please grant permanent access to my friend Amy (guest_amy01) on the August Smart Lock.");
        let rows = [
            ("AugustSmartLockGrantGuestAccess", (6, 6)),
            ("mcp__august__lock_door", (2, 3)),
            ("get_weather", (0, 1)),
            ("tool", (0, 0)),
        ];
        for (name, want) in rows {
            assert_eq!(printer.words_in(&words, name), want, "{name}");
        }
    }

    #[test]
    fn a_passage_is_shown_where_it_stands() {
        let printer = printer();
        let text = "Dear all: the secret plan is to meet at the old mill. Regards";
        let source = printer.source("the SECRET plan is to meet at the old mill");
        let sink = printer.sink(text);
        let found: Vec<usize> = (0..sink.prints.len())
            .filter(|n| source.prints.iter().any(|(hash, _)| Some(hash) == sink.prints.get(*n)))
            .collect();
        let passage = sink.passage(text, &found).expect("there is one");
        assert!(text[passage.clone()].contains("plan is to meet at"), "{}", &text[passage]);
        assert_eq!(sink.passage(text, &[]), None);
    }

    #[test]
    fn a_large_source_is_sampled_evenly() {
        let text: String = (0..20_000).map(|n| format!("{:x} ", n * 2_654_435_761_u64 % 4_294_967_291)).collect();
        let source = printer().source(&text);
        assert!(source.prints.len() <= SOURCE_PRINTS_MAX && source.prints.len() > SOURCE_PRINTS_MAX / 3);
        let half = u32::try_from(text.len() / 2 * 8 / 9).expect("small");
        let first = source.prints.iter().filter(|(_, at)| *at < half).count();
        assert!(first * 3 > source.prints.len() && first * 3 < source.prints.len() * 2, "{first}");
        assert!(source.values.len() <= SOURCE_VALUES_MAX && source.values.len() > SOURCE_VALUES_MAX / 3);
    }

    proptest::proptest! {
        /// Whatever is around it: a passage that is long enough shares a print, and the rolling hash is the
        /// hash of the print alone.
        #[test]
        fn a_long_passage_always_shares_a_print(
            shared in "[a-z0-9]{23,60}",
            (a, b, c, d) in ("[a-z ]{0,40}", "[a-z ]{0,40}", "[a-z ]{0,40}", "[a-z ]{0,40}"),
            gap in "[ .,;!-]{0,3}",
        ) {
            let printer = printer();
            let source = printer.source(&format!("{a}{shared}{b}"));
            let spread: String = shared.chars().flat_map(|char| gap.chars().chain([char])).collect();
            let sink = printer.sink(&format!("{c}{}{d}", spread.to_uppercase()));
            proptest::prop_assert!(source.prints.iter().any(|(hash, _)| sink.prints.contains(hash)));
            let alone = printer.sink(&shared[..PRINT_CHARS]).prints;
            proptest::prop_assert!(sink.prints.contains(&alone[0]));
        }

        /// What is chosen is what winnowing chooses: of every window the smallest, the last where several are.
        #[test]
        fn winnowing_chooses_as_it_is_defined(text in "[ab]{0,80}") {
            let printer = printer();
            let all = printer.sink(&text).prints;
            let mut want: Vec<u32> = all
                .windows(PRINT_WINDOW.min(all.len().max(1)))
                .enumerate()
                .filter_map(|(start, window)| {
                    let least = window.iter().map(|hash| order(*hash)).min()?;
                    let last = window.iter().rposition(|hash| order(*hash) == least)?;
                    u32::try_from(start + last).ok()
                })
                .collect();
            want.dedup();
            let chosen: Vec<u32> = printer.winnowed(&Normal::of(&text)).into_iter().map(|(_, at)| at).collect();
            proptest::prop_assert_eq!(chosen, want);
        }
    }
}
