//! Too many, or too much, within a sliding window.
//!
//! Fires once an episode: when the value reaches the threshold, and again only after it has fallen
//! below 0.7 of it. The episode's bucket (the window-length slot of its first crossing) makes ids that
//! a rebuilt window repeats.

use crate::limits::WINDOW_KEYS_MAX;
use crate::time::{Millis, Span};
use crate::window::{Keyed, Sliding};

/// Steps of expiry for each observation: more than one, so that the map shrinks faster than it grows.
const EXPIRE_STEPS: usize = 4;

/// What a window must not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// Fires from this many events on.
    CountAtLeast(u64),
    /// Fires when the sum of the amounts is above this.
    SumAbove(i64),
}

/// A window that has crossed its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Count or sum in the window now.
    pub value: i64,
    /// Number of the window-length slot in which it first crossed.
    pub bucket: i64,
}

/// One windowed rule over all of its keys.
#[derive(Debug)]
pub struct RateDetector {
    limit: RateLimit,
    span: Span,
    windows: Keyed<Window>,
}

#[derive(Debug)]
struct Window {
    sliding: Sliding,
    /// Whose window it is, for a reset; windows of one owner are found by a sweep.
    owner: u128,
    fired: bool,
}

impl RateDetector {
    /// A detector without any history.
    #[must_use]
    pub fn new(limit: RateLimit, span: Span) -> Self {
        Self { limit, span, windows: Keyed::new(span, WINDOW_KEYS_MAX) }
    }

    /// Length of the window.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// Counts one event. Says so when that makes the window cross its threshold.
    pub fn observe(&mut self, key: u128, owner: u128, at: Millis, amount: i64) -> Option<Crossing> {
        self.windows.expire(at, EXPIRE_STEPS);
        let (limit, span) = (self.limit, self.span);
        let window = self.windows.touch(key, at, || Window { sliding: Sliding::default(), owner, fired: false });
        if !window.sliding.add(at, amount, span) {
            return None;
        }
        let value = limit.value(&window.sliding);
        if window.fired && limit.is_calm(value) {
            window.fired = false;
        }
        if window.fired || !limit.is_crossed(value) {
            return None;
        }
        window.fired = true;
        Some(Crossing { value, bucket: at.0.div_euclid(span.0) })
    }

    /// Forgets all windows of one owner: what was counted before an operator's release is settled.
    pub fn reset(&mut self, owner: u128) {
        self.windows.retain(|window| window.owner != owner);
    }

    /// Forgets windows that nothing was added to for their whole length.
    pub fn expire(&mut self, now: Millis, steps: usize) {
        self.windows.expire(now, steps);
    }

    /// Number of keys with a window.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.windows.len()
    }

    /// Keys that were forgotten because there were too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.windows.evicted()
    }
}

impl RateLimit {
    #[expect(clippy::cast_possible_wrap, reason = "no window counts 2^63 events")]
    fn value(self, sliding: &Sliding) -> i64 {
        match self {
            Self::CountAtLeast(_) => sliding.count() as i64,
            Self::SumAbove(_) => sliding.sum(),
        }
    }

    #[expect(clippy::cast_possible_wrap, reason = "a threshold that large never fires either way")]
    fn is_crossed(self, value: i64) -> bool {
        match self {
            Self::CountAtLeast(limit) => value >= limit as i64,
            Self::SumAbove(limit) => value > limit,
        }
    }

    /// Below 0.7 of the threshold.
    #[expect(clippy::cast_possible_wrap, reason = "a threshold that large never fires either way")]
    fn is_calm(self, value: i64) -> bool {
        let limit = match self {
            Self::CountAtLeast(limit) => limit as i64,
            Self::SumAbove(limit) => limit,
        };
        i128::from(value) * 10 < i128::from(limit) * 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Span = Span::seconds(60);

    /// The positions of the observations that fire.
    fn fires(limit: RateLimit, seen: &[(i64, i64)]) -> Vec<usize> {
        let mut detector = RateDetector::new(limit, MINUTE);
        let fired = |(n, (at, amount)): (usize, &(i64, i64))| {
            detector.observe(7, 7, Millis(*at * 1_000), *amount).map(|_| n + 1)
        };
        seen.iter().enumerate().filter_map(fired).collect()
    }

    #[test]
    fn fires_at_the_threshold_once_an_episode() {
        let every = |seconds: i64, n: i64| (0..n).map(|i| (i * seconds, 40)).collect::<Vec<_>>();
        let count = RateLimit::CountAtLeast(3);
        assert_eq!(fires(count, &every(10, 12)), [3]);
        assert_eq!(fires(count, &every(20, 12)), [3], "a window of 60 s holds exactly three, 20 s apart");
        assert_eq!(fires(count, &every(30, 12)), [0_usize; 0]);
        assert_eq!(fires(count, &[(0, 1), (1, 1), (2, 1), (200, 1), (201, 1), (202, 1)]), [3, 6]);
        assert_eq!(fires(RateLimit::SumAbove(100), &every(1, 5)), [3]);
        assert_eq!(fires(RateLimit::SumAbove(120), &every(1, 3)), [0_usize; 0], "exactly at the limit");
    }

    #[test]
    fn keys_do_not_mix_and_a_reset_starts_over() {
        let mut detector = RateDetector::new(RateLimit::CountAtLeast(2), MINUTE);
        assert_eq!(detector.observe(1, 10, Millis(0), 0), None);
        assert_eq!(detector.observe(2, 20, Millis(0), 0), None);
        assert!(detector.observe(1, 10, Millis(1), 0).is_some());
        detector.reset(10);
        assert_eq!(detector.observe(1, 10, Millis(2), 0), None);
        assert!(detector.observe(2, 20, Millis(2), 0).is_some());
        assert!(detector.observe(1, 10, Millis(3), 0).is_some());
    }

    #[test]
    fn a_rebuilt_window_crosses_in_the_same_bucket() {
        let run = || {
            let mut detector = RateDetector::new(RateLimit::CountAtLeast(2), MINUTE);
            detector.observe(1, 1, Millis(59_000), 0);
            detector.observe(1, 1, Millis(61_000), 0)
        };
        assert_eq!(run(), Some(Crossing { value: 2, bucket: 1 }));
        assert_eq!(run(), run());
    }
}
