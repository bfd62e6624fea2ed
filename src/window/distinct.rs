//! How many different values there are in a sliding window over event time.
//!
//! Values are hashes, and each is kept with the latest time that it was seen. Exact up to 1,024 values
//! in the window, a sample of them with more. Most keys have a handful, so the first four lie in the
//! window itself. Late events are put in their place; older than the window they are refused.
//!
//! Values that have left the window are looked for at each event while there are up to 64, and 64 times
//! a window when there are more; in between they still count. [`Distinct::expire`] always looks.

use serde::{Deserialize, Serialize};

use super::sample::Sample;
use crate::time::{Millis, Span};

/// Values that need no memory of their own.
const FEW: usize = 4;

/// The different values of one key within a window's length of the newest event. The length must be
/// the same at each call, and at most 49 days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distinct(Held);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Held {
    Few(Few),
    Many(Box<Sample>),
}

/// Those that were never seen are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Few([Seen; FEW]);

/// A value and the latest time that it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    value: u64,
    at: Millis,
}

const FREE: Seen = Seen { value: 0, at: Millis(i64::MIN) };

impl Distinct {
    /// Adds a value. False when it is older than the window.
    pub fn add(&mut self, at: Millis, value: u64, span: Span) -> bool {
        match self.newest() {
            Some(newest) if at <= newest - span => return false,
            Some(newest) if newest > at - span => {}
            _ => *self = Self::default(),
        }
        match &mut self.0 {
            Held::Few(few) => {
                few.keep_after(at - span);
                if !few.add(Seen { value, at }) {
                    let mut sample = Sample::default();
                    for Seen { value, at } in few.iter() {
                        sample.add(*at, *value, span);
                    }
                    sample.add(at, value, span);
                    self.0 = Held::Many(Box::new(sample));
                }
                true
            }
            Held::Many(sample) => sample.add(at, value, span),
        }
    }

    /// Drops what lies `span` or more before `now`.
    pub fn expire(&mut self, now: Millis, span: Span) {
        let edge = now - span;
        match &mut self.0 {
            Held::Few(few) => few.keep_after(edge),
            Held::Many(sample) if sample.newest().is_some_and(|newest| newest > edge) => sample.expire(now, span),
            Held::Many(_) => *self = Self::default(),
        }
    }

    /// Different values in the window, and those that have left it and were not looked for yet.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.0 {
            Held::Few(few) => few.iter().count() as u64,
            Held::Many(sample) => sample.count(),
        }
    }

    /// Time of the newest event.
    #[must_use]
    pub fn newest(&self) -> Option<Millis> {
        match &self.0 {
            Held::Few(few) => few.iter().map(|seen| seen.at).max(),
            Held::Many(sample) => sample.newest(),
        }
    }
}

impl Default for Held {
    fn default() -> Self {
        Self::Few(Few([FREE; FEW]))
    }
}

impl Few {
    fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.0.iter().filter(|seen| seen.at > FREE.at)
    }

    /// Takes note of a value; false when there is no room.
    fn add(&mut self, new: Seen) -> bool {
        let is_known = |seen: &&mut Seen| seen.value == new.value && seen.at > FREE.at;
        if let Some(known) = self.0.iter_mut().find(is_known) {
            known.at = known.at.max(new.at);
            return true;
        }
        let free = self.0.iter_mut().find(|seen| seen.at == FREE.at);
        free.map(|free| *free = new).is_some()
    }

    fn keep_after(&mut self, edge: Millis) {
        for seen in self.0.iter_mut().filter(|seen| seen.at <= edge) {
            *seen = FREE;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::sample::{DISTINCT_VALUES_MAX, SWEPT_ALWAYS};
    use super::*;

    const SPAN: Span = Span(60_000);

    /// A number as a hash: the finalizer of splitmix64.
    fn hash(number: u64) -> u64 {
        let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn kept(window: &Distinct) -> usize {
        match &window.0 {
            Held::Few(few) => few.iter().count(),
            Held::Many(sample) => sample.kept(),
        }
    }

    fn count_after(events: &[(i64, u64)]) -> u64 {
        let mut window = Distinct::default();
        for (at, number) in events {
            window.add(Millis(*at), hash(*number), SPAN);
        }
        window.count()
    }

    #[test]
    fn counts_different_values_within_the_span_of_the_newest() {
        let rows: [(&[(i64, u64)], u64); 8] = [
            (&[], 0),
            (&[(0, 1), (1, 2), (59_999, 3)], 3),
            (&[(0, 1), (1, 1), (59_999, 1)], 1),
            (&[(0, 1), (60_000, 2)], 1),
            (&[(0, 1), (30_000, 1), (60_000, 2)], 2),
            (&[(30_000, 1), (0, 1), (60_000, 2)], 2),
            (&[(60_000, 1), (1, 2), (30_000, 3)], 3),
            (&[(60_000, 1), (0, 2)], 1),
        ];
        for (events, count) in rows {
            assert_eq!(count_after(events), count, "{events:?}");
        }
    }

    #[test]
    fn older_than_the_window_is_refused() {
        let mut window = Distinct::default();
        assert!(window.add(Millis(100_000), 1, SPAN));
        assert!(!window.add(Millis(40_000), 2, SPAN));
        assert!(window.add(Millis(40_001), 2, SPAN));
    }

    /// The latest time of every value that may still matter.
    #[derive(Default)]
    struct Model {
        latest: BTreeMap<u64, i64>,
        newest: Option<i64>,
    }

    impl Model {
        fn add(&mut self, at: i64, value: u64) -> bool {
            if self.newest.is_some_and(|newest| at <= newest - SPAN.0) {
                return false;
            }
            self.newest = self.newest.max(Some(at));
            let latest = self.latest.entry(value).or_insert(at);
            *latest = at.max(*latest);
            true
        }

        fn count(&mut self) -> u64 {
            let edge = self.newest.unwrap_or(0) - SPAN.0;
            self.latest.retain(|_, at| *at > edge);
            self.latest.len() as u64
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// Against a model that keeps everything: exact as long as there never were more than fit.
        #[test]
        fn agrees_with_the_full_history(
            values in 1_u64..3_000,
            steps in proptest::collection::vec((0_i64..6_000, 0_i64..9_000, 0_u64..200, any::<u64>()), 1..100),
        ) {
            let (mut window, mut model, mut now) = (Distinct::default(), Model::default(), 0_i64);
            let mut exact = true;
            for (forward, back, many, seed) in steps {
                now += forward;
                for n in 0..many {
                    let (at, value) = (now - back, hash(hash(seed ^ n) % values));
                    prop_assert_eq!(window.add(Millis(at), value, SPAN), model.add(at, value));
                    prop_assert!(kept(&window) <= DISTINCT_VALUES_MAX);
                }
                let truth = model.count();
                exact = exact && truth <= DISTINCT_VALUES_MAX as u64;
                if kept(&window) <= SWEPT_ALWAYS && exact {
                    prop_assert_eq!(window.count(), truth);
                }
                prop_assert!(!exact || window.count() >= truth);
                let mut settled = window.clone();
                settled.expire(Millis(model.newest.unwrap_or(0)), SPAN);
                let error = settled.count().abs_diff(truth);
                prop_assert!(if exact { error == 0 } else { error * 4 <= truth.max(1_024) }, "{error} of {truth}");
                if seed % 4 == 0 {
                    window = rmp_serde::from_slice(&rmp_serde::to_vec(&window).expect("saves")).expect("restores");
                }
            }
        }
    }

    /// Largest error of the estimate, in parts of a thousand, while `rate` new values come each second
    /// for so many seconds, each of them twice.
    fn error_permille(window: &mut Distinct, model: &mut Model, from: i64, seconds: i64, rate: u64) -> u64 {
        let mut worst = 0;
        for second in from..from + seconds {
            for n in 0..rate {
                let number = u64::try_from(second).expect("positive") * 1_000_000 + n;
                for at in [second * 1_000, second * 1_000 - 500] {
                    assert_eq!(window.add(Millis(at), hash(number), SPAN), model.add(at, hash(number)));
                }
            }
            let (count, truth) = (window.count(), model.count());
            worst = worst.max(count.abs_diff(truth) * 1_000 / truth.max(1));
        }
        worst
    }

    #[test]
    fn a_large_count_is_within_a_tenth() {
        let (mut window, mut model) = (Distinct::default(), Model::default());
        for (from, seconds, rate) in [(100, 90, 30), (190, 120, 300), (310, 90, 2_000)] {
            let error = error_permille(&mut window, &mut model, from, seconds, rate);
            assert!(error <= 100, "{error} parts of a thousand at {rate} a second");
        }
    }

    #[test]
    fn after_a_busy_time_the_sample_grows_fine_again_and_then_exact() {
        let (mut window, mut model) = (Distinct::default(), Model::default());
        error_permille(&mut window, &mut model, 100, 60, 2_000);
        error_permille(&mut window, &mut model, 160, 90, 10);
        let error = error_permille(&mut window, &mut model, 250, 200, 10);
        assert!(error == 0 && matches!(&window.0, Held::Many(sample) if sample.is_exact()));
    }

    #[test]
    fn a_window_that_never_empties_counts_on_for_months() {
        let day = Span::seconds(86_400);
        let mut window = Distinct::default();
        for hour in 0..24 * 120 {
            window.add(Millis(hour * 3_600_000), hash(hour.unsigned_abs()), day);
            assert_eq!(window.count(), (hour.unsigned_abs() + 1).min(24));
        }
    }
}
