//! What is usual in one bucket, and the value that is not.

use super::params::{SpikeMethod, Tuning};

/// A variance that was told from `n` buckets with events may be as much larger as `6 / n` of itself.
const DOUBT: f64 = 6.0;

/// What a baseline says of the next bucket, all in ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usual {
    pub(super) mean: f64,
    pub(super) variance: f64,
    /// As many buckets as it was learnt from are still worth.
    pub(super) weight: f64,
    /// Of one event on average.
    pub(super) size: f64,
    /// 99th percentile; for that method only.
    pub(super) percentile: f64,
    /// Closed buckets that it was learnt from.
    pub(super) seen: u32,
    /// Those of them that had anything in them.
    pub(super) active: u32,
}

impl Usual {
    /// The least value that is a spike; for a CUSUM the least excess.
    pub(super) fn needed(&self, tuning: &Tuning) -> f64 {
        match tuning.method {
            SpikeMethod::Cusum => (self.dispersion() * tuning.height).max(tuning.at_least),
            _ => self.unusual(tuning),
        }
    }

    /// The least value that a single window should not have.
    ///
    /// All gates must hold, so it is the largest of what each asks for.
    pub(super) fn unusual(&self, tuning: &Tuning) -> f64 {
        let by_method = match tuning.method {
            SpikeMethod::Poisson | SpikeMethod::Cusum => (tuning.times * self.mean).max(self.bursts_tail(tuning.z)),
            SpikeMethod::Ewma => (tuning.times * self.mean).max(self.normal_tail(tuning.z)),
            SpikeMethod::Quantile => tuning.times * self.percentile,
        };
        by_method.max(tuning.at_least)
    }

    /// What a CUSUM lets pass in each bucket. While little has been learnt the usual may be more than
    /// it seems, by its standard error and by one event.
    pub(super) fn reference(&self, tuning: &Tuning) -> f64 {
        let weight = self.weight.max(1.0);
        tuning.reference * (self.mean + (self.variance / weight).sqrt() + self.size / weight)
    }

    /// Whether it was learnt from little but silence.
    pub(super) fn is_sparse(&self, tuning: &Tuning) -> bool {
        self.active < tuning.warm_up
    }

    /// The one with the larger mean.
    pub(super) fn or_larger(self, other: Self) -> Self {
        if other.mean > self.mean { other } else { self }
    }

    /// `mean + t` with `t² / (v + c·t) = z²`: Bernstein's bound for bursts of about `dispersion`, normal
    /// near the mean and exponential far from it.
    ///
    /// The square root that makes Poisson counts normal (Anscombe's) falls short here: at a dispersion
    /// of 20 it is exceeded 30 times as often as it says, and for a mean below 1 it asks for twice of
    /// what is needed. This one stays within a factor of 3 of the negative binomial's tail.
    fn bursts_tail(&self, z: f64) -> f64 {
        let burst = self.dispersion() / 2.0 - self.size / 6.0;
        let half = z * z * burst / 2.0;
        self.mean + half + (half * half + z * z * self.spread()).sqrt()
    }

    fn normal_tail(&self, z: f64) -> f64 {
        self.mean + z * self.spread().sqrt()
    }

    /// Variance over mean: 1 for single events that come independently, more for bursts.
    fn dispersion(&self) -> f64 {
        if self.mean > 0.0 { (self.doubtful_variance() / self.mean).max(self.size) } else { self.size }
    }

    /// Variance of the next bucket: the mean itself is known only so well.
    fn spread(&self) -> f64 {
        self.doubtful_variance() * (1.0 + 1.0 / self.weight.max(1.0))
    }

    fn doubtful_variance(&self) -> f64 {
        self.variance * (1.0 + DOUBT / f64::from(self.active.max(1)))
    }
}
