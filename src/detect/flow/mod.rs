//! What a source gave and a sink sends out: copies that leave, at once or piece by piece.
//!
//! A source is a text that was read; it is known by the hashes of its prints (some of its runs of letters and
//! digits) and values (its distinctive tokens). What leaves is looked up in the sources of its key. A source
//! has left when so many of its values, or prints that cover so many of its characters, were seen in all that
//! has left so far. Then it is told once, and again when twice as much has left.
//!
//! What stands in texts that everybody may know (the user's own words) never counts, from before the source or
//! after. A sink counts against every source that came before it in order of arrival and is not older than the
//! limit by its time; an event is never its own source.
//!
//! What is kept of a key is bounded. When there is too much of it, the largest sources get coarser, so that
//! reading much that is harmless does not push out what is not: of as many full sources as there may be, each
//! still has its share of prints, spread over its text. A source that leaves as a whole is still seen then; of
//! a single sentence it is a matter of luck. Sources go as a whole, the oldest first, only beyond their number.
//! The more keys there are, the coarser are all sources that are added.

mod known;
mod table;
mod traces;

use serde::{Deserialize, Serialize};

use self::known::Known;
use self::traces::Traces;
use super::rate::EXPIRE_STEPS;
use crate::limits::{
    FLOW_ENTRIES_MAX, FLOW_KEYS_MAX, FLOW_KNOWN_KEYS_MAX, FLOW_PRINTS_MAX, FLOW_PRINTS_MIN, FLOW_VALUES_MAX,
    FLOW_VALUES_MIN,
};
use crate::time::{Millis, Span};
use crate::window::{Keyed, Saved};

/// When a source has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowPlan {
    /// How long a source is remembered.
    pub within: Span,
    /// So many of its values; `u32::MAX` for never.
    pub values_min: u32,
    /// So many of its characters (letters and digits); `u32::MAX` for never.
    pub chars_min: u32,
}

/// The hashes of a text that is remembered.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceHashes<'a> {
    /// Some of its prints, and where they start in its letters and digits.
    pub prints: &'a [(u64, u32)],
    /// Its values.
    pub values: &'a [u64],
    /// Its words, sorted; only where names of tools are to be traced to it.
    pub words: &'a [u32],
}

/// The hashes of a text that leaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinkHashes<'a> {
    /// All of its prints.
    pub prints: &'a [u64],
    /// Its values.
    pub values: &'a [u64],
    /// The words of the tool's name, each once; empty where the name says nothing.
    pub name: &'a [u32],
}

/// A source that has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Mark of the source's event.
    pub source_mark: i64,
    /// Time of the source's event.
    pub source_at: Millis,
    /// Positions of the values of this sink that are the source's.
    pub values: Vec<usize>,
    /// Positions of the prints of this sink that are the source's.
    pub prints: Vec<usize>,
    /// Positions of the words of the name that are the source's, where the name stems from it.
    pub name: Vec<usize>,
    /// Values of the source that have left so far.
    pub values_left: u32,
    /// About so many characters of the source have left so far.
    pub chars: u32,
}

/// One rule about what must not flow, over all of its keys.
#[derive(Debug)]
pub struct FlowDetector {
    plan: FlowPlan,
    /// What was read and may leave; a key without a source has no entry.
    traces: Keyed<Traces>,
    known: Keyed<Known>,
}

/// What a detector remembers, to be written down; reads as [`FlowSaved`].
#[derive(Debug, Serialize)]
pub struct FlowSaving<'a> {
    traces: &'a Keyed<Traces>,
    known: &'a Keyed<Known>,
}

/// What a detector remembered, to be given back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FlowSaved {
    traces: Saved<Traces>,
    known: Saved<Known>,
}

impl FlowDetector {
    /// A detector that knows no source.
    #[must_use]
    pub fn new(plan: FlowPlan) -> Self {
        let traces = Keyed::new(plan.within, FLOW_KEYS_MAX);
        Self { plan, traces, known: Keyed::new(known_idle(plan.within), FLOW_KNOWN_KEYS_MAX) }
    }

    /// How far back a replay must reach to know what this one knows.
    #[must_use]
    pub fn span(&self) -> Span {
        known_idle(self.plan.within)
    }

    /// Remembers a text that was read. The texts of one event, by its mark, are one source.
    pub fn source(&mut self, key: u128, owner: u128, at: Millis, mark: i64, text: SourceHashes<'_>) {
        self.expire(at, EXPIRE_STEPS);
        if text.prints.is_empty() && text.values.is_empty() && text.words.is_empty() {
            return;
        }
        if self.known.get(key).is_some() {
            // What its user said is remembered for as long as the key is read for.
            self.known.touch(key, at, Known::default);
        }
        let traces = self.traces.touch(key, at, || Traces::new(owner));
        traces.add(at, mark, text, self.known.get(key), self.plan);
        let (prints, values) = room(self.traces.len());
        if let Some(traces) = self.traces.get_mut(key) {
            traces.thin(prints, values);
        }
    }

    /// Remembers a text that everybody may know: what stands in it never counts.
    pub fn known(&mut self, key: u128, at: Millis, text: SourceHashes<'_>) {
        self.known.expire(at, EXPIRE_STEPS);
        if text.prints.is_empty() && text.values.is_empty() && text.words.is_empty() {
            return;
        }
        let keys = self.known.len();
        self.known.touch(key, at, Known::default).add(text, keys);
        if let Some(traces) = self.traces.get_mut(key) {
            traces.know(text);
        }
    }

    /// Whether anything that was read for this key may leave.
    #[must_use]
    pub fn has_sources(&self, key: u128) -> bool {
        self.traces.get(key).is_some_and(|traces| !traces.is_empty())
    }

    /// Looks a text that leaves up in the sources of its key. Says which source has left with it; of several
    /// the one of which most has.
    pub fn sink(&mut self, key: u128, at: Millis, mark: i64, text: SinkHashes<'_>) -> Option<Flow> {
        let traces = self.traces.get_mut(key)?;
        traces.sink(at, mark, text, self.known.get(key), self.plan)
    }

    /// Forgets all sources of one owner: what was read before an operator's release is settled. What is known
    /// stays known, since it can only keep a flow from being told.
    pub fn reset(&mut self, owner: u128) {
        self.traces.retain(|traces| !traces.is_of(owner));
    }

    /// Forgets keys that nothing was read for.
    pub fn expire(&mut self, now: Millis, steps: usize) {
        self.traces.expire(now, steps);
        self.known.expire(now, steps);
    }

    /// Number of keys with sources.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.traces.len()
    }

    /// Keys that were forgotten because there were too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.traces.evicted() + self.known.evicted()
    }

    /// What is remembered now.
    #[must_use]
    pub fn save(&self) -> FlowSaving<'_> {
        FlowSaving { traces: &self.traces, known: &self.known }
    }

    /// Goes on from what was remembered.
    pub fn restore(&mut self, saved: FlowSaved) {
        self.traces = Keyed::restore(saved.traces, self.plan.within, FLOW_KEYS_MAX);
        self.known = Keyed::restore(saved.known, known_idle(self.plan.within), FLOW_KNOWN_KEYS_MAX);
    }
}

/// A user says what he wants before anything is read for it.
fn known_idle(within: Span) -> Span {
    within + within
}

/// The most prints and values of one key, where there are so many keys.
fn room(keys: usize) -> (usize, usize) {
    let share = FLOW_ENTRIES_MAX / keys.max(1);
    let part = FLOW_PRINTS_MAX / FLOW_VALUES_MAX;
    (share.clamp(FLOW_PRINTS_MIN, FLOW_PRINTS_MAX), (share / part).clamp(FLOW_VALUES_MIN, FLOW_VALUES_MAX))
}

#[cfg(test)]
mod tests;
