//! The excess over the usual, added up: finds what stays a little too high for long.
//!
//! Each bucket adds what it holds above a reference, and takes away what it lacks; never below zero.
//! With the reference halfway in likelihood between the usual rate and `times` that, the excess is a
//! sequential likelihood ratio in disguise: by Lorden's bound chance brings it to `ln(n) / ln(times)`
//! events no more than once in `n` buckets.

/// Excess of one key.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Cusum {
    /// Of the closed buckets.
    excess: f64,
    /// In the open bucket.
    open: f64,
    bucket: i64,
    /// First bucket of the excess.
    since: i64,
}

impl Cusum {
    pub(super) fn new(bucket: i64) -> Self {
        Self { excess: 0.0, open: 0.0, bucket, since: bucket }
    }

    /// Closes what lies before `bucket`; the excess does not grow beyond `most`, so that it can fall
    /// again after an alarm.
    pub(super) fn roll(&mut self, bucket: i64, reference: f64, most: f64) {
        let Ok(buckets @ 1..) = u64::try_from(bucket.saturating_sub(self.bucket)) else { return };
        self.excess = self.now(reference).min(most);
        self.excess = (self.excess - reference * count(buckets - 1)).max(0.0);
        if self.excess <= 0.0 {
            self.since = bucket;
        }
        (self.open, self.bucket) = (0.0, bucket);
    }

    /// Adds an event; one that is late for its bucket is left out.
    pub(super) fn add(&mut self, bucket: i64, amount: f64) {
        if bucket == self.bucket {
            self.open += amount;
        }
    }

    /// The excess with the open bucket, as if that were over.
    pub(super) fn now(&self, reference: f64) -> f64 {
        (self.excess + self.open - reference).max(0.0)
    }

    /// What an alarm is held by: the excess of the closed buckets, if the open one does not hold more. A
    /// bucket that has only begun takes nothing away yet.
    pub(super) fn held(&self, reference: f64) -> f64 {
        self.excess.max(self.now(reference))
    }

    /// First bucket of the excess.
    pub(super) fn since(&self) -> i64 {
        self.since
    }
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 buckets nothing is left anyway")]
fn count(buckets: u64) -> f64 {
    buckets as f64
}
