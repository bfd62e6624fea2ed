//! How fast the past fades.

use super::exact::{half_to, power};

/// How much slower the lagged baseline forgets.
const LAG: f64 = 8.0;
/// So close to 1 that a bucket fades by less than can be told.
const FACTOR_MAX: f64 = 1.0 - 1e-9;

/// What a bucket still counts after another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decay {
    factor: f64,
}

/// The two memories of a baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decays {
    /// Of the half-life that the rule gives.
    pub(super) near: Decay,
    /// Of eight times that.
    pub(super) lagged: Decay,
}

impl Decays {
    /// `lives`: buckets in a half-life.
    pub(super) fn new(lives: f64) -> Self {
        let decay = |buckets: f64| Decay { factor: half_to(1.0 / buckets).min(FACTOR_MAX) };
        Self { near: decay(lives), lagged: decay(lives * LAG) }
    }
}

impl Decay {
    /// What is left after so many buckets.
    pub(super) fn after(self, buckets: u64) -> f64 {
        power(self.factor, buckets)
    }

    /// What so many buckets weigh together, the last one fully; `left` is what is left after them.
    pub(super) fn weight(self, left: f64) -> f64 {
        (1.0 - left) / (1.0 - self.factor)
    }
}
