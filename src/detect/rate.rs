//! Too many, too much, or too many different ones, within a sliding window.
//!
//! Fires once an episode: when the value reaches the threshold, and again only after it has fallen
//! below 0.7 of it or the window has emptied. The episode's bucket (the window-length slot of its first
//! crossing) makes ids that a rebuilt window repeats. A window is forgotten only when no event that is
//! still allowed to come could count in it, so that forgetting decides nothing.

use serde::{Deserialize, Serialize};

use crate::limits::{CLOCK_AHEAD, LATENESS, WINDOW_KEYS_MAX};
use crate::time::{Millis, Span};
use crate::window::{Distinct, Keyed, Saved, Sliding};

/// Steps of expiry for each observation: more than one, so that the map shrinks faster than it grows.
pub(super) const EXPIRE_STEPS: usize = 4;

/// What a window must not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// Fires from this many events on.
    CountAtLeast(u64),
    /// Fires when the sum of the amounts is above this.
    SumAbove(i64),
    /// Fires from this many different values on.
    DistinctAtLeast(u64),
}

/// What one event adds to a window. A limit takes from it what it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount<'a> {
    /// Itself; nothing to a sum.
    One,
    /// An amount, in any fixed unit.
    Sum(i64),
    /// Hashes of values; with none of them nothing happens under a limit on different values.
    Values(&'a [u64]),
}

/// Something that has crossed its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Count, sum or score now.
    pub value: i64,
    /// The limit that held for it.
    pub limit: i64,
    /// Number of the window-length slot in which it crossed: the same when the state was rebuilt.
    pub bucket: i64,
}

/// One windowed rule over all of its keys.
#[derive(Debug)]
pub struct RateDetector {
    limit: RateLimit,
    span: Span,
    windows: Keyed<Window>,
}

/// What a detector remembers, to be written down; reads as [`RateSaved`].
#[derive(Debug, Serialize)]
pub struct RateSaving<'a> {
    span: Span,
    windows: &'a Keyed<Window>,
}

/// What a detector remembered, to be given back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RateSaved {
    span: Span,
    windows: Saved<Window>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    measured: Measured,
    /// Whose window it is, for a reset; windows of one owner are found by a sweep. In halves, because
    /// a number of 16 bytes would cost as many of padding.
    owner: (u64, u64),
    fired: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Measured {
    Amounts(Sliding),
    Values(Distinct),
}

impl RateDetector {
    /// A detector without any history.
    #[must_use]
    pub fn new(limit: RateLimit, span: Span) -> Self {
        Self { limit, span, windows: Keyed::new(idle(span), WINDOW_KEYS_MAX) }
    }

    /// What is remembered now.
    #[must_use]
    pub fn save(&self) -> RateSaving<'_> {
        RateSaving { span: self.span, windows: &self.windows }
    }

    /// Goes on from what was remembered, under its own limit. What was remembered of windows of another
    /// length means nothing here and is left out.
    pub fn restore(&mut self, saved: RateSaved) {
        if saved.span == self.span {
            self.windows = Keyed::restore(saved.windows, idle(self.span), WINDOW_KEYS_MAX);
        }
    }

    /// Length of the window.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// Counts one event, whose key has a limit of its own or the detector's. Says so when that makes
    /// the window cross it. A limit on something else than the detector measures does not hold.
    pub fn observe(
        &mut self,
        key: u128,
        owner: u128,
        at: Millis,
        amount: Amount<'_>,
        limit: Option<RateLimit>,
    ) -> Option<Crossing> {
        self.windows.expire(at, EXPIRE_STEPS);
        let (own, span) = (self.limit, self.span);
        let limit = limit.filter(|limit| limit.measures_like(own)).unwrap_or(own);
        if limit.measures_like(RateLimit::DistinctAtLeast(0)) && amount.values().is_empty() {
            return None;
        }
        let window = self.windows.touch(key, at, || Window::new(own, owner));
        let bucket = at.0.div_euclid(span.0.max(1));
        let value = window.observe(at, amount, limit, span)?;
        Some(Crossing { value, limit: limit.number(), bucket })
    }

    /// Forgets all windows of one owner: what was counted before an operator's release is settled.
    pub fn reset(&mut self, owner: u128) {
        if owner != 0 {
            self.windows.retain(|window| window.owner != halves(owner));
        }
    }

    /// Forgets windows that nothing can be added to any more.
    pub fn expire(&mut self, now: Millis, steps: usize) {
        self.windows.expire(now, steps);
    }

    /// Copies what is remembered of a key into another detector of the same rule, which tells again of what was
    /// told here. Nothing changes here.
    pub fn copy(&self, key: u128, into: &mut Self) {
        self.windows.copy(key, &mut into.windows);
        if let Some(window) = into.windows.get_mut(key) {
            window.fired = false;
        }
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

impl Window {
    fn new(limit: RateLimit, owner: u128) -> Self {
        let measured = match limit {
            RateLimit::CountAtLeast(_) | RateLimit::SumAbove(_) => Measured::Amounts(Sliding::default()),
            RateLimit::DistinctAtLeast(_) => Measured::Values(Distinct::default()),
        };
        Self { measured, owner: halves(owner), fired: false }
    }

    /// Adds one event; the value when that crosses the limit for the first time in an episode.
    fn observe(&mut self, at: Millis, amount: Amount<'_>, limit: RateLimit, span: Span) -> Option<i64> {
        if self.measured.newest().is_none_or(|newest| newest <= at - span) {
            self.fired = false;
        }
        if !self.measured.add(at, amount, span) {
            return None;
        }
        let mut value = self.measured.value(limit);
        if self.fired || limit.is_crossed(value) {
            self.measured.settle(span);
            value = self.measured.value(limit);
        }
        self.fired &= !limit.is_calm(value);
        let fires = !self.fired && limit.is_crossed(value);
        self.fired |= fires;
        fires.then_some(value)
    }
}

impl Measured {
    fn newest(&self) -> Option<Millis> {
        match self {
            Self::Amounts(sliding) => sliding.newest(),
            Self::Values(distinct) => distinct.newest(),
        }
    }

    /// False when the event is older than the window.
    fn add(&mut self, at: Millis, amount: Amount<'_>, span: Span) -> bool {
        match self {
            Self::Amounts(sliding) => sliding.add(at, amount.sum(), span),
            Self::Values(distinct) => amount.values().iter().all(|value| distinct.add(at, *value, span)),
        }
    }

    /// Makes the number of different values exact, which it is only now and then by itself.
    fn settle(&mut self, span: Span) {
        if let Self::Values(distinct) = self
            && let Some(newest) = distinct.newest()
        {
            distinct.expire(newest, span);
        }
    }

    fn value(&self, limit: RateLimit) -> i64 {
        let count = match (self, limit) {
            (Self::Amounts(sliding), RateLimit::SumAbove(_)) => return sliding.sum(),
            (Self::Amounts(sliding), _) => sliding.count(),
            (Self::Values(distinct), _) => distinct.count(),
        };
        i64::try_from(count).unwrap_or(i64::MAX)
    }
}

impl<'a> Amount<'a> {
    fn sum(self) -> i64 {
        match self {
            Self::Sum(amount) => amount,
            Self::One | Self::Values(_) => 0,
        }
    }

    fn values(self) -> &'a [u64] {
        match self {
            Self::Values(values) => values,
            Self::One | Self::Sum(_) => &[],
        }
    }
}

impl RateLimit {
    fn measures_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    fn number(self) -> i64 {
        match self {
            Self::CountAtLeast(limit) | Self::DistinctAtLeast(limit) => i64::try_from(limit).unwrap_or(i64::MAX),
            Self::SumAbove(limit) => limit,
        }
    }

    fn is_crossed(self, value: i64) -> bool {
        match self {
            Self::CountAtLeast(_) | Self::DistinctAtLeast(_) => value >= self.number(),
            Self::SumAbove(limit) => value > limit,
        }
    }

    fn is_calm(self, value: i64) -> bool {
        is_calm(value, self.number())
    }
}

/// Below 0.7 of a limit: an episode is over.
pub(super) fn is_calm(value: i64, limit: i64) -> bool {
    i128::from(value) * 10 < i128::from(limit) * 7
}

/// The halves of an owner.
#[expect(clippy::cast_possible_truncation, reason = "the halves")]
pub(super) fn halves(owner: u128) -> (u64, u64) {
    ((owner >> 64) as u64, owner as u64)
}

/// How long a key that needs to remember `span` is kept: until every event that lies within it has
/// come, however late.
pub(super) fn idle(span: Span) -> Span {
    span + LATENESS + CLOCK_AHEAD
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const MINUTE: Span = Span::seconds(60);

    #[test]
    fn a_window_is_small() {
        assert_eq!(size_of::<Option<Window>>(), 104, "a million of them should not cost more than they must");
    }

    /// The positions of the observations that fire.
    fn fires(limit: RateLimit, seen: &[(i64, i64)]) -> Vec<usize> {
        let mut detector = RateDetector::new(limit, MINUTE);
        let fired = |(n, (at, amount)): (usize, &(i64, i64))| {
            detector.observe(7, 7, Millis(*at * 1_000), Amount::Sum(*amount), None).map(|_| n + 1)
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
        let once = RateLimit::CountAtLeast(1);
        assert_eq!(fires(once, &[(0, 1), (59, 1), (118, 1), (178, 1)]), [1, 4], "again when the window was empty");
    }

    #[test]
    fn different_values_count_once() {
        let mut detector = RateDetector::new(RateLimit::DistinctAtLeast(4), MINUTE);
        let rows: [(i64, &[u64], bool); 6] = [
            (0, &[1, 2], false),
            (1, &[2, 1, 3], false),
            (2, &[], false),
            (3, &[3], false),
            (4, &[5, 6], true),
            (5, &[7], false),
        ];
        for (second, values, fires) in rows {
            let crossing = detector.observe(7, 7, Millis(second * 1_000), Amount::Values(values), None);
            let expected = Crossing { value: 5, limit: 4, bucket: 0 };
            assert_eq!(crossing, fires.then_some(expected), "at {second} s");
        }
        assert_eq!(detector.observe(8, 8, Millis(0), Amount::Values(&[]), None), None);
        assert_eq!(detector.keys(), 1, "no value, no window");
    }

    #[test]
    fn a_key_may_have_a_limit_of_its_own() {
        let mut detector = RateDetector::new(RateLimit::CountAtLeast(2), MINUTE);
        let mut observe = |key, limit| detector.observe(key, 0, Millis(0), Amount::One, limit);
        let own = Some(RateLimit::CountAtLeast(3));
        assert_eq!([observe(1, None), observe(2, own)], [None; 2]);
        let crossing = |value| Some(Crossing { value, limit: value, bucket: 0 });
        assert_eq!([observe(1, None), observe(2, own)], [crossing(2), None]);
        assert_eq!([observe(1, None), observe(2, own)], [None, crossing(3)]);
        let other = Some(RateLimit::SumAbove(0));
        assert_eq!([observe(3, other), observe(3, other)], [None, crossing(2)], "of another measure: does not hold");
    }

    #[test]
    fn keys_do_not_mix_and_a_reset_starts_over() {
        let mut detector = RateDetector::new(RateLimit::CountAtLeast(2), MINUTE);
        let mut steps = vec![(1, 10, 0, false), (2, 0, 0, false), (1, 10, 1, true)];
        let run = |detector: &mut RateDetector, steps: &[(u128, u128, i64, bool)]| {
            for (key, owner, at, fires) in steps {
                let crossing = detector.observe(*key, *owner, Millis(*at), Amount::One, None);
                assert_eq!(crossing.is_some(), *fires, "key {key} at {at}");
            }
        };
        run(&mut detector, &steps);
        detector.reset(10);
        detector.reset(0);
        steps = vec![(1, 10, 2, false), (2, 0, 2, true), (1, 10, 3, true)];
        run(&mut detector, &steps);
    }

    #[test]
    fn a_rebuilt_window_crosses_in_the_same_bucket() {
        let run = || {
            let mut detector = RateDetector::new(RateLimit::CountAtLeast(2), MINUTE);
            detector.observe(1, 1, Millis(59_000), Amount::One, None);
            detector.observe(1, 1, Millis(61_000), Amount::One, None)
        };
        assert_eq!(run(), Some(Crossing { value: 2, limit: 2, bucket: 1 }));
        assert_eq!(run(), run());
    }

    #[test]
    fn what_was_saved_of_another_window_is_left_out() {
        let mut detector = RateDetector::new(RateLimit::CountAtLeast(2), MINUTE);
        detector.observe(1, 1, Millis(0), Amount::One, None);
        let saved = || rmp_serde::from_slice(&rmp_serde::to_vec(&detector.save()).expect("saves")).expect("restores");
        for (span, keys) in [(MINUTE, 1), (Span::seconds(61), 0)] {
            let mut other = RateDetector::new(RateLimit::CountAtLeast(2), span);
            other.restore(saved());
            assert_eq!(other.keys(), keys);
        }
    }

    /// A key's whole history and the episodes as the rule has them.
    #[derive(Default)]
    struct Model {
        events: Vec<(i64, i64, Vec<u64>)>,
        fired: bool,
    }

    impl Model {
        fn observe(&mut self, at: i64, amount: i64, values: &[u64], limit: RateLimit) -> Option<i64> {
            let newest = self.events.iter().map(|event| event.0).max();
            if newest.is_some_and(|newest| at <= newest - MINUTE.0) {
                return None;
            }
            self.fired &= newest.is_some_and(|newest| newest > at - MINUTE.0);
            self.events.push((at, amount, values.to_vec()));
            let edge = newest.map_or(at, |newest| newest.max(at)) - MINUTE.0;
            let held: Vec<_> = self.events.iter().filter(|event| event.0 > edge).collect();
            let value = match limit {
                RateLimit::CountAtLeast(_) => i64::try_from(held.len()).expect("few"),
                RateLimit::SumAbove(_) => held.iter().map(|event| event.1).sum(),
                RateLimit::DistinctAtLeast(_) => {
                    let values: std::collections::BTreeSet<_> = held.iter().flat_map(|event| &event.2).collect();
                    i64::try_from(values.len()).expect("few")
                }
            };
            self.fired &= !limit.is_calm(value);
            let fires = !self.fired && limit.is_crossed(value);
            self.fired |= fires;
            fires.then_some(value)
        }
    }

    fn restored(detector: &RateDetector) -> RateDetector {
        let bytes = rmp_serde::to_vec(&detector.save()).expect("saves");
        let mut fresh = RateDetector::new(detector.limit, detector.span);
        fresh.restore(rmp_serde::from_slice(&bytes).expect("restores"));
        fresh
    }

    proptest! {
        /// Against the whole history of each key, as late as events may be and with keys forgotten in
        /// between; saved and restored half-way.
        #[test]
        fn agrees_with_the_full_history(
            limit in prop_oneof![
                Just(RateLimit::CountAtLeast(5)),
                Just(RateLimit::SumAbove(40)),
                Just(RateLimit::DistinctAtLeast(12)),
            ],
            seen in proptest::collection::vec(
                (0_i64..60, 0_i64..300_000, any::<bool>(), 0_u128..3, 0_i64..20, proptest::collection::vec(0_u64..24, 1..6)),
                1..250,
            ),
            cut in 0..250_usize,
        ) {
            let mut detector = RateDetector::new(limit, MINUTE);
            let mut models: BTreeMap<u128, Model> = BTreeMap::new();
            let mut now = 0;
            for (n, (forward, back, late, key, amount, values)) in seen.into_iter().enumerate() {
                now += forward * forward * forward;
                let at = if late { now - back } else { now - back / 20 };
                if n == cut {
                    detector = restored(&detector);
                }
                let adds = match limit {
                    RateLimit::CountAtLeast(_) => Amount::One,
                    RateLimit::SumAbove(_) => Amount::Sum(amount),
                    RateLimit::DistinctAtLeast(_) => Amount::Values(&values),
                };
                let crossing = detector.observe(key, 0, Millis(at), adds, None);
                let expected = models.entry(key).or_default().observe(at, amount, &values, limit);
                prop_assert_eq!(crossing.map(|crossing| crossing.value), expected);
            }
        }
    }
}
