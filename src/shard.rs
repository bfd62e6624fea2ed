//! One shard: records of one partition in order, through the parser and the engine, out as entries of
//! the ledger.
//!
//! A shard belongs to one worker thread and shares nothing. It knows how far it has come and from
//! where a replay would have to begin; it does not write anything itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::engine::{At, Effect, Engine, HashKey, Input, Program, Settings};
use crate::event::{Kind, Parsed, Reason, Rejected, parse};
use crate::finding::Finding;
use crate::halt::HaltRecord;
use crate::ids::ShardId;
use crate::io::clock;
use crate::io::fleet::Assignment;
use crate::io::ledger::{Entry, Stream};
use crate::io::orders::entry;
use crate::io::record::{Mark, RecordView};
use crate::limits::{CLOCK_AHEAD, DEAD_LETTER_BYTES_MAX, LATENESS};
use crate::time::{Millis, Span};

/// Every so many events the engine's time is taken.
const TIMED_EVERY: u64 = 16;
/// Slots of the replay ring.
const REPLAY_SLOTS: i64 = 64;

/// The state of one partition.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    engine: Engine,
    silent_until: i64,
    next: i64,
    complete: bool,
    replay: ReplayRing,
    effects: Vec<Effect>,
    hash_key: HashKey,
}

/// What a batch of records gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// To be durable first: findings, halt events, dead letters.
    pub first: Vec<Entry>,
    /// To be durable after that: the halts view. A halt in the view without its event would never be
    /// told to anyone.
    pub second: Vec<Entry>,
    /// The findings.
    pub findings: Vec<Finding>,
    /// The halts.
    pub halts: Vec<HaltNotice>,
}

/// A halt and the time of the record that caused it.
#[derive(Clone, Debug)]
pub struct HaltNotice {
    /// The halt.
    pub record: HaltRecord,
    /// When the log took the record behind it.
    pub append: Option<Millis>,
    /// Event to durable halt in seconds; set when it is durable.
    pub latency_seconds: Option<f64>,
}

/// What a worker counts between two visits to the shared metrics.
#[derive(Debug, Default)]
pub struct Tally {
    /// Events by position in [`Kind::ALL`].
    pub kinds: [u64; Kind::ALL.len()],
    /// Rejected records by position in [`Reason::ALL`].
    pub rejected: [u64; Reason::ALL.len()],
    /// Events with problems.
    pub problems: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Append times of the records, for their latency at the end of the batch.
    pub appended: Vec<Millis>,
    /// Samples of the engine's time for one event, in seconds.
    pub step_seconds: Vec<f64>,
    events: u64,
}

impl Shard {
    /// A shard that begins where the assignment says, knowing these halts.
    #[must_use]
    pub fn new(assignment: Assignment, program: Arc<Program>, settings: Settings, halts: &[HaltRecord]) -> Self {
        let horizon = program.horizon() + LATENESS + CLOCK_AHEAD;
        let id = assignment.shard;
        let mut engine = Engine::new(id.clone(), program, settings);
        let at = At { offset: -1, append: None, silent: true };
        let concerns = |record: &&HaltRecord| {
            record.origin.as_ref().is_none_or(|o| o.topic == id.topic && o.partition == id.partition)
        };
        for record in halts.iter().filter(concerns) {
            engine.step(at, Input::Halt(record), &mut Vec::new());
        }
        if let Some(watermark) = assignment.watermark {
            engine.raise_watermark(watermark);
        }
        Self {
            id,
            engine,
            silent_until: assignment.silent_until,
            next: assignment.silent_until,
            complete: assignment.complete,
            replay: ReplayRing::new(horizon),
            effects: Vec::new(),
            hash_key: settings.hash_key,
        }
    }

    /// Which partition it is.
    #[must_use]
    pub fn id(&self) -> &ShardId {
        &self.id
    }

    /// The state machine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether the log still held all that the windows need.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How far it has come.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            next: self.next,
            replay_from: self.replay.first().unwrap_or(self.next).min(self.next),
            watermark: self.engine.watermark(),
        }
    }

    /// Takes one record and adds what follows from it to `outcome`.
    pub fn feed(&mut self, record: RecordView<'_>, outcome: &mut Outcome, tally: &mut Tally) {
        let silent = record.offset < self.silent_until;
        let at = At { offset: record.offset, append: record.append, silent };
        tally.bytes += record.payload.len() as u64;
        match parse(record.payload) {
            Ok(parsed) => self.event(at, &parsed, record, tally),
            Err(rejected) => self.malformed(at, &rejected, record, outcome, tally),
        }
        self.next = self.next.max(record.offset + 1);
        self.replay.note(record.append.unwrap_or(self.engine.watermark()), record.offset);
        self.collect(record.append, outcome);
    }

    /// Passes an input on that is no record: a halt, new rules, the passing of time.
    pub fn tell(&mut self, input: Input<'_>, now: Option<Millis>) {
        let at = At { offset: self.next, append: now, silent: true };
        self.engine.step(at, input, &mut self.effects);
        self.effects.clear();
    }

    fn event(&mut self, at: At, parsed: &Parsed<'_>, record: RecordView<'_>, tally: &mut Tally) {
        if let Some(count) = Kind::ALL.iter().position(|k| *k == parsed.event.kind).and_then(|k| tally.kinds.get_mut(k))
        {
            *count += u64::from(!at.silent);
        }
        tally.problems += u64::from(!parsed.problems.is_empty() && !at.silent);
        tally.appended.extend(record.append.filter(|_| !at.silent));
        tally.events += 1;
        let digest = self.hash_key.digest(record.payload);
        let began = tally.events.is_multiple_of(TIMED_EVERY).then(Instant::now);
        self.engine.step(at, Input::Event { event: &parsed.event, digest }, &mut self.effects);
        tally.step_seconds.extend(began.map(|began| began.elapsed().as_secs_f64()));
    }

    /// A record with a small defect is read as an event all the same; either way it is kept as
    /// evidence of what came.
    fn malformed(
        &mut self,
        at: At,
        rejected: &Rejected,
        record: RecordView<'_>,
        outcome: &mut Outcome,
        tally: &mut Tally,
    ) {
        let repaired = rejected.repaired(record.payload);
        let reread = repaired.as_deref().and_then(|bytes| parse(bytes).ok());
        if !at.silent {
            if let Some(count) =
                Reason::ALL.iter().position(|r| *r == rejected.reason).and_then(|r| tally.rejected.get_mut(r))
            {
                *count += 1;
            }
            outcome.first.push(dead_letter(&self.engine, rejected, record, reread.is_some()));
        }
        match reread {
            Some(parsed) => self.event(at, &parsed, record, tally),
            None => {
                let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
                let input = Input::Malformed { rejected, bytes: record.payload, key };
                self.engine.step(at, input, &mut self.effects);
            }
        }
    }

    fn collect(&mut self, append: Option<Millis>, outcome: &mut Outcome) {
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Finding(finding) => {
                    outcome.first.extend(finding_entry(&finding));
                    outcome.findings.push(finding);
                }
                Effect::Halt(mut record) => {
                    record.written = Some(clock::now());
                    outcome.first.extend(entry(&record, Stream::HaltEvents));
                    outcome.second.extend(entry(&record, Stream::Halts));
                    outcome.halts.push(HaltNotice { record, append, latency_seconds: None });
                }
            }
        }
    }
}

fn finding_entry(finding: &Finding) -> Option<Entry> {
    let value = serde_json::to_vec(finding).ok()?;
    Some(Entry { stream: Stream::Findings, key: finding.session.to_string(), value, headers: Vec::new() })
}

/// The record as it came, its secrets masked, cut to the bound, with why and where from.
fn dead_letter(engine: &Engine, rejected: &Rejected, record: RecordView<'_>, repaired: bool) -> Entry {
    let mask = |text: &str| engine.mask(text);
    let masked = engine.mask_record(record.payload);
    let is_masked = masked.is_some();
    let kept = record.payload.get(..DEAD_LETTER_BYTES_MAX).unwrap_or(record.payload);
    let mut headers = vec![
        ("reason", rejected.reason.as_str().to_owned()),
        ("detail", mask(&rejected.detail)),
        ("topic", record.topic.to_owned()),
        ("partition", record.partition.to_string()),
        ("offset", record.offset.to_string()),
        ("attempt", "1".to_owned()),
    ];
    headers.extend(record.append.map(|append| ("timestamp", append.to_string())));
    headers.extend(rejected.session.as_deref().map(|session| ("session", mask(session))));
    headers.extend(rejected.tenant.as_deref().map(|tenant| ("tenant", mask(tenant))));
    if repaired {
        headers.push(("repaired", "true".to_owned()));
    }
    if is_masked {
        headers.push(("masked", "true".to_owned()));
    }
    if kept.len() < record.payload.len() {
        headers.push(("bytes", record.payload.len().to_string()));
    }
    // Next to all but the secret, a digest of the whole would let a short secret be found by trying.
    if kept.len() < record.payload.len() && !is_masked {
        let digest: String = Sha256::digest(record.payload).iter().map(|byte| format!("{byte:02x}")).collect();
        headers.push(("sha256", digest));
    }
    let key = record.key.map(|key| String::from_utf8_lossy(key).into_owned()).or_else(|| rejected.session.clone());
    let value = masked.map_or_else(|| kept.to_vec(), String::into_bytes);
    Entry { stream: Stream::DeadLetters, key: mask(&key.unwrap_or_default()), value, headers }
}

/// The first offset of each slot of time within the horizon: where a replay has to begin.
#[derive(Debug)]
struct ReplayRing {
    horizon: Span,
    slots: VecDeque<(i64, i64)>,
}

impl ReplayRing {
    fn new(horizon: Span) -> Self {
        Self { horizon, slots: VecDeque::new() }
    }

    fn note(&mut self, append: Millis, offset: i64) {
        let width = (self.horizon.0 / REPLAY_SLOTS).max(1);
        let slot = append.0.div_euclid(width);
        if self.slots.back().is_none_or(|(last, _)| *last < slot) {
            self.slots.push_back((slot, offset));
        }
        let oldest = slot - REPLAY_SLOTS - 1;
        while self.slots.front().is_some_and(|(first, _)| *first < oldest) {
            self.slots.pop_front();
        }
    }

    fn first(&self) -> Option<i64> {
        self.slots.front().map(|(_, offset)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_begins_a_horizon_back() {
        let mut ring = ReplayRing::new(Span(64_000));
        for second in 0..200 {
            ring.note(Millis(second * 1_000), second);
        }
        let first = ring.first().expect("has slots");
        assert!((130..=135).contains(&first), "{first}");
        assert!(ring.slots.len() <= 68);
    }

    #[test]
    fn a_pause_longer_than_the_horizon_leaves_nothing_to_replay() {
        let mut ring = ReplayRing::new(Span(64_000));
        ring.note(Millis(0), 5);
        ring.note(Millis(1_000_000), 6);
        assert_eq!(ring.first(), Some(6));
        ring.note(Millis(1_030_000), 7);
        assert_eq!(ring.first(), Some(6));
    }
}
