//! Steps that follow each other: something came in, then something was read, then something went out.
//!
//! # What a match is
//!
//! All of this is about the events of one key, in the order in which they arrive. Events that match no
//! step of the plan do not exist here, not even for the time.
//!
//! - *Time.* The key's time never goes back: it is the largest time among its events since it last had
//!   nothing in progress. A late event counts as happening when it arrives. Order of arrival decides
//!   what follows what; times are for the limits only.
//! - *Stage.* A stage is complete when each of its steps has an event. One event may serve several steps
//!   of one stage, but only one stage: all events of a stage arrive after all events of the stage before.
//! - *Negated steps* guard the way to their stage. No event that arrives after the stage before was
//!   complete, up to and with the event that completes this stage, may match one of them; so an event
//!   that matches both a step and a negated step of a stage does not serve it. In the first stage the
//!   guard begins with the first event of the stage.
//! - *`max_gap`.* From the completion of a stage to the completion of the next one no more time passes.
//! - *`within`.* From the first event to the last one no more time passes.
//!
//! A match ends with the event that completes the last stage; then the key starts over from nothing. Of
//! several matches that end with the same event, the one that began last is told.
//!
//! *In progress* is what may still become a match: a complete prefix of stages, or a part of a first
//! stage of several steps, that no negated step has cleared and no limit has outrun.
//!
//! # Why little memory is enough
//!
//! Time never goes back, so of two prefixes up to the same stage the one that was completed later also
//! began no earlier, and both limits prefer it; a negated step clears both or neither. One prefix for
//! each stage is therefore enough. Within a stage of several steps the latest event of each step is the
//! best one, and the prefix before it must have been complete when the earliest of these arrived: each of
//! them carries the prefix that stood when it came. Work and memory depend on the plan only.

use serde::{Deserialize, Serialize};

use crate::limits::{CLOCK_AHEAD, LATENESS, WINDOW_KEYS_MAX};
use crate::time::{Millis, Span};
use crate::window::{Keyed, Saved};

/// Steps of expiry for each observation: more than one, so that the map shrinks faster than it grows.
const EXPIRE_STEPS: usize = 4;

/// What must follow what, and how soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequencePlan {
    /// In order. The last one must have a step that is not negated, or nothing could complete it: its
    /// negated steps would have no effect, which the compiler of the rules refuses.
    pub stages: Vec<Stage>,
    /// From the first event to the last one.
    pub within: Span,
    /// From the completion of one stage to the completion of the next one.
    pub max_gap: Option<Span>,
}

/// Steps that may come in any order; bit i stands for step i of the plan, which belongs to one stage only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Steps that must all be seen. A stage without any is a guard of the next one.
    pub steps: u32,
    /// Steps that must not be seen on the way to this stage.
    pub not: u32,
}

/// A sequence that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Time and mark of the event of each step that is not negated, by number of the step.
    pub marks: Vec<(Millis, i64)>,
    /// Number of the `within`-length slot in which it was completed.
    pub bucket: i64,
}

/// One sequence over all of its keys.
#[derive(Debug)]
pub struct SequenceDetector {
    plan: SequencePlan,
    /// Every step of the plan, negated or not.
    known: u32,
    keys: Keyed<State>,
}

/// What a detector remembers, to be written down; reads as [`SequenceSaved`].
#[derive(Debug, Serialize)]
pub struct SequenceSaving<'a> {
    stages: &'a [Stage],
    keys: &'a Keyed<State>,
}

/// What a detector remembered, to be given back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SequenceSaved {
    stages: Vec<Stage>,
    keys: Saved<State>,
}

/// What is in progress for one key; empty between a completion and the next first step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// Whose sequence it is, for a reset; those of one owner are found by a sweep.
    owner: u128,
    /// The key's time.
    now: Millis,
    /// The latest complete prefix up to each stage but the last, where there is one.
    prefixes: Vec<Prefix>,
    /// The latest event of each step of stages with several, in order of arrival.
    waiting: Vec<Waiting>,
}

/// The stages up to one, complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Prefix {
    stage: usize,
    /// The key's time at the first event.
    start: Millis,
    /// The key's time at the last event.
    end: Millis,
    /// Of each step, stage by stage, in order of their numbers.
    marks: Vec<(Millis, i64)>,
}

/// A step that has been seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    /// Its number, which says its stage, too.
    step: u8,
    /// The key's time when it arrived.
    came: Millis,
    event: (Millis, i64),
    /// The prefix that stood when it arrived; none in the first stage.
    before: Option<Box<Prefix>>,
}

/// One event, as a key sees it.
#[derive(Clone, Copy)]
struct Turn {
    event: (Millis, i64),
    matched: u32,
}

impl SequenceDetector {
    /// A detector without any history.
    #[must_use]
    pub fn new(plan: SequencePlan) -> Self {
        let plan = SequencePlan { stages: with_guards_joined(&plan.stages), ..plan };
        let known = plan.stages.iter().fold(0, |bits, stage| bits | stage.steps | stage.not);
        let keys = Keyed::new(plan.idle(), WINDOW_KEYS_MAX);
        Self { plan, known, keys }
    }

    /// What is remembered now.
    #[must_use]
    pub fn save(&self) -> SequenceSaving<'_> {
        SequenceSaving { stages: &self.plan.stages, keys: &self.keys }
    }

    /// Goes on from what was remembered, under its own limits. What was remembered of other stages means
    /// nothing here and is left out.
    pub fn restore(&mut self, saved: SequenceSaved) {
        if saved.stages == self.plan.stages {
            self.keys = Keyed::restore(saved.keys, self.plan.idle(), WINDOW_KEYS_MAX);
        }
    }

    /// Longest time from the first event of a match to its last one.
    #[must_use]
    pub fn span(&self) -> Span {
        self.plan.within
    }

    /// Takes note of one event that matches the steps of `matched` (bit i: step i). Says so when that
    /// completes the sequence. Events that match nothing may be left out.
    pub fn observe(&mut self, key: u128, owner: u128, at: Millis, mark: i64, matched: u32) -> Option<Completion> {
        let matched = matched & self.known;
        if matched == 0 {
            return None;
        }
        self.keys.expire(at, EXPIRE_STEPS);
        let idle = self.keys.get(key).is_none_or(State::is_empty);
        if idle && !self.plan.is_opened_by(matched) {
            return None;
        }
        let state = self.keys.touch(key, at, State::default);
        if idle {
            (state.owner, state.now) = (owner, at);
        }
        let done = state.turn(&self.plan, Turn { event: (at, mark), matched });
        if done.is_some() || state.is_empty() {
            *state = State::default();
        }
        done.map(|done| self.plan.completion(&done, at))
    }

    /// Forgets what is in progress for one owner: what came before an operator's release is settled.
    pub fn reset(&mut self, owner: u128) {
        if owner != 0 {
            self.keys.retain(|state| state.owner != owner);
        }
    }

    /// Forgets keys in which nothing can be in progress any more.
    pub fn expire(&mut self, now: Millis, steps: usize) {
        self.keys.expire(now, steps);
    }

    /// Copies what is remembered of a key into another detector of the same rule; nothing changes here.
    pub fn copy(&self, key: u128, into: &mut Self) {
        self.keys.copy(key, &mut into.keys);
    }

    /// Number of keys with something in progress, and of those that had until a moment ago.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Keys that were forgotten because there were too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.keys.evicted()
    }
}

impl SequencePlan {
    /// A key may only go when no event that is still allowed to come could tell the difference.
    fn idle(&self) -> Span {
        self.within + LATENESS + CLOCK_AHEAD + Span(1)
    }

    /// Whether an event can begin a match.
    fn is_opened_by(&self, matched: u32) -> bool {
        self.stages.first().is_some_and(|stage| stage.steps & matched != 0 && stage.not & matched == 0)
    }

    fn completion(&self, done: &Prefix, at: Millis) -> Completion {
        let steps = self.stages.iter().flat_map(|stage| bits(stage.steps));
        let mut marks: Vec<(u8, (Millis, i64))> = steps.zip(done.marks.iter().copied()).collect();
        marks.sort_by_key(|(step, _)| *step);
        Completion {
            marks: marks.into_iter().map(|(_, event)| event).collect(),
            bucket: at.0.div_euclid(self.within.0.max(1)),
        }
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.waiting.is_empty()
    }

    /// Moves on by one event, the last stage first, so that the event serves no two stages.
    fn turn(&mut self, plan: &SequencePlan, turn: Turn) -> Option<Prefix> {
        self.now = self.now.max(turn.event.0);
        self.drop_outrun(plan);
        for (number, stage) in plan.stages.iter().enumerate().rev() {
            if stage.not & turn.matched != 0 {
                self.clear_way_to(number, *stage);
            } else if stage.steps & turn.matched != 0
                && let Some(done) = self.serve(number, *stage, turn)
            {
                if number + 1 == plan.stages.len() {
                    return Some(done);
                }
                self.keep(done);
            }
        }
        None
    }

    /// Drops what no limit allows to become a match any more.
    fn drop_outrun(&mut self, plan: &SequencePlan) {
        let now = self.now;
        let in_time = |prefix: &Prefix| {
            now - prefix.start <= plan.within && plan.max_gap.is_none_or(|gap| now - prefix.end <= gap)
        };
        self.prefixes.retain(in_time);
        self.waiting.retain(|step| match &step.before {
            Some(before) => in_time(before),
            None => now - step.came <= plan.within,
        });
    }

    /// A negated step was seen.
    fn clear_way_to(&mut self, number: usize, stage: Stage) {
        self.prefixes.retain(|prefix| prefix.stage + 1 != number);
        self.waiting.retain(|step| !step.is_one_of(stage.steps));
    }

    /// Uses the event for a stage; the new prefix when that completes it.
    fn serve(&mut self, number: usize, stage: Stage, turn: Turn) -> Option<Prefix> {
        let before = match number.checked_sub(1) {
            Some(earlier) => Some(self.prefixes.iter().find(|prefix| prefix.stage == earlier)?),
            None => None,
        };
        if stage.steps.is_power_of_two() {
            return Some(self.prefix(number, before, self.now, [turn.event].into_iter()));
        }
        let before = before.cloned().map(Box::new);
        self.waiting.retain(|step| !step.is_one_of(stage.steps & turn.matched));
        for step in bits(stage.steps & turn.matched) {
            let (came, event, before) = (self.now, turn.event, before.clone());
            self.waiting.reserve_exact(1);
            self.waiting.push(Waiting { step, came, event, before });
        }
        self.complete(number, stage)
    }

    /// The prefix up to a stage of several steps, when all of them have been seen.
    fn complete(&self, number: usize, stage: Stage) -> Option<Prefix> {
        let mut seen: Vec<&Waiting> = self.waiting.iter().filter(|step| step.is_one_of(stage.steps)).collect();
        let first = *seen.first().filter(|_| seen.len() == bits(stage.steps).count())?;
        seen.sort_by_key(|step| step.step);
        Some(self.prefix(number, first.before.as_deref(), first.came, seen.iter().map(|step| step.event)))
    }

    /// A stage that is complete now, behind the prefix before it; `came` is when its first event arrived.
    fn prefix(
        &self,
        stage: usize,
        before: Option<&Prefix>,
        came: Millis,
        events: impl ExactSizeIterator<Item = (Millis, i64)>,
    ) -> Prefix {
        let earlier = before.map_or([].as_slice(), |before| &before.marks);
        let mut marks = Vec::with_capacity(earlier.len() + events.len());
        marks.extend_from_slice(earlier);
        marks.extend(events);
        Prefix { stage, start: before.map_or(came, |before| before.start), end: self.now, marks }
    }

    fn keep(&mut self, done: Prefix) {
        match self.prefixes.iter_mut().find(|prefix| prefix.stage == done.stage) {
            Some(earlier) => *earlier = done,
            None => {
                self.prefixes.reserve_exact(1);
                self.prefixes.push(done);
            }
        }
    }
}

impl Waiting {
    fn is_one_of(&self, steps: u32) -> bool {
        steps & (1 << self.step) != 0
    }
}

/// Without stages that have negated steps only: these guard the way to the next one as well as its own do.
fn with_guards_joined(stages: &[Stage]) -> Vec<Stage> {
    let (mut joined, mut not) = (Vec::with_capacity(stages.len()), 0);
    for stage in stages {
        not |= stage.not;
        if stage.steps != 0 {
            joined.push(Stage { steps: stage.steps, not });
            not = 0;
        }
    }
    joined
}

/// Numbers of the bits that are set, in order.
fn bits(mask: u32) -> impl Iterator<Item = u8> {
    (0..32).filter(move |bit| mask & (1 << bit) != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Span = Span::seconds(3_600);

    /// `ab c!x` is a stage of the steps a and b, then one of c that x guards. Steps are numbered by letter.
    fn stages(text: &str) -> Vec<Stage> {
        text.split(' ')
            .map(|stage| {
                let (steps, not) = stage.split_once('!').unwrap_or((stage, ""));
                Stage { steps: mask(steps), not: mask(not) }
            })
            .collect()
    }

    fn mask(letters: &str) -> u32 {
        letters.bytes().fold(0, |bits, letter| bits | 1 << (letter - b'a'))
    }

    fn plan(text: &str, within: Span, max_gap: Option<Span>) -> SequencePlan {
        SequencePlan { stages: stages(text), within, max_gap }
    }

    /// `a0 bc10` is an event of step a at 0 s and one of b and c at 10 s.
    fn events(story: &str) -> Vec<(Millis, u32)> {
        let event = |word: &str| {
            let (letters, seconds) = word.split_at(word.find(|c: char| !c.is_alphabetic()).expect("a time"));
            (Millis(seconds.parse::<i64>().expect("a number") * 1_000), mask(letters))
        };
        story.split_whitespace().map(event).collect()
    }

    /// As after a stop and a start, maybe with another plan.
    fn restored(detector: &SequenceDetector, plan: &SequencePlan) -> SequenceDetector {
        let bytes = rmp_serde::to_vec(&detector.save()).expect("serializes");
        let mut restored = SequenceDetector::new(plan.clone());
        restored.restore(rmp_serde::from_slice(&bytes).expect("reads"));
        restored
    }

    /// The marks of each completion; an event's mark is its position in the story.
    fn told(plan: &SequencePlan, story: &str) -> Vec<Vec<i64>> {
        let mut detector = SequenceDetector::new(plan.clone());
        let tell = |(mark, (at, matched)): (i64, (Millis, u32))| detector.observe(7, 7, at, mark, matched);
        let completions: Vec<Completion> = (0..).zip(events(story)).filter_map(tell).collect();
        completions.into_iter().map(|done| done.marks.iter().map(|(_, mark)| *mark).collect()).collect()
    }

    #[track_caller]
    fn check(plan: &SequencePlan, rows: &[(&str, &[&[i64]])]) {
        for (story, expected) in rows {
            assert_eq!(told(plan, story), *expected, "{story}");
        }
    }

    #[test]
    fn three_things_in_any_order() {
        let rows: [(&str, &[&[i64]]); 13] = [
            ("a0 b1 c2", &[&[0, 1, 2]]),
            ("a0 c1 b2", &[&[0, 2, 1]]),
            ("b0 a1 c2", &[&[1, 0, 2]]),
            ("b0 c1 a2", &[&[2, 0, 1]]),
            ("c0 a1 b2", &[&[1, 2, 0]]),
            ("c0 b1 a2", &[&[2, 1, 0]]),
            ("a0 a1 b2 b3 a4 c5", &[&[4, 3, 5]]),
            ("abc0", &[&[0, 0, 0]]),
            ("ab0 c1 c2", &[&[0, 0, 1]]),
            ("a0 b1 c2 a3 b4 c5", &[&[0, 1, 2], &[3, 4, 5]]),
            ("a0 b1 c3600", &[&[0, 1, 2]]),
            ("a0 b1 c3601", &[]),
            ("a0 b1 a3601 c3602 b3602", &[&[2, 4, 3]]),
        ];
        check(&plan("abc", HOUR, None), &rows);
    }

    #[test]
    fn steps_follow_each_other() {
        let rows: [(&str, &[&[i64]]); 8] = [
            ("a0 b1 c2", &[&[0, 1, 2]]),
            ("a0 c1 b2", &[]),
            ("c0 b1 a2 b3 a4 c5", &[&[2, 3, 5]]),
            ("a0 b1 b2 a3 c4", &[&[0, 2, 4]]),
            ("abc0 c1", &[]),
            ("abc0 abc1 abc2", &[&[0, 1, 2]]),
            ("abc0 abc1 abc2 abc3 abc4 abc5", &[&[0, 1, 2], &[3, 4, 5]]),
            ("a0 b1 c2 c3 b4 c5", &[&[0, 1, 2]]),
        ];
        check(&plan("a b c", HOUR, None), &rows);
    }

    #[test]
    fn a_negated_step_clears_what_waits_for_its_stage() {
        let refund_unless_confirmed = plan("a b!x", HOUR, None);
        let rows: [(&str, &[&[i64]]); 6] = [
            ("a0 b1", &[&[0, 1]]),
            ("a0 x1 b2", &[]),
            ("x0 a1 b2", &[&[1, 2]]),
            ("ax0 b1", &[&[0, 1]]),
            ("a0 bx1 b2", &[]),
            ("a0 x1 a2 b3", &[&[2, 3]]),
        ];
        check(&refund_unless_confirmed, &rows);
        let rows: [(&str, &[&[i64]]); 4] = [
            ("a0 b1 x2 c3", &[&[0, 1, 3]]),
            ("a0 x1 b2 c3", &[]),
            ("a0 b1 y2 c3", &[]),
            ("a0 b1 y2 b3 c4", &[&[0, 3, 4]]),
        ];
        check(&plan("a b!x c!y", HOUR, None), &rows);
        let rows: [(&str, &[&[i64]]); 4] =
            [("a0 b1", &[&[0, 1]]), ("a0 x1 b2", &[]), ("ax0 b1", &[]), ("x0 a1 b2", &[&[1, 2]])];
        check(&plan("ab!x", HOUR, None), &rows);
    }

    #[test]
    fn a_stage_of_guards_guards_the_next_one() {
        assert_eq!(with_guards_joined(&stages("a !x b!y !z c")), stages("a b!xy c!z"));
        assert_eq!(with_guards_joined(&stages("a !x")), stages("a"));
        check(&plan("a !x b", HOUR, None), &[("a0 x1 b2", &[]), ("a0 b1 x2", &[&[0, 1]])]);
        check(&plan("!x", HOUR, None), &[("x0 x1", &[])]);
    }

    #[test]
    fn a_stage_in_any_order_follows_what_was_complete_when_it_began() {
        let rows: [(&str, &[&[i64]]); 5] = [
            ("a0 b1 d2 c3", &[&[0, 1, 3, 2]]),
            ("a0 c1 b2 d3", &[]),
            ("a0 b1 c2 a3 b4 d5", &[&[0, 1, 2, 5]]),
            ("a0 b1 c2 a3 b4 c5 d6", &[&[3, 4, 5, 6]]),
            ("a0 b1 c2 b3 c4 d5", &[&[0, 3, 4, 5]]),
        ];
        check(&plan("ab cd", HOUR, None), &rows);
    }

    #[test]
    fn limits_count_from_the_latest_that_would_do() {
        let rows: [(&str, &[&[i64]]); 5] = [
            ("a0 b30 c60", &[&[0, 1, 2]]),
            ("a0 b30 c61", &[]),
            ("a0 b30 a31 c61", &[]),
            ("a0 a10 b30 c61", &[&[1, 2, 3]]),
            ("a0 b30 a40 b50 c100", &[&[2, 3, 4]]),
        ];
        check(&plan("a b c", Span::seconds(60), None), &rows);
        let rows: [(&str, &[&[i64]]); 5] = [
            ("a0 b10 c20", &[&[0, 1, 2]]),
            ("a0 b11 c20", &[]),
            ("a0 b10 c21", &[]),
            ("a0 b5 b10 c20", &[&[0, 2, 3]]),
            ("a0 a9 b10 b19 c29", &[&[1, 3, 4]]),
        ];
        check(&plan("a b c", Span::seconds(60), Some(Span::seconds(10))), &rows);
    }

    #[test]
    fn a_gap_is_from_one_completion_to_the_next() {
        let rows: [(&str, &[&[i64]]); 5] = [
            ("a0 b60 c70 d70", &[&[0, 1, 2, 3]]),
            ("a0 b60 c61 d71", &[]),
            ("a0 b60 a65 c66 d75", &[&[2, 1, 3, 4]]),
            ("a0 b1 c2 a5 c7 d14", &[&[3, 1, 4, 5]]),
            ("a0 b1 c2 a5 d14", &[]),
        ];
        check(&plan("ab cd", HOUR, Some(Span::seconds(10))), &rows);
    }

    #[test]
    fn the_time_of_a_key_does_not_go_back() {
        let rows: [(&str, &[&[i64]]); 4] = [
            // Late, but it arrived in between.
            ("a300 b10 c310", &[&[0, 1, 2]]),
            // The late one begins at 300 s like the one before it.
            ("a300 a1 b350 c360", &[&[1, 2, 3]]),
            // A step that leads nowhere moves the time, too.
            ("a0 c59 b1 c60 c61", &[&[0, 2, 3]]),
            ("a0 c61 b1 c2", &[]),
        ];
        check(&plan("a b c", Span::seconds(60), None), &rows);
    }

    #[test]
    fn sessions_do_not_mix_and_a_reset_starts_over() {
        let mut detector = SequenceDetector::new(plan("a b", HOUR, None));
        let mut see = |key, step, mark| detector.observe(key, key, Millis(0), mark, mask(step)).map(|done| done.marks);
        assert_eq!([see(1, "a", 0), see(2, "b", 1), see(2, "a", 2)], [None, None, None]);
        assert_eq!(see(1, "b", 3), Some(vec![(Millis(0), 0), (Millis(0), 3)]));
        assert_eq!(see(2, "b", 4), Some(vec![(Millis(0), 2), (Millis(0), 4)]));
        assert_eq!([see(1, "a", 5), see(2, "a", 6)], [None, None]);
        detector.reset(1);
        let mut see = |key, step, mark| detector.observe(key, key, Millis(0), mark, mask(step)).map(|done| done.marks);
        assert_eq!(see(1, "b", 7), None);
        assert_eq!(see(2, "b", 8), Some(vec![(Millis(0), 6), (Millis(0), 8)]));
        detector.observe(3, 0, Millis(0), 9, mask("a"));
        detector.reset(0);
        assert!(detector.observe(3, 0, Millis(0), 10, mask("b")).is_some(), "nobody is not an owner");
    }

    #[test]
    fn marks_come_by_number_of_step_and_buckets_by_time() {
        let mut detector = SequenceDetector::new(plan("c a!b", Span::seconds(10), None));
        assert_eq!(detector.observe(1, 1, Millis(9_000), 90, mask("c")), None);
        let done = detector.observe(1, 1, Millis(11_000), 110, mask("a"));
        assert_eq!(done, Some(Completion { marks: vec![(Millis(11_000), 110), (Millis(9_000), 90)], bucket: 1 }));
    }

    #[test]
    fn what_cannot_begin_opens_nothing_and_idle_keys_go() {
        let mut detector = SequenceDetector::new(plan("a!y b!x", Span::seconds(60), None));
        for (key, step) in (0..).zip(["b", "x", "y", "ay", "z"]) {
            detector.observe(key, key, Millis(0), 0, mask(step));
        }
        assert_eq!(detector.keys(), 0);
        detector.observe(1, 1, Millis(0), 0, mask("a"));
        detector.expire(Millis(60_000), 10);
        assert_eq!(detector.keys(), 1);
        detector.expire(Millis(60_000) + LATENESS + CLOCK_AHEAD + Span(1), 10);
        assert_eq!((detector.keys(), detector.evicted()), (0, 0));
    }

    /// Things of a fixed size that one state holds. Each loop of a turn is over these or over the plan.
    fn load(state: &State) -> usize {
        let of = |prefix: &Prefix| 1 + prefix.marks.len();
        let before: usize = state.waiting.iter().map(|step| 1 + step.before.as_deref().map_or(0, of)).sum();
        before + state.prefixes.iter().map(of).sum::<usize>()
    }

    #[test]
    fn the_ten_thousandth_turn_costs_what_the_hundredth_does() {
        for text in ["a b c", "abcd", "ab cd e", "a b c d e f g h i j k l m n o p", "abcdefgh ijklmnop"] {
            let plan = plan(text, HOUR, None);
            // All but the last step, round and round.
            let steps = plan.stages.iter().fold(0, |bits, stage| bits | stage.steps).ilog2();
            let mut detector = SequenceDetector::new(plan);
            let mut most = [0, 0];
            for turn in 0..10_000_u32 {
                detector.observe(1, 1, Millis(i64::from(turn) * 1_000), 0, 1 << (turn % steps));
                let half = most.get_mut(usize::from(turn >= 100)).expect("two");
                *half = load(detector.keys.get(1).expect("in progress")).max(*half);
            }
            assert_eq!(most[0], most[1], "{text}");
            assert!(most[1] <= 16 * 17, "{text}: {most:?}");
        }
    }

    /// Keeps every event since nothing was in progress, and tries all of their combinations.
    struct Model {
        plan: SequencePlan,
        events: Vec<Seen>,
    }

    #[derive(Clone, Copy)]
    struct Seen {
        time: Millis,
        at: Millis,
        mark: i64,
        matched: u32,
    }

    impl Model {
        fn steps(&self) -> Vec<(usize, u8)> {
            let stages = self.plan.stages.iter().enumerate();
            stages.flat_map(|(number, stage)| bits(stage.steps).map(move |step| (number, step))).collect()
        }

        /// The definition: whether these events, one for each of the first steps, are a prefix of a match.
        fn is_prefix(&self, chosen: &[usize]) -> bool {
            let steps = self.steps();
            let matches = |(event, (_, step)): (&usize, &(usize, u8))| self.events[*event].matched & (1 << step) != 0;
            if !chosen.iter().zip(&steps).all(matches) {
                return false;
            }
            let stages = steps[chosen.len() - 1].0;
            let of = |stage| chosen.iter().zip(&steps).filter(move |(_, (s, _))| *s == stage).map(|(event, _)| *event);
            let ends: Vec<usize> = (0..=stages).map(|stage| of(stage).max().expect("has steps")).collect();
            let time = |event: usize| self.events[event].time;
            let first = of(0).min().expect("has steps");
            (0..=stages).all(|stage| {
                let begins = of(stage).min().expect("has steps");
                let (after, in_time) = match stage.checked_sub(1) {
                    None => (first, true),
                    Some(earlier) => {
                        let gap = time(ends[stage]) - time(ends[earlier]);
                        (ends[earlier] + 1, self.plan.max_gap.is_none_or(|most| gap <= most))
                    }
                };
                in_time && begins >= after && !self.is_guarded(stage, after, ends[stage])
            }) && time(ends[stages]) - time(first) <= self.plan.within
        }

        /// Whether a negated step of the stage is among the events of a range, both ends included.
        fn is_guarded(&self, stage: usize, from: usize, to: usize) -> bool {
            (from..=to).any(|event| self.events[event].matched & self.plan.stages[stage].not != 0)
        }

        /// All prefixes up to and with a stage.
        fn prefixes(&self, stage: usize) -> Vec<Vec<usize>> {
            let steps = self.steps();
            let mut found: Vec<Vec<usize>> = vec![vec![]];
            for (number, step) in steps.iter().filter(|(number, _)| *number <= stage) {
                let serves = |event: &usize| self.events[*event].matched & (1 << step) != 0;
                let longer = |chosen: Vec<usize>| {
                    let events = (0..self.events.len()).filter(serves);
                    events.map(|event| chosen.iter().copied().chain([event]).collect::<Vec<_>>()).collect::<Vec<_>>()
                };
                found = found.into_iter().flat_map(longer).collect();
                let is_complete =
                    steps.iter().filter(|(s, _)| s <= number).count() == found.first().map_or(0, Vec::len);
                if is_complete {
                    found.retain(|chosen| self.is_prefix(chosen));
                }
            }
            found
        }

        fn is_in_progress(&self) -> bool {
            let (last, now) = (self.events.len() - 1, self.events[self.events.len() - 1].time);
            let in_time = |event: usize, most: Span| now - self.events[event].time <= most;
            let may_go_on = |chosen: &Vec<usize>, stage: usize| {
                let (first, end) = (*chosen.iter().min().expect("some"), *chosen.iter().max().expect("some"));
                in_time(first, self.plan.within)
                    && self.plan.max_gap.is_none_or(|gap| in_time(end, gap))
                    && !self.is_guarded(stage + 1, end + 1, last)
            };
            let first_stage = self.plan.stages[0];
            let is_part = |event: usize| {
                self.events[event].matched & first_stage.steps != 0
                    && !self.is_guarded(0, event, last)
                    && in_time(event, self.plan.within)
            };
            (first_stage.steps.count_ones() > 1 && (0..=last).any(is_part))
                || (0..self.plan.stages.len() - 1)
                    .any(|stage| self.prefixes(stage).iter().any(|chosen| may_go_on(chosen, stage)))
        }

        /// All matches that end with this event, which is the newest.
        fn observe(&mut self, at: Millis, mark: i64, matched: u32) -> Vec<Vec<Seen>> {
            if matched == 0 {
                return vec![];
            }
            let time = self.events.last().map_or(at, |event| event.time.max(at));
            self.events.push(Seen { time, at, mark, matched });
            let newest = self.events.len() - 1;
            let mut matches = self.prefixes(self.plan.stages.len() - 1);
            matches.retain(|chosen| chosen.contains(&newest));
            let matches: Vec<Vec<Seen>> =
                matches.iter().map(|chosen| chosen.iter().map(|event| self.events[*event]).collect()).collect();
            if !matches.is_empty() || !self.is_in_progress() {
                self.events.clear();
            }
            matches
        }
    }

    /// One of each: where a step stands, whether it is negated.
    fn plans() -> impl Strategy<Value = SequencePlan> {
        let step = (0..3_usize, prop::bool::weighted(0.3));
        let limits = (10_i64..120, prop::option::of(5_i64..40));
        (prop::collection::vec(step, 2..8), limits).prop_filter_map("a step", |(steps, (within, max_gap))| {
            let mut stages = vec![Stage::default(); 3];
            for (bit, (stage, negated)) in steps.into_iter().enumerate() {
                let stage = &mut stages[stage];
                *(if negated { &mut stage.not } else { &mut stage.steps }) |= 1 << bit;
            }
            let stages = with_guards_joined(&stages);
            let positive: u32 = stages.iter().map(|stage| stage.steps.count_ones()).sum();
            let max_gap = max_gap.map(Span::seconds);
            (2..=5).contains(&positive).then_some(SequencePlan { stages, within: Span::seconds(within), max_gap })
        })
    }

    /// Key, time and steps of each event: mostly close to each other, some late, some after a long time.
    fn traffic() -> impl Strategy<Value = Vec<(u128, Millis, u32)>> {
        let forward = prop_oneof![9 => 0_i64..15, 1 => 0_i64..700];
        let late = prop_oneof![2 => Just(0_i64), 1 => 0_i64..60, 1 => 0_i64..300];
        // Mostly of one step, some of none, some of several.
        let matched = prop_oneof![3 => (0..10_u32).prop_map(|bit| 1 << bit), 1 => (any::<u8>(), any::<u8>()).prop_map(|(one, other)| u32::from(one & other))];
        let event = (1..3_u128, forward, late, matched);
        prop::collection::vec(event, 1..60).prop_map(|events| {
            let mut now = 0;
            let event = |(key, forward, late, matched): (u128, i64, i64, u32)| {
                now += forward;
                (key, Millis((now - late) * 1_000), matched)
            };
            events.into_iter().map(event).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Fires exactly when the definition has a match, with a match, and with the one that began last.
        #[test]
        fn agrees_with_the_full_history(plan in plans(), traffic in traffic()) {
            let mut detector = SequenceDetector::new(plan.clone());
            let known = detector.known;
            let mut models = [1, 2].map(|_| Model { plan: plan.clone(), events: vec![] });
            let steps = models[0].steps();
            for (mark, (key, at, matched)) in (0..).zip(traffic) {
                let model = &mut models[usize::from(key == 2)];
                let matches = model.observe(at, mark, matched & known);
                let done = detector.observe(key, key, at, mark, matched);
                prop_assert_eq!(done.is_some(), !matches.is_empty(), "event {} of {:?}", mark, plan);
                let Some(done) = done else { continue };
                let told = |seen: &&Vec<Seen>| {
                    let mut marks: Vec<_> = steps.iter().zip(seen.iter()).map(|((_, s), e)| (s, (e.at, e.mark))).collect();
                    marks.sort_by_key(|(step, _)| **step);
                    marks.into_iter().map(|(_, event)| event).collect::<Vec<_>>() == done.marks
                };
                let start = |seen: &Vec<Seen>| seen.iter().map(|event| event.time).min();
                let this = matches.iter().find(told);
                prop_assert!(this.is_some(), "{:?} is no match of {:?}", done.marks, plan);
                prop_assert_eq!(this.and_then(start), matches.iter().filter_map(start).max());
            }
        }

        /// What is saved in the middle and restored goes on as if nothing had been.
        #[test]
        fn restored_is_as_good_as_never_stopped(plan in plans(), traffic in traffic(), cut in 0..60_usize) {
            let mut whole = SequenceDetector::new(plan.clone());
            let mut parts = SequenceDetector::new(plan.clone());
            for (turn, (key, at, matched)) in traffic.into_iter().enumerate() {
                if turn == cut {
                    parts = restored(&parts, &plan);
                }
                let mark = i64::try_from(turn).expect("few");
                prop_assert_eq!(whole.observe(key, 9, at, mark, matched), parts.observe(key, 9, at, mark, matched));
            }
            let bytes = |detector: &SequenceDetector| rmp_serde::to_vec(&detector.save()).expect("serializes");
            prop_assert_eq!(bytes(&whole), bytes(&parts));
        }
    }

    #[test]
    fn state_of_other_stages_is_left_out() {
        let mut old = SequenceDetector::new(plan("a b c", HOUR, None));
        old.observe(1, 1, Millis(0), 0, mask("a"));
        assert_eq!(restored(&old, &plan("ab c", HOUR, None)).keys(), 0);
        assert_eq!(restored(&old, &plan("a b c", Span::seconds(7_200), None)).keys(), 1);
    }
}
