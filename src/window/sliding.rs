//! A sliding window over event time: how many, and how much in all.
//!
//! Exact while it holds few entries. When there are more than the bound, neighbours closer than a
//! doubling width are merged, so memory is constant and the error at the far edge is at most that width
//! (never more than a 16th of the window). A merged entry carries its latest time: at the edge the
//! window counts a little too much rather than letting something slip out early.
//! Late events are put in their place; older than the window they are refused.

use std::collections::VecDeque;

use crate::limits::WINDOW_ENTRIES_MAX;
use crate::time::{Millis, Span};

/// The first merge joins what lies within this part of the window.
const MERGE_PARTS: i64 = 256;

/// The events of one key within a window's length of the newest one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sliding {
    entries: VecDeque<Entry>,
    /// Entries closer than this were merged.
    width: Span,
    count: u64,
    sum: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    at: Millis,
    count: u32,
    sum: i64,
}

impl Sliding {
    /// Adds one event; `amount` is in any fixed unit. False when it is older than the window.
    pub fn add(&mut self, at: Millis, amount: i64, span: Span) -> bool {
        self.expire(at, span);
        if self.newest().is_some_and(|newest| at <= newest - span) {
            return false;
        }
        let place = self.entries.partition_point(|entry| entry.at < at);
        match self.entries.get_mut(place) {
            Some(entry) if entry.at - at <= self.width => entry.take(1, amount),
            _ => self.entries.insert(place, Entry { at, count: 1, sum: amount }),
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(amount);
        while self.entries.len() > WINDOW_ENTRIES_MAX {
            self.merge(span);
        }
        true
    }

    /// Drops what lies `span` or more before `now`.
    pub fn expire(&mut self, now: Millis, span: Span) {
        while let Some(entry) = self.entries.front().copied().filter(|entry| entry.at <= now - span) {
            self.entries.pop_front();
            self.count -= u64::from(entry.count);
            self.sum = self.sum.saturating_sub(entry.sum);
        }
        if self.entries.is_empty() {
            self.width = Span(0);
        }
    }

    /// Events in the window.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the amounts in the window.
    #[must_use]
    pub fn sum(&self) -> i64 {
        self.sum
    }

    /// Time of the newest event.
    #[must_use]
    pub fn newest(&self) -> Option<Millis> {
        self.entries.back().map(|entry| entry.at)
    }

    fn merge(&mut self, span: Span) {
        let least = Span((span.0 / MERGE_PARTS).max(1));
        self.width = Span((self.width.0 * 2).max(least.0));
        let mut merged: VecDeque<Entry> = VecDeque::with_capacity(WINDOW_ENTRIES_MAX + 1);
        // From the newest down, so that each group is named by its latest time and spans at most `width`.
        for entry in self.entries.drain(..).rev() {
            match merged.front_mut() {
                Some(later) if later.at - entry.at <= self.width => later.take(entry.count, entry.sum),
                _ => merged.push_front(entry),
            }
        }
        self.entries = merged;
    }
}

impl Entry {
    fn take(&mut self, count: u32, sum: i64) {
        self.count = self.count.saturating_add(count);
        self.sum = self.sum.saturating_add(sum);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPAN: Span = Span(60_000);

    fn filled(times: &[i64]) -> Sliding {
        let mut window = Sliding::default();
        for at in times {
            window.add(Millis(*at), 5, SPAN);
        }
        window
    }

    #[test]
    fn counts_what_lies_within_the_span_of_the_newest() {
        let rows: [(&[i64], u64); 6] = [
            (&[], 0),
            (&[0, 1, 59_999], 3),
            (&[0, 60_000], 1),
            (&[0, 60_001, 60_001], 2),
            (&[60_000, 1, 30_000], 3),
            (&[60_000, 0], 1),
        ];
        for (times, count) in rows {
            let window = filled(times);
            assert_eq!((window.count(), window.sum()), (count, 5 * i64::try_from(count).expect("few")), "{times:?}");
        }
    }

    #[test]
    fn older_than_the_window_is_refused() {
        let mut window = filled(&[100_000]);
        assert!(!window.add(Millis(40_000), 5, SPAN));
        assert!(window.add(Millis(40_001), 5, SPAN));
    }

    proptest! {
        /// Against a model that keeps everything: exact while small, never too few, and too many only
        /// by what lies within a 16th of the window beyond its edge.
        #[test]
        fn agrees_with_the_full_history(
            steps in proptest::collection::vec((0_i64..3_000, 0_i64..5_000), 1..600),
        ) {
            let (mut window, mut all, mut now) = (Sliding::default(), Vec::<i64>::new(), 0_i64);
            for (forward, back) in steps {
                now += forward;
                let at = now - back;
                let newest = all.iter().copied().max().unwrap_or(i64::MIN / 2);
                let in_time = at > newest - SPAN.0;
                prop_assert_eq!(window.add(Millis(at), 1, SPAN), in_time);
                if in_time {
                    all.push(at);
                }
                let newest = newest.max(at);
                let within = |span: i64| all.iter().filter(|t| **t > newest - span).count() as u64;
                let (least, most) = (within(SPAN.0), within(SPAN.0 + SPAN.0 / 16));
                prop_assert!(window.count() >= least && window.count() <= most, "{} not in {least}..={most}", window.count());
                prop_assert_eq!(window.sum(), i64::try_from(window.count()).expect("few"));
                prop_assert!(window.entries.len() <= WINDOW_ENTRIES_MAX);
                if all.len() <= WINDOW_ENTRIES_MAX {
                    prop_assert_eq!(window.count(), least);
                }
            }
        }
    }
}
