//! Whether a log is as it was written: every hash, every link, nothing missing, nothing twice with another
//! content.
//!
//! Entries of one chain are expected in their order, those of different chains mixed at will. An entry that
//! comes again just as it was is a redelivery and fine. All problems are reported, each once: an entry that
//! was edited does not count as missing besides. What needs a memory is kept by chain, 64 bytes and its place
//! for each entry.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::Serialize;

use super::entry::{Entry, HASH_PREFIX, ReadError};

/// Most problems that are listed; the rest are counted.
const PROBLEMS_LISTED_MAX: usize = 1_000;

/// The bytes of a SHA-256.
type Hash = [u8; 32];

/// The last entry of a chain, or any other that was noted: `CHAIN:SEQ:sha256:HEX`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Head {
    /// The chain.
    pub chain: String,
    /// Place of the entry in it.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl Head {
    /// The head of a chain that ends with this entry.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        Self { chain: entry.chain.clone(), seq: entry.seq, hash: entry.hash.clone() }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.chain, self.seq, self.hash)
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected CHAIN:SEQ:{HASH_PREFIX}HEX as `audit verify` prints it, got `{text}`");
        let (front, digits) = text.rsplit_once(HASH_PREFIX).ok_or_else(expected)?;
        let (chain, seq) = front.strip_suffix(':').and_then(|front| front.rsplit_once(':')).ok_or_else(expected)?;
        let seq = seq.parse().map_err(|_| expected())?;
        let hash = format!("{HASH_PREFIX}{digits}");
        bytes_of(&hash).ok_or_else(expected)?;
        Ok(Self { chain: chain.to_owned(), seq, hash })
    }
}

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Problem {
    /// A line is not an entry.
    #[error("line {line}: not an entry: {problem}")]
    Unreadable {
        /// Number of the line, from 1.
        line: u64,
        /// What was expected, and what there is.
        problem: String,
    },
    /// The hash of an entry is not that of its content.
    #[error("chain {chain}, entry {seq}: edited: its hash is not that of its content")]
    Edited {
        /// The chain that it names.
        chain: String,
        /// The place that it names.
        seq: u64,
    },
    /// Entries are not there, though a later one is.
    #[error("chain {chain}: missing: entries {from} to {to} are not there")]
    Missing {
        /// The chain.
        chain: String,
        /// The first that is missing.
        from: u64,
        /// The last that is missing.
        to: u64,
    },
    /// An entry comes after one that it should come before.
    #[error("chain {chain}, entry {seq}: reordered: it comes after entry {after}")]
    Reordered {
        /// The chain.
        chain: String,
        /// Place of the entry.
        seq: u64,
        /// The highest place that came before.
        after: u64,
    },
    /// Two entries stand in one place, each with the hash of its own content.
    #[error("chain {chain}, entry {seq}: forked: there are two with different content")]
    Fork {
        /// The chain.
        chain: String,
        /// The place.
        seq: u64,
    },
    /// An entry does not hold the hash of the one before.
    #[error("chain {chain}, entry {seq}: broken link: it does not hold the hash of entry {}", seq - 1)]
    BrokenLink {
        /// The chain.
        chain: String,
        /// Place of the entry.
        seq: u64,
    },
    /// A chain begins after an entry that is not there: the end of an earlier chain was cut off, or this part
    /// of the log does not reach back that far.
    #[error("chain {chain}: unknown start: it begins after {}, which is not there", after.as_ref().unwrap_or(prev))]
    UnknownStart {
        /// The chain.
        chain: String,
        /// The hash that it is linked to.
        prev: String,
        /// Whose hash that is, `CHAIN:SEQ`, as the chain itself says.
        after: Option<String>,
    },
    /// An entry that was noted is not there, or has become another.
    #[error("chain {}, entry {}: expected hash {}, got {}", .expected.chain, .expected.seq, .expected.hash,
        got.as_deref().unwrap_or("no such entry"))]
    Head {
        /// What was noted.
        expected: Head,
        /// The hash of the entry in that place.
        got: Option<String>,
    },
}

/// What a log holds and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Entries that could be read, repeats among them.
    pub entries: u64,
    /// Of these, repeats of one that had come before.
    pub repeats: u64,
    /// Chains.
    pub chains: usize,
    /// The last entry of each chain: note them for the next time.
    pub heads: Vec<Head>,
    /// What is wrong, in the order in which it was found.
    pub problems: Vec<Problem>,
    /// How many more problems there are than are listed.
    pub problems_left_out: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn note(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_LISTED_MAX {
            self.problems.push(problem);
        } else {
            self.problems_left_out += 1;
        }
    }
}

/// Verifies a log. `expected` are entries that must be there with that hash, noted earlier: only they show that
/// the end of a chain to which no later one is linked was cut off.
#[must_use]
pub fn verify(entries: impl Iterator<Item = Result<Entry, ReadError>>, expected: &[Head]) -> Report {
    let mut verifier = Verifier::default();
    for entry in entries {
        match entry {
            Ok(entry) => verifier.take(&entry),
            Err(ReadError { line, problem }) => verifier.report.note(Problem::Unreadable { line, problem }),
        }
    }
    verifier.finish(expected)
}

/// One chain, as far as it was read.
#[derive(Default)]
struct Chain {
    /// Entries whose hash is that of their content, by place.
    links: BTreeMap<u64, Link>,
    /// What the first entry is linked to, unless it is the very first.
    start: Option<Start>,
}

struct Link {
    hash: Hash,
    /// `None` where it is no hash.
    prev: Option<Hash>,
}

struct Start {
    prev: String,
    after: Option<String>,
}

#[derive(Default)]
struct Verifier {
    chains: BTreeMap<String, Chain>,
    /// Places that edited entries name. They make no chain: the name may be what was edited.
    edited: BTreeMap<String, BTreeSet<u64>>,
    /// Both hashes of edited entries: what is linked to one of them is linked to something that is there.
    edited_hashes: BTreeSet<Hash>,
    report: Report,
}

impl Verifier {
    fn take(&mut self, entry: &Entry) {
        self.report.entries += 1;
        let (chain, seq) = (entry.chain.clone(), entry.seq);
        let (digest, stated) = (entry.digest().as_deref().and_then(bytes_of), bytes_of(&entry.hash));
        let Some(hash) = stated.filter(|_| stated == digest) else {
            self.edited_hashes.extend(digest.into_iter().chain(stated));
            self.edited.entry(chain.clone()).or_default().insert(seq);
            self.report.note(Problem::Edited { chain, seq });
            return;
        };
        let known = self.chains.entry(chain.clone()).or_default();
        if let Some(before) = known.links.get(&seq) {
            if before.hash == hash {
                self.report.repeats += 1;
            } else {
                self.report.note(Problem::Fork { chain, seq });
            }
            return;
        }
        if let Some((&after, _)) = known.links.last_key_value().filter(|(last, _)| **last > seq) {
            self.report.note(Problem::Reordered { chain, seq, after });
        }
        if seq == 0 && !entry.prev.is_empty() {
            known.start = Some(Start { prev: entry.prev.clone(), after: after_of(entry) });
        }
        known.links.insert(seq, Link { hash, prev: bytes_of(&entry.prev) });
    }

    fn finish(mut self, expected: &[Head]) -> Report {
        self.check_starts();
        let none = BTreeSet::new();
        for (name, chain) in &self.chains {
            let edited = self.edited.get(name).unwrap_or(&none);
            check_chain(name, chain, edited, &mut self.report);
        }
        for expected in expected {
            let link = self.chains.get(&expected.chain).and_then(|chain| chain.links.get(&expected.seq));
            let got = link.map(|link| text_of(&link.hash));
            if got.as_ref() != Some(&expected.hash) {
                self.report.note(Problem::Head { expected: expected.clone(), got });
            }
        }
        self.report.chains = self.chains.len();
        self.report.heads = self.chains.iter().filter_map(|(name, chain)| head(name, chain)).collect();
        self.report
    }

    /// Once all is read: the log may bring a chain before the end of the one that it is linked to.
    fn check_starts(&mut self) {
        let starts = || self.chains.iter().filter_map(|(name, chain)| Some((name, chain.start.as_ref()?)));
        let mut unknown: BTreeSet<Hash> = starts().filter_map(|(_, start)| bytes_of(&start.prev)).collect();
        unknown.retain(|hash| !self.edited_hashes.contains(hash));
        for link in self.chains.values().flat_map(|chain| chain.links.values()) {
            unknown.remove(&link.hash);
        }
        for (name, start) in starts() {
            if bytes_of(&start.prev).is_none_or(|hash| unknown.contains(&hash)) {
                let (chain, prev, after) = (name.clone(), start.prev.clone(), start.after.clone());
                self.report.note(Problem::UnknownStart { chain, prev, after });
            }
        }
    }
}

fn check_chain(name: &str, chain: &Chain, edited: &BTreeSet<u64>, report: &mut Report) {
    let (mut wanted, mut before) = (0, None);
    for (&seq, link) in &chain.links {
        note_missing(name, wanted, seq, edited, report);
        let is_next = wanted == seq;
        if is_next && before.is_some_and(|before| link.prev != Some(before)) {
            report.note(Problem::BrokenLink { chain: name.to_owned(), seq });
        }
        (wanted, before) = (seq + 1, Some(link.hash));
    }
}

/// The places from `from` up to, and without, `end`, but for those that are edited, as ranges.
fn note_missing(name: &str, mut from: u64, end: u64, edited: &BTreeSet<u64>, report: &mut Report) {
    for there in edited.range(from..end.max(from)).copied().chain([end]) {
        if from < there {
            report.note(Problem::Missing { chain: name.to_owned(), from, to: there - 1 });
        }
        from = there + 1;
    }
}

fn head(name: &str, chain: &Chain) -> Option<Head> {
    let (&seq, link) = chain.links.last_key_value()?;
    Some(Head { chain: name.to_owned(), seq, hash: text_of(&link.hash) })
}

/// What a start entry says that it comes after, for people; the link itself is the hash.
fn after_of(entry: &Entry) -> Option<String> {
    let after = entry.detail.get("after")?;
    Some(format!("{}:{}", after.get("chain")?.as_str()?, after.get("seq")?.as_u64()?))
}

/// The bytes of a hash as text; `None` where it is spelt in another way.
fn bytes_of(hash: &str) -> Option<Hash> {
    let digits = hash.strip_prefix(HASH_PREFIX)?.as_bytes();
    let mut bytes = [0; 32];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value_of(high)? << 4 | value_of(low)?;
    }
    Some(bytes)
}

/// The value of a lower-case hex digit.
fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn text_of(hash: &Hash) -> String {
    hash.iter().fold(HASH_PREFIX.to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
