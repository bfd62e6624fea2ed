//! What is usual for a key, an hour or a group: learnt from closed buckets, slow to be fooled.
//!
//! Two memories, one eight times as slow. What is usual is the smaller mean of the two: a ramp that
//! teaches the near one is still unusual for the lagged one, and after a decline the near one knows it
//! first. Being busy by day and quiet by night does not make the near one jump: it has seen both, so
//! its variance is large.
//!
//! Once it is warm, a value counts for no more than three standard deviations above the mean. That
//! bounds how fast it can be stretched: with every bucket at that limit the lagged spread takes two
//! half-lives to double, once it has seen more than that. Growth that is slower is taken for growth.
//!
//! Cutting makes the spread of honest bursts too small. So how much buckets swing from one to the next
//! is kept uncut as well, and the spread may be up to twice of what the cut values say. Bursts swing; a
//! ramp does not, and gains nothing by it.

use super::decay::{Decay, Decays};
use super::histogram::Histogram;
use super::moments::Moments;
use super::params::{SpikeMethod, Tuning};
use super::usual::Usual;

/// Standard deviations above the mean beyond which a value counts no more.
const LEARN_DEVIATIONS: f64 = 3.0;

/// Means closer than this are the same, and differ by rounding only.
const CLEARLY: f64 = 1.0 - 1e-9;

/// How much larger than the cut variance that of the swings may be.
const SWINGS_TIMES: f64 = 4.0;

/// Decayed sums over closed buckets.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Baseline {
    near: Moments,
    lagged: Moments,
    /// Half the squares of differences between buckets that follow each other: a variance that knows no
    /// trend. Uncut, with the lagged memory.
    swings: f64,
    /// The bucket that was closed last.
    last: f64,
    /// Events behind the near sum.
    events: f64,
    /// Closed buckets, empty ones among them.
    seen: u32,
    /// Closed buckets with an event.
    active: u32,
    /// Only for the quantile, with the lagged memory: one in a hundred buckets needs many.
    histogram: Option<Box<Histogram>>,
}

/// What one bucket holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Bucket {
    pub(super) amount: f64,
    pub(super) events: u32,
}

impl Bucket {
    pub(super) fn with(self, amount: f64) -> Self {
        Self { amount: self.amount + amount, events: self.events.saturating_add(1) }
    }

    /// Of one event on average.
    fn size(self) -> f64 {
        if self.events > 0 { self.amount / f64::from(self.events) } else { 0.0 }
    }
}

impl Baseline {
    /// Closes a bucket with events.
    pub(super) fn learn(&mut self, tuning: &Tuning, decays: Decays, bucket: Bucket) {
        let limits = self.limits(tuning, bucket);
        self.fade(decays, 1);
        self.take(tuning, limits, Bucket::default(), bucket);
        self.swing_to(bucket.amount.min(limits.unusual));
    }

    /// Closes so many empty buckets.
    pub(super) fn pass(&mut self, tuning: &Tuning, decays: Decays, buckets: u64) {
        self.swing_to(0.0);
        self.fade(decays, buckets);
        let weight = |decay: Decay| decay.weight(decay.after(buckets));
        self.near.weight += weight(decays.near);
        self.lagged.weight += weight(decays.lagged);
        if tuning.method == SpikeMethod::Quantile {
            self.histogram.get_or_insert_default().add(0.0, tuning.step, weight(decays.lagged));
        }
        self.seen = self.seen.saturating_add(u32::try_from(buckets).unwrap_or(u32::MAX));
    }

    /// Lets time go by without any bucket.
    pub(super) fn fade(&mut self, decays: Decays, buckets: u64) {
        let (near, lagged) = (decays.near.after(buckets), decays.lagged.after(buckets));
        self.near.fade(near);
        self.events *= near;
        self.lagged.fade(lagged);
        self.swings *= lagged;
        if let Some(histogram) = &mut self.histogram {
            histogram.fade(lagged);
        }
    }

    /// Takes in that a bucket has grown from `before` to `after`.
    pub(super) fn take(&mut self, tuning: &Tuning, limits: Limits, before: Bucket, after: Bucket) {
        if before.events == 0 {
            self.near.weight += 1.0;
            self.lagged.weight += 1.0;
            self.seen = self.seen.saturating_add(1);
            self.active = self.active.saturating_add(1);
        }
        let near = (before.amount.min(limits.near), after.amount.min(limits.near));
        self.near.change(near.0, near.1);
        self.lagged.change(before.amount.min(limits.lagged), after.amount.min(limits.lagged));
        // An amount that is cut has as many events fewer, so that the size of one stays what it is.
        let kept = |part: f64, bucket: Bucket| {
            if bucket.amount > 0.0 { part / bucket.amount * f64::from(bucket.events) } else { 0.0 }
        };
        self.events += kept(near.1, after) - kept(near.0, before);
        if tuning.method == SpikeMethod::Quantile {
            let histogram = self.histogram.get_or_insert_default();
            if before.events > 0 {
                histogram.add(before.amount.min(limits.unusual), tuning.step, -1.0);
            }
            histogram.add(after.amount.min(limits.unusual), tuning.step, 1.0);
        }
    }

    /// As [`Self::take`], for a bucket of one among many: it swings away from what is usual for them.
    pub(super) fn take_of_member(&mut self, tuning: &Tuning, usual: &Self, before: Bucket, after: Bucket) {
        let limits = usual.limits(tuning, after);
        self.take(tuning, limits, before, after);
        let mean = usual.lagged.mean();
        let swing = |bucket: Bucket| {
            let swing = bucket.amount.min(limits.unusual) - mean;
            if bucket.events > 0 { swing * swing } else { 0.0 }
        };
        self.swings += swing(after) - swing(before);
    }

    fn swing_to(&mut self, value: f64) {
        let swing = value - self.last;
        self.swings += swing * swing / 2.0;
        self.last = value;
    }

    /// How much of a bucket counts at most.
    fn limits(&self, tuning: &Tuning, bucket: Bucket) -> Limits {
        if !self.is_warm(tuning) {
            return Limits { near: f64::INFINITY, lagged: f64::INFINITY, unusual: f64::INFINITY };
        }
        let usual = self.usual(tuning, bucket.size());
        // One event more than the usual is always learnt, or nothing would ever grow from zero.
        let limit =
            |m: &Moments| m.mean() + LEARN_DEVIATIONS * (m.variance(usual.size) + usual.size * usual.size).sqrt();
        Limits { near: limit(&self.near), lagged: limit(&self.lagged), unusual: usual.unusual(tuning) }
    }

    /// Adds what another one has learnt in the same time.
    pub(super) fn merge(&mut self, other: &Self) {
        self.near.merge(&other.near);
        self.lagged.merge(&other.lagged);
        self.swings += other.swings;
        self.events += other.events;
        self.seen = self.seen.saturating_add(other.seen);
        self.active = self.active.saturating_add(other.active);
        if let Some(more) = &other.histogram {
            self.histogram.get_or_insert_default().merge(more);
        }
    }

    pub(super) fn is_warm(&self, tuning: &Tuning) -> bool {
        self.seen >= tuning.warm_up
    }

    /// What is usual in a bucket, as far as it is known; `size` is that of an event now, where the past
    /// had nothing in it.
    pub(super) fn usual(&self, tuning: &Tuning, size: f64) -> Usual {
        let size = if self.near.sum > 0.0 && self.events > 0.0 { self.near.sum / self.events } else { size };
        let moments = if self.lagged.mean() < CLEARLY * self.near.mean() { &self.lagged } else { &self.near };
        let (mean, cut) = (moments.mean(), moments.variance(size));
        let swings = self.swings / self.lagged.weight.max(1.0);
        Usual {
            mean,
            variance: swings.max(cut).min(SWINGS_TIMES * cut),
            weight: moments.weight,
            size,
            percentile: self.histogram.as_ref().map_or(0.0, |h| h.percentile(tuning.step)),
            seen: self.seen,
            active: self.active,
        }
    }
}

/// How much of a bucket counts at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    near: f64,
    lagged: f64,
    /// What would be a spike.
    unusual: f64,
}
