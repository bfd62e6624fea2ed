//! The average key of a group, with which a young key is compared.
//!
//! Learns from the buckets in which a member did anything; a young key, too, is looked at when it does
//! something. Members feed their buckets as they grow. What the open ones hold is kept apart until the
//! group's own bucket is over, so that nobody is compared with half a bucket, or with himself.

use super::baseline::{Baseline, Bucket};
use super::params::Tuning;
use super::usual::Usual;

/// State of one group.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Group {
    closed: Baseline,
    open: Baseline,
    /// Number of the open bucket.
    bucket: i64,
}

impl Group {
    pub(super) fn new(bucket: i64) -> Self {
        Self { closed: Baseline::default(), open: Baseline::default(), bucket }
    }

    /// Closes what lies before `bucket`. Time without any member's bucket fades the past, no more.
    pub(super) fn roll(&mut self, tuning: &Tuning, bucket: i64) {
        let Ok(buckets @ 1..) = u64::try_from(bucket.saturating_sub(self.bucket)) else { return };
        if tuning.is_forgotten(self.bucket, bucket) {
            *self = Self::new(bucket);
            return;
        }
        self.closed.fade(tuning.decays, 1);
        self.closed.merge(&self.open);
        self.closed.fade(tuning.decays, buckets - 1);
        (self.open, self.bucket) = (Baseline::default(), bucket);
    }

    /// The bucket of a member has grown from `before` to `after`.
    pub(super) fn take(&mut self, tuning: &Tuning, before: Bucket, after: Bucket) {
        self.open.take_of_member(tuning, &self.closed, before, after);
    }

    /// What is usual for a member, if enough has been seen.
    pub(super) fn usual(&self, tuning: &Tuning, size: f64) -> Option<Usual> {
        self.closed.is_warm(tuning).then(|| self.closed.usual(tuning, size))
    }
}
