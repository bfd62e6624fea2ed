//! A baseline for each hour of the day, UTC.
//!
//! The buckets of one hour follow each other from day to day as if there were nothing between them, so
//! each hour is a baseline like any other whose buckets come 24 times as seldom. An hour is brought up
//! to date when it is next looked at: the days without a bucket in it are closed then, in one step.

use super::baseline::{Baseline, Bucket};
use super::params::Tuning;

const HOURS: usize = 24;
const HOUR_MS: i64 = 3_600_000;

/// The hours of one key.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Hours(Box<[Hour; HOURS]>);

#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Hour {
    baseline: Baseline,
    /// Number of its first bucket that is not closed, once it has had one.
    next: Option<i64>,
}

impl Hours {
    /// Closes a bucket with events; one that was in alarm teaches nothing.
    pub(super) fn close(&mut self, tuning: &Tuning, bucket: i64, learnt: Option<Bucket>) {
        let (hour, number) = place(tuning, bucket);
        let Some(hour) = self.0.get_mut(hour) else { return };
        hour.catch_up(tuning, number);
        if let Some(learnt) = learnt {
            hour.baseline.learn(tuning, tuning.hour_decays, learnt);
        }
        hour.next = Some(number.saturating_add(1));
    }

    /// The baseline for the hour of a bucket, with all buckets before `open` closed.
    pub(super) fn at(&mut self, tuning: &Tuning, bucket: i64, open: i64) -> Option<&Baseline> {
        let (hour, number) = place(tuning, bucket);
        let hour = self.0.get_mut(hour)?;
        hour.catch_up(tuning, if bucket < open { number.saturating_add(1) } else { number });
        Some(&hour.baseline).filter(|baseline| baseline.is_warm(tuning))
    }
}

impl Hour {
    /// Closes the empty buckets before this one.
    fn catch_up(&mut self, tuning: &Tuning, number: i64) {
        let Some(next) = self.next else { return };
        if let Ok(empty @ 1..) = u64::try_from(number.saturating_sub(next)) {
            self.baseline.pass(tuning, tuning.hour_decays, empty);
            self.next = Some(number);
        }
    }
}

/// The hour of a bucket, and its number among the buckets of that hour.
fn place(tuning: &Tuning, bucket: i64) -> (usize, i64) {
    let start = tuning.start(bucket).0;
    let hour = start.div_euclid(HOUR_MS);
    let within = start.rem_euclid(HOUR_MS) / tuning.window.0;
    let number = hour.div_euclid(24).saturating_mul(tuning.per_hour).saturating_add(within);
    (usize::try_from(hour.rem_euclid(24)).unwrap_or(0), number)
}
