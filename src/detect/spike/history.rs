//! What one key has done: its open bucket, and the baseline of those that are closed.
//!
//! A bucket closes when an event of a later one comes. Empty buckets in between count as zeros, however
//! many there are. An event that comes late for a closed bucket does not change what was learnt from it.

use super::baseline::{Baseline, Bucket};
use super::hours::Hours;
use super::params::Tuning;
use super::usual::Usual;

/// State of one key that outlives its window.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct History {
    baseline: Baseline,
    hours: Option<Hours>,
    /// Number of the open bucket.
    bucket: i64,
    open: Bucket,
    /// Whether the open bucket was in alarm: it is not usual then, and teaches nothing.
    in_alarm: bool,
}

impl History {
    pub(super) fn new(tuning: &Tuning, bucket: i64) -> Self {
        Self {
            baseline: Baseline::default(),
            hours: (tuning.per_hour > 0).then(Hours::default),
            bucket,
            open: Bucket::default(),
            in_alarm: false,
        }
    }

    /// Number of the open bucket.
    pub(super) fn bucket(&self) -> i64 {
        self.bucket
    }

    /// Closes what lies before `bucket`. After a long silence everything starts over.
    pub(super) fn roll(&mut self, tuning: &Tuning, bucket: i64) {
        if bucket <= self.bucket {
            return;
        }
        if tuning.is_forgotten(self.bucket, bucket) {
            *self = Self::new(tuning, bucket);
            return;
        }
        let learnt = (!self.in_alarm && self.open.events > 0).then_some(self.open);
        if let Some(learnt) = learnt {
            self.baseline.learn(tuning, tuning.decays, learnt);
        }
        if let Some(hours) = &mut self.hours {
            hours.close(tuning, self.bucket, learnt);
        }
        if let Ok(empty @ 2..) = u64::try_from(bucket.saturating_sub(self.bucket)) {
            self.baseline.pass(tuning, tuning.decays, empty - 1);
        }
        (self.bucket, self.open, self.in_alarm) = (bucket, Bucket::default(), false);
    }

    /// Adds an event to the open bucket; what that was before and is now.
    pub(super) fn add(&mut self, amount: f64) -> (Bucket, Bucket) {
        let before = self.open;
        self.open = before.with(amount);
        (before, self.open)
    }

    /// The open bucket is in alarm.
    pub(super) fn set_in_alarm(&mut self) {
        self.in_alarm = true;
    }

    pub(super) fn is_in_alarm(&self) -> bool {
        self.in_alarm
    }

    /// What is usual now, if enough has been seen.
    ///
    /// The sliding window lies in two buckets; where these are of two hours, the busier hour is asked,
    /// or every end of a busy hour would be a spike of the quiet one that follows.
    pub(super) fn usual(&mut self, tuning: &Tuning, size: f64) -> Option<Usual> {
        let all_day = self.baseline.is_warm(tuning).then(|| self.baseline.usual(tuning, size));
        let Some(hours) = &mut self.hours else { return all_day };
        let open = self.bucket;
        let mut of = |bucket| hours.at(tuning, bucket, open).map(|hour| hour.usual(tuning, size)).or(all_day);
        match (of(open.saturating_sub(1)), of(open)) {
            (Some(before), Some(now)) => Some(before.or_larger(now)),
            (before, now) => before.or(now),
        }
    }
}
