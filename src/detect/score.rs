//! A risk score that findings add to and that time takes away.
//!
//! Halves with every half-life. All is integer arithmetic, the same on every machine: whole half-lives
//! are a shift, 64ths of one are products of roots of a half, and within a 64th the score falls in a
//! straight line. That is so close to the true curve that it does not matter in how many steps a score
//! has decayed, or in which order its points came. After ten half-lives points are gone.
//!
//! Fires when the score reaches the threshold, and again only after it has decayed below 0.7 of it.

use serde::{Deserialize, Serialize};

use super::rate::{Crossing, EXPIRE_STEPS, halves, idle, is_calm};
use crate::limits::WINDOW_KEYS_MAX;
use crate::time::{Millis, Span};
use crate::window::{Keyed, Saved};

//
/// Half-lives after which a point of the risk score is gone.
const SCORE_HALF_LIVES_MAX: i64 = 10;

/// Scores are kept this many bits finer than in thousandths of a point.
const FINE_BITS: u32 = 16;
/// One, in the numbers of [`ROOTS`].
const ONE: u128 = 1 << 62;
/// The square root of a half, the square root of that, and so on.
const ROOTS: [u128; 6] = [
    3_260_954_456_333_195_553,
    3_877_950_241_171_266_237,
    4_228_934_724_888_366_668,
    4_416_165_660_797_809_419,
    4_512_867_096_753_504_463,
    4_562_008_997_483_360_349,
];
/// Parts of a half-life: the last root's power.
const PARTS: u128 = 1 << ROOTS.len();

/// A score with a threshold, over all of its keys. Points and scores are in thousandths of a point.
#[derive(Debug)]
pub struct ScoreDetector {
    at_least: i64,
    half_life: Span,
    scores: Keyed<Score>,
}

/// What a detector remembers, to be written down; reads as [`ScoreSaved`].
#[derive(Debug, Serialize)]
pub struct ScoreSaving<'a> {
    half_life: Span,
    scores: &'a Keyed<Score>,
}

/// What a detector remembered, to be given back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScoreSaved {
    half_life: Span,
    scores: Saved<Score>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Score {
    /// What it was at the time of its newest points.
    fine: i64,
    newest: Millis,
    /// Whose score it is, for a reset; scores of one owner are found by a sweep.
    owner: (u64, u64),
    fired: bool,
}

impl ScoreDetector {
    /// A detector without any history.
    #[must_use]
    pub fn new(at_least: i64, half_life: Span) -> Self {
        let half_life = half_life.max(Span(1));
        Self { at_least: at_least.max(1), half_life, scores: Keyed::new(idle(lifetime(half_life)), WINDOW_KEYS_MAX) }
    }

    /// What is remembered now.
    #[must_use]
    pub fn save(&self) -> ScoreSaving<'_> {
        ScoreSaving { half_life: self.half_life, scores: &self.scores }
    }

    /// Goes on from what was remembered, under its own threshold. Scores with another half-life mean
    /// something else and are left out.
    pub fn restore(&mut self, saved: ScoreSaved) {
        if saved.half_life == self.half_life {
            self.scores = Keyed::restore(saved.scores, idle(self.span()), WINDOW_KEYS_MAX);
        }
    }

    /// How long points count for anything.
    #[must_use]
    pub fn span(&self) -> Span {
        lifetime(self.half_life)
    }

    /// Adds points; those that come late count as much as if they had come in time. Says so when that
    /// makes the score reach the threshold.
    pub fn observe(&mut self, key: u128, owner: u128, at: Millis, points: i64) -> Option<Crossing> {
        if points <= 0 {
            return None;
        }
        self.scores.expire(at, EXPIRE_STEPS);
        let (at_least, half_life) = (self.at_least, self.half_life);
        let anew = || Score { fine: 0, newest: at, owner: halves(owner), fired: false };
        let score = self.scores.touch(key, at, anew);
        let before = score.at(at, half_life);
        score.fired &= !is_calm(thousandths(before), at_least);
        let points = points.saturating_mul(1 << FINE_BITS);
        score.fine = before.saturating_add(decayed(points, score.newest - at, half_life));
        score.newest = score.newest.max(at);
        let value = thousandths(score.fine);
        if score.fired || value < at_least {
            return None;
        }
        score.fired = true;
        Some(Crossing { value, limit: at_least, bucket: at.0.div_euclid(half_life.0) })
    }

    /// The score of a key; before its newest points what it was with them.
    #[must_use]
    pub fn score(&self, key: u128, now: Millis) -> i64 {
        self.scores.get(key).map_or(0, |score| thousandths(score.at(now, self.half_life)))
    }

    /// Forgets all scores of one owner: what was found before an operator's release is settled.
    pub fn reset(&mut self, owner: u128) {
        if owner != 0 {
            self.scores.retain(|score| score.owner != halves(owner));
        }
    }

    /// Forgets scores of which nothing is left.
    pub fn expire(&mut self, now: Millis, steps: usize) {
        self.scores.expire(now, steps);
    }

    /// Copies what is remembered of a key into another detector of the same rule, which tells again of what was
    /// told here. Nothing changes here.
    pub fn copy(&self, key: u128, into: &mut Self) {
        self.scores.copy(key, &mut into.scores);
        if let Some(score) = into.scores.get_mut(key) {
            score.fired = false;
        }
    }

    /// Number of keys with a score.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.scores.len()
    }

    /// Keys that were forgotten because there were too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.scores.evicted()
    }
}

impl Score {
    fn at(&self, now: Millis, half_life: Span) -> i64 {
        decayed(self.fine, now - self.newest, half_life)
    }
}

fn lifetime(half_life: Span) -> Span {
    Span(half_life.0.saturating_mul(SCORE_HALF_LIVES_MAX))
}

fn thousandths(fine: i64) -> i64 {
    fine >> FINE_BITS
}

/// What is left after a time; all of it before any has passed.
fn decayed(fine: i64, age: Span, half_life: Span) -> i64 {
    if age.0 <= 0 {
        return fine;
    }
    let (whole, rest) = (age.0 / half_life.0, age.0 % half_life.0);
    if whole >= SCORE_HALF_LIVES_MAX {
        return 0;
    }
    let left = u128::from((fine >> whole).unsigned_abs()) * left_of_one(rest, half_life);
    i64::try_from(left / ONE).unwrap_or(i64::MAX)
}

/// What is left of [`ONE`] after less than a half-life.
fn left_of_one(age: i64, half_life: Span) -> u128 {
    let (age, half_life) = (u128::from(age.unsigned_abs()), u128::from(half_life.0.unsigned_abs()));
    let (part, rest) = (age * PARTS / half_life, age * PARTS % half_life);
    let roots = ROOTS.iter().enumerate().filter(|(n, _)| part << n & (PARTS / 2) != 0);
    let from = roots.fold(ONE, |left, (_, root)| left * root / ONE);
    let to = ROOTS.last().map_or(from, |root| from * root / ONE);
    from - (from - to) * rest / half_life
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const HALF_LIFE: Span = Span::seconds(1_800);

    #[test]
    fn a_score_halves_with_every_half_life() {
        let mut detector = ScoreDetector::new(i64::MAX, HALF_LIFE);
        detector.observe(1, 1, Millis(0), 100_000);
        let rows = [
            (-10, 100_000),
            (0, 100_000),
            (450, 84_089),
            (900, 70_710),
            (1_350, 59_460),
            (1_799, 50_019),
            (1_800, 50_000),
            (2_700, 35_355),
            (3_600, 25_000),
            (9 * 1_800, 195),
            (10 * 1_800, 0),
            (1 << 40, 0),
        ];
        for (seconds, score) in rows {
            assert_eq!(detector.score(1, Millis(seconds * 1_000)), score, "after {seconds} s");
        }
        assert_eq!(detector.score(2, Millis(0)), 0);
    }

    #[test]
    fn a_score_never_grows_by_itself() {
        for half_life in [Span(1), Span(7), Span(1_000), Span(100_003)] {
            let mut before = i64::MAX;
            for age in 0..(half_life.0 * 3).min(20_000) {
                let left = decayed(1 << 40, Span(age * (half_life.0 / 5_000).max(1)), half_life);
                assert!(left <= before, "{age} of {half_life}");
                before = left;
            }
        }
    }

    /// The positions of the points that fire, counted from one; with each its second.
    fn fires(points: &[(i64, i64)]) -> Vec<usize> {
        let mut detector = ScoreDetector::new(100_000, HALF_LIFE);
        let fired = |(n, (second, points)): (usize, &(i64, i64))| {
            detector.observe(1, 1, Millis(second * 1_000), points * 1_000).map(|_| n + 1)
        };
        points.iter().enumerate().filter_map(fired).collect()
    }

    #[test]
    fn fires_at_the_threshold_once_an_episode() {
        type Row = (&'static [(i64, i64)], &'static [usize]);
        let rows: [Row; 7] = [
            (&[(0, 99)], &[]),
            (&[(0, 100)], &[1]),
            (&[(0, 50), (0, 50), (0, 50)], &[2]),
            (&[(0, 50), (1, 50)], &[]),
            (&[(0, 100), (900, 50)], &[1]),
            (&[(0, 100), (1_000, 50)], &[1, 2]),
            (&[(1_800, 50), (0, 98), (1_801, 1)], &[]),
        ];
        for (points, expected) in rows {
            assert_eq!(fires(points), expected, "{points:?}");
        }
        assert_eq!(fires(&[(1_800, 50), (0, 100)]), [2], "late points count what is left of them");
    }

    #[test]
    fn a_crossing_says_score_limit_and_slot() {
        let mut detector = ScoreDetector::new(100_000, HALF_LIFE);
        let crossing = detector.observe(1, 1, Millis(4_000_000), 120_000);
        assert_eq!(crossing, Some(Crossing { value: 120_000, limit: 100_000, bucket: 2 }));
    }

    #[test]
    fn keys_do_not_mix_and_a_reset_starts_over() {
        let mut detector = ScoreDetector::new(100_000, HALF_LIFE);
        assert_eq!(detector.observe(1, 10, Millis(0), 60_000), None);
        assert_eq!(detector.observe(2, 0, Millis(0), 60_000), None);
        detector.reset(10);
        detector.reset(0);
        assert_eq!(detector.observe(1, 10, Millis(0), 60_000), None);
        assert!(detector.observe(2, 0, Millis(0), 60_000).is_some());
    }

    #[test]
    fn nothing_and_less_than_nothing_leave_no_trace() {
        let mut detector = ScoreDetector::new(1, HALF_LIFE);
        assert_eq!([0, -1, i64::MIN].map(|points| detector.observe(1, 1, Millis(0), points)), [None; 3]);
        assert_eq!(detector.keys(), 0);
        assert!(detector.observe(1, 1, Millis(0), i64::MAX).is_some());
        assert_eq!(detector.score(1, Millis(0)), i64::MAX >> FINE_BITS);
    }

    fn restored(detector: &ScoreDetector) -> ScoreDetector {
        let bytes = rmp_serde::to_vec(&detector.save()).expect("saves");
        let mut fresh = ScoreDetector::new(detector.at_least, detector.half_life);
        fresh.restore(rmp_serde::from_slice(&bytes).expect("restores"));
        fresh
    }

    /// How far a score is from what the true curve says of all points of a key, and how far it may be.
    #[expect(clippy::cast_precision_loss, reason = "a model to compare with")]
    fn error_of(score: i64, points: &[(Millis, i64)], now: Millis) -> (f64, f64) {
        let left = |(at, points): &(Millis, i64)| {
            let half_lives = (now - *at).0 as f64 / HALF_LIFE.0 as f64;
            *points as f64 * 0.5_f64.powf(half_lives)
        };
        let truth: f64 = points.iter().map(left).sum();
        ((score as f64 - truth).abs(), 2.0 + truth / 500.0)
    }

    proptest! {
        /// Against the whole history of each key and the true curve: as good in any order, in any number
        /// of steps, and after it was saved and restored.
        #[test]
        fn agrees_with_the_full_history(
            found in proptest::collection::vec((0_i64..70, 0_i64..300_000, 0_u128..3, 1_i64..50_000), 1..300),
            cut in 0..300_usize,
        ) {
            let mut whole = ScoreDetector::new(100_000, HALF_LIFE);
            let mut detector = ScoreDetector::new(100_000, HALF_LIFE);
            let mut histories: BTreeMap<u128, Vec<(Millis, i64)>> = BTreeMap::new();
            let mut now = 0;
            for (n, (forward, back, key, points)) in found.into_iter().enumerate() {
                now += forward * forward * forward;
                let at = Millis(now - back);
                if n == cut {
                    detector = restored(&detector);
                }
                let crossing = detector.observe(key, 0, at, points);
                prop_assert_eq!(crossing, whole.observe(key, 0, at, points));
                let history = histories.entry(key).or_default();
                history.push((at, points));
                let newest = history.iter().map(|(at, _)| *at).max().unwrap_or(at);
                let score = detector.score(key, newest);
                let (error, most) = error_of(score, history, newest);
                prop_assert!(error <= most, "{score} is off by {error}");
                prop_assert!(crossing.is_none_or(|crossing| crossing.value == score && score >= 100_000));
            }
        }
    }
}
