//! The same call again and again.
//!
//! Follows, for each key, the run of equal calls in order of arrival. Another call starts anew, and so
//! does a gap that is too long. Fires once a run, when it is long enough.

use serde::{Deserialize, Serialize};

use super::rate::{Crossing, EXPIRE_STEPS, halves, idle};
use crate::limits::{WINDOW_KEYS_MAX, WINDOW_SPAN_MAX};
use crate::time::{Millis, Span};
use crate::window::{Keyed, Saved};

/// One rule against repetition over all of its keys.
#[derive(Debug)]
pub struct RepeatDetector {
    at_least: u64,
    within: Span,
    runs: Keyed<Run>,
}

/// What a detector remembers, to be written down; reads as [`RepeatSaved`].
#[derive(Debug, Serialize)]
pub struct RepeatSaving<'a> {
    runs: &'a Keyed<Run>,
}

/// What a detector remembered, to be given back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RepeatSaved {
    runs: Saved<Run>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    /// Hash of the call.
    call: u64,
    length: u64,
    /// Time of the call that came first.
    first: Millis,
    newest: Millis,
    /// Whose run it is, for a reset; runs of one owner are found by a sweep.
    owner: (u64, u64),
}

impl RepeatDetector {
    /// A detector without any history; fires at the call that makes a run `at_least` long, in which no
    /// gap is longer than `within`.
    #[must_use]
    pub fn new(at_least: u64, within: Span) -> Self {
        Self { at_least: at_least.max(1), within, runs: Keyed::new(idle(within + Span(1)), WINDOW_KEYS_MAX) }
    }

    /// What is remembered now.
    #[must_use]
    pub fn save(&self) -> RepeatSaving<'_> {
        RepeatSaving { runs: &self.runs }
    }

    /// Goes on from what was remembered, under its own limits.
    pub fn restore(&mut self, saved: RepeatSaved) {
        self.runs = Keyed::restore(saved.runs, idle(self.within + Span(1)), WINDOW_KEYS_MAX);
    }

    /// How far back the first call of a run that fires can lie; of one that takes longer than the
    /// longest window, a replay sees a part.
    #[must_use]
    pub fn span(&self) -> Span {
        let gaps = i64::try_from(self.at_least - 1).unwrap_or(i64::MAX);
        Span(self.within.0.saturating_mul(gaps)).clamp(self.within, WINDOW_SPAN_MAX.max(self.within))
    }

    /// Takes note of one call, given by its hash. Says so when that makes the run long enough; the
    /// crossing's bucket is then the time of the run's first call, in milliseconds.
    pub fn observe(&mut self, key: u128, owner: u128, at: Millis, call: u64) -> Option<Crossing> {
        self.runs.expire(at, EXPIRE_STEPS);
        let anew = Run { call, length: 0, first: at, newest: at, owner: halves(owner) };
        let run = self.runs.touch(key, at, || anew.clone());
        if run.call != call || at - run.newest > self.within {
            *run = anew;
        }
        run.newest = run.newest.max(at);
        run.length = run.length.saturating_add(1);
        let number = |length: u64| i64::try_from(length).unwrap_or(i64::MAX);
        (run.length == self.at_least).then(|| Crossing {
            value: number(run.length),
            limit: number(self.at_least),
            bucket: run.first.0,
        })
    }

    /// Forgets all runs of one owner: what was called before an operator's release is settled.
    pub fn reset(&mut self, owner: u128) {
        if owner != 0 {
            self.runs.retain(|run| run.owner != halves(owner));
        }
    }

    /// Forgets runs that no call can go on with any more.
    pub fn expire(&mut self, now: Millis, steps: usize) {
        self.runs.expire(now, steps);
    }

    /// Copies what is remembered of a key into another detector of the same rule, which tells again of what was
    /// told here. Nothing changes here.
    pub fn copy(&self, key: u128, into: &mut Self) {
        self.runs.copy(key, &mut into.runs);
        if let Some(run) = into.runs.get_mut(key) {
            run.length = run.length.min(self.at_least - 1);
        }
    }

    /// Number of keys with a run.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.runs.len()
    }

    /// Keys that were forgotten because there were too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.runs.evicted()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const HOUR: Span = Span::seconds(3_600);

    /// The positions of the calls that fire, counted from one; a call is its second and its name.
    fn fires(at_least: u64, calls: &[(i64, u64)]) -> Vec<usize> {
        let mut detector = RepeatDetector::new(at_least, HOUR);
        let fired = |(n, (second, call)): (usize, &(i64, u64))| {
            detector.observe(1, 1, Millis(second * 1_000), *call).map(|_| n + 1)
        };
        calls.iter().enumerate().filter_map(fired).collect()
    }

    #[test]
    fn fires_once_a_run() {
        type Row = (u64, &'static [(i64, u64)], &'static [usize]);
        let rows: [Row; 9] = [
            (3, &[(0, 7), (1, 7)], &[]),
            (3, &[(0, 7), (1, 7), (2, 7), (3, 7), (4, 7), (5, 7), (6, 7)], &[3]),
            (3, &[(0, 7), (1, 7), (2, 8), (3, 7), (4, 7)], &[]),
            (2, &[(0, 7), (1, 7), (2, 8), (3, 8), (4, 7), (5, 7)], &[2, 4, 6]),
            (2, &[(0, 7), (3_600, 7)], &[2]),
            (2, &[(0, 7), (3_601, 7)], &[]),
            (2, &[(0, 7), (3_601, 7), (3_700, 7)], &[3]),
            (2, &[(4_000, 7), (3_900, 7)], &[2]),
            (1, &[(0, 7), (1, 7), (2, 8)], &[1, 3]),
        ];
        for (at_least, calls, expected) in rows {
            assert_eq!(fires(at_least, calls), expected, "{at_least} of {calls:?}");
        }
    }

    #[test]
    fn a_crossing_says_how_often_and_names_the_run_by_its_first_call() {
        let mut detector = RepeatDetector::new(3, HOUR);
        let crossings: Vec<_> = (5..9).filter_map(|n| detector.observe(1, 1, Millis(n * 1_000), 7)).collect();
        assert_eq!(crossings, [Crossing { value: 3, limit: 3, bucket: 5_000 }]);
    }

    #[test]
    fn keys_do_not_mix_and_a_reset_starts_over() {
        let mut detector = RepeatDetector::new(2, HOUR);
        assert_eq!(detector.observe(1, 10, Millis(0), 7), None);
        assert_eq!(detector.observe(2, 0, Millis(0), 7), None);
        detector.reset(10);
        detector.reset(0);
        assert_eq!(detector.observe(1, 10, Millis(1), 7), None);
        assert!(detector.observe(2, 0, Millis(1), 7).is_some());
    }

    #[test]
    fn a_replay_reaches_back_to_the_first_call() {
        for (at_least, span) in [(1, HOUR), (2, HOUR), (20, Span::seconds(19 * 3_600)), (500, WINDOW_SPAN_MAX)] {
            assert_eq!(RepeatDetector::new(at_least, HOUR).span(), span);
        }
    }

    fn restored(detector: &RepeatDetector) -> RepeatDetector {
        let bytes = rmp_serde::to_vec(&detector.save()).expect("saves");
        let mut fresh = RepeatDetector::new(detector.at_least, detector.within);
        fresh.restore(rmp_serde::from_slice(&bytes).expect("restores"));
        fresh
    }

    /// Length of the run that a history of calls ends with.
    fn run_at_the_end(calls: &[(Millis, u64)], within: Span) -> u64 {
        let mut length = 0;
        let mut newest = Millis(i64::MIN);
        let mut last = None;
        for (at, call) in calls {
            let goes_on = last == Some(*call) && *at - newest <= within;
            length = if goes_on { length + 1 } else { 1 };
            newest = if goes_on { newest.max(*at) } else { *at };
            last = Some(*call);
        }
        length
    }

    proptest! {
        /// Against the whole history of each key, late calls and forgotten keys and all, saved and
        /// restored half-way.
        #[test]
        fn agrees_with_the_full_history(
            calls in proptest::collection::vec((0_i64..200, 0_i64..300, 0_u128..3, 0_u64..2), 1..300),
            cut in 0..300_usize,
        ) {
            let within = Span::seconds(600);
            let mut detector = RepeatDetector::new(4, within);
            let mut histories: BTreeMap<u128, Vec<(Millis, u64)>> = BTreeMap::new();
            let mut now = 0;
            for (n, (forward, back, key, call)) in calls.into_iter().enumerate() {
                now += forward * forward / 40;
                let at = Millis((now - back) * 1_000);
                if n == cut {
                    detector = restored(&detector);
                }
                let history = histories.entry(key).or_default();
                history.push((at, call));
                let fired = detector.observe(key, 0, at, call).is_some();
                prop_assert_eq!(fired, run_at_the_end(history, within) == 4);
            }
        }
    }
}
