//! What is watched of one key right now: its window, its excess and whether it is in alarm.

use super::cusum::Cusum;
use super::params::{SpikeMethod, Tuning};
use super::usual::Usual;
use crate::time::Millis;
use crate::window::Sliding;

/// An alarm ends below this part of what it takes to raise it.
const CALM_PART: f64 = 0.7;

/// State of one key that an operator's release clears.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Watch {
    sliding: Sliding,
    /// Whose it is, for a reset. In halves, because a number of 16 bytes would cost as many of padding.
    owner: (u64, u64),
    /// The bucket in which the alarm that is on was raised.
    alarm: Option<i64>,
    /// Only for that method.
    cusum: Option<Box<Cusum>>,
}

/// What is held against what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judged {
    /// The value in the window, or the excess.
    pub(super) reached: f64,
    /// What an alarm that is on is held by.
    held: f64,
    /// Where that is a spike.
    pub(super) needed: f64,
}

impl Watch {
    pub(super) fn new(owner: u128) -> Self {
        Self { sliding: Sliding::default(), owner: halves(owner), alarm: None, cusum: None }
    }

    pub(super) fn is_of(&self, owner: u128) -> bool {
        self.owner == halves(owner)
    }

    /// Adds an event to the window. False when it is older than that.
    pub(super) fn add(&mut self, tuning: &Tuning, at: Millis, amount: i64) -> bool {
        self.sliding.expire(at, tuning.window);
        if self.sliding.count() == 0 && tuning.method != SpikeMethod::Cusum {
            // As if it had been forgotten meanwhile, which happens sooner or later.
            self.alarm = None;
        }
        self.sliding.add(at, amount, tuning.window)
    }

    /// Sum of the amounts in the window.
    pub(super) fn value(&self) -> i64 {
        self.sliding.sum()
    }

    /// The amount of one event in the window, on average.
    pub(super) fn size(&self, tuning: &Tuning) -> f64 {
        tuning.ones(self.sliding.sum()) / count(self.sliding.count().max(1))
    }

    /// Holds the window, or the excess with this event, against what is usual.
    pub(super) fn judge(&mut self, tuning: &Tuning, usual: &Usual, bucket: i64, amount: f64) -> Judged {
        let needed = usual.needed(tuning);
        if tuning.method != SpikeMethod::Cusum {
            let reached = tuning.ones(self.sliding.sum());
            return Judged { reached, held: reached, needed };
        }
        let reference = usual.reference(tuning);
        let cusum = self.cusum.get_or_insert_with(|| Box::new(Cusum::new(bucket)));
        cusum.roll(bucket, reference, needed);
        // Without this event: it may be the first after a long calm.
        let held = cusum.held(reference);
        cusum.add(bucket, amount);
        Judged { reached: cusum.now(reference), held, needed }
    }

    /// Raises or ends the alarm; whether it has just been raised.
    pub(super) fn set_alarm(&mut self, judged: Judged, bucket: i64) -> bool {
        if self.alarm.is_some() && judged.held < CALM_PART * judged.needed {
            self.alarm = None;
        }
        let raised = self.alarm.is_none() && judged.reached >= judged.needed;
        if raised {
            self.alarm = Some(bucket);
        }
        raised
    }

    /// Nothing to compare with: no alarm, no excess.
    pub(super) fn stand_down(&mut self) {
        (self.alarm, self.cusum) = (None, None);
    }

    /// Ends the alarm, so that it is raised again by what would raise it.
    pub(super) fn tell_again(&mut self) {
        self.alarm = None;
    }

    /// Whether the alarm is on, and too young to be what is usual from now on.
    pub(super) fn is_in_fresh_alarm(&self, tuning: &Tuning, bucket: i64) -> bool {
        self.alarm.is_some_and(|raised| bucket.saturating_sub(raised) < i64::from(tuning.warm_up))
    }

    /// First bucket of the excess.
    pub(super) fn since(&self) -> Option<i64> {
        self.cusum.as_ref().map(|cusum| cusum.since())
    }
}

#[expect(clippy::cast_precision_loss, reason = "no window counts 2^53 events")]
fn count(events: u64) -> f64 {
    events as f64
}

#[expect(clippy::cast_possible_truncation, reason = "halves")]
fn halves(owner: u128) -> (u64, u64) {
    ((owner >> 64) as u64, owner as u64)
}
