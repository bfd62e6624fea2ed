//! A sliding window over event time: how many, and how much in all.
//!
//! Exact while it holds few entries. When there are more than the bound, neighbours in one slot of a
//! grid are merged, whose width doubles until they are few enough; memory is constant and the error at
//! the far edge is at most that width (never more than a 16th of the window). A merged entry carries
//! its latest time: at the edge the window counts a little too much rather than letting something slip
//! out early. Late events are put in their place; older than the window they are refused.
//!
//! Most keys have a handful of events, so the first four lie in the window itself.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits::WINDOW_ENTRIES_MAX;
use crate::time::{Millis, Span};

/// The first merge joins what lies within this part of the window.
const MERGE_PARTS: i64 = 256;
/// Entries that need no memory of their own.
const FEW: usize = 4;

/// The events of one key within a window's length of the newest one. The length must be the same at
/// each call, and at most 49 days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sliding {
    /// No entry is older; they count their time from here.
    base: Millis,
    entries: Entries,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entries {
    /// The first so many; the rest are zeros. Never merged.
    Few(u8, [Entry; FEW]),
    Many(Many),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Many {
    entries: VecDeque<Entry>,
    /// Slots of the grid in which entries are merged, in milliseconds; 1 while all are exact.
    width: u32,
    count: u64,
    sum: Total,
}

/// A sum of entries' sums, which it cannot overflow: an `i128` in halves, because a whole one would
/// cost padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Total {
    high: i64,
    low: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Milliseconds after the base.
    after: u32,
    count: u32,
    sum: i64,
}

impl Sliding {
    /// Adds one event; `amount` is in any fixed unit. False when it is older than the window.
    pub fn add(&mut self, at: Millis, amount: i64, span: Span) -> bool {
        self.expire(at, span);
        match self.newest() {
            None => self.base = at - span,
            Some(newest) if at <= newest - span => return false,
            Some(_) => {}
        }
        let new = Entry { after: self.after(at, span), count: 1, sum: amount };
        match &mut self.entries {
            Entries::Few(len, few) => {
                if !insert(len, few, new) {
                    self.entries = Entries::Many(Many::of(few, new));
                }
            }
            Entries::Many(many) => many.add(new, span),
        }
        true
    }

    /// Drops what lies `span` or more before `now`.
    pub fn expire(&mut self, now: Millis, span: Span) {
        let edge = (now - span - self.base).0;
        match &mut self.entries {
            Entries::Few(len, few) => drop_until(edge, len, few),
            Entries::Many(many) => {
                if many.is_empty_after(edge) {
                    self.entries = Entries::default();
                }
            }
        }
    }

    /// Events in the window.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.entries {
            Entries::Few(_, few) => few.iter().map(|entry| u64::from(entry.count)).sum(),
            Entries::Many(many) => many.count,
        }
    }

    /// Sum of the amounts in the window.
    #[must_use]
    pub fn sum(&self) -> i64 {
        let sum = match &self.entries {
            Entries::Few(_, few) => few.iter().map(|entry| i128::from(entry.sum)).sum(),
            Entries::Many(many) => many.sum.value(),
        };
        i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
    }

    /// Time of the newest event.
    #[must_use]
    pub fn newest(&self) -> Option<Millis> {
        let newest = match &self.entries {
            Entries::Few(len, few) => few.get(usize::from(*len).wrapping_sub(1)),
            Entries::Many(many) => many.entries.back(),
        };
        newest.map(|entry| self.base + Span(i64::from(entry.after)))
    }

    /// Milliseconds after the base, which moves up when that is too far to count.
    fn after(&mut self, at: Millis, span: Span) -> u32 {
        let offset = |base: Millis| u32::try_from((at - base).0).ok();
        if let Some(after) = offset(self.base) {
            return after;
        }
        let base = at - span;
        let by = (base - self.base).0;
        let shift = |entry: &mut Entry| entry.after = u32::try_from(i64::from(entry.after) - by).unwrap_or(0);
        match &mut self.entries {
            Entries::Few(len, few) => few.iter_mut().take(usize::from(*len)).for_each(shift),
            Entries::Many(many) => many.entries.iter_mut().for_each(shift),
        }
        self.base = base;
        offset(base).unwrap_or(u32::MAX)
    }
}

/// Puts an entry in its place among the first `len`; false when there is no room.
fn insert(len: &mut u8, few: &mut [Entry; FEW], new: Entry) -> bool {
    let held = usize::from(*len);
    let place = few.iter().take(held).take_while(|entry| entry.after < new.after).count();
    if let Some(same) = few.get_mut(place).filter(|entry| place < held && entry.after == new.after) {
        same.take(new);
        return true;
    }
    let Some(later) = few.get_mut(place..=held) else { return false };
    let mut carried = new;
    for entry in later {
        std::mem::swap(entry, &mut carried);
    }
    *len += 1;
    true
}

fn drop_until(edge: i64, len: &mut u8, few: &mut [Entry; FEW]) {
    let is_old = |entry: &Entry| entry.count > 0 && i64::from(entry.after) <= edge;
    while few.first().is_some_and(is_old) {
        few.rotate_left(1);
        if let Some(last) = few.last_mut() {
            *last = Entry::default();
        }
        *len = len.saturating_sub(1);
    }
}

impl Many {
    fn of(few: &[Entry; FEW], new: Entry) -> Self {
        let mut entries: VecDeque<Entry> = VecDeque::with_capacity(2 * FEW);
        entries.extend(few);
        let place = entries.partition_point(|entry| entry.after < new.after);
        entries.insert(place, new);
        let mut many = Self { entries, width: 1, count: 0, sum: Total::default() };
        many.recount();
        many
    }

    fn add(&mut self, new: Entry, span: Span) {
        let place = match self.entries.back() {
            Some(last) if last.after < new.after => self.entries.len(),
            _ => self.entries.partition_point(|entry| entry.after < new.after),
        };
        if let Some(entry) = self.of_same_slot(place, new.after) {
            let (count, sum) = (entry.count, entry.sum);
            entry.take(new);
            let (counted, added) = (entry.count - count, i128::from(entry.sum) - i128::from(sum));
            self.count += u64::from(counted);
            self.sum.add(added);
        } else if self.entries.len() < WINDOW_ENTRIES_MAX {
            self.entries.insert(place, new);
            self.count += u64::from(new.count);
            self.sum.add(i128::from(new.sum));
        } else {
            self.merge(span);
            self.add(new, span);
        }
    }

    /// The neighbour of a place that something at this time belongs to.
    fn of_same_slot(&mut self, place: usize, after: u32) -> Option<&mut Entry> {
        let same = |at: &usize| self.entries.get(*at).is_some_and(|entry| self.slot(entry.after) == self.slot(after));
        let at = [place, place.wrapping_sub(1)].into_iter().find(same)?;
        self.entries.get_mut(at)
    }

    fn slot(&self, after: u32) -> u32 {
        after / self.width.max(1)
    }

    /// Drops what is not after the edge; true when nothing is left.
    fn is_empty_after(&mut self, edge: i64) -> bool {
        while let Some(entry) = self.entries.front().copied().filter(|entry| i64::from(entry.after) <= edge) {
            self.entries.pop_front();
            self.count = self.count.saturating_sub(u64::from(entry.count));
            self.sum.add(-i128::from(entry.sum));
        }
        self.entries.is_empty()
    }

    fn merge(&mut self, span: Span) {
        let least = u32::try_from(span.0 / MERGE_PARTS).unwrap_or(u32::MAX);
        while self.entries.len() >= WINDOW_ENTRIES_MAX {
            self.width = self.width.saturating_mul(2).max(least);
            let mut merged: VecDeque<Entry> = VecDeque::with_capacity(WINDOW_ENTRIES_MAX);
            for entry in self.entries.drain(..) {
                match merged.back_mut().filter(|last| last.after / self.width == entry.after / self.width) {
                    Some(last) => last.take(entry),
                    None => merged.push_back(entry),
                }
            }
            self.entries = merged;
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.count = self.entries.iter().map(|entry| u64::from(entry.count)).sum();
        self.sum = Total::of(self.entries.iter().map(|entry| i128::from(entry.sum)).sum());
    }
}

impl Total {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the halves")]
    fn of(value: i128) -> Self {
        Self { high: (value >> 64) as i64, low: value as u64 }
    }

    fn value(self) -> i128 {
        i128::from(self.high) << 64 | i128::from(self.low)
    }

    fn add(&mut self, amount: i128) {
        *self = Self::of(self.value() + amount);
    }
}

impl Entry {
    fn take(&mut self, other: Self) {
        self.after = self.after.max(other.after);
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
    }
}

impl Default for Entries {
    fn default() -> Self {
        Self::Few(0, [Entry::default(); FEW])
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

    fn entries(window: &Sliding) -> usize {
        match &window.entries {
            Entries::Few(len, _) => usize::from(*len),
            Entries::Many(many) => many.entries.len(),
        }
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

    #[test]
    fn a_dense_stream_is_still_right_at_the_edge() {
        let mut window = Sliding::default();
        for at in 0..200_000 {
            window.add(Millis(at), 1, SPAN);
            let least = (at + 1).min(SPAN.0).unsigned_abs();
            assert!(
                (least..=least + SPAN.0.unsigned_abs() / 16).contains(&window.count()),
                "{} at {at}",
                window.count()
            );
        }
    }

    #[test]
    fn a_window_that_never_empties_counts_on_for_months() {
        let day = Span::seconds(86_400);
        for (each, entries) in [(8, 3), (1, 24)] {
            let mut window = Sliding::default();
            for n in 0..24 * 120 / each {
                window.add(Millis(n * each * 3_600_000), 1, day);
                assert_eq!(window.count(), (n.unsigned_abs() + 1).min(entries));
            }
        }
    }

    #[test]
    fn absurd_amounts_leave_no_trace() {
        let mut window = Sliding::default();
        for (at, amount, sum) in [
            (0, i64::MAX, i64::MAX),
            (0, i64::MAX, i64::MAX),
            (1, i64::MAX, i64::MAX),
            (30_000, 5, i64::MAX),
            (60_002, 7, 12),
        ] {
            window.add(Millis(at), amount, SPAN);
            assert_eq!(window.sum(), sum, "at {at}");
        }
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
                prop_assert!(entries(&window) <= WINDOW_ENTRIES_MAX);
                if forward % 4 == 0 {
                    window = rmp_serde::from_slice(&rmp_serde::to_vec(&window).expect("saves")).expect("restores");
                }
                if all.len() <= WINDOW_ENTRIES_MAX {
                    prop_assert_eq!(window.count(), least);
                }
            }
        }
    }
}
