//! Far more than is usual for this very key.
//!
//! Each key has a sliding window, whose value is compared with the key's own baseline at every event.
//! The baseline is learnt from closed buckets of the window's length. A key that is too young for one
//! is compared with the average of its peers, and the finding says so; while neither is known nothing
//! is found.
//!
//! | file | what |
//! |---|---|
//! | `params` | what a rule asks for, and the constants that follow |
//! | `exact` `decay` `moments` `histogram` | arithmetic that gives the same bits everywhere |
//! | `baseline` `hours` `group` | what is usual: for a key, for its hours of the day, for its peers |
//! | `usual` `cusum` | where a value, or an excess over buckets, is a spike |
//! | `history` `watch` | state of a key: what outlives its window, and what a release clears |
//!
//! # Against being taught
//!
//! - A bucket in alarm teaches nothing, until the alarm has lasted for `warm_up` buckets: then it is no
//!   spike any more but a new level, and is learnt, slowly. Otherwise the key would stay in alarm, and
//!   thereby silent, for ever.
//! - What is learnt is cut three standard deviations above the mean.
//! - The usual is the smaller of a near and a lagged mean, so that a ramp does not hide itself. Once the
//!   lagged memory is some weeks old a ramp that doubles within a day is found at two to five times of
//!   what it began with; a slower one, or one against a young key, is for the CUSUM, or for a fixed limit.
//! - A release by an operator clears windows and alarms. What is usual stays: a release settles what
//!   was counted, not what is normal.
//!
//! # What is not done
//!
//! An event that comes late counts in the sliding window where that still reaches; the closed bucket in
//! which it lies, and what was learnt from that, are not corrected. A window that slides is looked at in
//! more places than buckets, so chance exceeds `one_in` up to five times as often as the number says; for
//! strong bursts and in the first hours ten times, before the other gates.

mod baseline;
mod cusum;
mod decay;
mod exact;
mod group;
mod histogram;
mod history;
mod hours;
mod moments;
mod params;
mod usual;
mod watch;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic_tests;

pub use params::{SpikeMethod, SpikeParams};

use group::Group;
use history::History;
use params::{Shape, Tuning};
use usual::Usual;
use watch::{Judged, Watch};

use crate::limits::BASELINE_KEYS_MAX;
use crate::time::{Millis, Span};
use crate::window::{Keyed, Saved};

/// Steps of expiry for each observation: more than one, so that the maps shrink faster than they grow.
const EXPIRE_STEPS: usize = 4;

/// A value far above the usual; once an episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spike {
    /// Amount in the sliding window now, in the unit that amounts come in.
    pub value: i64,
    /// Mean of a usual bucket in ones, to one decimal; for the quantile its 99th percentile.
    pub usual: f64,
    /// Standard deviation of a usual bucket in ones, to one decimal; for the quantile zero.
    pub deviation: f64,
    /// The value, or for a CUSUM the excess, from which on it is a spike; in ones, to one decimal.
    pub needed: f64,
    /// Only for a CUSUM.
    pub excess: Option<Excess>,
    /// Whether the usual is that of its peers, because the key itself is too young.
    pub of_peers: bool,
    /// Closed buckets that the usual was learnt from.
    pub buckets_seen: u32,
    /// How it was compared.
    pub method: SpikeMethod,
    /// Number of the window-length slot in which it crossed.
    pub bucket: i64,
}

/// What has been added up above the usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Excess {
    /// In ones, to one decimal.
    pub amount: f64,
    /// Start of its first bucket.
    pub since: Millis,
}

/// One spike rule over all of its keys.
#[derive(Debug)]
pub struct SpikeDetector {
    tuning: Tuning,
    histories: Keyed<History>,
    groups: Keyed<Group>,
    watches: Keyed<Watch>,
}

/// What a detector remembers, to be written down; reads as [`SpikeSaved`].
#[derive(Debug, serde::Serialize)]
pub struct SpikeSaving<'a> {
    shape: Shape,
    histories: &'a Keyed<History>,
    groups: &'a Keyed<Group>,
    watches: &'a Keyed<Watch>,
}

/// What a detector remembered, to be given back.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SpikeSaved {
    shape: Shape,
    histories: Saved<History>,
    groups: Saved<Group>,
    watches: Saved<Watch>,
}

impl SpikeDetector {
    /// A detector without any history.
    #[must_use]
    pub fn new(params: SpikeParams) -> Self {
        let tuning = Tuning::new(&params);
        Self {
            histories: Keyed::new(tuning.kept(), BASELINE_KEYS_MAX),
            groups: Keyed::new(tuning.kept(), BASELINE_KEYS_MAX),
            watches: Keyed::new(tuning.watched(), BASELINE_KEYS_MAX),
            tuning,
        }
    }

    /// What is remembered now.
    #[must_use]
    pub fn save(&self) -> SpikeSaving<'_> {
        SpikeSaving {
            shape: self.tuning.shape(),
            histories: &self.histories,
            groups: &self.groups,
            watches: &self.watches,
        }
    }

    /// Goes on from what was remembered, under its own thresholds. What was learnt with another window,
    /// unit, method or season means nothing here and is left out.
    pub fn restore(&mut self, saved: SpikeSaved) {
        if saved.shape == self.tuning.shape() {
            let (kept, watched) = (self.tuning.kept(), self.tuning.watched());
            self.histories = Keyed::restore(saved.histories, kept, BASELINE_KEYS_MAX);
            self.groups = Keyed::restore(saved.groups, kept, BASELINE_KEYS_MAX);
            self.watches = Keyed::restore(saved.watches, watched, BASELINE_KEYS_MAX);
        }
    }

    /// Length of the window: how far back a replay must reach to rebuild windows. Baselines cannot be
    /// rebuilt, only saved.
    #[must_use]
    pub fn span(&self) -> Span {
        self.tuning.window
    }

    /// Counts one event of a key, whose peers are the other keys of the same group. Says so when that
    /// makes it a spike.
    pub fn observe(&mut self, key: u128, peers: Option<u128>, owner: u128, at: Millis, amount: i64) -> Option<Spike> {
        self.expire(at, EXPIRE_STEPS);
        let tuning = &self.tuning;
        let watch = self.watches.touch(key, at, || Watch::new(owner));
        if !watch.add(tuning, at, amount) {
            return None;
        }
        let (bucket, ones, size) = (tuning.bucket(at), tuning.ones(amount), watch.size(tuning));
        let history = self.histories.touch(key, at, || History::new(tuning, bucket));
        history.roll(tuning, bucket);
        let mut group = peers.map(|peers| self.groups.touch(peers, at, || Group::new(bucket)));
        if let Some(group) = &mut group {
            group.roll(tuning, bucket);
        }
        let peers = group.as_ref().and_then(|group| group.usual(tuning, size));
        let spike = match basis(tuning, history.usual(tuning, size), peers) {
            Some((usual, of_peers)) => {
                let judged = watch.judge(tuning, &usual, bucket, ones);
                let raised = watch.set_alarm(judged, bucket);
                raised.then(|| Spike::new(tuning, watch, &usual, judged, of_peers, bucket))
            }
            None => {
                watch.stand_down();
                None
            }
        };
        learn(tuning, watch, history, group, bucket, ones);
        spike
    }

    /// Forgets windows and alarms of one owner; baselines stay.
    pub fn reset(&mut self, owner: u128) {
        self.watches.retain(|watch| !watch.is_of(owner));
    }

    /// Forgets windows that nothing was added to for their whole length, and baselines after four
    /// half-lives of silence.
    pub fn expire(&mut self, now: Millis, steps: usize) {
        self.watches.expire(now, steps);
        self.histories.expire(now, steps);
        self.groups.expire(now, steps);
    }

    /// Copies what is remembered of a key into another detector of the same rule, which tells again of what was
    /// told here. Nothing changes here.
    pub fn copy(&self, key: u128, into: &mut Self) {
        self.histories.copy(key, &mut into.histories);
        self.groups.copy(key, &mut into.groups);
        self.watches.copy(key, &mut into.watches);
        if let Some(watch) = into.watches.get_mut(key) {
            watch.tell_again();
        }
    }

    /// Number of keys with a baseline.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.histories.len()
    }

    /// Keys and groups that were forgotten because there were too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.histories.evicted() + self.groups.evicted()
    }
}

/// What a key is compared with, and whether that is its peers. Its own past where there is enough of
/// it; where that holds little but silence, no less than what its peers do.
fn basis(tuning: &Tuning, own: Option<Usual>, peers: Option<Usual>) -> Option<(Usual, bool)> {
    match (own, peers) {
        (Some(own), Some(peers)) if own.is_sparse(tuning) && peers.mean > own.mean => Some((peers, true)),
        (Some(own), _) => Some((own, false)),
        (None, Some(peers)) => Some((peers, true)),
        (None, None) => None,
    }
}

/// Takes the event into the key's open bucket and its group's, unless it is part of a spike.
fn learn(tuning: &Tuning, watch: &Watch, history: &mut History, group: Option<&mut Group>, bucket: i64, amount: f64) {
    if bucket != history.bucket() {
        return;
    }
    let (before, after) = history.add(amount);
    if watch.is_in_fresh_alarm(tuning, bucket) {
        history.set_in_alarm();
    }
    if let Some(group) = group.filter(|_| !history.is_in_alarm()) {
        group.take(tuning, before, after);
    }
}

impl Spike {
    fn new(tuning: &Tuning, watch: &Watch, usual: &Usual, judged: Judged, of_peers: bool, bucket: i64) -> Self {
        let (middle, deviation) = match tuning.method {
            SpikeMethod::Quantile => (usual.percentile, 0.0),
            _ => (usual.mean, usual.variance.sqrt()),
        };
        let since = watch.since().map(|bucket| tuning.start(bucket));
        Self {
            value: watch.value(),
            usual: to_one_decimal(middle),
            deviation: to_one_decimal(deviation),
            needed: to_one_decimal(judged.needed),
            excess: since.map(|since| Excess { amount: to_one_decimal(judged.reached), since }),
            of_peers,
            buckets_seen: usual.seen,
            method: tuning.method,
            bucket,
        }
    }
}

fn to_one_decimal(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
