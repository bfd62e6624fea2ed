//! Mean and variance of buckets, where old ones count less.
//!
//! Kept as plain sums, so that a thousand empty buckets are one multiplication and two halves of a
//! group can be added. The mean of decayed sums is an EWMA without its bias at the start.

/// Decayed number, sum and sum of squares of bucket values.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Moments {
    /// As many buckets as these are worth.
    pub(super) weight: f64,
    pub(super) sum: f64,
    pub(super) squares: f64,
}

impl Moments {
    /// Lets everything fade to this part.
    pub(super) fn fade(&mut self, left: f64) {
        self.weight *= left;
        self.sum *= left;
        self.squares *= left;
    }

    /// A bucket, whose weight is counted apart, has grown from `before` to `after`.
    pub(super) fn change(&mut self, before: f64, after: f64) {
        self.sum += after - before;
        self.squares += after * after - before * before;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.weight += other.weight;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    pub(super) fn mean(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }

    /// Never less than that of single events of this size: a steady past is no promise of a steady future.
    pub(super) fn variance(&self, size: f64) -> f64 {
        let mean = self.mean();
        let least = mean * size;
        if self.weight <= 1.0 {
            return least;
        }
        let seen = (self.squares / self.weight - mean * mean) * (self.weight / (self.weight - 1.0));
        seen.max(least)
    }
}
