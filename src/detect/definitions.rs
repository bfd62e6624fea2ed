//! Definitions of tools that are not what they were.
//!
//! A key is one tool of one server of one tenant. Its first definition is remembered without a word and
//! the same one again is nothing. Another one is told, and so is the way back; but the same change, from
//! one definition to another, is told once only. So a server that shows two faces in turn gives two
//! findings and not one for each turn, and a roll-out that runs old and new side by side gives no more.
//! The last few distinct definitions are known: one that was crowded out is new when it comes back.
//!
//! Order is order of arrival; times are for the idle limit and the answer only. What is remembered here
//! belongs to a tenant and not to a session, so a session's release does not touch it.

use serde::{Deserialize, Serialize};

use crate::limits::{DEFINITION_IDLE, DEFINITION_KEYS_MAX, DEFINITIONS_KNOWN};
use crate::time::{Millis, Span};
use crate::window::{Keyed, Saved};

/// Steps of expiry for each observation: more than one, so that the map shrinks faster than it grows.
const EXPIRE_STEPS: usize = 4;

/// A definition that took the place of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Time of the event in which the tool was first seen.
    pub first_seen: Millis,
    /// Mark of the last event that showed the definition from before.
    pub last_mark: i64,
    /// Definitions of the tool so far, this one among them; one that was crowded out counts again.
    pub versions: u32,
}

/// The definitions of all tools.
#[derive(Debug)]
pub struct DefinitionDetector {
    /// None for a tool that was reset.
    tools: Keyed<Option<Tool>>,
}

/// What a detector remembers, to be written down; reads as [`DefinitionsSaved`].
#[derive(Debug, Serialize)]
pub struct DefinitionsSaving<'a> {
    tools: &'a Keyed<Option<Tool>>,
}

/// What a detector remembered, to be given back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DefinitionsSaved {
    tools: Saved<Option<Tool>>,
}

/// Definitions stand for themselves by their hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tool {
    current: u64,
    first_seen: Millis,
    last_mark: i64,
    versions: u32,
    /// What it was before, the longest ago first.
    earlier: Vec<u64>,
    /// Changes among the known definitions that have been told, from and to.
    told: Vec<(u64, u64)>,
}

impl DefinitionDetector {
    /// A detector that has seen no tool.
    #[must_use]
    pub fn new() -> Self {
        Self { tools: Keyed::new(DEFINITION_IDLE, DEFINITION_KEYS_MAX) }
    }

    /// What is remembered now.
    #[must_use]
    pub fn save(&self) -> DefinitionsSaving<'_> {
        DefinitionsSaving { tools: &self.tools }
    }

    /// Goes on from what was remembered.
    pub fn restore(&mut self, saved: DefinitionsSaved) {
        self.tools = Keyed::restore(saved.tools, DEFINITION_IDLE, DEFINITION_KEYS_MAX);
    }

    /// Longest time for which a definition that is not seen is remembered.
    #[must_use]
    pub fn span(&self) -> Span {
        DEFINITION_IDLE
    }

    /// Takes note of a tool's definition, `text` being its hash. Says so when it is another one.
    pub fn observe(&mut self, key: u128, at: Millis, text: u64, mark: i64) -> Option<Change> {
        self.tools.expire(at, EXPIRE_STEPS);
        let slot = self.tools.touch(key, at, || None);
        let Some(tool) = slot else {
            *slot = Some(Tool::new(text, at, mark));
            return None;
        };
        let last_mark = std::mem::replace(&mut tool.last_mark, mark);
        let news = tool.current != text && tool.turn_into(text);
        news.then_some(Change { first_seen: tool.first_seen, last_mark, versions: tool.versions })
    }

    /// Forgets one tool: its next definition is a first one again.
    pub fn reset(&mut self, key: u128) {
        if let Some(tool) = self.tools.get_mut(key) {
            *tool = None;
        }
    }

    /// Forgets tools that have not been seen for long.
    pub fn expire(&mut self, now: Millis, steps: usize) {
        self.tools.expire(now, steps);
    }

    /// Copies what is remembered of a key into another detector of the same rule; nothing changes here.
    pub fn copy(&self, key: u128, into: &mut Self) {
        self.tools.copy(key, &mut into.tools);
    }

    /// Number of tools.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.tools.len()
    }

    /// Tools that were forgotten because there were too many.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.tools.evicted()
    }
}

impl Default for DefinitionDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl Tool {
    fn new(text: u64, at: Millis, mark: i64) -> Self {
        Self { current: text, first_seen: at, last_mark: mark, versions: 1, earlier: Vec::new(), told: Vec::new() }
    }

    /// Makes another definition the current one; whether this change is told for the first time.
    fn turn_into(&mut self, text: u64) -> bool {
        let from = std::mem::replace(&mut self.current, text);
        let known = self.earlier.len();
        self.earlier.retain(|earlier| *earlier != text);
        if self.earlier.len() == known {
            self.versions = self.versions.saturating_add(1);
        }
        self.earlier.push(from);
        if self.earlier.len() >= DEFINITIONS_KNOWN {
            let gone = self.earlier.remove(0);
            self.told.retain(|(from, to)| *from != gone && *to != gone);
        }
        let new = !self.told.contains(&(from, text));
        if new {
            self.told.push((from, text));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400_000;

    /// Which definitions of a story, a letter each, are told; an event's mark is its position.
    fn told(story: &str) -> Vec<i64> {
        let mut detector = DefinitionDetector::new();
        let tell = |(mark, text): (i64, u8)| detector.observe(1, Millis(mark), u64::from(text), mark).map(|_| mark);
        (0..).zip(story.bytes()).filter_map(tell).collect()
    }

    #[test]
    fn a_change_is_told_once() {
        let rows: [(&str, &[i64]); 10] = [
            ("a", &[]),
            ("aaaa", &[]),
            ("ab", &[1]),
            ("aabbb", &[2]),
            ("abababab", &[1, 2]),
            ("abcabc", &[1, 2, 3]),
            ("abcbaca", &[1, 2, 3, 4, 5, 6]),
            ("abcdabcd", &[1, 2, 3, 4]),
            // The fifth crowds out the first, which is then new again.
            ("abcdea", &[1, 2, 3, 4, 5]),
            ("abcabdeab", &[1, 2, 3, 5, 6, 7]),
        ];
        for (story, expected) in rows {
            assert_eq!(told(story), expected, "{story}");
        }
    }

    #[test]
    fn says_what_was_before() {
        let mut detector = DefinitionDetector::new();
        let mut see = |at, text, mark| detector.observe(1, Millis(at), text, mark);
        assert_eq!([see(10, 7, 100), see(20, 7, 200)], [None, None]);
        let change = |last_mark, versions| Some(Change { first_seen: Millis(10), last_mark, versions });
        assert_eq!(see(30, 8, 300), change(200, 2));
        assert_eq!(see(40, 7, 400), change(300, 2), "back again is no new version");
        assert_eq!(see(50, 8, 500), None);
        assert_eq!(see(60, 9, 600), change(500, 3));
    }

    #[test]
    fn tools_do_not_mix_and_a_reset_starts_over() {
        let mut detector = DefinitionDetector::new();
        let rows = [(1, 7, false), (2, 8, false), (1, 8, true), (2, 8, false), (2, 7, true)];
        for (key, text, told) in rows {
            assert_eq!(detector.observe(key, Millis(0), text, 0).is_some(), told, "{key} {text}");
        }
        detector.reset(1);
        assert_eq!(detector.observe(1, Millis(0), 9, 0), None);
        assert!(detector.observe(2, Millis(0), 9, 0).is_some());
        assert!(detector.observe(1, Millis(0), 8, 0).is_some());
    }

    #[test]
    fn a_tool_is_known_for_thirty_days_after_it_was_last_seen() {
        let mut detector = DefinitionDetector::new();
        detector.observe(1, Millis(0), 7, 0);
        detector.observe(1, Millis(20 * DAY), 7, 0);
        detector.expire(Millis(49 * DAY), 10);
        assert_eq!(detector.keys(), 1);
        detector.expire(Millis(50 * DAY), 10);
        assert_eq!((detector.keys(), detector.evicted()), (0, 0));
        assert_eq!(detector.observe(1, Millis(50 * DAY), 8, 0), None);
    }

    proptest! {
        /// Bounded, told only when it changes, and as good after a stop and a start as without.
        #[test]
        fn restored_is_as_good_as_never_stopped(
            seen in prop::collection::vec((0..3_u128, 0..7_u64, 0..2 * DAY), 1..200),
            cut in 0..200_usize,
        ) {
            let (mut whole, mut parts, mut now) = (DefinitionDetector::new(), DefinitionDetector::new(), 0);
            let bytes = |detector: &DefinitionDetector| rmp_serde::to_vec(&detector.save()).expect("serializes");
            for (turn, (key, text, forward)) in seen.into_iter().enumerate() {
                if turn == cut {
                    let saved = bytes(&parts);
                    parts = DefinitionDetector::new();
                    parts.restore(rmp_serde::from_slice(&saved).expect("reads"));
                }
                now += forward;
                let mark = i64::try_from(turn).expect("few");
                let before = whole.tools.get(key).cloned().flatten();
                let change = whole.observe(key, Millis(now), text, mark);
                prop_assert_eq!(change, parts.observe(key, Millis(now), text, mark));
                prop_assert!(change.is_none() || before.is_some_and(|tool| tool.current != text));
                let tool = whole.tools.get(key).cloned().flatten().expect("just seen");
                prop_assert!(tool.earlier.len() < DEFINITIONS_KNOWN && !tool.earlier.contains(&text));
                prop_assert!(tool.told.len() <= DEFINITIONS_KNOWN * (DEFINITIONS_KNOWN - 1));
            }
            prop_assert_eq!(bytes(&whole), bytes(&parts));
        }
    }
}
