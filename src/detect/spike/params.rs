//! What a spike rule asks for, and the constants that follow from it once.

use super::decay::Decays;
use super::exact::ln;
use crate::time::{Millis, Span};

//
/// Half-lives without an event after which a baseline is forgotten.
pub(super) const BASELINE_IDLE_HALF_LIVES: i64 = 4;

/// Fewest closed buckets from which a spread can be told.
const WARM_UP_MIN: u32 = 2;
/// A ratio at least so large is what a CUSUM can be tuned for.
const CUSUM_RATIO_MIN: f64 = 1.25;
/// As far as the table of the normal tail goes.
const ONE_IN_MAX: f64 = 1e12;
const HOUR_MS: i64 = 3_600_000;
/// Standard deviations above the mean that a normal value exceeds once in 10^0, 10^1 … 10^12 times.
const NORMAL_TAIL: [f64; 13] = [
    0.0, 1.281_552, 2.326_348, 3.090_232, 3.719_016, 4.264_891, 4.753_424, 5.199_338, 5.612_001, 5.997_807, 6.361_341,
    6.706_023, 7.034_484,
];

/// How a value is compared with what is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpikeMethod {
    /// Counts that come in bursts: Poisson for single events, wider by the spread that was seen.
    #[default]
    Poisson,
    /// Mean and standard deviation, with a normal tail: for values made of many events. Small counts and
    /// bursts exceed that tail hundreds of times as often as it says.
    Ewma,
    /// The excess over the usual, added up over buckets: slow and steady abuse below every threshold.
    Cusum,
    /// So many times the 99th percentile: for keys that are idle most of the time and then busy, if they
    /// are busy in more than one of a hundred buckets.
    Quantile,
}

/// A spike rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpikeParams {
    /// Length of the sliding window, and of the closed buckets that the baseline learns from.
    pub window: Span,
    /// How much of an amount is one: 1 for counts, 1,000,000 for sums in millionths.
    pub unit: i64,
    /// How a value is compared with the usual.
    pub method: SpikeMethod,
    /// A bucket this old counts half in the baseline.
    pub half_life: Span,
    /// One baseline for each hour of the day (UTC) as well; only where the window divides an hour.
    pub seasonal: bool,
    /// Closed buckets before a baseline is believed.
    pub warm_up: u32,
    /// Amount below which there is never a finding.
    pub at_least: i64,
    /// At least so many times the usual.
    pub times: f64,
    /// How unlikely it must be: once in so many buckets. Not for the quantile.
    pub one_in: f64,
}

impl Default for SpikeParams {
    fn default() -> Self {
        Self {
            window: Span::seconds(300),
            unit: 1,
            method: SpikeMethod::Poisson,
            half_life: Span::seconds(86_400),
            seasonal: false,
            warm_up: 12,
            at_least: 10,
            times: 3.0,
            one_in: 1e6,
        }
    }
}

/// What baselines must have in common to mean the same.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Shape {
    window: Span,
    unit: f64,
    method: SpikeMethod,
    per_hour: i64,
}

/// The constants of one rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    pub(super) window: Span,
    pub(super) method: SpikeMethod,
    pub(super) warm_up: u32,
    pub(super) times: f64,
    /// In ones, like every other amount of a baseline.
    pub(super) at_least: f64,
    /// Standard deviations that are as unlikely as `one_in`.
    pub(super) z: f64,
    /// CUSUM: the reference as a multiple of the usual, halfway in likelihood to `times` the usual.
    pub(super) reference: f64,
    /// CUSUM: the height, in events, that is reached by chance once in `one_in` buckets.
    pub(super) height: f64,
    /// Of buckets that follow each other.
    pub(super) decays: Decays,
    /// Of the buckets of one hour of the day.
    pub(super) hour_decays: Decays,
    /// Buckets of an hour; zero where hours are not told apart.
    pub(super) per_hour: i64,
    /// After this long without an event a baseline starts over.
    pub(super) idle: Span,
    /// The finest step of the quantile's histogram.
    pub(super) step: f64,
    unit: f64,
}

impl Tuning {
    #[expect(clippy::cast_precision_loss, reason = "lengths of time and thresholds are far below 2^53")]
    pub(super) fn new(params: &SpikeParams) -> Self {
        let window = Span(params.window.0.max(1));
        let half_life = Span(params.half_life.0.max(window.0));
        let ratio = params.times.max(CUSUM_RATIO_MIN);
        let lives = half_life.0 as f64 / window.0 as f64;
        let unit = params.unit.max(1) as f64;
        let one_in = params.one_in.clamp(1.0, ONE_IN_MAX);
        Self {
            window,
            method: params.method,
            warm_up: params.warm_up.max(WARM_UP_MIN),
            times: params.times.max(1.0),
            at_least: params.at_least as f64 / unit,
            z: normal_tail(one_in),
            reference: (ratio - 1.0) / ln(ratio),
            height: ln(one_in) / ln(ratio),
            decays: Decays::new(lives),
            hour_decays: Decays::new(lives / 24.0),
            per_hour: if params.seasonal && HOUR_MS % window.0 == 0 { HOUR_MS / window.0 } else { 0 },
            idle: Span(half_life.0.saturating_mul(BASELINE_IDLE_HALF_LIVES)),
            step: if params.unit > 1 { 1.0 / 64.0 } else { 1.0 },
            unit,
        }
    }

    pub(super) fn shape(&self) -> Shape {
        Shape { window: self.window, unit: self.unit, method: self.method, per_hour: self.per_hour }
    }

    /// How long the state of a silent key is kept: no shorter than until it would start over.
    pub(super) fn kept(&self) -> Span {
        self.idle + self.window + self.window
    }

    /// How long a silent key is watched. An excess outlasts the window that it was seen in.
    pub(super) fn watched(&self) -> Span {
        if self.method == SpikeMethod::Cusum { self.kept() } else { self.window }
    }

    /// Number of the bucket that a time lies in.
    pub(super) fn bucket(&self, at: Millis) -> i64 {
        at.0.div_euclid(self.window.0)
    }

    /// First moment of a bucket.
    pub(super) fn start(&self, bucket: i64) -> Millis {
        Millis(bucket.saturating_mul(self.window.0))
    }

    /// Whether a key is as good as new when its next event comes so late.
    pub(super) fn is_forgotten(&self, last: i64, next: i64) -> bool {
        next.saturating_sub(last) > self.idle.0 / self.window.0
    }

    /// An amount in ones; what is below zero is nothing.
    #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 the last digits of an amount decide nothing")]
    pub(super) fn ones(&self, amount: i64) -> f64 {
        amount.max(0) as f64 / self.unit
    }
}

/// Between the constants of two powers of ten, linear in the number of zeros.
fn normal_tail(one_in: f64) -> f64 {
    let zeros = ln(one_in) / std::f64::consts::LN_10;
    let piece = |(power, pair): (u32, &[f64])| match pair {
        [low, high] => (high - low) * (zeros - f64::from(power)).clamp(0.0, 1.0),
        _ => 0.0,
    };
    (0..).zip(NORMAL_TAIL.windows(2)).map(piece).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_read_between_powers_of_ten() {
        let rows = [(0.0, 0.0), (1.0, 0.0), (10.0, 1.281_552), (1e6, 4.753_424), (1e12, 7.034_484), (1e15, 7.034_484)];
        for (one_in, z) in rows {
            assert!((normal_tail(one_in) - z).abs() < 1e-9, "{one_in}: {}", normal_tail(one_in));
        }
        let between = normal_tail(3e6);
        assert!(between > 4.753_424 && between < 5.199_338, "{between}");
    }

    #[test]
    fn nonsense_is_brought_into_bounds() {
        let params = SpikeParams {
            window: Span(0),
            half_life: Span(-5),
            unit: 0,
            warm_up: 0,
            times: f64::NAN,
            one_in: f64::NAN,
            ..SpikeParams::default()
        };
        let tuning = Tuning::new(&params);
        assert_eq!((tuning.window, tuning.warm_up, tuning.times), (Span(1), 2, 1.0));
        assert!(tuning.reference.is_finite() && tuning.height.is_finite() && tuning.z.is_finite());
    }

    #[test]
    fn hours_need_a_window_that_divides_them() {
        let of = |seconds| {
            Tuning::new(&SpikeParams { window: Span::seconds(seconds), seasonal: true, ..SpikeParams::default() })
                .per_hour
        };
        assert_eq!((of(300), of(3_600), of(420), of(7_200)), (12, 1, 0, 0));
    }
}
