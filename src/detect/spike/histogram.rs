//! The 99th percentile of bucket values, where old ones count less.
//!
//! A histogram with two bins for each doubling: small counts are exact, a larger percentile is off by a
//! third at most. It grows only as far as values have reached.

/// Two bins for each of 32 doublings of the finest step.
const BINS_MAX: usize = 64;
/// The part of all buckets that lies above the percentile.
const ABOVE: f64 = 0.01;

/// Weights of the bins; the first is for empty buckets.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Histogram {
    bins: Vec<f32>,
}

impl Histogram {
    /// Lets everything fade to this part.
    pub(super) fn fade(&mut self, left: f64) {
        self.bins.iter_mut().for_each(|bin| *bin = narrow(f64::from(*bin) * left));
    }

    /// Adds buckets of one value, or takes them back where `weight` is negative.
    pub(super) fn add(&mut self, value: f64, step: f64, weight: f64) {
        let place = bin_of(steps(value, step));
        if self.bins.len() <= place {
            self.bins.resize(place + 1, 0.0);
        }
        if let Some(bin) = self.bins.get_mut(place) {
            *bin = narrow(f64::from(*bin) + weight);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), 0.0);
        }
        // What was taken back may have faded since it was added: never below nothing.
        self.bins.iter_mut().zip(&other.bins).for_each(|(bin, more)| *bin = (*bin + more).max(0.0));
    }

    /// The value that 99 of 100 buckets do not exceed.
    pub(super) fn percentile(&self, step: f64) -> f64 {
        let all: f64 = self.bins.iter().map(|bin| f64::from(*bin)).sum();
        let mut above = 0.0;
        for (place, bin) in self.bins.iter().enumerate().rev() {
            let weight = f64::from(*bin);
            above += weight;
            if above > ABOVE * all {
                let (low, high) = edges(place);
                return step * (low + (high - low) * ((above - ABOVE * all) / weight).min(1.0));
            }
        }
        0.0
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits are plenty for a weight")]
fn narrow(weight: f64) -> f32 {
    weight as f32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates at the last bin")]
fn steps(value: f64, step: f64) -> u64 {
    (value / step).ceil() as u64
}

/// 0, 1, 2, 3, 4–5, 6–7, 8–11, 12–15 and so on.
fn bin_of(steps: u64) -> usize {
    let Some(doublings @ 1..) = steps.checked_ilog2() else { return usize::from(steps == 1) };
    let upper = usize::from((steps >> (doublings - 1)) & 1 == 1);
    (2 * doublings as usize + upper).min(BINS_MAX - 1)
}

/// Least and greatest number of steps in a bin.
#[expect(clippy::cast_precision_loss, reason = "there are 2^32 steps at most")]
fn edges(place: usize) -> (f64, f64) {
    if place < 4 {
        return (place as f64, place as f64);
    }
    let width = 1_u64 << (place / 2 - 1).min(62);
    let low = (2 + place as u64 % 2) * width;
    (low as f64, (low + width - 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_and_edges_agree() {
        for n in (0..5_000).chain([1 << 20, (1 << 31) - 1]) {
            let (low, high) = edges(bin_of(n));
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let n = n as f64;
            assert!(low <= n && n <= high, "{n} in {low}..={high}");
            assert!(high <= low * 1.5, "{low}..={high}");
        }
        assert_eq!(bin_of(u64::MAX), BINS_MAX - 1);
    }

    #[test]
    fn the_percentile_is_where_one_in_a_hundred_lies_above() {
        let rows: [(&[(f64, usize)], f64); 5] = [
            (&[], 0.0),
            (&[(0.0, 100)], 0.0),
            (&[(0.0, 990), (3.0, 9)], 0.0),
            (&[(0.0, 900), (3.0, 90), (7.0, 5)], 3.0),
            (&[(2.0, 50), (40.0, 50)], 46.7),
        ];
        for (values, expected) in rows {
            let mut histogram = Histogram::default();
            for (value, times) in values {
                (0..*times).for_each(|_| histogram.add(*value, 1.0, 1.0));
            }
            let found = histogram.percentile(1.0);
            assert!((found - expected).abs() < 0.05, "{values:?}: {found}");
        }
    }

    #[test]
    fn what_fades_is_outweighed_and_what_is_taken_back_is_gone() {
        let mut histogram = Histogram::default();
        histogram.add(100.0, 1.0, 1.0);
        histogram.fade(0.001);
        histogram.add(2.0, 1.0, 1.0);
        assert!((histogram.percentile(1.0) - 2.0).abs() < 1e-9);
        histogram.add(2.0, 1.0, -1.0);
        histogram.add(5.0, 1.0, 1.0);
        assert!(histogram.percentile(1.0) > 3.9);
    }
}
